//! Models at work: the traits `Embedder` and `Generator`, and what implements them.
//!
//! Both are synchronous and small, and have one contract suite each in `tests/it/contract.rs` that
//! all implementations pass.

pub mod bert;
pub mod details;
pub mod llm;
pub mod schema;
pub mod sentences;

use std::ops::{ControlFlow, Range};

use crate::base::error::Result;
use crate::base::{CacheUse, Fingerprint};
use schema::Schema;

/// What a text is embedded for; some models put another prefix before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A chunk to be found.
    Passage,
    /// A question to find with.
    Query,
}

/// A token of a text, as the model understands it there.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Its last hidden state, of length 1.
    pub state: Vec<f32>,
}

/// A text's vector with what it was made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    /// As [`Embedder::embed`] gives it.
    pub vector: Vec<f32>,
    /// Its tokens in order, without special ones and the prefix.
    pub tokens: Vec<Token>,
}

/// Turns texts into unit vectors.
pub trait Embedder: Send + Sync {
    /// Model, weights, pooling and prefixes: everything that decides a vector besides its text.
    fn fingerprint(&self) -> Fingerprint;

    /// Dimensions of every vector.
    fn dimensions(&self) -> usize;

    /// Tokens that a text may have, special tokens and prefix included.
    fn max_tokens(&self) -> usize;

    /// Tokens of `text` for a purpose, special tokens and prefix included.
    ///
    /// # Errors
    /// If the tokenizer fails.
    fn count_tokens(&self, text: &str, purpose: Purpose) -> Result<usize>;

    /// One vector of length 1 a text, in their order, `[texts, dimensions]`. A vector does not
    /// depend on the other texts of the call (cosine ≥ 0.9999).
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::TooLong`] if a text is over [`Embedder::max_tokens`]: nothing is
    /// ever cut.
    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>>;

    /// The same vectors, each with the text's tokens.
    ///
    /// # Errors
    /// As [`Embedder::embed`].
    fn embed_tokens(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Embedding>>;
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions, best the same for many prompts: what they begin with is computed once.
    System,
    /// The question with its passages.
    User,
    /// What the LLM says.
    Assistant,
}

/// One message of a prompt. Its content is data: a chat-template token in it is plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What the LLM is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// In order; laid out by the model's own chat template.
    pub messages: Vec<Message>,
    /// The beginning of the assistant's turn, which the LLM goes on from; not part of its output.
    pub opening: String,
}

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Tokens at the most.
    pub max_tokens: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// For temperatures above 0: equal seeds give equal text.
    pub seed: u64,
    /// Texts that end the generation; not part of the output.
    pub stop: Vec<String>,
    /// The output is JSON of this schema, on one line, and ends with it ([`Finish::Stop`]). Where it
    /// is cut off ([`Finish::Length`]), it is the beginning of such.
    pub schema: Option<Schema>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The LLM said its end token, or a stop text.
    Stop,
    /// `max_tokens` were used, or the context was full.
    Length,
    /// The caller broke it off.
    Cancelled,
}

/// What was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// All of it, without the opening.
    pub text: String,
    /// Tokens of the prompt as the LLM got it.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
    /// Tokens that were guessed ahead of the LLM, from the text so far; it checks several for little
    /// more than the price of one.
    pub drafted: usize,
    /// The natural logarithm of how likely the tokens were that were generated, their probabilities
    /// multiplied; one that ended it without being text is among them.
    pub log_probability: f64,
    /// Guesses that were right. They are part of the tokens generated, which are the same without.
    pub accepted: usize,
    /// Why it ended.
    pub finish: Finish,
}

impl Generated {
    /// One that has said nothing yet.
    pub(crate) fn empty(prompt_tokens: usize, finish: Finish) -> Generated {
        Generated {
            text: String::new(),
            prompt_tokens,
            completion_tokens: 0,
            log_probability: 0.0,
            drafted: 0,
            accepted: 0,
            finish,
        }
    }
}

/// A piece of text as it is generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written<'a> {
    /// Whole characters; none while the prompt is read, or where a token ends within one.
    pub text: &'a str,
    /// The natural logarithm of how likely the token was that it comes with; `None` if none does.
    pub log_probability: Option<f64>,
}

/// A local LLM.
pub trait Generator: Send {
    /// The model and its weights, as `qwen2.5-coder-1.5b-instruct-q4_k_m@cc324af0…`.
    fn fingerprint(&self) -> Fingerprint;

    /// Tokens that prompt and answer may have together.
    fn context_tokens(&self) -> usize;

    /// Tokens of `text` as plain text.
    ///
    /// # Errors
    /// If the tokenizer fails.
    fn count_tokens(&self, text: &str) -> Result<usize>;

    /// Goes on from the prompt; `on_piece` gets each piece of whole characters as it comes, and may
    /// break off. The pieces joined are [`Generated::text`].
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::TooLong`] if the prompt leaves no room in the context.
    fn generate(
        &mut self,
        prompt: &Prompt,
        sampling: &Sampling,
        on_piece: &mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
    ) -> Result<Generated>;

    /// The natural logarithm of how likely the LLM is to go on from the prompt with each of some
    /// texts, its tokens' probabilities multiplied: 0 is certain. A text is not taken to end there,
    /// and an empty one is certain. Later calls give what they would have given without this one.
    /// `go_on` is asked several times a second.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::TooLong`] if the prompt leaves no room in the context,
    /// [`crate::base::error::ErrorKind::Interrupted`] if `go_on` breaks it off.
    fn score(
        &mut self,
        prompt: &Prompt,
        continuations: &[&str],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<f64>>;

    /// The tokens of all prompts since it was loaded: those that it held from the prompt before or
    /// from a kept beginning, and those that it had to read.
    fn prompt_tokens(&self) -> CacheUse;
}
