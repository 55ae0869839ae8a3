//! Articles and their revisions, as the library has them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use super::{Library, Sql, from_json, from_micros};
use crate::domain::{Article, ArticleId, ArticleMeta, Content, Extent, Filter, SourceId};
use crate::error::Result;

/// An article without its body.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArticleInfo {
    /// What is known of it.
    #[serde(flatten)]
    pub meta: ArticleMeta,
    /// Last change, as the source says.
    pub updated: Option<Timestamp>,
    /// The newest revision.
    pub revision: u32,
    /// How much of the article the body is.
    pub extent: Extent,
    /// When the library first saw it.
    pub first_seen: Timestamp,
    /// When the library got its newest revision.
    pub changed_at: Timestamp,
}

/// One version of an article.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RevisionInfo {
    /// From 1.
    pub revision: u32,
    /// Its title then.
    pub title: String,
    /// SHA-256 of title, format and body.
    pub hash: String,
    /// When the library first saw it.
    pub seen_at: Timestamp,
}

/// Columns of an article's meta; 8 of them, see [`meta`].
pub(super) const META: &str = "a.id, a.url, a.title, a.authors, a.published, a.tags, a.revision,
    (SELECT json_group_array(source_id) FROM
        (SELECT source_id FROM memberships m WHERE m.article_id = a.id ORDER BY seq))";

pub(super) fn meta(row: &Row<'_>) -> Sql<ArticleMeta> {
    let mut sources = from_json::<Vec<SourceId>>(7, &row.get::<_, String>(7)?)?.into_iter();
    Ok(ArticleMeta {
        id: ArticleId(row.get(0)?),
        url: row.get(1)?,
        title: row.get(2)?,
        authors: from_json(3, &row.get::<_, String>(3)?)?,
        published: row.get::<_, Option<i64>>(4)?.map(from_micros),
        tags: from_json(5, &row.get::<_, String>(5)?)?,
        source: sources.next().unwrap_or_else(|| SourceId(String::new())),
        other_sources: sources.collect(),
    })
}

