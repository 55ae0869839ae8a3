//! The socket itself.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::NAME;
use crate::base::error::{Error, ErrorKind, Result};

/// A socket in a data folder, which goes when this is dropped.
#[derive(Debug)]
pub(in crate::serve) struct Socket {
    /// What is listened on.
    pub(in crate::serve) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Listens in a data folder; only the folder's owner can connect. A socket that nobody listens
    /// on any more is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another server listens there; if the folder can't be written.
    pub(in crate::serve) fn in_folder(data: &Path) -> Result<Socket> {
        let path = data.join(NAME);
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(Error::new(
                ErrorKind::Locked,
                format!("another wellread serves {} already", data.display()),
            ));
        }
        let failed = |error| Error::io(format!("cannot listen at {}", path.display()), error);
        fs_err::create_dir_all(data).map_err(failed)?;
        // It is bound where nobody else can look, and moved to its place as it is to be.
        let beside = tempfile::Builder::new().prefix(".s").tempdir_in(data).map_err(failed)?;
        let bound = beside.path().join("s");
        let listener = UnixListener::bind(&bound).map_err(failed)?;
        fs_err::set_permissions(&bound, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = fs_err::symlink_metadata(&bound).map_err(failed)?.ino();
        fs_err::rename(&bound, &path).map_err(failed)?;
        Ok(Socket { listener, path, inode })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that another server has put there since stays.
        if fs_err::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_owners_alone_replaces_a_dead_one_and_goes() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAME);
            let socket = Socket::in_folder(folder.path()).unwrap();
            let mode = fs_err::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let second = Socket::in_folder(folder.path()).unwrap_err();
            assert_eq!(second.kind(), ErrorKind::Locked);
            drop(socket);
            assert!(!path.exists());
            assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
            // A server that was killed leaves its socket behind.
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            assert!(path.exists());
            let socket = Socket::in_folder(folder.path()).unwrap();
            fs_err::remove_file(&path).unwrap();
            fs_err::write(&path, "another's").unwrap();
            drop(socket);
            assert!(path.exists());
        });
    }
}
