//! Details of hits: kept in memory and in the library, and made where they are not there yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::KnowledgeBase;
use crate::base::error::Result;
use crate::base::{CacheUse, Hit};
use crate::document::chunk;
use crate::document::sentence::sentences;
use crate::infer::details::{Details, Kind};
use crate::infer::{Embedder, Purpose};
use crate::library::Library;

/// Bytes of a sentence that are embedded: a table or a listing can be one.
const LONGEST: usize = 600;

/// Bytes of details that are kept in memory, about: those of some ten thousand chunks.
const MEMORY: u64 = 64 << 20;

/// A hit's title, headings and text, hashed: what its details depend on, but for settings that don't
/// change while a knowledge base is open.
type Key = (Kind, [u8; 32]);

/// Details in memory, those that are asked for again and again.
pub(super) struct Kept {
    cache: Cache<Key, Arc<Details>, Weigh>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<Key, Arc<Details>> for Weigh {
    fn weight(&self, _: &Key, details: &Arc<Details>) -> u64 {
        details.bytes() as u64
    }
}

impl Default for Kept {
    fn default() -> Kept {
        let items = MEMORY as usize / 6_000;
        Kept {
            cache: Cache::with_weighter(items, MEMORY, Weigh),
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
        }
    }
}

impl Kept {
    /// How often details were in memory, and how often not.
    pub(super) fn counts(&self) -> CacheUse {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        CacheUse { hits: count(&self.hits), misses: count(&self.misses) }
    }
}

fn key(kind: Kind, hit: &Hit) -> Key {
    let mut hash = Sha256::new();
    let path = std::iter::once(&hit.article.title).chain(&hit.heading_path).chain([&hit.text]);
    for part in path {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    (kind, hash.finalize().into())
}

impl KnowledgeBase {
    /// The tokens of what was embedded of hits, or the sentences of their texts, in the hits' order.
    ///
    /// # Errors
    /// If the library can't be read, or the embedder fails.
    pub(super) fn details(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        kind: Kind,
        hits: &[Hit],
    ) -> Result<Vec<Arc<Details>>> {
        let kept = &self.parts.details;
        let keys: Vec<Key> = hits.iter().map(|hit| key(kind, hit)).collect();
        let known: Vec<Option<Arc<Details>>> = keys.iter().map(|key| kept.cache.get(key)).collect();
        let missing: Vec<&Hit> = known
            .iter()
            .zip(hits)
            .filter(|(known, _)| known.is_none())
            .map(|(_, hit)| hit)
            .collect();
        kept.hits.fetch_add((hits.len() - missing.len()) as u64, Ordering::Relaxed);
        kept.misses.fetch_add(missing.len() as u64, Ordering::Relaxed);
        let mut made = Vec::new();
        if !missing.is_empty() {
            made = self.stored_details(library, embedder, kind, &missing)?;
        }
        let mut made = made.into_iter().map(Arc::new);
        let of = |(key, known): (Key, Option<Arc<Details>>)| {
            known.unwrap_or_else(|| {
                let made = made.next().unwrap_or_default();
                kept.cache.insert(key, Arc::clone(&made));
                made
            })
        };
        Ok(keys.into_iter().zip(known).map(of).collect())
    }

    /// The same, of the library.
    ///
    /// # Errors
    /// If the library can't be read, or the embedder fails.
    fn stored_details(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        kind: Kind,
        hits: &[&Hit],
    ) -> Result<Vec<Details>> {
        let texts = match kind {
            Kind::Tokens => self.embedded_texts(embedder, hits)?,
            Kind::Sentences => hits.iter().map(|hit| hit.text.clone()).collect(),
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let model = embedder.fingerprint();
        let known = library.cached_details(&model, kind, &texts)?;
        let missing: Vec<&str> = known
            .iter()
            .zip(&texts)
            .filter(|(known, _)| known.is_none())
            .map(|(_, text)| *text)
            .collect();
        let mut made = Vec::new();
        if !missing.is_empty() {
            made = match kind {
                Kind::Tokens => embedder
                    .embed_tokens(&missing, Purpose::Passage)?
                    .iter()
                    .map(Details::tokens)
                    .collect(),
                Kind::Sentences => of_sentences(embedder, &missing)?,
            };
            // Where they can't be kept they are made again the next time.
            let _ = library.cache_details(&model, kind, missing.into_iter().zip(&made));
        }
        let mut made = made.into_iter();
        Ok(known
            .into_iter()
            .map(|known| known.or_else(|| made.next()).unwrap_or_default())
            .collect())
    }

    fn embedded_texts(&self, embedder: &dyn Embedder, hits: &[&Hit]) -> Result<Vec<String>> {
        let count = |text: &str| embedder.count_tokens(text, Purpose::Passage);
        let (limit, options) = (embedder.max_tokens(), &self.config().chunk);
        let text = |hit: &&Hit| {
            let Hit { article, heading_path, text, .. } = hit;
            chunk::embedded_text(&article.title, heading_path, text, options, limit, &count)
        };
        hits.iter().map(text).collect()
    }
}

/// The sentences of texts, each embedded by itself.
fn of_sentences(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Details>> {
    let ranges: Vec<Vec<_>> = texts
        .iter()
        .map(|text| {
            let all = sentences(text).into_iter();
            all.filter(|range| !text[range.clone()].trim().is_empty()).collect()
        })
        .collect();
    let mut said = Vec::new();
    for (text, ranges) in texts.iter().zip(&ranges) {
        for range in ranges {
            said.push(head(embedder, text[range.clone()].trim())?);
        }
    }
    let mut vectors = embedder.embed(&said, Purpose::Passage)?.into_iter();
    let with_vectors =
        ranges.into_iter().map(|ranges| ranges.into_iter().zip(vectors.by_ref()).collect());
    Ok(with_vectors.map(|all| Details::sentences(embedder.dimensions(), all)).collect())
}

/// As much of a text's beginning as the embedder takes.
pub(super) fn head<'a>(embedder: &dyn Embedder, text: &'a str) -> Result<&'a str> {
    let mut head = &text[..text.floor_char_boundary(LONGEST)];
    while embedder.count_tokens(head, Purpose::Passage)? > embedder.max_tokens() {
        head = &head[..head.floor_char_boundary(head.len() / 2)];
    }
    Ok(head)
}
