//! One question through all doors.

use serde_json::{Value, json};

use crate::served::*;
use crate::support::*;

const QUESTION: &str = "How long must the cramps stay on oak glued at eighteen degrees?";

/// The answer that each door gives, by the door's name.
fn through_all(wellread: &Wellread, question: &str) -> Vec<(&'static str, Value)> {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect(text) };
    let alone = wellread.run(&["--json", "ask", "--no-server", question]);
    let chat = wellread.run_with_input(&["chat"], format!("{question}\n").as_bytes());
    let server = Served::start(wellread, &[]);
    let warm = wellread.run(&["--json", "ask", question]);
    let messages = [json!({ "role": "user", "content": question })];
    let completed =
        server.post("/v1/chat/completions", &json!({ "model": "wellread", "messages": messages }));
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
        ("/v1/chat/completions", completed.json()["wellread"].clone()),
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
