//! The HTTP door: an API, an OpenAI-compatible one, MCP and a page over one warm engine.

pub mod asking;
pub mod guard;
pub mod metrics;
pub mod run;
pub mod syncing;

mod api;
mod health;
mod io;
pub mod local;
pub mod mcp;
mod openai;
mod page;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::api::{StatusShape, SyncShape};
use crate::base::error::Result;
use crate::base::{Cancel, Event, Watch};
use crate::engine::{KnowledgeBase, Question};
use crate::retrieve::Retrieved;
use guard::Guard;
use metrics::{Metrics, Stage};

/// Searches that are computed at the same time, for each processor.
const SEARCHES_PER_CPU: usize = 2;

/// Calls that look into the library at the same time, each on a thread and a connection of its own.
const LOOKS: usize = 8;

/// Calls that compute for long at the same time.
const AT_LENGTH: usize = 2;

/// No wait is longer, whatever is set.
const DAY_SECS: u64 = 24 * 60 * 60;

/// What all requests share.
pub struct Shared {
    /// The knowledge base.
    pub kb: KnowledgeBase,
    /// Raised when the server is to stop.
    pub stop: Cancel,
    /// Answers that are wanted at the moment: written, and waiting to be.
    pub(crate) wanted: std::sync::atomic::AtomicUsize,
    /// Who may ask.
    pub guard: Guard,
    /// What is counted.
    pub metrics: Metrics,
    /// How the reading of sources goes.
    pub sync: Mutex<SyncShape>,
    /// Since when it is served.
    pub started_at: Timestamp,
    /// Where events go that no single request waits for.
    pub(crate) events: Box<dyn Fn(Event) + Send + Sync>,
    /// Bounds how many calls compute at once.
    pub(crate) computing: Arc<Semaphore>,
    /// Bounds how many calls look into the library at once.
    pub(crate) looking: Arc<Semaphore>,
    /// Bounds how many calls compute for long at once.
    pub(crate) at_length: Arc<Semaphore>,
}

/// [`Shared`], by every request.
pub type State = Arc<Shared>;

impl Shared {
    /// Of a knowledge base, for whoever can reach it: a process's own standard input and output.
    pub fn new(kb: KnowledgeBase) -> State {
        Shared::with(kb, Guard::default(), |_| {})
    }

    /// Of a knowledge base, for those that a guard lets in; events that no single request waits for
    /// go to `events`.
    pub fn with(
        kb: KnowledgeBase,
        guard: Guard,
        events: impl Fn(Event) + Send + Sync + 'static,
    ) -> State {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let sync =
            SyncShape { every_minutes: kb.config().serve.sync_every, ..SyncShape::default() };
        Arc::new(Shared {
            kb,
            stop: Cancel::default(),
            wanted: Default::default(),
            guard,
            metrics: Metrics::default(),
            sync: Mutex::new(sync),
            started_at: Timestamp::now(),
            events: Box::new(events),
            computing: Arc::new(Semaphore::new(cpus * SEARCHES_PER_CPU)),
            looking: Arc::new(Semaphore::new(LOOKS)),
            at_length: Arc::new(Semaphore::new(AT_LENGTH)),
        })
    }

    /// A search, whose time is counted.
    ///
    /// # Errors
    /// As [`KnowledgeBase::search`].
    pub(crate) fn search(
        &self,
        question: &Question<'_>,
        limit: usize,
        watch: &Watch<'_>,
    ) -> Result<Retrieved> {
        let start = Instant::now();
        let found = self.kb.search(question, limit, watch)?;
        self.metrics.took(Stage::Search, start.elapsed());
        Ok(found)
    }

    /// How the reading of sources goes.
    pub fn sync_status(&self) -> SyncShape {
        self.sync.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the knowledge base and its server stand.
    ///
    /// # Errors
    /// If library or index can't be read.
    pub fn status(&self) -> Result<StatusShape> {
        StatusShape::of(&self.kb, self.started_at, self.answers_wanted(), self.sync_status())
    }

    /// Answers that are written, and that wait to be.
    pub fn answers_wanted(&self) -> usize {
        self.wanted.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// All routes.
pub fn router(state: &State) -> Router {
    routes(state)
        .layer(from_fn_with_state(State::clone(state), guard::take_body))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(State::clone(state), guard::check))
        .layer(from_fn_with_state(State::clone(state), metrics::count))
}

/// All routes for the socket of the data folder, which only its owner can reach, and those that are
/// for it alone.
#[cfg(unix)]
fn local_router(state: &State) -> Router {
    routes(state)
        .merge(local::router(state))
        .layer(from_fn_with_state(State::clone(state), guard::take_body))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(State::clone(state), metrics::count))
}

/// All routes, with nobody before them.
fn routes(state: &State) -> Router {
    Router::new()
        .merge(page::router(state))
        .merge(health::router(state))
        .nest("/api", api::router(state))
        .nest("/v1", openai::router(state))
        .nest("/mcp", mcp::router(state))
}
