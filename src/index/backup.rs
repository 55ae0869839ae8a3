//! Library and live generation in one archive, and back.
//!
//! A zip file of `library.sqlite`, the generation's folder, and `backup.json`, which lists every
//! file with its size and SHA-256. Of a generation on a server only the library is kept: from that
//! the index is built anew without embedding.

use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use fs_err::File;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{Index, layout};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::files;
use crate::base::scratch::Scratch;
use crate::base::{Cancel, Event, Events, Unit, hex};
use crate::library::Library;

/// The layout of the archive.
const FORMAT: u32 = 1;
const LIST: &str = "backup.json";
/// Bytes of that list at the most: some hundred thousand files.
const MAX_LIST: u64 = 32 << 20;
/// The library's name, in a backup and in a data folder.
const LIBRARY: &str = "library.sqlite";
/// The folder of indexes, in a backup and in a data folder.
const INDEX: &str = "index";
/// Bytes that are copied at once; as many zeros become a hole in the file.
const BLOCK: usize = 64 << 10;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The layout of the archive.
    pub format: u32,
    /// The version of wellread that made it.
    pub version: String,
    /// When.
    pub created: Timestamp,
    /// The generation that was live; `None` if there was none, or it is on a server.
    pub generation: Option<String>,
    /// Every other file.
    pub files: Vec<Kept>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its path, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

fn cannot(doing: &str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::io(doing, error)
}

fn zipped(doing: &str) -> impl Fn(zip::result::ZipError) -> Error {
    move |error| match error {
        zip::result::ZipError::Io(error) => Error::io(doing, error),
        other => damaged(&other.to_string()),
    }
}

fn damaged(said: &str) -> Error {
    Error::new(
        ErrorKind::Parse,
        format!("the file is not a wellread backup, or it is damaged: {said}"),
    )
    .hint("take another copy of it; nothing was changed here")
}

impl Index {
    /// Writes library and live generation into one new file. Readers and writers go on meanwhile.
    ///
    /// # Errors
    /// If the file exists or can't be written; then no file is left.
    pub fn backup(
        &self,
        library: &Library,
        to: &Path,
        events: Events<'_>,
        cancel: &Cancel,
    ) -> Result<Backup> {
        const DOING: &str = "cannot write the backup";
        if to.exists() {
            return Err(Error::new(ErrorKind::Usage, format!("{} already exists", to.display()))
                .hint("choose another name, or move that file away"));
        }
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Held: the generation stays while it is copied.
        let held = match self.live()? {
            Some(live) if live.server.is_none() => Some(layout::hold(&self.dir)?),
            _ => None,
        };
        let work = Scratch::new_in(folder).map_err(cannot(DOING))?;
        let snapshot = work.path().join(LIBRARY);
        library.snapshot(&snapshot)?;
        let mut files = vec![(LIBRARY.to_owned(), snapshot)];
        let generation = held.as_ref().map(|held| held.generation.id.clone());
        if let Some(id) = &generation {
            list(&self.dir.join(id), &format!("{INDEX}/{id}"), &mut files)?;
        }
        let partial = work.path().join("backup.zip");
        let mut zip =
            ZipWriter::new(BufWriter::new(File::create(&partial).map_err(cannot(DOING))?));
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .compression_level(Some(6))
            .large_file(true);
        let mut kept = Vec::with_capacity(files.len());
        for (at, (name, path)) in files.iter().enumerate() {
            progress(events, "Writing the backup", at, files.len());
            cancel.check()?;
            zip.start_file(name.as_str(), options).map_err(zipped(DOING))?;
            let mut file = BufReader::new(File::open(path).map_err(cannot(DOING))?);
            let (bytes, sha256) = copy(&mut file, &mut zip, cancel)?;
            kept.push(Kept { path: name.clone(), bytes, sha256 });
        }
        events(Event::Done { task: "Writing the backup".to_owned() });
        let backup = Backup {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: Timestamp::now(),
            generation,
            files: kept,
        };
        let json = serde_json::to_vec_pretty(&backup)
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
        zip.start_file(LIST, options).map_err(zipped(DOING))?;
        zip.write_all(&json).map_err(cannot(DOING))?;
        let file = zip.finish().map_err(zipped(DOING))?;
        let file = file.into_inner().map_err(|error| cannot(DOING)(error.into_error()))?;
        file.sync_all().map_err(cannot(DOING))?;
        fs_err::rename(&partial, to).map_err(cannot(DOING))?;
        Ok(backup)
    }
}

