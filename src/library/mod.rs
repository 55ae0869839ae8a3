//! The truth: sources, articles, revisions and the vector cache in one SQLite file.
//!
//! Every index is derived from here and can be made again without the network. What a cursor
//! covers is written in the same transaction as the cursor, so a kill at any instant loses at most
//! the work in flight.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::base::error::{Error, ErrorKind, Result, Step};

mod articles;
mod clean;
mod cleaning;
mod documents;
mod ensure;
mod finder;
mod history;
pub mod identity;
mod indexed;
mod learn;
mod record;
mod schema;
mod shards;
mod sources;
#[cfg(test)]
mod tests;
mod vectors;

pub use articles::{ArticleInfo, ArticlesPage, RevisionInfo};
pub use history::{ConversationInfo, Feedback, KeptAnswer, NewAnswer, Rating};
pub use identity::{Item, canonical_url, url_key};
pub use indexed::Pending;
pub use record::{Claimed, Recorded, SourceItems};
pub use schema::VERSION as SCHEMA_VERSION;
pub use shards::{VectorFile, shard_of, to_file};
pub use sources::{RemovedSource, SourceInfo};

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(30);
/// Reading connections that are kept open while nobody reads.
const IDLE_READERS: usize = 8;

/// An open library, for all threads of a process: each reads on a connection of its own, and one at
/// a time writes. Several processes may have it open, too.
#[derive(Debug)]
pub struct Library {
    path: PathBuf,
    access: Access,
    /// `None`: for reading only.
    writer: Mutex<Option<Connection>>,
    readers: Mutex<Vec<Connection>>,
}

/// How the file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Write,
    Read,
    /// Nobody can change it.
    Immutable,
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
        let connection = connect(path, Access::Write)?;
        let fail = |error| sql_error(path, "cannot be opened", error);
        // WAL lets readers read while a writer writes; FULL makes each commit durable.
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(fail)?;
        // Some network file systems refuse WAL; the rollback journal is as safe, only slower.
        debug_assert!(!mode.is_empty());
        connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        schema::migrate(&connection, &fail, &path.display().to_string())?;
        Ok(Library {
            path: path.to_owned(),
            access: Access::Write,
            writer: Mutex::new(Some(connection)),
            readers: Mutex::default(),
        })
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
            .step(Step::AddSource));
        }
        let open = |access| -> Result<(Connection, i64)> {
            let connection = connect(path, access)?;
            let fail = |error| sql_error(path, "cannot be opened", error);
            let version = schema::check(&connection, &fail, &path.display().to_string())?;
            Ok((connection, version))
        };
        let (access, (connection, version)) = match open(Access::Read) {
            Ok(opened) => (Access::Read, opened),
            // Reading a WAL database needs its shared-memory file, which can't be made in a folder
            // without write permission. With no log left behind, the file alone is the truth.
            Err(error) if error.kind() == ErrorKind::Io && !log_left_behind(path) => {
                (Access::Immutable, open(Access::Immutable)?)
            }
            Err(error) => return Err(error),
        };
        if version < SCHEMA_VERSION {
            return Err(if version == 0 { empty(path) } else { outdated(path, version) });
        }
        Ok(Library {
            path: path.to_owned(),
            access,
            writer: Mutex::new(None),
            readers: Mutex::new(vec![connection]),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.access != Access::Write
    }

    /// Runs `work` in one transaction that holds the write lock from the start; `doing` goes on
    /// from "the library PATH …".
    fn write<T>(&self, doing: &str, work: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = writer.as_mut() else {
            return Err(Error::new(
                ErrorKind::Io,
                format!("the library {} {doing}: it is open for reading only", self.path.display()),
            )
            .hint("check its permissions and those of its folder"));
        };
        let run = || -> Sql<T> {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|error| sql_error(&self.path, doing, error))
    }

    /// Runs `work` on one snapshot.
    fn read<T>(&self, doing: &str, work: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.reader()?,
        };
        let outcome = connection.transaction().and_then(|tx| work(&tx));
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        drop(idle);
        outcome.map_err(|error| sql_error(&self.path, doing, error))
    }

    fn reader(&self) -> Result<Connection> {
        let connection = connect(&self.path, self.access)?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(|error| sql_error(&self.path, "cannot be opened", error))?;
        Ok(connection)
    }

    /// Writes a copy of the library, as it is at one instant, into a new file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn snapshot(&self, to: &Path) -> Result<()> {
        connect(&self.path, self.access)?
            .execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()])
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

