//! `/api/sources`, `/api/status`, `/api/cite`, `/api/feedback`.

use axum::extract::{RawQuery, State as Extract};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json as value;

use super::search::understood;
use super::{Failure, Json, Query, json};
use crate::api::{ClaimsShape, FilterWords, SourcesShape};
use crate::base::error::{Error, ErrorKind, Result};
use crate::library::Rating;
use crate::serve::State;
use crate::serve::asking::{at_length, looking};

/// Characters of a note at the most.
pub(super) const MAX_NOTE: usize = 2000;

pub(super) async fn sources(
    Extract(state): Extract<State>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Query::of(query.as_deref(), &[])?;
    let sources = looking(&state, |kb, _| match kb.existing_library()? {
        Some(library) => library.sources(),
        None => Ok(Vec::new()),
    })
    .await?;
    Ok(json(&SourcesShape { sources: &sources }))
}

pub(super) async fn status(
    Extract(state): Extract<State>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Query::of(query.as_deref(), &[])?;
    let shared = State::clone(&state);
    let status = looking(&state, move |_, _| shared.status()).await?;
    Ok(json(&status))
}

/// A draft to be checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    text: String,
    #[serde(default)]
    filter: FilterWords,
}

pub(super) async fn cite(
    Extract(state): Extract<State>,
    Json(draft): Json<Draft>,
) -> Result<Response, Failure> {
    let Draft { text, filter } = draft;
    let response = at_length(&state, move |kb, watch| {
        let filter = understood(kb, &filter)?;
        let claims = kb.check_claims(&text, &filter, watch)?;
        Ok(json(&ClaimsShape::new(&text, &claims)))
    })
    .await?;
    Ok(response)
}

/// What a reader thinks of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    id: i64,
    verdict: Thought,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thought {
    Good,
    Bad,
}

pub(super) async fn feedback(
    Extract(state): Extract<State>,
    Json(given): Json<Given>,
) -> Result<Response, Failure> {
    let Given { id, verdict, note } = given;
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        let error =
            Error::new(ErrorKind::TooLong, format!("the note is over {MAX_NOTE} characters"));
        return Err(Failure(error.hint("shorten it")));
    }
    let verdict = match verdict {
        Thought::Good => Rating::Good,
        Thought::Bad => Rating::Bad,
    };
    let shape = value!({ "id": id, "verdict": verdict.as_str(), "note": &note });
    looking(&state, move |kb, _| {
        let none = || {
            Error::new(ErrorKind::NotFound, format!("there is no kept answer {id}"))
                .hint("each answer says its id; the last ones are kept (answer.history)")
        };
        let library = kb.existing_library()?.ok_or_else(none)?;
        let is_known = library.give_feedback(id, verdict, note.as_deref(), Timestamp::now())?;
        is_known.then_some(()).ok_or_else(none)
    })
    .await?;
    Ok(json(&shape))
}
