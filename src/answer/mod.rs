//! Question → checked answer: passages and quotes, decide, prompt, generate, check each sentence.

pub mod about;
mod asked;
pub mod cite;
pub mod claims;
pub mod conversation;
mod filled;
mod llm;
pub mod prompt;
mod quote;
mod reader;
mod signals;
mod tidy;
mod written;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::infer::Finish;
use crate::retrieve::{Passage, Retrieved};
use cite::{Evidence, SupportOptions};
use tidy::ITEM;

pub use asked::{Asked, Prepared};
pub use filled::{Data, DataMember};
pub use quote::Quote;
pub use signals::{FEATURES, SENTENCE_FEATURES, SentenceSignals, Signals};

/// How questions are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerOptions {
    /// How likely it must be that the articles answer.
    pub caution: Caution,
    /// Below this score a question is hopeless and the LLM is not called; see [`confidence`].
    pub min_confidence: f64,
    /// Hits that are looked at to tell whether the articles answer.
    pub hits: usize,
    /// The first of them, so many, are what passages are made of and sentences are checked against.
    pub passages: usize,
    /// Tokens of the passages that the LLM reads, by the embedder's count: where they have more, it
    /// reads the sentences that answer best and those beside them.
    pub read_tokens: usize,
    /// Seconds that an answer is to take at the most, 0 for no such limit: the LLM reads as much as
    /// it has time for, by how quick it was before, and writes no further sentence after them. With
    /// a limit, an answer depends on the machine.
    pub max_seconds: u64,
    /// Maximum tokens in the answer.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// For temperatures above 0.
    pub seed: u64,
    /// Sentences at the most; the LLM is stopped after them.
    pub max_sentences: usize,
    /// A larger LLM that gets the same passages where the first one declines or nothing that it writes
    /// holds; named as in `models.generator`, empty: none.
    pub escalate: String,
    /// Answers outside of conversations that are kept, for `feedback` and to look at again.
    pub history: usize,
    /// How strictly sentences are checked.
    pub support: SupportOptions,
}

impl AnswerOptions {
    /// [`AnswerOptions::max_seconds`], if there is a limit.
    pub fn time(&self) -> Option<Duration> {
        (self.max_seconds > 0).then(|| Duration::from_secs(self.max_seconds))
    }
}

impl Default for AnswerOptions {
    fn default() -> Self {
        AnswerOptions {
            caution: Caution::Normal,
            min_confidence: 0.2,
            hits: 12,
            passages: 6,
            read_tokens: 500,
            max_seconds: 0,
            max_tokens: 256,
            temperature: 0.0,
            seed: 42,
            max_sentences: 6,
            escalate: String::new(),
            history: 100,
            support: SupportOptions::default(),
        }
    }
}

/// How careful answers are: the more, the fewer questions are answered, and the fewer wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caution {
    /// Every question that is not hopeless is answered.
    Off,
    /// Few are declined.
    Low,
    /// As many are declined as makes most answers right.
    #[default]
    Normal,
    /// An answer is to be relied on.
    High,
}

impl Caution {
    /// How likely it must be that the articles answer, 0 to 1, for the LLM to answer.
    fn least(self) -> f32 {
        match self {
            Caution::Off => 0.0,
            Caution::Low => 0.2,
            Caution::Normal => 0.3,
            Caution::High => 0.45,
        }
    }

    /// The same for quotes to be the answer, where nothing that the LLM writes holds.
    fn quotes(self) -> f32 {
        self.least() + 0.1
    }

    /// The LLM's log-odds that a quote answers, at the least, for it to be the answer.
    fn quote_odds(self) -> f32 {
        match self {
            Caution::Off => f32::NEG_INFINITY,
            Caution::Low => -0.5,
            Caution::Normal => -0.25,
            Caution::High => 0.0,
        }
    }

    /// How likely a sentence of the LLM's must hold to be said, 0 to 1.
    fn sentence(self) -> f32 {
        match self {
            Caution::Off => 0.0,
            Caution::Low => 0.25,
            Caution::Normal => 0.4,
            Caution::High => 0.5,
        }
    }
}

/// Whether the articles answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    /// There is at least one supported sentence.
    Answered,
    /// The articles don't say.
    Abstained,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbstainReason {
    /// No section was found at all.
    NothingFound,
    /// The best section's score is below the threshold; the LLM was not called.
    LowConfidence,
    /// The LLM said that the passages don't answer.
    Declined,
    /// No sentence of the LLM passed the check against the passages.
    Unsupported,
}

