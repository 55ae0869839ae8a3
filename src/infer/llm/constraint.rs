//! What may come next where the output must follow a schema: the tokens that its grammar allows.

use std::sync::Arc;

use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};

use super::vocabulary::Vocabulary;
use crate::base::error::{Error, ErrorKind, Result};
use crate::infer::schema::{Schema, limits};

/// A model's vocabulary as grammars need it, made once.
pub(super) struct Grammars {
    factory: ParserFactory,
}

impl Grammars {
    /// For a model whose output ends with any of some tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it has no such token, or its vocabulary can't be read.
    pub(super) fn new(vocabulary: &Arc<Vocabulary>, ends: &[u32]) -> Result<Grammars> {
        let unusable = |why: String| {
            Error::new(ErrorKind::Model, "this LLM can't be held to a schema").caused_by(why)
        };
        let words = vocabulary.bytes();
        let size = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let ends: Vec<u32> = ends.iter().copied().filter(|end| *end < size).collect();
        let Some(end) = ends.first() else {
            return Err(unusable("it has no token that ends a text".to_owned()));
        };
        let trie = TokTrie::from(&TokRxInfo::new(size, *end), &words).with_eos_tokens(&ends);
        // Where a text begins with a blank that it does not have, tokens of a part of one are others.
        let is_canonical =
            vocabulary.plain("a").is_ok_and(|tokens| trie.decode_raw(&tokens) == b"a");
        let tokens: TokEnv =
            Arc::new(Tokens { trie, vocabulary: Arc::clone(vocabulary), is_canonical });
        let capabilities = InferenceCapabilities::default();
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&tokens, capabilities, &slices)
            .map_err(|error| unusable(error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(Grammars { factory })
    }

    /// What follows a schema, from its beginning.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if that takes too much.
    pub(super) fn follow(&self, schema: &Schema) -> Result<Constraint> {
        let matcher = Matcher::new(self.factory.create_parser(schema.grammar()));
        match matcher.get_error() {
            Some(error) => Err(too_much(&error)),
            None => Ok(Constraint { matcher }),
        }
    }
}

fn too_much(error: &str) -> Error {
    let why = error.lines().next().unwrap_or_default().to_owned();
    Error::new(ErrorKind::TooLarge, "the schema takes too much to follow")
        .caused_by(why)
        .hint("make it simpler: fewer patterns and choices")
}

/// An output that follows a schema, as far as it has come.
pub(super) struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// The scores of the next token with those that may not come so low that none is chosen.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if it takes too much to tell.
    pub(super) fn allowed(&mut self, scores: &[f32]) -> Result<Vec<f32>> {
        let mask = self.matcher.compute_mask().map_err(|error| too_much(&error.to_string()))?;
        // A model may have scores of tokens that its vocabulary does not have.
        let is_allowed = |token: usize| token < mask.len() && mask.get(token);
        let each = scores.iter().enumerate();
        let floor = f32::NEG_INFINITY;
        Ok(each.map(|(token, score)| if is_allowed(token) { *score } else { floor }).collect())
    }

    /// Takes a token that is allowed.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if it takes too much to go on.
    pub(super) fn take(&mut self, token: u32) -> Result<()> {
        self.matcher.consume_token(token).map_err(|error| too_much(&error.to_string()))
    }

    /// Takes the tokens that come next whatever the LLM says; there may be none.
    ///
    /// # Errors
    /// As [`Constraint::take`].
    pub(super) fn forced(&mut self) -> Result<Vec<u32>> {
        let tokens = self.matcher.consume_ff_tokens();
        match self.matcher.get_error() {
            Some(error) => Err(too_much(&error)),
            None => Ok(tokens),
        }
    }

    /// Whether it is whole, and nothing more may come.
    pub(super) fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }
}

struct Tokens {
    trie: TokTrie,
    vocabulary: Arc<Vocabulary>,
    is_canonical: bool,
}

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let text = std::str::from_utf8(bytes).ok();
        let tokens = text.and_then(|text| self.vocabulary.plain(text).ok());
        // Some vocabularies write a character in another way than it came.
        let same = tokens.filter(|tokens| self.trie.decode_raw(tokens) == bytes);
        same.unwrap_or_else(|| self.trie.greedy_tokenize(bytes))
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.is_canonical
    }
}
