//! The page: ask, read what was cited, look at articles, sources and index.
//!
//! Everything is there without a script, but for answers by the LLM, which come as they are written.
//! The script shows those, and opens what they cite beside them.

mod ask;
mod assets;
mod library;
mod reader;
mod view;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::State;
use super::api::status_of;
use crate::api::{ErrorShape, FilterWords};
use crate::base::error::{Error, ErrorKind};

/// What a browser may load and do on the page: what this server itself sends.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// Its routes.
pub fn router(state: &State) -> Router {
    Router::new()
        .route("/", get(ask::page))
        .route("/articles", get(library::list))
        .route("/articles/{id}", get(library::article))
        .route("/status", get(library::status))
        .route("/assets/{name}", get(assets::serve))
        .fallback(unknown)
        .layer(from_fn(guarded))
        .with_state(State::clone(state))
}

async fn unknown(headers: HeaderMap) -> Failure {
    let error = Error::new(ErrorKind::NotFound, "there is no such page");
    Failure(headers, error)
}

/// Puts on every answer what keeps a browser from doing what an article wants.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// An error as a page.
struct Failure(HeaderMap, Error);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure(headers, error) = self;
        view::error(&headers, status_of(error.kind()), &ErrorShape::new(&error).error)
    }
}

/// The fields of the forms; one that is empty is not filled in.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Fields {
    /// The question, or words of a title.
    q: String,
    /// `answer`, `quotes` or `search`.
    mode: String,
    source: String,
    author: String,
    since: String,
    until: String,
    /// Which page of a list, from 1.
    page: String,
}

impl Fields {
    fn filter(&self) -> FilterWords {
        let one = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        FilterWords {
            source: one(&self.source).into_iter().collect(),
            author: one(&self.author).into_iter().collect(),
            since: one(&self.since),
            until: one(&self.until),
            ..FilterWords::default()
        }
    }

    /// How many filters are set.
    fn filters(&self) -> usize {
        [&self.source, &self.author, &self.since, &self.until]
            .iter()
            .filter(|text| !text.trim().is_empty())
            .count()
    }
}
