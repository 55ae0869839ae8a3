//! What a model was told so far, and how it is told more: what a prompt has in common with the one
//! before is not computed again.

use std::ops::ControlFlow;

use super::transformer::Transformer;
use crate::base::error::{Error, ErrorKind, Result};

/// Tokens of a prompt that go through the model at once: enough that the weights, unpacked, serve
/// many, and few enough that a pass can be broken off between its layers.
pub(super) const PREFILL: usize = 128;

/// Says whether to go on; asked several times a second.
pub(super) type GoOn<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// What generating asks of a model; a test has one whose scores it knows.
pub trait Model {
    /// Whether it costs nothing to forget. Where it does, nothing is guessed ahead.
    const FORGETS_FREELY: bool = true;

    /// Positions that it holds keys and values of.
    fn len(&self) -> usize;
    /// Forgets the positions from `len` on.
    fn truncate(&mut self, len: usize);
    /// Scores after the last of `tokens`, `[vocabulary]`; `None` if `go_on` broke it off, and then the
    /// model holds what it held before.
    fn forward_while(
        &mut self,
        tokens: &[u32],
        go_on: GoOn<'_>,
    ) -> candle_core::Result<Option<Vec<f32>>>;
    /// Scores after each of `tokens`, `[tokens, vocabulary]`.
    fn forward_each(&mut self, tokens: &[u32]) -> candle_core::Result<Vec<f32>>;
    /// Keys and values of the first `len` positions.
    fn export(&self, len: usize) -> Vec<u8>;
    /// Takes what [`Model::export`] gave; `false` if it does not fit.
    fn import(&mut self, len: usize, bytes: &[u8]) -> bool;
}

impl Model for Transformer {
    fn len(&self) -> usize {
        Transformer::len(self)
    }

    fn truncate(&mut self, len: usize) {
        Transformer::truncate(self, len);
    }

    fn forward_while(
        &mut self,
        tokens: &[u32],
        go_on: GoOn<'_>,
    ) -> candle_core::Result<Option<Vec<f32>>> {
        Transformer::forward_while(self, tokens, go_on)
    }

    fn forward_each(&mut self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        Transformer::forward_each(self, tokens)
    }

    fn export(&self, len: usize) -> Vec<u8> {
        Transformer::export(self, len)
    }

    fn import(&mut self, len: usize, bytes: &[u8]) -> bool {
        Transformer::import(self, len, bytes)
    }
}

/// A model together with the tokens that it was told.
pub(super) struct Context<'a, M> {
    pub(super) model: &'a mut M,
    /// The tokens whose keys and values the model holds; empty while a forward pass is under way, so
    /// that one which fails or panics leaves nothing that is believed.
    pub(super) told: &'a mut Vec<u32>,
    /// What errors call the model.
    pub(super) name: &'a str,
}

/// How many tokens two lists begin with in common.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl<M: Model> Context<'_, M> {
    /// How many of the first tokens of a prompt are held.
    pub(super) fn holds(&mut self, tokens: &[u32]) -> usize {
        if self.told.len() != self.model.len() {
            self.truncate(0);
        }
        common(self.told, tokens)
    }

    /// Forgets all but the first `len` tokens.
    pub(super) fn truncate(&mut self, len: usize) {
        self.told.truncate(len);
        self.model.truncate(len);
    }

    /// Makes the model hold `tokens` and nothing else, and gives the scores of the token after them;
    /// `None` if it was broken off by `go_on`.
    ///
    /// # Errors
    /// If the model fails.
    pub(super) fn tell(&mut self, tokens: &[u32], go_on: GoOn<'_>) -> Result<Option<Vec<f32>>> {
        // The last token goes through the model in any case, for what comes after it.
        let held = self.holds(tokens).min(tokens.len().saturating_sub(1));
        self.truncate(held);
        let mut scores = None;
        for piece in tokens[held..].chunks(PREFILL) {
            let Some(after) = self.forward_while(piece, go_on)? else { return Ok(None) };
            scores = Some(after);
        }
        Ok(scores)
    }

    /// Scores of the token after the last of `tokens`, which follow what the model was told.
    ///
    /// # Errors
    /// If the model fails; then everything is forgotten.
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let scores = self.forward_while(tokens, &mut || ControlFlow::Continue(()))?;
        scores.ok_or_else(|| Error::new(ErrorKind::Bug, "a pass was broken off by nobody"))
    }

    /// The same, unless `go_on` breaks it off: then nothing is told.
    ///
    /// # Errors
    /// As [`Context::forward`].
    fn forward_while(&mut self, tokens: &[u32], go_on: GoOn<'_>) -> Result<Option<Vec<f32>>> {
        self.run(tokens, |model, tokens| model.forward_while(tokens, go_on))
    }

    /// Scores of the token after each of `tokens`, `[tokens, vocabulary]`.
    ///
    /// # Errors
    /// As [`Context::forward`].
    pub(super) fn forward_each(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let each = self.run(tokens, |model, tokens| model.forward_each(tokens).map(Some))?;
        each.ok_or_else(|| Error::new(ErrorKind::Bug, "a pass was broken off by nobody"))
    }

    fn run(
        &mut self,
        tokens: &[u32],
        forward: impl FnOnce(&mut M, &[u32]) -> candle_core::Result<Option<Vec<f32>>>,
    ) -> Result<Option<Vec<f32>>> {
        let mut told = std::mem::take(self.told);
        match forward(self.model, tokens) {
            Ok(scores) => {
                if scores.is_some() {
                    told.extend_from_slice(tokens);
                }
                *self.told = told;
                Ok(scores)
            }
            Err(error) => {
                self.model.truncate(0);
                Err(Error::new(ErrorKind::Model, format!("{} failed", self.name))
                    .caused_by(error.to_string()))
            }
        }
    }

    /// Keys and values of the first `len` tokens.
    pub(super) fn export(&self, len: usize) -> Vec<u8> {
        self.model.export(len)
    }

    /// Makes the model hold `tokens` by what was exported of them, and nothing else; `false` if it
    /// does not fit, and then the model holds nothing.
    pub(super) fn import(&mut self, tokens: &[u32], bytes: &[u8]) -> bool {
        self.truncate(0);
        if !self.model.import(tokens.len(), bytes) || self.model.len() != tokens.len() {
            self.truncate(0);
            return false;
        }
        self.told.extend_from_slice(tokens);
        true
    }
}
