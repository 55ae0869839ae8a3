//! The HTTP door: an API, an OpenAI-compatible one, MCP and a page over one warm engine.

pub mod asking;

mod api;
pub mod mcp;
mod openai;
mod page;

use std::sync::Arc;

use crate::base::Cancel;
use crate::engine::KnowledgeBase;

/// What all requests share.
pub struct Shared {
    /// The knowledge base.
    pub kb: KnowledgeBase,
    /// Raised when the server is to stop.
    pub stop: Cancel,
    /// Answers that are wanted at the moment: written, and waiting to be.
    pub(crate) wanted: std::sync::atomic::AtomicUsize,
}

/// [`Shared`], by every request.
pub type State = Arc<Shared>;

impl Shared {
    /// Of a knowledge base.
    pub fn new(kb: KnowledgeBase) -> State {
        Arc::new(Shared { kb, stop: Cancel::default(), wanted: Default::default() })
    }
}

/// All routes.
pub fn router(state: &State) -> axum::Router {
    axum::Router::new()
        .merge(page::router(state))
        .nest("/api", api::router(state))
        .nest("/v1", openai::router(state))
        .nest("/mcp", mcp::router(state))
}
