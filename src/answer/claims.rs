//! Sentences of anybody's draft, each against what the articles say. Pure.

mod draft;

use std::ops::Range;

use serde::Serialize;

use crate::answer::cite::{Checker, Evidence, Missing, Support, SupportOptions};
use crate::retrieve::Passage;

pub use draft::{MAX_DRAFT_BYTES, MAX_SENTENCES, Sentence, read};

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

/// How many sentences of a draft have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Supported.
    pub supported: usize,
    /// The words don't tell.
    pub unsure: usize,
    /// Not supported.
    pub unsupported: usize,
    /// Those that make no claim.
    pub no_claim: usize,
}

impl Count {
    /// Counts the sentences of a draft.
    pub fn of(claims: &[Claim]) -> Count {
        let mut count = Count::default();
        for claim in claims {
            match claim.verdict {
                Verdict::Supported(_) => count.supported += 1,
                Verdict::Unsure(_) => count.unsure += 1,
                Verdict::Unsupported(_) => count.unsupported += 1,
                Verdict::NoClaim => count.no_claim += 1,
            }
        }
        count
    }

    /// Whether the articles support all that is claimed.
    pub fn all_hold(&self) -> bool {
        self.unsure + self.unsupported == 0
    }
}

/// What passages say of a sentence: all of it must stand there, for nothing was asked.
pub fn judge(said: &str, passages: &[Passage], options: SupportOptions) -> Verdict {
    match Checker::alone(passages, options).check(said) {
        Support::Supported { evidence } => Verdict::Supported(evidence),
        Support::Unsure { evidence } => Verdict::Unsure(evidence),
        Support::Unsupported { missing: Missing::Content } | Support::Declines => Verdict::NoClaim,
        Support::Unsupported { missing } => Verdict::Unsupported(missing),
    }
}
