//! What a tool is called with. Assistants write it: a single name may stand for a list of one, and a
//! null for nothing; but what can't be understood is an error, never passed over.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::FilterWords;
use crate::base::Filter;
use crate::base::error::{Error, ErrorKind, Result};
use crate::engine::KnowledgeBase;

/// A name or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// The arguments of a tool, and the filter among them.
pub(super) fn with_filter<T: DeserializeOwned>(
    mut arguments: JsonObject,
) -> Result<(T, FilterWords)> {
    arguments.retain(|_, value| !value.is_null());
    let mut names = |key: &str| -> Result<Vec<String>> {
        Ok(match arguments.remove(key) {
            None => Vec::new(),
            Some(value) => match one(key, value, "a list of names")? {
                Names::One(name) => vec![name],
                Names::Several(names) => names,
            },
        })
    };
    let (source, author, tag) = (names("source")?, names("author")?, names("tag")?);
    let mut word = |key: &str| -> Result<Option<String>> {
        arguments.remove(key).map(|value| one(key, value, "a string")).transpose()
    };
    let (title, since, until) = (word("title")?, word("since")?, word("until")?);
    let words = FilterWords { source, author, tag, since, until, title };
    Ok((alone(arguments)?, words))
}

/// The arguments of a tool that takes no filter.
pub(super) fn alone<T: DeserializeOwned>(mut arguments: JsonObject) -> Result<T> {
    arguments.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Error::new(ErrorKind::Usage, "the tool's arguments can't be understood")
            .caused_by(error)
            .hint("call it with the arguments that its inputSchema names")
    })
}

fn one<T: DeserializeOwned>(key: &str, value: Value, wanted: &str) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|_| Error::new(ErrorKind::Usage, format!("{key} must be {wanted}")))
}

/// A number within bounds.
pub(super) fn bounded(
    name: &str,
    given: Option<usize>,
    (usual, most): (usize, usize),
) -> Result<usize> {
    match given.unwrap_or(usual) {
        number if number == 0 || number > most => {
            Err(Error::new(ErrorKind::Usage, format!("{name} is {number}; it can be 1 to {most}")))
        }
        number => Ok(number),
    }
}

/// What a filter means. Without a filter there need be no library.
pub(super) fn understood(kb: &KnowledgeBase, words: &FilterWords) -> Result<Filter> {
    if *words == FilterWords::default() {
        return Ok(Filter::default());
    }
    words.understood(&*kb.filled_library()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Query {
        query: String,
    }

    fn read(value: Value) -> Result<(Query, FilterWords)> {
        with_filter(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn a_name_may_stand_for_a_list_and_null_for_nothing() {
        let given = json!({ "query": "q", "source": "one", "tag": ["a", "b"], "since": null });
        let (query, words) = read(given).unwrap();
        assert_eq!((query.query.as_str(), words.source.as_slice()), ("q", &["one".to_owned()][..]));
        assert_eq!((words.tag.len(), words.since), (2, None));
    }

    #[test]
    fn what_cant_be_understood_is_an_error_that_names_it() {
        for (given, said) in [
            (json!({}), "query"),
            (json!({ "query": 3 }), "string"),
            (json!({ "query": "q", "sources": ["x"] }), "sources"),
            (json!({ "query": "q", "source": 3 }), "source must be a list of names"),
            (json!({ "query": "q", "since": ["x"] }), "since must be a string"),
        ] {
            let error = read(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.chain().contains(said), "{}", error.chain());
        }
        assert!(bounded("limit", Some(0), (10, 50)).is_err());
        assert!(bounded("limit", Some(51), (10, 50)).is_err());
        assert_eq!(bounded("limit", None, (10, 50)).unwrap(), 10);
    }
}
