use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn schema(value: &Value) -> Schema {
    Schema::new("it", &value.to_string()).unwrap()
}

#[test]
fn what_is_no_schema_or_cannot_be_followed_is_named() {
    let long = " ".repeat(MAX_SCHEMA_BYTES + 1);
    let deep = "[".repeat(500);
    let many: Map<String, Value> = (0..300).map(|n| (format!("p{n}"), json!({}))).collect();
    let many = json!({"properties": many}).to_string();
    for (text, said) in [
        ("", "x.json is not JSON"),
        ("{\"type\": }", "x.json is not JSON"),
        (deep.as_str(), "x.json is not JSON"),
        ("true", "x.json is not a JSON Schema"),
        ("[]", "x.json is not a JSON Schema"),
        (long.as_str(), "x.json is over 64 KiB"),
        (r#"{"not": {"type": "string"}}"#, "it uses \"not\""),
        (
            r#"{"type": "array", "uniqueItems": true, "contains": {}}"#,
            "\"contains\", \"uniqueItems\"",
        ),
        (r#"{"type": "text"}"#, "Invalid type: text"),
        (r#"{"type": "string", "format": "isbn"}"#, "the format \"isbn\" is not known"),
        (r#"{"enum": []}"#, "no JSON can follow it"),
        (r#"{"$ref": "https://example.org/x.json"}"#, "https://example.org/x.json"),
        (r##"{"$ref": "#/$defs/none"}"##, "none"),
        (r#"{"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}"#, "oneOf"),
        (r#"{"type": "string", "pattern": "(?<=a)b"}"#, "can't be followed"),
        (r#"{"$ref": 5}"#, "can't be followed"),
        (r##"{"$ref": "#"}"##, "no JSON can follow it"),
        (many.as_str(), "more than 256 members"),
        (r#"{"multipleOf": 1000003}"#, "more than 4 digits"),
    ] {
        let error = Schema::new("x.json", text).unwrap_err();
        assert!(error.to_string().contains(said), "{text:.60}: {error}");
        assert!(error.to_string().lines().count() == 1, "{error}");
        assert!(!error.steps().is_empty(), "{error}");
    }
}

#[test]
fn a_hostile_schema_is_over_soon() {
    let nested = |depth: usize| {
        (0..depth).fold(
            json!({"type": "string"}),
            |inner, _| json!({"anyOf": [{"type": "array", "items": inner}, {"type": "null"}]}),
        )
    };
    let many: Map<String, Value> =
        (0..2000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let joined: Vec<Value> =
        (0..12).map(|n| json!({"anyOf": [{"minimum": n}, {"maximum": 100 - n}]})).collect();
    let patterns: Vec<Value> =
        (0..40).map(|n| json!({"pattern": format!("^(a|b)*a(a|b){{{n}}}$")})).collect();
    for value in [
        nested(30),
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"allOf": [{"$ref": "#"}, {"type": "string"}]}),
        json!({"type": "array", "maxItems": 4_000_000_000u64, "minItems": 1_000_000_000u64}),
        json!({"type": "string", "maxLength": 4_000_000_000u64, "minLength": 1_000_000_000u64}),
        json!({"type": "string", "pattern": "^((((a{100}){100}){100}){100})$"}),
        json!({"type": "object", "properties": many}),
        json!({"type": "number", "allOf": joined}),
        json!({"type": "string", "allOf": patterns}),
        json!({"type": "integer", "multipleOf": 1_000_003}),
        json!({"type": "integer", "minimum": -1e300, "maximum": 1e300, "multipleOf": 7}),
        json!({"$ref": {"long": "ä".repeat(200)}}),
        json!({"x-guidance": {"lenient": true}, "not": {}}),
    ] {
        let start = Instant::now();
        let made = Schema::new("it", &value.to_string());
        let took = start.elapsed();
        let shown: String = value.to_string().chars().take(100).collect();
        assert!(took < Duration::from_secs(5), "{took:?}: {shown}");
        // No schema says how it is to be followed.
        assert!(made.is_err() || value.get("x-guidance").is_none());
    }
}

#[test]
fn documents_follow_or_do_not() {
    let validator = schema(&json!({
        "$defs": {"day": {"type": "string", "format": "date"}},
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 1},
            "rate": {"type": ["number", "null"], "minimum": 0},
        },
        "required": ["name", "rate"],
    }))
    .validator()
    .unwrap();
    for (document, follows) in [
        (json!({"name": "ä\"\n\u{1f600}", "rate": 0.25}), true),
        (json!({"name": "oak", "days": ["2025-02-03"], "rate": null}), true),
        (json!({"name": "oak", "rate": 1, "more": [{}]}), true),
        (json!({"name": "oak", "days": [], "rate": null}), false),
        (json!({"name": "oak", "days": ["soon"], "rate": null}), false),
        (json!({"name": "oak"}), false),
        (json!({"name": "larches", "rate": 1}), false),
        (json!({"name": "oak", "rate": -1}), false),
        (json!(null), false),
    ] {
        assert_eq!(validator.accepts(&document), follows, "{document}");
    }
    assert!(schema(&json!({"type": "integer"})).validator().unwrap().accepts(&json!(12)));
}

#[test]
fn nothing_is_written_that_the_schema_does_not_name() {
    let writes = |value: Value, document: Value| {
        let schema = schema(&value);
        assert!(schema.validator().unwrap().accepts(&document), "{document}");
        Validator::new(&schema.closed).unwrap().accepts(&document)
    };
    let item = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let list = json!({"type": "array", "items": item});
    assert!(writes(list.clone(), json!([{"a": "x"}])));
    assert!(!writes(list, json!([{"a": "x", "b": 1}])));
    // Who says what others there may be gets them.
    let open = json!({"properties": {"a": {}}, "additionalProperties": {"type": "number"}});
    assert!(writes(open, json!({"a": "x", "b": 1})));
    assert!(writes(json!({"type": "object"}), json!({"b": 1})));
    // Of two about one object neither knows the other's members.
    let two = json!({"allOf": [item, {"properties": {"b": {}}, "required": ["b"]}]});
    assert!(writes(two, json!({"a": "x", "b": 1})));
}

#[test]
fn what_a_schema_says_of_a_place() {
    let schema = schema(&json!({
        "$defs": {"kind": {"enum": ["new", "old", 3]}},
        "type": "object",
        "properties": {
            "kind": {"$ref": "#/$defs/kind"},
            "kinds": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/kind"}, {"type": "string"}]}},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"const": 7}], "items": false},
            "whole": {"const": {"a": "b"}},
            "free": {"type": "object", "additionalProperties": {"const": "yes"}},
        },
    }));
    let path = |text: &str| -> Vec<Step> {
        let part = |part: &str| part.parse().map_or(Step::Member(part.to_owned()), Step::Item);
        text.split('/').filter(|part| !part.is_empty()).map(part).collect()
    };
    let lists = |place: &str, value: Value| schema.lists(&path(place), &value);
    assert!(lists("kind", json!("old")) && lists("kind", json!(3)) && !lists("kind", json!("x")));
    assert!(lists("kinds/4", json!("new")) && !lists("kinds/4", json!("other")));
    assert!(lists("pair/1", json!(7)) && !lists("pair/0", json!(7)));
    assert!(lists("free/any", json!("yes")) && !lists("none", json!("yes")));
    assert!(schema.names(&path("kind")) && schema.names(&[]) && schema.names(&path("kinds/0")));
    assert!(!schema.names(&path("free/any")) && !schema.names(&path("none")));
    assert!(schema.is_tuple(&path("pair")) && !schema.is_tuple(&path("kinds")));
}