fn connect(path: &Path, access: Access) -> Result<Connection> {
    if path.is_dir() {
        return Err(Error::new(
            ErrorKind::Library,
            format!("{} is a folder, not a library", path.display()),
        )
        .hint("name a file, or a folder above it as data folder"));
    }
    // A connection is used by one thread at a time; SQLite need not see to it.
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Write => Connection::open_with_flags(
            path,
            flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        ),
        Access::Read => Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY),
        Access::Immutable => Connection::open_with_flags(
            format!("{}?immutable=1", file_uri(path)),
            flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        ),
    };
    let fail = |error| sql_error(path, "cannot be opened", error);
    let connection = connection.map_err(fail)?;
    connection.busy_timeout(BUSY).map_err(fail)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn empty(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("the library {} is empty", path.display()))
        .step(Step::AddSource)
}

fn outdated(path: &Path, version: i64) -> Error {
    Error::new(
        ErrorKind::Library,
        format!(
            "the library {} has the older schema {version}, and can't be brought to \
             {SCHEMA_VERSION} without write permission",
            path.display()
        ),
    )
    .hint("run any wellread command once with write permission on its folder")
}

/// A result inside a transaction.
type Sql<T> = std::result::Result<T, rusqlite::Error>;

/// A stored value that can't be what wellread wrote.
#[derive(Debug, thiserror::Error)]
#[error("{column} of {row} is not valid")]
struct Damaged {
    column: &'static str,
    row: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The error of a stored value that can't be what wellread wrote; `column` as `cursor`, `row` as
/// `the source FEED`.
fn damaged(column: &'static str, row: impl std::fmt::Display) -> rusqlite::Error {
    damaged_by(column, row, None)
}

fn damaged_by(
    column: &'static str,
    row: impl std::fmt::Display,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    let damaged = Damaged { column, row: row.to_string(), source };
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, Box::new(damaged))
}

fn sql_error(path: &Path, doing: &str, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let name = path.display();
    let error = match error {
        rusqlite::Error::FromSqlConversionFailure(column, kind, inner) => {
            match inner.downcast::<Damaged>() {
                Ok(damaged) => {
                    return Error::new(
                        ErrorKind::Library,
                        format!("the library {name} is damaged: {damaged}"),
                    )
                    .hint("restore it from a backup, or move it away and add your sources again")
                    .caused_by(*damaged);
                }
                Err(other) => rusqlite::Error::FromSqlConversionFailure(column, kind, other),
            }
        }
        other => other,
    };
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
            "that file is not a wellread library: move it away, or choose another data folder",
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
        _ => {
            return Error::new(ErrorKind::Library, format!("the library {name} {doing}"))
                .step(Step::Diagnose)
                .caused_by(error);
        }
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

/// A time that the library wrote.
fn from_micros(column: &'static str, row: &str, micros: i64) -> Sql<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| damaged_by(column, row, Some(Box::new(error))))
}

/// A value that stands in the file as JSON.
fn from_json<T: serde::de::DeserializeOwned>(
    column: &'static str,
    row: &str,
    text: &str,
) -> Sql<T> {
    serde_json::from_str(text).map_err(|error| damaged_by(column, row, Some(Box::new(error))))
}

fn to_json(value: &impl serde::Serialize) -> Sql<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