impl AbstainReason {
    /// Why the articles don't say, as it stands behind those words; nothing found is meant by `None`.
    pub fn in_words(reason: Option<AbstainReason>) -> &'static str {
        match reason {
            Some(AbstainReason::NothingFound) | None => "nothing in them is about this",
            Some(AbstainReason::LowConfidence) => "no section is near enough to the question",
            Some(AbstainReason::Declined) => "the nearest sections don't answer the question",
            Some(AbstainReason::Unsupported) => {
                "what the LLM wrote could not be found in the nearest sections"
            }
        }
    }
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerSentence {
    /// Without marks.
    pub text: String,
    /// Numbers of the passages that support it, best first.
    pub citations: Vec<usize>,
    /// Where each citation stands in the stored article.
    pub evidence: Vec<Evidence>,
    /// What tells how far it can be relied on; `None` if the LLM didn't write it.
    #[serde(skip)]
    pub signals: Option<SentenceSignals>,
}

/// A sentence that the LLM wrote and the check took out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DroppedSentence {
    /// As the LLM wrote it.
    pub text: String,
    /// Why it went.
    pub why: DropReason,
}

/// Why a sentence was dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", content = "missing", rename_all = "snake_case")]
pub enum DropReason {
    /// No passage supports it.
    Unsupported(crate::answer::cite::Missing),
    /// It says that the passages don't answer.
    Declines,
    /// It was said before.
    Repeated,
    /// It is no whole sentence: it was cut off, or ends in a word that something must follow.
    Unfinished,
    /// It depends on a sentence that was dropped.
    Leaning,
}

/// What was used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
    /// Tokens that were guessed ahead of the LLM.
    #[serde(default)]
    pub drafted_tokens: usize,
    /// Guesses that it confirmed; they are among the tokens generated.
    #[serde(default)]
    pub accepted_tokens: usize,
    /// Hits that the LLM did not read.
    pub hits_left_out: usize,
}

/// Milliseconds from the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Until the hits were there.
    pub retrieval_ms: u64,
    /// Until the quotes were there.
    #[serde(default)]
    pub quotes_ms: u64,
    /// Until the LLM was loaded and the prompt made; 0 if it was not called.
    pub prepared_ms: u64,
    /// Until the first piece of text; 0 if there was none.
    pub first_token_ms: u64,
    /// Until the end.
    pub total_ms: u64,
}

/// An answer with all that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the articles answered.
    pub status: AnswerStatus,
    /// Why not, if they did not.
    pub abstain_reason: Option<AbstainReason>,
    /// The supported sentences, each with its marks; empty if abstained.
    pub answer: String,
    /// The supported sentences.
    pub sentences: Vec<AnswerSentence>,
    /// What the check took out.
    pub dropped: Vec<DroppedSentence>,
    /// What the LLM read of, or would have: the nearest sections.
    pub passages: Vec<Passage>,
    /// The sentences of the passages that answer best, best first.
    pub quotes: Vec<Quote>,
    /// The question as it was searched for, where it followed up on an earlier one.
    #[serde(default)]
    pub standalone: Option<String>,
    /// Whether those are the answer, word for word, as nothing else was asked for or held.
    pub quoted: bool,
    /// Of a question about the articles themselves, which were looked at: dates, sources, authors;
    /// empty for all, and of any other question.
    pub filters: String,
    /// The answer as JSON, if a schema was given; its sentences are the values in it.
    #[serde(default)]
    pub data: Option<Data>,
    /// How likely it is that the articles answer, 0 to 1.
    pub confidence: f32,
    /// What that rests on.
    pub signals: Signals,
    /// What was used up.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
    /// Why the LLM stopped, if it was called.
    pub finish: Option<Finish>,
    /// Hash of the prompt template.
    pub prompt_hash: String,
    /// Whether the larger LLM was asked, too; `None` if there is none, or no LLM was asked.
    #[serde(default)]
    pub escalated: Option<bool>,
    /// The LLM with its weights; `None` if it was not called.
    pub model: Option<String>,
}

