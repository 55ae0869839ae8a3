//! JSON shapes, once, for `--json` and all later doors.

mod claims;
mod error;
pub mod filter;
mod found;
mod index;
pub mod json;
mod kept;
mod library;
pub mod markdown;
pub mod schemas;
mod status;
mod told;
mod turn;

use jiff::Timestamp;
use serde::Serialize;

use crate::answer::{
    AbstainReason, Answer, AnswerSentence, AnswerStatus, Data, DroppedSentence, Quote, Signals,
    Timings, Usage,
};
use crate::base::{ArticleId, ChunkId, DocumentId, Scores};
use crate::infer::Finish;
use crate::retrieve::{Passage, Retrieved, matching};

pub use claims::{ClaimShape, ClaimsShape, PlaceShape};
pub use error::{ErrorDetail, ErrorShape, error_in_words};
pub use filter::FilterWords;
pub use found::{FetchedShape, FoundShape};
pub use index::{IndexShape, VerifiedShape};
pub use kept::{ConversationShape, FailedShape as FailedQuestion, again, keep};
pub use library::{
    ArticleShape, BlockShape, ReadShape, RemovedShape, SectionShape, SourcesShape, TextShape,
};
pub use status::{StatusShape, SyncShape};
pub use told::{AbstainedShape, PassagesShape, QuotesShape, StandaloneShape};
pub use turn::TurnWords;

/// What a search found; schema `schema/search.json`.
#[derive(Debug, Serialize)]
pub struct SearchShape<'a> {
    /// What was looked for.
    pub query: &'a str,
    /// Words of it that no article has, with those that were searched for in their place.
    pub mended: Vec<MendedShape<'a>>,
    /// Best first.
    pub hits: Vec<HitShape<'a>>,
}

/// A word that was taken for a typing error.
#[derive(Debug, Serialize)]
pub struct MendedShape<'a> {
    /// As it was typed.
    pub typed: &'a str,
    /// As it was searched for.
    pub meant: &'a str,
}

/// One hit of [`SearchShape`].
#[derive(Debug, Serialize)]
pub struct HitShape<'a> {
    /// From 1.
    pub rank: usize,
    /// The fused score.
    pub score: f32,
    /// The single scores.
    pub scores: Scores,
    /// The article.
    pub article_id: &'a ArticleId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// The article's link.
    pub url: Option<&'a str>,
    /// The article's title.
    pub title: &'a str,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// The chunk's text.
    pub text: &'a str,
    /// Its sentence with most of the question's words, as bytes of `text`; null if none has any.
    pub matching: Option<[usize; 2]>,
    /// The source.
    pub source: &'a str,
    /// Names.
    pub authors: &'a [String],
    /// Tags.
    pub tags: &'a [String],
    /// The article's revision.
    pub revision: u32,
    /// The stored text that `range` points into.
    pub document: &'a DocumentId,
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
}

impl<'a> SearchShape<'a> {
    /// The JSON shape of a search.
    pub fn new(query: &'a str, found: &'a Retrieved) -> SearchShape<'a> {
        let hits = found.hits.iter().enumerate().map(|(at, hit)| HitShape {
            rank: at + 1,
            score: hit.score,
            scores: hit.scores,
            article_id: &hit.article.id,
            chunk_id: hit.chunk_id,
            url: hit.article.url.as_deref(),
            title: &hit.article.title,
            published: hit.article.published,
            heading_path: &hit.heading_path,
            text: &hit.text,
            matching: matching(&hit.text, found).map(|range| [range.start, range.end]),
            source: &hit.article.source.0,
            authors: &hit.article.authors,
            tags: &hit.article.tags,
            revision: hit.revision,
            document: &hit.document,
            range: [hit.range.start, hit.range.end],
        });
        let mended = found.mended.iter();
        let mended = mended.map(|one| MendedShape { typed: &one.typed, meant: &one.meant });
        SearchShape { query, mended: mended.collect(), hits: hits.collect() }
    }
}

