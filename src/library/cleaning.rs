//! A way of cleaning: the options, under a name that differs whenever a document may.

use std::collections::BTreeSet;

use rusqlite::Transaction;

use super::Sql;
use super::identity::digest;
use crate::base::{Content, Document, SourceId};
use crate::document::html::{self, CleanOptions};

/// A way of cleaning.
pub(super) struct Cleaning<'a> {
    /// A short name that differs whenever a document may.
    pub(super) name: String,
    pub(super) options: &'a CleanOptions,
}

impl<'a> Cleaning<'a> {
    pub(super) fn new(options: &'a CleanOptions) -> Cleaning<'a> {
        // Taken apart, so that an option that is added can't be forgotten here.
        let CleanOptions { boilerplate, repeated, repeated_share, bold_headings, keep_sources } =
            options;
        let keep: BTreeSet<&String> = keep_sources.iter().collect();
        let mut parts = vec![
            html::VERSION.to_owned(),
            boilerplate.to_string(),
            repeated.to_string(),
            repeated_share.to_string(),
            bold_headings.to_string(),
        ];
        parts.extend(keep.into_iter().cloned());
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Cleaning { name: digest(&parts)[..16].to_owned(), options }
    }

    /// Whether a source's articles are kept as they are.
    pub(super) fn keeps(&self, source: &SourceId) -> bool {
        self.options.keep_sources.contains(&source.0)
    }

    /// A document before what repeats is left out; `keeps` as [`Cleaning::keeps`] says.
    pub(super) fn parse(&self, content: &Content, keeps: bool) -> Document {
        let options = CleanOptions {
            boilerplate: self.options.boilerplate && !keeps,
            ..self.options.clone()
        };
        html::document(content, &options)
    }

    /// Whether the rows of this cleaning are up to date.
    pub(super) fn is_complete(&self, tx: &Transaction<'_>) -> Sql<bool> {
        tx.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM cleanings, changes WHERE cleaning = ?1 AND upto = number)
                 OR NOT EXISTS (SELECT 1 FROM articles)",
        )?
        .query_row([&self.name], |row| row.get(0))
    }

    /// Notes that the rows of this cleaning are up to date.
    pub(super) fn set_complete(&self, tx: &Transaction<'_>) -> Sql<()> {
        tx.prepare_cached(
            "INSERT OR REPLACE INTO cleanings (cleaning, upto) SELECT ?1, number FROM changes",
        )?
        .execute([&self.name])?;
        Ok(())
    }
}
