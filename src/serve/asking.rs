//! A question put to the engine from an asynchronous door: a thread of its own answers it, what it
//! says comes as a stream, and whoever stops listening stops it.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::{Shared, State};
use crate::answer::conversation::Turn;
use crate::answer::{Answer, AnswerSentence, DroppedSentence, Quote, Said};
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
    /// What was asked and answered before, in order; empty: nothing.
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
    cancel: Cancel,
}

impl Asking {
    /// What comes next; `None` after [`Told::Done`] or [`Told::Failed`].
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// The whole answer, what comes before it passed over.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn answer(mut self) -> Result<Answer> {
        while let Some(told) = self.next().await {
            match told {
                Told::Done(answer) => return Ok(*answer),
                Told::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Err(Error::new(ErrorKind::Bug, "the answer ended without an end"))
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

/// Has a question answered; `None` if more than `queue` answers are wanted already.
pub fn ask(state: &State, wanted: Wanted, queue: usize) -> Option<Asking> {
    let place = place(state, queue)?;
    let (sender, told) = mpsc::channel(WAITING);
    let cancel = Cancel::default();
    let stop = cancel.clone();
    tokio::task::spawn_blocking(move || {
        let tell = |told: Told| sender.blocking_send(told).map_err(|_| Error::interrupted());
        let outcome = answered(&place.0, &wanted, &stop, &tell);
        place.0.metrics.ended(&outcome);
        let last = match outcome {
            Ok(answer) => Told::Done(Box::new(answer)),
            Err(error) => Told::Failed(error),
        };
        // A listener that has gone needs no end.
        let _ = tell(last);
        drop(place);
    });
    Some(Asking { told, cancel })
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

/// Runs a call on the knowledge base that blocks, away from the threads that serve.
///
/// # Errors
/// What it fails with.
pub async fn blocking<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let state = State::clone(state);
    // More at once would only wait for each other.
    let permit = state.computing.acquire().await;
    let permit = permit.map_err(|error| {
        Error::new(ErrorKind::Interrupted, "the server is stopping").caused_by(error)
    })?;
    let running = State::clone(&state);
    let outcome = tokio::task::spawn_blocking(move || {
        let state = running;
        let watch = Watch { events: &|_: Event| {}, cancel: &state.stop };
        call(&state.kb, &watch)
    })
    .await;
    drop(permit);
    outcome.map_err(|error| {
        Error::new(ErrorKind::Bug, "a request ended by a panic").caused_by(error)
    })?
}
