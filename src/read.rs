//! Bytes → articles: feeds, pages, Markdown and text. Pure.

mod date;
mod feed;

use crate::domain::{Content, ParsedArticle, ParsedSource};
use crate::error::{Error, ErrorKind, Result};

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

/// What bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A feed or archive.
    Source(ParsedSource),
    /// A list of feeds (OPML).
    Outlines(Vec<Outline>),
    /// A page, and the feeds that it names.
    Page {
        /// The page as an article.
        article: Box<ParsedArticle>,
        /// Addresses of its feeds.
        feeds: Vec<String>,
    },
}

/// Reads bytes as what they are.
///
/// # Errors
/// [`ErrorKind::Parse`] if they are nothing that wellread reads, with what they are instead.
pub fn parse(bytes: &[u8], hint: &Hint<'_>) -> Result<Parsed> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(ErrorKind::Parse, "it is empty"));
    }
    if bytes.iter().take(4096).any(|byte| *byte == 0)
        && !bytes.starts_with(&[0xff, 0xfe])
        && !bytes.starts_with(&[0xfe, 0xff])
    {
        return Err(Error::new(ErrorKind::Parse, "it is a binary file"));
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start().starts_with("<?xml") || text.contains("<rss") || text.contains("<feed") {
        return feed::parse(&text, hint).map(Parsed::Source);
    }
    let name = hint.file_name.unwrap_or("text");
    let article = ParsedArticle {
        guid: None,
        url: None,
        title: name.to_owned(),
        authors: vec![],
        published: None,
        updated: None,
        tags: vec![],
        content: Content::Text(text.into_owned()),
        summary_only: false,
    };
    Ok(Parsed::Page { article: Box::new(article), feeds: vec![] })
}
