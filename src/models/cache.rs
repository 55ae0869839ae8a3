//! Files of the cache: what is checked, what is not yet whole, and who may write.

use std::fs::TryLockError;
use std::io::{ErrorKind as Io, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_err::File;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Events, Unit, Warning, hex};

const BLOCK: usize = 1 << 20;

/// What a file is, if anything is known of what it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<&'a str>,
}

/// How a file compares with what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// As it should be; its SHA-256.
    Right(String),
    /// Not there.
    Missing,
    /// Something else; what.
    Wrong(String),
}

/// What was seen of a file when it was last checked, kept beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    sha256: String,
    size: u64,
    modified_ns: u128,
}

impl Seal {
    fn of(path: &Path, sha256: &str) -> std::io::Result<Seal> {
        let metadata = fs_err::metadata(path)?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified_ns = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Ok(Seal { sha256: sha256.to_owned(), size: metadata.len(), modified_ns })
    }

    fn read(path: &Path) -> Option<Seal> {
        serde_json::from_str(&fs_err::read_to_string(seal_path(path)).ok()?).ok()
    }

    /// A seal that can't be written costs a hash at the next load and nothing else, so a cache that
    /// may only be read still serves.
    fn write(&self, path: &Path) {
        let Ok(text) = serde_json::to_string(self) else { return };
        let Some(folder) = path.parent() else { return };
        let mut builder = tempfile::Builder::new();
        // Readable by whoever may read the model, who else would hash it each time.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let Ok(mut file) = builder.tempfile_in(folder) else { return };
        if std::io::Write::write_all(&mut file, text.as_bytes()).is_ok() {
            let _ = file.persist(seal_path(path));
        }
    }
}

fn seal_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".ok");
    path.with_file_name(name)
}

/// Compares a file with what it should be: by its seal where size and time of change are those of
/// the last check, else (and with `anew` always) by its bytes. Without a wanted SHA-256 the seal's
/// holds.
///
/// # Errors
/// If it is there and can't be read, or the user stopped it.
pub(super) fn check(
    path: &Path,
    wanted: Wanted<'_>,
    anew: bool,
    events: Events<'_>,
    cancel: &Cancel,
) -> Result<Checked> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => {
            return Ok(Checked::Missing);
        }
        Err(error) => return Err(Error::io("cannot read a file of the model cache", error)),
    };
    if !metadata.is_file() {
        return Ok(Checked::Wrong("is not a file".into()));
    }
    let sealed = Seal::read(path);
    let sha256 = wanted.sha256.or(sealed.as_ref().map(|seal| seal.sha256.as_str()));
    if let Some(size) = wanted.size.filter(|size| *size != metadata.len()) {
        return Ok(Checked::Wrong(format!("has {} bytes, not {size}", metadata.len())));
    }
    let now = |sha256: &str| {
        Seal::of(path, sha256)
            .map_err(|error| Error::io("cannot read a file of the model cache", error))
    };
    if let (false, Some(sealed), Some(sha256)) = (anew, &sealed, sha256)
        && *sealed == now(sha256)?
    {
        return Ok(Checked::Right(sha256.to_owned()));
    }
    let before = now("")?;
    let found = sha256_of(path, wanted.name, events, cancel)?;
    if now("")? != before {
        return Ok(Checked::Wrong("changed while it was checked".into()));
    }
    if let Some(sha256) = sha256.filter(|sha256| *sha256 != found) {
        return Ok(Checked::Wrong(format!("has SHA-256 {found}, not {sha256}")));
    }
    let seal = Seal { sha256: found.clone(), ..before };
    if sealed.as_ref() != Some(&seal) {
        seal.write(path);
    }
    Ok(Checked::Right(found))
}

/// SHA-256 of a file, with progress if it is big enough to wait for.
fn sha256_of(path: &Path, name: &str, events: Events<'_>, cancel: &Cancel) -> Result<String> {
    let failed = |error| Error::io("cannot read a model file", error);
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let task = format!("Checking {name}");
    let shown = total > 16 * BLOCK as u64;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    loop {
        cancel.check()?;
        let count = match file.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == Io::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hasher.update(&block[..count]);
        done += count as u64;
        if shown && done.is_multiple_of(8 * BLOCK as u64) {
            events(Event::Progress { task: task.clone(), done, total, unit: Unit::Bytes });
        }
    }
    if shown {
        events(Event::Done { task });
    }
    Ok(hex(&hasher.finalize()))
}

/// Gives a whole download its name if it is what it should be, and deletes it if not.
///
/// # Errors
/// If the disk fails, or the user stopped it; then the download stays.
pub(super) fn accept(
    partial: &Path,
    path: &Path,
    wanted: Wanted<'_>,
    events: Events<'_>,
    cancel: &Cancel,
) -> Result<Checked> {
    let failed = |error| Error::io("cannot keep a downloaded model file", error);
    let found = match wanted.size.filter(|size| length(partial) != *size) {
        Some(size) => format!("has {} bytes, not {size}", length(partial)),
        None => {
            let sha256 = sha256_of(partial, wanted.name, events, cancel)?;
            match wanted.sha256.filter(|wanted| *wanted != sha256) {
                Some(wanted) => format!("has SHA-256 {sha256}, not {wanted}"),
                None => {
                    fs_err::File::open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
                    fs_err::rename(partial, path).map_err(failed)?;
                    sync_folder(path);
                    if let Ok(seal) = Seal::of(path, &sha256) {
                        seal.write(path);
                    }
                    return Ok(Checked::Right(sha256));
                }
            }
        }
    };
    fs_err::remove_file(partial).map_err(failed)?;
    Ok(Checked::Wrong(found))
}

/// Makes a rename durable; where folders can't be synced (Windows) the file system does it.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Bytes of a file; 0 if it isn't there.
pub(super) fn length(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |metadata| metadata.len())
}

/// An error of writing to the cache, which names it.
pub(super) fn unwritable(cache: &Path, error: std::io::Error) -> Error {
    let error = Error::io(format!("cannot write to the model cache {}", cache.display()), error);
    match error.kind() {
        ErrorKind::DiskFull => error.hint(format!(
            "free some space, or set WELLREAD_CACHE to a folder on another disk than {}; what was \
             fetched so far is kept",
            cache.display()
        )),
        _ => error.hint("make it writable, or set WELLREAD_CACHE to a folder that is"),
    }
}

/// Waits until no other process fetches into `folder`, and keeps others from it until the returned
/// file is closed, which a killed process does too.
///
/// # Errors
/// If the lock's file can't be written, or the user stopped the waiting.
pub(super) fn lock(
    folder: &Path,
    cache: &Path,
    model: &str,
    events: Events<'_>,
    cancel: &Cancel,
) -> Result<File> {
    let failed = |error| unwritable(cache, error);
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(".lock"))
        .map_err(failed)?;
    let mut said = false;
    loop {
        cancel.check()?;
        match file.file().try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == Io::Unsupported => {
                events(Event::Warning(Warning::Model(format!(
                    "{} can't be locked; let no other wellread fetch into it now",
                    cache.display()
                ))));
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !said {
            events(Event::Status(format!("Waiting for another wellread that is fetching {model}")));
            said = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
