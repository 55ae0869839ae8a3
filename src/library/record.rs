//! A source as it was just read → articles, revisions, memberships and cleaned documents, with its
//! new cursor.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use serde::Serialize;

use super::articles::extent;
use super::clean;
use super::cleaning::Cleaning;
use super::finder::Finder;
use super::identity::{self, Item, Marks};
use super::{Library, Sql, from_json, to_json, to_micros};
use crate::base::error::Result;
use crate::base::{ArticleId, Content, Extent, SourceId};
use crate::document::html::CleanOptions;
use crate::source::fetch::Cursor;

/// What a source held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceItems<'a> {
    /// The feed's title.
    pub title: Option<&'a str>,
    /// The site that the feed belongs to.
    pub site: Option<&'a str>,
    /// In the order of the source.
    pub items: &'a [Item],
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recorded {
    /// Articles that the library did not have.
    pub added: Vec<ArticleId>,
    /// Articles with a new revision.
    pub changed: Vec<ArticleId>,
    /// Articles whose title and content are as they were.
    pub unchanged: usize,
    /// Items that are another item of the same source once more.
    pub duplicates: usize,
    /// What had to be decided, for the user to know.
    pub warnings: Vec<String>,
}

/// The articles that the parts of a source before one were, each with the hash of its content.
#[derive(Clone, Debug, Default)]
pub struct Claimed(HashMap<ArticleId, String>);

/// What the library has of an article.
struct Current {
    revision: u32,
    hash: String,
    extent: Extent,
    is_empty: bool,
    content_source: Option<String>,
    url: Option<String>,
    authors: Vec<String>,
    published: Option<i64>,
    updated: Option<i64>,
    tags: Vec<String>,
    subtitle: Option<String>,
}

impl Library {
    /// Takes in what a source held, with the cursor that covers it, in one transaction: articles,
    /// their documents as `clean` makes them, and what repeats across the source's articles.
    /// Articles that are no longer in the source stay.
    ///
    /// An article that several sources carry keeps the content of the source that it was first
    /// read from, unless that was only a summary.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::NotFound`] if the source was not added; if the library can't be
    /// written, and then nothing of this is kept.
    pub fn record(
        &self,
        source: &SourceId,
        found: SourceItems<'_>,
        cursor: &Cursor,
        clean: &CleanOptions,
        now: Timestamp,
    ) -> Result<Recorded> {
        self.record_part(source, found, cursor, clean, now, &mut Claimed::default())
    }

    /// As [`Library::record`] for a part of a source that is too large to be held at once: an
    /// article that another part has `claimed` is not taken for this one's. The cursor of all parts
    /// but the last must be the default one.
    ///
    /// # Errors
    /// As [`Library::record`]; the parts before this one are kept.
    pub fn record_part(
        &self,
        source: &SourceId,
        found: SourceItems<'_>,
        cursor: &Cursor,
        clean: &CleanOptions,
        now: Timestamp,
        claimed: &mut Claimed,
    ) -> Result<Recorded> {
        let cleaning = Cleaning::new(clean);
        // Nobody waits for the write lock while HTML is parsed.
        let contents = found.items.iter().map(|item| (&*item.article.title, &item.article.content));
        let mut parsed = self.parse_new(&cleaning, source, contents)?;
        let recorded = self.write("cannot be written (sync)", |tx| {
            let is_there = tx.execute(
                "UPDATE sources SET title = coalesce(?2, title), site = coalesce(?3, site),
                     cursor = ?4, synced_at = ?5, error = NULL, error_at = NULL
                 WHERE id = ?1",
                params![source.0, found.title, found.site, to_json(cursor)?, to_micros(now)],
            )?;
            if is_there == 0 {
                return Ok(None);
            }
            let is_clean = cleaning.is_complete(tx)?;
            let (recorded, ids) = take_in(tx, source, found, now, claimed)?;
            let is_changed = !recorded.added.is_empty() || !recorded.changed.is_empty();
            if clean::clean_articles(tx, &cleaning, &ids, &mut parsed)? || is_changed {
                clean::changed(tx)?;
                if is_clean {
                    cleaning.set_complete(tx)?;
                }
            }
            Ok(Some(recorded))
        })?;
        recorded.ok_or_else(|| super::sources::no_source(source))
    }
}

