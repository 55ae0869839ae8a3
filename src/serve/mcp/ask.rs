//! The tool that takes its time: it tells how far it is, ends with its request, and gives what it has
//! once its time is up.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, JsonObject, ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::arguments::{understood, with_filter};
use super::calls::{linked, structured};
use crate::answer::{Answer, AnswerSentence, DroppedSentence};
use crate::api::{AnswerShape, FilterWords};
use crate::base::error::{Error, ErrorKind, Result};
use crate::engine::Question;
use crate::retrieve::{Passage, check_question};
use crate::serve::asking::{self, Asking, Told, blocking, kept, looking};
use crate::serve::{DAY_SECS, State};

/// How often it is told that the work goes on, where nothing else is.
const ALIVE: Duration = Duration::from_secs(10);
/// What quotes may take once the time of the answer is up.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    question: String,
    #[serde(default)]
    quotes: bool,
}

/// An answer, and whether all of it is there.
#[derive(Serialize)]
struct AskedShape<'a> {
    #[serde(flatten)]
    answer: AnswerShape<'a>,
    partial: bool,
    note: Option<String>,
}

pub(super) async fn ask(
    state: &State,
    arguments: JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult> {
    let (Ask { question, quotes }, words): (Ask, FilterWords) = with_filter(arguments)?;
    let question = check_question(&question)?.to_owned();
    let filter = looking(state, move |kb, _| understood(kb, &words)).await?;
    let options = &state.kb.config().serve;
    let wanted = asking::Wanted {
        question: question.clone(),
        filter: filter.clone(),
        turns: Vec::new(),
        quotes_only: quotes,
    };
    let Some(asking) = asking::ask(state, wanted, options.queue) else {
        return Err(Error::new(
            ErrorKind::Locked,
            format!("{} answers are waiting for the LLM already", options.queue),
        )
        .hint("ask again in some seconds, or with quotes, which need no LLM"));
    };
    let budget = Duration::from_secs(options.mcp_secs.min(DAY_SECS));
    match listen(asking, budget, Progress::of(context), context).await? {
        Heard::All(answer) => {
            let id = kept(state, &question, &answer).await;
            result(state, &question, &answer, id, None)
        }
        Heard::Some { passages, sentences, dropped } => {
            let shown = question.clone();
            let quoted = blocking(state, move |kb, watch| {
                kb.quote(&Question { text: &shown, filter: &filter, sources: &[] }, watch)
            });
            let answer = tokio::select! {
                answer = quoted => answer?,
                () = context.ct.cancelled() => return Err(cancelled()),
                () = sleep(GRACE) => return Err(Error::new(
                    ErrorKind::Interrupted,
                    format!("nothing was found within {} seconds", options.mcp_secs),
                )
                .hint("ask again: what is being built or loaded may be there by then")),
            };
            let (answer, what) = if sentences.is_empty() {
                let what = "the LLM had not answered, so these are the articles' own sentences";
                (answer, what)
            } else {
                let answer = answer.with_checked(passages, sentences, dropped);
                (answer, "this is what had been checked of the answer by then")
            };
            let note = format!("time was up after {} seconds: {what}", options.mcp_secs);
            result(state, &question, &answer, None, Some(note))
        }
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Interrupted, "the request was cancelled")
}

fn result(
    state: &State,
    question: &str,
    answer: &Answer,
    id: Option<i64>,
    note: Option<String>,
) -> Result<CallToolResult> {
    let model = &state.kb.config().models.generator;
    let shape = AnswerShape { id, ..AnswerShape::new(question, model, answer) };
    let partial = note.is_some();
    let result = structured(&AskedShape { answer: shape, partial, note })?;
    let cited = answer.sentences.iter().flat_map(|sentence| &sentence.citations);
    let cited = cited.filter_map(|n| answer.passages.iter().find(|passage| passage.n == *n));
    Ok(linked(result, cited.map(|passage| (&passage.article.id, &*passage.article.title))))
}

/// What was told before the end.
enum Heard {
    /// The whole answer.
    All(Box<Answer>),
    /// What there was when time was up.
    Some { passages: Vec<Passage>, sentences: Vec<AnswerSentence>, dropped: Vec<DroppedSentence> },
}

/// Listens until the answer's end, or the end of its time or of its request, which stop it.
async fn listen(
    mut asking: Asking,
    budget: Duration,
    mut progress: Progress<'_>,
    context: &RequestContext<RoleServer>,
) -> Result<Heard> {
    let start = Instant::now();
    let (mut passages, mut sentences, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    let mut alive = interval_at(start + ALIVE, ALIVE);
    loop {
        let told = tokio::select! {
            told = asking.next() => told,
            () = context.ct.cancelled() => {
                return Err(cancelled());
            }
            () = sleep_until(start + budget) => {
                return Ok(Heard::Some { passages, sentences, dropped });
            }
            _ = alive.tick() => {
                let seconds = start.elapsed().as_secs();
                progress.tell(format!("Reading for {seconds} seconds")).await;
                continue;
            }
        };
        match told {
            Some(Told::Standalone(_)) => {}
            Some(Told::Passages(found)) => {
                progress.tell(format!("Found {} sections", found.len())).await;
                passages = found;
            }
            Some(Told::Quotes(quotes)) => {
                let best = quotes.first().map(|quote| format!("“{}”", quote.text));
                progress.tell(best.unwrap_or_else(|| "Reading".to_owned())).await;
            }
            Some(Told::Sentence(sentence)) => {
                progress.tell(sentence.text.clone()).await;
                sentences.push(sentence);
            }
            Some(Told::Dropped(sentence)) => dropped.push(sentence),
            Some(Told::Done(answer)) => return Ok(Heard::All(answer)),
            Some(Told::Failed(error)) => return Err(error),
            // One of the two above has come.
            None => return Err(cancelled()),
        }
    }
}

/// Tells a client how far its request is, if it wants to know.
struct Progress<'a> {
    token: Option<ProgressToken>,
    context: &'a RequestContext<RoleServer>,
    steps: u32,
}

impl<'a> Progress<'a> {
    fn of(context: &'a RequestContext<RoleServer>) -> Progress<'a> {
        Progress { token: context.meta.get_progress_token(), context, steps: 0 }
    }

    async fn tell(&mut self, message: String) {
        let Some(token) = &self.token else { return };
        self.steps += 1;
        let step = ProgressNotificationParam::new(token.clone(), f64::from(self.steps))
            .with_message(message);
        // A client that has gone is noticed by its request.
        let _ = self.context.peer.notify_progress(step).await;
    }
}
