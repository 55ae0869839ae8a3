//! One source, read to its end.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use url::Url;

use super::Part;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Content, Event, Extent, ParsedSource};
use crate::source::fetch::{Body, Cursor, Fetched, Fetcher, Source};
use crate::source::read::{self, Hint, Parsed};

/// Bytes of articles that are handed over at a time; a single file may have more.
const PART_BYTES: usize = 64 << 20;

/// One source that is being read.
pub(super) struct Read<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) source: &'a Source,
    pub(super) is_known: &'a (dyn Fn(&str) -> Result<bool> + Sync),
    /// Waits until the calling thread takes it; an error if it has gone.
    pub(super) hand: &'a dyn Fn(Result<Part>) -> Result<()>,
}

impl Read<'_> {
    pub(super) fn run(&self, cursor: &Cursor) -> Result<()> {
        let id = self.source.id();
        (self.fetcher.events)(Event::Status(format!("Reading {id}")));
        let (fetched, cursor) = self.fetcher.fetch(self.source, cursor)?;
        let part = match fetched {
            Fetched::Unchanged => {
                Part { is_unchanged: true, cursor: Some(cursor), ..Part::default() }
            }
            Fetched::Body(body) => {
                let mut part = self.one(body, &id.0)?;
                // What was left out is looked for again next time: the cursor does not cover it.
                // Nor does that of a page say anything of the feed that it names.
                let is_covered = part.left_out.is_empty() && part.feed.is_none();
                part.cursor = Some(if is_covered { cursor } else { Cursor::default() });
                part
            }
            Fetched::Files(files) => {
                let folder = match self.source {
                    Source::Path(path) => path.as_path(),
                    Source::Url(_) | Source::Stdin | Source::Import(_) => Path::new(""),
                };
                let (mut part, is_any_left_out) = self.many(folder, &files)?;
                part.cursor = Some(if is_any_left_out { Cursor::default() } else { cursor });
                part
            }
        };
        (self.hand)(Ok(part))
    }

    fn is_web(&self) -> bool {
        matches!(self.source, Source::Url(_))
    }

    /// The articles of one body.
    fn one(&self, body: Body, name: &str) -> Result<Part> {
        let mut part = Part::default();
        let parsed = parse(&body, name)?;
        drop(body);
        let mut feed = match parsed {
            Parsed::Source(feed) => feed,
            Parsed::Outlines(outlines) => {
                part.list(outlines);
                return Ok(part);
            }
            Parsed::Page { article, feeds } => match self.named(feeds, &mut part.warnings) {
                Some(feed) => {
                    let read = self.named_feed(&feed, name)?;
                    part.feed = Some(feed.id().0);
                    read
                }
                None => ParsedSource { articles: vec![*article], ..ParsedSource::default() },
            },
        };
        if self.is_web() && !self.fetcher.offline {
            let first = part.feed.clone().unwrap_or_else(|| name.to_owned());
            self.follow(&mut feed, first)?;
            self.complete(&mut feed)?;
        }
        part.title = feed.title;
        part.site = feed.url;
        part.warnings.extend(feed.warnings);
        let max_bytes = self.fetcher.options.max_article_bytes;
        for article in feed.articles {
            part.push(article, None, max_bytes);
        }
        Ok(part)
    }

    /// The feed that a page on the network is read by: the first of those that it names which is
    /// on the network, too.
    fn named(&self, feeds: Vec<String>, warnings: &mut Vec<String>) -> Option<Source> {
        if !self.is_web() {
            return None;
        }
        let mut refused = None;
        for feed in feeds {
            match Source::web(&feed) {
                Ok(source) => return Some(source),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        warnings
            .extend(refused.map(|error| format!("the feed that it names is not read: {error}")));
        None
    }

    fn named_feed(&self, feed: &Source, page: &str) -> Result<ParsedSource> {
        let name = feed.id().0;
        let Fetched::Body(body) = self.fetcher.fetch(feed, &Cursor::default())?.0 else {
            return Ok(ParsedSource::default());
        };
        match parse(&body, &name)? {
            Parsed::Source(feed) => Ok(feed),
            Parsed::Outlines(_) | Parsed::Page { .. } => Err(Error::new(
                ErrorKind::Parse,
                format!("{page} names {name} as its feed, and that is not one"),
            )
            .hint("give the feed's own address")),
        }
    }

    /// Follows a paged feed's links to older pages (RFC 5005), to a limit.
    fn follow(&self, feed: &mut ParsedSource, first: String) -> Result<()> {
        let max_pages = self.fetcher.options.max_pages;
        let mut seen = HashSet::from([first]);
        let mut next = feed.next.take();
        while let Some(link) = next.take() {
            let page = Source::web(&link).and_then(|source| {
                let name = source.id().0;
                if !seen.insert(name.clone()) {
                    return Ok(None);
                }
                if seen.len() > max_pages {
                    feed.warnings.push(format!(
                        "older pages were left out after {max_pages} (fetch.max_pages)"
                    ));
                    return Ok(None);
                }
                match self.fetcher.fetch(&source, &Cursor::default())?.0 {
                    Fetched::Body(body) => parse(&body, &name).map(Some),
                    Fetched::Unchanged | Fetched::Files(_) => Ok(None),
                }
            });
            match page {
                Ok(Some(Parsed::Source(page))) => {
                    feed.articles.extend(page.articles);
                    feed.warnings.extend(page.warnings);
                    next = page.next;
                }
                Ok(Some(Parsed::Outlines(_) | Parsed::Page { .. }) | None) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    feed.warnings
                        .push(format!("an older page could not be read: {}", error.chain()));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes the linked page's main content for articles of which a feed on the network has only a
    /// summary, unless there is more of them already.
    fn complete(&self, feed: &mut ParsedSource) -> Result<()> {
        let limit = self.fetcher.options.max_linked_pages;
        if limit == 0 {
            return Ok(());
        }
        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (at, article) in feed.articles.iter().enumerate() {
            if article.extent == Extent::Summary
                && let Some(url) = &article.url
                && !(self.is_known)(url)?
            {
                wanted.push((at, url.clone()));
            }
        }
        let left = wanted.len().saturating_sub(limit);
        wanted.truncate(limit);
        let mut failed = Failures::default();
        let mut pages: Vec<(usize, Url)> = Vec::new();
        for (at, url) in wanted {
            match Source::web(&url) {
                Ok(Source::Url(url)) => pages.push((at, url)),
                Ok(Source::Path(_) | Source::Stdin | Source::Import(_)) => {}
                Err(error) => failed.add(&error),
            }
        }
        let urls: Vec<Url> = pages.iter().map(|(_, url)| url.clone()).collect();
        self.fetcher.pages(&urls, &mut |n, fetched| {
            let (at, url) = &pages[n];
            match fetched.and_then(|fetched| main_content(fetched, url.as_str())) {
                Ok(Some(content)) => {
                    let article = &mut feed.articles[*at];
                    if content.raw().len() > article.content.raw().len() {
                        article.content = content;
                        article.extent = Extent::LinkedPage;
                    }
                }
                Ok(None) => {}
                Err(error) => failed.add(&error),
            }
        })?;
        if left > 0 {
            feed.warnings.push(format!(
                "{left} articles stay summaries: at most {limit} linked pages are fetched per reading \
                 (fetch.max_linked_pages)"
            ));
        }
        if let Some(first) = failed.first {
            feed.warnings.push(format!("{} linked pages can't be read, as: {first}", failed.count));
        }
        Ok(())
    }

    /// The last part of a folder's articles, the others handed over, and whether anything of the
    /// folder was left out; a file that can't be read is, and said to be.
    fn many(&self, folder: &Path, files: &[PathBuf]) -> Result<(Part, bool)> {
        let mut part = Part::default();
        let (mut bytes, mut is_any_read, mut is_any_left_out) = (0, false, false);
        let mut failure = None;
        for path in files {
            self.fetcher.check()?;
            let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
            let read = self.file(path, &name).unwrap_or_else(|error| {
                let left_out = vec![format!("{name}: {}", error.chain())];
                failure = Some(error);
                Part { left_out, ..Part::default() }
            });
            is_any_read |= !read.items.is_empty();
            is_any_left_out |= !read.left_out.is_empty();
            let more =
                read.items.iter().map(|item| item.article.content.raw().len()).sum::<usize>();
            if bytes + more > PART_BYTES && !part.items.is_empty() {
                (self.hand)(Ok(std::mem::take(&mut part)))?;
                bytes = 0;
            }
            bytes += more;
            part.add(read);
        }
        match failure {
            // Nothing could be read: that is a failure of the source.
            Some(error) if !is_any_read => Err(error),
            _ => Ok((part, is_any_left_out)),
        }
    }

    /// One file of a folder.
    fn file(&self, path: &Path, name: &str) -> Result<Part> {
        let max_bytes = self.fetcher.options.max_article_bytes;
        let body = self.fetcher.file(path)?;
        let parsed = parse(&body, &path.to_string_lossy())?;
        drop(body);
        let mut part = Part::default();
        match parsed {
            Parsed::Source(feed) => {
                for article in feed.articles {
                    part.push(article, None, max_bytes);
                }
                let named = feed.warnings.iter().map(|warning| format!("{name}: {warning}"));
                part.warnings.extend(named);
            }
            Parsed::Page { article, .. } => part.push(*article, Some(name.to_owned()), max_bytes),
            Parsed::Outlines(outlines) => part.list(outlines),
        }
        Ok(part)
    }
}

/// What failed of many, by its number and the first of it.
#[derive(Default)]
struct Failures {
    count: usize,
    first: Option<String>,
}

impl Failures {
    fn add(&mut self, error: &Error) {
        self.count += 1;
        self.first.get_or_insert_with(|| error.chain());
    }
}

fn main_content(fetched: Fetched, url: &str) -> Result<Option<Content>> {
    let Fetched::Body(body) = fetched else { return Ok(None) };
    Ok(match parse(&body, url)? {
        Parsed::Page { article, .. } => Some(article.content),
        Parsed::Source(_) | Parsed::Outlines(_) => None,
    })
}

fn parse(body: &Body, name: &str) -> Result<Parsed> {
    let hint = Hint {
        url: body.url.as_deref(),
        content_type: body.content_type.as_deref(),
        file_name: body.file_name.as_deref(),
    };
    read::parse(&body.bytes, &hint).map_err(|error| {
        let named = Error::new(error.kind(), format!("{name} can't be read: {error}"));
        match error.steps() {
            [] => named.hint("give a feed (RSS, Atom, JSON Feed), a web page, Markdown or text"),
            steps => steps.iter().cloned().fold(named, Error::step),
        }
    })
}
