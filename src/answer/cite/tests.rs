use proptest::prelude::*;

use super::*;
use crate::base::ArticleMeta;
use crate::base::samples::article;
use crate::retrieve::samples;

fn passage(n: usize, text: &str) -> Passage {
    Passage {
        article: ArticleMeta { authors: vec!["Ida Holm".into()], ..article("Varnishing a hull") },
        heading_path: vec!["Coats".into()],
        range: 100..100 + text.len(),
        ..samples::passage(n, text)
    }
}

fn passages() -> Vec<Passage> {
    vec![
        passage(
            1,
            "We put on six coats of Epifanes varnish. Each coat dried for 48 hours at 18 °C. \
             Do not sand the first coat. The tin cost €42.",
        ),
        passage(2, "The engine took 1,500 euros and two weekends. Owen rebuilt the pump."),
    ]
}

fn verdict(sentence: &str) -> Support {
    Checker::new(&passages(), "", SupportOptions::default()).check(sentence)
}

fn cited(sentence: &str) -> Vec<usize> {
    match verdict(sentence) {
        Support::Supported { evidence } => evidence.iter().map(|found| found.n).collect(),
        Support::Unsure { .. } | Support::Unsupported { .. } | Support::Declines => vec![],
    }
}

#[test]
fn a_sentence_cites_the_passage_that_says_it() {
    assert_eq!(cited("Each coat of varnish dries for 48 hours."), [1]);
    assert_eq!(cited("Owen rebuilt the pump [2]."), [2]);
    assert_eq!(cited("The engine cost 1500 euros."), [2]);
}

#[test]
fn a_wrong_mark_is_put_right() {
    assert_eq!(cited("Owen rebuilt the pump [1]."), [2]);
}

#[test]
fn an_invented_figure_name_or_negation_is_not_supported() {
    let missing = |sentence: &str| match verdict(sentence) {
        Support::Unsupported { missing } => missing,
        other => panic!("{sentence}: {other:?}"),
    };
    assert_eq!(missing("Each coat dried for 24 hours at 18 °C."), Missing::Figure("24".into()));
    assert_eq!(missing("The tin of varnish cost $42."), Missing::Figure("42".into()));
    assert_eq!(missing("They put on six coats of Lefant varnish."), Missing::Name("lefant".into()));
    assert_eq!(missing("Sand the first coat."), Missing::Negation);
    assert_eq!(missing("Each coat did not dry for 48 hours at 18 °C.").clone(), Missing::Negation);
    assert_eq!(missing("Mast rigging needs careful annual inspection."), Missing::Words);
    // Of a gasket nothing is said there.
    let verdict = verdict("Owen rebuilt the pump without a gasket.");
    assert!(matches!(verdict, Support::Unsure { .. }), "{verdict:?}");
}

#[test]
fn a_word_of_the_question_is_no_invented_name() {
    let passages = [passage(1, "The hull was drawn at Stanford, and lets you sail alone.")];
    let verdict = |question: &str| {
        let checker = Checker::new(&passages, question, SupportOptions::default());
        checker.check("The Stanford University drew the hull.")
    };
    let asked = verdict("Which university drew the hull?");
    assert!(matches!(asked, Support::Unsure { .. }), "{asked:?}");
    let name = Missing::Name("university".into());
    assert_eq!(verdict("Who drew the hull?"), Support::Unsupported { missing: name });
}

#[test]
fn the_number_of_a_list_item_is_no_figure() {
    assert_eq!(cited("1. Owen rebuilt the **pump**."), [2]);
    assert_eq!(cited("3) Owen rebuilt the pump."), [2]);
    assert_eq!(list_item("12. Sand it."), Some("Sand it."));
    assert_eq!(list_item("- Sand it."), Some("Sand it."));
    assert_eq!(list_item("2025. It was"), None);
    assert_eq!(list_item("3.5 hours."), None);
    assert_eq!(list_item("-3 degrees"), None);
}

#[test]
fn a_condition_denies_nothing() {
    let text = "Forgetting the thickness of the planks makes a boat 24 millimetres too wide.";
    let passages = [passage(1, text)];
    let checker = Checker::new(&passages, "", SupportOptions::default());
    let holds = |sentence: &str| matches!(checker.check(sentence), Support::Supported { .. });
    assert!(holds("If you don't take off the planks, the boat is 24 millimetres too wide."));
    assert!(holds("The boat is 24 millimetres too wide if you do not take off the planks."));
    assert!(!holds("If wet it is not 24 millimetres too wide with planks."));
    assert!(!holds("If you forget the planks, the boat is not 24 millimetres too wide."));
}

