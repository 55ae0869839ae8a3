//! Temporary folders that outlive no process for long: one that was killed leaves its folder, and
//! the next to make one beside it takes that away.

use fs_err::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What the folders' names begin with.
const PREFIX: &str = "wellread-tmp-";
/// Held by the folder's owner.
const LOCK: &str = "owner.lock";
/// How old a folder without a lock must be: its owner may just be making it, which takes some
/// microseconds.
const ABANDONED: Duration = Duration::from_secs(5);

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A new folder in `parent`; those there whose owners are dead are removed.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn new_in(parent: &Path) -> io::Result<Scratch> {
        sweep(parent);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // It gets its name when it is held: one that is not could be taken for a dead owner's.
        let making = dir.path().join("making.lock");
        let lock = File::create(&making)?;
        lock.lock()?;
        fs_err::rename(making, dir.path().join(LOCK))?;
        Ok(Scratch { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the folders in `parent` whose owners are dead, as far as that can be done.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs_err::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let is_abandoned = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // A folder of the future is one from before the clock was set back.
            Err(_) => entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| at.elapsed().unwrap_or_else(|ahead| ahead.duration()) > ABANDONED),
        };
        if is_abandoned {
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_owner_left_goes_and_what_a_live_one_has_stays() {
        let parent = tempfile::tempdir().unwrap();
        let live = Scratch::new_in(parent.path()).unwrap();
        let left = parent.path().join(format!("{PREFIX}dead"));
        fs_err::create_dir(&left).unwrap();
        fs_err::write(left.join(LOCK), "").unwrap();
        let fresh = parent.path().join(format!("{PREFIX}fresh"));
        fs_err::create_dir(&fresh).unwrap();
        let other = parent.path().join("other");
        fs_err::create_dir(&other).unwrap();
        // Made an hour ago, and in an hour: then the clock was set back.
        let (now, hour) = (std::time::SystemTime::now(), Duration::from_secs(3600));
        for (name, time) in [("old", now - hour), ("future", now + hour)] {
            let folder = parent.path().join(format!("{PREFIX}{name}"));
            fs_err::create_dir(&folder).unwrap();
            File::open(folder).unwrap().set_modified(time).unwrap();
        }
        sweep(parent.path());
        assert!(live.path().exists() && fresh.exists() && other.exists() && !left.exists());
        assert!(!parent.path().join(format!("{PREFIX}old")).exists());
        assert!(!parent.path().join(format!("{PREFIX}future")).exists());
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }
}
