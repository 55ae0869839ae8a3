//! A source → the library: fetched, read, recorded with its cursor, and what repeats learned.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Cancel, Content, Event, Events, Extent, ParsedSource, SourceId};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{self, Body, Cursor, FetchOptions, Fetched, Source};
use crate::html::{self, CleanOptions};
use crate::library::{Found, Item, Learned, Library, Recorded};
use crate::read::{self, Hint, Parsed};

/// Articles of a source that what repeats is learned from, at the most.
const LEARN_FROM: usize = 300;

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
    let id = source.id();
    match read_source(reading, source, &id) {
        Ok(synced) => Ok(synced),
        Err(error) => {
            if error.kind() != ErrorKind::Interrupted && reading.library.source(&id)?.is_some() {
                reading.library.record_failure(&id, &error.chain(), Timestamp::now())?;
            }
            Err(error)
        }
    }
}

fn read_source(reading: &Reading<'_>, source: &Source, id: &SourceId) -> Result<Synced> {
    let known = reading.library.source(id)?.is_some();
    let cursor = if known { reading.library.cursor(id)? } else { Cursor::default() };
    (reading.events)(Event::Status(format!("Reading {id}")));
    let (fetched, cursor) = fetch_with(reading, source, &cursor)?;
    let mut synced = Synced {
        source: id.clone(),
        title: None,
        not_modified: false,
        feed: None,
        recorded: Recorded::default(),
        left_out: Vec::new(),
        lists: Vec::new(),
    };
    let (feed, items) = match fetched {
        Fetched::Unchanged => {
            reading.library.record_unchanged(id, &cursor, Timestamp::now())?;
            synced.not_modified = true;
            return Ok(synced);
        }
        Fetched::Body(body) => one(reading, &body, id, &mut synced)?,
        Fetched::Files(files) => {
            let folder = match source {
                Source::Path(path) => path.as_path(),
                Source::Url(_) | Source::Stdin | Source::Import(_) => Path::new(""),
            };
            (ParsedSource::default(), many(reading, folder, &files, &mut synced)?)
        }
    };
    reading.cancel.check()?;
    if !synced.lists.is_empty() && items.is_empty() {
        return Ok(synced);
    }
    let items = within_limit(items, reading.fetch.max_article_bytes, &mut synced.left_out);
    for warning in &feed.warnings {
        (reading.events)(Event::Warning(format!("{id}: {warning}")));
    }
    if items.is_empty() && synced.left_out.is_empty() {
        (reading.events)(Event::Warning(format!("{id} holds no articles")));
    }
    let now = Timestamp::now();
    reading.library.add_source(id, source.kind(), now)?;
    synced.title = feed.title.clone();
    let found = Found { title: feed.title.as_deref(), site: feed.url.as_deref(), items: &items };
    // What was left out is looked for again next time: the cursor does not cover it. Nor does that
    // of a page say anything of the feed that it names.
    let is_covered = synced.left_out.is_empty() && synced.feed.is_none();
    let cursor = if is_covered { cursor } else { Cursor::default() };
    synced.recorded = reading.library.record(id, found, &cursor, now)?;
    for warning in &synced.recorded.warnings {
        (reading.events)(Event::Warning(format!("{id}: {warning}")));
    }
    if !synced.recorded.added.is_empty() || !synced.recorded.changed.is_empty() {
        learn(reading, id)?;
    }
    Ok(synced)
}

fn fetch_with(
    reading: &Reading<'_>,
    source: &Source,
    cursor: &Cursor,
) -> Result<(Fetched, Cursor)> {
    fetch::fetch(source, cursor, reading.fetch, reading.offline, reading.events, reading.cancel)
}

