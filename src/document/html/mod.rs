//! An article's body → its text, sections and blocks, and what was left out. Pure.
//!
//! Every format becomes HTML first, so that one reader decides what a heading, a list or a table
//! is. The tree is walked without recursion: depth costs no stack.

mod build;
mod element;
mod notes;
mod remove;
mod repeated;

use scraper::Html;
use serde::{Deserialize, Serialize};

use crate::base::text::collapse;
use crate::base::{Content, Document};

pub use repeated::{Repeated, block_keys, learn_repeated, remove_repeated};

/// What cleaning does besides its settings; part of an index's fingerprint.
pub const VERSION: &str = "5";

/// What is kept of an article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanOptions {
    /// Remove subscribe boxes, share buttons and the like by their structure.
    pub boilerplate: bool,
    /// Remove blocks that repeat across a source's articles.
    pub repeated: bool,
    /// The share of a source's articles from which a block counts as repeated, 0 to 1.
    pub repeated_share: f64,
    /// Take a short paragraph that is all bold for a heading.
    pub bold_headings: bool,
    /// Sources that are kept as they are, but for hidden text and scripts.
    pub keep_sources: Vec<String>,
}

impl Default for CleanOptions {
    fn default() -> Self {
        CleanOptions {
            boilerplate: true,
            repeated: true,
            repeated_share: 0.4,
            bold_headings: true,
            keep_sources: Vec::new(),
        }
    }
}

/// An article's body as wellread understands it. Hidden text and scripts are always removed.
pub fn document(content: &Content, options: &CleanOptions) -> Document {
    match content {
        Content::Html(html) => build::build(&Html::parse_document(html), options),
        Content::Markdown(text) => {
            use pulldown_cmark::{Options, Parser};
            let extensions = Options::ENABLE_TABLES
                | Options::ENABLE_STRIKETHROUGH
                | Options::ENABLE_FOOTNOTES
                | Options::ENABLE_TASKLISTS;
            let mut html = String::with_capacity(text.len() * 5 / 4);
            pulldown_cmark::html::push_html(&mut html, Parser::new_ext(text, extensions));
            build::build(&Html::parse_document(&html), options)
        }
        Content::Text(text) => build::plain(text),
    }
}

/// The text of a heading, title or other short HTML, white space collapsed.
pub fn text_of(html: &str) -> String {
    let fragment = Html::parse_fragment(html);
    let text: String = fragment.root_element().text().collect::<Vec<_>>().join("");
    collapse(&text)
}

#[cfg(test)]
mod tests;
