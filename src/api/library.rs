//! Shapes of sources and articles.

use serde::Serialize;

use crate::base::{ArticleId, ArticleMeta, Chunk, Document, Extent, Removed, SourceId};
use crate::engine::ReadReport;
use crate::engine::sync::Synced;
use crate::library::{RemovedSource, RevisionInfo};
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
