//! Library → a new generation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::layout::{self, Writer};
use super::{
    Generation, HeldArticle, HeldArticles, Index, SCHEMA, check_fingerprint, document, fingerprint,
    shape,
};
use crate::bm25;
use crate::chunk::{self, ChunkOptions};
use crate::domain::{ArticleId, Cancel, Chunk, Event, Events, Fingerprint, Point, Unit};
use crate::error::{Error, ErrorKind, Result};
use crate::html::CleanOptions;
use crate::library::{Library, Pending};
use crate::seams::{Embedder, Purpose, Select, Store};
use crate::store::edge::EdgeStore;
use crate::store::server::{Server, ServerStore};

/// Articles that are cut, embedded and stored together.
const GROUP: usize = 200;
/// Chunks that are embedded between two looks at Ctrl-C; what a kill loses at the most.
const BATCH: usize = 32;
/// Published vectors that are embedded again and compared.
const SAMPLE: usize = 3;

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
    /// Where progress goes.
    pub events: Events<'a>,
    /// Raised by Ctrl-C.
    pub cancel: &'a Cancel,
}

/// Looks at a new generation before it is made live, and refuses it by an error.
pub type Gate<'a> = &'a dyn Fn(&dyn Store) -> Result<()>;

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
    /// Articles without any text.
    pub empty: Vec<String>,
}

impl Work<'_> {
    /// What a generation made with these parts is made of.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.embedder.fingerprint(), self.chunk, self.clean)
    }

    /// The texts of an article that are embedded.
    ///
    /// # Errors
    /// If it can't be read or cut.
    pub fn texts(&self, id: &ArticleId) -> Result<Vec<String>> {
        let chunks = self.chunks(id)?.map(|(cut, _)| cut.chunks).unwrap_or_default();
        Ok(chunks.into_iter().map(|chunk| chunk.embedded_text).collect())
    }

    pub(super) fn chunks(&self, id: &ArticleId) -> Result<Option<(Chunks, u32)>> {
        let Some(article) = self.library.article(id)? else { return Ok(None) };
        let document = document(self.library, id, article.revision, self.clean)?;
        let count = |text: &str| self.embedder.count_tokens(text, Purpose::Passage);
        let chunks =
            chunk::split(&document, &article.meta, self.chunk, self.embedder.max_tokens(), &count)?;
        Ok(Some((Chunks { meta: article.meta, chunks }, article.revision)))
    }
}

/// An article, cut.
pub(super) struct Chunks {
    meta: crate::domain::ArticleMeta,
    pub(super) chunks: Vec<Chunk>,
}

impl Index {
    /// Brings the index up to date with the library; does nothing if it is.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if something else made the live generation; if a part fails, and then
    /// the live generation is as it was.
    pub fn update(&self, work: &Work<'_>) -> Result<Built> {
        let is_current = |live: &Generation| -> Result<bool> {
            if live.server.as_deref() != self.url() {
                return Ok(false);
            }
            check_fingerprint(live, &work.fingerprint())?;
            let pending = work.library.pending(&states(&self.articles(live)?))?;
            Ok(pending.is_empty())
        };
        match self.live()? {
            Some(live) if is_current(&live)? => {
                return Ok(Built { generation: Some(live.id), ..Built::default() });
            }
            None if work.library.article_count()? == 0 => return Ok(Built::default()),
            _ => {}
        }
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        // Another process may have done it while this one waited.
        let live = self.live()?;
        if let Some(live) = &live
            && is_current(live)?
        {
            return Ok(Built { generation: Some(live.id.clone()), ..Built::default() });
        }
        self.build(&writer, work, live, &BTreeSet::new(), None)
    }

    /// Builds a generation from the library alone, and makes it live if `gate` lets it.
    ///
    /// # Errors
    /// If a part fails or the gate refuses, and then the live generation is as it was.
    pub fn rebuild(&self, work: &Work<'_>, gate: Option<Gate<'_>>) -> Result<Built> {
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        self.build(&writer, work, None, &BTreeSet::new(), gate)
    }

