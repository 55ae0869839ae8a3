//! The tables, and the steps from each schema version to the next.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::base::error::{Error, ErrorKind, Result};

/// The schema that this build writes; kept in the file's `user_version`.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// What marks a file as a library (`application_id`): "wrLB".
const APPLICATION_ID: i64 = 0x7772_4c42;

/// Step `i` leads from version `i` to `i + 1`. A step that has been released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// Brings the file to [`VERSION`]; does nothing if it is there.
///
/// # Errors
/// [`ErrorKind::Library`] if a newer wellread wrote the file, or if it is another program's.
pub(super) fn migrate(
    connection: &Connection,
    fail: &dyn Fn(rusqlite::Error) -> Error,
    name: &str,
) -> Result<()> {
    if check(connection, fail, name)? == VERSION {
        return Ok(());
    }
    let tx =
        Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have been quicker; what counts is the version under the write lock.
    let from = check(&tx, fail, name)?;
    for step in &MIGRATIONS[usize::try_from(from).unwrap_or(0)..] {
        tx.execute_batch(step).map_err(fail)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    tx.pragma_update(None, "user_version", VERSION).map_err(fail)?;
    tx.commit().map_err(fail)
}

/// The file's schema version, 0 for an empty one.
///
/// # Errors
/// As for [`migrate`].
pub(super) fn check(
    connection: &Connection,
    fail: &dyn Fn(rusqlite::Error) -> Error,
    name: &str,
) -> Result<i64> {
    let pragma = |pragma: &str| -> Result<i64> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(fail)
    };
    let (version, application) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fail)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(Error::new(
            ErrorKind::Library,
            format!("{name} is a database of another program, not a wellread library"),
        )
        .hint("choose another data folder, or move that file away"));
    }
    if !(0..=VERSION).contains(&version) {
        return Err(Error::new(
            ErrorKind::Library,
            format!(
                "the library {name} has schema {version}, and this wellread knows schemas up to \
                 {VERSION}"
            ),
        )
        .hint("a newer wellread wrote it: use that one, or another data folder"));
    }
    Ok(version)
}
