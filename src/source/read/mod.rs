//! Bytes → articles: feeds, lists of feeds, pages, Markdown and text. Pure.
//!
//! Reading is lenient: what is broken is mended where that is plain, and counted. Entities of a
//! document's own are never expanded, nothing recurses, and every size has a limit.

mod date;
mod encoding;
mod export;
mod feed;
mod json;
mod page;
mod subtitle;
mod wrapped;
mod xml;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::base::{Content, Extent, ParsedArticle, ParsedSource};

/// Articles of one source at the most; more are counted and left out.
const MAX_ARTICLES: usize = 100_000;

/// What is known of bytes besides themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint<'a> {
    /// Where they came from; relative links are resolved against it.
    pub url: Option<&'a str>,
    /// The server's `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The file's name.
    pub file_name: Option<&'a str>,
}

/// A feed that is listed by another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its title.
    pub title: Option<String>,
    /// Its address.
    pub url: String,
}

/// What a list of feeds (OPML) holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlines {
    /// Feeds on the network, in the order of the list.
    pub feeds: Vec<Outline>,
    /// What was left out.
    pub warnings: Vec<String>,
}

/// What bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A feed or archive.
    Source(ParsedSource),
    /// A list of feeds (OPML).
    Outlines(Outlines),
    /// A page, and the feeds that it names.
    Page {
        /// The page as an article.
        article: Box<ParsedArticle>,
        /// Addresses of its feeds, absolute, of whatever scheme.
        feeds: Vec<String>,
    },
}

/// Reads bytes as what they are.
///
/// # Errors
/// [`ErrorKind::Parse`] if they are nothing that wellread reads, with what they are instead.
pub fn parse(bytes: &[u8], hint: &Hint<'_>) -> Result<Parsed> {
    let no = |what: &str| Err(Error::new(ErrorKind::Parse, what.to_owned()));
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return no("it is empty");
    }
    if export::is_zip(bytes) {
        return export::parse(bytes, hint);
    }
    if let Some(what) = encoding::binary(bytes) {
        return no(what);
    }
    let decoded = encoding::decode(bytes, hint.content_type);
    let text = decoded.text.trim_start_matches('\u{feff}').trim_start();
    let extension = hint
        .file_name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default();
    let is_type = |name: &str| hint.content_type.is_some_and(|kind| kind.contains(name));
    let mut parsed = match extension.as_str() {
        "md" | "markdown" => page::markdown(text, hint),
        "txt" => page::text(text, hint),
        _ if is_type("markdown") => page::markdown(text, hint),
        _ if text.starts_with(['{', '[']) => json::parse(text, hint)?,
        _ if text.starts_with('<') || is_type("html") || is_type("xml") => markup(text, hint)?,
        // A little of something else may stand before a feed; a page need not begin with a tag.
        _ => match feed_start(text) {
            Some(at) => markup(&text[at..], hint)?,
            None if matches!(extension.as_str(), "html" | "htm") => page::html(text, hint),
            None if matches!(extension.as_str(), "xml" | "rss" | "atom" | "rdf" | "opml") => {
                return no("it is not XML");
            }
            None => page::text(text, hint),
        },
    };
    if let Parsed::Source(source) = &mut parsed {
        source.warnings.extend(decoded.warning);
        let count = source.articles.len();
        if count > MAX_ARTICLES {
            source.articles.truncate(MAX_ARTICLES);
            source
                .warnings
                .push(format!("it has {count} articles; the first {MAX_ARTICLES} are read"));
        }
        for article in &mut source.articles {
            article.published = article.published.or(article.updated);
        }
    }
    Ok(parsed)
}

/// Where a feed begins that has something before it.
fn feed_start(text: &str) -> Option<usize> {
    let head = &text[..text.floor_char_boundary(text.len().min(4096))];
    ["<?xml", "<rss", "<feed", "<rdf:RDF"].iter().filter_map(|mark| head.find(mark)).min()
}

fn markup(text: &str, hint: &Hint<'_>) -> Result<Parsed> {
    let root = xml::root(text).unwrap_or_default();
    let local = root.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    match local.as_str() {
        "rss" | "rdf" | "feed" | "channel" | "item" | "entry" => feed::parse(text, hint),
        "opml" | "outlinedocument" => Ok(feed::outlines(text, hint)),
        "html" | "body" | "head" | "article" | "main" | "div" | "p" | "h1" | "h2" | "section"
        | "span" | "title" | "ul" | "table" | "a" | "meta" => Ok(page(text, hint)),
        _ => {
            let is_page = hint.content_type.is_some_and(|kind| kind.contains("html"))
                || hint.file_name.is_some_and(|name| {
                    let name = name.to_ascii_lowercase();
                    name.ends_with(".html") || name.ends_with(".htm")
                });
            if is_page {
                return Ok(page(text, hint));
            }
            // A feed may lie deeper, in a document that wraps it.
            if let Some(at) = feed_start(text).filter(|at| *at > 0)
                && let Ok(parsed) = feed::parse(&text[at..], hint)
            {
                return Ok(parsed);
            }
            let what = match root {
                "" => "it is not XML".to_owned(),
                root => format!(
                    "it is XML, but not a feed: its outermost element is <{}>",
                    root.chars().take(60).collect::<String>()
                ),
            };
            Err(Error::new(ErrorKind::Parse, what))
        }
    }
}

fn page(text: &str, hint: &Hint<'_>) -> Parsed {
    wrapped::parse(text, hint).unwrap_or_else(|| page::html(text, hint))
}

/// An article with nothing in it.
fn blank() -> ParsedArticle {
    ParsedArticle {
        guid: None,
        url: None,
        title: String::new(),
        subtitle: None,
        authors: Vec::new(),
        published: None,
        updated: None,
        tags: Vec::new(),
        content: Content::Html(String::new()),
        extent: Extent::Full,
    }
}

/// `text` without tags if there are any, its entities resolved, white space collapsed.
fn plain(text: &str) -> String {
    if text.contains(['<', '&']) { crate::document::html::text_of(text) } else { collapse(text) }
}

/// A link made absolute; `None` for what leads nowhere. It may be of any scheme: what is fetched
/// by it is checked by [`crate::source::fetch::Source::web`].
fn absolute(link: &str, base: Option<&str>) -> Option<String> {
    let link = link.trim();
    if link.is_empty() {
        return None;
    }
    let (url, is_absolute) = match url::Url::parse(link) {
        Ok(url) => (url, true),
        Err(_) => (url::Url::parse(base?).ok()?.join(link).ok()?, false),
    };
    (!matches!(url.scheme(), "javascript" | "data")).then(|| {
        // What was absolute is kept as it was written.
        if is_absolute && link.contains("://") { link.to_owned() } else { url.to_string() }
    })
}
