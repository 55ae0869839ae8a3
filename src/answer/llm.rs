//! What an LLM says of a question's passages, by how likely it finds a yes.

use std::ops::ControlFlow;

use super::prompt::Prompts;
use super::quote::{Judged, Quote};
use crate::base::Cancel;
use crate::base::error::Result;
use crate::infer::{Generator, Prompt};

/// What the LLM replies to a question that it is to say yes or no to.
const REPLIES: [&str; 2] = ["Yes", "No"];

/// The highest log-odds of some quotes.
pub(super) fn most(judged: &[Judged]) -> Option<f32> {
    judged.iter().map(|(_, odds)| *odds).reduce(f32::max)
}

/// An LLM that is asked about a question's passages.
pub(super) struct Llm<'a> {
    pub prompts: &'a Prompts<'a>,
    pub generator: &'a mut dyn Generator,
    pub cancel: &'a Cancel,
}

impl Llm<'_> {
    /// How much likelier it is to go on with yes than with no, as the natural logarithm.
    pub(super) fn odds(&mut self, prompt: &Prompt) -> Result<f32> {
        let is_over = || self.cancel.is_raised();
        let mut go_on =
            || if is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let scores = self.generator.score(prompt, &REPLIES, &mut go_on)?;
        Ok(match scores[..] {
            [yes, no] => (yes - no) as f32,
            _ => 0.0,
        })
    }

    /// Adds those of some quotes that were not judged yet, each with the log-odds that it answers.
    pub(super) fn judge(&mut self, quotes: &[Quote], judged: &mut Vec<Judged>) -> Result<()> {
        for quote in quotes {
            let is_it = |known: &Quote| known.n == quote.n && known.range == quote.range;
            match judged.iter_mut().find(|(known, _)| is_it(known)) {
                // It may be worth more by now.
                Some((known, _)) => known.score = known.score.max(quote.score),
                None => {
                    let odds = self.odds(&self.prompts.quote(&quote.text)?)?;
                    judged.push((quote.clone(), odds));
                }
            }
        }
        Ok(())
    }
}
