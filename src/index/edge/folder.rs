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

/// A segment's folder of the indexes of its fields, and the file that lists them.
const FIELDS: &str = "payload_index";
const LIST: &str = "config.json";

/// A folder like another, with links to its files. One with pages of payloads is linked as a whole:
/// the shard counts only plain files as its pages. Of the indexes of fields, those that say where a
/// field is missing are left out: no filter of ours asks for that, and opening one reads a megabyte
/// and drops it from the system's cache, two dozen times for each command.
pub(super) fn link_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.join("page_0.dat").is_file() {
        return link_folder(from, to);
    }
    fs_err::create_dir(to)?;
    let list = if from.ends_with(FIELDS) { without_nulls(&from.join(LIST))? } else { None };
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        match &list {
            Some(list) if name == LIST => fs_err::write(target, list)?,
            Some(_) if name.to_string_lossy().ends_with("-null") => {}
            _ if entry.file_type()?.is_dir() => link_tree(&entry.path(), &target)?,
            _ => link(&entry.path(), &target)?,
        }
    }
    Ok(())
}

/// The list of a segment's field indexes without those of missing values; `None` if it is not as
/// expected, and then the segment is opened as it is.
fn without_nulls(list: &Path) -> std::io::Result<Option<String>> {
    let mut list: Value = match serde_json::from_slice(&fs_err::read(list)?) {
        Ok(list) => list,
        // The shard says what is wrong with it.
        Err(_) => return Ok(None),
    };
    let Some(fields) = list.get_mut("indexed_types").and_then(Value::as_object_mut) else {
        return Ok(None);
    };
    for indexes in fields.values_mut() {
        let Some(indexes) = indexes.as_array_mut() else { return Ok(None) };
        indexes.retain(|index| index["index_type"] != "null_index");
        // A field without any is one whose indexes the shard guesses.
        if indexes.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(list.to_string()))
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

#[cfg(test)]
mod tests {
    use super::super::{EdgeOptions, EdgeStore};
    use super::*;
    use crate::index::store::Shape;

    /// Folders of indexes of missing values, and how often lists name them.
    fn nulls(folder: &Path) -> (usize, usize) {
        let (mut folders, mut named) = (0, 0);
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let within = nulls(&path);
                folders += within.0 + usize::from(path.to_string_lossy().ends_with("-null"));
                named += within.1;
            } else if path.ends_with(Path::new(FIELDS).join(LIST)) {
                named += fs_err::read_to_string(path).unwrap().matches("null_index").count();
            }
        }
        (folders, named)
    }

    #[test]
    fn a_reader_has_no_index_of_missing_values() {
        let folder = tempfile::tempdir().unwrap();
        let shard = folder.path().join("shard");
        drop(EdgeStore::create(&shard, &Shape { dimensions: 4 }, &EdgeOptions::default()).unwrap());
        assert_eq!(nulls(&shard), (6, 6), "the shard has other indexes than expected");
        let linked = folder.path().join("linked");
        link_tree(&shard.join(SEGMENTS), &linked).unwrap();
        assert_eq!(nulls(&linked), (0, 0));
    }
}
