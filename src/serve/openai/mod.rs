//! The API that clients of OpenAI's speak: answers from the articles as chat completions, and the
//! embedder's vectors.

mod chat;
mod embeddings;
mod failure;
mod request;
mod said;
mod task;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::State;
use super::api::json as answered;
use crate::api::error_in_words;
use crate::base::error::{Error, ErrorKind};
use failure::Refused;

/// What answers questions from the articles is called.
pub(super) const MODEL: &str = "wellread";

/// Its routes.
pub fn router(state: &State) -> Router {
    Router::new()
        .route("/models", get(models))
        .route("/models/{model}", get(model))
        .route("/chat/completions", post(chat::complete))
        .route("/embeddings", post(embeddings::embed))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(State::clone(state))
}

/// An error as an answer of a status, of the shape that OpenAI's clients know.
pub(super) fn failure(status: StatusCode, error: &Error) -> Response {
    let refused = Refused::new(status, error_in_words(error));
    match status {
        StatusCode::UNAUTHORIZED => refused.code("invalid_api_key"),
        _ => refused,
    }
    .into_response()
}

fn described(state: &State, id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": state.started_at.as_second(),
        "owned_by": "wellread",
    })
}

/// The models that answer; the embedder is known too, but can't chat, as all that is listed is taken
/// to.
async fn models(Extract(state): Extract<State>) -> Response {
    answered(&json!({ "object": "list", "data": [described(&state, MODEL)] }))
}

async fn model(
    Extract(state): Extract<State>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(id) = path.map_err(|rejection| {
        Error::new(ErrorKind::Usage, "the address can't be read").caused_by(rejection)
    })?;
    let embedder = &state.kb.config().models.embedder;
    if id == MODEL || id == *embedder {
        return Ok(answered(&described(&state, &id)));
    }
    Err(Refused::no_model(&id, &[MODEL, embedder]))
}

async fn unknown(uri: Uri) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!(
        "There is nothing at /v1{path}: there are /v1/models, /v1/chat/completions and \
         /v1/embeddings."
    );
    Refused::new(StatusCode::NOT_FOUND, message).code("unknown_url")
}

async fn not_allowed(method: Method, uri: Uri) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("/v1{path} does not accept {method}.");
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_allowed")
}
