//! Sentences of anybody's draft, each against what the articles say.

use std::ops::Range;

use crate::answer::cite::{Evidence, Missing};
use crate::retrieve::Passage;

/// A sentence of a draft, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Bytes of the draft.
    pub range: Range<usize>,
    /// The sentence.
    pub text: String,
    /// What was found for it.
    pub verdict: Verdict,
    /// The sections that it was checked against, best first; evidence names them by number.
    pub passages: Vec<Passage>,
}

/// Whether the articles support a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// These places support it, best first.
    Supported(Vec<Evidence>),
    /// The words don't tell; these places come nearest.
    Unsure(Vec<Evidence>),
    /// None does; what is missing in the passage that comes nearest.
    Unsupported(Missing),
    /// It makes no claim that could be checked: a heading, a question, a greeting.
    NoClaim,
}
