//! `/api/search`.

use axum::extract::{RawQuery, State as Extract};
use axum::response::Response;
use serde::Deserialize;

use super::{Failure, Json, Query, json};
use crate::api::{FilterWords, SearchShape};
use crate::base::Filter;
use crate::base::error::{Error, ErrorKind, Result};
use crate::engine::{KnowledgeBase, Question};
use crate::retrieve::check_question;
use crate::serve::asking::blocking;
use crate::serve::{State, api};

/// The most hits that can be asked for.
pub(super) const MAX_LIMIT: usize = 1000;
/// Hits where nothing else is said.
const LIMIT: usize = 10;

/// What is searched for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    query: String,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    filter: FilterWords,
}

pub(super) async fn get(
    Extract(state): Extract<State>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = Query::of(
        query.as_deref(),
        &["q", "limit", "source", "author", "tag", "since", "until", "title"],
    )?;
    let none = || Error::new(ErrorKind::Usage, "q is missing: what to look for");
    let wanted = Wanted {
        query: query.one("q")?.ok_or_else(none)?,
        limit: query.number("limit")?,
        filter: api::filter_words(&query)?,
    };
    found(&state, wanted).await
}

pub(super) async fn post(
    Extract(state): Extract<State>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Failure> {
    found(&state, wanted).await
}

async fn found(state: &State, wanted: Wanted) -> Result<Response, Failure> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        let error =
            Error::new(ErrorKind::Usage, format!("limit is {limit}; it can be 1 to {MAX_LIMIT}"));
        return Err(Failure(error));
    }
    let query = check_question(&wanted.query)?.to_owned();
    let (asked, shared) = (query.clone(), State::clone(state));
    let found = blocking(state, move |kb, watch| {
        let filter = understood(kb, &wanted.filter)?;
        shared.search(&Question { text: &asked, filter: &filter, sources: &[] }, limit, watch)
    })
    .await?;
    Ok(json(&SearchShape::new(&query, &found)))
}

/// What a filter means in the library.
///
/// # Errors
/// If there are no articles yet, or it can't be understood.
pub(super) fn understood(kb: &KnowledgeBase, words: &FilterWords) -> Result<Filter> {
    words.understood(&*kb.filled_library()?)
}
