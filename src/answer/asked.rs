//! A question on its way to an answer: passages, quotes, the LLM's verdict, its sentences checked.

use std::ops::Range;
use std::time::Instant;

use super::llm::{Llm, most};
use super::prompt::Template;
use super::quote::{self, Quote};
use super::signals::{Signals, signals};
use super::{AbstainReason, Answer, AnswerOptions, AnswerStatus, OnSaid, Timings, Usage, joined};
use crate::answer::conversation::is_bare;
use crate::base::error::Result;
use crate::base::{Cancel, Document, DocumentId};
use crate::infer::details::DetailKind;
use crate::infer::schema::Schema;
use crate::infer::{Embedder, Generated, Generator, Purpose};
use crate::retrieve::{self, Look, Passage, Retrieved};

/// How likely it is that the articles answer, by the verdict, where that is not clear enough: then the
/// LLM is asked of single sentences, too.
const IN_DOUBT: Range<f32> = 0.15..0.65;

/// A question with all that its answer may rest on.
pub struct Asked<'a> {
    /// As it was asked, trimmed.
    pub question: &'a str,
    /// What was found for it.
    pub retrieved: &'a Retrieved,
    /// The stored document of an id.
    pub document: &'a dyn Fn(&DocumentId) -> Result<Document>,
    /// The details of hits.
    pub look: Look<'a>,
    /// What counts tokens.
    pub embedder: &'a dyn Embedder,
    /// How passages are put to the LLM.
    pub template: &'a Template,
    /// How it is answered.
    pub options: &'a AnswerOptions,
    /// What the answer is JSON of; `None` for sentences.
    pub schema: Option<&'a Schema>,
    /// Whether a larger LLM is asked where this one gives no answer: quotes are for that one to fall
    /// back to.
    pub escalates: bool,
    /// When it was asked; times count from here.
    pub start: Instant,
}

/// What is known of a question before the LLM is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// What the LLM is to read.
    pub passages: Vec<Passage>,
    /// The sentences of them that answer best.
    pub quotes: Vec<Quote>,
    /// Those and further ones that may, for the LLM to judge.
    candidates: Vec<Quote>,
    /// Whether they answer, as far as retrieval tells.
    pub signals: Signals,
    /// Hits that the LLM does not read.
    left_out: usize,
    /// Milliseconds from the start until the hits were there, and until now.
    ms: [u64; 2],
}

