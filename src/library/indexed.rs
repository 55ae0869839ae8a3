//! What each index generation holds, and so what it lacks.

use std::collections::HashMap;

use rusqlite::params;

use super::articles::{META, meta};
use super::identity::digest;
use super::{Library, Sql, to_json};
use crate::domain::{ArticleId, SourceId};
use crate::error::Result;

/// An article as a generation holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedArticle {
    /// Which article.
    pub id: ArticleId,
    /// At which revision.
    pub revision: u32,
    /// Its state then: revision, content, meta and what was learned of its source.
    pub state: String,
    /// How many chunks it has; 0 if it has no text.
    pub chunks: usize,
}

/// What a generation lacks or has too much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Articles to be indexed, by id, with the state to be noted once they are.
    pub articles: Vec<(ArticleId, String)>,
    /// Articles that are gone from the library, by id.
    pub removed: Vec<ArticleId>,
    /// How many articles are as they should be.
    pub unchanged: usize,
}

impl Pending {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.articles.is_empty() && self.removed.is_empty()
    }
}

impl Library {
    /// What a generation lacks; all articles for one that the library does not know.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn pending(&self, generation: &str) -> Result<Pending> {
        self.read("cannot be read (pending articles)", |tx| {
            let mut learned: HashMap<SourceId, String> = HashMap::new();
            let mut statement =
                tx.prepare_cached("SELECT id, learned FROM sources WHERE learned IS NOT NULL")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                learned.insert(SourceId(row.get(0)?), digest(&[row.get_ref(1)?.as_str()?]));
            }

            let mut pending = Pending::default();
            let sql = format!(
                "SELECT {META}, r.hash, i.state FROM articles a
                 JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision
                 LEFT JOIN indexed i ON i.generation = ?1 AND i.article_id = a.id
                 ORDER BY a.id"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([generation])?;
            while let Some(row) = rows.next()? {
                let meta = meta(row)?;
                let revision: u32 = row.get(6)?;
                let state = digest(&[
                    &revision.to_string(),
                    row.get_ref(8)?.as_str()?,
                    &to_json(&meta)?,
                    learned.get(&meta.source).map_or("", String::as_str),
                ])[..32]
                    .to_owned();
                if row.get::<_, Option<String>>(9)?.as_ref() == Some(&state) {
                    pending.unchanged += 1;
                } else {
                    pending.articles.push((meta.id, state));
                }
            }
            pending.removed = tx
                .prepare_cached(
                    "SELECT article_id FROM indexed WHERE generation = ?1 AND NOT EXISTS
                         (SELECT 1 FROM articles a WHERE a.id = article_id)
                     ORDER BY article_id",
                )?
                .query_map([generation], |row| row.get(0).map(ArticleId))?
                .collect::<Sql<_>>()?;
            Ok(pending)
        })
    }

    /// Notes what a generation holds now and what it no longer holds. To be called only after the
    /// generation has made it durable.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn mark_indexed(
        &self,
        generation: &str,
        articles: &[IndexedArticle],
        removed: &[ArticleId],
    ) -> Result<()> {
        self.write("cannot be written (index records)", |tx| {
            let mut put = tx.prepare_cached(
                "INSERT OR REPLACE INTO indexed (generation, article_id, revision, state, chunks)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for article in articles {
                put.execute(params![
                    generation,
                    article.id.0,
                    article.revision,
                    article.state,
                    article.chunks
                ])?;
            }
            let mut drop = tx.prepare_cached(
                "DELETE FROM indexed WHERE generation = ?1 AND article_id = ?2",
            )?;
            for id in removed {
                drop.execute([generation, &id.0])?;
            }
            Ok(())
        })
    }

    /// What a generation holds, by article id.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn indexed(&self, generation: &str) -> Result<Vec<IndexedArticle>> {
        self.read("cannot be read (index records)", |tx| {
            tx.prepare_cached(
                "SELECT article_id, revision, state, chunks FROM indexed WHERE generation = ?1
                 ORDER BY article_id",
            )?
            .query_map([generation], |row| {
                Ok(IndexedArticle {
                    id: ArticleId(row.get(0)?),
                    revision: row.get(1)?,
                    state: row.get(2)?,
                    chunks: row.get(3)?,
                })
            })?
            .collect()
        })
    }

    /// Forgets the records of all generations but these.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn keep_generations(&self, keep: &[&str]) -> Result<()> {
        self.write("cannot be written (index records)", |tx| {
            let keep = to_json(&keep)?;
            tx.execute(
                "DELETE FROM indexed WHERE generation NOT IN (SELECT value FROM json_each(?1))",
                [keep],
            )?;
            Ok(())
        })
    }
}
