//! One generation's points, embedded or on a server, behind one trait.

use crate::base::error::Result;
use crate::base::{ArticleId, ChunkId, Filter, Hit, Point, SparseVector};

/// What every point of a generation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Dimensions of the dense vectors.
    pub dimensions: usize,
}

/// Name of the dense vectors (cosine).
pub(super) const DENSE: &str = "dense";
/// Name of the sparse vectors (BM25 weights; the question's carry the inverse document frequencies).
pub(super) const SPARSE: &str = "bm25";

/// Hits in falling order of score, ties by chunk id, at most `limit`.
pub(super) fn ranked(mut hits: Vec<Hit>, limit: usize) -> Vec<Hit> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
    hits.truncate(limit);
    hits
}

/// Hits asked for beyond the limit, so that ties at its edge are broken by id and not by chance.
pub(super) const TIES: usize = 16;

/// What a single search looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Nearest by cosine.
    Dense(Vec<f32>),
    /// Highest by the product of a question's weights with the points' BM25 weights.
    Sparse(SparseVector),
}

/// Which points a scan or delete is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// Every point.
    All,
    /// The points of an article.
    Article(ArticleId),
}

/// What a scan returns of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Which chunk.
    pub chunk_id: ChunkId,
    /// Of which article.
    pub article_id: ArticleId,
    /// At which revision.
    pub revision: u32,
}

/// One generation of an index.
pub trait Store: Send + Sync {
    /// Writes points; one with the same chunk id is replaced. Durable after [`Store::flush`].
    ///
    /// # Errors
    /// If the store refuses a point; then none of the call may be counted on.
    fn upsert(&mut self, points: &[Point]) -> Result<()>;

    /// Deletes the points of an article; how many there were.
    ///
    /// # Errors
    /// If the store fails.
    fn delete(&mut self, article: &ArticleId) -> Result<usize>;

    /// Makes everything written so far durable, and quick to search.
    ///
    /// # Errors
    /// If the store fails.
    fn flush(&mut self) -> Result<()>;

    /// The best `limit` points that pass the filter, best first, ties by chunk id; `score` is the
    /// cosine or the BM25 weight, and stands in `scores` too. BM25 hits score above 0.
    ///
    /// # Errors
    /// If the store fails.
    fn search(&self, query: &Query, filter: &Filter, limit: usize) -> Result<Vec<Hit>>;

    /// Shows all selected points one after the other, in the order of their chunk ids, until
    /// `visit` fails.
    ///
    /// # Errors
    /// If the store or `visit` fails.
    fn scan(&self, select: &Select, visit: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()>;

    /// As [`Store::scan`], the points whole, but for what was embedded: their chunks have no
    /// `embedded_text` and no `tokens`.
    ///
    /// # Errors
    /// If the store or `visit` fails.
    fn read(&self, select: &Select, visit: &mut dyn FnMut(Point) -> Result<()>) -> Result<()>;
}
