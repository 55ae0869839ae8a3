//! Articles of the library → chunks with vectors, group by group, to wherever they are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, mpsc};

use serde::Serialize;

use super::delta::RawPoint;
use super::frequencies::Frequencies;
use super::{HeldArticle, HeldArticles, fingerprint};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{
    ArticleId, ArticleMeta, Cancel, Chunk, DocumentId, Event, Events, Fingerprint, Unit,
};
use crate::document::chunk::{self, ChunkOptions};
use crate::document::html::CleanOptions;
use crate::document::terms::{self, Terms};
use crate::infer::details::{DetailKind, Details};
use crate::infer::sentences::of_sentences;
use crate::infer::{Embedder, Purpose};
use crate::library::{Library, Pending};

/// Bytes of text that are cut, embedded and stored together, about.
const GROUP_BYTES: usize = 16 << 20;
/// What a chunk takes besides its texts, about.
const CHUNK_BYTES: usize = 4 << 10;
/// Chunks that are embedded between two looks at Ctrl-C.
const BATCH: usize = 32;
/// Batches that are embedded at once, which is what a kill loses at the most: while one is cut into
/// tokens or kept, the other multiplies.
const AT_ONCE: usize = 2;
/// Known vectors that are embedded again and compared.
pub(super) const SAMPLE: usize = 3;

/// What a build needs.
pub struct Work<'a> {
    /// Where the articles are.
    pub library: &'a Library,
    /// What embeds them.
    pub embedder: &'a dyn Embedder,
    /// How they are cut.
    pub chunk: &'a ChunkOptions,
    /// What is kept of them.
    pub clean: &'a CleanOptions,
    /// Whether the sentences of what is embedded are embedded, too.
    pub sentences: bool,
    /// Where progress goes.
    pub events: Events<'a>,
    /// Raised by Ctrl-C.
    pub cancel: &'a Cancel,
}

/// What a build did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Built {
    /// The live generation's name; `None` if there is nothing to index.
    pub generation: Option<String>,
    /// Articles that were indexed anew.
    pub articles: usize,
    /// Articles that left the index.
    pub removed: usize,
    /// Chunks that were written.
    pub chunks: usize,
    /// Chunks that were embedded; the others' vectors were known.
    pub embedded: usize,
    /// Titles of articles without any text.
    pub empty: Vec<String>,
    /// Articles that can't be cut into chunks, each a title and why. The index is without them
    /// until they change.
    pub left_out: Vec<String>,
}

/// An article, cut into chunks.
pub(super) struct Cut {
    pub meta: ArticleMeta,
    pub revision: u32,
    pub document: DocumentId,
    pub chunks: Vec<Chunk>,
    /// Why it could not be cut; then it has no chunks.
    pub failure: Option<Error>,
}

