//! The folder of an index: names, pointer, locks.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err::File;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frequencies::Frequencies;
use super::{Generation, HeldArticles, SCHEMA, damaged};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::files::{self, sync_dir};
use crate::base::{Cancel, Event, Events, Warning};

const CURRENT: &str = "current";
const RECORD: &str = "generation.json";
/// Locked by readers; unlike the record, it is never replaced.
const LOCK: &str = "lock";
/// What the folder of a generation that is being made ends in.
pub(super) const BUILDING: &str = ".building";

/// A generation that is held open: it is not removed while this lives.
#[derive(Debug)]
pub(super) struct Held {
    /// Which.
    pub generation: Generation,
    _lock: File,
}

/// The right to make generations; it ends with its holder.
pub(super) struct Writer {
    _lock: File,
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs_err::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => damaged(&format!("{} is missing", path.display())),
        _ => Error::io("cannot read the index", error),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| damaged(&format!("{} is corrupt", path.display())).caused_by(error))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot write a record").caused_by(error))?;
    let write = || {
        let mut file = fs_err::File::create(path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(|error| Error::io("cannot write the index", error))
}

/// The name that the pointer holds.
fn pointer(dir: &Path) -> Result<Option<String>> {
    match fs_err::read_to_string(dir.join(CURRENT)) {
        Ok(name) => {
            let name = name.trim();
            if !is_name(name) {
                return Err(damaged(&format!(
                    "{} names no generation",
                    dir.join(CURRENT).display()
                )));
            }
            Ok(Some(name.to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read the index", error)),
    }
}

fn is_name(name: &str) -> bool {
    name.strip_prefix('g')
        .is_some_and(|digits| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn record(dir: &Path, name: &str) -> Result<Generation> {
    let generation: Generation = read_json(&dir.join(name).join(RECORD))?;
    if generation.schema > SCHEMA {
        return Err(Error::new(
            ErrorKind::Index,
            format!(
                "generation {name} was made by a newer wellread (schema {})",
                generation.schema
            ),
        )
        .hint("use that wellread")
        .step(Step::Rebuild));
    }
    Ok(generation)
}

pub(super) fn live(dir: &Path) -> Result<Option<Generation>> {
    pointer(dir)?.map(|name| record(dir, &name)).transpose()
}

/// The published generations that can be read, oldest first.
pub(super) fn generations(dir: &Path) -> Result<Vec<Generation>> {
    let mut names: Vec<String> = names(dir)?.into_iter().filter(|name| is_name(name)).collect();
    names.sort();
    Ok(names.iter().filter_map(|name| record(dir, name).ok()).collect())
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("cannot read the index", error)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Where a generation says which articles it holds. One that is brought up to date in place says it
/// in another file each time, and its record decides which counts.
fn articles_file(generation: &Generation) -> String {
    match generation.amended {
        0 => "articles.json".to_owned(),
        n => format!("articles-{n}.json"),
    }
}

/// The same for its document frequencies.
pub(super) fn frequencies_file(generation: &Generation) -> String {
    match generation.amended {
        0 => "frequencies".to_owned(),
        n => format!("frequencies-{n}"),
    }
}

pub(super) fn articles(dir: &Path, generation: &Generation) -> Result<HeldArticles> {
    read_json(&dir.join(&generation.id).join(articles_file(generation)))
}

pub(super) fn frequencies(dir: &Path, generation: &Generation) -> Result<Frequencies> {
    Frequencies::open(&dir.join(&generation.id).join(frequencies_file(generation)))
}

/// Reads something of a generation. If it was brought up to date in place meanwhile, its files have
/// other names now: it is read again.
pub(super) fn consistent<T>(
    dir: &Path,
    generation: Generation,
    read: impl Fn(&Generation) -> Result<T>,
) -> Result<(Generation, T)> {
    let mut generation = generation;
    loop {
        match read(&generation) {
            Ok(value) => return Ok((generation, value)),
            Err(error) => {
                let now = record(dir, &generation.id)?;
                if now.amended == generation.amended {
                    return Err(error);
                }
                generation = now;
            }
        }
    }
}

pub(super) fn bytes(path: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes(&entry.path()),
            _ => size(&entry),
        })
        .sum()
}

/// Bytes that a file takes on the disk: stores map files that are mostly holes.
fn size(entry: &fs_err::DirEntry) -> u64 {
    let Ok(meta) = entry.metadata() else { return 0 };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        meta.blocks() * 512
    }
    #[cfg(not(unix))]
    meta.len()
}

/// Holds the live generation. A generation may be removed between the look at the pointer and the
/// lock; then the pointer has moved, and is followed.
pub(super) fn hold(dir: &Path) -> Result<Held> {
    for _ in 0..10 {
        let Some(name) = pointer(dir)? else {
            return Err(Error::new(ErrorKind::Index, "there is no index yet")
                .step(Step::AddSource)
                .step(Step::Rebuild));
        };
        let held = lock_file(&dir.join(&name))
            .and_then(|file| file.file().lock_shared().map(|()| file))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    damaged(&format!("it points to generation {name}, which is gone"))
                }
                _ => Error::io("cannot read the index", error),
            })
            .and_then(|lock| Ok(Held { generation: record(dir, &name)?, _lock: lock }));
        match held {
            Ok(held) => return Ok(held),
            Err(_) if pointer(dir)?.as_ref() != Some(&name) => {}
            Err(error) => return Err(error),
        }
    }
    Err(damaged("its pointer keeps changing"))
}

/// What readers of a generation lock; in old ones its record.
fn lock_file(folder: &Path) -> std::io::Result<File> {
    match File::open(folder.join(LOCK)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            File::open(folder.join(RECORD))
        }
        other => other,
    }
}