/// The articles of one body.
fn one(
    reading: &Reading<'_>,
    body: &Body,
    id: &SourceId,
    synced: &mut Synced,
) -> Result<(ParsedSource, Vec<Item>)> {
    let mut feed = match parse(body, &id.0)? {
        Parsed::Source(feed) => feed,
        Parsed::Outlines(outlines) => {
            synced.lists = outlines.into_iter().map(|outline| outline.url).collect();
            return Ok((ParsedSource::default(), Vec::new()));
        }
        // A page that names its feed is read by that.
        Parsed::Page { article, feeds } => match (body.url.is_some(), feeds.first()) {
            (true, Some(feed)) => return one_of_page(reading, feed, synced),
            _ => ParsedSource { articles: vec![*article], ..ParsedSource::default() },
        },
    };
    follow(reading, &mut feed, id)?;
    complete(reading, &mut feed, id)?;
    let articles = std::mem::take(&mut feed.articles);
    let items = articles.into_iter().map(|article| Item { article, place: None }).collect();
    Ok((feed, items))
}

/// Takes the linked page's main content for articles of which a feed on the network has only a
/// summary, unless the library has more of them already.
fn complete(reading: &Reading<'_>, feed: &mut ParsedSource, id: &SourceId) -> Result<()> {
    let limit = reading.fetch.max_linked_pages;
    if !id.0.starts_with("http") || reading.offline || limit == 0 {
        return Ok(());
    }
    let (mut fetched, mut left, mut failed) = (0usize, 0usize, 0usize);
    let mut first_failure = None;
    for article in &mut feed.articles {
        let Some(url) = article.url.clone().filter(|_| article.extent == Extent::Summary) else {
            continue;
        };
        let mut known = false;
        for id in reading.library.find_articles(&url)? {
            known |= reading.library.article(&id)?.is_some_and(|a| a.extent > Extent::Summary);
        }
        if known {
            continue;
        }
        if fetched == limit {
            left += 1;
            continue;
        }
        reading.cancel.check()?;
        fetched += 1;
        match linked_page(reading, &url) {
            Ok(Some(content)) if content.raw().len() > article.content.raw().len() => {
                article.content = content;
                article.extent = Extent::LinkedPage;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                failed += 1;
                first_failure = first_failure.or(Some(error.chain()));
            }
        }
    }
    if left > 0 {
        feed.warnings.push(format!(
            "{left} articles stay summaries: at most {limit} linked pages are fetched at once \
             (fetch.max_linked_pages)"
        ));
    }
    if let Some(error) = first_failure {
        feed.warnings.push(format!("{failed} linked pages can't be read, as: {error}"));
    }
    Ok(())
}

fn linked_page(reading: &Reading<'_>, url: &str) -> Result<Option<Content>> {
    let source = Source::of_name(url)?;
    let Source::Url(_) = source else { return Ok(None) };
    let Fetched::Body(body) = fetch_with(reading, &source, &Cursor::default())?.0 else {
        return Ok(None);
    };
    Ok(match parse(&body, url)? {
        Parsed::Page { article, .. } => Some(article.content),
        Parsed::Source(_) | Parsed::Outlines(_) => None,
    })
}

fn one_of_page(
    reading: &Reading<'_>,
    url: &str,
    synced: &mut Synced,
) -> Result<(ParsedSource, Vec<Item>)> {
    let source = Source::of_name(url)?;
    match fetch_with(reading, &source, &Cursor::default())?.0 {
        Fetched::Body(body) => {
            let mut feed = match parse(&body, url)? {
                Parsed::Source(feed) => feed,
                Parsed::Outlines(_) | Parsed::Page { .. } => {
                    return Err(Error::new(
                        ErrorKind::Parse,
                        format!("{} names {url} as its feed, and that is none", synced.source),
                    )
                    .hint("give the feed's own address"));
                }
            };
            synced.feed = Some(url.to_owned());
            follow(reading, &mut feed, &source.id())?;
            complete(reading, &mut feed, &source.id())?;
            let articles = std::mem::take(&mut feed.articles);
            let items = articles.into_iter().map(|article| Item { article, place: None }).collect();
            Ok((feed, items))
        }
        Fetched::Unchanged | Fetched::Files(_) => Ok((ParsedSource::default(), Vec::new())),
    }
}

