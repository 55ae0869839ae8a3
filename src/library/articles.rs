//! Articles and their revisions, as the library has them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use super::{Library, Sql, damaged, from_json, from_micros};
use crate::base::error::Result;
use crate::base::{Article, ArticleId, ArticleMeta, Content, Extent, Filter, SourceId};

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

/// Some of the articles that pass a filter.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct ArticlesPage {
    /// Newest first, those without a date last.
    pub articles: Vec<ArticleInfo>,
    /// How many pass in all.
    pub total: usize,
    /// How many of them stand before these.
    pub offset: usize,
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

/// Columns of an article's meta; 9 of them, see [`meta`].
pub(super) const META: &str = "a.id, a.url, a.title, a.authors, a.published, a.tags, a.revision,
    (SELECT json_group_array(source_id) FROM
        (SELECT source_id FROM memberships m WHERE m.article_id = a.id ORDER BY seq)),
    a.subtitle";

pub(super) fn meta(row: &Row<'_>) -> Sql<ArticleMeta> {
    let id: String = row.get(0)?;
    let name = format!("the article {id}");
    let mut sources =
        from_json::<Vec<SourceId>>("source_id", &name, row.get_ref(7)?.as_str()?)?.into_iter();
    let published = row.get::<_, Option<i64>>(4)?;
    Ok(ArticleMeta {
        url: row.get(1)?,
        title: row.get(2)?,
        subtitle: row.get(8)?,
        authors: from_json("authors", &name, row.get_ref(3)?.as_str()?)?,
        published: published.map(|at| from_micros("published", &name, at)).transpose()?,
        tags: from_json("tags", &name, row.get_ref(5)?.as_str()?)?,
        source: sources.next().ok_or_else(|| damaged("source_id", &name))?,
        other_sources: sources.collect(),
        id: ArticleId(id),
    })
}

/// Columns of an [`ArticleInfo`] and where they come from; see [`info`].
const INFO: &str = "a.updated, r.extent, a.first_seen, a.changed_at
    FROM articles a JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision";

fn info(row: &Row<'_>) -> Sql<ArticleInfo> {
    let meta = meta(row)?;
    let name = format!("the article {}", meta.id);
    let time = |column, at| from_micros(column, &name, at);
    Ok(ArticleInfo {
        revision: row.get(6)?,
        updated: row.get::<_, Option<i64>>(9)?.map(|at| time("updated", at)).transpose()?,
        extent: extent(row.get_ref(10)?.as_str()?, &name)?,
        first_seen: time("first_seen", row.get(11)?)?,
        changed_at: time("changed_at", row.get(12)?)?,
        meta,
    })
}

pub(super) fn extent(stored: &str, row: &str) -> Sql<Extent> {
    [Extent::Summary, Extent::LinkedPage, Extent::Full]
        .into_iter()
        .find(|extent| extent.as_str() == stored)
        .ok_or_else(|| damaged("extent", row))
}

impl Library {
    /// The articles that pass a filter, newest first, those without a date last, ties by id.
    /// `sources` means every source that carries the article, not only the first.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn articles(&self, filter: &Filter) -> Result<Vec<ArticleInfo>> {
        let all = self.read("cannot be read (articles)", |tx| {
            let sql = format!("SELECT {META}, {INFO} ORDER BY a.published DESC NULLS LAST, a.id");
            tx.prepare_cached(&sql)?.query_map([], info)?.collect::<Sql<Vec<_>>>()
        })?;
        Ok(all.into_iter().filter(|info| passes(info, filter)).collect())
    }

    /// Some of the articles that pass a filter, in the order of [`Library::articles`]: `limit` of
    /// them, behind the first `offset`.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn articles_page(
        &self,
        filter: &Filter,
        offset: usize,
        limit: usize,
    ) -> Result<ArticlesPage> {
        let mut articles = self.articles(filter)?;
        let total = articles.len();
        articles.truncate(offset.saturating_add(limit));
        articles.drain(..offset.min(articles.len()));
        Ok(ArticlesPage { articles, total, offset })
    }

    /// The article that a URL leads to, tracking parameters and the like left aside; found without
    /// looking at any other.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn article_by_url(&self, url: &str) -> Result<Option<ArticleInfo>> {
        let Some(key) = super::identity::url_key(url) else { return Ok(None) };
        self.read("cannot be read (article)", |tx| {
            let sql = format!(
                "SELECT {META}, {INFO}
                 WHERE a.id = (SELECT article_id FROM marks WHERE mark = ?1)"
            );
            tx.prepare_cached(&sql)?.query_row([format!("url {key}")], info).optional()
        })
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

    /// The names of all authors, in order.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn authors(&self) -> Result<Vec<String>> {
        self.names("SELECT DISTINCT value FROM articles, json_each(authors) ORDER BY value")
    }

    /// All tags, in order.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn tags(&self) -> Result<Vec<String>> {
        self.names("SELECT DISTINCT value FROM articles, json_each(tags) ORDER BY value")
    }

    fn names(&self, sql: &str) -> Result<Vec<String>> {
        self.read("cannot be read (articles)", |tx| {
            tx.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
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
                let name = format!("the article {id}");
                Ok(RevisionInfo {
                    revision: row.get(0)?,
                    title: row.get(1)?,
                    hash: row.get(2)?,
                    seen_at: from_micros("seen_at", &name, row.get(3)?)?,
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

    /// The GUID under which a source has an article; `None` if none gives one.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn guid_of(&self, article: &ArticleId) -> Result<Option<String>> {
        self.read("cannot be read (articles)", |tx| {
            tx.prepare_cached(
                "SELECT guid FROM memberships WHERE article_id = ?1 AND guid IS NOT NULL ORDER BY seq",
            )?
            .query_row([&article.0], |row| row.get(0))
            .optional()
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
}

fn article(tx: &Transaction<'_>, id: &ArticleId, revision: Option<u32>) -> Sql<Option<Article>> {
    let sql = format!(
        "SELECT {META}, r.title, r.format, b.body, r.extent, r.revision
         FROM articles a
         JOIN revisions r ON r.article_id = a.id AND r.revision = coalesce(?2, a.revision)
         JOIN bodies b ON b.article_id = r.article_id AND b.revision = r.revision
         WHERE a.id = ?1"
    );
    tx.prepare_cached(&sql)?
        .query_row(params![id.0, revision], |row| {
            let name = format!("the article {id}");
            let mut meta = meta(row)?;
            meta.title = row.get(9)?;
            let content = content(row.get_ref(10)?.as_str()?, row.get(11)?, &name)?;
            let extent = extent(row.get_ref(12)?.as_str()?, &name)?;
            Ok(Article { meta, content, extent, revision: row.get(13)? })
        })
        .optional()
}

pub(super) fn content(format: &str, body: String, row: &str) -> Sql<Content> {
    match format {
        "html" => Ok(Content::Html(body)),
        "markdown" => Ok(Content::Markdown(body)),
        "text" => Ok(Content::Text(body)),
        _ => Err(damaged("format", row)),
    }
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
