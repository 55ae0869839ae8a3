//! Kept answers, and what their readers say of them.

use serde_json::Value;

use crate::support::{Wellread, is_valid, sample_feed};

fn ask(wellread: &Wellread, question: &str) -> Value {
    let ran = wellread.run(&["--json", "ask", "--quotes", question]);
    assert!(ran.code == Some(0) || ran.code == Some(1), "{}", ran.stderr);
    let answer = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("ask", &answer);
    answer
}

#[test]
fn verdicts_become_questions_of_a_set() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    wellread.fails(&["feedback", "good"], "no answer is kept yet");
    wellread.fails(&["eval", "from-feedback"], "no answer has been called good or bad");
    assert!(wellread.succeeds(&["feedback", "list"]).contains("No answer"));

    let first = ask(&wellread, "How many hours did the boat take?")["id"].as_i64().unwrap();
    let second = ask(&wellread, "What did the sail cost?")["id"].as_i64().unwrap();
    assert!(second > first);
    let said = wellread.succeeds(&["feedback", "good", &first.to_string()]);
    assert_eq!(said, format!("{first} is good: How many hours did the boat take?\n"));
    // Without a number it is the last answer.
    let said = wellread.json(&["feedback", "bad", "--note", "another sail"]);
    assert_eq!(said["id"], second);
    assert_eq!((&said["verdict"], &said["note"]), (&"bad".into(), &"another sail".into()));
    wellread.fails(&["feedback", "bad", "999"], "no answer 999");

    let listed = wellread.json(&["feedback", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(wellread.succeeds(&["feedback", "list"]).contains("another sail"));

    let file = wellread.dir.path().join("mine.jsonl").display().to_string();
    wellread.succeeds(&["eval", "from-feedback", "-o", &file]);
    // What was completed there by hand is not lost to a second call.
    wellread.fails(&["eval", "from-feedback", "-o", &file], "name a file that is not there yet");
    let text = std::fs::read_to_string(&file).unwrap();
    let questions: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    questions.iter().for_each(|question| is_valid("question", question));
    let kinds: Vec<&str> = questions.iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["good", "bad"]);
    assert!(questions[0]["gold"][0]["url"].as_str().unwrap().starts_with("https://example.org"));
    assert_eq!(questions[1]["note"], "to be completed: another sail");
    // Both are questions of a set whose gold is in the library.
    wellread.succeeds(&["eval", "check", &file]);
}

#[test]
fn so_many_answers_are_kept_as_is_set_and_those_with_a_verdict() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let none =
        wellread.json(&["ask", "--quotes", "--set", "answer.history=0", "How long is the boat?"]);
    assert_eq!(none["id"], Value::Null);
    let first = ask(&wellread, "How long is the boat?")["id"].clone();
    wellread.succeeds(&["feedback", "good", &first.to_string()]);
    for _ in 0..3 {
        wellread.run(&["ask", "--quotes", "--set", "answer.history=2", "How long is the boat?"]);
    }
    wellread.succeeds(&["feedback", "good", &first.to_string()]);
    let gone = first.as_i64().unwrap() + 1;
    wellread.fails(&["feedback", "good", &gone.to_string()], &format!("no answer {gone}"));
}

#[test]
fn an_answer_is_printed_as_text_markdown_or_json() {
    let wellread = Wellread::new();
    let question = ["ask", "--quotes", "How many hours did the boat take?"];
    wellread.succeeds(&["add", &sample_feed()]);
    let run = |more: &[&str]| wellread.succeeds(&[&question[..], more].concat());
    let text = run(&["--format", "text"]);
    assert_eq!(text, run(&[]));
    let markdown = run(&["--format", "markdown"]);
    assert!(markdown.contains("[\\[1\\]](https://example.org/boatshed/"), "{markdown}");
    assert!(markdown.contains("\n- \\[1\\] ["), "{markdown}");
    let json: Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    is_valid("ask", &json);
    let alias: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(json["answer"], alias["answer"]);
    let both = [&question[..], &["--json", "--format", "markdown"]].concat();
    wellread.fails(&both, "exclude each other");
}
