//! Question → checked answer: retrieve, decide, prompt, generate, check each sentence.

pub mod cite;
pub mod prompt;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::text::collapse;
use crate::base::{Cancel, Document, DocumentId};
use crate::infer::{Finish, Generator, Sampling};
use crate::retrieve::{self, Passage, PassageBudget, Passages, Retrieved};
use cite::{Checker, Evidence, Sentences, Support, SupportOptions, list_item, strip_marks};
use prompt::Template;

/// How questions are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerOptions {
    /// Below this score the LLM is not called; see [`confidence`].
    pub min_confidence: f64,
    /// Hits that passages are grown from.
    pub hits: usize,
    /// Passages at the most.
    pub passages: usize,
    /// Tokens of all passages, by the LLM's count: what sentences are checked against.
    pub context_tokens: usize,
    /// Tokens of one passage.
    pub passage_tokens: usize,
    /// Tokens of all passages that the LLM reads: where they have more, it reads the sentences that
    /// are nearest to the question.
    pub read_tokens: usize,
    /// Tokens of the answer at the most.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// For temperatures above 0.
    pub seed: u64,
    /// Sentences at the most; the LLM is stopped after them.
    pub max_sentences: usize,
    /// How strictly sentences are checked.
    pub support: SupportOptions,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        AnswerOptions {
            min_confidence: 0.35,
            hits: 12,
            passages: 4,
            context_tokens: 1000,
            passage_tokens: 400,
            read_tokens: 1000,
            max_tokens: 256,
            temperature: 0.0,
            seed: 42,
            max_sentences: 6,
            support: SupportOptions::default(),
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

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerSentence {
    /// Without marks.
    pub text: String,
    /// Numbers of the passages that support it, best first.
    pub citations: Vec<usize>,
    /// Where each citation stands in the stored article.
    pub evidence: Vec<Evidence>,
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
    /// It was cut off by the token limit.
    Unfinished,
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
    /// Hits that did not fit the context budget.
    pub hits_left_out: usize,
}

/// Milliseconds from the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Until the hits were there.
    pub retrieval_ms: u64,
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
    /// See [`confidence`].
    pub confidence: f32,
    /// What was used up.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
    /// Why the LLM stopped, if it was called.
    pub finish: Option<Finish>,
    /// Hash of the prompt template.
    pub prompt_hash: String,
    /// The LLM with its weights; `None` if it was not called.
    pub model: Option<String>,
}

/// A question with all that its answer may rest on.
pub struct Asked<'a> {
    /// As it was asked, trimmed.
    pub question: &'a str,
    /// What was found for it.
    pub retrieved: &'a Retrieved,
    /// The stored document of an id.
    pub document: &'a dyn Fn(&DocumentId) -> Result<Document>,
    /// How well each of some texts answers it.
    pub score: &'a dyn Fn(&[&str]) -> Result<Vec<f32>>,
    /// How passages are put to the LLM.
    pub template: &'a Template,
    /// How it is answered.
    pub options: &'a AnswerOptions,
    /// When it was asked; times count from here.
    pub start: Instant,
}