/// Puts a backup's library and index into a data folder that has neither.
///
/// # Errors
/// [`ErrorKind::Usage`] if the folder has a library or an index; [`ErrorKind::Parse`] if the
/// backup is damaged. Nothing is changed then.
pub fn restore(from: &Path, data: &Path, events: Events<'_>, cancel: &Cancel) -> Result<Backup> {
    const DOING: &str = "cannot restore the backup";
    for there in [LIBRARY, INDEX] {
        if data.join(there).exists() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} already exists", data.join(there).display()),
            )
            .hint("restore into another data folder (--data DIR), or move that away"));
        }
    }
    let file = File::open(from)
        .map_err(|error| Error::io(format!("cannot read {}", from.display()), error))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(zipped(DOING))?;
    let backup: Backup = {
        let list = zip.by_name(LIST).map_err(|_| damaged("it lists no files"))?;
        // Read no further than that, whatever the archive says of its size.
        let mut bytes = Vec::new();
        list.take(MAX_LIST + 1).read_to_end(&mut bytes).map_err(cannot(DOING))?;
        if bytes.len() as u64 > MAX_LIST {
            return Err(damaged(&format!("{LIST} has more than {} MB", MAX_LIST >> 20)));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?
    };
    if backup.format > FORMAT {
        return Err(Error::new(
            ErrorKind::Parse,
            format!("the backup was made by a newer wellread ({})", backup.version),
        )
        .hint("restore it with that one"));
    }
    fs_err::create_dir_all(data).map_err(cannot(DOING))?;
    let work = Scratch::new_in(data).map_err(cannot(DOING))?;
    for (at, kept) in backup.files.iter().enumerate() {
        progress(events, "Restoring", at, backup.files.len());
        cancel.check()?;
        let target = work.path().join(inside(&kept.path)?);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent).map_err(cannot(DOING))?;
        }
        let entry =
            zip.by_name(&kept.path).map_err(|_| damaged(&format!("{} is not in it", kept.path)))?;
        if entry.size() != kept.bytes {
            return Err(damaged(&format!("{} does not have its recorded size", kept.path)));
        }
        let mut out = Holes { file: File::create(&target).map_err(cannot(DOING))?, bytes: 0 };
        // No more is unpacked than was said.
        let (bytes, sha256) = copy(&mut entry.take(kept.bytes + 1), &mut out, cancel)?;
        out.finish().map_err(cannot(DOING))?;
        if bytes != kept.bytes || sha256 != kept.sha256 {
            return Err(damaged(&format!("{} does not match its SHA-256", kept.path)));
        }
    }
    events(Event::Done { task: "Restoring".to_owned() });
    let index = work.path().join(INDEX);
    if let Some(id) = &backup.generation {
        layout::check_restored(&index, id)?;
    }
    layout::sync_tree(work.path())?;
    // The library last: with it the folder is one.
    if backup.generation.is_some() {
        fs_err::rename(&index, data.join(INDEX)).map_err(cannot(DOING))?;
    }
    fs_err::rename(work.path().join(LIBRARY), data.join(LIBRARY)).map_err(cannot(DOING))?;
    files::sync_dir(data)?;
    Ok(backup)
}

fn progress(events: Events<'_>, task: &str, done: usize, total: usize) {
    events(Event::Progress {
        task: task.to_owned(),
        done: done as u64,
        total: total as u64,
        unit: Unit::Items,
    });
}

/// A path of a backup, if it leads into the folder that it is unpacked to.
fn inside(path: &str) -> Result<PathBuf> {
    let path = Path::new(path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let is_known = path == Path::new(LIBRARY) || path.starts_with(INDEX);
    if is_plain && is_known { Ok(path.to_owned()) } else { Err(damaged("a path leads out of it")) }
}

/// All files under a folder, with their names in the backup.
fn list(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let mut entries: Vec<_> = fs_err::read_dir(folder)
        .map_err(cannot("cannot read the index"))?
        .collect::<std::io::Result<_>>()
        .map_err(cannot("cannot read the index"))?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &name, files)?;
        } else {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}

/// Copies all, and says how much that was and its SHA-256.
fn copy(from: &mut dyn Read, to: &mut dyn Write, cancel: &Cancel) -> Result<(u64, String)> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
            damaged(&error.to_string())
        }
        _ => Error::io("cannot copy", error),
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        cancel.check()?;
        let read = from.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            let sha256 = hex(&hasher.finalize());
            return Ok((bytes, sha256));
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(failed)?;
        bytes += read as u64;
    }
}

/// A file in which runs of zeros take no room: stores map files that are mostly empty.
struct Holes {
    file: File,
    bytes: u64,
}

impl Write for Holes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.iter().all(|byte| *byte == 0) {
            self.file.seek(SeekFrom::Current(i64::try_from(bytes.len()).unwrap_or(0)))?;
        } else {
            self.file.write_all(bytes)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Holes {
    fn finish(self) -> std::io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.sync_all()
    }
}
