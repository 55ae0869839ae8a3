//! All articles cleaned in one way, and what an index reads of that.

use std::collections::HashMap;

use rusqlite::Transaction;

use super::clean::{
    CLEANED, NEWEST, Newest, Parsed, body, changed, changes, clean_articles, cleaned, cleaned_of,
    newest, newest_columns, newest_of, state,
};
use super::cleaning::Cleaning;
use super::identity::content_hash;
use super::learn::{hash_of, learned, to_keys};
use super::{Library, Sql};
use crate::base::error::Result;
use crate::base::{
    ArticleId, ArticleMeta, Cancel, Content, Document, DocumentId, Event, Events, SourceId, Unit,
};
use crate::document::html::{self, CleanOptions, Repeated};

/// Articles that are brought up to date in one transaction…
const GROUP: usize = 300;
/// …and bytes of their bodies.
const GROUP_BYTES: usize = 16 << 20;
/// Whether an article with a content hash is cleaned. `CROSS JOIN` keeps SQLite from walking all of
/// `cleaned` for each hash.
pub(super) const KNOWN: &str = "SELECT 1 FROM revisions r
     CROSS JOIN cleaned c
         ON c.cleaning = ?2 AND c.article_id = r.article_id AND c.revision = r.revision
     WHERE r.hash = ?1";

/// An article whose row is not up to date.
pub(super) struct Stale {
    pub(super) id: ArticleId,
    source: SourceId,
    at: i64,
    /// Whether its body has to be read.
    is_new: bool,
}

/// The articles whose row is not up to date, ordered by source, the newest first. `fresh` gets the
/// others with their state.
pub(super) fn stale(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    mut fresh: impl FnMut(ArticleId, &str),
) -> Sql<Vec<Stale>> {
    let sql = format!(
        "SELECT {}, {CLEANED}, c.keys FROM {NEWEST}
         LEFT JOIN cleaned c ON c.cleaning = ?1 AND c.article_id = a.id ORDER BY a.id",
        newest_columns()
    );
    let mut sets: HashMap<SourceId, Repeated> = HashMap::new();
    let mut found = Vec::new();
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query([&cleaning.name])?;
    while let Some(row) = rows.next()? {
        let Newest { meta, revision, at, .. } = newest_of(row)?;
        let has_row = row.get_ref(11)? != rusqlite::types::ValueRef::Null;
        let held = if has_row { Some(cleaned_of(row, 11)?) } else { None };
        let keeps = cleaning.keeps(&meta.source);
        let (mut is_new, mut is_stale) = (true, true);
        if let Some(held) = &held {
            if !sets.contains_key(&meta.source) {
                sets.insert(meta.source.clone(), learned(tx, cleaning, &meta.source)?);
            }
            let keys = to_keys(row.get_ref(17)?.as_blob()?, &format!("the article {}", meta.id))?;
            let set = if keeps { Repeated::default() } else { sets[&meta.source].among(&keys) };
            is_new = held.revision != revision || cleaning.keeps(&held.source) != keeps;
            is_stale = is_new
                || held.source != meta.source
                || held.at != at
                || held.learned != hash_of(&set)
                || held.state != state(&held.document, &meta)?;
        }
        match held {
            Some(held) if !is_stale => fresh(meta.id, &held.state),
            _ => found.push(Stale { id: meta.id, source: meta.source, at, is_new }),
        }
    }
    found.sort_by(|a, b| (&a.source, b.at, &b.id).cmp(&(&b.source, a.at, &a.id)));
    Ok(found)
}