#[test]
fn a_denial_rests_on_the_place_that_denies() {
    let passages = [passage(
        1,
        "Under fifteen degrees don't glue at all. The maker has a table. It goes by the wood and \
         by how warm it is. Pine at 15 °C wants the cramps for nine hours below a cover.",
    )];
    let checker = Checker::new(&passages, "", SupportOptions::default());
    let verdict = checker.check("Below 15 degrees, one should not glue at all.");
    let Support::Supported { evidence } = verdict else { panic!("{verdict:?}") };
    assert_eq!(evidence[0].range.start, 100);
}

#[test]
fn what_stands_under_a_heading_that_negates_is_negated() {
    let mut passages = passages();
    passages[0].heading_path = vec!["When NOT to varnish".to_owned()];
    passages[0].text = "The wood is wet.".to_owned();
    let checker = Checker::new(&passages, "", SupportOptions::default());
    let verdict = checker.check("Varnish should not be used when the wood is wet.");
    assert!(matches!(verdict, Support::Supported { .. }), "{verdict:?}");
}

#[test]
fn words_of_the_question_prove_nothing_and_are_no_invention() {
    let passages = passages();
    let check = |question: &str, sentence: &str| {
        Checker::new(&passages, question, SupportOptions::default()).check(sentence)
    };
    // What it adds stands there.
    let sentence = "To protect the boat from salty and windy weather in winter each coat dried.";
    let question = "How is the boat protected from salty and windy weather in winter?";
    assert!(matches!(check(question, sentence), Support::Supported { .. }));
    assert!(!matches!(check("", sentence), Support::Supported { .. }));
    // What it adds does not, however much of the question does.
    let question = "Did Owen rebuild the pump of the engine?";
    let sentence = "Owen rebuilt the pump of the engine because of a cracked gasket in spring.";
    assert!(!matches!(check(question, sentence), Support::Supported { .. }));
    // It adds nothing.
    let question = "Did Owen dry the coats?";
    assert!(matches!(check(question, "Owen dried the coats."), Support::Unsure { .. }));
    // A name of the question that no passage has is no invention of the LLM.
    let question = "How did Lefant dry its coats?";
    let verdict = check(question, "Each coat of Lefant dried for 48 hours.");
    assert!(matches!(verdict, Support::Unsure { .. }), "{verdict:?}");
}

#[test]
fn a_question_for_a_figure_is_answered_by_a_figure() {
    for asked in ["How many coats?", "how long did it dry", "What percentage sank?"] {
        assert!(asks_for_figure(asked), "{asked}");
    }
    for asked in ["How much better is oak?", "Why so many?", "How does it dry?"] {
        assert!(!asks_for_figure(asked), "{asked}");
    }
    assert!(adds_figure("It took six coats.", "How many coats in 2024?"));
    assert!(!adds_figure("It took coats in 2024.", "How many coats in 2024?"));
}

#[test]
fn declining_is_recognised() {
    assert_eq!(verdict("the passages do not mention a price."), Support::Declines);
    assert_eq!(verdict("There is no mention of a subscription."), Support::Declines);
    assert_eq!(verdict("The price of the tin is not explicitly stated."), Support::Declines);
    assert_eq!(verdict("The price of the tin isn't specified."), Support::Declines);
    assert_ne!(verdict("Do not sand the first coat."), Support::Declines);
}

#[test]
fn evidence_is_a_range_of_the_article() {
    let Support::Supported { evidence } = verdict("Owen rebuilt the pump.") else { panic!() };
    let passages = passages();
    let at = evidence[0].range.start - 100..evidence[0].range.end - 100;
    assert_eq!(passages[1].text[at].trim(), "Owen rebuilt the pump.");
}

#[test]
fn figures_are_compared_by_value_and_unit() {
    let of = |text: &str| figures(text).into_iter().map(|(f, _)| f).collect::<Vec<_>>();
    assert_eq!(of("1,500"), of("1.5k"));
    assert_eq!(of("2 million"), of("2000000"));
    assert_eq!(of("10 percent"), of("10%"));
    assert_eq!(of("five"), of("5"));
    assert_eq!(of("forty seconds"), of("40 seconds"));
    assert_eq!(of("twenty-four or thirty five"), of("24 or 35"));
    assert_eq!(of("two hundred and six thousand"), of("200 and 6000"));
    assert_eq!(of("three million or one million"), of("3,000,000 or 1,000,000"));
    assert_eq!(of("twenty twelve"), of("20 12"));
    assert!(of("one of a hundred ways, and someone").is_empty());
    assert_ne!(of("$10"), of("10%"));
    assert!(of("a B2B firm").is_empty());
}

