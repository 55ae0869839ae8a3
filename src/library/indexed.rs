//! What an index generation lacks of the library.

use std::collections::{BTreeMap, HashMap};

use super::articles::{META, meta};
use super::identity::digest;
use super::{Library, to_json};
use crate::domain::{ArticleId, SourceId};
use crate::error::Result;

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
    /// What a generation lacks that holds articles at these states. A state is made of revision,
    /// content, what is known of the article, and what was learned of its source: if any of it
    /// changes, the article is indexed again.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn pending(&self, held: &BTreeMap<&ArticleId, &str>) -> Result<Pending> {
        self.read("cannot be read (pending articles)", |tx| {
            let mut learned: HashMap<SourceId, String> = HashMap::new();
            let mut statement =
                tx.prepare_cached("SELECT id, learned FROM sources WHERE learned IS NOT NULL")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                learned.insert(SourceId(row.get(0)?), digest(&[row.get_ref(1)?.as_str()?]));
            }
            let mut pending = Pending::default();
            let mut known = 0;
            let sql = format!(
                "SELECT {META}, r.hash FROM articles a
                 JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision
                 ORDER BY a.id"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut all = std::collections::HashSet::new();
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
                let held = held.get(&meta.id);
                known += usize::from(held.is_some());
                all.insert(meta.id.clone());
                if held == Some(&state.as_str()) {
                    pending.unchanged += 1;
                } else {
                    pending.articles.push((meta.id, state));
                }
            }
            if known < held.len() {
                pending.removed =
                    held.keys().filter(|id| !all.contains(**id)).map(|id| (*id).clone()).collect();
            }
            Ok(pending)
        })
    }
}
