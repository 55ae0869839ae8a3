//! Articles → cleaned documents, what repeats across a source's articles, and the states that an
//! index compares.
//!
//! For each way of cleaning, an article has one row in `cleaned`. Within a transaction that changes
//! articles the rows follow, so that what was learned, the documents and the states always fit
//! together; other ways of cleaning lag until [`super::Library::ensure_cleaned`] brings them up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

use super::articles::{META, content, meta};
use super::cleaning::Cleaning;
use super::documents;
use super::identity::digest;
use super::learn::{affected, hash_of, learn, learned, to_bytes, to_keys};
use super::{Sql, damaged, to_json};
use crate::base::{ArticleId, ArticleMeta, Content, Document, DocumentId, SourceId};
use crate::document::html::{self, Repeated};

/// Bytes of text of parsed documents that are held at once; about, since the last may be longer.
const PARSED_BYTES: usize = 64 << 20;

/// Notes that something has changed of what an index is made from. The steps are of random width,
/// so that copies of a library that went different ways are never at the same number.
pub(super) fn changed(tx: &Transaction<'_>) -> Sql<()> {
    tx.prepare_cached("UPDATE changes SET number = number + 1 + abs(random() % 1048576)")?
        .execute([])?;
    Ok(())
}

pub(super) fn changes(tx: &Transaction<'_>) -> Sql<u64> {
    let number: i64 =
        tx.prepare_cached("SELECT number FROM changes")?.query_row([], |row| row.get(0))?;
    u64::try_from(number).map_err(|_| damaged("number", "changes"))
}

/// Documents before what repeats was left out, by content hash and whether their source is kept as
/// it is: parsed before a transaction, and used in it. Bounded: what doesn't fit is parsed again.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    documents: HashMap<(String, bool), Document>,
    bytes: usize,
}

impl Parsed {
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PARSED_BYTES
    }

    pub(super) fn put(&mut self, key: (String, bool), document: Document) {
        if !self.is_full() {
            self.bytes += document.text.len();
            self.documents.insert(key, document);
        }
    }

    fn document(
        &mut self,
        tx: &Transaction<'_>,
        cleaning: &Cleaning<'_>,
        article: &Newest,
    ) -> Sql<Document> {
        let keeps = cleaning.keeps(&article.meta.source);
        let key = (article.hash.clone(), keeps);
        if let Some(document) = self.documents.get(&key) {
            return Ok(document.clone());
        }
        let content = body(tx, &article.meta.id, article.revision)?;
        let document = cleaning.parse(&content, keeps);
        self.put(key, document.clone());
        Ok(document)
    }
}

/// An article at its newest revision, without its body.
pub(super) struct Newest {
    pub(super) meta: ArticleMeta,
    pub(super) revision: u32,
    pub(super) hash: String,
    pub(super) at: i64,
}

/// Columns of a [`Newest`].
pub(super) fn newest_columns() -> String {
    format!("{META}, r.hash, coalesce(a.published, a.first_seen)")
}

/// Where they come from.
pub(super) const NEWEST: &str =
    "articles a JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision";

pub(super) fn newest_of(row: &rusqlite::Row<'_>) -> Sql<Newest> {
    Ok(Newest { meta: meta(row)?, revision: row.get(6)?, hash: row.get(9)?, at: row.get(10)? })
}

pub(super) fn newest(tx: &Transaction<'_>, id: &ArticleId) -> Sql<Option<Newest>> {
    let sql = format!("SELECT {} FROM {NEWEST} WHERE a.id = ?1", newest_columns());
    tx.prepare_cached(&sql)?.query_row([&id.0], newest_of).optional()
}

pub(super) fn body(tx: &Transaction<'_>, id: &ArticleId, revision: u32) -> Sql<Content> {
    tx.prepare_cached(
        "SELECT r.format, b.body FROM revisions r
         JOIN bodies b ON b.article_id = r.article_id AND b.revision = r.revision
         WHERE r.article_id = ?1 AND r.revision = ?2",
    )?
    .query_row(params![id.0, revision], |row| {
        content(row.get_ref(0)?.as_str()?, row.get(1)?, &format!("the article {id}"))
    })
}

/// A row of `cleaned`, without its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) revision: u32,
    pub(super) source: SourceId,
    pub(super) at: i64,
    pub(super) learned: String,
    pub(super) document: DocumentId,
    pub(super) state: String,
}

/// Columns of a [`Cleaned`].
pub(super) const CLEANED: &str = "c.revision, c.source, c.at, c.learned, c.document, c.state";

pub(super) fn cleaned_of(row: &rusqlite::Row<'_>, first: usize) -> Sql<Cleaned> {
    Ok(Cleaned {
        revision: row.get(first)?,
        source: SourceId(row.get(first + 1)?),
        at: row.get(first + 2)?,
        learned: row.get(first + 3)?,
        document: DocumentId(row.get(first + 4)?),
        state: row.get(first + 5)?,
    })
}

pub(super) fn cleaned(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    id: &ArticleId,
) -> Sql<Option<Cleaned>> {
    let sql =
        format!("SELECT {CLEANED} FROM cleaned c WHERE c.cleaning = ?1 AND c.article_id = ?2");
    tx.prepare_cached(&sql)?.query_row([&cleaning.name, &id.0], |row| cleaned_of(row, 0)).optional()
}

