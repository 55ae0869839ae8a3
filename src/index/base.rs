//! Points → a base: a new one from all points that were collected, or the old one with its delta
//! merged into it.

use std::path::Path;

use super::Generation;
use super::delta::{DeltaReader, Newest};
use super::edge::{EdgeOptions, EdgeStore};
use super::layout;
use super::opened::SHARD;
use super::store::{Select, Shape, Store};
use crate::base::error::{Error, Result};
use crate::base::{Cancel, Point};
use crate::document::terms;

/// Points that are given to a store at once.
const BATCH: usize = 2_000;
/// Chunks that a delta may have, whatever the base has.
const DELTA_CHUNKS: usize = 2_000;
/// The part of the base that a delta may have beyond that: one of so many.
const DELTA_PART: usize = 50;
/// The part of the base that may be superseded: one of so many.
const SUPERSEDED_PART: usize = 5;
/// By how much the average length may move before weights are made anew.
const LENGTH_MOVES: f64 = 0.05;

/// Whether a generation's delta should be merged into its base.
pub(super) fn is_due(generation: &Generation) -> bool {
    let Generation { base_chunks, superseded_chunks, delta_chunks, .. } = generation;
    *delta_chunks > DELTA_CHUNKS.max(base_chunks / DELTA_PART)
        || *superseded_chunks * SUPERSEDED_PART > *base_chunks
}

/// Whether weights that were made with one average length don't fit another any more.
pub(super) fn has_moved(from: f64, to: f64) -> bool {
    (from - to).abs() > LENGTH_MOVES * from
}

/// Gives points to a store, many at once.
struct Batches<'a> {
    store: &'a mut dyn Store,
    points: Vec<Point>,
    cancel: &'a Cancel,
}

impl Batches<'_> {
    fn push(&mut self, point: Point) -> Result<()> {
        self.points.push(point);
        if self.points.len() < BATCH {
            return Ok(());
        }
        self.cancel.check()?;
        self.store.upsert(&self.points)?;
        self.points.clear();
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.store.upsert(&self.points)
    }
}

/// A file of points, and how much of it counts.
pub(super) struct Collected<'a> {
    pub path: &'a Path,
    pub bytes: u64,
}

impl Collected<'_> {
    fn newest(&self) -> Result<Newest> {
        DeltaReader::open(self.path, self.bytes)?.newest()
    }

    /// Writes the points into a store, weighed where chunks have `average` terms.
    pub fn write(&self, store: &mut dyn Store, average: f64, cancel: &Cancel) -> Result<()> {
        let newest = self.newest()?;
        self.write_newest(&newest, store, average, cancel)
    }

    fn write_newest(
        &self,
        newest: &Newest,
        store: &mut dyn Store,
        average: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut batches = Batches { store, points: Vec::with_capacity(BATCH), cancel };
        let reader = DeltaReader::open(self.path, self.bytes)?;
        reader.points(newest, average, &mut |point| batches.push(point))?;
        batches.finish()
    }
}

/// Makes a base of an old one, in the folder `old`, and of what came after it, in the folder `new`.
/// If the average length moved, everything is written anew with the new one, which is given back.
pub(super) fn merge(
    old: &Path,
    new: &Path,
    generation: &Generation,
    delta: &Collected<'_>,
    average: f64,
    options: &EdgeOptions,
    cancel: &Cancel,
) -> Result<f64> {
    let newest = delta.newest()?;
    let before = generation.average_length;
    let is_small = delta_is_small(generation);
    if is_small && !has_moved(before, average) {
        layout::copy_tree(old, new)?;
        let mut store = EdgeStore::open(new)?;
        store.delete_all(&newest.named)?;
        delta.write_newest(&newest, &mut store, before, cancel)?;
        return close(store, new).map(|()| before);
    }
    let shape = Shape { dimensions: generation.dimensions };
    let mut store = EdgeStore::create(new, &shape, options)?;
    let base = EdgeStore::open_reader(old)?.without(&newest.named)?;
    let mut batches = Batches { store: &mut store, points: Vec::with_capacity(BATCH), cancel };
    base.read(&Select::All, &mut |mut point| {
        let terms = terms::unweigh(&point.sparse, point.length, before);
        point.sparse = terms::weights(&terms, average);
        batches.push(point)
    })?;
    batches.finish()?;
    delta.write_newest(&newest, &mut store, average, cancel)?;
    close(store, new).map(|()| average)
}

/// Whether most of what the two have together is in the base.
fn delta_is_small(generation: &Generation) -> bool {
    let Generation { base_chunks, superseded_chunks, delta_chunks, .. } = generation;
    *delta_chunks < base_chunks.saturating_sub(*superseded_chunks)
}

/// Makes a store that was written durable.
pub(super) fn close(mut store: EdgeStore, folder: &Path) -> Result<()> {
    store.flush()?;
    drop(store);
    trim_log(&folder.join("wal"));
    layout::sync_tree(folder)
}

/// Removes the finished pieces of a shard's write-ahead log but the last: what they say lies in the
/// segments, and only the count of operations goes on from the last.
fn trim_log(dir: &Path) {
    let Ok(entries) = fs_err::read_dir(dir) else { return };
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
        let _ = fs_err::remove_file(path);
    }
}

/// Puts a base in the place of the one in a folder.
pub(super) fn replace(folder: &Path, new: &Path) -> Result<()> {
    let shard = folder.join(SHARD);
    fs_err::remove_dir_all(&shard)
        .and_then(|()| fs_err::rename(new, &shard))
        .map_err(|error| Error::io("cannot write the index", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_merged_when_it_has_grown_or_much_of_the_base_is_superseded() {
        let generation = |base_chunks, superseded_chunks, delta_chunks| Generation {
            id: "g000001".into(),
            schema: 2,
            fingerprint: crate::base::Fingerprint(Default::default()),
            created: jiff::Timestamp::UNIX_EPOCH,
            articles: 0,
            chunks: 0,
            dimensions: 2,
            parent: None,
            server: None,
            library_changes: None,
            average_length: 50.0,
            base_chunks,
            superseded_chunks,
            delta_bytes: 1,
            delta_chunks,
            amended: 0,
        };
        for (due, base, superseded, delta) in [
            (false, 100_000, 0, 2_000),
            (true, 100_000, 0, 2_001),
            (false, 1_000_000, 0, 20_000),
            (true, 1_000_000, 0, 20_001),
            (false, 10, 2, 5),
            (true, 10, 3, 5),
        ] {
            assert_eq!(is_due(&generation(base, superseded, delta)), due, "{base} {delta}");
        }
        assert!(!has_moved(50.0, 52.5) && has_moved(50.0, 52.6) && has_moved(50.0, 47.4));
    }
}
