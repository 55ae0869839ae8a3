//! `/health` and `/metrics`.

use axum::Router;
use axum::extract::State as Extract;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::State;
use super::api::json;

/// That it is alive, without a look at library or index.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    answers_wanted: usize,
}

/// Its routes.
pub fn router(state: &State) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(State::clone(state))
}

async fn health(Extract(state): Extract<State>) -> Response {
    let status = if state.stop.is_raised() { "stopping" } else { "ok" };
    let version = env!("CARGO_PKG_VERSION");
    json(&Health { status, version, answers_wanted: state.answers_wanted() })
}

async fn metrics(Extract(state): Extract<State>) -> Response {
    let queue = state.kb.config().serve.queue;
    let text = state.metrics.text(state.answers_wanted(), queue, &state.kb.caches());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
