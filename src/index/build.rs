//! Library → a generation: a new one from all of it, one beside its parent from what changed, or a
//! server's brought up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::base::{self, Collected};
use super::delta::DeltaWriter;
use super::edge::EdgeStore;
use super::fill::{Built, Filling, Work, states};
use super::frequencies::Frequencies;
use super::layout::{self, Writer};
use super::opened::{DELTA, Opened, Parts, SHARD};
use super::server::{Server, ServerStore};
use super::store::{Shape, Store};
use super::targets::{Appending, InPlace, Intent, Parent, continued, count};
use super::{Generation, HeldArticles, Index, SCHEMA, check, check_fingerprint};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, Event};
use crate::library::Pending;

/// The points of a base that is being built, before their weights are made.
const POINTS: &str = "points";

/// Looks at a new generation before it is made live, and refuses it by an error.
pub type Gate<'a> = &'a dyn Fn(&Opened) -> Result<()>;

/// Which average length weights are made with.
#[derive(Clone, Copy)]
enum Average {
    /// That of the chunks that are written.
    Measured,
    /// That of another generation, so that both score alike.
    Kept(f64),
}

impl Index {
    /// Brings the index up to date with the library; does nothing if it is.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if settings differ from those of the live generation; if a part fails,
    /// and then an embedded live generation is as it was.
    pub fn update(&self, work: &Work<'_>) -> Result<Built> {
        work.library.ensure_cleaned(work.clean, work.events, work.cancel)?;
        let up_to_date =
            |live: &Generation| Built { generation: Some(live.id.clone()), ..Built::default() };
        match self.live()? {
            Some(live) if self.is_current(&live, work)? => return Ok(up_to_date(&live)),
            None if work.library.article_count()? == 0 => return Ok(Built::default()),
            _ => {}
        }
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        // Another process may have done it while this one waited.
        let Some(mut live) = self.live()? else {
            return self.make(&writer, work, Average::Measured, None);
        };
        if live.schema < SCHEMA {
            (work.events)(Event::Status(format!(
                "An older wellread made the index (schema {}): rebuilding it from the library",
                live.schema
            )));
            return self.make(&writer, work, Average::Measured, None);
        }
        check_fingerprint(&live, &work.fingerprint())?;
        if live.server.as_deref() != self.url() {
            // All of it is written where it is to be from now on.
            return self.make(&writer, work, Average::Kept(live.average_length), None);
        }
        let changes = work.library.changes()?;
        let held = self.articles(&live)?;
        let pending = work.library.pending(work.clean, &states(&held))?;
        if pending.is_empty() {
            // The next look costs one comparison.
            live.library_changes = Some(changes);
            writer.note(&self.dir, &live)?;
            return Ok(up_to_date(&live));
        }
        self.bring_up(&writer, work, Bringing { live, held, pending, changes }, &BTreeSet::new())
    }

    fn is_current(&self, live: &Generation, work: &Work<'_>) -> Result<bool> {
        if live.server.as_deref() != self.url() || live.schema < SCHEMA {
            return Ok(false);
        }
        check_fingerprint(live, &work.fingerprint())?;
        Ok(live.library_changes == Some(work.library.changes()?))
    }

    /// Builds a generation from the library alone, and makes it live if `gate` lets it.
    ///
    /// # Errors
    /// If a part fails or the gate refuses, and then the live generation is as it was.
    pub fn rebuild(&self, work: &Work<'_>, gate: Option<Gate<'_>>) -> Result<Built> {
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        self.make(&writer, work, Average::Measured, gate)
    }

    /// As [`Index::rebuild`], with the live generation's average length: for an index that moves to
    /// another place and should score as it did.
    ///
    /// # Errors
    /// As [`Index::rebuild`].
    pub fn move_here(&self, work: &Work<'_>, gate: Option<Gate<'_>>) -> Result<Built> {
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        let average = match self.live() {
            Ok(Some(live)) if check_fingerprint(&live, &work.fingerprint()).is_ok() => {
                Average::Kept(live.average_length)
            }
            _ => Average::Measured,
        };
        self.make(&writer, work, average, gate)
    }

    /// Writes articles of the live generation anew that are not what they should be.
    ///
    /// # Errors
    /// As [`Index::update`].
    pub fn repair(&self, work: &Work<'_>, damaged: &BTreeSet<ArticleId>) -> Result<Built> {
        work.library.ensure_cleaned(work.clean, work.events, work.cancel)?;
        let writer = layout::writer(&self.dir, work.events, work.cancel)?;
        let live = self.live()?.filter(|live| live.server.as_deref() == self.url());
        let Some(live) = live else {
            return self.make(&writer, work, Average::Measured, None);
        };
        check_fingerprint(&live, &work.fingerprint())?;
        let changes = work.library.changes()?;
        let held = self.articles(&live)?;
        let mut pending = work.library.pending(work.clean, &states(&held))?;
        let changed: BTreeSet<&ArticleId> =
            pending.articles.iter().map(|(id, _)| id).chain(&pending.removed).collect();
        if damaged.iter().any(|id| changed.contains(id)) {
            // What was counted of it is not known any more.
            return self.make(&writer, work, Average::Measured, None);
        }
        for id in damaged {
            match held.get(id) {
                Some(held) => pending.articles.push((id.clone(), held.state.clone())),
                None => pending.removed.push(id.clone()),
            }
        }
        self.bring_up(&writer, work, Bringing { live, held, pending, changes }, damaged)
    }

