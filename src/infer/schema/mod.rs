//! A JSON Schema that what the LLM writes must follow: read, and checked for what can't be followed.

mod places;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::error::{Error, ErrorKind, Result};

pub use places::Step;

/// Bytes of a schema at the most: the LLM reads all of it.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// What a schema may take to follow: a tenth of what llguidance allows, and plenty for one that an LLM
/// can read.
pub(super) fn limits() -> ParserLimits {
    ParserLimits {
        initial_lexer_fuel: 100_000,
        max_lexer_states: 25_000,
        max_grammar_size: 50_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// A JSON Schema that can be followed. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Schema {
    whole: Arc<Value>,
    /// The same with no members but those that it names.
    closed: Arc<Value>,
}

impl Schema {
    /// Reads a file.
    ///
    /// # Errors
    /// If it can't be read; as [`Schema::new`].
    pub fn open(path: &Path) -> Result<Schema> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        fs_err::File::open(path)
            .and_then(|file| file.take(MAX_SCHEMA_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| {
                Error::io("cannot read the schema", error)
                    .hint("give the path of a file that holds a JSON Schema")
            })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            Error::new(ErrorKind::Usage, format!("{name} is not text"))
                .caused_by(error)
                .hint("write the schema as JSON in UTF-8")
        })?;
        Schema::new(&name, &text)
    }

    /// A schema from its text; `name` is what errors call it.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if it is over [`MAX_SCHEMA_BYTES`], [`ErrorKind::Usage`] if it is not
    /// JSON, not a schema, or can't be followed.
    pub fn new(name: &str, text: &str) -> Result<Schema> {
        if text.len() > MAX_SCHEMA_BYTES {
            let most = MAX_SCHEMA_BYTES / 1024;
            return Err(Error::new(ErrorKind::TooLarge, format!("{name} is over {most} KiB"))
                .hint("ask for less at once: the LLM reads the whole schema"));
        }
        let text = text.trim_start_matches('\u{feff}');
        let mut whole: Value = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Usage, format!("{name} is not JSON"))
                .caused_by(error)
                .hint("correct it there")
        })?;
        let Value::Object(members) = &mut whole else {
            return Err(Error::new(ErrorKind::Usage, format!("{name} is not a JSON Schema")).hint(
                "it must be an object, such as {\"type\": \"object\", \"properties\": {…}}",
            ));
        };
        // How it is followed is not the schema's to say.
        members.remove(OPTIONS);
        let bounded = bounded(&whole);
        let schema = Schema { closed: Arc::new(closed(&whole)), whole: Arc::new(whole) };
        let tried = bounded.and_then(|()| Validator::new(&schema.whole));
        tried.and_then(|_| Validator::new(&schema.closed)).map_err(|why| {
            Error::new(ErrorKind::Usage, format!("{name} can't be followed: {why}"))
                .hint("leave that out of the schema, or say it in another way")
        })?;
        Ok(schema)
    }

    /// The schema as the LLM reads it.
    pub fn text(&self) -> String {
        let mut shown = (*self.whole).clone();
        if let Value::Object(members) = &mut shown {
            ["$schema", "$id", "$comment"].into_iter().for_each(|name| {
                members.shift_remove(name);
            });
        }
        shown.to_string()
    }

    /// What is checked against it, document by document.
    ///
    /// # Errors
    /// Never, as it was tried when it was read.
    pub fn validator(&self) -> Result<Validator> {
        Validator::new(&self.whole).map_err(|why| {
            Error::new(ErrorKind::Bug, "a schema that could be followed can't be any more")
                .caused_by(why)
        })
    }

    /// What the LLM may write, on one line as it would write JSON anyway. White space of any amount
    /// is what a small one would go on with for ever.
    pub(super) fn grammar(&self) -> TopLevelGrammar {
        let options = JsonCompileOptions {
            item_separator: ", ".to_owned(),
            key_separator: ": ".to_owned(),
            whitespace_flexible: false,
            json_allowed_escapes: Some("nt\"\\".to_owned()),
            ..JsonCompileOptions::default()
        };
        grammar(&self.closed, &options)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Value {
        Arc::unwrap_or_clone(schema.whole)
    }
}

impl TryFrom<Value> for Schema {
    type Error = Error;

    fn try_from(value: Value) -> Result<Schema> {
        Schema::new("the schema", &value.to_string())
    }
}

/// The member of a schema in which llguidance looks for its options.
const OPTIONS: &str = "x-guidance";

fn grammar(schema: &Value, options: &JsonCompileOptions) -> TopLevelGrammar {
    let mut schema = schema.clone();
    if schema.is_object() {
        options.apply_to(&mut schema);
    }
    TopLevelGrammar::from_json_schema(schema)
}

/// Whether documents follow a schema.
pub struct Validator {
    start: Matcher,
}

