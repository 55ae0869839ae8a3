//! Questions of a conversation.

use super::{KnowledgeBase, Question};
use crate::answer::conversation::Turn;
use crate::answer::{Answer, OnSaid};
use crate::base::Watch;
use crate::base::error::Result;

impl KnowledgeBase {
    /// Answers a question that may follow up on earlier ones of a conversation, which `turns` holds
    /// in their order. Earlier answers are never evidence.
    ///
    /// # Errors
    /// As [`KnowledgeBase::ask`].
    pub fn ask_in(
        &self,
        question: &Question<'_>,
        _turns: &[Turn],
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        self.ask(question, watch, on_said)
    }

    /// As [`KnowledgeBase::ask_in`], by the sentences that answer best; no LLM is loaded.
    ///
    /// # Errors
    /// As [`KnowledgeBase::quote`].
    pub fn quote_in(
        &self,
        question: &Question<'_>,
        _turns: &[Turn],
        watch: &Watch<'_>,
    ) -> Result<Answer> {
        self.quote(question, watch)
    }
}