/// What became of the items, and which articles they are.
fn take_in(
    tx: &Transaction<'_>,
    source: &SourceId,
    found: SourceItems<'_>,
    now: Timestamp,
    Claimed(claimed): &mut Claimed,
) -> Sql<(Recorded, Vec<ArticleId>)> {
    let mut recorded = Recorded::default();
    let mut ids = Vec::new();
    let all_marks = identity::marks(found.items, source, found.site);
    let hashes: Vec<String> = found
        .items
        .iter()
        .map(|item| identity::content_hash(&item.article.title, &item.article.content))
        .collect();
    let finder = Finder::new(tx, source, found.items, &all_marks, &hashes)?;
    for (guid, texts) in &finder.shared {
        recorded.warnings.push(format!(
            "the GUID \"{guid}\" stands on {texts} items with different texts: each is an article \
             of its own"
        ));
    }
    for at in finder.order() {
        let (item, marks, hash) = (&found.items[at], &all_marks[at], &hashes[at]);
        // One that another item is already, with another text, is not this one.
        let mut same = None;
        for id in finder.candidates(at, item, marks, hash)? {
            if claimed.get(&id).is_none_or(|other| other == hash) {
                same = Some(id);
                break;
            }
        }
        let id = match same {
            Some(id) if claimed.contains_key(&id) => {
                recorded.duplicates += 1;
                put_marks(tx, &id, marks)?;
                continue;
            }
            Some(id) => {
                if update(tx, source, &id, item, hash, now)? {
                    recorded.changed.push(id.clone());
                } else {
                    recorded.unchanged += 1;
                }
                id
            }
            None => {
                let id = insert(tx, source, item, marks, hash, now)?;
                recorded.added.push(id.clone());
                id
            }
        };
        put_marks(tx, &id, marks)?;
        put_membership(tx, source, &id, item, hash, now)?;
        ids.push(id.clone());
        claimed.insert(id, hash.clone());
    }
    Ok((recorded, ids))
}

fn insert(
    tx: &Transaction<'_>,
    source: &SourceId,
    item: &Item,
    marks: &Marks,
    hash: &str,
    now: Timestamp,
) -> Sql<ArticleId> {
    let article = &item.article;
    let mut put = tx.prepare_cached(
        "INSERT OR IGNORE INTO articles (id, revision, url, title, authors, published, updated,
             tags, content_source, first_seen, changed_at, subtitle)
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)",
    )?;
    let mut id = marks.mint();
    // An id that is taken by an article that this is not: rare, and solved the same way each time.
    for attempt in 1u32.. {
        let new = put.execute(params![
            id.0,
            article.url.as_deref().and_then(identity::canonical_url),
            article.title,
            to_json(&article.authors)?,
            article.published.map(to_micros),
            article.updated.map(to_micros),
            to_json(&article.tags)?,
            source.0,
            to_micros(now),
            article.subtitle,
        ])?;
        if new > 0 {
            break;
        }
        id = ArticleId(
            identity::digest(&[&marks.mint().0, &source.0, hash, &attempt.to_string()])[..16]
                .to_owned(),
        );
    }
    put_revision(tx, &id, 1, item, hash, now)?;
    Ok(id)
}

