//! What an index generation lacks of the library.

use std::collections::BTreeMap;

use super::Library;
use super::cleaning::Cleaning;
use super::ensure;
use crate::base::ArticleId;
use crate::base::error::Result;
use crate::document::html::CleanOptions;

/// What a generation lacks or has too much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Articles to be indexed, by id, with the state to be noted once they are. The state is empty
    /// for one that is not cleaned yet; see [`Library::ensure_cleaned`].
    pub articles: Vec<(ArticleId, String)>,
    /// Articles that are gone from the library, by id.
    pub removed: Vec<ArticleId>,
    /// How many articles are as they should be.
    pub unchanged: usize,
}

impl Pending {
    /// How many articles differ.
    pub fn count(&self) -> usize {
        self.articles.len() + self.removed.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.articles.is_empty() && self.removed.is_empty()
    }
}

/// All states of a cleaning; the index that is named holds all that is asked for.
pub(super) const STATES: &str = "SELECT article_id, state FROM cleaned INDEXED BY cleaned_states
    WHERE cleaning = ?1 ORDER BY article_id";

impl Library {
    /// What a generation lacks that holds articles at these states. A state is made of an
    /// article's document under these options and of what is known of it: if either changes, the
    /// article is indexed again.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn pending(
        &self,
        options: &CleanOptions,
        held: &BTreeMap<ArticleId, String>,
    ) -> Result<Pending> {
        let cleaning = Cleaning::new(options);
        let states = self.read("cannot be read (pending articles)", |tx| {
            let mut states: BTreeMap<ArticleId, String> = BTreeMap::new();
            if cleaning.is_complete(tx)? {
                let mut statement = tx.prepare_cached(STATES)?;
                let mut rows = statement.query([&cleaning.name])?;
                while let Some(row) = rows.next()? {
                    states.insert(ArticleId(row.get(0)?), row.get(1)?);
                }
            } else {
                let fresh = |id, state: &str| {
                    states.insert(id, state.to_owned());
                };
                let stale = ensure::stale(tx, &cleaning, fresh)?;
                states.extend(stale.into_iter().map(|stale| (stale.id, String::new())));
            }
            Ok(states)
        })?;
        let removed = held.keys().filter(|id| !states.contains_key(*id)).cloned().collect();
        let mut pending = Pending { removed, ..Pending::default() };
        for (id, state) in states {
            if !state.is_empty() && held.get(&id) == Some(&state) {
                pending.unchanged += 1;
            } else {
                pending.articles.push((id, state));
            }
        }
        Ok(pending)
    }
}