impl Library {
    /// The articles that pass a filter, newest first, those without a date last, ties by id.
    /// `sources` means every source that carries the article, not only the first.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn articles(&self, filter: &Filter) -> Result<Vec<ArticleInfo>> {
        let all = self.read("cannot be read (articles)", |tx| {
            let sql = format!(
                "SELECT {META}, a.updated, r.extent, a.first_seen, a.changed_at
                 FROM articles a JOIN revisions r
                     ON r.article_id = a.id AND r.revision = a.revision
                 ORDER BY a.published DESC NULLS LAST, a.id"
            );
            tx.prepare_cached(&sql)?
                .query_map([], |row| {
                    Ok(ArticleInfo {
                        meta: meta(row)?,
                        revision: row.get(6)?,
                        updated: row.get::<_, Option<i64>>(8)?.map(from_micros),
                        extent: Extent::of_name(row.get_ref(9)?.as_str()?),
                        first_seen: from_micros(row.get(10)?),
                        changed_at: from_micros(row.get(11)?),
                    })
                })?
                .collect::<Sql<Vec<_>>>()
        })?;
        Ok(all.into_iter().filter(|info| passes(info, filter)).collect())
    }

    /// How many articles there are.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn article_count(&self) -> Result<usize> {
        self.read("cannot be read (articles)", |tx| {
            tx.query_row("SELECT count(*) FROM articles", [], |row| super::count(row, 0))
        })
    }

    /// An article at its newest revision.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn article(&self, id: &ArticleId) -> Result<Option<Article>> {
        self.read("cannot be read (article)", |tx| article(tx, id, None))
    }

    /// An article at a revision: its title and body then, with what else is known of it now.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn article_at(&self, id: &ArticleId, revision: u32) -> Result<Option<Article>> {
        self.read("cannot be read (article)", |tx| article(tx, id, Some(revision)))
    }

    /// The revisions of an article, oldest first.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn revisions(&self, id: &ArticleId) -> Result<Vec<RevisionInfo>> {
        self.read("cannot be read (revisions)", |tx| {
            tx.prepare_cached(
                "SELECT revision, title, hash, seen_at FROM revisions WHERE article_id = ?1
                 ORDER BY revision",
            )?
            .query_map([&id.0], |row| {
                Ok(RevisionInfo {
                    revision: row.get(0)?,
                    title: row.get(1)?,
                    hash: row.get(2)?,
                    seen_at: from_micros(row.get(3)?),
                })
            })?
            .collect()
        })
    }

    /// The articles that a user may mean by `text`: an id or the beginning of one (4 digits or
    /// more), a URL, or an exact title in any case. Ordered by id.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn find_articles(&self, text: &str) -> Result<Vec<ArticleId>> {
        let text = text.trim();
        let is_id = text.len() >= 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let url = super::identity::url_key(text).map(|key| format!("url {key}"));
        let title = text.to_lowercase();
        self.read("cannot be read (articles)", |tx| {
            let mut found: Vec<ArticleId> = Vec::new();
            if is_id {
                found.extend(
                    tx.prepare_cached("SELECT id FROM articles WHERE id GLOB ?1 || '*'")?
                        .query_map([text.to_ascii_lowercase()], |row| row.get(0).map(ArticleId))?
                        .collect::<Sql<Vec<_>>>()?,
                );
            }
            if let Some(url) = url {
                found.extend(
                    tx.prepare_cached("SELECT article_id FROM marks WHERE mark = ?1")?
                        .query_row([url], |row| row.get(0).map(ArticleId))
                        .optional()?,
                );
            }
            let mut titles = tx.prepare_cached("SELECT id, title FROM articles")?;
            let mut rows = titles.query([])?;
            while let Some(row) = rows.next()? {
                if row.get_ref(1)?.as_str()?.to_lowercase() == title {
                    found.push(ArticleId(row.get(0)?));
                }
            }
            found.sort();
            found.dedup();
            Ok(found)
        })
    }

    /// The article that any source carries under a GUID.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn find_by_guid(&self, guid: &str) -> Result<Option<ArticleId>> {
        self.read("cannot be read (memberships)", |tx| {
            tx.prepare_cached("SELECT article_id FROM memberships WHERE guid = ?1 ORDER BY seq")?
                .query_row([guid], |row| row.get(0).map(ArticleId))
                .optional()
        })
    }

    /// The articles whose first source is this one, ordered by id; what repeats is learned from
    /// these.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn articles_first_of(&self, source: &SourceId) -> Result<Vec<ArticleId>> {
        self.read("cannot be read (articles)", |tx| {
            tx.prepare_cached(
                "SELECT m.article_id FROM memberships m WHERE m.source_id = ?1 AND NOT EXISTS
                     (SELECT 1 FROM memberships f
                      WHERE f.article_id = m.article_id AND f.seq < m.seq)
                 ORDER BY m.article_id",
            )?
            .query_map([&source.0], |row| row.get(0).map(ArticleId))?
            .collect()
        })
    }
}

fn article(tx: &Transaction<'_>, id: &ArticleId, revision: Option<u32>) -> Sql<Option<Article>> {
    let sql = format!(
        "SELECT {META}, r.title, r.format, r.body, r.extent, r.revision
         FROM articles a JOIN revisions r
             ON r.article_id = a.id AND r.revision = coalesce(?2, a.revision)
         WHERE a.id = ?1"
    );
    tx.prepare_cached(&sql)?
        .query_row(params![id.0, revision], |row| {
            let mut meta = meta(row)?;
            meta.title = row.get(8)?;
            let body: String = row.get(10)?;
            let content = match row.get_ref(9)?.as_str()? {
                "html" => Content::Html(body),
                "markdown" => Content::Markdown(body),
                _ => Content::Text(body),
            };
            let extent = Extent::of_name(row.get_ref(11)?.as_str()?);
            Ok(Article { meta, content, extent, revision: row.get(12)? })
        })
        .optional()
}

fn passes(info: &ArticleInfo, filter: &Filter) -> bool {
    let any = |wanted: &[String], has: &[String]| {
        wanted.is_empty() || wanted.iter().any(|value| has.contains(value))
    };
    let published = info.meta.published;
    filter.since.is_none_or(|since| published.is_some_and(|time| time >= since))
        && filter.until.is_none_or(|until| published.is_some_and(|time| time < until))
        && (filter.sources.is_empty()
            || filter.sources.iter().any(|source| {
                *source == info.meta.source || info.meta.other_sources.contains(source)
            }))
        && any(&filter.authors, &info.meta.authors)
        && any(&filter.tags, &info.meta.tags)
        && filter.title.as_ref().is_none_or(|words| {
            let title = info.meta.title.to_lowercase();
            words.to_lowercase().split_whitespace().all(|word| title.contains(word))
        })
}
