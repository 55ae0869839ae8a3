//! A reader's private folder: links to a published shard's files.

use std::path::Path;

use serde_json::{Value, json};

use super::{CONFIG, SEGMENTS};
use crate::base::error::{Error, ErrorKind, Result, Step};

/// Bytes of a segment of the write-ahead log of a reader, which is never written to.
const LOG: usize = 64 << 10;

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(original, link)
}

#[cfg(windows)]
fn link(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::windows::fs::symlink_file(original, link)
}

#[cfg(unix)]
fn link_folder(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(original, link)
}

#[cfg(windows)]
fn link_folder(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::windows::fs::symlink_dir(original, link)
}

/// A folder like another, with links to its files. One with pages of payloads is linked as a whole:
/// the shard counts only plain files as its pages.
pub(super) fn link_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.join("page_0.dat").is_file() {
        return link_folder(from, to);
    }
    fs_err::create_dir(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &target)?;
        } else {
            link(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Copies a shard's configuration for a reader, whose log is never written to and may be small:
/// most of the time of opening a shard goes into making it.
pub(super) fn small_log(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs_err::read(from).map_err(|error| Error::io("cannot read the index", error))?;
    let mut config: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Index, "the index is damaged: its configuration is not valid")
            .caused_by(error)
            .step(Step::Rebuild)
    })?;
    if let Some(capacity) = config.pointer_mut("/wal_options/segment_capacity") {
        *capacity = json!(LOG);
    }
    fs_err::write(to, config.to_string())
        .map_err(|error| Error::io("cannot make a temporary folder to read the index", error))
}

/// Whether a folder has a shard.
pub(super) fn is_there(dir: &Path) -> Result<()> {
    let segments = dir.join(SEGMENTS);
    let is_there = dir.join(CONFIG).is_file()
        && segments.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_there {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Index, format!("{} holds no index", dir.display()))
        .step(Step::Rebuild))
}
