//! Answers kept in the library.

use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AnswerShape, json};
use crate::answer::{
    AbstainReason, Answer, AnswerSentence, AnswerStatus, Data, DroppedSentence, Quote, Signals,
    Timings, Usage,
};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, ArticleMeta, DocumentId, SourceId};
use crate::engine::KnowledgeBase;
use crate::infer::Finish;
use crate::library::{ConversationInfo, KeptAnswer, NewAnswer};
use crate::retrieve::Passage;

/// Keeps an answer, of a conversation or alone, and returns its number; `None` if it is alone and
/// none are to be kept (`answer.history`), or if the library is for reading only.
///
/// # Errors
/// If the library can't be written.
pub fn keep(
    kb: &KnowledgeBase,
    conversation: Option<i64>,
    question: &str,
    answer: &Answer,
) -> Result<Option<i64>> {
    let history = kb.config().answer.history;
    let Some(library) = kb.existing_library()? else { return Ok(None) };
    if library.is_read_only() || (conversation.is_none() && history == 0) {
        return Ok(None);
    }
    let shape = json::line(&AnswerShape::new(question, &kb.config().models.generator, answer))?;
    let standalone = answer.standalone.as_deref();
    let new = NewAnswer { conversation, question, standalone, answer: &shape };
    library.keep_answer(&new, history, Timestamp::now()).map(Some)
}

/// A conversation in a list; schema `schema/conversations.json`.
#[derive(Debug, Serialize)]
pub struct ConversationShape<'a> {
    /// Its number.
    pub id: i64,
    /// RFC 3339, UTC.
    pub started: Timestamp,
    /// Its first question.
    pub first: &'a str,
    /// How many questions were asked in it.
    pub answers: usize,
}

impl<'a> ConversationShape<'a> {
    /// The JSON shape of a conversation.
    pub fn new(info: &'a ConversationInfo) -> ConversationShape<'a> {
        let ConversationInfo { id, started_at, first, answers } = info;
        ConversationShape { id: *id, started: *started_at, first, answers: *answers }
    }
}

/// A question of several that could not be answered; schema `schema/failed.json`.
#[derive(Debug, Serialize)]
pub struct FailedShape<'a> {
    /// What went wrong, with its causes.
    pub error: String,
    /// What to do next; null if nothing is known.
    pub r#try: Option<String>,
    /// The question; what could be read of it if it was not text.
    pub question: &'a str,
}

/// What is read of a kept answer.
#[derive(Deserialize)]
struct Kept {
    status: AnswerStatus,
    abstain_reason: Option<AbstainReason>,
    #[serde(default)]
    standalone: Option<String>,
    answer: String,
    sentences: Vec<AnswerSentence>,
    #[serde(default)]
    dropped: Vec<DroppedSentence>,
    passages: Vec<KeptPassage>,
    #[serde(default)]
    quotes: Vec<Quote>,
    #[serde(default)]
    quoted: bool,
    #[serde(default)]
    filters: String,
    #[serde(default)]
    data: Option<Data>,
    confidence: f32,
    #[serde(default)]
    signals: Signals,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    timings: Timings,
    #[serde(default)]
    finish: Option<Finish>,
    model: Option<String>,
    #[serde(default)]
    prompt_hash: String,
    #[serde(default)]
    escalated: Option<bool>,
}

#[derive(Deserialize)]
struct KeptPassage {
    n: usize,
    url: Option<String>,
    title: String,
    published: Option<Timestamp>,
    heading_path: Vec<String>,
    text: String,
    article_id: ArticleId,
    revision: u32,
    #[serde(default)]
    document: Option<DocumentId>,
    range: [usize; 2],
    score: f32,
}

/// A kept answer as it was given, as far as it was kept: of its articles only title, date and link
/// are known, and the document only where it was written down (else its name is empty).
///
/// # Errors
/// [`ErrorKind::Library`] if what was kept is not an answer.
pub fn again(kept: &KeptAnswer) -> Result<Answer> {
    let read: Kept = serde_json::from_str(&kept.answer).map_err(|error| {
        Error::new(ErrorKind::Library, format!("the kept answer {} can't be read", kept.id))
            .caused_by(error)
            .hint("delete its conversation, or ask again")
    })?;
    Ok(Answer {
        status: read.status,
        abstain_reason: read.abstain_reason,
        answer: read.answer,
        sentences: read.sentences,
        dropped: read.dropped,
        passages: read.passages.into_iter().map(passage).collect(),
        quotes: read.quotes,
        standalone: read.standalone.or_else(|| kept.standalone.clone()),
        quoted: read.quoted,
        filters: read.filters,
        data: read.data,
        confidence: read.confidence,
        signals: read.signals,
        usage: read.usage,
        timings: read.timings,
        finish: read.finish,
        prompt_hash: read.prompt_hash,
        escalated: read.escalated,
        model: read.model,
    })
}

fn passage(kept: KeptPassage) -> Passage {
    let range: Range<usize> = kept.range[0]..kept.range[1];
    Passage {
        n: kept.n,
        article: ArticleMeta {
            id: kept.article_id,
            source: SourceId(String::new()),
            other_sources: Vec::new(),
            url: kept.url,
            title: kept.title,
            subtitle: None,
            authors: Vec::new(),
            published: kept.published,
            tags: Vec::new(),
        },
        revision: kept.revision,
        document: kept.document.unwrap_or(DocumentId(String::new())),
        section: 0,
        heading_path: kept.heading_path,
        shown: vec![range.clone()],
        range,
        text: kept.text,
        score: kept.score,
    }
}
