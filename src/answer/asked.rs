//! A question on its way to an answer: passages, quotes, the LLM's verdict, its sentences checked.

use std::ops::ControlFlow;
use std::time::Instant;

use super::prompt::{Prompts, Template};
use super::quote::{Quote, quotes, quotes_from};
use super::reader::{Reader, Reading};
use super::signals::{Likelihood, SentenceSignals, Signals, signals};
use super::{
    AbstainReason, Answer, AnswerOptions, AnswerSentence, AnswerStatus, DropReason, OnSaid, Said,
    Timings, Usage, joined,
};
use crate::answer::cite::{self, Evidence, Sentences};
use crate::answer::conversation::is_bare;
use crate::base::error::Result;
use crate::base::{Cancel, Document, DocumentId};
use crate::infer::details::DetailKind;
use crate::infer::schema::Schema;
use crate::infer::{Embedder, Finish, Generated, Generator, Prompt, Purpose, Sampling};
use crate::retrieve::{self, Look, Passage, Retrieved};

/// What the LLM replies to a question that it is to say yes or no to.
const REPLIES: [&str; 2] = ["Yes", "No"];

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
        let quotes = quotes(&passages, &scored);
        Ok(Prepared { passages, quotes, signals, left_out, ms: [retrieval_ms, self.elapsed()] })
    }

    /// An answer without any sentence yet.
    fn unanswered(&self, prepared: Prepared) -> Answer {
        let Prepared { passages, quotes, signals, left_out, ms: [retrieval_ms, quotes_ms] } =
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
        let mut answer = self.unanswered(prepared);
        answer.model = generator.fingerprint().0.get("generator").cloned();
        cancel.check()?;
        let prompts = self.template.over(self.question, &answer.passages);
        answer.timings.prepared_ms = self.elapsed();
        let odds = log_odds(generator, &prompts.verdict()?, cancel)?;
        answer.signals.verdict = Some(odds);
        answer.confidence = answer.signals.probability();
        cancel.check()?;
        if answer.confidence < self.options.caution.least() && !self.is_named(&answer.signals) {
            answer.abstain_reason = Some(AbstainReason::LowConfidence);
        } else if let Some(schema) = self.schema {
            self.fill(schema, &mut answer, &prompts, (generator, cancel), on_said)?;
        } else {
            self.write(&mut answer, &prompts, generator, cancel, on_said)?;
        }
        answer.timings.total_ms = self.elapsed();
        Ok(answer)
    }

    /// Whether an answer is to take no longer.
    fn is_late(&self) -> bool {
        self.options.time().is_some_and(|time| self.start.elapsed() >= time)
    }

    /// Whether no more than a topic is given, and a sentence has all of its words: what is said there
    /// is what is wanted, however far from it the sections are as a whole.
    fn is_named(&self, signals: &Signals) -> bool {
        signals.nearby > 0.99 && is_bare(self.question)
    }

    /// Whether quotes may be an answer.
    fn is_quotable(&self, answer: &Answer, quotes: &[Quote]) -> bool {
        let has_figure = |quote: &Quote| cite::adds_figure(&quote.text, self.question);
        (answer.confidence >= self.options.caution.quotes() || self.is_named(&answer.signals))
            && !quotes.is_empty()
            && (!cite::asks_for_figure(self.question) || quotes.iter().any(has_figure))
    }

    /// Has the LLM write, and keeps what holds.
    fn write(
        &self,
        answer: &mut Answer,
        prompts: &Prompts<'_>,
        generator: &mut dyn Generator,
        cancel: &Cancel,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        let options = self.options;
        let sampling = Sampling {
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: vec![],
            schema: None,
        };
        let mut reader = Reader::new(&answer.passages, self.question, options);
        let mut cutter = Sentences::default();
        let mut likelihood = Likelihood::default();
        let mut failure = None;
        let mut first_token_ms = 0;
        let generation = generator.generate(&prompts.answer()?, &sampling, &mut |piece| {
            if first_token_ms == 0 && !piece.text.trim().is_empty() {
                first_token_ms = self.elapsed();
            }
            likelihood.push(&piece);
            let complete = cutter.push(piece.text);
            let written = match complete.is_empty() {
                true => SentenceSignals::default(),
                false => likelihood.until(cutter.pending()),
            };
            for sentence in complete {
                match reader.read(&sentence, written, on_said) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            let is_over = cancel.is_raised() || self.is_late() && reader.has_sentences();
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        cancel.check()?;
        if let Some(rest) = cutter.finish() {
            let written = likelihood.until(0);
            match generation.finish {
                Finish::Stop => {
                    let _ = reader.read(&rest, written, on_said)?;
                }
                Finish::Length => reader.drop(&rest, DropReason::Unfinished, on_said)?,
                Finish::Cancelled => {}
            }
        }
        let mut ask = |sentence: &str| log_odds(generator, &prompts.support(sentence)?, cancel);
        let Reading { sentences, dropped, places } = reader.end(&mut ask, on_said)?;
        let quotes = quotes_from(self.question, &places, &answer.passages, &answer.quotes);
        answer.note(&generation, first_token_ms);
        let declined = dropped.iter().any(|sentence| sentence.why == DropReason::Declines);
        answer.dropped = dropped;
        if !sentences.is_empty() {
            answer.status = AnswerStatus::Answered;
            answer.answer = joined(&sentences);
            answer.sentences = sentences;
        } else if declined {
            answer.abstain_reason = Some(AbstainReason::Declined);
        } else if !self.escalates && self.is_quotable(answer, &quotes) {
            answer.quote(&quotes);
            for sentence in &answer.sentences {
                on_said(Said::Sentence(sentence))?;
            }
        } else {
            answer.abstain_reason = Some(AbstainReason::Unsupported);
        }
        Ok(())
    }
}

/// How much likelier the LLM is to go on with yes than with no, as the natural logarithm.
fn log_odds(generator: &mut dyn Generator, prompt: &Prompt, cancel: &Cancel) -> Result<f32> {
    let mut go_on =
        || if cancel.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let scores = generator.score(prompt, &REPLIES, &mut go_on)?;
    Ok(match scores[..] {
        [yes, no] => (yes - no) as f32,
        _ => 0.0,
    })
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
    fn quote(&mut self, quotes: &[Quote]) {
        self.sentences = quotes
            .iter()
            .map(|quote| AnswerSentence {
                text: quote.marked(),
                citations: vec![quote.n],
                evidence: vec![Evidence { n: quote.n, range: quote.range.clone(), coverage: 1.0 }],
                signals: None,
            })
            .collect();
        self.quoted = !self.sentences.is_empty();
        if self.quoted {
            self.status = AnswerStatus::Answered;
            self.answer = joined(&self.sentences);
        } else {
            self.abstain_reason = Some(AbstainReason::NothingFound);
        }
    }
}
