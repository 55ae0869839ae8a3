//! A question put to the engine from an asynchronous door: a thread of its own answers it, what it
//! says comes as a stream, and whoever stops listening stops it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Shared, State};
use crate::answer::conversation::{Turn, each_alone};
use crate::answer::{Answer, AnswerSentence, DroppedSentence, Quote, Said};
use crate::api::keep;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Filter, Watch};
use crate::engine::{KnowledgeBase, Question};
use crate::retrieve::Passage;

/// Events that wait for a slow listener before the answer does.
const WAITING: usize = 64;

/// A question with all that belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// As the user put it.
    pub question: String,
    /// Which chunks may be found.
    pub filter: Filter,
    /// What was asked and answered before, in order; empty: nothing. What a follow-up among it was
    /// searched for is found where it isn't known.
    pub turns: Vec<Turn>,
    /// Whether the sentences that answer best are enough, so that no LLM is asked.
    pub quotes_only: bool,
}

/// What an answer tells on its way.
#[derive(Debug)]
pub enum Told {
    /// The follow-up as it is searched for.
    Standalone(String),
    /// The sections that are read.
    Passages(Vec<Passage>),
    /// The sentences of them that answer best.
    Quotes(Vec<Quote>),
    /// A sentence that holds.
    Sentence(AnswerSentence),
    /// A sentence that was taken out.
    Dropped(DroppedSentence),
    /// The end: the whole answer.
    Done(Box<Answer>),
    /// The end: it failed.
    Failed(Error),
}

/// An answer that is on its way; dropping it stops the answer.
#[derive(Debug)]
pub struct Asking {
    told: mpsc::Receiver<Told>,
    is_over: bool,
    cancel: Cancel,
}

impl Asking {
    /// What comes next; `None` after [`Told::Done`] or [`Told::Failed`], one of which always comes.
    pub async fn next(&mut self) -> Option<Told> {
        if self.is_over {
            return None;
        }
        let told = self.told.recv().await.unwrap_or_else(|| {
            Told::Failed(Error::new(ErrorKind::Bug, "the answer ended prematurely"))
        });
        self.is_over = matches!(told, Told::Done(_) | Told::Failed(_));
        Some(told)
    }

    /// The whole answer, what comes before it passed over.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn answer(mut self) -> Result<Answer> {
        loop {
            match self.next().await {
                Some(Told::Done(answer)) => return Ok(*answer),
                Some(Told::Failed(error)) => return Err(error),
                _ => {}
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.cancel.raise();
    }
}

/// Counts an answer as wanted while it is.
pub(super) struct Place(State);

/// A place among the answers that are wanted; `None` if more than `queue` have one already.
pub(super) fn place(state: &State, queue: usize) -> Option<Place> {
    if state.wanted.fetch_add(1, Ordering::SeqCst) > queue {
        state.wanted.fetch_sub(1, Ordering::SeqCst);
        state.metrics.refused();
        return None;
    }
    Some(Place(State::clone(state)))
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has a question answered; `None` if it needs the LLM and more than `queue` answers that do are wanted
/// already.
pub fn ask(state: &State, wanted: Wanted, queue: usize) -> Option<Asking> {
    // Quotes are a search, and wait with the searches.
    let place = if wanted.quotes_only { None } else { Some(place(state, queue)?) };
    let (sender, told) = mpsc::channel(WAITING);
    let cancel = Cancel::default();
    let (stop, state) = (cancel.clone(), State::clone(state));
    tokio::spawn(async move {
        let permit = if place.is_none() { computing(&state).await.ok() } else { None };
        tokio::task::spawn_blocking(move || {
            let tell = |told: Told| sender.blocking_send(told).map_err(|_| Error::interrupted());
            let wanted = Wanted { turns: each_alone(wanted.turns), ..wanted };
            let outcome = answered(&state, &wanted, &stop, &tell);
            state.metrics.ended(&outcome);
            // A listener that has gone needs no end.
            let _ = match outcome {
                Ok(answer) => tell(Told::Done(Box::new(answer))),
                Err(error) => tell(Told::Failed(error)),
            };
            drop((place, permit));
        });
    });
    Some(Asking { told, is_over: false, cancel })
}

/// Keeps an answer in the library; its number. An answer that can't be kept is still given.
pub(super) async fn kept(state: &State, question: &str, answer: &Answer) -> Option<i64> {
    let (question, answer) = (question.to_owned(), answer.clone());
    looking(state, move |kb, _| keep(kb, None, &question, &answer)).await.ok().flatten()
}

fn answered(
    shared: &Shared,
    wanted: &Wanted,
    stop: &Cancel,
    tell: &dyn Fn(Told) -> Result<()>,
) -> Result<Answer> {
    let watch = Watch { events: &|_: Event| {}, cancel: stop };
    let question = Question { text: &wanted.question, filter: &wanted.filter, sources: &[] };
    if wanted.quotes_only {
        return shared.kb.quote_in(&question, &wanted.turns, &watch);
    }
    shared.kb.ask_in(&question, &wanted.turns, &watch, &mut |said| {
        tell(match said {
            Said::Standalone(text) => Told::Standalone(text.to_owned()),
            Said::Passages(passages) => Told::Passages(passages.to_vec()),
            Said::Quotes(quotes) => Told::Quotes(quotes.to_vec()),
            Said::Sentence(sentence) => Told::Sentence(sentence.clone()),
            Said::Dropped(sentence) => Told::Dropped(sentence.clone()),
        })
    })
}

/// A place among the calls that compute at the same time: more would only wait for each other.
///
/// # Errors
/// Never, as long as the server runs.
pub(super) async fn computing(state: &State) -> Result<OwnedSemaphorePermit> {
    place_in(&state.computing).await
}

async fn place_in(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    Arc::clone(places).acquire_owned().await.map_err(|error| {
        Error::new(ErrorKind::Interrupted, "the server is stopping").caused_by(error)
    })
}

/// Raises a flag when it is dropped.
struct StopsOnDrop(Cancel);

impl Drop for StopsOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Runs a call on the knowledge base that blocks, away from the threads that serve; whoever stops
/// waiting for it stops it.
///
/// # Errors
/// What it fails with.
pub async fn blocking<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    within(state, computing(state).await?, call).await
}

/// As [`blocking`], for a call that only looks into the library: it doesn't wait for those that
/// compute.
///
/// # Errors
/// What it fails with.
pub async fn looking<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    within(state, place_in(&state.looking).await?, call).await
}

/// As [`blocking`], for a call that may compute for minutes: few at a time, and no others wait for
/// them.
///
/// # Errors
/// What it fails with.
pub async fn at_length<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    within(state, place_in(&state.at_length).await?, call).await
}

async fn within<T: Send + 'static>(
    state: &State,
    permit: OwnedSemaphorePermit,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let waiting = StopsOnDrop(Cancel::default());
    let (state, cancel) = (State::clone(state), waiting.0.clone());
    let outcome = tokio::task::spawn_blocking(move || {
        let outcome = call(&state.kb, &Watch { events: &|_: Event| {}, cancel: &cancel });
        drop(permit);
        outcome
    });
    outcome.await.map_err(|error| {
        Error::new(ErrorKind::Bug, "a request ended by a panic").caused_by(error)
    })?
}
