//! Answers as JSON of a schema, with the real models.

use serde_json::{Value, json};

use crate::support::*;

const QUESTION: &str = "How long must the cramps stay on oak glued at eighteen degrees?";

fn glue() -> Value {
    json!({
        "type": "object",
        "properties": {
            "wood": {"type": "string", "maxLength": 20},
            "hours": {"type": "integer"},
            "surety": {"enum": ["high", "low"]},
            "telephone": {"type": ["string", "null"], "pattern": "^[0-9]{8}$"},
        },
        "required": ["hours", "surety", "telephone"],
    })
}

#[track_caller]
fn follows(schema: &Value, document: &Value) {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("mem:///schema.json", schema.clone()).unwrap();
    let index = compiler.compile("mem:///schema.json", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(document, index) {
        panic!("{error:#}\n{document:#}");
    }
}

#[test]
fn an_answer_is_json_of_a_schema_and_its_values_stand_in_the_articles() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let file = wellread.file("glue.json", glue().to_string());
    let ran = wellread.run(&["ask", "--schema", &file, QUESTION]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    follows(&glue(), &document);
    assert_eq!(ran.stdout, serde_json::to_string_pretty(&document).unwrap() + "\n");
    assert_eq!(document["hours"], 10);
    // No article has one.
    assert_eq!(document["telephone"], Value::Null);
    assert!(ran.stderr.contains("/hours [1]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("correction-glue"), "{}", ran.stderr);
    let quiet = wellread.run(&["--quiet", "ask", "--schema", &file, QUESTION]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), (ran.stdout.as_str(), ""));

    let answer = wellread.json(&["ask", "--schema", &file, QUESTION]);
    is_valid("ask", &answer);
    assert_eq!((&answer["status"], &answer["data"]["value"]), (&"answered".into(), &document));
    let members = answer["data"]["members"].as_array().unwrap();
    let hours = members.iter().find(|member| member["pointer"] == "/hours").unwrap();
    let n = hours["citations"][0].as_u64().unwrap();
    let passage = answer["passages"].as_array().unwrap().iter().find(|p| p["n"] == n).unwrap();
    let start = |range: &Value| range["start"].as_u64().unwrap();
    let from = start(&hours["evidence"][0]["range"]) - passage["range"][0].as_u64().unwrap();
    let text = &passage["text"].as_str().unwrap()[usize::try_from(from).unwrap()..];
    assert!(text.to_lowercase().contains("ten hours"), "{text}");
    // Sentences have none.
    let sentences = wellread.json(&["ask", QUESTION]);
    is_valid("ask", &sentences);
    assert_eq!(sentences["data"], Value::Null);
}

#[test]
fn what_the_articles_do_not_say_is_declined_in_the_usual_words_and_nothing_is_on_stdout() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let file = wellread.file("glue.json", glue().to_string());
    let ran = wellread.run(&["ask", "--schema", &file, "Which antibiotic is given for pneumonia?"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("The articles don't say"), "{}", ran.stderr);
    // A value that must be there and can't be true.
    let number = json!({"type": "string", "pattern": "^\\+47 [0-9]{8}$"});
    let phone = json!({
        "type": "object",
        "properties": {"hours": {"type": "integer"}, "a/phone": number},
        "required": ["hours", "a/phone"],
    });
    let file = wellread.file("phone.json", phone.to_string());
    let ran = wellread.run(&["ask", "--schema", &file, QUESTION]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("The articles don't say"), "{}", ran.stderr);
    assert!(ran.stderr.contains("/a~1phone: not found in the passages"), "{}", ran.stderr);
    let ran = wellread.run(&["--json", "ask", "--schema", &file, QUESTION]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("ask", &answer);
    assert_eq!(answer["abstain_reason"], "unsupported");
    assert_eq!(answer["data"]["value"], Value::Null);
    assert!(answer["data"]["removed"].as_array().unwrap().contains(&"/a~1phone".into()));
}

#[test]
fn what_is_wrong_with_a_schema_is_said_before_anything_is_loaded() {
    // Neither is there a library, nor a model.
    let wellread = Wellread::new().env("WELLREAD_CACHE", "/nowhere");
    let mut said = String::new();
    for (name, text) in [
        ("blank.json", ""),
        ("comma.json", "{\"type\": \"object\",}"),
        ("list.json", "[1, 2]"),
        ("not.json", "{\"not\": {\"type\": \"string\"}}"),
        ("kind.json", "{\"type\": \"text\"}"),
        ("far.json", "{\"$ref\": \"https://example.org/a.json\"}"),
        ("loop.json", "{\"$ref\": \"#\"}"),
        ("many.json", &format!("{{\"enum\": [\"{}\"]}}", "a".repeat(70_000))),
    ] {
        wellread.file(name, text);
        said.push_str(&wellread.fails(&["ask", "--schema", name, "why?"], name));
    }
    said.push_str(&wellread.fails(&["ask", "--schema", "none.json", "why?"], "none.json"));
    wellread.file("ok.json", "{\"type\": \"object\"}");
    let markdown = ["ask", "--schema", "ok.json", "--format", "markdown", "why?"];
    said.push_str(&wellread.fails(&markdown, "--format markdown"));
    insta::assert_snapshot!(said);
    let lines = wellread.run_with_input(&["ask", "--schema", "ok.json", "-"], b"why?\nand how?\n");
    lines.is_clear_error("several questions");
    let quotes = wellread.run(&["ask", "--schema", "ok.json", "--quotes", "why?"]);
    assert_eq!(quotes.code, Some(2));
    assert!(quotes.stderr.contains("cannot be used with"), "{}", quotes.stderr);
}

#[test]
fn json_that_does_not_come_to_its_end_is_an_error() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let file = wellread.file(
        "long.json",
        "{\"type\": \"array\", \"items\": {\"type\": \"string\"}, \"minItems\": 9}",
    );
    let cut =
        ["ask", "--schema", &file, "--max-tokens", "12", "--set", "answer.caution=off", QUESTION];
    let said = wellread.fails(&cut, "not at its end after 12 tokens");
    assert!(said.contains("--max-tokens"), "{said}");
}