/// What an index keeps of an article, as its state is made from.
#[derive(Serialize)]
struct Indexed<'a> {
    id: &'a ArticleId,
    source: &'a SourceId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    other_sources: &'a [SourceId],
    url: Option<&'a str>,
    title: &'a str,
    authors: &'a [String],
    published: Option<Timestamp>,
    tags: &'a [String],
}

/// What an index compares. The subtitle is no part of it: no index keeps it, and none need be
/// changed because of it.
pub(super) fn state(document: &DocumentId, meta: &ArticleMeta) -> Sql<String> {
    let ArticleMeta {
        id,
        source,
        other_sources,
        url,
        title,
        subtitle: _,
        authors,
        published,
        tags,
    } = meta;
    let indexed = Indexed {
        id,
        source,
        other_sources,
        url: url.as_deref(),
        title,
        authors,
        published: *published,
        tags,
    };
    Ok(digest(&[&document.0, &to_json(&indexed)?])[..32].to_owned())
}

/// Brings the rows of articles up to date, and with them what repeats across their sources' and
/// the documents that change by that. Whether any row changed.
pub(super) fn clean_articles(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    ids: &[ArticleId],
    parsed: &mut Parsed,
) -> Sql<bool> {
    tx.prepare_cached("INSERT OR IGNORE INTO cleanings (cleaning, upto) VALUES (?1, 0)")?
        .execute([&cleaning.name])?;
    // Articles whose document is to be made, and those with what they were.
    let mut rows: BTreeMap<ArticleId, Option<Cleaned>> = BTreeMap::new();
    let mut sources: BTreeSet<SourceId> = BTreeSet::new();
    for id in ids {
        let Some(article) = newest(tx, id)? else { continue };
        let row = cleaned(tx, cleaning, id)?;
        let source = &article.meta.source;
        let is_new = row.as_ref().is_none_or(|row| {
            row.revision != article.revision
                || cleaning.keeps(&row.source) != cleaning.keeps(source)
        });
        let has_moved =
            row.as_ref().is_none_or(|row| row.source != *source || row.at != article.at);
        if is_new || has_moved {
            sources.insert(source.clone());
            sources.extend(row.as_ref().map(|row| row.source.clone()));
        }
        if is_new {
            let keys = html::block_keys(&parsed.document(tx, cleaning, &article)?);
            // Its document is made once it is known what repeats.
            tx.prepare_cached(
                "INSERT OR REPLACE INTO cleaned
                     (cleaning, article_id, revision, source, at, learned, document, state, keys)
                 VALUES (?1, ?2, ?3, ?4, ?5, '', '', '', ?6)",
            )?
            .execute(params![
                cleaning.name,
                id.0,
                article.revision,
                source.0,
                article.at,
                to_bytes(&keys)
            ])?;
        } else if has_moved {
            tx.prepare_cached(
                "UPDATE cleaned SET source = ?3, at = ?4 WHERE cleaning = ?1 AND article_id = ?2",
            )?
            .execute(params![cleaning.name, id.0, source.0, article.at])?;
        }
        rows.insert(id.clone(), row);
    }
    for source in &sources {
        if learn(tx, cleaning, source)? {
            for id in affected(tx, cleaning, source)? {
                if let std::collections::btree_map::Entry::Vacant(entry) = rows.entry(id) {
                    let row = cleaned(tx, cleaning, entry.key())?;
                    entry.insert(row);
                }
            }
        }
    }
    let mut sets: HashMap<SourceId, Repeated> = HashMap::new();
    let mut is_changed = false;
    for (id, before) in rows {
        is_changed |= finish(tx, cleaning, &id, before, &mut sets, parsed)?;
    }
    Ok(is_changed)
}

/// Brings document and state of a row up to date, whose revision, source and keys are; whether it
/// is another than `before`.
fn finish(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    id: &ArticleId,
    before: Option<Cleaned>,
    sets: &mut HashMap<SourceId, Repeated>,
    parsed: &mut Parsed,
) -> Sql<bool> {
    let Some(article) = newest(tx, id)? else { return Ok(false) };
    let source = &article.meta.source;
    if !sets.contains_key(source) {
        sets.insert(source.clone(), learned(tx, cleaning, source)?);
    }
    let (row, keys) = tx
        .prepare_cached(&format!(
            "SELECT {CLEANED}, c.keys FROM cleaned c WHERE c.cleaning = ?1 AND c.article_id = ?2"
        ))?
        .query_row([&cleaning.name, &id.0], |row| {
            let keys = to_keys(row.get_ref(6)?.as_blob()?, &format!("the article {id}"))?;
            Ok((cleaned_of(row, 0)?, keys))
        })?;
    let mut now = row.clone();
    let set = if cleaning.keeps(source) { Repeated::default() } else { sets[source].among(&keys) };
    now.learned = hash_of(&set);
    if now.document.0.is_empty() || now.learned != row.learned {
        let document = parsed.document(tx, cleaning, &article)?;
        now.document = documents::put(tx, &html::remove_repeated(document, &set))?;
    }
    now.state = state(&now.document, &article.meta)?;
    if now != row {
        tx.prepare_cached(
            "UPDATE cleaned SET learned = ?3, document = ?4, state = ?5
             WHERE cleaning = ?1 AND article_id = ?2",
        )?
        .execute(params![cleaning.name, id.0, now.learned, now.document.0, now.state])?;
    }
    Ok(before.as_ref() != Some(&now))
}
