//! One generation of an index, embedded or on a server, behind the `Store` seam.

pub mod edge;
mod payload;
pub mod server;

/// What every point of a generation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Dimensions of the dense vectors.
    pub dimensions: usize,
}

/// Name of the dense vectors (cosine).
const DENSE: &str = "dense";
/// Name of the sparse vectors (BM25 weights, IDF by the store).
const SPARSE: &str = "bm25";

/// Hits in falling order of score, ties by chunk id, at most `limit`.
fn ranked(mut hits: Vec<crate::domain::Hit>, limit: usize) -> Vec<crate::domain::Hit> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
    hits.truncate(limit);
    hits
}

/// Hits asked for beyond the limit, so that ties at its edge are broken by id and not by chance.
const TIES: usize = 16;
