//! Details of hits: kept in memory and in the library, and made where they are not there yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use super::KnowledgeBase;
use crate::base::error::Result;
use crate::base::{CacheUse, ChunkId, Hit};
use crate::document::chunk;
use crate::infer::details::{DetailKind, Details};
use crate::infer::sentences::of_sentences;
use crate::infer::{Embedder, Purpose};
use crate::library::Library;

/// Bytes of details that are kept in memory, about.
const MEMORY: u64 = 64 << 20;

/// What the details of a chunk take, about.
const EACH: usize = 6_000;

/// What a hit's details depend on, but for settings that don't change while a knowledge base is open:
/// the chunk, which stands for its headings and text, and the title.
type Key = (DetailKind, ChunkId, String);

fn key(kind: DetailKind, hit: &Hit) -> Key {
    (kind, hit.chunk_id, hit.article.title.clone())
}

/// Details in memory: those that are asked for again and again.
pub(super) struct DetailsCache {
    cache: Cache<Key, Arc<Details>, Weigh>,
    used: Mutex<CacheUse>,
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<Key, Arc<Details>> for Weigh {
    fn weight(&self, _: &Key, details: &Arc<Details>) -> u64 {
        details.bytes() as u64
    }
}

impl Default for DetailsCache {
    fn default() -> DetailsCache {
        let cache = Cache::with_weighter(MEMORY as usize / EACH, MEMORY, Weigh);
        DetailsCache { cache, used: Mutex::default() }
    }
}

impl DetailsCache {
    /// How often details were there, and how often not.
    pub(super) fn used(&self) -> CacheUse {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The details of hits, in their order; `None` where they are not there.
    fn get(&self, kind: DetailKind, hits: &[Hit]) -> Vec<Option<Arc<Details>>> {
        let known: Vec<_> = hits.iter().map(|hit| self.cache.get(&key(kind, hit))).collect();
        let found = known.iter().flatten().count();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.hits += found as u64;
        used.misses += (known.len() - found) as u64;
        known
    }
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
        kind: DetailKind,
        hits: &[Hit],
    ) -> Result<Vec<Arc<Details>>> {
        let DetailsCache { cache, .. } = &self.parts.details;
        filled(self.parts.details.get(kind, hits), |missing| {
            let missing: Vec<&Hit> = missing.iter().map(|at| &hits[*at]).collect();
            let stored = self.stored_details(library, embedder, kind, &missing)?;
            for (hit, details) in missing.into_iter().zip(&stored) {
                cache.insert(key(kind, hit), Arc::clone(details));
            }
            Ok(stored)
        })
    }

    /// The same, from the library.
    ///
    /// # Errors
    /// If the library can't be read, or the embedder fails.
    fn stored_details(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        kind: DetailKind,
        hits: &[&Hit],
    ) -> Result<Vec<Arc<Details>>> {
        let texts = match kind {
            DetailKind::Tokens => self.embedded_texts(embedder, hits)?,
            DetailKind::Sentences => hits.iter().map(|hit| hit.text.clone()).collect(),
        };
        let (texts, places) = distinct(&texts);
        let model = embedder.fingerprint();
        let found = filled(library.cached_details(&model, kind, &texts)?, |missing| {
            let missing: Vec<&str> = missing.iter().map(|at| texts[*at]).collect();
            let made = match kind {
                DetailKind::Tokens => embedder
                    .embed_tokens(&missing, Purpose::Passage)?
                    .iter()
                    .map(Details::tokens)
                    .collect(),
                DetailKind::Sentences => of_sentences(embedder, &missing)?,
            };
            // Where they can't be kept they are made again the next time.
            let _ = library.cache_details(&model, kind, missing.into_iter().zip(&made));
            Ok(made)
        })?;
        let found: Vec<Arc<Details>> = found.into_iter().map(Arc::new).collect();
        Ok(places.into_iter().map(|at| Arc::clone(&found[at])).collect())
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

/// Each text once, and the place among those of each: articles repeat each other, and what they share
/// is looked at once.
fn distinct(texts: &[String]) -> (Vec<&str>, Vec<usize>) {
    let mut at = HashMap::new();
    let mut each = Vec::new();
    let places = texts
        .iter()
        .map(|text| {
            *at.entry(text.as_str()).or_insert_with(|| {
                each.push(text.as_str());
                each.len() - 1
            })
        })
        .collect();
    (each, places)
}

/// What is known, and in the places of what is not, what is made for them.
fn filled<T: Default>(
    known: Vec<Option<T>>,
    make: impl FnOnce(&[usize]) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let missing: Vec<usize> =
        known.iter().enumerate().filter(|(_, one)| one.is_none()).map(|(at, _)| at).collect();
    let made = if missing.is_empty() { Vec::new() } else { make(&missing)? };
    let mut made = made.into_iter();
    Ok(known.into_iter().map(|one| one.or_else(|| made.next()).unwrap_or_default()).collect())
}
