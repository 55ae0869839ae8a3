use super::*;

/// A turn with an answer.
fn turn(question: &str, answer: &str) -> Turn {
    Turn { question: question.to_owned(), answer: answer.to_owned(), ..Turn::default() }
}

/// What becomes of a question after one other, and whether it is whole.
fn after(before: &str, question: &str) -> Option<(String, bool)> {
    let found = standalone(question, &[turn(before, "")])?;
    Some((found.text, found.is_whole))
}

#[track_caller]
fn becomes(before: &str, question: &str, wanted: &str) {
    assert_eq!(after(before, question).map(|(text, _)| text).as_deref(), Some(wanted));
}

#[test]
fn pronouns_become_what_they_stand_for() {
    for (before, question, wanted) in [
        (
            "What is the steaming chest built of?",
            "How is it fed?",
            "How is the steaming chest fed?",
        ),
        (
            "Where did the oak for the backbone come from?",
            "What did it cost?",
            "What did the oak for the backbone cost?",
        ),
        (
            "What is attention good for in a transformer?",
            "Who invented it?",
            "Who invented attention in a transformer?",
        ),
        (
            "What did Cloudflare's people suspect at first?",
            "What did they do then?",
            "What did Cloudflare's people do then?",
        ),
        (
            "How should oily rags be stored?",
            "What burned down because of them?",
            "What burned down because of oily rags?",
        ),
        (
            "How long does the varnish dry?",
            "Which brand of it is best?",
            "Which brand of the varnish is best?",
        ),
        (
            "How long does the varnish dry?",
            "And what is its price?",
            "What is the varnish's price?",
        ),
        (
            "How large is the steam box?",
            "How many ribs fit in there?",
            "How many ribs fit in the steam box?",
        ),
        (
            "What does the new compiler do?",
            "Is it faster, and why is it?",
            "Is the new compiler faster, and why is it?",
        ),
        (
            "What did the hull weigh?",
            "How did they turn it over?",
            "How did they turn the hull over?",
        ),
        ("How do I clear a paper jam?", "Is it dangerous?", "Is a paper jam dangerous?"),
    ] {
        becomes(before, question, wanted);
    }
}

#[test]
fn a_person_is_the_one_who_was_named() {
    let turns = [turn("Who drew the plans?", "Marit Solvang drew them in 1962.")];
    let found = standalone("What else did she draw?", &turns).unwrap();
    assert_eq!(found.text, "What else did Marit Solvang draw?");
    // Nobody was named: a ship is a she, too.
    assert_eq!(after("What was the budget at the start?", "When was she turned over?"), None);
}

#[test]
fn what_was_said_as_a_whole_is_said_again() {
    let found = after("Which region went down?", "What had caused that?").unwrap();
    assert_eq!(found, ("Which region went down, and what had caused that?".to_owned(), true));
    becomes(
        "How many hours went into planking?",
        "Why?",
        "How many hours went into planking, and why?",
    );
    becomes("Which ribs broke?", "And how many?", "Which ribs broke, and how many?");
    becomes("What did the hull weigh?", "Tell me more", "Tell me more about the hull.");
}

#[test]
fn ellipses_take_the_place_of_what_they_are_like() {
    for (before, question, wanted) in [
        ("When should I answer with STAR?", "And SOAR?", "When should I answer with SOAR?"),
        ("When should I answer with STAR?", "CAR?", "When should I answer with CAR?"),
        ("What are tools in MCP?", "Resources?", "What are resources in MCP?"),
        (
            "How long must oak stay in the cramps at eighteen degrees?",
            "At twenty-five?",
            "How long must oak stay in the cramps at twenty-five degrees?",
        ),
        ("How many posts came out in 2024?", "And in 2025?", "How many posts came out in 2025?"),
        (
            "How many hours went into planking?",
            "And into varnishing?",
            "How many hours went into varnishing?",
        ),
        (
            "How long must oak stay in the cramps?",
            "What about softwood?",
            "How long must softwood stay in the cramps?",
        ),
        (
            "Which vector databases are free?",
            "And hosted ones?",
            "Which hosted vector databases are there?",
        ),
        (
            "Which project uses AutoGen?",
            "And the one with Jupyter?",
            "Which project is the one with Jupyter?",
        ),
        (
            "How many coats do the spars get?",
            "Below the water line?",
            "How many coats do the spars get below the water line?",
        ),
    ] {
        becomes(before, question, wanted);
    }
}