    /// Builds a generation of the whole library.
    fn make(
        &self,
        writer: &Writer,
        work: &Work<'_>,
        average: Average,
        gate: Option<Gate<'_>>,
    ) -> Result<Built> {
        work.library.ensure_cleaned(work.clean, work.events, work.cancel)?;
        let id = writer.next(&self.dir)?;
        let building = layout::building(&self.dir, &id);
        fs_err::create_dir_all(&building)
            .map_err(|error| Error::io("cannot write the index", error))?;
        let made = self.make_in(&building, &id, work, average, gate);
        self.publish(writer, &building, made)
    }

    fn make_in(
        &self,
        building: &Path,
        id: &str,
        work: &Work<'_>,
        average: Average,
        gate: Option<Gate<'_>>,
    ) -> Result<Made> {
        let changes = work.library.changes()?;
        let pending = work.library.pending(work.clean, &BTreeMap::new())?;
        let none = BTreeSet::new();
        let (held, frequencies) = (HeldArticles::new(), Frequencies::default());
        let mut filling = Filling::new(work, held, frequencies, 0, &none);
        let path = building.join(POINTS);
        let (average, collected) = match average {
            Average::Measured => {
                let writer = DeltaWriter::create(&path)?;
                let mut target = Appending { writer, parent: None };
                filling.fill(&mut target, &pending)?;
                let bytes = target.writer.finish()?;
                let average = filling.frequencies.average_length();
                (average, Some(Collected { path: &path, bytes }))
            }
            Average::Kept(average) => (average, None),
        };
        let mut write = |store: &mut dyn Store| match &collected {
            Some(collected) => collected.write(store, average, work.cancel),
            None => filling.fill(&mut InPlace { store, average, intent: None }, &pending),
        };
        let shape = Shape { dimensions: work.embedder.dimensions() };
        let store: Box<dyn Store> = match &self.server {
            None => {
                let dir = building.join(SHARD);
                let mut store = EdgeStore::create(&dir, &shape, &self.embedded)?;
                write(&mut store)?;
                base::close(store, &dir)?;
                Box::new(EdgeStore::open_reader(&dir)?)
            }
            Some((url, options)) => {
                let server = Server::connect(url, options)?;
                let owner = layout::owner(&self.dir)?;
                server.clear(id, &owner)?;
                let mut store = ServerStore::create(server, id, &shape, &owner)?;
                write(&mut store)?;
                store.flush()?;
                Box::new(store)
            }
        };
        if collected.is_some() {
            fs_err::remove_file(&path)
                .map_err(|error| Error::io("cannot write the index", error))?;
        }
        let Filling { held, frequencies, built, known, .. } = filling;
        check::whole(store.as_ref(), &held)?;
        check::spot(work, &known)?;
        let chunks = held.values().map(|article| article.chunks).sum();
        let generation = Generation {
            id: id.to_owned(),
            schema: SCHEMA,
            fingerprint: work.fingerprint(),
            created: Timestamp::now(),
            articles: held.len(),
            chunks,
            dimensions: work.embedder.dimensions(),
            // A damaged live generation can't be gone back to.
            parent: self.live().ok().flatten().map(|live| live.id),
            server: self.url().map(str::to_owned),
            library_changes: Some(changes),
            average_length: average,
            base_chunks: chunks,
            superseded_chunks: 0,
            delta_bytes: 0,
            delta_chunks: 0,
            amended: 0,
        };
        let made = Made { generation, held, frequencies, built };
        if let Some(gate) = gate {
            let frequencies = made.frequencies.clone();
            let parts = Parts { base: store, delta: None, frequencies };
            gate(&Opened::unpublished(made.generation.clone(), parts))?;
        }
        Ok(made)
    }