impl Library {
    /// A number that is another after each change of articles, their documents or their states;
    /// larger than all before it.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn changes(&self) -> Result<u64> {
        self.read("cannot be read (changes)", changes)
    }

    /// Brings the documents and states of all articles up to date for these options: after a
    /// migration, after settings changed, for an evaluation with settings of its own. Costs one
    /// look if they are.
    ///
    /// # Errors
    /// If the library can't be written and there is something to do; if it is cancelled, and then
    /// the next call goes on from there.
    pub fn ensure_cleaned(
        &self,
        options: &CleanOptions,
        events: Events<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        let cleaning = Cleaning::new(options);
        let task = "Cleaning articles";
        loop {
            let found = self.read("cannot be read (cleaned articles)", |tx| {
                if cleaning.is_complete(tx)? {
                    return Ok(None);
                }
                Ok(Some((stale(tx, &cleaning, |_, _| {})?, changes(tx)?)))
            })?;
            let Some((stale, mut number)) = found else { return Ok(()) };
            if stale.is_empty() && self.is_read_only() {
                return Ok(());
            }
            let total = stale.len() as u64;
            let (mut at, mut is_alone) = (0, true);
            while at < stale.len() {
                cancel.check()?;
                events(Event::Progress {
                    task: task.to_owned(),
                    done: at as u64,
                    total,
                    unit: Unit::Items,
                });
                let (mut parsed, end) = self.parse_group(&cleaning, &stale, at, cancel)?;
                let ids: Vec<ArticleId> = stale[at..end].iter().map(|s| s.id.clone()).collect();
                let (before, after) = self.write("cannot be written (cleaned articles)", |tx| {
                    let before = changes(tx)?;
                    if clean_articles(tx, &cleaning, &ids, &mut parsed)? {
                        changed(tx)?;
                    }
                    Ok((before, changes(tx)?))
                })?;
                is_alone &= before == number;
                (at, number) = (end, after);
            }
            if total > 0 {
                events(Event::Done { task: task.to_owned() });
            }
            // If another process has written meanwhile, there may be more to do.
            let is_done = self.write("cannot be written (cleaned articles)", |tx| {
                let is_done = is_alone && changes(tx)? == number;
                if is_done {
                    cleaning.set_complete(tx)?;
                }
                Ok(is_done)
            })?;
            if is_done {
                return Ok(());
            }
        }
    }

    /// Parses stale articles from one on, as many as go into one transaction; and the one that
    /// comes after them.
    fn parse_group(
        &self,
        cleaning: &Cleaning<'_>,
        stale: &[Stale],
        first: usize,
        cancel: &Cancel,
    ) -> Result<(Parsed, usize)> {
        let mut parsed = Parsed::default();
        let (mut bytes, mut at) = (0, first);
        while at < stale.len() && at - first < GROUP && bytes < GROUP_BYTES {
            let Stale { id, is_new, .. } = &stale[at];
            at += 1;
            if !is_new {
                continue;
            }
            cancel.check()?;
            let found = self.read("cannot be read (article)", |tx| {
                let Some(article) = newest(tx, id)? else { return Ok(None) };
                Ok(Some((body(tx, id, article.revision)?, article)))
            })?;
            if let Some((content, article)) = found {
                bytes += content.raw().len();
                let keeps = cleaning.keeps(&article.meta.source);
                let document = cleaning.parse(&content, keeps);
                parsed.put((article.hash, keeps), document);
            }
        }
        Ok((parsed, at))
    }

    /// Parses what is new of a source's items, each a title and a content.
    pub(super) fn parse_new<'c>(
        &self,
        cleaning: &Cleaning<'_>,
        source: &SourceId,
        contents: impl Iterator<Item = (&'c str, &'c Content)>,
    ) -> Result<Parsed> {
        let all: Vec<(String, &Content)> =
            contents.map(|(title, content)| (content_hash(title, content), content)).collect();
        let known = self.read("cannot be read (revisions)", |tx| {
            let mut known = tx.prepare_cached(KNOWN)?;
            all.iter()
                .map(|(hash, _)| known.exists([hash, &cleaning.name]))
                .collect::<Sql<Vec<_>>>()
        })?;
        let keeps = cleaning.keeps(source);
        let mut parsed = Parsed::default();
        for ((hash, content), known) in all.into_iter().zip(known) {
            if !known && !parsed.is_full() {
                parsed.put((hash, keeps), cleaning.parse(content, keeps));
            }
        }
        Ok(parsed)
    }

    /// What is known of an article, the revision that it is at, and its document under these
    /// options; `None` if it is gone, or has not been cleaned so yet (see
    /// [`Library::ensure_cleaned`]).
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn article_document(
        &self,
        id: &ArticleId,
        options: &CleanOptions,
    ) -> Result<Option<(ArticleMeta, u32, DocumentId)>> {
        let cleaning = Cleaning::new(options);
        self.read("cannot be read (article)", |tx| {
            let Some(article) = newest(tx, id)? else { return Ok(None) };
            let row = cleaned(tx, &cleaning, id)?;
            Ok(row.map(|row| (article.meta, row.revision, row.document)))
        })
    }

    /// The document of an article under these options, made now from its body at a revision (its
    /// newest if `None`) and not kept; `None` if it is gone. What repeats in its source is left out
    /// as it is known now.
    ///
    /// # Errors
    /// If the library can't be read, or there is no such revision.
    pub fn document_now(
        &self,
        id: &ArticleId,
        revision: Option<u32>,
        options: &CleanOptions,
    ) -> Result<Option<Document>> {
        let cleaning = Cleaning::new(options);
        self.read("cannot be read (article)", |tx| {
            let Some(article) = newest(tx, id)? else { return Ok(None) };
            let revision = revision.unwrap_or(article.revision);
            let source = &article.meta.source;
            let keeps = cleaning.keeps(source);
            let document = cleaning.parse(&body(tx, id, revision)?, keeps);
            let set = if keeps { Repeated::default() } else { learned(tx, &cleaning, source)? };
            Ok(Some(html::remove_repeated(document, &set)))
        })
    }
}
