//! What happens on the way, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Deserialize, Serialize};

use super::SourceId;

/// Something that happened on the way, for the user's eyes; each door shows it in its own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A step of a known length went on; `total` 0 means unknown.
    Progress {
        /// What is being done, as `Fetching model.safetensors`.
        task: String,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// A step ended; its progress line goes.
    Done {
        /// The same text as in `Progress`.
        task: String,
    },
    /// One line of status.
    Status(String),
    /// Something that the user should know, and was not an error.
    Warning(Warning),
}

/// What a user should know though the work goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Warning {
    /// Another process is writing the index, and is waited for.
    IndexBusy {
        /// Its process id, if it is known.
        holder: String,
    },
    /// Something in a source was mended or passed over.
    Source {
        /// Which source.
        source: SourceId,
        /// What it was.
        what: String,
    },
    /// A source was read and holds no articles.
    NoArticles(SourceId),
    /// An article or file of a source was not taken in.
    LeftOut {
        /// Which source.
        source: SourceId,
        /// What, and why.
        what: String,
    },
    /// An article has no text to index; its title.
    NoText(String),
    /// An article could not be cut, and is not in the index; its title, and why.
    NotIndexed(String),
    /// So many articles have changed since the index was made.
    Pending(usize),
    /// A word of a question that no article has was taken for a typing error.
    Mended {
        /// As it was typed.
        typed: String,
        /// As it is searched for.
        meant: String,
    },
    /// The index can't be opened, for this reason, and is built anew.
    Rebuilding(String),
    /// A source lists more feeds than are read at once.
    TooManyListed {
        /// Feeds that it lists.
        listed: usize,
        /// Feeds that are read.
        read: usize,
    },
    /// Something about a model's file.
    Model(String),
    /// A question of an evaluation failed, and the run goes on.
    Question {
        /// Its id.
        id: String,
        /// What failed.
        why: String,
    },
}

/// What a progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Items,
}

/// Where events go.
pub type Events<'a> = &'a (dyn Fn(Event) + Sync);

/// A flag that Ctrl-C raises and long work looks at between steps.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

/// States of [`Cancel`].
const DOWN: u8 = 0;
const RAISED: u8 = 1;
const RAISED_FOR_GOOD: u8 = 2;

impl Cancel {
    /// Raises the flag.
    pub fn raise(&self) {
        self.0.fetch_max(RAISED, Ordering::SeqCst);
    }

    /// Raises the flag so that it stays up: not only what is under way is to end.
    pub fn raise_for_good(&self) {
        self.0.store(RAISED_FOR_GOOD, Ordering::SeqCst);
    }

    /// Takes the flag down again, unless it was raised for good: what was stopped has ended, and
    /// other work begins.
    pub fn lower(&self) {
        let _ = self.0.compare_exchange(RAISED, DOWN, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Whether the flag is up.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst) != DOWN
    }

    /// An error of kind [`super::error::ErrorKind::Interrupted`] if the flag is up.
    pub fn check(&self) -> super::error::Result<()> {
        if self.is_raised() { Err(super::error::Error::interrupted()) } else { Ok(()) }
    }
}

/// What a long call tells on its way, and what stops it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Where events go.
    pub events: Events<'a>,
    /// Raised to stop the work.
    pub cancel: &'a Cancel,
}

impl Watch<'_> {
    /// Tells of something that the user should know.
    pub fn warn(&self, warning: Warning) {
        (self.events)(Event::Warning(warning));
    }

    /// Says one line of status.
    pub fn status(&self, text: impl Into<String>) {
        (self.events)(Event::Status(text.into()));
    }

    /// Says how far a step has come, counted in things.
    pub fn progress(&self, task: &str, done: usize, total: usize) {
        (self.events)(Event::Progress {
            task: task.to_owned(),
            done: done as u64,
            total: total as u64,
            unit: Unit::Items,
        });
    }

    /// Says that a step has ended.
    pub fn done(&self, task: &str) {
        (self.events)(Event::Done { task: task.to_owned() });
    }
}
