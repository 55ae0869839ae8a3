//! wellread's own JSON API.

mod articles;
mod ask;
mod openapi;
mod rest;
mod search;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::State;
use crate::api::{ErrorShape, FilterWords, json as written};
use crate::base::error::{Error, ErrorKind};

/// Seconds after which a client whom there was no room for may ask again.
const RETRY_SECS: u32 = 5;

/// Its routes.
pub fn router(state: &State) -> Router {
    Router::new()
        .route("/search", get(search::get).post(search::post))
        .route("/ask", post(ask::ask))
        .route("/articles", get(articles::list))
        .route("/articles/{id}", get(articles::one))
        .route("/articles/{id}/text", get(articles::text))
        .route("/sources", get(rest::sources))
        .route("/status", get(rest::status))
        .route("/cite", post(rest::cite))
        .route("/feedback", post(rest::feedback))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(State::clone(state))
}

async fn unknown(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(200).collect();
    Failure(
        Error::new(ErrorKind::NotFound, format!("there is nothing at {path} of the API"))
            .hint("/api/openapi.json describes what there is"),
    )
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let error = Error::new(ErrorKind::Usage, format!("{path} does not accept {method}"))
        .hint("/api/openapi.json describes what there is");
    failure(StatusCode::METHOD_NOT_ALLOWED, &error)
}

/// A value as a JSON answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    with_status(StatusCode::OK, value)
}

fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    match written::line(value) {
        Ok(text) => {
            let kind = HeaderValue::from_static("application/json");
            (status, [(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            (status, [(CONTENT_TYPE, kind)], error.chain()).into_response()
        }
    }
}

/// An error as a JSON answer of a status.
pub(super) fn failure(status: StatusCode, error: &Error) -> Response {
    with_status(status, &ErrorShape::new(error))
}

/// The answer to one whom there is no room for.
pub(super) fn busy(queue: usize) -> Response {
    let error =
        Error::new(ErrorKind::Locked, format!("{queue} answers are waiting for the LLM already"))
            .hint(format!("ask again in {RETRY_SECS} seconds, or raise serve.queue"));
    let mut response = failure(StatusCode::SERVICE_UNAVAILABLE, &error);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECS));
    response
}

/// An error as an answer, with the status of its kind.
pub(super) struct Failure(pub(super) Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        failure(status_of(self.0.kind()), &self.0)
    }
}

/// The status that says what a kind of error says.
pub(super) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Usage | ErrorKind::Parse | ErrorKind::TooLong => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Locked | ErrorKind::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        // The index or a model has to be brought into order first.
        ErrorKind::Index | ErrorKind::Model | ErrorKind::Network => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A request's body, read as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &State) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let broken = Error::new(ErrorKind::Usage, "the request's body was cut off");
            Failure(broken.caused_by(rejection))
        })?;
        parsed(&bytes).map(Json).map_err(Failure)
    }
}

/// A body as JSON of a shape.
fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_data() { "can't be understood" } else { "is not JSON" };
        Error::new(ErrorKind::Usage, format!("the request's body {what}"))
            .caused_by(error)
            .hint("/api/openapi.json describes what it may hold")
    })
}

/// A query string by its names, each with its values in their order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// A query string that holds no names but `known`.
    fn of(query: Option<&str>, known: &[&str]) -> Result<Query, Error> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Query(pairs)),
            Some((other, _)) => {
                let other: String = other.chars().take(80).collect();
                Err(Error::new(ErrorKind::Usage, format!("there is no parameter \"{other}\""))
                    .hint(format!("there are {}", known.join(", "))))
            }
        }
    }

    fn all(&self, name: &str) -> Vec<String> {
        let of_name = self.0.iter().filter(|(known, _)| known == name);
        of_name.map(|(_, value)| value.clone()).collect()
    }

    /// The one value of a name.
    fn one(&self, name: &str) -> Result<Option<String>, Error> {
        let mut values = self.all(name);
        if values.len() > 1 {
            return Err(Error::new(ErrorKind::Usage, format!("{name} is given more than once")));
        }
        Ok(values.pop())
    }

    /// The number of a name.
    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Error> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let text: String = text.chars().take(40).collect();
            Error::new(ErrorKind::Usage, format!("{name} is \"{text}\", which is not valid"))
        })
    }
}

/// The filter of a query string.
fn filter_words(query: &Query) -> Result<FilterWords, Error> {
    Ok(FilterWords {
        source: query.all("source"),
        author: query.all("author"),
        tag: query.all("tag"),
        since: query.one("since")?,
        until: query.one("until")?,
        title: query.one("title")?,
    })
}