    /// Writes articles of the live generation anew that are not what they should be.
    ///
    /// # Errors
    /// As [`Index::update`].
    pub fn repair(&self, work: &Work<'_>, damaged: &BTreeSet<ArticleId>) -> Result<Built> {
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        let live = self.live()?;
        self.build(&writer, work, live, damaged, None)
    }

    fn build(
        &self,
        writer: &Writer,
        work: &Work<'_>,
        base: Option<Generation>,
        damaged: &BTreeSet<ArticleId>,
        gate: Option<Gate<'_>>,
    ) -> Result<Built> {
        // A generation that lies elsewhere is no base: all of it is written where it is to be.
        let base = base.filter(|base| base.server.as_deref() == self.url());
        let mut held = match &base {
            Some(base) => self.articles(base)?,
            None => HeldArticles::new(),
        };
        for id in damaged {
            held.insert(id.clone(), HeldArticle { state: String::new(), chunks: 0 });
        }
        let pending = work.library.pending(&states(&held))?;
        let id = writer.next(&self.dir)?;
        // A server's collection is brought up to date where it is: article by article, each
        // complete before the next.
        let in_place = base.as_ref().filter(|base| base.server.is_some());
        let mut store = self.store(&id, work, base.as_ref())?;
        let mut built = Built::default();
        let filled = self.fill(store.as_mut(), work, &pending, &mut held, &mut built);
        let finished = filled
            .and_then(|()| store.flush())
            .and_then(|()| check(store.as_ref(), &held))
            .and_then(|()| spot_check(work, &built))
            .and_then(|()| gate.map_or(Ok(()), |gate| gate(store.as_ref())));
        drop(store);
        let building = layout::building(&self.dir, &id);
        if let Err(error) = finished {
            // What can't be removed now is removed by the next build.
            let _ = std::fs::remove_dir_all(&building);
            return Err(error);
        }
        let parent = match in_place {
            Some(base) => base.parent.clone(),
            // A damaged live generation can't be gone back to.
            None => layout::live(&self.dir).ok().flatten().map(|live| live.id),
        };
        let generation = Generation {
            id: in_place.map_or(id, |base| base.id.clone()),
            schema: SCHEMA,
            fingerprint: work.fingerprint(),
            created: Timestamp::now(),
            articles: held.len(),
            chunks: held.values().map(|article| article.chunks).sum(),
            dimensions: work.embedder.dimensions(),
            parent,
            server: self.server.as_ref().map(|(url, _)| url.clone()),
        };
        if in_place.is_some() {
            writer.amend(&self.dir, &generation, &held)?;
        } else {
            if self.server.is_none() {
                trim_log(&building.join("shard").join("wal"));
            }
            fs_err::create_dir_all(&building)
                .map_err(|error| Error::io("cannot write the index", error))?;
            writer.publish(&self.dir, &generation, &held)?;
            if let Some((url, options)) = &self.server {
                Server::connect(url, options)?.publish(&generation.id)?;
            }
            self.remove_old(writer, true)?;
        }
        built.generation = Some(generation.id);
        Ok(built)
    }

    /// Removes generations that are neither live nor, if it is kept, the one before, with their
    /// collections and with what killed builds left.
    pub(super) fn remove_old(&self, writer: &Writer, keep_parent: bool) -> Result<Vec<String>> {
        let mut removed: Vec<String> = Vec::new();
        for old in writer.prune(&self.dir, keep_parent)? {
            removed.push(old.id);
        }
        let Some((url, options)) = &self.server else { return Ok(removed) };
        // Collections of ours that no generation knows were left by killed builds, too.
        let server = Server::connect(url, options)?;
        let known: BTreeSet<String> =
            self.generations()?.into_iter().map(|generation| generation.id).collect();
        for id in server.generations(&layout::owner(&self.dir)?)? {
            if !known.contains(&id) {
                server.delete(&id)?;
                if !removed.contains(&id) {
                    removed.push(id);
                }
            }
        }
        Ok(removed)
    }