#[test]
fn corrections_take_the_place_of_what_was_wrong() {
    for (before, question, wanted) in [
        ("Which project uses LlamaIndex?", "No, I meant AutoGen.", "Which project uses AutoGen?"),
        (
            "How long did the AWS outage last?",
            "Oh wait, I was thinking of Cloudflare's.",
            "How long did the Cloudflare outage last?",
        ),
        (
            "What did 77 percent of leaders say?",
            "I meant the 71 percent.",
            "What did 71 percent of leaders say?",
        ),
        (
            "How does fine-tuning change a model's manners?",
            "Not its manners, I mean its honesty.",
            "How does fine-tuning change its honesty?",
        ),
        (
            "Which scarf failed?",
            "Not that one, the other. Is it sound?",
            "About the other scarf, not the scarf that failed: is it sound?",
        ),
        (
            "How long do the cramps stay on?",
            "No, in the earlier letter.",
            "How long do the cramps stay on in the earlier letter?",
        ),
    ] {
        becomes(before, question, wanted);
    }
}

#[test]
fn a_return_finds_the_earlier_turn() {
    let turns = [
        turn("How many minutes is Meta's new round with an assistant?", ""),
        turn("How much code does a minimal RAG take?", ""),
    ];
    for (question, wanted) in [
        (
            "Back to that round: how many questions are there?",
            "About Meta's new round with an assistant: how many questions are there?",
        ),
        ("Back to Meta's round.", "How many minutes is Meta's new round with an assistant?"),
        (
            "What should I use in place of the former?",
            "How many minutes is Meta's new round with an assistant, and what should I use in place of Meta's new round with an assistant?",
        ),
        (
            "How many questions does that round have?",
            "How many questions does Meta's new round with an assistant have?",
        ),
    ] {
        assert_eq!(standalone(question, &turns).unwrap().text, wanted, "{question}");
    }
}

#[test]
fn follow_ups_that_say_only_what_was_asked_keep_their_subject() {
    let asked = ["How long must the cramps stay on oak?", "And on softwood?", "Why?"];
    let turns = each_alone(asked.map(|question| turn(question, "")).into());
    let meant: Vec<Option<&str>> = turns.iter().map(|turn| turn.standalone.as_deref()).collect();
    let softwood = "How long must the cramps stay on softwood?";
    let why = "How long must the cramps stay on softwood, and why?";
    assert_eq!(meant, [None, Some(softwood), Some(why)]);
    let found = standalone("And on plywood?", &turns[..2]).unwrap();
    assert_eq!(found.text, "How long must the cramps stay on plywood?");
    // What is known stays.
    let known = Turn { standalone: Some("How heavy is softwood?".into()), ..turns[1].clone() };
    assert_eq!(each_alone(vec![turns[0].clone(), known.clone()])[1], known);
}

#[test]
fn a_new_subject_is_taken_as_it_is() {
    becomes(
        "What did the hull weigh?",
        "Something else: how is varnish made?",
        "How is varnish made?",
    );
    becomes(
        "What did the hull weigh?",
        "Enough of hulls. How large is the sail?",
        "How large is the sail?",
    );
    becomes(
        "What did the hull weigh?",
        "Let's talk about AWS. Which region went down?",
        "About AWS: which region went down?",
    );
    for question in [
        "Which region of AWS went down?",
        "OK. What about job interviews, are candidates allowed to use AI?",
        "n8n",
        "travel planner agents",
        "How long does it take to learn Rust?",
        "Is it wise to glue in the cold?",
        "What is the cure for ribs that break?",
        "When will Meta hold its next round?",
        "How should cloths be kept so that they do not burn?",
        "What is that round thing on the mast?",
    ] {
        assert_eq!(after("What did the hull weigh?", question), None, "{question}");
    }
    assert_eq!(standalone("How is it fed?", &[]), None);
}