impl Work<'_> {
    /// What a generation made with these parts is made of.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.embedder.fingerprint(), self.chunk, self.clean)
    }

    /// The texts of an article that are embedded; none if it can't be cut.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn texts(&self, id: &ArticleId) -> Result<Vec<String>> {
        let chunks = self.cut(id)?.map(|cut| cut.chunks).unwrap_or_default();
        Ok(chunks.into_iter().map(|chunk| chunk.embedded_text).collect())
    }

    /// An article's chunks; `None` if it is gone.
    pub(super) fn cut(&self, id: &ArticleId) -> Result<Option<Cut>> {
        let Some((meta, revision, document)) = self.library.article_document(id, self.clean)?
        else {
            return Ok(None);
        };
        let text = self.library.document(&document)?;
        let count = |text: &str| self.embedder.count_tokens(text, Purpose::Passage);
        let limit = self.embedder.max_tokens();
        let (chunks, failure) = match chunk::split(&text, &meta, self.chunk, limit, &count) {
            Ok(chunks) => (chunks, None),
            // That is no article's fault.
            Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Interrupted) => {
                return Err(error);
            }
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(Some(Cut { meta, revision, document, chunks, failure }))
    }

    /// The next articles that are written together, cut, with the states to be noted.
    fn next_group<'p>(
        &self,
        articles: &mut impl Iterator<Item = &'p (ArticleId, String)>,
    ) -> Result<Vec<(Cut, &'p str)>> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES
            && let Some((id, state)) = articles.next()
        {
            self.cancel.check()?;
            // One that was removed meanwhile is seen by the next update.
            let Some(cut) = self.cut(id)? else { continue };
            let size = |chunk: &Chunk| chunk.text.len() + chunk.embedded_text.len() + CHUNK_BYTES;
            bytes += CHUNK_BYTES + cut.chunks.iter().map(size).sum::<usize>();
            group.push((cut, state.as_str()));
        }
        Ok(group)
    }

    /// The vectors of some chunks that have none, which the library then keeps.
    fn embed_batch(&self, chunks: &[&Chunk]) -> Result<Vec<Vec<f32>>> {
        self.cancel.check()?;
        let model = self.embedder.fingerprint();
        let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.embedded_text.as_str()).collect();
        let new = self.embedder.embed_tokens(&texts, Purpose::Passage)?;
        let details: Vec<Details> = new.iter().map(Details::tokens).collect();
        let details = texts.iter().copied().zip(&details);
        self.library.cache_details(&model, DetailKind::Tokens, details)?;
        let new: Vec<Vec<f32>> = new.into_iter().map(|one| one.vector).collect();
        if self.sentences {
            keep_sentences(self, chunks.iter().map(|chunk| chunk.text.as_str()))?;
        }
        // The vectors are kept last: what has one has all.
        let vectors = texts.iter().copied().zip(new.iter().map(Vec::as_slice));
        self.library.cache_vectors(&model, vectors)?;
        Ok(new)
    }
}

/// Where the points of articles are kept.
pub(super) trait Target {
    /// The terms of what is kept of an article, point by point, and each point's number of terms.
    fn terms(&mut self, id: &ArticleId, held: &HeldArticle) -> Result<Vec<(Vec<u32>, usize)>>;

    /// Is told what will be there if it is cut off before the articles that are unfinished in `held`
    /// are written.
    fn intend(&mut self, held: &HeldArticles, frequencies: &Frequencies) -> Result<()>;

    /// Removes an article.
    fn remove(&mut self, id: &ArticleId) -> Result<()>;

    /// Writes an article in the place of what is kept of it.
    fn write(&mut self, article: &Cut, points: Vec<RawPoint>) -> Result<()>;

    /// Whether it is a delta.
    fn is_delta(&self) -> bool;
}

/// What a generation holds, while it is brought up to date.
pub(super) struct Filling<'a> {
    work: &'a Work<'a>,
    pub held: HeldArticles,
    pub frequencies: Frequencies,
    pub built: Built,
    /// Chunks of the base that do not count any more.
    pub superseded: usize,
    /// Articles of which not what they should be is kept; they are counted as they should be.
    damaged: &'a BTreeSet<ArticleId>,
    /// Texts whose vectors were known, with these.
    pub known: Sample,
    /// Articles that were written.
    pub written: BTreeSet<ArticleId>,
}

/// Some texts with their vectors, drawn evenly of all that were seen.
#[derive(Default)]
pub(super) struct Sample {
    pub drawn: Vec<(String, Vec<f32>)>,
    seen: usize,
}

impl Sample {
    fn see(&mut self, random: &mut fastrand::Rng, text: &str, vector: &[f32]) {
        self.seen += 1;
        let place = if self.drawn.len() < SAMPLE { SAMPLE } else { random.usize(0..self.seen) };
        let new = || (text.to_owned(), vector.to_owned());
        if self.drawn.len() < SAMPLE {
            self.drawn.push(new());
        } else if let Some(old) = self.drawn.get_mut(place) {
            *old = new();
        }
    }
}

