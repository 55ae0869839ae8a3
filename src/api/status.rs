//! The JSON shape of how a knowledge base that is served stands.

use jiff::Timestamp;
use serde::Serialize;

use super::IndexShape;
use crate::base::error::Result;
use crate::engine::KnowledgeBase;

/// How a knowledge base that is served stands.
#[derive(Debug, Serialize)]
pub struct StatusShape {
    /// Of wellread.
    pub version: &'static str,
    /// Since when it is served.
    pub started_at: Timestamp,
    /// Sources that are followed.
    pub sources: usize,
    /// Those of them whose last reading failed.
    pub failing: usize,
    /// Articles.
    pub articles: usize,
    /// The index.
    pub index: IndexShape,
    /// Which embedder finds.
    pub embedder: String,
    /// Which LLM answers.
    pub generator: String,
    /// Whether the network is left alone.
    pub offline: bool,
    /// Answers that are being written or wait for it.
    pub answers_wanted: usize,
    /// How the reading of sources goes.
    pub sync: SyncShape,
}

/// How the reading of sources goes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncShape {
    /// Minutes between two readings; 0: they are not read.
    pub every_minutes: u64,
    /// Whether they are being read.
    pub running: bool,
    /// When the last reading ended.
    pub last: Option<Timestamp>,
    /// When they are read next.
    pub next: Option<Timestamp>,
    /// Articles that the last reading brought.
    pub added: usize,
    /// Articles that it found changed.
    pub changed: usize,
    /// What failed at the last reading, one line each.
    pub failures: Vec<String>,
}

impl StatusShape {
    /// How a knowledge base stands.
    ///
    /// # Errors
    /// If library or index can't be read.
    pub fn of(
        kb: &KnowledgeBase,
        started_at: Timestamp,
        answers_wanted: usize,
        sync: SyncShape,
    ) -> Result<StatusShape> {
        let (sources, articles) = match kb.existing_library()? {
            Some(library) => (library.sources()?, library.article_count()?),
            None => (Vec::new(), 0),
        };
        let config = kb.config();
        Ok(StatusShape {
            version: env!("CARGO_PKG_VERSION"),
            started_at,
            failing: sources.iter().filter(|source| source.error.is_some()).count(),
            sources: sources.len(),
            articles,
            index: IndexShape::of(kb)?,
            embedder: config.models.embedder.clone(),
            generator: config.models.generator.clone(),
            offline: config.offline,
            answers_wanted,
            sync,
        })
    }
}
