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
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    // A temporary file is its owner's alone; what it becomes is as readable as any other.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(cannot)?;
    }
    file.persist(path).map_err(|error| cannot(error.error))?;
    sync_dir(folder)
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
