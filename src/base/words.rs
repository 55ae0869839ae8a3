//! The words of the house as types: source, article, revision, section, chunk, passage, hit.
//!
//! Nothing here does I/O, reads a clock or knows a library that does.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where articles are read from: a feed, a file, a folder or a URL, under the name that the
/// user gave it (paths are absolute, URLs normalised).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub String);

impl std::fmt::Display for SourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An article's identity: 16 hexadecimal digits, from its GUID, else its canonical URL, else its
/// content. The same article has the same id on every machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArticleId(pub String);

impl ArticleId {
    /// The id that a text spells, in upper or lower case; `None` if it isn't one.
    pub fn read(text: &str) -> Option<ArticleId> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| ArticleId(text.to_ascii_lowercase()))
    }
}

impl std::fmt::Display for ArticleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cleaned document's identity: 32 hexadecimal digits of the SHA-256 of all that it holds, so that
/// two of one id are the same to the byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(pub String);

impl DocumentId {
    /// The id that a text spells, in upper or lower case; `None` if it isn't one.
    pub fn read(text: &str) -> Option<DocumentId> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| DocumentId(text.to_ascii_lowercase()))
    }
}

impl std::fmt::Display for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often what was looked for was in a cache, and how often it had to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// It was there.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
}

/// A chunk's identity: a version-5 UUID of article, heading path, place in it and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub uuid::Uuid);

impl std::fmt::Display for ChunkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The body of an article as its source gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", content = "body", rename_all = "lowercase")]
pub enum Content {
    /// An HTML fragment or page.
    Html(String),
    /// CommonMark, front matter removed.
    Markdown(String),
    /// Plain text; blank lines part paragraphs.
    Text(String),
}

impl Content {
    /// The raw body, in whatever format it is.
    pub fn raw(&self) -> &str {
        match self {
            Content::Html(body) | Content::Markdown(body) | Content::Text(body) => body,
        }
    }
}

/// How much of an article its body is; a greater one is never replaced by a smaller one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// The source carries only a summary.
    Summary,
    /// The main content of the page that a summary links to.
    LinkedPage,
    /// What the source carries is the article.
    #[default]
    Full,
}

impl Extent {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Extent::Summary => "summary",
            Extent::LinkedPage => "linked_page",
            Extent::Full => "full",
        }
    }
}

/// One article as a reader found it in a source, before it has an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedArticle {
    /// The source's own identifier (`guid`, `atom:id`), trimmed; `None` if absent or empty.
    pub guid: Option<String>,
    /// Absolute link to the article.
    pub url: Option<String>,
    /// Plain text, white space collapsed; may be empty.
    pub title: String,
    /// What the source gives of it beside the whole body, as one plain line; an excerpt is none.
    pub subtitle: Option<String>,
    /// Names, in the order given.
    pub authors: Vec<String>,
    /// First publication, in UTC.
    pub published: Option<Timestamp>,
    /// Last change, in UTC.
    pub updated: Option<Timestamp>,
    /// Categories and keywords, in the order given.
    pub tags: Vec<String>,
    /// The richest body that the source carries.
    pub content: Content,
    /// How much of the article that is.
    pub extent: Extent,
}

/// What a feed, file or page holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedSource {
    /// The feed's title, plain text.
    pub title: Option<String>,
    /// The site that the feed belongs to.
    pub url: Option<String>,
    /// Articles in the order of the source.
    pub articles: Vec<ParsedArticle>,
    /// What was mended or passed over, each counted and shown to the user.
    pub warnings: Vec<String>,
    /// The next older page of a paged feed (RFC 5005).
    pub next: Option<String>,
}

/// What is known of an article besides its text; travels with every chunk into the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArticleMeta {
    /// Identity.
    pub id: ArticleId,
    /// The source that it was first read from.
    pub source: SourceId,
    /// Other sources that carry it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_sources: Vec<SourceId>,
    /// Canonical link.
    pub url: Option<String>,
    /// Title, plain text.
    pub title: String,
    /// Subtitle, plain text. Only the library has it: of an article from an index it is `None`.
    pub subtitle: Option<String>,
    /// Names, in the order given.
    pub authors: Vec<String>,
    /// First publication, in UTC.
    pub published: Option<Timestamp>,
    /// Categories and keywords.
    pub tags: Vec<String>,
}

