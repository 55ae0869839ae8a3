//! Whether the live generation holds what the library says, nothing less and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{HeldArticles, Index, Work, build, check_fingerprint};
use crate::bm25;
use crate::domain::{ArticleId, ChunkId, Event, Filter, Unit};
use crate::error::Result;
use crate::seams::{Purpose, Query, Select, Store};

/// Chunks whose vectors are looked up by what they should be.
const SAMPLE: usize = 200;
/// The least cosine of a chunk's stored vector with what its text is embedded as.
const SAME: f32 = 0.999;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The generation.
    pub generation: String,
    /// Articles that were compared.
    pub articles: usize,
    /// Chunks that were compared.
    pub chunks: usize,
    /// Chunks whose vectors were looked up.
    pub vectors: usize,
    /// Chunks that the library has and the index lacks.
    pub missing: Vec<ChunkId>,
    /// Chunks that the index has and the library does not.
    pub extra: Vec<ChunkId>,
    /// Chunks whose stored vectors are not what their text is embedded as.
    pub wrong: Vec<ChunkId>,
    /// Articles that have changed in the library since; the next `sync` indexes them.
    pub pending: usize,
    /// The articles that these chunks are of.
    pub damaged: BTreeSet<ArticleId>,
}

impl Verified {
    /// Whether nothing is wrong. What is pending is not wrong.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }
}

impl Index {
    /// Compares the live generation with the library, both ways: every chunk of every article, and
    /// of a sample the vectors.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Index`] if it can't be opened, or something else made it.
    pub fn verify(&self, work: &Work<'_>) -> Result<Verified> {
        let (store, held) = self.open(&work.fingerprint())?;
        check_fingerprint(&held.generation, &work.fingerprint())?;
        let articles = self.articles(&held.generation)?;
        let mut verified =
            Verified { generation: held.generation.id.clone(), ..Verified::default() };
        let current = current(work, &articles, &mut verified)?;
        let mut found: BTreeMap<ArticleId, BTreeSet<ChunkId>> = BTreeMap::new();
        for point in store.scan(&Select::All)? {
            found.entry(point.article_id).or_default().insert(point.chunk_id);
        }
        let mut texts = Vec::new();
        let task = "Verifying".to_owned();
        for (at, id) in current.iter().enumerate() {
            work.cancel.check()?;
            (work.events)(Event::Progress {
                task: task.clone(),
                done: at as u64,
                total: current.len() as u64,
                unit: Unit::Items,
            });
            let wanted = work.chunks(id)?.map(|(cut, _)| cut.chunks).unwrap_or_default();
            let have = found.remove(id).unwrap_or_default();
            let ids: BTreeSet<ChunkId> = wanted.iter().map(|chunk| chunk.id).collect();
            verified.articles += 1;
            verified.chunks += ids.len();
            verified.missing.extend(ids.difference(&have));
            verified.extra.extend(have.difference(&ids));
            if ids != have {
                verified.damaged.insert(id.clone());
            }
            let kept = wanted.into_iter().filter(|chunk| have.contains(&chunk.id));
            texts.extend(kept.map(|chunk| (id.clone(), chunk.id, chunk.embedded_text)));
        }
        (work.events)(Event::Done { task });
        // What is left is of articles that the generation should not have, or of changed ones.
        for (id, chunks) in found {
            if !articles.contains_key(&id) {
                verified.extra.extend(chunks);
                verified.damaged.insert(id);
            }
        }
        look_up(work, store.as_ref(), &texts, &mut verified)?;
        Ok(verified)
    }
}

/// The articles that the generation holds as the library has them.
fn current(
    work: &Work<'_>,
    articles: &HeldArticles,
    verified: &mut Verified,
) -> Result<Vec<ArticleId>> {
    let pending = work.library.pending(&build::states(articles))?;
    verified.pending = pending.articles.len() + pending.removed.len();
    let changed: BTreeSet<&ArticleId> =
        pending.articles.iter().map(|(id, _)| id).chain(&pending.removed).collect();
    Ok(articles.keys().filter(|id| !changed.contains(id)).cloned().collect())
}

/// Looks some chunks up by the vectors that their texts have: each must be found by them.
fn look_up(
    work: &Work<'_>,
    store: &dyn Store,
    texts: &[(ArticleId, ChunkId, String)],
    verified: &mut Verified,
) -> Result<()> {
    let step = texts.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<_> = texts.iter().step_by(step).collect();
    let model = work.embedder.fingerprint();
    let wanted: Vec<&str> = sample.iter().map(|(.., text)| text.as_str()).collect();
    let known = work.library.cached_vectors(&model, &wanted)?;
    for ((article, chunk, text), vector) in sample.into_iter().zip(known) {
        work.cancel.check()?;
        let vector = match vector {
            Some(vector) => vector,
            None => work.embedder.embed(&[text], Purpose::Passage)?.remove(0),
        };
        verified.vectors += 1;
        // Other articles may have the same text: the search goes on until scores fall below.
        let is_there = |query: Query, least: &dyn Fn(f32, f32) -> bool| -> Result<bool> {
            let filter = Filter::default();
            let mut limit = 8;
            loop {
                let hits = store.search(&query, &filter, limit)?;
                if let Some(hit) = hits.iter().find(|hit| hit.chunk_id == *chunk) {
                    let best = hits.first().map_or(hit.score, |first| first.score);
                    return Ok(least(hit.score, best));
                }
                let is_tied = hits.len() == limit
                    && hits.last().is_some_and(|last| least(last.score, hits[0].score));
                if !is_tied || limit > 1_000 {
                    return Ok(false);
                }
                limit *= 4;
            }
        };
        let dense = is_there(Query::Dense(vector), &|score, _| score >= SAME)?;
        let sparse = bm25::query(text);
        let sparse = sparse.indices.is_empty()
            || is_there(Query::Sparse(sparse), &|score, best| score >= best * 0.5)?;
        if !dense || !sparse {
            verified.wrong.push(*chunk);
            verified.damaged.insert(article.clone());
        }
    }
    Ok(())
}