#[test]
fn sentences_are_cut_where_they_end() {
    let mut cutter = Sentences::default();
    let mut found = cutter.push("It took 3.5 hours, e.g. for Dr. Holm. [1] The next");
    found.extend(cutter.push(" one [2]. \n- an item\n1. First do it.\nEnd"));
    found.extend(cutter.finish());
    assert_eq!(
        found,
        [
            "It took 3.5 hours, e.g. for Dr. Holm. [1]",
            "The next one [2].",
            "- an item",
            "1. First do it.",
            "End"
        ]
    );
    let mut cutter = Sentences::default();
    let found = cutter.push("The U.S. Coast Guard has two. It has no more. End");
    assert_eq!(found, ["The U.S. Coast Guard has two.", "It has no more."]);
}

#[test]
fn marks_are_taken_out() {
    let (plain, numbers) = strip_marks("So it is [1, 3][2]. See array[i].");
    assert_eq!(plain, "So it is. See array[i].");
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

proptest! {
    #[test]
    fn nothing_panics_and_evidence_stays_in_its_passage(sentence in "\\PC{0,80}", text in "\\PC{0,200}") {
        let passages = [passage(1, &text)];
        if let Support::Supported { evidence } =
            Checker::new(&passages, "", SupportOptions::default()).check(&sentence)
        {
            for found in evidence {
                prop_assert!(text.get(found.range.start - 100..found.range.end - 100).is_some());
            }
        }
    }

    #[test]
    fn sentences_keep_every_word(text in "[a-zA-Z0-9 .!?\\[\\]\n]{0,200}", cut in 0usize..200) {
        let cut = cut.min(text.len());
        let mut cutter = Sentences::default();
        let mut found = cutter.push(&text[..cut]);
        found.extend(cutter.push(&text[cut..]));
        found.extend(cutter.finish());
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(squeeze(&found.join(" ")), squeeze(&text));
    }
}

/// What is said of a sentence that was not written to answer anything.
fn alone(text: &str, sentence: &str) -> Support {
    let passages = [passage(1, text)];
    Checker::alone(&passages, SupportOptions::default()).check(sentence)
}

#[test]
fn a_sentence_that_stands_alone_is_held_to_more() {
    let text = "The mill at Haugen sells larch. Six people carried her by the laths and not by the \
                sheer. On the fourteenth of June she was launched with four cakes. The hole is \
                drilled smaller than the nail. Torunn brought soup, and so did Sigrid. Of the hull \
                we had reckoned 140 kilos, and it weighed 163.";
    let holds = |said: &str| matches!(alone(text, said), Support::Supported { .. });
    let is_unsure = |said: &str| matches!(alone(text, said), Support::Unsure { .. });
    assert!(holds("Six people carried her by the laths."));
    assert!(holds("She was launched on 14 June with four cakes."));
    assert!(holds("Torunn brought soup."));
    // Another figure of the same thing, and another day.
    assert_eq!(
        alone(text, "Four people carried her by the laths."),
        Support::Unsupported { missing: Missing::Figure("Four".into()) }
    );
    assert!(!holds("She was launched on the fifteenth of June with four cakes."));
    // What a figure counts may have been said before it.
    assert!(is_unsure("The hull weighed 163 kilos."));
    // A name from elsewhere, what is denied there, an opposite.
    assert!(is_unsure("Haugen brought soup, and so did Sigrid."));
    assert!(!holds("People carried her by the sheer."));
    assert!(is_unsure("The hole is drilled wider than the nail."));
    // What stands there word for word.
    assert!(holds("Six people carried her by the laths and not by the sheer."));
}

#[test]
fn a_place_is_read_whole_or_by_its_sentences_that_say_most() {
    let short = "The keel is of oak. It was laid in May.";
    let passages = [passage(1, short)];
    let checker = Checker::new(&passages, "What of the boat?", SupportOptions::default());
    // A passage begins at byte 100 of its article.
    let place = |length: usize| Evidence { n: 1, range: 100..100 + length, coverage: 1.0 };
    let said = "An oak keel was laid in May.";
    let whole = 100..100 + short.len();
    assert_eq!(checker.sources(said, &place(short.len())), [whole]);
    let filler = "Nobody has ever told how many people rowed on the lake that day. ".repeat(5);
    let long = format!("{short} {filler}");
    let passages = [passage(1, &long)];
    let checker = Checker::new(&passages, "What of the boat?", SupportOptions::default());
    let found = checker.sources(said, &place(long.len()));
    let found: Vec<&str> =
        found.iter().map(|range| long[range.start - 100..range.end - 100].trim()).collect();
    assert_eq!(found, ["The keel is of oak.", "It was laid in May."]);
    assert!(checker.sources(said, &Evidence { n: 2, ..place(4) }).is_empty());
}