/// One article of the library at its newest revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// What is known of it besides its text.
    pub meta: ArticleMeta,
    /// Counts up from 1 with each change of title or content.
    pub revision: u32,
    /// The body as the source gave it.
    pub content: Content,
    /// How much of the article the body is.
    pub extent: Extent,
}

/// An article as wellread understands it: kept text, its sections and blocks, and what was removed.
///
/// `text` is the concatenation of the blocks, separated by blank lines. Headings are not part of
/// `text`: they stand in the sections' heading paths. Sections lie in order, do not overlap, and
/// together cover every block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Kept text; citations and chunks point into it by byte range.
    pub text: String,
    /// In order; the first may have an empty heading path (the text before the first heading).
    pub sections: Vec<Section>,
    /// In order.
    pub blocks: Vec<Block>,
    /// What was left out, and why; shown by `--explain`.
    pub removed: Vec<Removed>,
}

/// The text under one heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Outermost to innermost, the article's title not included; empty before the first heading.
    pub heading_path: Vec<String>,
    /// The level of the innermost heading as the article has it (1–6); 0 before the first heading.
    pub level: u8,
    /// Bytes of [`Document::text`].
    pub range: Range<usize>,
}

/// A piece of text that reads as one: a paragraph, a list item, a table row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Index into [`Document::sections`].
    pub section: usize,
    /// Bytes of [`Document::text`].
    pub range: Range<usize>,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Running text.
    Paragraph,
    /// An item of a list; `depth` counts from 0, `list` tells lists of one section apart.
    ListItem {
        /// Nesting, from 0.
        depth: usize,
        /// Which list of the document it belongs to.
        list: usize,
    },
    /// Preformatted text, one block for the whole listing.
    Code {
        /// The language, where it is marked.
        language: Option<String>,
    },
    /// A row of a table; `header` is the text of its header row.
    TableRow {
        /// Which table of the document it belongs to.
        table: usize,
        /// The header row's text, if this is not that row and there is one.
        header: Option<String>,
    },
    /// A paragraph of a quotation.
    Quote,
    /// A caption or an alternative text that says something.
    Caption,
}

/// Something left out of an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Why: `subscribe`, `share`, `hidden`, `script`, `image`, `repeated`, …
    pub reason: String,
    /// Its text, white space collapsed.
    pub text: String,
}

/// The unit that is embedded: a piece of one section, within the embedder's token limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// From content and position.
    pub id: ChunkId,
    /// The article it is of.
    pub article_id: ArticleId,
    /// Index into [`Document::sections`].
    pub section: usize,
    /// Place among the article's chunks, from 0.
    pub ordinal: usize,
    /// Outermost to innermost, the title not included.
    pub heading_path: Vec<String>,
    /// Bytes of [`Document::text`]; the ranges of an article's chunks cover its blocks exactly once.
    pub range: Range<usize>,
    /// What is shown: the text of `range`, a repeated table header before it where a table was split.
    pub text: String,
    /// What is embedded: title and heading path, then `text` (and overlap, if set).
    pub embedded_text: String,
    /// Tokens of `embedded_text` by the embedder's own count, its special tokens included.
    pub tokens: usize,
}

/// A sparse vector: indices ascending and unique, as many values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SparseVector {
    /// Term ids.
    pub indices: Vec<u32>,
    /// Weights.
    pub values: Vec<f32>,
}

/// A chunk with everything that the index keeps of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The chunk.
    pub chunk: Chunk,
    /// Its article.
    pub article: ArticleMeta,
    /// The article's revision that it was cut from.
    pub revision: u32,
    /// The document that it was cut from.
    pub document: DocumentId,
    /// Unit length, as many dimensions as the embedder has.
    pub dense: Vec<f32>,
    /// BM25 weights of the terms, without their inverse document frequencies.
    pub sparse: SparseVector,
    /// Terms of the text that was embedded, repeated ones counted again; stop words left out.
    pub length: usize,
}

