//! Kept answers, conversations and verdicts.

use super::*;

fn keep(home: &Home, conversation: Option<i64>, question: &str, loose: usize) -> i64 {
    let new = NewAnswer { conversation, question, standalone: None, answer: "{}" };
    home.library.keep_answer(&new, loose, at(3)).unwrap()
}

#[test]
fn loose_answers_make_room_and_those_with_a_verdict_or_a_conversation_stay() {
    let home = Home::new();
    let talk = home.library.start_conversation(at(1)).unwrap();
    let said = keep(&home, Some(talk), "said", 2);
    let good = keep(&home, None, "good", 2);
    assert!(home.library.give_feedback(good, Rating::Good, Some("so it is"), at(4)).unwrap());
    let ids: Vec<i64> = ["a", "b", "c"].iter().map(|one| keep(&home, None, one, 2)).collect();
    let kept = |id: i64| home.library.kept_answer(Some(id)).unwrap().is_some();
    assert_eq!(ids.iter().map(|id| kept(*id)).collect::<Vec<_>>(), [false, true, true]);
    assert!(kept(said) && kept(good));
    assert_eq!(home.library.kept_answer(None).unwrap().unwrap().question, "c");
    let feedback = home.library.feedback().unwrap();
    assert_eq!(feedback.len(), 1);
    assert_eq!((feedback[0].answer.id, feedback[0].verdict), (good, Rating::Good));
    // A verdict takes the place of an earlier one; of what is not there there is none.
    assert!(home.library.give_feedback(good, Rating::Bad, None, at(5)).unwrap());
    assert_eq!(home.library.feedback().unwrap()[0].verdict, Rating::Bad);
    assert!(!home.library.give_feedback(ids[0], Rating::Good, None, at(5)).unwrap());
}

#[test]
fn a_conversation_goes_with_its_answers() {
    let home = Home::new();
    let (first, second) =
        (home.library.start_conversation(at(1)), home.library.start_conversation(at(2)));
    let (first, second) = (first.unwrap(), second.unwrap());
    for question in ["one", "two"] {
        keep(&home, Some(second), question, 0);
    }
    // One in which nothing was asked is not listed.
    let listed = home.library.conversations().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].first.as_str(), listed[0].answers), (second, "one", 2));
    assert!(home.library.has_conversation(first).unwrap());
    assert!(home.library.delete_conversation(second).unwrap());
    assert!(!home.library.has_conversation(second).unwrap());
    assert!(home.library.conversation(second).unwrap().is_empty());
    assert!(!home.library.delete_conversation(second).unwrap());
}

#[test]
fn authors_and_tags_are_named_once_in_order() {
    let home = Home::new();
    home.read(FEED, &letters());
    let of = |names: fn(&crate::base::ArticleMeta) -> &Vec<String>| -> Vec<String> {
        let all = home.library.articles(&Default::default()).unwrap();
        let names: std::collections::BTreeSet<String> =
            all.iter().flat_map(|info| names(&info.meta).clone()).collect();
        names.into_iter().collect()
    };
    assert_eq!(home.library.authors().unwrap(), of(|meta| &meta.authors));
    assert_eq!(home.library.tags().unwrap(), of(|meta| &meta.tags));
}
