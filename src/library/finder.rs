//! Which articles of the library the items of a source are.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use super::Sql;
use super::identity::{self, Item, Marks};
use crate::base::{ArticleId, SourceId};

/// Articles at a content hash that a source carries under a GUID, or under none. `CROSS JOIN` keeps
/// SQLite from walking all of a source's articles without a GUID for each item.
pub(super) const AS_IT_WAS: &str = "SELECT a.id, a.url FROM revisions r
     CROSS JOIN articles a ON a.id = r.article_id AND a.revision = r.revision
     CROSS JOIN memberships m ON m.source_id = ?2 AND m.article_id = a.id
     WHERE r.hash = ?1 AND m.guid IS ?3 ORDER BY m.seq";

/// Which articles the items of a source may be.
pub(super) struct Finder<'a> {
    tx: &'a Transaction<'a>,
    source: &'a SourceId,
    /// The GUIDs of the items.
    guids: HashSet<&'a str>,
    /// GUIDs that stand on different texts, with how many.
    pub(super) shared: BTreeMap<&'a str, usize>,
    /// Articles with the GUID and text of an item of such a GUID: no other is they.
    reserved: HashSet<ArticleId>,
}

/// An article that a source carries under a GUID.
struct UnderGuid {
    id: ArticleId,
    title: String,
    hash: String,
    link: Option<String>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        tx: &'a Transaction<'a>,
        source: &'a SourceId,
        items: &'a [Item],
        marks: &'a [Marks],
        hashes: &[String],
    ) -> Sql<Finder<'a>> {
        let guids = items.iter().filter_map(|item| item.article.guid.as_deref()).collect();
        let mut texts: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (marks, hash) in marks.iter().zip(hashes) {
            if let Some(guid) = marks.own_guid.as_deref().filter(|_| marks.guid.is_empty()) {
                texts.entry(guid).or_default().insert(hash);
            }
        }
        let shared = texts.iter().map(|(guid, texts)| (*guid, texts.len())).collect();
        let mut finder = Finder { tx, source, guids, shared, reserved: HashSet::new() };
        for (guid, texts) in texts {
            for known in finder.under(guid)? {
                if texts.contains(&*known.hash) {
                    finder.reserved.insert(known.id);
                }
            }
        }
        Ok(finder)
    }

    /// The articles that the source carries under a GUID, as they are now.
    fn under(&self, guid: &str) -> Sql<Vec<UnderGuid>> {
        self.tx
            .prepare_cached(
                "SELECT a.id, a.title, r.hash, a.url FROM memberships m
                 JOIN articles a ON a.id = m.article_id
                 JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision
                 WHERE m.guid = ?1 AND m.source_id = ?2 ORDER BY m.seq",
            )?
            .query_map([guid, &self.source.0], |row| {
                let url: Option<String> = row.get(3)?;
                Ok(UnderGuid {
                    id: ArticleId(row.get(0)?),
                    title: row.get(1)?,
                    hash: row.get(2)?,
                    link: url.as_deref().and_then(identity::url_key),
                })
            })?
            .collect()
    }

    fn holder(&self, mark: &str) -> Sql<Option<ArticleId>> {
        self.tx
            .prepare_cached("SELECT article_id FROM marks WHERE mark = ?1")?
            .query_row([mark], |row| row.get(0).map(ArticleId))
            .optional()
    }

    /// The articles that an item may be, strongest mark first.
    pub(super) fn candidates(&self, item: &Item, marks: &Marks, hash: &str) -> Sql<Vec<ArticleId>> {
        let mut found = Vec::new();
        let under = match &marks.own_guid {
            Some(guid) => self.under(guid)?,
            None => Vec::new(),
        };
        // A GUID that stands on different texts, now or before, does not say which of them.
        let is_shared = marks.own_guid.is_some() && marks.guid.is_empty() || under.len() > 1;
        if is_shared {
            found.extend(self.one_of(&under, item, marks, hash));
        } else {
            for mark in &marks.guid {
                found.extend(self.holder(mark)?);
            }
        }
        if let Some(mark) = &marks.place {
            found.extend(self.holder(mark)?);
        }
        if let Some(mark) = &marks.url
            && let Some(id) = self.holder(mark)?
        {
            // The URL of an article that this source still carries under another GUID names that
            // one.
            let guid_there: Option<String> = self
                .tx
                .prepare_cached(
                    "SELECT guid FROM memberships WHERE source_id = ?1 AND article_id = ?2",
                )?
                .query_row(params![self.source.0, id.0], |row| row.get(0))
                .optional()?
                .flatten();
            let is_another = guid_there.is_some_and(|guid| {
                item.article.guid.as_ref() != Some(&guid) && self.guids.contains(&*guid)
            });
            let is_undecided = is_shared && under.iter().any(|known| known.id == id);
            if !is_another && !is_undecided {
                found.push(id);
            }
        }
        if marks.guid.is_empty() && marks.url.is_none() {
            found.extend(self.holder(&marks.content)?);
        }
        // An item whose marks all name others is still the one that it was.
        found.extend(self.as_it_was(item, hash)?);
        Ok(found)
    }

    /// The article that this source carries with an item's text under its GUID and link.
    fn as_it_was(&self, item: &Item, hash: &str) -> Sql<Option<ArticleId>> {
        let link = item.article.url.as_deref().and_then(identity::url_key);
        let mut statement = self.tx.prepare_cached(AS_IT_WAS)?;
        let mut rows = statement.query(params![hash, self.source.0, item.article.guid])?;
        while let Some(row) = rows.next()? {
            let url: Option<String> = row.get(1)?;
            if url.as_deref().and_then(identity::url_key) == link {
                return Ok(Some(ArticleId(row.get(0)?)));
            }
        }
        Ok(None)
    }

    /// The one of several articles under an item's GUID that has its text; else the one that has
    /// its title, or the only one that has its link.
    fn one_of(
        &self,
        under: &[UnderGuid],
        item: &Item,
        marks: &Marks,
        hash: &str,
    ) -> Option<ArticleId> {
        let link = item.article.url.as_deref().and_then(identity::url_key);
        let under: Vec<&UnderGuid> = under.iter().filter(|known| known.link == link).collect();
        if let Some(known) = under.iter().find(|known| known.hash == hash) {
            return Some(known.id.clone());
        }
        let free: Vec<&&UnderGuid> =
            under.iter().filter(|known| !self.reserved.contains(&known.id)).collect();
        let titled: Vec<&&&UnderGuid> =
            free.iter().filter(|known| known.title == item.article.title).collect();
        match (titled.as_slice(), free.as_slice()) {
            ([one], _) => Some(one.id.clone()),
            ([], [one]) if !marks.guid.is_empty() && under.len() == 1 => Some(one.id.clone()),
            _ => None,
        }
    }
}
