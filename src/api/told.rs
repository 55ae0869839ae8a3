//! Shapes of what an answer tells on its way.

use serde::Serialize;

use super::PassageShape;
use crate::answer::{AbstainReason, Quote};
use crate::retrieve::Passage;

/// The question as it is searched for; event `standalone`.
#[derive(Debug, Serialize)]
pub struct StandaloneShape<'a> {
    /// The question.
    pub standalone: &'a str,
}

/// The sections that are read; event `passages`.
#[derive(Debug, Serialize)]
pub struct PassagesShape<'a> {
    /// As in the answer.
    pub passages: Vec<PassageShape<'a>>,
}

impl<'a> PassagesShape<'a> {
    /// The JSON shape of passages.
    pub fn new(passages: &'a [Passage]) -> PassagesShape<'a> {
        PassagesShape { passages: passages.iter().map(PassageShape::new).collect() }
    }
}

/// The sentences that answer best; event `quotes`.
#[derive(Debug, Serialize)]
pub struct QuotesShape<'a> {
    /// As in the answer.
    pub quotes: &'a [Quote],
}

/// That the articles don't say; event `abstained`.
#[derive(Debug, Serialize)]
pub struct AbstainedShape {
    /// Why.
    pub abstain_reason: Option<AbstainReason>,
}
