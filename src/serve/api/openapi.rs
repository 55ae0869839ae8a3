//! `/api/openapi.json`: what there is, for programs that make clients and tests of it.
//!
//! Answers are described by the very schemas that the tests hold the JSON shapes to.

use axum::response::Response;
use serde_json::{Map, Value, json as value};
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder, Schema, SecurityRequirement,
};

use super::rest::MAX_NOTE;
use super::search::MAX_LIMIT;
use super::{Failure, json};
use crate::api::schemas::SCHEMAS;
use crate::base::error::{Error, ErrorKind, Result};
use crate::retrieve::MAX_QUESTION_BYTES;

pub(super) async fn openapi() -> Result<Response, Failure> {
    Ok(json(&description()?))
}

/// A route as it is described.
struct Route {
    method: HttpMethod,
    path: &'static str,
    name: &'static str,
    what: &'static str,
    parameters: Vec<ParameterBuilder>,
    body: Option<&'static str>,
    answer: &'static str,
    failures: &'static [(&'static str, &'static str)],
}

const BAD: (&str, &str) = ("400", "The request can't be understood; the steps say what can");
const NONE: (&str, &str) = ("404", "It is not there, or there are no articles yet");
const LONG: (&str, &str) = ("413", "The body is too large");
const BUSY: (&str, &str) = (
    "503",
    "Too many answers are waiting (Retry-After says when to ask again), or a model or the index is not ready",
);
const FAILED: (&str, &str) = ("500", "Library, disk or wellread itself failed");

fn routes() -> Vec<Route> {
    let get = |path, name, what, parameters, answer, failures| Route {
        method: HttpMethod::Get,
        path,
        name,
        what,
        parameters,
        body: None,
        answer,
        failures,
    };
    let post = |path, name, what, body, answer, failures| Route {
        method: HttpMethod::Post,
        path,
        name,
        what,
        parameters: Vec::new(),
        body: Some(body),
        answer,
        failures,
    };
    let mut search = vec![
        parameter("q", "What to look for", question()).required(Required::True),
        parameter("limit", "Maximum number of hits", number(1, MAX_LIMIT)),
    ];
    search.extend(filter());
    let mut articles = filter();
    articles.push(parameter("limit", "Articles at the most", number(1, MAX_LIMIT)));
    articles.push(parameter("offset", "Articles that are passed over", number(0, 1 << 31)));
    let hexadecimal = |digits: usize| -> Schema {
        let pattern = format!("^[0-9a-f]{{{digits}}}$");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
    };
    let id = || {
        ParameterBuilder::new()
            .name("id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The article"))
            .schema(Some(hexadecimal(16)))
    };
    let text = vec![
        id(),
        parameter(
            "revision",
            "Which revision; the newest if it is left out",
            number(1, u32::MAX as usize),
        ),
        parameter("document", "Which document, as hits and passages name it", hexadecimal(32)),
    ];
    vec![
        get(
            "/api/search",
            "search",
            "Sections for a question, best first, without an LLM",
            search,
            "Search",
            &[BAD, NONE, BUSY, FAILED],
        ),
        post(
            "/api/search",
            "search_by_body",
            "The same, asked by a body",
            "SearchRequest",
            "Search",
            &[BAD, NONE, LONG, BUSY, FAILED],
        ),
        post(
            "/api/ask",
            "ask",
            "A checked answer with its evidence. With Accept: text/event-stream what is told on the \
             way: standalone, passages, quotes, sentence, dropped, abstained, then done (the whole \
             answer) or error; each event's data is one line of JSON",
            "AskRequest",
            "Answer",
            &[BAD, NONE, LONG, BUSY, FAILED],
        ),
        get(
            "/api/articles",
            "articles",
            "Articles, newest first",
            articles,
            "Articles",
            &[BAD, NONE, BUSY, FAILED],
        ),
        get(
            "/api/articles/{id}",
            "article",
            "An article as wellread understands it",
            vec![id()],
            "Article",
            &[BAD, NONE, BUSY, FAILED],
        ),
        get(
            "/api/articles/{id}/text",
            "article_text",
            "The text that byte ranges point into, with its sections and blocks",
            text,
            "Text",
            &[BAD, NONE, BUSY, FAILED],
        ),
        get("/api/sources", "sources", "The sources", Vec::new(), "Sources", &[BAD, BUSY, FAILED]),
        get(
            "/api/status",
            "status",
            "How library, index and the reading of sources stand",
            Vec::new(),
            "Status",
            &[BAD, BUSY, FAILED],
        ),
        post(
            "/api/cite",
            "cite",
            "A draft, sentence by sentence: supported by which place, or what is missing",
            "CiteRequest",
            "Claims",
            &[BAD, NONE, LONG, BUSY, FAILED],
        ),
        post(
            "/api/feedback",
            "feedback",
            "What a reader thinks of an answer",
            "Feedback",
            "Feedback",
            &[BAD, NONE, LONG, BUSY, FAILED],
        ),
    ]
}

