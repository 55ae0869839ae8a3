//! `/v1/chat/completions`: the last message answered from the articles, whole or as it comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::failure::{Refused, parsed};
use super::request::Request;
use super::said::{Annotation, Message, Piece};
use super::{MODEL, task};
use crate::answer::{Answer, Usage};
use crate::api::{AnswerShape, json as written};
use crate::base::error::{Error, ErrorKind};
use crate::retrieve::{Passage, check_question};
use crate::serve::State;
use crate::serve::api::json as answered;
use crate::serve::asking::{self, Asking, Told, kept};

/// How often something is sent while nothing is said, so that nobody between takes the connection
/// for dead.
const ALIVE: Duration = Duration::from_secs(10);

/// How long a stream waits for the first that is told, so that what fails by then has a status of its
/// own; an answer that waits in the queue may take minutes.
const SETTLED: Duration = Duration::from_secs(2);

/// What all chunks of one completion begin with.
#[derive(Clone)]
struct Head {
    id: String,
    created: i64,
    /// Whether a last chunk says what was used up; then all others say that they don't.
    wants_usage: bool,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'static str,
    choices: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wellread: Option<AnswerShape<'a>>,
}

impl Head {
    fn new(wants_usage: bool) -> Head {
        let id = format!("chatcmpl-{}", uuid::Uuid::new_v4().simple());
        Head { id, created: Timestamp::now().as_second(), wants_usage }
    }

    fn chunk(&self, choices: Value) -> Chunk<'_> {
        let usage = self.wants_usage.then_some(Value::Null);
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: MODEL,
            choices,
            usage,
            wellread: None,
        }
    }

    /// A chunk that adds to the message.
    fn delta(&self, delta: Value) -> Event {
        event(&self.chunk(json!([
            { "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }
        ])))
    }

    fn piece(&self, piece: &Piece) -> Event {
        if piece.annotations.is_empty() {
            self.delta(json!({ "content": piece.text }))
        } else {
            self.delta(json!({ "content": piece.text, "annotations": piece.annotations }))
        }
    }

    /// The chunks after the message.
    fn end(&self, shape: Option<AnswerShape<'_>>, usage: Usage) -> Vec<Event> {
        let stop = json!([
            { "index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop" }
        ]);
        let mut events = vec![event(&Chunk { wellread: shape, ..self.chunk(stop) })];
        if self.wants_usage {
            let used = Chunk { usage: Some(usage_shape(usage)), ..self.chunk(json!([])) };
            events.push(event(&used));
        }
        events.push(Event::default().data("[DONE]"));
        events
    }

    /// The whole completion.
    fn whole(
        &self,
        content: &str,
        annotations: &[Annotation],
        usage: Usage,
        shape: Option<AnswerShape<'_>>,
    ) -> Response {
        let message = json!({
            "role": "assistant",
            "content": content,
            "refusal": null,
            "annotations": annotations,
        });
        answered(&Chunk {
            object: "chat.completion",
            usage: Some(usage_shape(usage)),
            wellread: shape,
            ..self.chunk(json!([
                { "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }
            ]))
        })
    }
}

fn usage_shape(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    })
}

fn event(value: &impl Serialize) -> Event {
    match written::line(value) {
        Ok(data) => Event::default().data(data),
        Err(error) => failed(error),
    }
}

/// The end of a stream that failed: clients raise it as an error.
fn failed(error: Error) -> Event {
    let shape = Refused::from(error).shape();
    Event::default().data(written::line(&shape).unwrap_or_default())
}

