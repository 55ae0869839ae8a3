//! Where articles go when they are cut and embedded: a file that is appended to, or a store.

use std::io::Read;
use std::path::Path;

use super::delta::{Delta, DeltaWriter, RawPoint};
use super::edge::EdgeStore;
use super::fill::{Cut, Target};
use super::frequencies::Frequencies;
use super::layout::{self, Writer};
use super::opened::{self, terms_of};
use super::store::Store;
use super::{Generation, HeldArticle, HeldArticles};
use crate::base::error::{Error, Result};
use crate::base::{ArticleId, Point};
use crate::document::terms;

/// Counts what a generation holds.
pub(super) fn count(generation: &mut Generation, held: &HeldArticles) {
    generation.articles = held.len();
    generation.chunks = held.values().map(|article| article.chunks).sum();
}

/// A delta that goes on from one of a parent. If the parent's file is longer than what the parent
/// has of it, another went on from there: this one gets a copy of its own.
pub(super) fn continued(parent: &Path, path: &Path, bytes: u64) -> Result<DeltaWriter> {
    if bytes == 0 {
        return DeltaWriter::create(path);
    }
    let cannot = |error| Error::io("cannot write the index", error);
    let length = fs_err::metadata(parent).map_err(cannot)?.len();
    if length < bytes {
        return Err(super::damaged(&format!("{} is cut short", parent.display())));
    }
    if length == bytes {
        layout::link_or_copy(parent, path)?;
    } else {
        let mut from = fs_err::File::open(parent).map_err(cannot)?.take(bytes);
        let mut to = fs_err::File::create_new(path).map_err(cannot)?;
        std::io::copy(&mut from, &mut to).map_err(cannot)?;
    }
    DeltaWriter::append(path, bytes)
}

/// A file that points are appended to: the delta of a generation with a parent, or what a new base
/// is made of.
pub(super) struct Appending<'a> {
    pub writer: DeltaWriter,
    pub parent: Option<Parent<'a>>,
}

/// The generation before, read where it is asked what it has.
pub(super) struct Parent<'a> {
    pub folder: &'a Path,
    pub generation: &'a Generation,
    pub delta: Option<Delta>,
    pub base: Option<EdgeStore>,
}

impl Target for Appending<'_> {
    fn terms(&mut self, id: &ArticleId, held: &HeldArticle) -> Result<Vec<(Vec<u32>, usize)>> {
        let Some(parent) = &mut self.parent else { return Ok(Vec::new()) };
        if held.in_delta {
            if parent.delta.is_none() {
                parent.delta = opened::delta(parent.folder, parent.generation)?;
            }
            return parent.delta.as_ref().map_or(Ok(Vec::new()), |delta| delta.terms(id));
        }
        let base = match parent.base.take() {
            Some(base) => base,
            None => opened::base(parent.folder, None)?,
        };
        terms_of(parent.base.insert(base), id)
    }

    fn intend(&mut self, _: &HeldArticles, _: &Frequencies) -> Result<()> {
        // What is appended counts when the generation is published.
        Ok(())
    }

    fn remove(&mut self, id: &ArticleId) -> Result<()> {
        self.writer.gone(id)
    }

    fn write(&mut self, article: &Cut, points: Vec<RawPoint>) -> Result<()> {
        let Cut { meta, revision, document, .. } = article;
        self.writer.article(meta, *revision, document, &points)
    }

    fn is_delta(&self) -> bool {
        self.parent.is_some()
    }
}

/// A store that is written as articles come.
pub(super) struct InPlace<'a> {
    pub store: &'a mut dyn Store,
    pub average: f64,
    /// For one that is being read.
    pub intent: Option<Intent<'a>>,
}

/// Where it is said what is about to be written.
pub(super) struct Intent<'a> {
    pub writer: &'a Writer,
    pub dir: &'a Path,
    pub generation: &'a mut Generation,
}

impl Target for InPlace<'_> {
    fn terms(&mut self, id: &ArticleId, _: &HeldArticle) -> Result<Vec<(Vec<u32>, usize)>> {
        terms_of(self.store, id)
    }

    fn intend(&mut self, held: &HeldArticles, frequencies: &Frequencies) -> Result<()> {
        let Some(Intent { writer, dir, generation }) = &mut self.intent else { return Ok(()) };
        count(generation, held);
        writer.amend(dir, generation, held, frequencies)
    }

    fn remove(&mut self, id: &ArticleId) -> Result<()> {
        self.store.delete(id).map(|_| ())
    }

    fn write(&mut self, article: &Cut, points: Vec<RawPoint>) -> Result<()> {
        let Cut { meta, revision, document, .. } = article;
        let points: Vec<Point> = points
            .into_iter()
            .map(|RawPoint { chunk, terms, dense }| Point {
                chunk,
                article: meta.clone(),
                revision: *revision,
                document: document.clone(),
                dense,
                sparse: terms::weights(&terms, self.average),
                length: terms.length(),
            })
            .collect();
        if self.intent.is_some() {
            self.store.delete(&meta.id)?;
        }
        self.store.upsert(&points)
    }

    fn is_delta(&self) -> bool {
        false
    }
}
