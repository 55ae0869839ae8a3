//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::error::{Error, ErrorKind, Result};

/// Writes a file whole or not at all, and durably; one that is there is replaced at once.
///
/// # Errors
/// If it can't be written; then what was there stays.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |error| Error::io(format!("cannot write {}", path.display()), error);
    write_by(path, |file| file.write_all(bytes)).map_err(cannot)?;
    sync_dir(folder_of(path))
}

/// Writes a new file whole or not at all, and durably; its owner alone can read it.
///
/// # Errors
/// If it can't be written, or there is one already, which stays as it is.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |error: std::io::Error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let error = Error::io(format!("cannot write {}", path.display()), error);
        if is_there { error.hint("name a file that is not there yet") } else { error }
    };
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path)).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist_noclobber(path).map_err(|failed| cannot(failed.error))?;
    sync_dir(folder_of(path))
}

/// Writes a file whole or not at all, as [`write`], by what `fill` writes to it.
///
/// # Errors
/// What `fill` fails with, or the system; then what was there stays.
pub fn write_by<E: From<std::io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut std::fs::File) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    // A temporary file is its owner's alone; what it becomes is as readable as any other.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what killed processes left half written in a folder: temporary files of an hour ago.
pub fn sweep(folder: &Path) {
    const ABANDONED: std::time::Duration = std::time::Duration::from_secs(3600);
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_left = entry.file_name().to_string_lossy().starts_with(".tmp")
            && entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|written| written.elapsed().is_ok_and(|age| age > ABANDONED));
        if is_left {
            let _ = fs_err::remove_file(entry.path());
        }
    }
}

/// [`write`] of a value as indented JSON with a line break at its end.
///
/// # Errors
/// As [`write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Makes durable what was made, renamed or removed in a folder.
///
/// # Errors
/// If the system refuses.
pub fn sync_dir(path: &Path) -> Result<()> {
    #[cfg(unix)]
    fs_err::File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| {
        Error::io(format!("cannot write {} to the disk", path.display()), error)
    })?;
    let _: &Path = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        write_new(&path, b"first").unwrap();
        let error = write_new(&path, b"second").unwrap_err();
        assert!(format!("{:?}", error.steps()).contains("not there yet"), "{error:?}");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "first");
    }
}