/// Follows a paged feed's links to older pages (RFC 5005), to a limit.
fn follow(reading: &Reading<'_>, feed: &mut ParsedSource, id: &SourceId) -> Result<()> {
    let mut seen = std::collections::HashSet::from([id.0.clone()]);
    let mut next = feed.next.take();
    while let Some(url) = next.take() {
        if !id.0.starts_with("http") || reading.offline || !seen.insert(url.clone()) {
            break;
        }
        if seen.len() > reading.fetch.max_pages {
            feed.warnings.push(format!(
                "older pages were left out after {} (fetch.max_pages)",
                reading.fetch.max_pages
            ));
            break;
        }
        let source = Source::of_name(&url)?;
        let page = fetch_with(reading, &source, &Cursor::default());
        let parsed = match page {
            Ok((Fetched::Body(body), _)) => parse(&body, &url),
            Ok(_) => break,
            Err(error) => Err(error),
        };
        match parsed {
            Ok(Parsed::Source(page)) => {
                feed.articles.extend(page.articles);
                feed.warnings.extend(page.warnings);
                next = page.next;
            }
            Ok(Parsed::Outlines(_) | Parsed::Page { .. }) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                feed.warnings.push(format!("an older page could not be read: {}", error.chain()));
                break;
            }
        }
    }
    Ok(())
}

/// The articles of a folder's files; a file that can't be read is left out and said to be.
fn many(
    reading: &Reading<'_>,
    folder: &Path,
    files: &[std::path::PathBuf],
    synced: &mut Synced,
) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut failure = None;
    for path in files {
        reading.cancel.check()?;
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let parsed = fetch::read_file(path, reading.fetch)
            .and_then(|body| parse(&body, &path.to_string_lossy()));
        match parsed {
            Ok(Parsed::Source(feed)) => {
                items
                    .extend(feed.articles.into_iter().map(|article| Item { article, place: None }));
            }
            Ok(Parsed::Page { article, .. }) => {
                items.push(Item { article: *article, place: Some(name) });
            }
            Ok(Parsed::Outlines(outlines)) => {
                synced.lists.extend(outlines.into_iter().map(|outline| outline.url));
            }
            Err(error) => {
                synced.left_out.push(format!("{name}: {}", error.chain()));
                failure = Some(error);
            }
        }
    }
    match failure {
        // Nothing could be read: that is a failure of the source.
        Some(error) if items.is_empty() => Err(error),
        _ => Ok(items),
    }
}

fn parse(body: &Body, name: &str) -> Result<Parsed> {
    let hint = Hint {
        url: body.url.as_deref(),
        content_type: body.content_type.as_deref(),
        file_name: body.file_name.as_deref(),
    };
    read::parse(&body.bytes, &hint).map_err(|error| {
        let hint = error
            .next_step()
            .unwrap_or("give a feed (RSS, Atom, JSON Feed), a web page, Markdown or text")
            .to_owned();
        Error::new(error.kind(), format!("{name} can't be read: {error}")).hint(hint)
    })
}

fn within_limit(items: Vec<Item>, limit: usize, left_out: &mut Vec<String>) -> Vec<Item> {
    items
        .into_iter()
        .filter(|item| {
            let length = item.article.content.raw().len();
            if length > limit {
                left_out.push(format!(
                    "\"{}\" has {} MB, and at most {} MB of an article are read \
                     (fetch.max_article_bytes)",
                    item.article.title,
                    length.div_ceil(1_000_000),
                    limit / 1_000_000
                ));
            }
            length <= limit
        })
        .collect()
}

/// Learns what repeats across a source's articles.
fn learn(reading: &Reading<'_>, id: &SourceId) -> Result<()> {
    let mut documents = Vec::new();
    for article in reading.library.articles_first_of(id)?.into_iter().take(LEARN_FROM) {
        reading.cancel.check()?;
        if let Some(article) = reading.library.article(&article)? {
            documents.push(html::document(&article.content, reading.clean));
        }
    }
    let repeated = html::learn_repeated(&documents, reading.clean);
    let json = serde_json::to_string(&repeated).map_err(|error| {
        Error::new(ErrorKind::Bug, "cannot write what repeats").caused_by(error)
    })?;
    reading.library.set_learned(id, &Learned { json, of: documents.len().to_string() })
}
