//! Text → sparse vector, as Qdrant's own BM25 does it. Pure.

use std::sync::LazyLock;

use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};

use crate::domain::SparseVector;

/// x
pub fn query(text: &str) -> SparseVector { todo!() }
