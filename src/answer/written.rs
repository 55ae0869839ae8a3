//! What an LLM writes → sentences that hold, and the sentences of the passages that the LLM says answer:
//! below them, or in their stead.

use std::ops::ControlFlow;

use super::asked::Asked;
use super::cite::Sentences;
use super::llm::{Llm, most};
use super::quote::{self, Judged, Quote};
use super::reader::{Place, Reader, Reading};
use super::{AbstainReason, Answer, AnswerStatus, DropReason, OnSaid, Said, joined};
use crate::base::error::Result;
use crate::infer::{Finish, Sampling};

impl Asked<'_> {
    /// Has the LLM write, and keeps what holds; some of the `candidates` may have been judged before.
    pub(super) fn say(
        &self,
        candidates: &[Quote],
        mut judged: Vec<Judged>,
        answer: &mut Answer,
        llm: &mut Llm<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        let places = self.write(answer, llm, on_said)?;
        if answer.abstain_reason.is_some() {
            return Ok(());
        }
        let quotes = quote::with_places(self.question, candidates, &places, &answer.passages);
        if answer.sentences.is_empty() {
            return self.fall_back(&quotes, judged, answer, llm, on_said);
        }
        if self.is_late() || answer.sentences.len() >= self.options.max_sentences {
            return Ok(());
        }
        llm.judge(&quotes, &mut judged)?;
        answer.signals.quote = most(&judged);
        if let Some(quote) = quote::evidence(&answer.sentences, judged) {
            let sentence = quote.as_sentence();
            on_said(Said::Sentence(&sentence))?;
            answer.sentences.push(sentence);
            answer.answer = joined(&answer.sentences);
        }
        Ok(())
    }

    /// Whether an answer is to take no longer.
    fn is_late(&self) -> bool {
        self.options.time().is_some_and(|time| self.start.elapsed() >= time)
    }

    /// Answers by those of some quotes that the LLM says answer, unless it is too unlikely that any
    /// does. Some may have been judged before.
    fn fall_back(
        &self,
        quotes: &[Quote],
        mut judged: Vec<Judged>,
        answer: &mut Answer,
        llm: &mut Llm<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        let is_named = self.is_named(&answer.signals);
        let is_likely = answer.confidence >= self.options.caution.quotes() || is_named;
        if self.escalates || !is_likely {
            answer.abstain_reason = Some(AbstainReason::Unsupported);
            return Ok(());
        }
        llm.judge(quotes, &mut judged)?;
        answer.signals.quote = most(&judged);
        judged.retain(|(quote, odds)| {
            quotes.iter().any(|one| one.text == quote.text)
                && (is_named || *odds >= self.options.caution.quote_odds())
        });
        answer.quote(&quote::chosen(self.question, judged));
        for sentence in &answer.sentences {
            on_said(Said::Sentence(sentence))?;
        }
        if answer.sentences.is_empty() {
            answer.abstain_reason = Some(AbstainReason::Unsupported);
        }
        Ok(())
    }

    /// Has the LLM write, and keeps what holds. The places of that, or of what may not hold if nothing
    /// does.
    fn write(
        &self,
        answer: &mut Answer,
        llm: &mut Llm<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Vec<Place>> {
        let (cancel, options) = (llm.cancel, self.options);
        let sampling = Sampling {
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: vec![],
            schema: None,
        };
        let cosine = answer.signals.cosine;
        let mut reader = Reader::new(&answer.passages, self.question, cosine, options);
        let mut cutter = Sentences::default();
        let mut failure = None;
        let mut first_token_ms = 0;
        let prompt = llm.prompts.answer()?;
        let generation = llm.generator.generate(&prompt, &sampling, &mut |piece| {
            if first_token_ms == 0 && !piece.text.trim().is_empty() {
                first_token_ms = self.elapsed();
            }
            for sentence in cutter.push(piece.text) {
                match reader.read(&sentence, on_said) {
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
            match generation.finish {
                Finish::Stop => {
                    let _ = reader.read(&rest, on_said)?;
                }
                Finish::Length => reader.drop(&rest, DropReason::Unfinished, on_said)?,
                Finish::Cancelled => {}
            }
        }
        let mut ask = |sentence: &str| llm.odds(&llm.prompts.support(sentence)?);
        let Reading { sentences, dropped, places } = reader.end(&mut ask, on_said)?;
        answer.note(&generation, first_token_ms);
        let declined = dropped.iter().any(|sentence| sentence.why == DropReason::Declines);
        answer.dropped = dropped;
        if !sentences.is_empty() {
            answer.status = AnswerStatus::Answered;
            answer.answer = joined(&sentences);
            answer.sentences = sentences;
        } else if declined {
            answer.abstain_reason = Some(AbstainReason::Declined);
        }
        Ok(places)
    }
}
