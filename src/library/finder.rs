//! Which articles of the library the items of a source are.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use super::Sql;
use super::identity::{self, Item, Marks};
use crate::base::{ArticleId, SourceId};

/// Articles that a source carried last with a content hash under a GUID, or under none.
pub(super) const AS_IT_WAS: &str = "SELECT article_id, url FROM memberships
     WHERE hash = ?1 AND source_id = ?2 AND guid IS ?3 ORDER BY seq";

/// Which articles the items of a source may be.
pub(super) struct Finder<'a> {
    tx: &'a Transaction<'a>,
    source: &'a SourceId,
    /// The GUIDs of the items.
    guids: HashSet<&'a str>,
    /// GUIDs that stand on different texts, with how many.
    pub(super) shared: BTreeMap<&'a str, usize>,
    /// What each item was when the source last carried it just so.
    was: Vec<Option<ArticleId>>,
    /// Articles that items still are, with their hash: no other text is they.
    reserved: HashMap<ArticleId, &'a str>,
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
        hashes: &'a [String],
    ) -> Sql<Finder<'a>> {
        let guids = items.iter().filter_map(|item| item.article.guid.as_deref()).collect();
        let mut texts: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (marks, hash) in marks.iter().zip(hashes) {
            if let Some(guid) = marks.own_guid.as_deref().filter(|_| marks.guid.is_empty()) {
                texts.entry(guid).or_default().insert(hash);
            }
        }
        let shared = texts.iter().map(|(guid, texts)| (*guid, texts.len())).collect();
        let (was, reserved) = (Vec::new(), HashMap::new());
        let mut finder = Finder { tx, source, guids, shared, was, reserved };
        for (item, hash) in items.iter().zip(hashes) {
            let was = finder.as_it_was(item, hash)?;
            finder.reserved.extend(was.clone().map(|id| (id, &**hash)));
            finder.was.push(was);
        }
        Ok(finder)
    }

    /// The order to take the items in: first those that are what they were, so that an article
    /// stays theirs when others have the same text.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.was.len()).collect();
        order.sort_by_key(|at| self.was[*at].is_none());
        order
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

    /// The articles that the item at `at` may be, strongest first: the one that it was, unless it
    /// is a file, which is what it is by its place; then those of its marks.
    pub(super) fn candidates(
        &self,
        at: usize,
        item: &Item,
        marks: &Marks,
        hash: &str,
    ) -> Sql<Vec<ArticleId>> {
        let was = self.was[at].clone();
        let (first, last) = if marks.place.is_none() { (was, None) } else { (None, was) };
        let mut found: Vec<ArticleId> = first.into_iter().collect();
        found.extend(self.marked(item, marks, hash)?);
        found.extend(last);
        found.retain(|id| self.reserved.get(id).is_none_or(|text| *text == hash));
        Ok(found)
    }

    /// The articles that the marks of an item name, strongest mark first.
    fn marked(&self, item: &Item, marks: &Marks, hash: &str) -> Sql<Vec<ArticleId>> {
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
        Ok(found)
    }

    /// The article that this source carried last with an item's text under its GUID and link.
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
            under.iter().filter(|known| !self.reserved.contains_key(&known.id)).collect();
        let titled: Vec<&&&UnderGuid> =
            free.iter().filter(|known| known.title == item.article.title).collect();
        match (titled.as_slice(), free.as_slice()) {
            ([one], _) => Some(one.id.clone()),
            ([], [one]) if !marks.guid.is_empty() && under.len() == 1 => Some(one.id.clone()),
            _ => None,
        }
    }
}
