//! Sources → the library: read several at a time, recorded one after the other with their cursors.

use jiff::Timestamp;
use serde::Serialize;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Events, Extent, SourceId, Warning};
use crate::document::html::CleanOptions;
use crate::library::{Claimed, Library, Recorded, SourceItems};
use crate::source::fetch::{Cursor, FetchOptions, Fetcher, Source};
use crate::source::{self, Job, Part};

/// What reading a source needs.
pub struct Reading<'a> {
    /// Where articles go.
    pub library: &'a Library,
    /// How to fetch.
    pub fetch: &'a FetchOptions,
    /// What is kept of articles.
    pub clean: &'a CleanOptions,
    /// Touch no network.
    pub offline: bool,
    /// Where progress and warnings go.
    pub events: Events<'a>,
    /// Raised by Ctrl-C.
    pub cancel: &'a Cancel,
}

/// What became of a source.
#[derive(Clone, Debug, Serialize)]
pub struct Synced {
    /// Its name.
    pub source: SourceId,
    /// Its title.
    pub title: Option<String>,
    /// Whether it was as it had been.
    pub not_modified: bool,
    /// The feed that a page names, which was read instead of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// What the library made of it.
    #[serde(flatten)]
    pub recorded: Recorded,
    /// What was left out because it can't be read or is too large: each a line that says why.
    pub left_out: Vec<String>,
    /// Feeds that it lists (OPML); they are sources of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
}

/// Reads a source into the library. A source that is new to it is added once it has been read.
///
/// # Errors
/// If it can't be fetched or read, or the library can't be written. Its cursor and what is stored
/// of it stay as they are; a source that was there before gets a note of the failure.
pub fn sync_source(reading: &Reading<'_>, source: &Source) -> Result<Synced> {
    let mut outcome = None;
    sync_sources(reading, std::slice::from_ref(source), &mut |_, synced| outcome = Some(synced))?;
    outcome.unwrap_or_else(|| Err(Error::interrupted()))
}

/// As [`sync_source`] for several, which are read beside each other, and recorded in this thread in
/// the order in which they are read. `each` gets what became of them in the order of `sources`.
///
/// # Errors
/// What concerns all that would follow: a stop, and a library or disk that fails. What became of
/// the sources before that is given to `each`.
pub fn sync_sources(
    reading: &Reading<'_>,
    sources: &[Source],
    each: &mut dyn FnMut(&Source, Result<Synced>),
) -> Result<()> {
    let library = reading.library;
    let mut jobs = Vec::with_capacity(sources.len());
    let mut ongoing = Vec::with_capacity(sources.len());
    for source in sources {
        let id = source.id();
        let is_known = library.source(&id)?.is_some();
        let cursor = if is_known { library.cursor(&id)? } else { Cursor::default() };
        jobs.push(Job { source: source.clone(), cursor });
        ongoing.push(Ongoing::new(id));
    }
    let fetcher = Fetcher::new(reading.fetch, reading.offline, reading.events, reading.cancel);
    let mut outcomes: Vec<Option<Result<Synced>>> = sources.iter().map(|_| None).collect();
    let mut given = 0;
    let ended =
        source::gather(&jobs, &fetcher, &|url| is_complete(library, url), &mut |at, part| {
            let outcome = match part.and_then(|part| ongoing[at].take(reading, &sources[at], part))
            {
                Ok(None) => return Ok(()),
                Ok(Some(synced)) => Ok(synced),
                Err(error) if concerns_all(&error) => return Err(error),
                Err(error) => {
                    let id = &ongoing[at].synced.source;
                    if library.source(id)?.is_some() {
                        library.record_failure(id, &error.chain(), Timestamp::now())?;
                    }
                    Err(error)
                }
            };
            outcomes[at] = Some(outcome);
            while let Some(outcome) = outcomes.get_mut(given).and_then(Option::take) {
                each(&sources[given], outcome);
                given += 1;
            }
            Ok(())
        });
    for (source, outcome) in sources.iter().zip(outcomes) {
        if let Some(outcome) = outcome {
            each(source, outcome);
        }
    }
    ended
}

/// Whether the library has more of the article at an address than a summary.
fn is_complete(library: &Library, url: &str) -> Result<bool> {
    Ok(library.article_by_url(url)?.is_some_and(|known| known.extent > Extent::Summary))
}

/// Whether what fails for one source fails for all.
fn concerns_all(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::Library | ErrorKind::DiskFull | ErrorKind::Locked
    )
}

/// A source of which some parts may have been recorded.
struct Ongoing {
    synced: Synced,
    /// Whether any article was found.
    has_items: bool,
    claimed: Claimed,
}

impl Ongoing {
    fn new(id: SourceId) -> Ongoing {
        let synced = Synced {
            source: id,
            title: None,
            not_modified: false,
            feed: None,
            recorded: Recorded::default(),
            left_out: Vec::new(),
            lists: Vec::new(),
        };
        Ongoing { synced, has_items: false, claimed: Claimed::default() }
    }

    /// Records a part; what became of the source if it was the last.
    fn take(
        &mut self,
        reading: &Reading<'_>,
        source: &Source,
        part: Part,
    ) -> Result<Option<Synced>> {
        reading.cancel.check()?;
        let now = Timestamp::now();
        let id = self.synced.source.clone();
        for warning in &part.warnings {
            (reading.events)(Event::Warning(Warning::Source {
                source: id.clone(),
                what: warning.clone(),
            }));
        }
        if part.is_unchanged {
            reading.library.record_unchanged(&id, &part.cursor.unwrap_or_default(), now)?;
            self.synced.not_modified = true;
            return Ok(Some(self.synced.clone()));
        }
        self.has_items |= !part.items.is_empty();
        self.synced.lists.extend(part.lists);
        self.synced.left_out.extend(part.left_out);
        self.synced.feed = part.feed;
        // A list of feeds is not a source itself.
        if !self.synced.lists.is_empty() && !self.has_items {
            return Ok(part.cursor.map(|_| self.synced.clone()));
        }
        if !self.has_items && self.synced.left_out.is_empty() {
            (reading.events)(Event::Warning(Warning::NoArticles(id.clone())));
        }
        reading.library.add_source(&id, source.kind(), now)?;
        let found = SourceItems {
            title: part.title.as_deref(),
            site: part.site.as_deref(),
            items: &part.items,
        };
        // Until the last part is stored, no cursor says that the source was read.
        let is_last = part.cursor.is_some();
        let cursor = part.cursor.unwrap_or_default();
        let recorded = reading.library.record_part(
            &id,
            found,
            &cursor,
            reading.clean,
            now,
            &mut self.claimed,
        )?;
        for warning in &recorded.warnings {
            (reading.events)(Event::Warning(Warning::Source {
                source: id.clone(),
                what: warning.clone(),
            }));
        }
        self.synced.title = part.title;
        let all = &mut self.synced.recorded;
        all.added.extend(recorded.added);
        all.changed.extend(recorded.changed);
        all.unchanged += recorded.unchanged;
        all.duplicates += recorded.duplicates;
        all.warnings.extend(recorded.warnings);
        if !is_last {
            return Ok(None);
        }
        Ok(Some(self.synced.clone()))
    }
}