/// Which chunks a search may return; the parts are joined by *and*, the values of one part by *or*.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Published at or after.
    pub since: Option<Timestamp>,
    /// Published before.
    pub until: Option<Timestamp>,
    /// Sources, exactly.
    pub sources: Vec<SourceId>,
    /// Authors, exactly.
    pub authors: Vec<String>,
    /// Tags, exactly.
    pub tags: Vec<String>,
    /// Words that the title must hold, in any case.
    pub title: Option<String>,
}

impl Filter {
    /// Whether every chunk passes.
    pub fn is_empty(&self) -> bool {
        self == &Filter::default()
    }

    /// Whether an article's chunks pass, by the rules of Qdrant's filters: times to the microsecond,
    /// names and tags exactly, all words of `title` among those of the article's title in any case.
    pub fn accepts(&self, article: &ArticleMeta) -> bool {
        let Filter { since, until, sources, authors, tags, title } = self;
        let micros = |at: &Timestamp| at.as_microsecond();
        let published = article.published.as_ref().map(micros);
        let mut all_sources = std::iter::once(&article.source).chain(&article.other_sources);
        since.as_ref().is_none_or(|since| published.is_some_and(|at| at >= micros(since)))
            && until.as_ref().is_none_or(|until| published.is_some_and(|at| at < micros(until)))
            && (sources.is_empty() || all_sources.any(|source| sources.contains(source)))
            && (authors.is_empty() || article.authors.iter().any(|one| authors.contains(one)))
            && (tags.is_empty() || article.tags.iter().any(|one| tags.contains(one)))
            && title.as_ref().is_none_or(|title| {
                let wanted = title_words(title);
                let has = title_words(&article.title);
                !wanted.is_empty() && wanted.is_subset(&has)
            })
    }
}

/// The words of a title as Qdrant's word tokenizer reads them.
fn title_words(text: &str) -> std::collections::BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// A chunk that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Which chunk.
    pub chunk_id: ChunkId,
    /// Its article.
    pub article: ArticleMeta,
    /// The article's revision that it was cut from.
    pub revision: u32,
    /// The document that it was cut from, which `section` and `range` point into.
    pub document: DocumentId,
    /// Index into [`Document::sections`].
    pub section: usize,
    /// Place among the article's chunks.
    pub ordinal: usize,
    /// Outermost to innermost, the title not included.
    pub heading_path: Vec<String>,
    /// Bytes of [`Document::text`].
    pub range: Range<usize>,
    /// The chunk's text.
    pub text: String,
    /// The score that ranked it: a store's own (cosine or BM25), or the fused one.
    pub score: f32,
    /// The single scores behind a fused one.
    pub scores: Scores,
}

/// The single scores behind a fused one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine similarity to the question, −1 to 1; `None` if the dense search did not return it.
    pub dense: Option<f32>,
    /// BM25 with IDF, 0 and up; `None` if the sparse search did not return it.
    pub sparse: Option<f32>,
    /// How well its tokens and sentences match the question's, about 0 to 1.5; `None` if it was not
    /// among the first that are looked at so.
    #[serde(default)]
    pub late: Option<f32>,
}

/// What made a vector or a generation. Two that differ are never mixed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(pub BTreeMap<String, String>);

impl Fingerprint {
    /// A name of 16 hexadecimal digits.
    pub fn short(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for (key, value) in &self.0 {
            hasher.update(key.as_bytes());
            hasher.update([0]);
            hasher.update(value.as_bytes());
            hasher.update([0]);
        }
        hex(&hasher.finalize()[..8])
    }

    /// The parts in which two fingerprints differ, as `part: theirs → ours`.
    pub fn differences(&self, wanted: &Fingerprint) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(wanted.0.keys()).collect();
        keys.into_iter()
            .filter(|key| self.0.get(*key) != wanted.0.get(*key))
            .map(|key| {
                let show =
                    |value: Option<&String>| value.map_or("(none)", |v| v.as_str()).to_owned();
                format!("{key}: {} → {}", show(self.0.get(key)), show(wanted.0.get(key)))
            })
            .collect()
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