/// What an answer tells on its way, in this order but for `Sentence` and `Dropped`, which mix.
#[derive(Debug)]
pub enum Said<'a> {
    /// The sections that the LLM is shown, or, of an abstention, those to read.
    Passages(&'a [Passage]),
    /// A sentence that holds; it is never taken back.
    Sentence(&'a AnswerSentence),
    /// A sentence that was taken out.
    Dropped(&'a DroppedSentence),
}

/// Where what is said on the way goes; an error of it ends the answer.
pub type OnSaid<'a> = &'a mut dyn FnMut(Said<'_>) -> Result<()>;

/// How likely it is that the articles answer, as far as retrieval tells: the cosine of the best
/// chunk, 0 if there is none, whatever way of fusion ranks the hits. The threshold is calibrated on
/// question sets; see `eval/README.md`.
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

impl Asked<'_> {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// An answer without any sentence yet.
    fn unanswered(&self, retrieval_ms: u64) -> Answer {
        Answer {
            status: AnswerStatus::Abstained,
            abstain_reason: None,
            answer: String::new(),
            sentences: Vec::new(),
            dropped: Vec::new(),
            passages: Vec::new(),
            confidence: confidence(self.retrieved),
            usage: Usage::default(),
            timings: Timings { retrieval_ms, ..Timings::default() },
            finish: None,
            prompt_hash: self.template.hash().to_owned(),
            model: None,
        }
    }

    fn grow(&self, count: &dyn Fn(&str) -> Result<usize>) -> Result<Passages> {
        let budget = PassageBudget {
            passages: self.options.passages,
            tokens: self.options.context_tokens,
            passage_tokens: self.options.passage_tokens,
        };
        retrieve::grow(&self.retrieved.hits, &budget, self.document, count)
    }

    /// The answer that declines for a reason that is known without the LLM, with the nearest
    /// sections, measured by `count`.
    ///
    /// # Errors
    /// If a document can't be had, or `count` or `on_said` fails.
    pub fn abstain(
        &self,
        reason: AbstainReason,
        count: &dyn Fn(&str) -> Result<usize>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let mut answer = self.unanswered(self.elapsed());
        let grown = self.grow(count)?;
        answer.passages = grown.passages;
        answer.usage.hits_left_out = grown.left_out;
        answer.abstain_reason = Some(reason);
        on_said(Said::Passages(&answer.passages))?;
        answer.timings.total_ms = self.elapsed();
        Ok(answer)
    }

    /// The answer of an LLM, each sentence checked. `retrieval_ms` is what finding took.
    ///
    /// # Errors
    /// If a document can't be had, the LLM, the template or `on_said` fails, or the user stops it.
    pub fn answer(
        &self,
        generator: &mut dyn Generator,
        retrieval_ms: u64,
        cancel: &Cancel,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let options = self.options;
        let mut result = self.unanswered(retrieval_ms);
        result.model = generator.fingerprint().0.get("generator").cloned();
        cancel.check()?;
        let count = |text: &str| generator.count_tokens(text);
        let mut grown = self.grow(&count)?;
        if grown.tokens > options.read_tokens {
            grown.left_out +=
                retrieve::cut(&mut grown.passages, options.read_tokens, self.score, &count)?;
        }
        result.usage.hits_left_out = grown.left_out;
        result.passages = grown.passages;
        on_said(Said::Passages(&result.passages))?;
        let prompt = self.template.render(self.question, &result.passages)?;
        result.timings.prepared_ms = self.elapsed();

        let sampling = Sampling {
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: vec![],
        };
        let mut reader = Reader {
            checker: Checker::new(&result.passages, self.question, options.support),
            sentences: Vec::new(),
            dropped: Vec::new(),
            seen: Vec::new(),
            max: options.max_sentences,
        };
        let mut cutter = Sentences::default();
        let mut failure = None;
        let mut first_token_ms = 0;
        let generation = generator.generate(&prompt, &sampling, &mut |text| {
            if first_token_ms == 0 && !text.trim().is_empty() {
                first_token_ms = self.elapsed();
            }
            for sentence in cutter.push(text) {
                match reader.read(&sentence, on_said) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            if cancel.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        cancel.check()?;
        if let Some(rest) = cutter.finish() {
            match generation.finish {
                Finish::Stop => {
                    let _ = reader.read(&rest, on_said)?;
                }
                Finish::Length => reader.drop(&rest, DropReason::Unfinished, on_said)?,
                Finish::Cancelled => {}
            }
        }
        let Reader { sentences, dropped, .. } = reader;
        result.usage.prompt_tokens = generation.prompt_tokens;
        result.usage.completion_tokens = generation.completion_tokens;
        result.usage.drafted_tokens = generation.drafted;
        result.usage.accepted_tokens = generation.accepted;
        result.finish = Some(generation.finish);
        result.timings.first_token_ms = first_token_ms;
        if sentences.is_empty() {
            let declined = dropped.iter().any(|sentence| sentence.why == DropReason::Declines);
            result.abstain_reason =
                Some(if declined { AbstainReason::Declined } else { AbstainReason::Unsupported });
        } else {
            result.status = AnswerStatus::Answered;
            result.answer = joined(&sentences);
        }
        result.sentences = sentences;
        result.dropped = dropped;
        result.timings.total_ms = self.elapsed();
        Ok(result)
    }
}

/// What stands before a sentence of an answer: a list item has a line of its own.
pub fn separator(before: Option<&AnswerSentence>, sentence: &AnswerSentence) -> &'static str {
    let is_item = |sentence: &AnswerSentence| sentence.text.starts_with(ITEM);
    match before {
        None => "",
        Some(before) if is_item(before) || is_item(sentence) => "\n",
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
    format!("{} {marks}", sentence.text)
}

struct Reader<'a> {
    checker: Checker<'a>,
    sentences: Vec<AnswerSentence>,
    dropped: Vec<DroppedSentence>,
    seen: Vec<String>,
    max: usize,
}

impl Reader<'_> {
    fn drop(&mut self, sentence: &str, why: DropReason, on_said: OnSaid<'_>) -> Result<()> {
        let dropped = DroppedSentence { text: sentence.to_owned(), why };
        on_said(Said::Dropped(&dropped))?;
        self.dropped.push(dropped);
        Ok(())
    }

    fn read(&mut self, sentence: &str, on_said: OnSaid<'_>) -> Result<ControlFlow<()>> {
        let plain = tidy(&strip_marks(sentence).0);
        if !plain.chars().any(char::is_alphanumeric) {
            return Ok(ControlFlow::Continue(()));
        }
        let key = plain.to_lowercase();
        if self.seen.contains(&key) {
            self.drop(sentence, DropReason::Repeated, on_said)?;
            // A small model that repeats itself goes on doing so.
            return Ok(ControlFlow::Break(()));
        }
        self.seen.push(key);
        let why = match self.checker.check(sentence) {
            Support::Supported { evidence } => {
                let sentence = AnswerSentence {
                    text: plain,
                    citations: evidence.iter().map(|found| found.n).collect(),
                    evidence,
                };
                on_said(Said::Sentence(&sentence))?;
                self.sentences.push(sentence);
                let full = self.sentences.len() >= self.max;
                return Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            Support::Unsupported { missing } => DropReason::Unsupported(missing),
            Support::Declines => DropReason::Declines,
        };
        self.drop(sentence, why, on_said)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// What a list item begins with. They lose their numbers, for one that is dropped would leave a gap.
const ITEM: &str = "- ";

/// A sentence as it is shown: white space collapsed, first letter a capital (the LLM goes on from
/// an opening).
fn tidy(sentence: &str) -> String {
    let text = collapse(sentence);
    let text = text.trim_start_matches([',', ':', ';', ' ']);
    let (item, text) = match list_item(text) {
        Some(text) => (ITEM, text),
        None => ("", text),
    };
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => item.chars().chain(first.to_uppercase()).chain(characters).collect(),
        None => String::new(),
    }
}