/// An answer; schema `schema/ask.json`.
#[derive(Debug, Serialize)]
pub struct AnswerShape<'a> {
    /// `answered` or `abstained`.
    pub status: AnswerStatus,
    /// Why there is no answer.
    pub abstain_reason: Option<AbstainReason>,
    /// Its number among the kept answers; null if it was not kept.
    pub id: Option<i64>,
    /// The question.
    pub question: &'a str,
    /// The question as it was searched for, where it followed up on an earlier one.
    pub standalone: Option<&'a str>,
    /// The sentences with their marks; empty if abstained.
    pub answer: &'a str,
    /// The supported sentences.
    pub sentences: &'a [AnswerSentence],
    /// What the check took out.
    pub dropped: &'a [DroppedSentence],
    /// What the LLM read of; if abstained, the nearest sections.
    pub passages: Vec<PassageShape<'a>>,
    /// The sentences of the passages that answer best.
    pub quotes: &'a [Quote],
    /// Whether those are the answer, word for word.
    pub quoted: bool,
    /// Of a question about the articles themselves, which were looked at.
    pub filters: &'a str,
    /// The answer as JSON; null if no schema was given.
    pub data: Option<&'a Data>,
    /// How likely it is that the articles answer, 0 to 1.
    pub confidence: f32,
    /// What that rests on.
    pub signals: Signals,
    /// Tokens.
    pub usage: Usage,
    /// Milliseconds.
    pub timings: Timings,
    /// Whether the larger LLM was asked, too; null if there is none, or no LLM was asked.
    pub escalated: Option<bool>,
    /// Why the LLM stopped.
    pub finish: Option<Finish>,
    /// What answered.
    pub model: &'a str,
    /// Hash of the prompt template.
    pub prompt_hash: &'a str,
}

/// One passage of [`AnswerShape`].
#[derive(Debug, Serialize)]
pub struct PassageShape<'a> {
    /// Its number in the answer's marks.
    pub n: usize,
    /// The article's link.
    pub url: Option<&'a str>,
    /// The article's title.
    pub title: &'a str,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// Its text.
    pub text: &'a str,
    /// The article.
    pub article_id: &'a ArticleId,
    /// The article's revision.
    pub revision: u32,
    /// The stored text that ranges point into.
    pub document: &'a DocumentId,
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
    /// The best hit's fused score.
    pub score: f32,
}

impl<'a> PassageShape<'a> {
    /// The JSON shape of a passage.
    pub fn new(passage: &'a Passage) -> PassageShape<'a> {
        PassageShape {
            n: passage.n,
            url: passage.article.url.as_deref(),
            title: &passage.article.title,
            published: passage.article.published,
            heading_path: &passage.heading_path,
            text: &passage.text,
            article_id: &passage.article.id,
            revision: passage.revision,
            document: &passage.document,
            range: [passage.range.start, passage.range.end],
            score: passage.score,
        }
    }
}

impl<'a> AnswerShape<'a> {
    /// The JSON shape of an answer; `model` is what would have answered if none was asked.
    pub fn new(question: &'a str, model: &'a str, answer: &'a Answer) -> AnswerShape<'a> {
        AnswerShape {
            status: answer.status,
            abstain_reason: answer.abstain_reason,
            id: None,
            question,
            standalone: answer.standalone.as_deref(),
            answer: &answer.answer,
            sentences: &answer.sentences,
            dropped: &answer.dropped,
            passages: answer.passages.iter().map(PassageShape::new).collect(),
            quotes: &answer.quotes,
            quoted: answer.quoted,
            filters: &answer.filters,
            data: answer.data.as_ref(),
            confidence: answer.confidence,
            signals: answer.signals,
            usage: answer.usage,
            timings: answer.timings,
            escalated: answer.escalated,
            finish: answer.finish,
            model: answer.model.as_deref().unwrap_or(model),
            prompt_hash: &answer.prompt_hash,
        }
    }
}
