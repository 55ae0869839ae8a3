//! `/api/ask`: the whole answer, or what it tells on its way as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::search::understood;
use super::{Failure, Json, busy, json};
use crate::answer::AnswerStatus;
use crate::answer::conversation::Turn;
use crate::api::{
    AbstainedShape, AnswerShape, ErrorShape, FilterWords, PassagesShape, QuotesShape,
    StandaloneShape, TurnWords, json as written,
};
use crate::base::error::{Error, Result};
use crate::retrieve::check_question;
use crate::serve::State;
use crate::serve::asking::{self, Asking, Told, kept, looking};

/// How often something is sent while nothing is said, so that nobody between takes the connection
/// for dead.
const ALIVE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    question: String,
    #[serde(default)]
    quotes: bool,
    #[serde(default)]
    filter: FilterWords,
    /// What was asked and answered before, in order.
    #[serde(default)]
    turns: Vec<TurnWords>,
}

pub(super) async fn ask(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Failure> {
    let question = check_question(&wanted.question)?.to_owned();
    let filter = looking(&state, move |kb, _| understood(kb, &wanted.filter)).await?;
    let options = &state.kb.config().serve;
    let asked = asking::Wanted {
        question: question.clone(),
        filter,
        turns: wanted.turns.into_iter().map(Turn::from).collect(),
        quotes_only: wanted.quotes,
    };
    let Some(asking) = asking::ask(&state, asked, options.queue) else {
        return Ok(busy(options.queue));
    };
    if wants_events(&headers) {
        return Ok(events(state, question, asking));
    }
    let answer = asking.answer().await?;
    let id = kept(&state, &question, &answer).await;
    let model = &state.kb.config().models.generator;
    Ok(json(&AnswerShape { id, ..AnswerShape::new(&question, model, &answer) }))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// What an answer tells on its way, as events; whoever stops reading them stops the answer.
fn events(state: State, question: String, asking: Asking) -> Response {
    let told = stream::unfold(Some((state, question, asking, None)), |at| async {
        let (state, question, mut asking, waiting) = at?;
        // An abstention is two events.
        let is_said = waiting.is_some();
        let told: Told = match waiting {
            Some(told) => told,
            None => asking.next().await?,
        };
        let (event, next) = match told {
            Told::Standalone(text) => {
                (event("standalone", &StandaloneShape { standalone: &text }), true)
            }
            Told::Passages(passages) => (event("passages", &PassagesShape::new(&passages)), true),
            Told::Quotes(quotes) => (event("quotes", &QuotesShape { quotes: &quotes }), true),
            Told::Sentence(sentence) => (event("sentence", &sentence), true),
            Told::Dropped(sentence) => (event("dropped", &sentence), true),
            Told::Done(answer) if !is_said && answer.status == AnswerStatus::Abstained => {
                let abstained =
                    event("abstained", &AbstainedShape { abstain_reason: answer.abstain_reason });
                let rest = Some((state, question, asking, Some(Told::Done(answer))));
                return Some((Ok(abstained), rest));
            }
            Told::Failed(error) => (event("error", &ErrorShape::new(&error)), false),
            Told::Done(answer) => {
                let id = kept(&state, &question, &answer).await;
                let model = &state.kb.config().models.generator;
                let shape = AnswerShape { id, ..AnswerShape::new(&question, model, &answer) };
                (event("done", &shape), false)
            }
        };
        Some((Ok::<_, Infallible>(event), next.then_some((state, question, asking, None))))
    });
    let events = Sse::new(told).keep_alive(KeepAlive::new().interval(ALIVE));
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    ([unbuffered], events).into_response()
}

/// An event with its value as one line of JSON.
fn event(name: &str, value: &impl Serialize) -> Event {
    match written::line(value) {
        Ok(data) => Event::default().event(name).data(data),
        Err(error) => Event::default().event("error").data(failed(&error)),
    }
}

fn failed(error: &Error) -> String {
    written::line(&ErrorShape::new(error)).unwrap_or_default()
}
