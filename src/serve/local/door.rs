//! The server's end.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream;
use tokio::sync::mpsc;

use super::{Failed, Found, Handed, Line, settings};
use crate::answer::Said;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Watch};
use crate::engine::Question;
use crate::serve::api::{Json, failure};
use crate::serve::{Shared, State, asking};
use crate::source::fetch::Source;

/// Lines that wait for a slow listener before the answer does.
const WAITING: usize = 64;

/// Its routes, for the socket alone.
pub(in crate::serve) fn router(state: &State) -> Router {
    Router::new()
        .route("/local/ask", post(ask))
        .route("/local/search", post(search))
        .with_state(State::clone(state))
}

/// What is told, as long as somebody listens.
struct Telling {
    lines: mpsc::Receiver<Line>,
    cancel: Cancel,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.cancel.raise();
    }
}

type Tell<'a> = &'a (dyn Fn(Line) -> Result<()> + Sync);

async fn ask(Extract(state): Extract<State>, Json(handed): Json<Handed>) -> Response {
    let queue = state.kb.config().serve.queue;
    let place = match handed.settings == settings(state.kb.config()) {
        false => return other_settings(),
        // Quotes are a search, and wait with the searches.
        true if handed.quotes_only => None,
        true => match asking::place(&state, queue) {
            Some(place) => Some(place),
            None => return crate::serve::api::busy(queue),
        },
    };
    let permit = if place.is_none() { asking::computing(&state).await.ok() } else { None };
    telling(state, move |shared, watch, tell| {
        let outcome = answered(shared, &handed, watch, tell);
        drop((place, permit));
        outcome
    })
}

async fn search(Extract(state): Extract<State>, Json(handed): Json<Handed>) -> Response {
    if handed.settings != settings(state.kb.config()) {
        return other_settings();
    }
    let permit = asking::computing(&state).await.ok();
    telling(state, move |shared, watch, _| {
        let _permit = permit;
        let sources = sources(&handed)?;
        let question = Question { text: &handed.text, filter: &handed.filter, sources: &sources };
        Ok(Line::Found(Found::new(shared.search(&question, handed.limit, watch)?)))
    })
}

/// That the one who asks has to answer for itself.
fn other_settings() -> Response {
    let error = Error::new(ErrorKind::Config, "the server has other settings");
    failure(StatusCode::CONFLICT, &error)
}

fn sources(handed: &Handed) -> Result<Vec<Source>> {
    handed.sources.iter().map(|name| Source::of_name(name)).collect()
}

fn answered(shared: &Shared, handed: &Handed, watch: &Watch<'_>, tell: Tell<'_>) -> Result<Line> {
    let sources = sources(handed)?;
    let question = Question { text: &handed.text, filter: &handed.filter, sources: &sources };
    let mut on_said = |said: Said<'_>| {
        tell(match said {
            Said::Standalone(text) => Line::Standalone(text.to_owned()),
            Said::Passages(passages) => Line::Passages(passages.to_vec()),
            Said::Quotes(quotes) => Line::Quotes(quotes.to_vec()),
            Said::Sentence(sentence) => Line::Sentence(sentence.clone()),
            Said::Dropped(sentence) => Line::Dropped(sentence.clone()),
        })
    };
    let outcome = match &handed.schema {
        _ if handed.quotes_only => shared.kb.quote(&question, watch),
        Some(schema) => shared.kb.fill(&question, schema, watch, &mut on_said),
        None => shared.kb.ask(&question, watch, &mut on_said),
    };
    shared.metrics.ended(&outcome);
    outcome.map(|answer| Line::Answer(Box::new(answer)))
}

/// Runs a call in a thread of its own, and tells what it tells, line by line.
fn telling(
    state: State,
    call: impl FnOnce(&Shared, &Watch<'_>, Tell<'_>) -> Result<Line> + Send + 'static,
) -> Response {
    let (sender, lines) = mpsc::channel(WAITING);
    let cancel = Cancel::default();
    let stop = cancel.clone();
    tokio::task::spawn_blocking(move || {
        let tell = |line: Line| sender.blocking_send(line).map_err(|_| Error::interrupted());
        let events = |event: Event| {
            // A listener that has gone is noticed elsewhere.
            let _ = tell(Line::Event(event));
        };
        let watch = Watch { events: &events, cancel: &stop };
        let last =
            call(&state, &watch, &tell).unwrap_or_else(|error| Line::Failed(Failed::new(&error)));
        let _ = tell(last);
    });
    let telling = Telling { lines, cancel };
    let body = stream::unfold(telling, |mut telling| async {
        let line = telling.lines.recv().await?;
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        Some((Ok::<_, Infallible>(bytes), telling))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}
