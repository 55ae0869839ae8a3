//! Sources read into the library, one or many.

use std::sync::Arc;

use super::KnowledgeBase;
use super::sync::{self, Reading, Synced};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Warning, Watch};
use crate::library::{Library, RemovedSource};
use crate::source::fetch::{Source, SourceKind};

/// Feeds that are followed from one list.
const MAX_LISTED: usize = 1000;

/// What became of several sources.
#[derive(Debug, Default)]
pub struct ReadReport {
    /// Those that were read, in the order given, then those that were listed by them.
    pub done: Vec<Synced>,
    /// Those that failed, by the names that they were given, in the same order.
    pub failed: Vec<(String, Error)>,
}

impl KnowledgeBase {
    /// Reads sources into the library, and the feeds that they list (OPML); the index is not
    /// touched. What fails is reported, and the rest goes on.
    ///
    /// # Errors
    /// What concerns all: the user's stop, a library or a disk that fails.
    pub fn read_sources(
        &self,
        sources: Vec<(String, Result<Source>)>,
        watch: &Watch<'_>,
    ) -> Result<ReadReport> {
        let library = self.library()?;
        let mut report = ReadReport::default();
        self.read_all(&library, sources, &mut report, watch)?;
        let mut listed: Vec<String> =
            report.done.iter().flat_map(|synced| synced.lists.clone()).collect();
        listed.sort();
        listed.dedup();
        if listed.len() > MAX_LISTED {
            watch.warn(Warning::TooManyListed { listed: listed.len(), read: MAX_LISTED });
            listed.truncate(MAX_LISTED);
        }
        // A list may come from anywhere: it names nothing but what is on the network.
        let listed = listed.into_iter().map(|name| (name.clone(), Source::web(&name))).collect();
        self.read_all(&library, listed, &mut report, watch)?;
        Ok(report)
    }

    fn read_all(
        &self,
        library: &Library,
        sources: Vec<(String, Result<Source>)>,
        report: &mut ReadReport,
        watch: &Watch<'_>,
    ) -> Result<()> {
        let (mut names, mut wanted, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (name, source)) in sources.into_iter().enumerate() {
            match source {
                Ok(source) => {
                    names.push((at, name));
                    wanted.push(source);
                }
                Err(error) => failed.push((at, name, error)),
            }
        }
        let mut names = names.into_iter();
        sync::sync_sources(&self.reading(library, watch), &wanted, &mut |_, outcome| {
            let Some((at, name)) = names.next() else { return };
            match outcome {
                Ok(synced) => report.done.push(synced),
                Err(error) => failed.push((at, name, error)),
            }
        })?;
        failed.sort_by_key(|(at, ..)| *at);
        report.failed.extend(failed.into_iter().map(|(_, name, error)| (name, error)));
        Ok(())
    }

    fn reading<'a>(&'a self, library: &'a Library, watch: &Watch<'a>) -> Reading<'a> {
        let config = self.config();
        Reading {
            library,
            fetch: &config.fetch,
            clean: &config.clean,
            offline: config.offline,
            events: watch.events,
            cancel: watch.cancel,
        }
    }

    /// The library with these sources in it, read if they are new (files also if they have
    /// changed).
    ///
    /// # Errors
    /// If one can't be read, or is a list of feeds; without sources, if there are no articles yet.
    pub fn library_with(&self, sources: &[Source], watch: &Watch<'_>) -> Result<Arc<Library>> {
        if sources.is_empty() {
            return self.filled_library();
        }
        let library = self.library()?;
        let mut wanted = Vec::new();
        for source in sources {
            // A feed on the network is read again by `sync`, not by every question.
            let is_read_once = matches!(source.kind(), SourceKind::Url | SourceKind::Import);
            if !(is_read_once && library.source(&source.id())?.is_some()) {
                wanted.push(source.clone());
            }
        }
        let mut outcomes = Vec::new();
        sync::sync_sources(&self.reading(&library, watch), &wanted, &mut |_, outcome| {
            outcomes.push(outcome);
        })?;
        for outcome in outcomes {
            let synced = outcome?;
            if let Some(first) = synced.left_out.first() {
                watch.warn(Warning::LeftOut { source: synced.source.clone(), what: first.clone() });
            }
            if !synced.lists.is_empty() {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("{} is a list of {} feeds", synced.source, synced.lists.len()),
                )
                .hint("add the list as a source, then ask without naming one"));
            }
        }
        Ok(library)
    }

    /// Removes sources with the articles that no other source has, and brings the index up to date.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if one is not among the sources; then none is removed.
    pub fn remove_sources(
        &self,
        sources: &[Source],
        watch: &Watch<'_>,
    ) -> Result<Vec<(Source, RemovedSource)>> {
        let unknown = |source: &Source| {
            Error::new(ErrorKind::NotFound, format!("{} is not among the sources", source.id()))
                .step(Step::ListSources)
                .step(Step::AddSource)
        };
        let library = self.existing_library()?;
        for source in sources {
            let known = match &library {
                Some(library) => library.source(&source.id())?.is_some(),
                None => false,
            };
            if !known {
                return Err(unknown(source));
            }
        }
        let Some(library) = library else { return Ok(Vec::new()) };
        let mut removed = Vec::new();
        for source in sources {
            removed.push((source.clone(), library.remove_source(&source.id())?));
        }
        if self.index().live()?.is_some() {
            self.update_index(false, watch)?;
        }
        Ok(removed)
    }
}