/// Waits for the writer's lock, and says who holds it.
pub(super) fn writer(dir: &Path, events: Events<'_>, cancel: &Cancel) -> Result<Writer> {
    let cannot = |error| Error::io("cannot lock the index", error);
    fs_err::create_dir_all(dir)
        .map_err(|error| Error::io("cannot make the folder of the index", error))?;
    let path = dir.join("writer.lock");
    let mut file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(cannot)?;
    let mut said = false;
    loop {
        match file.file().try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        if !said {
            let mut holder = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
            events(Event::Warning(Warning::IndexBusy { holder: holder.trim().to_owned() }));
            said = true;
        }
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    // Who holds it is told to those who wait; nobody relies on it.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    Ok(Writer { _lock: file })
}

impl Writer {
    /// Removes what killed writers left, and gives the name of the next generation.
    pub(super) fn next(&self, dir: &Path) -> Result<String> {
        let names = names(dir)?;
        for name in names.iter().filter(|name| name.ends_with(BUILDING)) {
            fs_err::remove_dir_all(dir.join(name))
                .map_err(|error| Error::io("cannot remove what a stopped build left", error))?;
        }
        let last = names
            .iter()
            .filter(|name| is_name(name))
            .filter_map(|name| name[1..].parse::<u64>().ok())
            .max();
        Ok(format!("g{:06}", last.unwrap_or(0) + 1))
    }

    /// Publishes a generation whose store lies complete and durable in its building folder.
    pub(super) fn publish(
        &self,
        dir: &Path,
        generation: &Generation,
        articles: &HeldArticles,
        frequencies: &Frequencies,
    ) -> Result<()> {
        let building = building(dir, &generation.id);
        write_json(&building.join(articles_file(generation)), articles)?;
        frequencies.save(&building.join(frequencies_file(generation)))?;
        write_json(&building.join(RECORD), generation)?;
        let cannot = |error| Error::io("cannot publish the index", error);
        fs_err::write(building.join(LOCK), "").map_err(cannot)?;
        sync_dirs(&building)?;
        fs_err::rename(&building, dir.join(&generation.id)).map_err(cannot)?;
        self.point(dir, &generation.id)
    }

    /// Replaces what a published generation says of itself, all of it at once; for stores that are
    /// written in place.
    pub(super) fn amend(
        &self,
        dir: &Path,
        generation: &mut Generation,
        articles: &HeldArticles,
        frequencies: &Frequencies,
    ) -> Result<()> {
        let folder = dir.join(&generation.id);
        let before = [articles_file(generation), frequencies_file(generation)];
        generation.amended += 1;
        write_json(&folder.join(articles_file(generation)), articles)?;
        frequencies.save(&folder.join(frequencies_file(generation)))?;
        self.note(dir, generation)?;
        for name in before {
            // Nobody reads it any more, and nothing depends on its being gone.
            let _ = fs_err::remove_file(folder.join(name));
        }
        Ok(())
    }

    /// Replaces the record of a published generation.
    pub(super) fn note(&self, dir: &Path, generation: &Generation) -> Result<()> {
        let folder = dir.join(&generation.id);
        let new = folder.join(format!("{RECORD}.new"));
        write_json(&new, generation)?;
        fs_err::rename(new, folder.join(RECORD))
            .map_err(|error| Error::io("cannot write the index", error))?;
        sync_dir(&folder)
    }

    /// Points to a generation, at once or not at all.
    pub(super) fn point(&self, dir: &Path, name: &str) -> Result<()> {
        files::write(&dir.join(CURRENT), name.as_bytes())
    }

    /// Removes the generations that are neither live nor, if it is kept, the one before it, and that
    /// nobody reads.
    pub(super) fn prune(&self, dir: &Path, keep_parent: bool) -> Result<Vec<Generation>> {
        let Some(live) = live(dir)? else { return Ok(Vec::new()) };
        let mut removed = Vec::new();
        for generation in generations(dir)? {
            let is_parent = Some(&generation.id) == live.parent.as_ref();
            if generation.id == live.id || (is_parent && keep_parent) {
                continue;
            }
            let folder = dir.join(&generation.id);
            let Ok(file) = lock_file(&folder) else { continue };
            if file.file().try_lock().is_err() {
                continue;
            }
            // Renamed first: what is half removed is no generation.
            let gone = dir.join(format!("{}{BUILDING}", generation.id));
            fs_err::rename(&folder, &gone)
                .and_then(|()| fs_err::remove_dir_all(&gone))
                .map_err(|error| Error::io("cannot remove an old generation", error))?;
            removed.push(generation);
        }
        Ok(removed)
    }
}

pub(super) fn rollback(dir: &Path) -> Result<Generation> {
    let none = |said: &str| {
        Error::new(ErrorKind::Index, format!("there is no generation to go back to: {said}"))
            .step(Step::ListGenerations)
    };
    let cancel = Cancel::default();
    let writer = writer(dir, &|_| {}, &cancel)?;
    let live = live(dir)?.ok_or_else(|| none("there is no index"))?;
    let parent = live.parent.ok_or_else(|| none("the live one is the first"))?;
    let generation = record(dir, &parent).map_err(|_| none("the one before was removed"))?;
    writer.point(dir, &generation.id)?;
    Ok(generation)
}

/// Makes a folder that shares its files with another; what can't be linked is copied.
pub(super) fn link_tree(from: &Path, to: &Path) -> Result<()> {
    let cannot = |error| Error::io("cannot write the index", error);
    fs_err::create_dir_all(to).map_err(cannot)?;
    for entry in fs_err::read_dir(from).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(cannot)?.is_dir() {
            link_tree(&entry.path(), &target)?;
        } else {
            link_or_copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A second name for a file, or where that can't be a durable copy of it.
pub(super) fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let copy = || {
        fs_err::copy(from, to)?;
        File::open(to)?.sync_all()
    };
    fs_err::hard_link(from, to)
        .or_else(|_| copy())
        .map_err(|error| Error::io("cannot write the index", error))
}

/// Copies a folder with all in it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let cannot = |error| Error::io("cannot copy the index", error);
    fs_err::create_dir_all(to).map_err(cannot)?;
    for entry in fs_err::read_dir(from).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(cannot)?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target).map_err(cannot)?;
        }
    }
    Ok(())
}