pub(super) async fn complete(
    Extract(state): Extract<State>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let request: Request = parsed(body)?;
    let asked = request.asked()?;
    let head = Head::new(request.wants_usage());
    let streams = request.stream == Some(true);
    if let Some(answer) = task::answer(&asked.question) {
        let piece = Piece { text: answer, annotations: Vec::new() };
        if !streams {
            return Ok(head.whole(&piece.text, &[], Usage::default(), None));
        }
        let mut events = vec![begin(&head), head.piece(&piece)];
        events.extend(head.end(None, Usage::default()));
        return Ok(sse(stream::iter(events.into_iter().map(Ok::<_, Infallible>))));
    }
    let question = check_question(&asked.question)?.to_owned();
    let queue = state.kb.config().serve.queue;
    let wanted = asking::Wanted {
        question: question.clone(),
        turns: asked.turns,
        ..asking::Wanted::default()
    };
    let asking = asking::ask(&state, wanted, queue).ok_or_else(|| Refused::busy(queue))?;
    if streams {
        return streamed(state, head, question, asking).await;
    }
    let answer = asking.answer().await?;
    let id = kept(&state, &question, &answer).await;
    let (mut content, mut annotations) = (String::new(), Vec::new());
    for piece in Message::default().rest(&answer) {
        content.push_str(&piece.text);
        annotations.extend(piece.annotations);
    }
    let shape = shape(&state, &question, &answer, id);
    Ok(head.whole(&content, &annotations, answer.usage, Some(shape)))
}

fn begin(head: &Head) -> Event {
    head.delta(json!({ "role": "assistant", "content": "" }))
}

fn shape<'a>(
    state: &'a State,
    question: &'a str,
    answer: &'a Answer,
    id: Option<i64>,
) -> AnswerShape<'a> {
    let model = &state.kb.config().models.generator;
    AnswerShape { id, ..AnswerShape::new(question, model, answer) }
}

/// An answer on its way to a client.
struct Streamed {
    state: State,
    head: Head,
    question: String,
    asking: Asking,
    message: Message,
    passages: Vec<Passage>,
    /// Events that are there already.
    ready: VecDeque<Event>,
    is_over: bool,
}

/// The answer as it comes; whoever stops reading it stops it. What fails at once has a status of its
/// own.
async fn streamed(
    state: State,
    head: Head,
    question: String,
    mut asking: Asking,
) -> Result<Response, Refused> {
    let first = match tokio::time::timeout(SETTLED, asking.next()).await {
        Ok(Some(Told::Failed(error))) => return Err(error.into()),
        first => first.ok(),
    };
    let ready = VecDeque::from([begin(&head)]);
    let mut streamed = Streamed {
        state,
        head,
        question,
        asking,
        message: Message::default(),
        passages: Vec::new(),
        ready,
        is_over: false,
    };
    if let Some(first) = first {
        streamed.hear(first).await;
    }
    Ok(sse(stream::unfold(streamed, |mut streamed| async {
        loop {
            if let Some(event) = streamed.ready.pop_front() {
                return Some((Ok::<_, Infallible>(event), streamed));
            }
            if streamed.is_over {
                return None;
            }
            let told = streamed.asking.next().await;
            streamed.hear(told).await;
        }
    })))
}

impl Streamed {
    /// Makes events of what is told.
    async fn hear(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Standalone(_) | Told::Quotes(_) | Told::Dropped(_)) => {}
            Some(Told::Passages(passages)) => self.passages = passages,
            Some(Told::Sentence(sentence)) => {
                let piece = self.message.sentence(&sentence, &self.passages);
                self.ready.push_back(self.head.piece(&piece));
            }
            Some(Told::Done(answer)) => {
                let id = kept(&self.state, &self.question, &answer).await;
                for piece in self.message.rest(&answer) {
                    self.ready.push_back(self.head.piece(&piece));
                }
                let shape = shape(&self.state, &self.question, &answer, id);
                self.ready.extend(self.head.end(Some(shape), answer.usage));
                self.is_over = true;
            }
            Some(Told::Failed(error)) => {
                self.ready.push_back(failed(error));
                self.is_over = true;
            }
            None => {
                let error = Error::new(ErrorKind::Bug, "the answer ended prematurely");
                self.ready.push_back(failed(error));
                self.is_over = true;
            }
        }
    }
}

fn sse(
    events: impl futures_util::Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Response {
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE));
    ([unbuffered], events).into_response()
}