/// Schemas of what is sent here.
fn requests() -> Value {
    let names = |what: &str| value!({ "type": "array", "items": { "type": "string" }, "maxItems": 50, "description": what });
    let asked = value!({ "type": "string", "pattern": "\\S", "maxLength": MAX_QUESTION_BYTES / 4 });
    let filter = value!({ "$ref": "#/components/schemas/Filter" });
    value!({
        "Filter": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "source": names("Any of these sources, by name or title"),
                "author": names("Any of these authors, exactly"),
                "tag": names("Any of these tags, exactly"),
                "since": { "type": ["string", "null"], "description": "Published on that day (2025-03-04, UTC) or at that instant, or later" },
                "until": { "type": ["string", "null"], "description": "Published before" },
                "title": { "type": ["string", "null"], "description": "Words of the title" }
            }
        },
        "SearchRequest": {
            "type": "object",
            "required": ["query"],
            "additionalProperties": false,
            "properties": {
                "query": asked,
                "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": MAX_LIMIT },
                "filter": filter
            }
        },
        "AskRequest": {
            "type": "object",
            "required": ["question"],
            "additionalProperties": false,
            "properties": {
                "question": asked,
                "quotes": { "type": "boolean", "description": "The sentences that answer best, word for word; no LLM is asked" },
                "filter": filter,
                "turns": {
                    "type": "array",
                    "maxItems": 20,
                    "description": "What was asked and answered before, in order; a follow-up is searched for as a question of its own",
                    "items": { "$ref": "#/components/schemas/Turn" }
                }
            }
        },
        "Turn": {
            "type": "object",
            "required": ["question"],
            "additionalProperties": false,
            "properties": {
                "question": { "type": "string" },
                "standalone": { "type": ["string", "null"], "description": "As it was searched for" },
                "answer": { "type": "string", "description": "Without marks; empty if the articles did not say" },
                "titles": names("Titles of the articles that the answer cites")
            }
        },
        "CiteRequest": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": false,
            "properties": { "text": { "type": "string", "pattern": "\\S" }, "filter": filter }
        },
        "Feedback": {
            "type": "object",
            "required": ["id", "verdict"],
            "additionalProperties": false,
            "properties": {
                "id": { "type": "integer", "format": "int64", "description": "The answer's number" },
                "verdict": { "enum": ["good", "bad"] },
                "note": { "type": ["string", "null"], "maxLength": MAX_NOTE }
            }
        }
    })
}

fn parameter(name: &str, what: &str, schema: Schema) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(schema))
}

fn number(least: usize, most: usize) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least as f64))
        .maximum(Some(most as f64))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .into()
}

fn words() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn question() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("\\S"))
        .max_length(Some(MAX_QUESTION_BYTES / 4))
        .into()
}

fn filter() -> Vec<ParameterBuilder> {
    let several =
        |name, what| parameter(name, what, ArrayBuilder::new().items(RefOr::T(words())).into());
    vec![
        several("source", "Any of these sources, by name or title"),
        several("author", "Any of these authors, exactly"),
        several("tag", "Any of these tags, exactly"),
        parameter(
            "since",
            "Published on that day (2025-03-04, UTC) or at that instant, or later",
            words(),
        ),
        parameter("until", "Published before", words()),
        parameter("title", "Words of the title", words()),
    ]
}

fn content(schema: &str) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build()
}

/// The description as a value.
///
/// # Errors
/// [`ErrorKind::Bug`] if it can't be put together.
fn description() -> Result<Value> {
    let mut paths = PathsBuilder::new();
    for route in routes() {
        let said = ResponseBuilder::new()
            .description(route.what)
            .content("application/json", content(route.answer));
        let said = match route.name {
            "ask" => said
                .content("text/event-stream", ContentBuilder::new().schema(Some(words())).build()),
            _ => said,
        };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(route.name))
            .summary(Some(route.what))
            .response("200", said.build());
        for parameter in route.parameters {
            operation = operation.parameter(parameter.build());
        }
        if let Some(body) = route.body {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content("application/json", content(body));
            operation = operation.request_body(Some(body.build()));
        }
        let refused =
            [("401", "The token is missing or wrong"), ("403", "A foreign Host or Origin")];
        for (status, what) in route.failures.iter().chain(&refused) {
            let said = ResponseBuilder::new().description(*what);
            operation = operation
                .response(*status, said.content("application/json", content("Error")).build());
        }
        paths = paths.path(route.path, PathItem::new(route.method, operation.build()));
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let info = InfoBuilder::new()
        .title("wellread")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Search and checked answers over the articles that you follow"))
        .build();
    let described = OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(ComponentsBuilder::new().security_scheme("token", bearer).build()))
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new::<_, _, String>("token", []),
        ]))
        .build();
    let bug = |error: serde_json::Error| {
        Error::new(ErrorKind::Bug, "the API can't describe itself").caused_by(error)
    };
    let mut described = serde_json::to_value(described).map_err(bug)?;
    let mut schemas = match requests() {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    };
    for (name, text) in SCHEMAS {
        // Within a description a schema's own parts stand deeper.
        let within = text.replace("\"#/$defs/", &format!("\"#/components/schemas/{name}/$defs/"));
        let mut schema: Value = serde_json::from_str(&within).map_err(bug)?;
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("$schema");
            schema.remove("$id");
        }
        schemas.insert(name.to_owned(), schema);
    }
    described["components"]["schemas"] = Value::Object(schemas);
    Ok(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_named_is_there() {
        let described = description().unwrap();
        let text = described.to_string();
        for (at, _) in text.match_indices("\"#/") {
            let pointer = text[at + 2..].split('"').next().unwrap();
            assert!(described.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(described["paths"].as_object().unwrap().len(), 9);
        assert!(described["paths"]["/api/search"]["post"]["requestBody"].is_object());
    }
}
