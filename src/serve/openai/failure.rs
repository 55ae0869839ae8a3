//! Errors in the shape that OpenAI's clients know.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{error_in_words, json as written};
use crate::base::error::{Error, ErrorKind, Step};
use crate::serve::api::status_of;

/// Seconds after which a client whom there was no room for may ask again.
const RETRY_SECS: u32 = 5;

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Refused {
        Refused { status, message: message.into(), param: None, code: None }
    }

    /// A request that is wrong in a parameter.
    pub(super) fn wrong(param: &'static str, message: impl Into<String>) -> Refused {
        let refused = Refused::new(StatusCode::BAD_REQUEST, message);
        Refused { param: Some(param), ..refused }
    }

    /// The same with a word for programs.
    pub(super) fn code(self, code: &'static str) -> Refused {
        Refused { code: Some(code), ..self }
    }

    /// No model is called so.
    pub(super) fn no_model(name: &str, known: &[&str]) -> Refused {
        let name: String = name.chars().take(80).collect();
        let message = format!("The model '{name}' does not exist; use '{}'.", known.join("' or '"));
        let refused = Refused::new(StatusCode::NOT_FOUND, message).code("model_not_found");
        Refused { param: Some("model"), ..refused }
    }

    /// There is no room for another answer.
    pub(super) fn busy(queue: usize) -> Refused {
        let message = format!(
            "{queue} answers are waiting for the LLM already; ask again in {RETRY_SECS} seconds."
        );
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, message).code("queue_full")
    }

    /// The error itself, as it also ends a stream.
    pub(super) fn shape(&self) -> Value {
        let is_theirs = self.status.is_client_error();
        let kind = if is_theirs { "invalid_request_error" } else { "server_error" };
        json!({
            "error": {
                "message": self.message,
                "type": kind,
                "param": self.param,
                "code": self.code,
            }
        })
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let refused = Refused::new(status_of(error.kind()), error_in_words(&error));
        match error.kind() {
            ErrorKind::TooLong => refused.code("context_length_exceeded"),
            // Other things can be missing, too: only of these can more be had by a source.
            ErrorKind::NotFound if error.steps().contains(&Step::AddSource) => {
                refused.code("no_articles")
            }
            _ => refused,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let text = written::line(&self.shape()).unwrap_or_default();
        let kind = HeaderValue::from_static("application/json");
        let mut response = (self.status, [(CONTENT_TYPE, kind)], text).into_response();
        if self.code == Some("queue_full") {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECS));
        }
        response
    }
}

/// A body as JSON of a shape.
pub(super) fn parsed<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Refused> {
    let bytes = body.map_err(|rejection| {
        Refused::new(rejection.status(), format!("The request's body: {}.", rejection.body_text()))
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let what = if error.is_data() { "can't be understood" } else { "is not JSON" };
        Refused::new(StatusCode::BAD_REQUEST, format!("The request's body {what}: {error}."))
    })
}