impl Asked<'_> {
    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Chooses what the LLM reads, and the sentences that answer best. Tokens are the embedder's, so
    /// that no LLM is needed.
    ///
    /// # Errors
    /// If a document can't be had, or the embedder fails.
    pub fn prepare(&self) -> Result<Prepared> {
        let retrieval_ms = self.elapsed();
        let options = self.options;
        let count = |text: &str| self.embedder.count_tokens(text, Purpose::Passage);
        let (hits, further) =
            self.retrieved.hits.split_at(options.passages.min(self.retrieved.hits.len()));
        let mut passages = retrieve::join(hits, self.document)?;
        let seen = (self.look)(DetailKind::Sentences, hits)?;
        let asked = retrieve::QuestionTokens::new(&self.retrieved.embedding, self.retrieved);
        let mut scored = retrieve::score(hits, &seen, &asked, self.retrieved, &passages);
        let signals = signals(self.question, self.retrieved, &passages, &scored);
        retrieve::cut(&mut passages, &mut scored, options.read_tokens, &count)?;
        let left_out = further.len() + retrieve::unread(hits, &passages);
        let candidates = quote::candidates(&passages, &scored);
        let quotes = quote::best(&candidates);
        Ok(Prepared {
            passages,
            quotes,
            candidates,
            signals,
            left_out,
            ms: [retrieval_ms, self.elapsed()],
        })
    }

    /// An answer without any sentence yet.
    fn unanswered(&self, prepared: Prepared) -> Answer {
        let Prepared { passages, quotes, signals, left_out, ms: [retrieval_ms, quotes_ms], .. } =
            prepared;
        Answer {
            status: AnswerStatus::Abstained,
            abstain_reason: None,
            answer: String::new(),
            sentences: Vec::new(),
            dropped: Vec::new(),
            passages,
            quotes,
            standalone: None,
            quoted: false,
            filters: String::new(),
            data: None,
            confidence: signals.probability(),
            signals,
            usage: Usage { hits_left_out: left_out, ..Usage::default() },
            timings: Timings { retrieval_ms, quotes_ms, ..Timings::default() },
            finish: None,
            prompt_hash: self.template.hash().to_owned(),
            escalated: self.escalates.then_some(false),
            model: None,
        }
    }

    /// The answer that declines for a reason that is known without the LLM, with the nearest
    /// sections.
    pub fn abstain(&self, prepared: Prepared, reason: AbstainReason) -> Answer {
        let mut answer = self.unanswered(prepared);
        answer.abstain_reason = Some(reason);
        answer.timings.total_ms = self.elapsed();
        answer
    }

    /// The answer of quotes alone.
    pub fn quoted(&self, prepared: Prepared) -> Answer {
        let quotes = prepared.quotes.clone();
        let mut answer = self.unanswered(prepared);
        answer.quote(&quotes);
        answer.timings.total_ms = self.elapsed();
        answer
    }

    /// The answer of an LLM, each sentence checked.
    ///
    /// # Errors
    /// If the LLM, the template or `on_said` fails, or the user stops it.
    pub fn answer(
        &self,
        prepared: Prepared,
        generator: &mut dyn Generator,
        cancel: &Cancel,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let candidates = prepared.candidates.clone();
        let mut answer = self.unanswered(prepared);
        answer.model = generator.fingerprint().0.get("generator").cloned();
        cancel.check()?;
        let prompts = self.template.over(self.question, &answer.passages);
        answer.timings.prepared_ms = self.elapsed();
        let mut llm = Llm { prompts: &prompts, generator, cancel };
        answer.signals.verdict = Some(llm.odds(&prompts.verdict()?)?);
        answer.confidence = answer.signals.probability();
        let mut judged = Vec::new();
        if IN_DOUBT.contains(&answer.confidence) {
            llm.judge(&candidates, &mut judged)?;
            answer.signals.quote = most(&judged);
            answer.confidence = answer.signals.probability();
        }
        cancel.check()?;
        if answer.confidence < self.options.caution.least() && !self.is_named(&answer.signals) {
            answer.abstain_reason = Some(AbstainReason::LowConfidence);
        } else if let Some(schema) = self.schema {
            self.fill(schema, &mut answer, &mut llm, on_said)?;
        } else {
            self.say(&candidates, judged, &mut answer, &mut llm, on_said)?;
        }
        answer.timings.total_ms = self.elapsed();
        Ok(answer)
    }

    /// Whether no more than a topic is given, and a sentence has all of its words: what is said there
    /// is what is wanted, however far from it the sections are as a whole.
    pub(super) fn is_named(&self, signals: &Signals) -> bool {
        signals.nearby > 0.99 && is_bare(self.question)
    }
}

impl Answer {
    /// Notes what a generation took, and how likely it was.
    pub(super) fn note(&mut self, generation: &Generated, first_token_ms: u64) {
        self.usage.prompt_tokens = generation.prompt_tokens;
        self.usage.completion_tokens = generation.completion_tokens;
        self.usage.drafted_tokens = generation.drafted;
        self.usage.accepted_tokens = generation.accepted;
        self.finish = Some(generation.finish);
        self.timings.first_token_ms = first_token_ms;
        let tokens = generation.completion_tokens.max(1) as f64;
        self.signals.written = Some((generation.log_probability / tokens) as f32);
    }

    /// Makes quotes the answer.
    pub(super) fn quote(&mut self, quotes: &[Quote]) {
        self.sentences = quotes.iter().map(Quote::as_sentence).collect();
        self.quoted = !self.sentences.is_empty();
        if self.quoted {
            self.status = AnswerStatus::Answered;
            self.answer = joined(&self.sentences);
        } else {
            self.abstain_reason = Some(AbstainReason::NothingFound);
        }
    }
}