impl Answer {
    /// What a reader of quotes is told that stand in the place of an answer; `None` if none do, or no
    /// more was asked for.
    pub fn quoted_why(&self) -> Option<&'static str> {
        const WHY: &str =
            "Quoted word for word: what the LLM wrote could not be found in the articles.";
        (self.quoted && self.model.is_some()).then_some(WHY)
    }

    /// The same with the sentences that had been checked when an answer was broken off, the sections
    /// that they are from and what had been dropped, in place of its quotes.
    pub fn with_checked(
        mut self,
        passages: Vec<Passage>,
        sentences: Vec<AnswerSentence>,
        dropped: Vec<DroppedSentence>,
    ) -> Answer {
        self.status = AnswerStatus::Answered;
        self.abstain_reason = None;
        self.answer = joined(&sentences);
        self.sentences = sentences;
        self.dropped = dropped;
        self.passages = passages;
        self.quoted = false;
        self.finish = Some(Finish::Cancelled);
        self
    }
}

/// What an answer tells on its way, in this order but for `Sentence` and `Dropped`, which mix.
#[derive(Debug)]
pub enum Said<'a> {
    /// The question as it is searched for, where it follows up on an earlier one.
    Standalone(&'a str),
    /// The sections that the LLM is shown, or, of an abstention, those to read.
    Passages(&'a [Passage]),
    /// The sentences of them that answer best, before the LLM says anything.
    Quotes(&'a [Quote]),
    /// A sentence that holds; it is never taken back.
    Sentence(&'a AnswerSentence),
    /// A sentence that was taken out.
    Dropped(&'a DroppedSentence),
}

/// Where what is said on the way goes; an error of it ends the answer.
pub type OnSaid<'a> = &'a mut dyn FnMut(Said<'_>) -> Result<()>;

/// How near the nearest chunk is: its cosine, 0 if there is none, whatever way of fusion ranks the
/// hits.
pub fn confidence(retrieved: &Retrieved) -> f32 {
    retrieved.best_cosine.unwrap_or(0.0).max(0.0)
}

/// Why a question is declined before the LLM is asked; `None` if the LLM is to be asked.
pub fn declines_early(retrieved: &Retrieved, options: &AnswerOptions) -> Option<AbstainReason> {
    if retrieved.hits.is_empty() {
        Some(AbstainReason::NothingFound)
    } else if f64::from(confidence(retrieved)) < options.min_confidence {
        Some(AbstainReason::LowConfidence)
    } else {
        None
    }
}

/// The answer to a question about the articles themselves: lines that each cite passages by number, all
/// within `ms` milliseconds and without an LLM.
pub fn listed(
    lines: Vec<(String, Vec<usize>)>,
    passages: Vec<Passage>,
    filters: String,
    ms: u64,
) -> Answer {
    let evidence = |n: &usize| {
        let passage = passages.iter().find(|passage| passage.n == *n)?;
        Some(Evidence { n: *n, range: passage.range.clone(), coverage: 1.0 })
    };
    let sentences: Vec<AnswerSentence> = lines
        .into_iter()
        .map(|(text, citations)| {
            let evidence = citations.iter().filter_map(evidence).collect();
            AnswerSentence { text, citations, evidence, signals: None }
        })
        .collect();
    Answer {
        status: AnswerStatus::Answered,
        abstain_reason: None,
        answer: joined(&sentences),
        sentences,
        dropped: Vec::new(),
        passages,
        quotes: Vec::new(),
        standalone: None,
        quoted: false,
        filters,
        data: None,
        confidence: 1.0,
        signals: Signals::default(),
        usage: Usage::default(),
        timings: Timings { retrieval_ms: ms, quotes_ms: ms, total_ms: ms, ..Timings::default() },
        finish: None,
        prompt_hash: String::new(),
        escalated: None,
        model: None,
    }
}

/// What stands before a sentence of an answer: a list item and a quote have lines of their own.
pub fn separator(before: Option<&AnswerSentence>, sentence: &AnswerSentence) -> &'static str {
    let is_apart =
        |sentence: &AnswerSentence| [ITEM, "“"].iter().any(|mark| sentence.text.starts_with(mark));
    match before {
        None => "",
        Some(before) if is_apart(before) || is_apart(sentence) => "\n",
        Some(_) => " ",
    }
}

/// An answer's sentences as one text.
fn joined(sentences: &[AnswerSentence]) -> String {
    let mut text = String::new();
    let mut before = None;
    for sentence in sentences {
        text.push_str(separator(before, sentence));
        text.push_str(&marked(sentence));
        before = Some(sentence);
    }
    text
}

/// A sentence with its marks, before its full stop's white space: `It took two days. [1][3]`.
pub fn marked(sentence: &AnswerSentence) -> String {
    let marks: String = sentence.citations.iter().map(|n| format!("[{n}]")).collect();
    if marks.is_empty() { sentence.text.clone() } else { format!("{} {marks}", sentence.text) }
}
