//! The truth: sources, articles, revisions and the vector cache in one SQLite file.
//!
//! Every index is derived from here and can be made again without the network. What a cursor
//! covers is written in the same transaction as the cursor, so a kill at any instant loses at most
//! the work in flight.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};

mod articles;
pub mod identity;
mod indexed;
mod record;
mod schema;
mod shards;
mod sources;
mod vectors;

pub use articles::{ArticleInfo, RevisionInfo};
pub use identity::{Item, canonical_url, url_key};
pub use indexed::Pending;
pub use record::{Found, Recorded};
pub use schema::VERSION as SCHEMA_VERSION;
pub use shards::{VectorFile, shard_of, to_file};
pub use sources::{Learned, RemovedSource, SourceInfo};

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(30);

/// An open library. Readers and one writer at a time may have it open in several processes.
#[derive(Debug)]
pub struct Library {
    connection: Connection,
    path: PathBuf,
}

impl Library {
    /// The library at `path`, made (with its folder) if it isn't there, and brought to the schema
    /// of this build.
    ///
    /// # Errors
    /// [`ErrorKind::Library`] if the file is no library, is damaged, or is from a newer wellread;
    /// [`ErrorKind::Io`] if it can't be written.
    pub fn open(path: &Path) -> Result<Library> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder).map_err(|e| {
                Error::io(format!("cannot make the folder {}", folder.display()), e)
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let library = Library::connect(path, &path.to_string_lossy(), flags)?;
        let fail = |error| library.error("cannot be opened", error);
        // WAL lets readers read while a writer writes; FULL makes each commit durable.
        let mode: String = library
            .connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(fail)?;
        // Some network file systems refuse WAL; the rollback journal is as safe, only slower.
        debug_assert!(!mode.is_empty());
        library.connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        schema::migrate(&library.connection, &fail, &library.name())?;
        Ok(library)
    }

    /// The library at `path` for reading only; works in a folder that can't be written to.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; else as for [`Library::open`], and
    /// [`ErrorKind::Library`] if its schema is older and this can't be mended without writing.
    pub fn open_read_only(path: &Path) -> Result<Library> {
        if !path.exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no library at {}", path.display()),
            )
            .hint("add a source first: wellread add FEED"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let library = Library::connect(path, &path.to_string_lossy(), flags)?;
        let version = schema::check(
            &library.connection,
            &|error| library.error("cannot be opened", error),
            &library.name(),
        );
        let (library, version) = match version {
            Ok(version) => (library, version),
            // Reading a WAL database needs its shared-memory file, which can't be made in a folder
            // without write permission. With no log left behind, the file alone is the truth.
            Err(error) if error.kind() == ErrorKind::Io && !log_left_behind(path) => {
                let uri = format!("{}?immutable=1", file_uri(path));
                let library = Library::connect(path, &uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
                let version = schema::check(
                    &library.connection,
                    &|error| library.error("cannot be opened", error),
                    &library.name(),
                )?;
                (library, version)
            }
            Err(error) => return Err(error),
        };
        if version < SCHEMA_VERSION {
            return if version == 0 {
                Err(library.empty())
            } else {
                Err(library.outdated(version))
            };
        }
        Ok(library)
    }

    fn connect(path: &Path, name: &str, flags: OpenFlags) -> Result<Library> {
        if path.is_dir() {
            return Err(Error::new(
                ErrorKind::Library,
                format!("{} is a folder, not a library", path.display()),
            )
            .hint("name a file, or a folder above it as data folder"));
        }
        let connection = Connection::open_with_flags(name, flags)
            .map_err(|error| sql_error(path, "cannot be opened", error))?;
        let library = Library { connection, path: path.to_owned() };
        let fail = |error| library.error("cannot be opened", error);
        library.connection.busy_timeout(BUSY).map_err(fail)?;
        library.connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        library.connection.set_prepared_statement_cache_capacity(64);
        Ok(library)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn empty(&self) -> Error {
        Error::new(ErrorKind::NotFound, format!("the library {} is empty", self.name()))
            .hint("add a source first: wellread add FEED")
    }

    fn outdated(&self, version: i64) -> Error {
        Error::new(
            ErrorKind::Library,
            format!(
                "the library {} has the older schema {version}, and can't be brought to \
                 {SCHEMA_VERSION} without write permission",
                self.name()
            ),
        )
        .hint("run any wellread command once with write permission on its folder")
    }

    /// An SQLite error as one of ours; `doing` goes on from "the library PATH …".
    fn error(&self, doing: &str, error: rusqlite::Error) -> Error {
        sql_error(&self.path, doing, error)
    }

    /// Runs `work` in one transaction that holds the write lock from the start.
    fn write<T>(&self, doing: &str, work: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let run = || -> Sql<T> {
            let tx = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|error| self.error(doing, error))
    }

    /// Runs `work` on one snapshot.
    fn read<T>(&self, doing: &str, work: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let run = || -> Sql<T> {
            let tx = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?;
            work(&tx)
        };
        run().map_err(|error| self.error(doing, error))
    }

    /// Writes a copy of the library, as it is at one instant, into a new file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn snapshot(&self, to: &Path) -> Result<()> {
        let path = to.to_string_lossy();
        self.connection
            .execute("VACUUM INTO ?1", [path.as_ref()])
            .map(|_| ())
            .map_err(|error| sql_error(to, "cannot be written", error))
    }

    /// Problems that SQLite finds in the file; empty if it is sound. Reads all of it.
    ///
    /// # Errors
    /// If the check itself can't run.
    pub fn check(&self) -> Result<Vec<String>> {
        self.read("cannot be checked", |tx| {
            let mut statement = tx.prepare("PRAGMA integrity_check")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut lines = lines.collect::<Sql<Vec<String>>>()?;
            lines.retain(|line| line != "ok");
            let orphans: i64 =
                tx.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                    row.get(0)
                })?;
            if orphans > 0 {
                lines.push(format!("{orphans} rows refer to something that is not there"));
            }
            Ok(lines)
        })
    }
}

