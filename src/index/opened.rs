//! A generation to be searched: its base, its delta, and its document frequencies.

use std::path::Path;

use super::delta::Delta;
use super::edge::EdgeStore;
use super::frequencies::Frequencies;
use super::layout::{self, Held};
use super::server::{Server, ServerStore};
use super::store::{Query, Select, Shape, Store, Stored, ranked};
use super::{Generation, Index, check_schema};
use crate::base::error::Result;
use crate::base::{ArticleId, Filter, Hit, SparseVector};
use crate::document::terms;

/// A generation that is held open: it can be searched while this lives, by several threads at once,
/// whatever is published meanwhile. Dropping it closes its files.
pub struct Opened {
    /// Which it is.
    pub generation: Generation,
    parts: Parts,
    /// After the parts: what is being read is not removed. None for one that is not published.
    _lock: Option<Held>,
}

impl Opened {
    /// The chunks nearest to a vector of length 1 that pass the filter, at most `limit`, best first,
    /// ties by chunk id. `score` is the cosine.
    ///
    /// # Errors
    /// If the store fails.
    pub fn dense(&self, vector: &[f32], filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        self.parts.search(&Query::Dense(vector.to_owned()), filter, limit)
    }

    /// The chunks that a text's words fit best by BM25 and that pass the filter, as in
    /// [`Opened::dense`]. `score` is the BM25 score over the whole generation, above 0.
    ///
    /// # Errors
    /// If the store fails.
    pub fn terms(&self, text: &str, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        self.parts.terms(text, filter, limit)
    }

    /// A text's terms with their inverse document frequencies in the whole generation, also those
    /// that no chunk has; stop words are none.
    pub fn rarity(&self, text: &str) -> SparseVector {
        self.parts.frequencies.rarity(&terms::query(text))
    }

    /// In how many chunks of the whole generation a term is.
    pub fn df(&self, term: u32) -> u32 {
        self.parts.frequencies.df(term)
    }

    /// Shows every chunk that is held, in no order.
    ///
    /// # Errors
    /// If the store or `visit` fails.
    pub fn scan(&self, select: &Select, visit: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        self.parts.scan(select, visit)
    }

    pub(super) fn unpublished(generation: Generation, parts: Parts) -> Opened {
        Opened { generation, parts, _lock: None }
    }
}

impl Index {
    pub(super) fn open_held(&self, held: Held) -> Result<Opened> {
        check_schema(&held.generation)?;
        let folder = self.dir.join(&held.generation.id);
        let (generation, frequencies) =
            layout::consistent(&self.dir, held.generation.clone(), |generation| {
                layout::frequencies(&self.dir, generation)
            })?;
        let parts = match &generation.server {
            None => Parts::embedded(&folder, &generation, frequencies)?,
            Some(url) => {
                let server = Server::connect(url, &self.server_options(url)?)?;
                let shape = Shape { dimensions: generation.dimensions };
                let base = ServerStore::open(server, &generation.id, &shape)?;
                Parts { base: Box::new(base), delta: None, frequencies }
            }
        };
        Ok(Opened { generation, parts, _lock: Some(held) })
    }
}

/// The parts of a generation that are searched together.
pub(super) struct Parts {
    pub base: Box<dyn Store>,
    pub delta: Option<Delta>,
    pub frequencies: Frequencies,
}

impl Parts {
    /// The parts in the folder of an embedded generation.
    pub fn embedded(
        folder: &Path,
        generation: &Generation,
        frequencies: Frequencies,
    ) -> Result<Parts> {
        let delta = delta(folder, generation)?;
        let base = base(folder, delta.as_ref())?;
        Ok(Parts { base: Box::new(base), delta, frequencies })
    }

    pub fn search(&self, query: &Query, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        let mut hits = self.base.search(query, filter, limit)?;
        if let Some(delta) = &self.delta {
            hits.extend(delta.search(query, filter, limit)?);
        }
        Ok(ranked(hits, limit))
    }

    pub fn terms(&self, text: &str, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        let question = self.frequencies.weigh(&terms::query(text));
        self.search(&Query::Sparse(question), filter, limit)
    }

    pub fn scan(&self, select: &Select, visit: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        self.base.scan(select, visit)?;
        let article = match select {
            Select::All => None,
            Select::Article(article) => Some(article),
        };
        self.delta.as_ref().map_or(Ok(()), |delta| delta.scan(article, visit))
    }
}

/// The delta of a published generation; `None` if it has none.
pub(super) fn delta(folder: &Path, generation: &Generation) -> Result<Option<Delta>> {
    let Generation { delta_bytes, dimensions, average_length, .. } = generation;
    (*delta_bytes > 0)
        .then(|| Delta::open(&folder.join(DELTA), *delta_bytes, *dimensions, *average_length))
        .transpose()
}

/// The base of a published generation, without what its delta supersedes.
pub(super) fn base(folder: &Path, delta: Option<&Delta>) -> Result<EdgeStore> {
    let base = EdgeStore::open_reader(&folder.join(SHARD))?;
    match delta {
        Some(delta) => base.without(&delta.superseded),
        None => Ok(base),
    }
}

/// The folder of an embedded generation's base.
pub(super) const SHARD: &str = "shard";
/// The file of an embedded generation's delta.
pub(super) const DELTA: &str = "delta";

/// The terms of each point of an article, and how many each has with repeated ones: what is counted
/// out of the frequencies when the article changes.
pub(super) fn terms_of(store: &dyn Store, article: &ArticleId) -> Result<Vec<(Vec<u32>, usize)>> {
    let mut terms = Vec::new();
    store.read(&Select::Article(article.clone()), &mut |point| {
        terms.push((point.sparse.indices, point.length));
        Ok(())
    })?;
    Ok(terms)
}