    /// Makes a generation live that lies in its building folder, or clears it away.
    fn publish(&self, writer: &Writer, building: &Path, made: Result<Made>) -> Result<Built> {
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                // What can't be removed now is removed by the next build.
                let _ = fs_err::remove_dir_all(building);
                return Err(error);
            }
        };
        let Made { generation, held, frequencies, mut built } = made;
        writer.publish(&self.dir, &generation, &held, &frequencies)?;
        if let Some((url, options)) = &self.server {
            Server::connect(url, options)?.publish(&generation.id)?;
        }
        self.remove_old(writer, true)?;
        built.generation = Some(generation.id);
        Ok(built)
    }

    /// Writes what changed since the live generation was made.
    fn bring_up(
        &self,
        writer: &Writer,
        work: &Work<'_>,
        bringing: Bringing,
        damaged: &BTreeSet<ArticleId>,
    ) -> Result<Built> {
        if self.server.is_some() {
            return self.amend(writer, work, bringing, damaged);
        }
        let id = writer.next(&self.dir)?;
        let building = layout::building(&self.dir, &id);
        fs_err::create_dir_all(&building)
            .map_err(|error| Error::io("cannot write the index", error))?;
        let made = self.extend(&building, id, work, bringing, damaged);
        self.publish(writer, &building, made)
    }

    /// A generation that shares the live one's base, with what changed in its delta.
    fn extend(
        &self,
        building: &Path,
        id: String,
        work: &Work<'_>,
        bringing: Bringing,
        damaged: &BTreeSet<ArticleId>,
    ) -> Result<Made> {
        let Bringing { live, held, pending, changes } = bringing;
        let folder = self.dir.join(&live.id);
        layout::link_tree(&folder.join(SHARD), &building.join(SHARD))?;
        let path = building.join(DELTA);
        let writer = continued(&folder.join(DELTA), &path, live.delta_bytes)?;
        let frequencies = layout::frequencies(&self.dir, &live)?;
        let superseded = live.superseded_chunks;
        let mut filling = Filling::new(work, held, frequencies, superseded, damaged);
        let parent = Parent { folder: &folder, generation: &live, delta: None, base: None };
        let mut target = Appending { writer, parent: Some(parent) };
        filling.fill(&mut target, &pending)?;
        let bytes = target.writer.finish()?;
        check::delta(building, live.delta_bytes, bytes, &filling)?;
        check::spot(work, &filling.known)?;
        let Filling { mut held, frequencies, built, superseded, .. } = filling;
        let mut generation = Generation {
            id,
            created: Timestamp::now(),
            articles: held.len(),
            chunks: held.values().map(|article| article.chunks).sum(),
            parent: Some(live.id.clone()),
            library_changes: Some(changes),
            superseded_chunks: superseded,
            delta_bytes: bytes,
            delta_chunks: live.delta_chunks + built.chunks,
            ..live.clone()
        };
        if base::is_due(&generation) {
            (work.events)(Event::Status("Merging what is new into the index".to_owned()));
            let new = building.join("merged");
            let collected = Collected { path: &path, bytes };
            let average = frequencies.average_length();
            let (old, options) = (folder.join(SHARD), &self.embedded);
            let average =
                base::merge(&old, &new, &generation, &collected, average, options, work.cancel)?;
            base::replace(building, &new)?;
            fs_err::remove_file(&path)
                .map_err(|error| Error::io("cannot write the index", error))?;
            held.values_mut().for_each(|article| article.in_delta = false);
            check::whole(&EdgeStore::open_reader(&building.join(SHARD))?, &held)?;
            generation = Generation {
                average_length: average,
                base_chunks: generation.chunks,
                superseded_chunks: 0,
                delta_bytes: 0,
                delta_chunks: 0,
                ..generation
            };
        }
        Ok(Made { generation, held, frequencies, built })
    }

    /// Brings a server's collection up to date where it is, group by group. Before a group is
    /// written, the generation says that its articles are unfinished: if this is cut off, the next
    /// update writes them again, or removes them if they are gone by then.
    fn amend(
        &self,
        writer: &Writer,
        work: &Work<'_>,
        bringing: Bringing,
        damaged: &BTreeSet<ArticleId>,
    ) -> Result<Built> {
        let Bringing { mut live, held, pending, changes } = bringing;
        let Some((url, options)) = &self.server else {
            return Err(Error::new(ErrorKind::Bug, "the index is on no server"));
        };
        // What killed builds left.
        writer.next(&self.dir)?;
        let server = Server::connect(url, options)?;
        let shape = Shape { dimensions: live.dimensions };
        let mut store = ServerStore::open(server, &live.id, &shape)?;
        let frequencies = layout::frequencies(&self.dir, &live)?;
        let mut filling = Filling::new(work, held, frequencies, 0, damaged);
        let average = live.average_length;
        let intent = Intent { writer, dir: &self.dir, generation: &mut live };
        let mut target = InPlace { store: &mut store, average, intent: Some(intent) };
        filling.fill(&mut target, &pending)?;
        store.flush()?;
        check::written(&store, &filling)?;
        check::spot(work, &filling.known)?;
        let Filling { held, frequencies, mut built, .. } = filling;
        live.created = Timestamp::now();
        live.library_changes = Some(changes);
        count(&mut live, &held);
        live.base_chunks = live.chunks;
        writer.amend(&self.dir, &mut live, &held, &frequencies)?;
        built.generation = Some(live.id);
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
}

/// What an update starts from.
struct Bringing {
    live: Generation,
    held: HeldArticles,
    pending: Pending,
    /// The library's count of changes before it was asked what is pending.
    changes: u64,
}

/// A generation that is complete but for being published.
struct Made {
    generation: Generation,
    held: HeldArticles,
    frequencies: Frequencies,
    built: Built,
}
