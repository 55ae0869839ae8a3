//! Question → checked answer: retrieve, decide, prompt, generate, check each sentence.

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::cite::{Checker, Evidence, Sentences, SupportOptions, Verdict, list_item, strip_marks};
use crate::domain::{ArticleId, Cancel, Document, Filter, Hit};
use crate::error::Result;
use crate::prompt::Template;
use crate::retrieve::{self, Passage, PassageBudget, RetrievalOptions};
use crate::seams::{Embedder, Finish, Generator, Sampling, Store};

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
    /// Tokens of all passages, by the LLM's count.
    pub context_tokens: usize,
    /// Tokens of one passage.
    pub passage_tokens: usize,
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
pub enum Status {
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
    pub why: Drop,
}

/// Why a sentence was dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", content = "missing", rename_all = "snake_case")]
pub enum Drop {
    /// No passage supports it.
    Unsupported(crate::cite::Missing),
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
    pub status: Status,
    /// Why not, if they did not.
    pub abstain_reason: Option<AbstainReason>,
    /// The supported sentences, each with its marks; empty if abstained.
    pub answer: String,
    /// The supported sentences.
    pub sentences: Vec<AnswerSentence>,
    /// What the check took out.
    pub dropped: Vec<DroppedSentence>,
    /// What the LLM was shown, or would have been: the nearest sections to read.
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
}

/// An LLM that is loaded when it is first needed: below the threshold it never is.
pub struct LazyGenerator<'a> {
    load: Box<dyn FnMut() -> Result<Box<dyn Generator>> + 'a>,
    loaded: Option<Box<dyn Generator>>,
}

