//! Shapes of sources and articles.

use serde::Serialize;

use crate::base::{
    Article, ArticleId, ArticleMeta, BlockKind, Chunk, Document, DocumentId, Extent, Removed,
    SourceId,
};
use crate::engine::ReadReport;
use crate::engine::sync::Synced;
use crate::library::{RemovedSource, RevisionInfo, SourceInfo};
use crate::source::fetch::Source;

/// What became of several sources.
#[derive(Debug, Serialize)]
pub struct ReadShape<'a> {
    /// Those that were read.
    pub sources: &'a [Synced],
    /// Those that failed.
    pub failed: Vec<FailedShape<'a>>,
}

/// One failed source of [`ReadShape`].
#[derive(Debug, Serialize)]
pub struct FailedShape<'a> {
    /// Its name.
    pub source: &'a str,
    /// What failed, with its causes.
    pub error: String,
}

impl<'a> ReadShape<'a> {
    /// The JSON shape of a report.
    pub fn new(report: &'a ReadReport) -> ReadShape<'a> {
        let failed = report.failed.iter();
        let failed =
            failed.map(|(source, error)| FailedShape { source, error: error.chain() }).collect();
        ReadShape { sources: &report.done, failed }
    }
}

/// A source that was removed.
#[derive(Debug, Serialize)]
pub struct RemovedShape<'a> {
    /// Its name.
    pub source: SourceId,
    /// Articles that are gone.
    pub removed: &'a [ArticleId],
    /// Articles that stay, because other sources have them.
    pub kept: usize,
}

impl<'a> RemovedShape<'a> {
    /// The JSON shape of a removal.
    pub fn new(source: &Source, gone: &'a RemovedSource) -> RemovedShape<'a> {
        RemovedShape { source: source.id(), removed: &gone.removed, kept: gone.kept }
    }
}

/// An article as wellread understands it.
#[derive(Debug, Serialize)]
pub struct ArticleShape<'a> {
    /// What is known of it besides its text.
    pub article: &'a ArticleMeta,
    /// The revision that is shown.
    pub revision: u32,
    /// All revisions, oldest first.
    pub revisions: &'a [RevisionInfo],
    /// How much of the article its body is.
    pub extent: Extent,
    /// Those that were asked for.
    pub sections: Vec<SectionShape<'a>>,
    /// Its chunks, if they were asked for.
    pub chunks: Option<Vec<&'a Chunk>>,
    /// What was left out and why, if it was asked for.
    pub removed: Option<&'a [Removed]>,
}

/// One section of [`ArticleShape`].
#[derive(Debug, Serialize)]
pub struct SectionShape<'a> {
    /// Outermost to innermost.
    pub heading_path: &'a [String],
    /// The level of the innermost heading; 0 before the first.
    pub level: u8,
    /// First byte and byte after the last, in the document's text.
    pub range: [usize; 2],
    /// Its text.
    pub text: &'a str,
}

impl<'a> SectionShape<'a> {
    /// The JSON shape of a document's section.
    pub fn new(document: &'a Document, section: usize) -> SectionShape<'a> {
        let section = &document.sections[section];
        SectionShape {
            heading_path: &section.heading_path,
            level: section.level,
            range: [section.range.start, section.range.end],
            text: &document.text[section.range.clone()],
        }
    }
}

/// Sources.
#[derive(Debug, Serialize)]
pub struct SourcesShape<'a> {
    /// In the order in which they were added.
    pub sources: &'a [SourceInfo],
}

/// The text of an article's revision as wellread keeps it, which byte ranges point into.
#[derive(Debug, Serialize)]
pub struct TextShape<'a> {
    /// What is known of the article; its title as it was then.
    pub article: &'a ArticleMeta,
    /// The revision that is shown; null if only the document was named.
    pub revision: Option<u32>,
    /// The newest revision.
    pub newest: u32,
    /// The document's name; null if it was made for this look alone.
    pub document: Option<&'a DocumentId>,
    /// Bytes of `text`.
    pub bytes: usize,
    /// The text; headings are no part of it.
    pub text: &'a str,
    /// In order; together they cover every block.
    pub sections: Vec<SectionPlace<'a>>,
    /// In order: paragraphs, items, listings, rows.
    pub blocks: Vec<BlockShape<'a>>,
}

/// Where a section stands; one of [`TextShape`].
#[derive(Debug, Serialize)]
pub struct SectionPlace<'a> {
    /// Outermost to innermost; empty before the first heading.
    pub heading_path: &'a [String],
    /// The level of the innermost heading; 0 before the first.
    pub level: u8,
    /// First byte and byte after the last.
    pub range: [usize; 2],
}

/// One block of [`TextShape`].
#[derive(Debug, Serialize)]
pub struct BlockShape<'a> {
    /// What it is.
    pub kind: &'a BlockKind,
    /// Index into the sections.
    pub section: usize,
    /// First byte and byte after the last.
    pub range: [usize; 2],
}

impl<'a> TextShape<'a> {
    /// The JSON shape of a document of an article.
    pub fn new(
        article: &'a Article,
        newest: u32,
        id: Option<&'a DocumentId>,
        revision: Option<u32>,
        document: &'a Document,
    ) -> TextShape<'a> {
        let sections = document.sections.iter().map(|section| SectionPlace {
            heading_path: &section.heading_path,
            level: section.level,
            range: [section.range.start, section.range.end],
        });
        let blocks = document.blocks.iter().map(|block| BlockShape {
            kind: &block.kind,
            section: block.section,
            range: [block.range.start, block.range.end],
        });
        TextShape {
            article: &article.meta,
            revision,
            newest,
            document: id,
            bytes: document.text.len(),
            text: &document.text,
            sections: sections.collect(),
            blocks: blocks.collect(),
        }
    }
}
