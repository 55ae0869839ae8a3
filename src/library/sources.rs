//! Sources: what is followed, how far it has been read, and what repeats across its articles.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::{Library, Sql, from_json, from_micros, to_json, to_micros};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleId, SourceId};
use crate::source::fetch::{Cursor, SourceKind};

/// A source as it stands in the library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceInfo {
    /// Its name.
    pub id: SourceId,
    /// How it is fetched.
    pub kind: SourceKind,
    /// The feed's own title.
    pub title: Option<String>,
    /// The site that the feed says it belongs to.
    pub site: Option<String>,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last read without an error.
    pub synced_at: Option<Timestamp>,
    /// What went wrong at the last try, if something did.
    pub error: Option<String>,
    /// Articles that it carries or has carried.
    pub articles: usize,
}

/// What removing a source took away.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RemovedSource {
    /// Articles that no other source has; gone, and to be dropped from indexes.
    pub removed: Vec<ArticleId>,
    /// Articles that stay, because another source has them too.
    pub kept: usize,
}

impl Library {
    /// All sources, in the order in which they were added.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn sources(&self) -> Result<Vec<SourceInfo>> {
        self.read("cannot be read (sources)", |tx| {
            let sql = format!("{SELECT} ORDER BY added_at, id");
            tx.prepare_cached(&sql)?.query_map([], source_info)?.collect()
        })
    }

    /// One source; `None` if there is none of this name.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn source(&self, id: &SourceId) -> Result<Option<SourceInfo>> {
        self.read("cannot be read (source)", |tx| {
            let sql = format!("{SELECT} WHERE id = ?1");
            tx.prepare_cached(&sql)?.query_row([&id.0], source_info).optional()
        })
    }

    /// Adds a source, not yet read; `false` if it was there already.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn add_source(&self, id: &SourceId, kind: SourceKind, now: Timestamp) -> Result<bool> {
        self.write("cannot be written (new source)", |tx| {
            let added = tx.execute(
                "INSERT OR IGNORE INTO sources (id, kind, added_at) VALUES (?1, ?2, ?3)",
                params![id.0, kind.as_str(), to_micros(now)],
            )?;
            Ok(added > 0)
        })
    }

    /// Removes a source and the articles that no other source has.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of this name.
    pub fn remove_source(&self, id: &SourceId) -> Result<RemovedSource> {
        let removed = self.write("cannot be written (removing a source)", |tx| {
            let articles: usize = tx.query_row(
                "SELECT count(*) FROM memberships WHERE source_id = ?1",
                [&id.0],
                |row| super::count(row, 0),
            )?;
            if tx.execute("DELETE FROM sources WHERE id = ?1", [&id.0])? == 0 {
                return Ok(None);
            }
            let removed: Vec<ArticleId> = tx
                .prepare(
                    "DELETE FROM articles WHERE NOT EXISTS
                         (SELECT 1 FROM memberships m WHERE m.article_id = articles.id)
                     RETURNING id",
                )?
                .query_map([], |row| row.get(0).map(ArticleId))?
                .collect::<Sql<_>>()?;
            // Where its content counted, that of the next source does.
            tx.execute(
                "UPDATE articles SET content_source =
                     (SELECT source_id FROM memberships m WHERE m.article_id = articles.id
                      ORDER BY seq LIMIT 1)
                 WHERE content_source IS NULL",
                [],
            )?;
            super::clean::changed(tx)?;
            Ok(Some(RemovedSource { kept: articles.saturating_sub(removed.len()), removed }))
        })?;
        removed.ok_or_else(|| no_source(id))
    }

    /// How far a source has been read; the default if nothing has been.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn cursor(&self, id: &SourceId) -> Result<Cursor> {
        self.read("cannot be read (cursor)", |tx| {
            let text: Option<Option<String>> = tx
                .prepare_cached("SELECT cursor FROM sources WHERE id = ?1")?
                .query_row([&id.0], |row| row.get(0))
                .optional()?;
            match text.flatten() {
                Some(text) => from_json("cursor", &format!("the source {id}"), &text),
                None => Ok(Cursor::default()),
            }
        })
    }

    /// Notes that a source was found unchanged.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn record_unchanged(&self, id: &SourceId, cursor: &Cursor, now: Timestamp) -> Result<()> {
        self.write("cannot be written (sync)", |tx| {
            tx.execute(
                "UPDATE sources SET cursor = ?2, synced_at = ?3, error = NULL, error_at = NULL
                 WHERE id = ?1",
                params![id.0, to_json(cursor)?, to_micros(now)],
            )?;
            Ok(())
        })
    }

    /// Notes that reading a source failed; its cursor stays as it is.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn record_failure(&self, id: &SourceId, message: &str, now: Timestamp) -> Result<()> {
        self.write("cannot be written (sync)", |tx| {
            tx.execute(
                "UPDATE sources SET error = ?2, error_at = ?3 WHERE id = ?1",
                params![id.0, message, to_micros(now)],
            )?;
            Ok(())
        })
    }
}

pub(super) fn no_source(id: &SourceId) -> Error {
    Error::new(ErrorKind::NotFound, format!("{id} is not among the sources"))
        .step(Step::ListSources)
}

const SELECT: &str = "SELECT id, kind, title, site, added_at, synced_at, error,
        (SELECT count(*) FROM memberships m WHERE m.source_id = sources.id)
    FROM sources";

fn source_info(row: &Row<'_>) -> Sql<SourceInfo> {
    let id: String = row.get(0)?;
    let name = format!("the source {id}");
    let synced_at = row.get::<_, Option<i64>>(5)?;
    Ok(SourceInfo {
        kind: from_json("kind", &name, &format!("\"{}\"", row.get_ref(1)?.as_str()?))?,
        title: row.get(2)?,
        site: row.get(3)?,
        added_at: from_micros("added_at", &name, row.get(4)?)?,
        synced_at: synced_at.map(|at| from_micros("synced_at", &name, at)).transpose()?,
        error: row.get(6)?,
        articles: super::count(row, 7)?,
        id: SourceId(id),
    })
}
