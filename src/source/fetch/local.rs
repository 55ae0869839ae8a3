//! Files, folders and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::{Body, Cursor, FetchOptions, Fetched, too_large};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::hex;

/// Files of a folder that are read.
const EXTENSIONS: [&str; 13] = [
    "atom", "feed", "htm", "html", "json", "markdown", "md", "opml", "rdf", "rss", "txt", "xml",
    "zip",
];
/// Folders within folders.
const MAX_DEPTH: usize = 32;

pub(super) fn fetch(
    path: &Path,
    cursor: &Cursor,
    options: &FetchOptions,
) -> Result<(Fetched, Cursor)> {
    let meta = fs_err::metadata(path).map_err(cannot)?;
    if !meta.is_dir() {
        if !meta.is_file() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} is neither a file nor a folder", path.display()),
            )
            .hint("to read a pipe, give - for the source"));
        }
        let stamp = Some(stamp(&meta));
        if cursor.stamp == stamp {
            return Ok((Fetched::Unchanged, cursor.clone()));
        }
        let body = read(path, options)?;
        return Ok((Fetched::Body(body), Cursor { stamp, ..Cursor::default() }));
    }
    let mut files = Vec::new();
    walk(path, 0, &mut files)?;
    files.sort();
    let mut hasher = Sha256::new();
    for file in &files {
        let meta = fs_err::metadata(file).map_err(cannot)?;
        hasher.update(file.to_string_lossy().as_bytes());
        hasher.update([0]);
        hasher.update(self::stamp(&meta));
    }
    let stamp = Some(hex(&hasher.finalize()));
    if cursor.stamp == stamp {
        return Ok((Fetched::Unchanged, cursor.clone()));
    }
    if files.is_empty() {
        return Err(Error::new(
            ErrorKind::Parse,
            format!("the folder {} holds nothing that can be read", path.display()),
        )
        .hint(format!("files of these kinds are read: {}", EXTENSIONS.join(", "))));
    }
    Ok((Fetched::Files(files), Cursor { stamp, ..Cursor::default() }))
}

/// The system's error names the path.
fn cannot(error: std::io::Error) -> Error {
    Error::io("cannot read the source", error).hint("check the path and its permissions")
}

/// Size and time of a file: if both are as they were, so is it.
fn stamp(meta: &std::fs::Metadata) -> String {
    let time = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    format!("{}@{time}", meta.len())
}

/// Files below a folder; hidden ones and links are passed over, as everywhere on a shell.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("{} lies more than {MAX_DEPTH} folders deep", folder.display()),
        )
        .hint("add the inner folder by itself"));
    }
    let entries = fs_err::read_dir(folder).map_err(cannot)?;
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(cannot)?;
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() {
            let path = entry.path();
            let extension =
                path.extension().map(|text| text.to_string_lossy().to_ascii_lowercase());
            if extension.is_some_and(|text| EXTENSIONS.contains(&text.as_str())) {
                files.push(path);
            }
        }
    }
    Ok(())
}

pub(super) fn read(path: &Path, options: &FetchOptions) -> Result<Body> {
    let file = fs_err::File::open(path).map_err(cannot)?;
    let bytes = limited(file, options.max_bytes, &path.display().to_string())?;
    Ok(Body {
        bytes,
        file_name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        ..Body::default()
    })
}

pub(super) fn stdin(options: &FetchOptions) -> Result<(Fetched, Cursor)> {
    let bytes = limited(std::io::stdin().lock(), options.max_bytes, "standard input")?;
    Ok((Fetched::Body(Body { bytes, ..Body::default() }), Cursor::default()))
}

fn limited(reader: impl Read, limit: u64, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(format!("cannot read {name}"), error))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(name, limit));
    }
    Ok(bytes)
}
