//! The tools, as a client is told of them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// Hits that a search looks for where nothing else is said, and at the most.
pub(super) const HITS: (usize, usize) = (10, 50);
/// Articles of a list where nothing else is said, and at the most.
pub(super) const PAGE: (usize, usize) = (50, 200);

const ASK: &str = include_str!("../../api/schema/ask.json");
const CITE: &str = include_str!("../../api/schema/cite.json");
const FETCH: &str = include_str!("../../api/schema/mcp/fetch.json");
const LIST: &str = include_str!("../../api/schema/articles.json");
const SEARCH: &str = include_str!("../../api/schema/mcp/search.json");
const STATUS: &str = include_str!("../../api/schema/status.json");

/// All tools, always in this order.
pub(super) fn all() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let query = text("what to look for: words, or a question");
        let question = text("one question, in whole words; earlier ones are not known");
        let id = text("an id from search or list_articles, or wellread://article/ID");
        let draft = text("the draft: sentences that claim something");
        vec![
            tool(
                "search",
                "Search the articles",
                "Finds the passages of the user's own collection of articles that are nearest to a \
                 query, by meaning and by words, grouped by article. Fast. Fetch an article by its \
                 id to read it whole.",
                filtered(json!({ "query": query, "limit": number(HITS, "passages at the most") })),
                &["query"],
                object(SEARCH),
            ),
            tool(
                "fetch",
                "Read an article",
                "The whole text of one article with its headings, link, date and authors.",
                json!({ "id": id }),
                &["id"],
                object(FETCH),
            ),
            tool(
                "ask",
                "Ask the articles",
                "Answers a question from the user's articles by a local LLM. Each sentence names the \
                 passages that support it; where the articles don't say, status is \"abstained\". \
                 Takes up to a minute; set quotes to get the sentences that answer best, word for \
                 word, at once.",
                filtered(json!({
                    "question": question,
                    "quotes": {
                        "type": "boolean",
                        "description": "whether to answer by quotes alone, without the LLM",
                        "default": false
                    }
                })),
                &["question"],
                partial(object(ASK)),
            ),
            tool(
                "check_claims",
                "Check a draft",
                "Checks a text sentence by sentence against the user's articles: for each whether \
                 they support it, where, or what is missing. No LLM.",
                filtered(json!({ "text": draft })),
                &["text"],
                object(CITE),
            ),
            tool(
                "list_articles",
                "List the articles",
                "The articles that there are, newest first.",
                filtered(json!({
                    "limit": number(PAGE, "articles at the most"),
                    "offset": {
                        "type": "integer",
                        "minimum": 0,
                        "default": 0,
                        "description": "how many to pass over"
                    }
                })),
                &[],
                object(LIST),
            ),
            tool(
                "status",
                "How the collection stands",
                "How many sources and articles there are, how the index stands, and which models \
                 are used.",
                json!({}),
                &[],
                object(STATUS),
            ),
        ]
    })
}

fn tool(
    name: &'static str,
    title: &str,
    description: &'static str,
    properties: Value,
    required: &[&str],
    output: JsonObject,
) -> Tool {
    let input = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    });
    let Value::Object(input) = input else { return Tool::default() };
    // Nothing that a client could see changes, and nothing outside of this machine is touched.
    let annotations = ToolAnnotations::with_title(title)
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    Tool::new(name, Cow::Borrowed(description), Arc::new(input))
        .with_title(title)
        .with_raw_output_schema(Arc::new(one_type_each(output)))
        .with_annotations(annotations)
}

/// A schema whose lists of types are alternatives of one type each: some assistants accept nothing else.
fn one_type_each(mut schema: JsonObject) -> JsonObject {
    for value in schema.values_mut() {
        one_type_in(value);
    }
    if let Some(Value::Array(types)) = schema.get("type").cloned() {
        schema.remove("type");
        let each = types.into_iter().map(|one| json!({ "type": one }));
        schema.insert("anyOf".to_owned(), each.collect());
    }
    schema
}

fn one_type_in(value: &mut Value) {
    match value {
        Value::Object(object) => *object = one_type_each(std::mem::take(object)),
        Value::Array(items) => items.iter_mut().for_each(one_type_in),
        _ => {}
    }
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn number((usual, most): (usize, usize), description: &str) -> Value {
    json!({
        "type": "integer",
        "minimum": 1,
        "maximum": most,
        "default": usual,
        "description": description
    })
}

/// Properties with those of a filter.
fn filtered(mut properties: Value) -> Value {
    let names = |description: &str| json!({ "type": "array", "items": { "type": "string" }, "description": description });
    let day = |description: &str| json!({ "type": "string", "description": description });
    let filters = json!({
        "source": names("only articles of these sources, by name or title"),
        "author": names("only articles by these authors"),
        "tag": names("only articles with one of these tags"),
        "title": { "type": "string", "description": "only articles with these words in the title" },
        "since": day("only articles published on or after this day, as 2025-03-04"),
        "until": day("only articles published before this day, as 2025-03-04")
    });
    if let (Some(all), Value::Object(filters)) = (properties.as_object_mut(), filters) {
        all.extend(filters);
    }
    properties
}

fn object(schema: &str) -> JsonObject {
    match serde_json::from_str(schema) {
        Ok(Value::Object(object)) => object,
        // The schemas are of this program, and tested.
        _ => Map::new(),
    }
}

/// The schema of an answer that may have been broken off.
fn partial(mut answer: JsonObject) -> JsonObject {
    let note = json!({
        "type": ["string", "null"],
        "description": "how it is partial"
    });
    let whole = json!({
        "type": "boolean",
        "description": "whether time was up before the LLM had ended: then this is what had been \
                        checked by then, or the sentences of the articles that answer best"
    });
    if let Some(Value::Object(properties)) = answer.get_mut("properties") {
        properties.insert("partial".to_owned(), whole);
        properties.insert("note".to_owned(), note);
    }
    if let Some(Value::Array(required)) = answer.get_mut("required") {
        required.extend([json!("partial"), json!("note")]);
    }
    answer.insert("title".to_owned(), json!("ask"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_what_it_takes_and_gives_and_changes_nothing() {
        let names: Vec<&str> = all().iter().map(|tool| tool.name.as_ref()).collect();
        let wanted = ["search", "fetch", "ask", "check_claims", "list_articles", "status"];
        assert_eq!(names, wanted);
        for tool in all() {
            let schema = tool.output_schema.as_ref().unwrap();
            assert_eq!(schema.get("type"), Some(&json!("object")), "{}", tool.name);
            assert!(schema.contains_key("properties"), "{}", tool.name);
            assert_eq!(tool.input_schema.get("type"), Some(&json!("object")));
            assert_eq!(tool.annotations.as_ref().unwrap().read_only_hint, Some(true));
        }
        let ask = all()[2].output_schema.as_ref().unwrap();
        assert!(ask["required"].as_array().unwrap().contains(&json!("partial")));
        let either = json!([{ "type": "integer" }, { "type": "null" }]);
        assert_eq!(ask["properties"]["id"]["anyOf"], either);
        assert_eq!(ask["properties"]["id"].get("type"), None);
    }
}
