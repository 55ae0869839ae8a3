//! What tests need one of, whichever it is.

use uuid::Uuid;

use super::Passage;
use crate::base::{ChunkId, DocumentId, Hit, Scores, samples::article};

/// A hit, told from others by its chunk.
pub fn hit(chunk: u128) -> Hit {
    Hit {
        chunk_id: ChunkId(Uuid::from_u128(chunk)),
        article: article("T"),
        revision: 1,
        document: DocumentId("d".into()),
        section: 0,
        ordinal: 0,
        heading_path: vec![],
        range: 0..1,
        text: "x".into(),
        score: 0.0,
        scores: Scores::default(),
    }
}

/// A passage that is a whole document.
pub fn passage(n: usize, text: &str) -> Passage {
    Passage {
        n,
        article: article("T"),
        revision: 1,
        document: DocumentId("d".into()),
        section: 0,
        heading_path: vec![],
        range: 0..text.len(),
        shown: vec![],
        text: text.into(),
        score: 1.0,
    }
}