impl<'a> Filling<'a> {
    pub fn new(
        work: &'a Work<'a>,
        held: HeldArticles,
        frequencies: Frequencies,
        superseded: usize,
        damaged: &'a BTreeSet<ArticleId>,
    ) -> Filling<'a> {
        let (built, known, written) = Default::default();
        Filling { work, held, frequencies, built, superseded, damaged, known, written }
    }

    /// Writes what is pending.
    pub fn fill(&mut self, target: &mut dyn Target, pending: &Pending) -> Result<()> {
        for id in &pending.removed {
            self.work.cancel.check()?;
            self.count_out(target, id, &[])?;
        }
        if !pending.removed.is_empty() {
            target.intend(&self.held, &self.frequencies)?;
        }
        for id in &pending.removed {
            self.work.cancel.check()?;
            target.remove(id)?;
            self.held.remove(id);
            self.built.removed += 1;
        }
        let mut random = fastrand::Rng::with_seed(self.held.len() as u64);
        let work = self.work;
        std::thread::scope(|scope| {
            // While one group is embedded, the next is read and cut.
            let (groups, ready) = mpsc::sync_channel(1);
            scope.spawn(move || {
                let mut articles = pending.articles.iter();
                loop {
                    let group = work.next_group(&mut articles);
                    let is_last = group.as_ref().map_or(true, Vec::is_empty);
                    // Nobody takes it where writing has failed.
                    if groups.send(group).is_err() || is_last {
                        return;
                    }
                }
            });
            for group in ready {
                self.write(target, group?, &mut random)?;
            }
            Ok(())
        })
    }

    fn write(
        &mut self,
        target: &mut dyn Target,
        group: Vec<(Cut, &str)>,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let chunks: Vec<&Chunk> = group.iter().flat_map(|(cut, _)| &cut.chunks).collect();
        let terms: Vec<Terms> =
            chunks.iter().map(|chunk| terms::of(&chunk.embedded_text)).collect();
        let vectors = self.embed(&chunks, random)?;
        let mut points = terms.into_iter().zip(vectors);
        let mut ready = Vec::with_capacity(group.len());
        for (cut, state) in group {
            let points: Vec<RawPoint> = cut
                .chunks
                .iter()
                .zip(points.by_ref())
                .map(|(chunk, (terms, dense))| RawPoint { chunk: chunk.clone(), terms, dense })
                .collect();
            self.count_out(target, &cut.meta.id, &points)?;
            ready.push((cut, points, state));
        }
        target.intend(&self.held, &self.frequencies)?;
        for (cut, points, state) in ready {
            self.work.cancel.check()?;
            for point in &points {
                self.frequencies.add(&point.terms.ids, point.terms.length());
            }
            let chunks = points.len();
            target.write(&cut, points)?;
            let Cut { meta, document, failure, .. } = cut;
            match failure {
                Some(error) => {
                    self.built.left_out.push(format!("\"{}\": {}", meta.title, error.chain()));
                }
                None if chunks == 0 => self.built.empty.push(meta.title.clone()),
                None => {}
            }
            self.built.articles += 1;
            self.built.chunks += chunks;
            self.written.insert(meta.id.clone());
            let held = HeldArticle {
                state: state.to_owned(),
                chunks,
                document: Some(document),
                in_delta: target.is_delta(),
            };
            self.held.insert(meta.id, held);
        }
        Ok(())
    }

    /// Counts what is held of an article out, and notes that it is unfinished. What it should have
    /// are `points`.
    fn count_out(
        &mut self,
        target: &mut dyn Target,
        id: &ArticleId,
        points: &[RawPoint],
    ) -> Result<()> {
        let before = self.held.insert(id.clone(), HeldArticle::unfinished());
        let Some(held) = before.filter(|held| !held.state.is_empty() && held.chunks > 0) else {
            return Ok(());
        };
        if self.damaged.contains(id) {
            for point in points {
                self.frequencies.remove(&point.terms.ids, point.terms.length());
            }
        } else {
            for (terms, length) in target.terms(id, &held)? {
                self.frequencies.remove(&terms, length);
            }
        }
        if !held.in_delta {
            self.superseded += held.chunks;
        }
        Ok(())
    }

    /// The vectors of chunks: known ones from the library, the others embedded and kept there, batch
    /// by batch.
    fn embed(&mut self, chunks: &[&Chunk], random: &mut fastrand::Rng) -> Result<Vec<Vec<f32>>> {
        let work = self.work;
        let model = work.embedder.fingerprint();
        let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.embedded_text.as_str()).collect();
        let mut vectors = work.library.cached_vectors(&model, &texts)?;
        for (vector, text) in vectors.iter_mut().zip(&texts) {
            // A vector of another length is not this model's, whatever its record says.
            if vector.as_ref().is_some_and(|vector| vector.len() != work.embedder.dimensions()) {
                *vector = None;
            }
            if let Some(vector) = vector {
                self.known.see(random, text, vector);
            }
        }
        // Equal texts are embedded once.
        let mut missing: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, text) in texts.iter().enumerate().filter(|(at, _)| vectors[*at].is_none()) {
            missing.entry(text).or_default().push(at);
        }
        // Like lengths go together.
        let mut distinct: Vec<(&str, Vec<usize>)> = missing.into_iter().collect();
        distinct.sort_by_key(|(text, _)| text.len());
        let task = "Embedding chunks".to_owned();
        let progress = |done: usize| {
            (work.events)(Event::Progress {
                task: task.clone(),
                done: done as u64,
                total: distinct.len() as u64,
                unit: Unit::Items,
            });
        };
        if !distinct.is_empty() {
            progress(0);
        }
        let batches = Mutex::new(distinct.chunks(BATCH));
        let next = || batches.lock().unwrap_or_else(PoisonError::into_inner).next();
        std::thread::scope(|scope| {
            let (embedded, ready) = mpsc::channel();
            for _ in 0..AT_ONCE {
                let (embedded, next) = (embedded.clone(), &next);
                scope.spawn(move || {
                    while let Some(batch) = next() {
                        let first = |places: &Vec<usize>| places.first().map(|at| chunks[*at]);
                        let some: Vec<&Chunk> =
                            batch.iter().filter_map(|(_, places)| first(places)).collect();
                        let new = work.embed_batch(&some).map(|new| (batch, new));
                        // Nobody takes it where another batch has failed.
                        if embedded.send(new).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(embedded);
            let mut done = 0;
            for new in ready {
                let (batch, new) = new?;
                for ((_, places), vector) in batch.iter().zip(new) {
                    for at in places {
                        vectors[*at] = Some(vector.clone());
                    }
                }
                done += batch.len();
                self.built.embedded += batch.len();
                progress(done);
            }
            Ok::<(), Error>(())
        })?;
        if !distinct.is_empty() {
            (work.events)(Event::Done { task: task.clone() });
        }
        let complete: Vec<Vec<f32>> = vectors.into_iter().flatten().collect();
        if complete.len() != texts.len() {
            return Err(Error::new(ErrorKind::Bug, "a chunk was left without a vector"));
        }
        Ok(complete)
    }
}

/// Has the library keep the sentences of texts, so that no search waits for those of what it finds.
fn keep_sentences<'a>(work: &Work<'_>, texts: impl Iterator<Item = &'a str>) -> Result<()> {
    let model = work.embedder.fingerprint();
    let mut texts: Vec<&str> = texts.collect::<BTreeSet<_>>().into_iter().collect();
    let known = work.library.cached_details(&model, DetailKind::Sentences, &texts)?;
    let mut is_known = known.iter().map(Option::is_some);
    texts.retain(|_| !is_known.next().unwrap_or_default());
    let details = of_sentences(work.embedder, &texts)?;
    work.library.cache_details(&model, DetailKind::Sentences, texts.into_iter().zip(&details))
}

/// The states that articles are held at, as the library asks for them.
pub(super) fn states(held: &HeldArticles) -> BTreeMap<ArticleId, String> {
    held.iter().map(|(id, article)| (id.clone(), article.state.clone())).collect()
}