    fn store(
        &self,
        id: &str,
        work: &Work<'_>,
        base: Option<&Generation>,
    ) -> Result<Box<dyn Store>> {
        let shape = shape(work.embedder);
        if let Some((url, options)) = &self.server {
            let server = Server::connect(url, options)?;
            return Ok(match base {
                Some(base) if base.server.as_ref() == Some(url) => {
                    Box::new(ServerStore::open(server, &base.id, &shape)?)
                }
                _ => {
                    let owner = layout::owner(&self.dir)?;
                    server.clear(id, &owner)?;
                    Box::new(ServerStore::create(server, id, &shape, &owner)?)
                }
            });
        }
        let dir = layout::building(&self.dir, id).join("shard");
        match base {
            None => Ok(Box::new(EdgeStore::create(&dir, &shape, &self.embedded)?)),
            Some(base) => {
                layout::copy_tree(&self.dir.join(&base.id).join("shard"), &dir)?;
                Ok(Box::new(EdgeStore::open(&dir)?))
            }
        }
    }

    /// Writes what is pending into a store.
    fn fill(
        &self,
        store: &mut dyn Store,
        work: &Work<'_>,
        pending: &Pending,
        held: &mut HeldArticles,
        built: &mut Built,
    ) -> Result<()> {
        for id in &pending.removed {
            work.cancel.check()?;
            store.delete(id)?;
            held.remove(id);
            built.removed += 1;
        }
        let model = work.embedder.fingerprint();
        for group in pending.articles.chunks(GROUP) {
            let mut cut = Vec::with_capacity(group.len());
            for (id, state) in group {
                work.cancel.check()?;
                if let Some((chunks, revision)) = work.chunks(id)? {
                    cut.push((chunks, revision, state));
                }
            }
            let texts: Vec<&str> = cut
                .iter()
                .flat_map(|(article, ..)| &article.chunks)
                .map(|chunk| chunk.embedded_text.as_str())
                .collect();
            let vectors = embed(work, &model, &texts, built)?;
            let mut vectors = vectors.into_iter();
            for (article, revision, state) in cut {
                work.cancel.check()?;
                let Chunks { meta, chunks } = article;
                let count = chunks.len();
                let points: Vec<Point> = chunks
                    .into_iter()
                    .zip(vectors.by_ref())
                    .map(|(chunk, dense)| Point {
                        sparse: bm25::document(&chunk.embedded_text),
                        chunk,
                        article: meta.clone(),
                        revision,
                        dense,
                    })
                    .collect();
                if held.contains_key(&meta.id) {
                    store.delete(&meta.id)?;
                }
                store.upsert(&points)?;
                if count == 0 {
                    built.empty.push(meta.title.clone());
                }
                built.articles += 1;
                built.chunks += count;
                held.insert(meta.id, HeldArticle { state: state.clone(), chunks: count });
            }
        }
        Ok(())
    }
}

pub(super) fn states(held: &HeldArticles) -> BTreeMap<&ArticleId, &str> {
    held.iter().map(|(id, article)| (id, article.state.as_str())).collect()
}