/// Brings an article up to date; whether it got a new revision.
fn update(
    tx: &Transaction<'_>,
    source: &SourceId,
    id: &ArticleId,
    item: &Item,
    hash: &str,
    now: Timestamp,
) -> Sql<bool> {
    let current = current(tx, id)?;
    let article = &item.article;
    let is_empty = article.content.raw().trim().is_empty();
    let counts = current.content_source.as_ref().is_none_or(|owner| *owner == source.0);
    let better = article.extent > current.extent || (current.is_empty && !is_empty);
    let worse = article.extent < current.extent || (!current.is_empty && is_empty);
    if !counts && !better {
        return Ok(false);
    }
    let is_changed = !worse && hash != current.hash;
    let or_kept = |new: &[String], kept: &[String]| {
        if new.is_empty() { to_json(&kept) } else { to_json(&new) }
    };
    tx.prepare_cached(
        "UPDATE articles SET url = ?2, authors = ?3, published = ?4, updated = ?5, tags = ?6,
             content_source = ?7, subtitle = ?8 WHERE id = ?1",
    )?
    .execute(params![
        id.0,
        article.url.as_deref().and_then(identity::canonical_url).or(current.url),
        or_kept(&article.authors, &current.authors)?,
        article.published.map(to_micros).or(current.published),
        article.updated.map(to_micros).or(current.updated),
        or_kept(&article.tags, &current.tags)?,
        source.0,
        article.subtitle.as_ref().or(current.subtitle.as_ref()),
    ])?;
    if is_changed {
        let revision = current.revision + 1;
        tx.prepare_cached(
            "UPDATE articles SET revision = ?2, title = ?3, changed_at = ?4 WHERE id = ?1",
        )?
        .execute(params![id.0, revision, article.title, to_micros(now)])?;
        put_revision(tx, id, revision, item, hash, now)?;
    }
    Ok(is_changed)
}

fn current(tx: &Transaction<'_>, id: &ArticleId) -> Sql<Current> {
    tx.prepare_cached(
        "SELECT a.revision, r.hash, r.extent, r.is_empty, a.content_source, a.url,
             a.authors, a.published, a.updated, a.tags, a.subtitle
         FROM articles a JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision
         WHERE a.id = ?1",
    )?
    .query_row([&id.0], |row| {
        let name = format!("the article {id}");
        Ok(Current {
            revision: row.get(0)?,
            hash: row.get(1)?,
            extent: extent(row.get_ref(2)?.as_str()?, &name)?,
            is_empty: row.get(3)?,
            content_source: row.get(4)?,
            url: row.get(5)?,
            authors: from_json("authors", &name, row.get_ref(6)?.as_str()?)?,
            published: row.get(7)?,
            updated: row.get(8)?,
            tags: from_json("tags", &name, row.get_ref(9)?.as_str()?)?,
            subtitle: row.get(10)?,
        })
    })
}

fn put_revision(
    tx: &Transaction<'_>,
    id: &ArticleId,
    revision: u32,
    item: &Item,
    hash: &str,
    now: Timestamp,
) -> Sql<()> {
    let format = match item.article.content {
        Content::Html(_) => "html",
        Content::Markdown(_) => "markdown",
        Content::Text(_) => "text",
    };
    let body = item.article.content.raw();
    tx.prepare_cached(
        "INSERT INTO revisions (article_id, revision, title, format, hash, extent, seen_at,
             is_empty)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id.0,
        revision,
        item.article.title,
        format,
        hash,
        item.article.extent.as_str(),
        to_micros(now),
        body.trim().is_empty(),
    ])?;
    tx.prepare_cached("INSERT INTO bodies (article_id, revision, body) VALUES (?1, ?2, ?3)")?
        .execute(params![id.0, revision, body])?;
    Ok(())
}

fn put_marks(tx: &Transaction<'_>, id: &ArticleId, marks: &Marks) -> Sql<()> {
    let mut put =
        tx.prepare_cached("INSERT OR IGNORE INTO marks (mark, article_id) VALUES (?1, ?2)")?;
    for mark in marks.all() {
        put.execute([mark, &id.0])?;
    }
    if let Some(place) = &marks.place {
        // What a file holds may become another article.
        tx.prepare_cached("INSERT OR REPLACE INTO marks (mark, article_id) VALUES (?1, ?2)")?
            .execute([place, &id.0])?;
    }
    Ok(())
}

fn put_membership(
    tx: &Transaction<'_>,
    source: &SourceId,
    id: &ArticleId,
    item: &Item,
    hash: &str,
    now: Timestamp,
) -> Sql<()> {
    let article = &item.article;
    let url = article.url.as_deref().and_then(identity::canonical_url);
    tx.prepare_cached(
        "INSERT INTO memberships (source_id, article_id, guid, url, hash, first_seen, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (source_id, article_id)
             DO UPDATE SET guid = excluded.guid, url = excluded.url, hash = excluded.hash,
                 last_seen = excluded.last_seen",
    )?
    .execute(params![source.0, id.0, article.guid, url, hash, to_micros(now)])?;
    Ok(())
}