#[test]
fn every_question_of_the_sets_stays_after_one_of_another_subject() {
    let others = [
        turn("How do I clear a paper jam in the office printer?", "Open the rear door."),
        turn("Where does the ferry to the island leave from?", "From the northern pier."),
    ];
    let sets = [
        include_str!("../../../eval/grokking-tech-career.jsonl"),
        include_str!("../../../eval/sample/questions.jsonl"),
        include_str!("../../../eval/hard/realfeeds.jsonl"),
    ];
    let mut count = 0;
    for line in sets.iter().flat_map(|set| set.lines()) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let question = value["question"].as_str().unwrap();
        for other in &others {
            let found = standalone(question, std::slice::from_ref(other));
            assert_eq!(found, None, "{question}");
        }
        count += 1;
    }
    assert!(count > 380, "{count}");
}

/// The wording that stands in the set is for reading; that each later turn of a dialogue which leans
/// on an earlier one is noticed is counted.
#[test]
fn follow_ups_of_the_dialogues_are_noticed() {
    let (mut noticed, mut whole, mut all) = (0, 0, 0);
    for line in include_str!("../../../eval/hard/dialogues.jsonl").lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut turns: Vec<Turn> = Vec::new();
        for one in value["turns"].as_array().unwrap() {
            let question = one["question"].as_str().unwrap();
            let found = standalone(question, &turns);
            assert!(!turns.is_empty() || found.is_none(), "{question}");
            all += usize::from(!turns.is_empty());
            noticed += usize::from(found.is_some());
            whole += usize::from(found.as_ref().is_some_and(|found| found.is_whole));
            let standalone = found.map(|found| found.text);
            turns.push(Turn { standalone, ..turn(question, "") });
        }
    }
    // The others are new questions, or none that rules can tell.
    assert_eq!(all, 63);
    assert!(noticed >= 48 && whole >= 36, "{noticed} noticed, {whole} whole");
}

mod any {
    use proptest::prelude::*;

    use super::*;

    fn question() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "And",
            "no",
            "I",
            "meant",
            "not",
            "what",
            "about",
            "it",
            "its",
            "they",
            "that",
            "one",
            "ones",
            "the",
            "former",
            "Back",
            "to",
            "in",
            "2025",
            "AWS",
            "Cloudflare's",
            "why",
            "did",
            "is",
            "which",
            "Enough",
            "of",
            "other",
            "there",
            "she",
            "ß",
            "İstanbul",
            "漢字",
            "dry",
            "ribs",
            "on",
            "again",
            "Something",
            "else",
            ":",
            ",",
            "?",
            ".",
            "…",
            "’s",
            "how",
            "many",
        ]);
        prop_oneof![
            prop::collection::vec(word, 0..12).prop_map(|words| words.join(" ")),
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn question_is_made_of_what_was_said(
            asked in question(),
            before in prop::collection::vec((question(), question()), 0..4),
        ) {
            let mut turns: Vec<Turn> = Vec::new();
            for (question, answer) in before {
                let standalone = standalone(&question, &turns).map(|found| found.text);
                turns.push(Turn { standalone, ..turn(&question, &answer) });
            }
            if let Some(found) = standalone(&asked, &turns) {
                let mut said = asked.clone();
                for turn in &turns {
                    said = format!("{said} {} {} Tell", turn.question, turn.answer);
                }
                prop_assert!(!llm::adds(&found.text, &said), "{:?} of {said:?}", found.text);
                prop_assert!(found.text.len() <= LONGEST && !found.text.is_empty());
            }
        }
    }
}
