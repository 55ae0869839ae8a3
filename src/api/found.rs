//! Shapes for assistants that look for articles and then read them: what is found by article, and an
//! article as one text. Several clients ask for just these members and names.

use jiff::Timestamp;
use serde::Serialize;

use super::markdown::{ARTICLES, link};
use super::{HitShape, SearchShape};
use crate::base::{ArticleId, DocumentId, SourceId};
use crate::engine::ArticleText;
use crate::retrieve::Retrieved;

/// What a search found, by article; schema `schema/mcp/search.json`.
#[derive(Debug, Serialize)]
pub struct FoundShape<'a> {
    /// Articles, that with the best section first.
    pub results: Vec<FoundArticle<'a>>,
}

/// One article of [`FoundShape`].
#[derive(Debug, Serialize)]
pub struct FoundArticle<'a> {
    /// The article, to be fetched by.
    pub id: &'a ArticleId,
    /// Its title.
    pub title: &'a str,
    /// Its link, or its name; never empty.
    pub url: String,
    /// Its name among the resources.
    pub resource: String,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Names.
    pub authors: &'a [String],
    /// Tags.
    pub tags: &'a [String],
    /// The source.
    pub source: &'a str,
    /// The pieces of it that were found, best first.
    pub passages: Vec<FoundPassage<'a>>,
}

/// One piece of [`FoundArticle`].
#[derive(Debug, Serialize)]
pub struct FoundPassage<'a> {
    /// Its place among all hits, from 1.
    pub rank: usize,
    /// What ranked it; comparable within one search.
    pub score: f32,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// Its text.
    pub text: &'a str,
    /// The article's revision.
    pub revision: u32,
    /// The stored text that `range` points into.
    pub document: &'a DocumentId,
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
}

impl<'a> FoundShape<'a> {
    /// What a search found.
    pub fn new(query: &'a str, found: &'a Retrieved) -> FoundShape<'a> {
        let mut results: Vec<FoundArticle<'a>> = Vec::new();
        for hit in SearchShape::new(query, found).hits {
            let at = results.iter().position(|article| article.id == hit.article_id);
            let at = at.unwrap_or_else(|| {
                results.push(FoundArticle::new(&hit));
                results.len() - 1
            });
            if let Some(article) = results.get_mut(at) {
                article.passages.push(FoundPassage {
                    rank: hit.rank,
                    score: hit.score,
                    heading_path: hit.heading_path,
                    text: hit.text,
                    revision: hit.revision,
                    document: hit.document,
                    range: hit.range,
                });
            }
        }
        FoundShape { results }
    }
}

impl<'a> FoundArticle<'a> {
    fn new(hit: &HitShape<'a>) -> FoundArticle<'a> {
        FoundArticle {
            id: hit.article_id,
            title: hit.title,
            url: link(hit.url, hit.article_id),
            resource: format!("{ARTICLES}{}", hit.article_id),
            published: hit.published,
            authors: hit.authors,
            tags: hit.tags,
            source: hit.source,
            passages: Vec::new(),
        }
    }
}

/// An article as one text; schema `schema/mcp/fetch.json`.
#[derive(Debug, Serialize)]
pub struct FetchedShape<'a> {
    /// The article.
    pub id: &'a ArticleId,
    /// Its title.
    pub title: &'a str,
    /// Its text, each heading on a line of its own after as many `#` as its level.
    pub text: String,
    /// Its link, or its name; never empty.
    pub url: String,
    /// What else is known of it.
    pub metadata: FetchedMetadata<'a>,
}

/// What is known of [`FetchedShape`] besides its text.
#[derive(Debug, Serialize)]
pub struct FetchedMetadata<'a> {
    /// Its name among the resources.
    pub resource: String,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Names.
    pub authors: &'a [String],
    /// Tags.
    pub tags: &'a [String],
    /// The source that it was first read from.
    pub source: &'a SourceId,
    /// The revision that is shown.
    pub revision: Option<u32>,
    /// The stored text that ranges point into; it has no headings. Null if it is not kept.
    pub document: Option<&'a DocumentId>,
}

impl<'a> FetchedShape<'a> {
    /// An article's text.
    pub fn new(text: &'a ArticleText) -> FetchedShape<'a> {
        let meta = &text.article.meta;
        FetchedShape {
            id: &meta.id,
            title: &meta.title,
            text: with_headings(text),
            url: link(meta.url.as_deref(), &meta.id),
            metadata: FetchedMetadata {
                resource: format!("{ARTICLES}{}", meta.id),
                published: meta.published,
                authors: &meta.authors,
                tags: &meta.tags,
                source: &meta.source,
                revision: text.revision,
                document: text.id.as_ref(),
            },
        }
    }
}

/// A document's text with its headings.
fn with_headings(text: &ArticleText) -> String {
    let mut out = String::new();
    for section in &text.document.sections {
        let mut push = |piece: &str| {
            let piece = piece.trim();
            if !piece.is_empty() {
                if !out.is_empty() {
                    out.push_str("\n\n");
                }
                out.push_str(piece);
            }
        };
        if let Some(heading) = section.heading_path.last() {
            push(&format!("{} {heading}", "#".repeat(usize::from(section.level.max(1)))));
        }
        push(text.document.text.get(section.range.clone()).unwrap_or_default());
    }
    out
}
