//! Whether the live generation holds what the library says, nothing less and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::fill::{Cut, states};
use super::store::Select;
use super::{Index, Opened, Work};
use crate::base::error::Result;
use crate::base::{ArticleId, ChunkId, Event, Filter, Hit, Unit};
use crate::document::terms;
use crate::infer::Purpose;

/// Chunks whose vectors are looked up by what they should be, about.
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

/// How many chunks an article has, and the sum of their ids: two sets with the same are the same,
/// but for one chance in 2^128.
type Digest = (usize, u128);

fn add(digest: &mut Digest, chunk: ChunkId) {
    digest.0 += 1;
    digest.1 = digest.1.wrapping_add(chunk.0.as_u128());
}

impl Index {
    /// Compares the live generation with the library, both ways: every chunk of every article, and
    /// of a sample the vectors. Article by article: what is kept in memory of each is a few words.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::Index`] if it can't be opened, or its settings differ.
    pub fn verify(&self, work: &Work<'_>) -> Result<Verified> {
        work.library.ensure_cleaned(work.clean, work.events, work.cancel)?;
        let opened = self.open(&work.fingerprint())?;
        let articles = self.articles(&opened.generation)?;
        let mut verified =
            Verified { generation: opened.generation.id.clone(), ..Verified::default() };
        let pending = work.library.pending(work.clean, &states(&articles))?;
        verified.pending = pending.articles.len() + pending.removed.len();
        let changed: BTreeSet<&ArticleId> =
            pending.articles.iter().map(|(id, _)| id).chain(&pending.removed).collect();

        let mut found: BTreeMap<ArticleId, Digest> = BTreeMap::new();
        opened.scan(&Select::All, &mut |point| {
            if articles.contains_key(&point.article_id) {
                add(found.entry(point.article_id).or_default(), point.chunk_id);
            } else {
                // Of an article that the generation should not have.
                verified.extra.push(point.chunk_id);
                verified.damaged.insert(point.article_id);
            }
            work.cancel.check()
        })?;
        let step = opened.generation.chunks.div_ceil(SAMPLE).max(1);
        let task = "Verifying".to_owned();
        let current = articles.keys().filter(|id| !changed.contains(id));
        for (at, id) in current.enumerate() {
            work.cancel.check()?;
            (work.events)(Event::Progress {
                task: task.clone(),
                done: at as u64,
                total: (articles.len() - pending.removed.len()) as u64,
                unit: Unit::Items,
            });
            let Some(cut) = work.cut(id)? else { continue };
            let found = found.remove(id).unwrap_or_default();
            compare(&opened, &cut, found, &mut verified)?;
            verified.articles += 1;
            for chunk in &cut.chunks {
                verified.chunks += 1;
                let is_known = !verified.missing.contains(&chunk.id);
                if verified.chunks.is_multiple_of(step) && is_known {
                    look_up(work, &opened, id, chunk, &mut verified)?;
                }
            }
        }
        (work.events)(Event::Done { task });
        Ok(verified)
    }
}

/// Compares what is held of an article with its chunks.
fn compare(opened: &Opened, cut: &Cut, found: Digest, verified: &mut Verified) -> Result<()> {
    let mut wanted = Digest::default();
    cut.chunks.iter().for_each(|chunk| add(&mut wanted, chunk.id));
    if wanted == found {
        return Ok(());
    }
    let mut have = BTreeSet::new();
    opened.scan(&Select::Article(cut.meta.id.clone()), &mut |point| {
        have.insert(point.chunk_id);
        Ok(())
    })?;
    let ids: BTreeSet<ChunkId> = cut.chunks.iter().map(|chunk| chunk.id).collect();
    verified.missing.extend(ids.difference(&have));
    verified.extra.extend(have.difference(&ids));
    verified.damaged.insert(cut.meta.id.clone());
    Ok(())
}

/// Looks a chunk up by the vectors that its text has: it must be found by them.
fn look_up(
    work: &Work<'_>,
    opened: &Opened,
    article: &ArticleId,
    chunk: &crate::base::Chunk,
    verified: &mut Verified,
) -> Result<()> {
    let text = chunk.embedded_text.as_str();
    let known = work.library.cached_vectors(&work.embedder.fingerprint(), &[text])?.pop().flatten();
    let vector = match known {
        Some(vector) => vector,
        None => work.embedder.embed(&[text], Purpose::Passage)?.pop().unwrap_or_default(),
    };
    verified.vectors += 1;
    let filter = Filter::default();
    let dense = |limit| opened.dense(&vector, &filter, limit);
    let is_whole = is_found(chunk.id, &dense, &|score, _| score >= SAME)?
        && (terms::of(text).ids.is_empty() || {
            let terms = |limit| opened.terms(text, &filter, limit);
            is_found(chunk.id, &terms, &|score, best| score >= best * 0.5)?
        });
    if !is_whole {
        verified.wrong.push(chunk.id);
        verified.damaged.insert(article.clone());
    }
    Ok(())
}

/// Whether a search finds a chunk with a score that is good enough beside the best one. Other
/// articles may have the same text: the search goes on until scores fall below.
fn is_found(
    chunk: ChunkId,
    search: &dyn Fn(usize) -> Result<Vec<Hit>>,
    is_enough: &dyn Fn(f32, f32) -> bool,
) -> Result<bool> {
    let mut limit = 8;
    loop {
        let hits = search(limit)?;
        let Some(best) = hits.first().map(|first| first.score) else { return Ok(false) };
        if let Some(hit) = hits.iter().find(|hit| hit.chunk_id == chunk) {
            return Ok(is_enough(hit.score, best));
        }
        let is_tied =
            hits.len() == limit && hits.last().is_some_and(|last| is_enough(last.score, best));
        if !is_tied || limit > 1_000 {
            return Ok(false);
        }
        limit *= 4;
    }
}
