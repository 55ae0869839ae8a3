//! The JSON shape of a checked draft.

use serde::Serialize;

use crate::answer::claims::Claim;

/// A checked draft; schema `schema/cite.json`.
#[derive(Debug, Serialize)]
pub struct ClaimsShape<'a> {
    /// The draft.
    pub text: &'a str,
}

impl<'a> ClaimsShape<'a> {
    /// The JSON shape of a checked draft.
    pub fn new(text: &'a str, _claims: &'a [Claim]) -> ClaimsShape<'a> {
        ClaimsShape { text }
    }
}
