use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::family::KNOWN;
use super::tiny::Tiny;
use super::*;
use crate::infer::schema::Schema;

fn load(architecture: &'static str) -> Llm {
    let file = Tiny::new(architecture).file();
    Llm::load(file.path(), architecture, "0123456789abcdef0123", None).unwrap()
}

/// Schemas whose JSON is short, but for the last.
fn schemas() -> Vec<Value> {
    vec![
        json!({"type": "object", "properties": {
            "steam": {"type": "string", "maxLength": 4},
            "the_eamst": {"type": "integer", "minimum": -20, "maximum": 300},
        }, "required": ["steam", "the_eamst"]}),
        json!({"type": "array", "items": {"enum": ["the", "steam", null, 7]}, "minItems": 1, "maxItems": 3}),
        json!({"type": "object", "properties": {
            "day": {"type": "string", "format": "date"},
            "is_so": {"type": ["boolean", "null"]},
            "code": {"type": "string", "pattern": "^[st]{1,3}é?[0-9]$"},
        }, "required": ["day", "is_so"], "additionalProperties": false}),
        json!({"anyOf": [{"const": {"a": "it's \"so\"\n"}}, {"type": "null"}, {"type": "number", "multipleOf": 5, "minimum": 5, "maximum": 100}]}),
        json!({"$defs": {"leaf": {"type": "string", "maxLength": 2}},
            "type": "object", "properties": {"pair": {"type": "array", "prefixItems": [{"$ref": "#/$defs/leaf"}, {"type": "boolean"}], "minItems": 2, "items": false}},
            "required": ["pair"]}),
        json!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 2}, "maxProperties": 2}),
        json!({"type": "array", "items": {"type": "string"}, "minItems": 3}),
    ]
}

fn is_valid(schema: &Value, document: &Value) -> bool {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("mem:///schema.json", schema.clone()).unwrap();
    let index = compiler.compile("mem:///schema.json", &mut schemas).unwrap();
    schemas.validate(document, index).is_ok()
}

#[test]
fn whatever_an_llm_says_by_a_schema_is_json_of_it() {
    let mut stops = 0;
    for architecture in KNOWN {
        let mut llm = load(architecture);
        let message = Message { role: Role::User, content: "steam the plank.".to_owned() };
        let prompt = Prompt { messages: vec![message], opening: String::new() };
        let runs = [(0.0, 1), (0.7, 2), (1.5, 3), (1.5, 4)];
        for (schema, (temperature, seed)) in
            schemas().iter().flat_map(|schema| runs.map(|run| (schema, run)))
        {
            let read = Schema::new("it", &schema.to_string()).unwrap();
            let sampling =
                Sampling { max_tokens: 150, temperature, seed, stop: vec![], schema: Some(read) };
            let mut text = String::new();
            let said = llm
                .generate(&prompt, &sampling, &mut |piece| {
                    text.push_str(piece.text);
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(text, said.text);
            assert!(!text.contains('\n') && said.completion_tokens <= 150, "{text}");
            let document: Result<Value, _> = serde_json::from_str(&text);
            match said.finish {
                Finish::Stop => {
                    let document = document.unwrap_or_else(|error| panic!("{error}: {text}"));
                    assert!(is_valid(schema, &document), "{architecture}: {text} by {schema}");
                    stops += 1;
                }
                finish => {
                    assert_eq!(finish, Finish::Length);
                    assert!(text.starts_with(['[', '{', '"']), "{text}");
                }
            }
            // What it is told next is believed like anything else.
            assert!(llm.told.len() <= said.prompt_tokens + said.completion_tokens);
        }
        // A schema of before leaves nothing behind.
        let free =
            Sampling { max_tokens: 8, temperature: 0.0, seed: 1, stop: vec![], schema: None };
        let mut go_on = |_: Written<'_>| ControlFlow::Continue(());
        let after = llm.generate(&prompt, &free, &mut go_on).unwrap();
        assert_eq!(
            load(architecture).generate(&prompt, &free, &mut go_on).unwrap().text,
            after.text
        );
    }
    assert!(stops > KNOWN.len() * 20, "{stops}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bytes_of_tokens_are_those_of_the_text(text in "[ -~éä漢\u{1f600}\n]{0,40}") {
        for architecture in ["qwen2", "gemma3"] {
            let llm = load(architecture);
            let bytes = llm.vocabulary.bytes();
            let tokens = llm.vocabulary.plain(&text).unwrap();
            let joined: Vec<u8> =
                tokens.iter().flat_map(|token| bytes[*token as usize].clone()).collect();
            prop_assert_eq!(String::from_utf8_lossy(&joined), llm.vocabulary.decode(&tokens).unwrap());
        }
    }
}

#[test]
fn special_tokens_are_no_text() {
    for architecture in KNOWN {
        let llm = load(architecture);
        let bytes = llm.vocabulary.bytes();
        for end in &llm.ends {
            assert_eq!(bytes[*end as usize].first(), Some(&0xff), "{architecture}");
        }
        assert!(bytes.iter().all(|bytes| !bytes.is_empty()), "{architecture}");
    }
}