/// The vectors of texts: known ones from the library, the others embedded and kept there, batch by
/// batch.
fn embed(
    work: &Work<'_>,
    model: &Fingerprint,
    texts: &[&str],
    built: &mut Built,
) -> Result<Vec<Vec<f32>>> {
    let mut vectors = work.library.cached_vectors(model, texts)?;
    for vector in &mut vectors {
        // A vector of another length is not this model's, whatever its record says.
        if vector.as_ref().is_some_and(|vector| vector.len() != work.embedder.dimensions()) {
            *vector = None;
        }
    }
    let mut missing: Vec<usize> = (0..texts.len()).filter(|at| vectors[*at].is_none()).collect();
    // Equal texts are embedded once.
    missing.sort_by_key(|at| texts[*at]);
    let mut distinct = missing.clone();
    distinct.dedup_by_key(|at| texts[*at]);
    // Like lengths go together.
    distinct.sort_by_key(|at| texts[*at].len());
    if distinct.is_empty() {
        return Ok(vectors.into_iter().flatten().collect());
    }
    let task = "Embedding chunks".to_owned();
    let progress = |done: usize| {
        (work.events)(Event::Progress {
            task: task.clone(),
            done: done as u64,
            total: distinct.len() as u64,
            unit: Unit::Items,
        });
    };
    progress(0);
    for (number, batch) in distinct.chunks(BATCH).enumerate() {
        work.cancel.check()?;
        let some: Vec<&str> = batch.iter().map(|at| texts[*at]).collect();
        let new = work.embedder.embed(&some, Purpose::Passage)?;
        work.library
            .cache_vectors(model, some.iter().copied().zip(new.iter().map(Vec::as_slice)))?;
        for (at, vector) in batch.iter().zip(new) {
            vectors[*at] = Some(vector);
        }
        built.embedded += batch.len();
        progress(number * BATCH + batch.len());
    }
    (work.events)(Event::Done { task: task.clone() });
    // Equal texts stand beside each other in `missing`; the first of each was embedded.
    for pair in missing.windows(2) {
        if texts[pair[0]] == texts[pair[1]] {
            let [known, same] = [pair[0], pair[1]];
            if vectors[same].is_none() {
                vectors[same] = vectors[known].clone();
            }
        }
    }
    let count = vectors.len();
    let complete: Vec<Vec<f32>> = vectors.into_iter().flatten().collect();
    if complete.len() != count {
        return Err(Error::new(ErrorKind::Bug, "a chunk was left without a vector"));
    }
    Ok(complete)
}

/// Whether a store holds exactly the chunks that it should.
fn check(store: &dyn Store, held: &HeldArticles) -> Result<()> {
    let mut found: BTreeMap<ArticleId, usize> = BTreeMap::new();
    for point in store.scan(&Select::All)? {
        *found.entry(point.article_id).or_default() += 1;
    }
    let wanted: BTreeMap<ArticleId, usize> = held
        .iter()
        .filter(|(_, article)| article.chunks > 0)
        .map(|(id, article)| (id.clone(), article.chunks))
        .collect();
    if found == wanted {
        return Ok(());
    }
    let wrong = wanted
        .iter()
        .find(|(id, count)| found.get(*id) != Some(count))
        .map(|(id, _)| id)
        .or_else(|| found.keys().find(|id| !wanted.contains_key(*id)));
    Err(Error::new(
        ErrorKind::Index,
        format!(
            "the new index is not complete (article {}), and was not made live",
            wrong.map_or("?", |id| id.0.as_str())
        ),
    )
    .hint("run the same command again; if it stays so, `wellread index rebuild`"))
}

/// Whether vectors from the cache are what the embedder makes today: a sample is embedded again.
fn spot_check(work: &Work<'_>, built: &Built) -> Result<()> {
    if built.embedded > 0 || built.articles == 0 {
        // Fresh vectors need no comparison with themselves.
        return Ok(());
    }
    let mut texts = Vec::new();
    for info in work.library.articles(&crate::domain::Filter::default())? {
        if let Some((article, _)) = work.chunks(&info.meta.id)?
            && let Some(chunk) = article.chunks.first()
        {
            texts.push(chunk.embedded_text.clone());
        }
        if texts.len() >= SAMPLE {
            break;
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let known = work.library.cached_vectors(&work.embedder.fingerprint(), &texts)?;
    let fresh = work.embedder.embed(&texts, Purpose::Passage)?;
    for (known, fresh) in known.iter().flatten().zip(&fresh) {
        let cosine: f32 = known.iter().zip(fresh).map(|(a, b)| a * b).sum();
        if cosine < 0.999 {
            return Err(Error::new(
                ErrorKind::Library,
                format!("the stored vectors are not this embedder's (cosine {cosine:.3})"),
            )
            .hint("check the model (wellread models verify) and report this"));
        }
    }
    Ok(())
}

/// Removes the finished pieces of a shard's write-ahead log but the last: what they say lies in
/// the segments, and only the count of operations goes on from the last.
fn trim_log(dir: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut closed: Vec<(u64, std::path::PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_prefix("closed-")?.parse().ok()?, entry.path()))
        })
        .collect();
    closed.sort();
    closed.pop();
    for (_, path) in closed {
        let _ = std::fs::remove_file(path);
    }
}