/// Makes a folder with all in it durable.
pub(super) fn sync_tree(path: &Path) -> Result<()> {
    let cannot = |error| Error::io("cannot write the index to the disk", error);
    for entry in fs_err::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_type().map_err(cannot)?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path()).and_then(|file| file.sync_all()).map_err(cannot)?;
        }
    }
    sync_dir(path)
}

/// Makes the names in a folder and in those under it durable.
fn sync_dirs(path: &Path) -> Result<()> {
    let cannot = |error| Error::io("cannot write the index to the disk", error);
    for entry in fs_err::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_type().map_err(cannot)?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    sync_dir(path)
}

/// Points to the one generation of a folder that was unpacked, if it can be read.
pub(super) fn check_restored(dir: &Path, id: &str) -> Result<()> {
    if !is_name(id) {
        return Err(damaged(&format!("{id} is not the name of a generation")));
    }
    let generation = record(dir, id)?;
    articles(dir, &generation)?;
    let alone = Generation { parent: None, ..generation };
    write_json(&dir.join(id).join(RECORD), &alone)?;
    fs_err::write(dir.join(CURRENT), id)
        .map_err(|error| Error::io("cannot switch the index", error))
}

/// What tells this folder's collections on a server from those of others; made by the first writer.
pub(super) fn owner(dir: &Path) -> Result<String> {
    let path = dir.join("owner");
    match fs_err::read_to_string(&path) {
        Ok(owner) if !owner.trim().is_empty() => return Ok(owner.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("cannot read the index", error)),
    }
    let owner = format!("{:032x}", fastrand::u128(..));
    files::write(&path, owner.as_bytes())?;
    Ok(owner)
}

/// Where a generation that is being made lies.
pub(super) fn building(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}{BUILDING}"))
}
