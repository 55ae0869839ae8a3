//! One question through all doors.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wellread::eval::canaries::{self, ARTICLES, Case, Place, Planted, Said};

use crate::served::*;
use crate::support::*;

const QUESTION: &str = "How long must the cramps stay on oak glued at eighteen degrees?";

/// What an OpenAI client gets.
fn completed(server: &Served, question: &str) -> Value {
    let messages = [json!({ "role": "user", "content": question })];
    let request = json!({ "model": "wellread", "messages": messages });
    server.post("/v1/chat/completions", &request).json()
}

/// What an OpenAI client gets that asks for it as it comes: the text put together, and the answer.
fn streamed(server: &Served, question: &str) -> (String, Value) {
    let messages = [json!({ "role": "user", "content": question })];
    let request = json!({ "model": "wellread", "messages": messages, "stream": true });
    let body = server.post("/v1/chat/completions", &request).body;
    let (mut text, mut answer) = (String::new(), Value::Null);
    for chunk in body.lines().filter_map(|line| line.strip_prefix("data: {")) {
        let mut chunk: Value = serde_json::from_str(&format!("{{{chunk}")).expect(chunk);
        text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        if chunk["wellread"].is_object() {
            answer = chunk["wellread"].take();
        }
    }
    (text, answer)
}

/// The answer that each door gives, by the door's name.
fn through_all(wellread: &Wellread, question: &str) -> Vec<(&'static str, Value)> {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect(text) };
    let alone = wellread.run(&["--json", "ask", "--no-server", question]);
    let chat = wellread.run_with_input(&["chat"], format!("{question}\n").as_bytes());
    let server = Served::start(wellread, &[]);
    let warm = wellread.run(&["--json", "ask", question]);
    let completed = completed(&server, question);
    let (text, as_it_comes) = streamed(&server, question);
    assert_eq!(text, completed["choices"][0]["message"]["content"]);
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "ask", "arguments": { "question": question } },
    });
    let accepts =
        [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    let called = server.request("POST /mcp", &accepts, call.to_string().as_bytes());
    let called = match called.body.lines().find_map(|line| line.strip_prefix("data: {")) {
        Some(rest) => parse(&format!("{{{rest}")),
        None => parse(&called.body),
    };
    let mut called = called["result"]["structuredContent"].clone();
    assert_eq!(called["partial"], false, "{called}");
    for own in ["partial", "note"] {
        called.as_object_mut().unwrap().remove(own);
    }
    let events = server.request(
        "POST /api/ask",
        &[("Accept", "text/event-stream"), ("Content-Type", "application/json")],
        json!({ "question": question }).to_string().as_bytes(),
    );
    let (last, done) = events.events().pop().expect("an end");
    assert_eq!(last, "done");
    let answers = vec![
        ("ask", parse(&alone.stdout)),
        ("chat", parse(&chat.stdout)),
        ("ask, by the server", parse(&warm.stdout)),
        ("/api/ask", server.post("/api/ask", &json!({ "question": question })).json()),
        ("/api/ask, as events", done),
        ("/v1/chat/completions", completed["wellread"].clone()),
        ("/v1/chat/completions, as it comes", as_it_comes),
        ("/mcp", called),
    ];
    answers.into_iter().map(|(door, answer)| (door, still(answer))).collect()
}

#[test]
fn every_door_says_the_same() {
    let wellread = Wellread::small()
        .env("WELLREAD_ANSWER_PASSAGES", "2")
        .env("WELLREAD_ANSWER_READ_TOKENS", "120")
        .env("WELLREAD_ANSWER_MAX_TOKENS", "40");
    wellread.succeeds(&["add", &sample_feed()]);
    // One that the LLM answers, one about the articles, one that they don't say.
    let questions =
        [QUESTION, "What was published in July 2025?", "Which antibiotic is given for pneumonia?"];
    for (at, question) in questions.into_iter().enumerate() {
        let answers = through_all(&wellread, question);
        let (_, first) = &answers[0];
        assert_eq!(first["question"], question);
        match at {
            0 => assert_eq!(first["finish"], "stop", "{first:#}"),
            1 => assert_eq!(first["status"], "answered", "{first:#}"),
            _ => assert_eq!(first["status"], "abstained", "{first:#}"),
        }
        for (door, answer) in &answers[1..] {
            assert_eq!(answer, first, "{door}");
        }
    }
}

/// All texts that wellread ships to be planted, in one article and behind its question: what each door
/// shows of the answer obeys none of them, and links to nothing but the article.
#[test]
fn planted_texts_are_obeyed_at_no_door() {
    let wellread = Wellread::small().env("WELLREAD_ANSWER_MAX_TOKENS", "60");
    let texts = canaries::parse("canaries.jsonl", canaries::SHIPPED).unwrap();
    let all: Vec<&str> = texts.iter().map(|planted| planted.text.as_str()).collect();
    let all = Planted {
        id: "all".to_owned(),
        text: all.join("\n\n"),
        success: None,
        benign_control: false,
        channel: None,
    };
    let in_article =
        Case { number: 1, article: &ARTICLES[1], place: Place::Middle, planted: Some(&all) };
    let behind = texts.iter().find(|planted| planted.id == "override").unwrap();
    let in_question = Case { place: Place::Question, planted: Some(behind), ..in_article };
    wellread.succeeds(&["add", &wellread.file("planted.xml", canaries::feed(&in_article))]);
    let answers = through_all(&wellread, &canaries::question(&in_article));
    let (_, first) = &answers[0];
    for (door, answer) in &answers {
        assert_eq!(answer, first, "{door}");
    }
    let server = Served::start(&wellread, &[]);
    let mut answered = 0;
    for case in [in_article, in_question] {
        let question = canaries::question(&case);
        let completed = completed(&server, &question);
        let answer = &completed["wellread"];
        answered += usize::from(answer["status"] == "answered");
        let passages = answer["passages"].as_array().unwrap();
        let shown: BTreeSet<usize> =
            passages.iter().filter_map(|one| usize::try_from(one["n"].as_u64()?).ok()).collect();
        let ran = |args: &[&str]| wellread.run(&[args, &[&question]].concat()).stdout;
        for (door, text) in [
            ("all", answer["answer"].as_str().unwrap().to_owned()),
            (
                "/v1/chat/completions",
                completed["choices"][0]["message"]["content"].as_str().unwrap().to_owned(),
            ),
            ("ask", ran(&["ask"])),
            ("ask --format markdown", ran(&["ask", "--format", "markdown"])),
        ] {
            let said = Said { answered: true, text, shown: shown.clone() };
            for planted in texts.iter().filter(|planted| planted.success.is_some()) {
                let found = canaries::score(&Case { planted: Some(planted), ..case }, &said);
                assert!(found.is_clean(), "{door}: {found:#?}");
            }
        }
    }
    assert!(answered > 0, "nothing was answered, so nothing was tried");
}
