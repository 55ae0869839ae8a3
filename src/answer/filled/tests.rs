use serde_json::json;

use super::*;
use crate::retrieve::samples;

const TEXT: &str = "The glue needs ten hours on oak at eighteen degrees. Larch takes six hours. \
    Ida Holm drew the boat in 1987, and it was launched on 3 June 1991. It cost $2,600. \
    The keel is not of pine.";

fn settled(schema: Value, written: Value) -> Settled {
    let schema = Schema::new("it", &schema.to_string()).unwrap();
    assert!(schema.validator().unwrap().accepts(&written), "{written}");
    let passages = [samples::passage(1, TEXT)];
    let question = "How long does the glue need, and who drew the boat?";
    let settled = settle(written, &schema, question, &passages, SupportOptions::default()).unwrap();
    if !settled.sentences.is_empty() {
        assert!(schema.validator().unwrap().accepts(&settled.data.value), "{}", settled.data.value);
    }
    settled
}

fn pointers(data: &Data) -> Vec<&str> {
    data.members.iter().map(|member| member.pointer.as_str()).collect()
}

#[test]
fn what_the_passages_do_not_support_goes_where_the_schema_lets_it() {
    let schema = json!({"type": "object", "properties": {
        "hours": {"type": "integer"},
        "wood": {"type": "string"},
        "price": {"type": ["string", "null"]},
        "drawn_by": {"type": "string"},
    }, "required": ["hours", "price"]});
    let written = json!({"hours": 10, "wood": "beech", "price": "$9,999", "drawn_by": "Ida Holm"});
    let settled = settled(schema, written);
    assert_eq!(settled.data.value, json!({"hours": 10, "price": null, "drawn_by": "Ida Holm"}));
    assert_eq!(pointers(&settled.data), ["/hours", "/drawn_by"]);
    assert_eq!(settled.data.removed, ["/wood", "/price"]);
    let said: Vec<&str> = settled.sentences.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(said, ["- /hours: 10", "- /drawn_by: Ida Holm"]);
    assert_eq!(settled.dropped[0].text, "/wood: beech");
    let place = &settled.data.members[1].evidence[0];
    assert!(TEXT[place.range.clone()].starts_with("Ida Holm drew"), "{place:?}");
}

#[test]
fn a_required_value_that_nothing_supports_declines_the_whole() {
    let needs = json!({"type": "object", "properties": {"hours": {"type": "integer"}, "age": {"type": "integer"}}, "required": ["hours", "age"]});
    let settled = settled(needs, json!({"hours": 10, "age": 44}));
    assert!(settled.sentences.is_empty() && settled.data.value.is_null());
    assert_eq!(settled.data.removed, ["/age"]);
}

#[test]
fn items_go_if_enough_are_left_and_take_along_what_says_nothing_without_them() {
    let woods = |least: usize| {
        json!({"type": "object", "properties": {"woods": {"type": "array", "minItems": least, "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "kind": {"enum": ["hard", "soft"]}, "hours": {"type": "integer"}},
            "required": ["kind"],
        }}}, "required": ["woods"]})
    };
    let written = json!({"woods": [
        {"name": "teak", "kind": "hard", "hours": 77},
        {"name": "oak", "kind": "hard", "hours": 10},
        {"name": "ash", "kind": "hard"},
        {"name": "larch", "kind": "soft", "hours": 88},
    ]});
    let left =
        json!([{"name": "oak", "kind": "hard", "hours": 10}, {"name": "larch", "kind": "soft"}]);
    let fewer = settled(woods(2), written.clone());
    assert_eq!(fewer.data.value["woods"], left);
    assert_eq!(pointers(&fewer.data), ["/woods/0/name", "/woods/0/hours", "/woods/1/name"]);
    assert_eq!(
        fewer.data.removed,
        ["/woods/0/name", "/woods/0/hours", "/woods/2/name", "/woods/3/hours"]
    );
    // Where the schema wants more, what says nothing stays rather than that all goes.
    let all = settled(woods(4), written);
    assert_eq!(all.data.value["woods"].as_array().unwrap().len(), 4);
    assert_eq!(all.data.value["woods"][0], json!({"kind": "hard"}));
}

#[test]
fn choices_are_not_quotes_but_say_nothing_alone() {
    let schema = json!({"type": "object", "properties": {
        "is_hard": {"type": "boolean"}, "kind": {"enum": ["sailing", "rowing"]}, "by": {"type": "string"},
    }, "required": ["is_hard", "kind"]});
    let both =
        settled(schema.clone(), json!({"is_hard": true, "kind": "rowing", "by": "Ida Holm"}));
    assert_eq!(both.data.value, json!({"is_hard": true, "kind": "rowing", "by": "Ida Holm"}));
    for nothing in [
        json!({"is_hard": true, "kind": "rowing"}),
        json!({"is_hard": true, "kind": "rowing", "by": "Olof"}),
    ] {
        assert!(settled(schema.clone(), nothing).sentences.is_empty());
    }
}

#[test]
fn names_that_the_llm_chose_are_checked_and_places_in_a_row_keep_theirs() {
    let open = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let open = settled(open, json!({"oak": 10, "larch": 6, "teak": 6, "a/b~c": 1}));
    assert_eq!(open.data.value, json!({"oak": 10, "larch": 6}));
    assert_eq!(pointers(&open.data), ["/oak", "/larch"]);
    assert!(open.data.removed.contains(&"/a~1b~0c".to_owned()), "{:?}", open.data.removed);
    // A name may be all that there is to check.
    let flags = json!({"type": "object", "additionalProperties": {"type": "boolean"}});
    let flags = settled(flags, json!({"oak": true, "teak": true}));
    assert_eq!(flags.data.value, json!({"oak": true}));
    assert_eq!(flags.sentences[0].text, "- /oak: true");
    let pair = |first: Value| json!({"type": "array", "prefixItems": [first, {"type": "string"}], "items": {"type": "string"}});
    let row = settled(pair(json!({"type": ["string", "null"]})), json!(["teak", "oak"]));
    assert_eq!(row.data.value, json!([null, "oak"]));
    assert!(settled(pair(json!({"type": "string"})), json!(["teak", "oak"])).sentences.is_empty());
}

#[test]
fn a_value_alone_may_be_the_document() {
    let whole = settled(json!({"type": "string"}), json!("Ida Holm"));
    assert_eq!((whole.sentences[0].text.as_str(), pointers(&whole.data)), ("- Ida Holm", vec![""]));
    let refused = settled(json!({"type": "string"}), json!("Olof"));
    assert_eq!((refused.data.value, refused.data.removed), (Value::Null, vec![String::new()]));
}

#[test]
fn json_that_was_cut_off_is_an_error_that_says_so() {
    let error = read("{\"hours\": 1", Finish::Length, 7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLong);
    assert!(error.to_string().contains("7 tokens"), "{error}");
    assert_eq!(read("{\"hours\": 1}", Finish::Stop, 7).unwrap(), json!({"hours": 1}));
}
