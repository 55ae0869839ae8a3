//! Questions that follow up on earlier ones.

use crate::base::ChunkId;

/// A question of a conversation that was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// As it was asked.
    pub question: String,
    /// As it was searched for, where it followed up on an earlier one.
    pub standalone: Option<String>,
    /// What was answered, without marks; empty if the articles did not say, or if it isn't known.
    pub answer: String,
    /// Titles of the articles that the answer cites, best first; empty if they aren't known.
    pub titles: Vec<String>,
    /// Chunks that its passages were made of; they stay candidates. Empty if they aren't known.
    pub chunks: Vec<ChunkId>,
}