impl<'a> LazyGenerator<'a> {
    /// One that `load` loads.
    pub fn new(load: impl FnMut() -> Result<Box<dyn Generator>> + 'a) -> LazyGenerator<'a> {
        LazyGenerator { load: Box::new(load), loaded: None }
    }

    /// The LLM.
    ///
    /// # Errors
    /// If it can't be loaded; the next call tries again.
    pub fn get(&mut self) -> Result<&mut dyn Generator> {
        let generator = match self.loaded.take() {
            Some(generator) => generator,
            None => (self.load)()?,
        };
        Ok(self.loaded.insert(generator).as_mut())
    }
}

/// The parts that answer.
pub struct Parts<'a, 'g> {
    /// The live generation.
    pub store: &'a dyn Store,
    /// The one that made it.
    pub embedder: &'a dyn Embedder,
    /// The document of an article at a revision.
    pub document: &'a mut dyn FnMut(&ArticleId, u32) -> Result<Document>,
    /// The LLM, loaded when it is first needed.
    pub generator: &'a mut LazyGenerator<'g>,
    /// How passages are put to the LLM.
    pub template: &'a Template,
}

/// How likely it is that the articles answer, as far as retrieval tells: the cosine of the best
/// hit, 0 if there is none. The threshold is calibrated on question sets; see `eval/README.md`.
pub fn confidence(hits: &[Hit]) -> f32 {
    hits.iter().filter_map(|hit| hit.scores.dense).fold(0.0, f32::max)
}

/// Answers a question. `on_sentence` gets each supported sentence as soon as it is checked, in
/// order; what it got is never taken back.
///
/// # Errors
/// If retrieval, the LLM or the template fails, or the user stops it.
pub fn answer(
    parts: Parts<'_, '_>,
    question: &str,
    filter: &Filter,
    retrieval: &RetrievalOptions,
    options: &AnswerOptions,
    cancel: &Cancel,
    on_sentence: &mut dyn FnMut(&AnswerSentence) -> Result<()>,
) -> Result<Answer> {
    let start = Instant::now();
    let elapsed = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let question = retrieve::check_question(question)?;
    let hits =
        retrieve::search(parts.store, parts.embedder, question, filter, retrieval, options.hits)?;
    cancel.check()?;
    let confidence = confidence(&hits);
    let mut result = Answer {
        status: Status::Abstained,
        abstain_reason: None,
        answer: String::new(),
        sentences: Vec::new(),
        dropped: Vec::new(),
        passages: Vec::new(),
        confidence,
        usage: Usage::default(),
        timings: Timings { retrieval_ms: elapsed(), ..Timings::default() },
        finish: None,
        prompt_hash: parts.template.hash().to_owned(),
    };
    let budget = PassageBudget {
        passages: options.passages,
        tokens: options.context_tokens,
        passage_tokens: options.passage_tokens,
    };
    let early = if hits.is_empty() {
        Some(AbstainReason::NothingFound)
    } else if f64::from(confidence) < options.min_confidence {
        Some(AbstainReason::LowConfidence)
    } else {
        None
    };
    if early.is_some() {
        // The nearest sections, by the embedder's count: the LLM and its tokenizer stay unloaded.
        let count = |text: &str| parts.embedder.count_tokens(text, crate::seams::Purpose::Passage);
        let grown = retrieve::grow(&hits, &budget, parts.document, &count)?;
        result.passages = grown.passages;
        result.usage.hits_left_out = grown.left_out;
        result.abstain_reason = early;
        result.timings.total_ms = elapsed();
        return Ok(result);
    }

    let generator = parts.generator.get()?;
    cancel.check()?;
    let grown =
        retrieve::grow(&hits, &budget, parts.document, &|text| generator.count_tokens(text))?;
    result.usage.hits_left_out = grown.left_out;
    result.passages = grown.passages;
    let prompt = parts.template.render(question, &result.passages)?;
    result.timings.prepared_ms = elapsed();

    let sampling = Sampling {
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        seed: options.seed,
        stop: vec![],
    };
    let checker = Checker::new(&result.passages, question, options.support);
    let mut reader = Reader {
        checker,
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
            first_token_ms = elapsed();
        }
        for sentence in cutter.push(text) {
            match reader.read(&sentence, on_sentence) {
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
                let _ = reader.read(&rest, on_sentence)?;
            }
            Finish::Length => {
                reader.dropped.push(DroppedSentence { text: rest, why: Drop::Unfinished });
            }
            Finish::Cancelled => {}
        }
    }
    let Reader { sentences, dropped, .. } = reader;
    result.usage.prompt_tokens = generation.prompt_tokens;
    result.usage.completion_tokens = generation.completion_tokens;
    result.finish = Some(generation.finish);
    result.timings.first_token_ms = first_token_ms;
    if sentences.is_empty() {
        let declined = dropped.iter().any(|sentence| sentence.why == Drop::Declines);
        result.abstain_reason =
            Some(if declined { AbstainReason::Declined } else { AbstainReason::Unsupported });
    } else {
        result.status = Status::Answered;
        result.answer = joined(&sentences);
    }
    result.sentences = sentences;
    result.dropped = dropped;
    result.timings.total_ms = elapsed();
    Ok(result)
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
    fn read(
        &mut self,
        sentence: &str,
        on_sentence: &mut dyn FnMut(&AnswerSentence) -> Result<()>,
    ) -> Result<ControlFlow<()>> {
        let plain = tidy(&strip_marks(sentence).0);
        if !plain.chars().any(char::is_alphanumeric) {
            return Ok(ControlFlow::Continue(()));
        }
        let key = plain.to_lowercase();
        if self.seen.contains(&key) {
            self.dropped.push(DroppedSentence { text: sentence.to_owned(), why: Drop::Repeated });
            // A small model that repeats itself goes on doing so.
            return Ok(ControlFlow::Break(()));
        }
        self.seen.push(key);
        let why = match self.checker.check(sentence) {
            Verdict::Supported { evidence } => {
                let sentence = AnswerSentence {
                    text: plain,
                    citations: evidence.iter().map(|found| found.n).collect(),
                    evidence,
                };
                on_sentence(&sentence)?;
                self.sentences.push(sentence);
                let full = self.sentences.len() >= self.max;
                return Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            Verdict::Unsupported { missing } => Drop::Unsupported(missing),
            Verdict::Declines => Drop::Declines,
        };
        self.dropped.push(DroppedSentence { text: sentence.to_owned(), why });
        Ok(ControlFlow::Continue(()))
    }
}

/// What a list item begins with. They lose their numbers, for one that is dropped would leave a gap.
const ITEM: &str = "- ";

/// A sentence as it is shown: white space collapsed, first letter a capital (the LLM goes on from
/// an opening).
fn tidy(sentence: &str) -> String {
    let text = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
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