impl Validator {
    /// What is wrong with the schema, if something is.
    fn new(schema: &Value) -> std::result::Result<Validator, String> {
        let tokens = ApproximateTokEnv::single_byte_env();
        let start = ParserFactory::new(&tokens, InferenceCapabilities::default(), &[])
            .map(|mut factory| {
                factory.quiet();
                *factory.limits_mut() = limits();
                Matcher::new(factory.create_parser(grammar(schema, &JsonCompileOptions::default())))
            })
            .map_err(|error| in_words(&error.to_string()))?;
        if let Some(error) = start.get_error() {
            return Err(in_words(&error));
        }
        // Schemas that only refer to each other have no beginning.
        match start.clone().compute_mask() {
            Ok(_) => Ok(Validator { start }),
            Err(_) => Err("no JSON can follow it".to_owned()),
        }
    }

    /// Whether a document follows it; its members must stand in the schema's order.
    pub fn accepts(&self, document: &Value) -> bool {
        let tokens: Vec<u32> = document.to_string().bytes().map(u32::from).collect();
        let mut matcher = self.start.clone();
        let is_read = matcher.try_consume_tokens(&tokens).is_ok_and(|read| read == tokens.len());
        let is_over = matcher.is_stopped() && matcher.stop_reason().is_ok();
        is_read && (is_over || matcher.is_accepting().unwrap_or(false))
    }
}

/// An error of llguidance's in a line.
fn in_words(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default().trim_end_matches('.');
    if let Some(keys) = line.strip_prefix("Unimplemented keys: [") {
        let keys = keys.trim_end_matches(']');
        return format!("it uses {keys}, which can't be kept to while the JSON is written");
    }
    if let Some(format) = line.strip_prefix("Unknown format: ") {
        return format!("the format \"{format}\" is not known");
    }
    if let Some(why) = line.strip_prefix("Unsatisfiable schema: ") {
        return format!("no JSON can follow it: {why}");
    }
    if line.starts_with("Only absolute $ref")
        && let Some((_, named)) = line.split_once("; ref ")
    {
        return format!("it refers to {named}, and only what is in it (\"#/…\") is looked up");
    }
    if line.starts_with("oneOf constraints") {
        return "more than one choice of a \"oneOf\" may hold at once; \"anyOf\" allows that"
            .to_owned();
    }
    if let Some(what) = line.strip_prefix("panic: ") {
        return format!("llguidance fails on it ({})", shortened(what));
    }
    shortened(line)
}

fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Patterns in a schema at the most: where several are about one place, following them takes a time
/// that grows with each many times over.
const MAX_PATTERNS: usize = 16;

/// Significant digits of a `multipleOf` at the most, for the same reason.
const MAX_DIGITS: usize = 4;

/// Members that a schema names at the most.
const MAX_MEMBERS: usize = 256;

/// What in a schema takes without bounds to follow, if something does.
fn bounded(schema: &Value) -> std::result::Result<(), String> {
    let mut counts = Counts::default();
    counts.add(schema);
    let Counts { patterns, members, digits } = counts;
    for (count, most, what) in
        [(patterns, MAX_PATTERNS, "patterns"), (members, MAX_MEMBERS, "members")]
    {
        if count > most {
            return Err(format!("it has more than {most} {what}"));
        }
    }
    if digits > MAX_DIGITS {
        return Err(format!("a \"multipleOf\" has more than {MAX_DIGITS} digits"));
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    patterns: usize,
    members: usize,
    /// The most of a `multipleOf`.
    digits: usize,
}

impl Counts {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                let count =
                    |key: &str| members.get(key).and_then(Value::as_object).map_or(0, Map::len);
                self.members += count("properties");
                self.patterns += count("patternProperties");
                self.patterns += usize::from(members.get("pattern").is_some_and(Value::is_string));
                if let Some(multiple) = members.get("multipleOf").and_then(Value::as_f64) {
                    let digits = multiple.to_string().replace('.', "");
                    self.digits = self.digits.max(digits.trim_matches('0').len());
                }
                members.values().for_each(|value| self.add(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.add(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Keywords that join schemas about one place.
const JOINING: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];

/// A schema with no members but those that it names, where that can't say otherwise than it: a member
/// that nobody asked for is none to look for.
fn closed(schema: &Value) -> Value {
    let mut closed = schema.clone();
    if !joins(schema) {
        close(&mut closed);
    }
    closed
}

/// Whether somewhere several schemas with members of their own are about one place.
fn joins(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let names_members = members.get("properties").is_some_and(Value::is_object);
            members.contains_key("allOf")
                || names_members && JOINING.iter().any(|key| members.contains_key(*key))
                || members.values().any(joins)
        }
        Value::Array(items) => items.iter().any(joins),
        _ => false,
    }
}

fn close(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    let is_open = |members: &Map<String, Value>| {
        ["additionalProperties", "patternProperties", "enum", "const"]
            .iter()
            .all(|key| !members.contains_key(*key))
    };
    if members.get("properties").is_some_and(Value::is_object) && is_open(members) {
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (key, value) in members.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(each)) => {
                each.values_mut().for_each(close);
            }
            ("anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(each)) => {
                each.iter_mut().for_each(close);
            }
            ("items" | "additionalItems" | "additionalProperties", value) => close(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