/// A result inside a transaction.
type Sql<T> = std::result::Result<T, rusqlite::Error>;

fn sql_error(path: &Path, doing: &str, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let name = path.display();
    let extended = error.sqlite_error().map_or(0, |e| e.extended_code);
    let code = error.sqlite_error_code();
    let is_full = code == Some(ErrorCode::DiskFull)
        // A write that the file system cut short: quotas and file size limits end like that.
        || matches!(extended, rusqlite::ffi::SQLITE_IOERR_WRITE);
    let (kind, hint) = match code {
        _ if is_full => (
            ErrorKind::DiskFull,
            "free some space and run the same command again; nothing stored is lost",
        ),
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Library,
            "that file is no wellread library: move it away, or choose another data folder",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Library,
            "restore it from a backup, or move it away and add your sources again",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Locked, "another wellread is writing to it: wait until it is done")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (ErrorKind::Io, "check who owns it and its permissions, and those of its folder")
        }
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Io, "check the disk that it is on, and run the same command again")
        }
        _ => (ErrorKind::Library, "run wellread doctor"),
    };
    Error::new(kind, format!("the library {name} {doing}")).hint(hint).caused_by(error)
}

/// A count, which SQLite has as a signed number.
fn count(row: &rusqlite::Row<'_>, column: usize) -> Sql<usize> {
    row.get::<_, i64>(column).map(|count| usize::try_from(count).unwrap_or(0))
}

/// Whether a write-ahead log with content lies beside the file.
fn log_left_behind(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs_err::metadata(PathBuf::from(log)).is_ok_and(|meta| meta.len() > 0)
}

/// `path` as `file:` URI, as SQLite reads it.
fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.push_str(&format!("%{byte:02X}")),
            0x20..0x7f => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn to_micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time that the library wrote; one out of range (a damaged file) becomes 1970.
fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A value that stands in the file as JSON; a damaged one is an error of its column.
fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> Sql<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn to_json(value: &impl serde::Serialize) -> Sql<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
