//! Answers kept in the library.

use jiff::Timestamp;

use super::{AnswerShape, json};
use crate::answer::Answer;
use crate::base::error::Result;
use crate::engine::KnowledgeBase;
use crate::library::NewAnswer;

/// Keeps an answer, of a conversation or alone, and returns its number; `None` if it is alone and
/// none are to be kept (`answer.history`), or if the library is for reading only.
///
/// # Errors
/// If the library can't be written.
pub fn keep(
    kb: &KnowledgeBase,
    conversation: Option<i64>,
    question: &str,
    answer: &Answer,
) -> Result<Option<i64>> {
    let history = kb.config().answer.history;
    let Some(library) = kb.existing_library()? else { return Ok(None) };
    if library.is_read_only() || (conversation.is_none() && history == 0) {
        return Ok(None);
    }
    let shape = json::line(&AnswerShape::new(question, &kb.config().models.generator, answer))?;
    let standalone = answer.standalone.as_deref();
    let new = NewAnswer { conversation, question, standalone, answer: &shape };
    library.keep_answer(&new, history, Timestamp::now()).map(Some)
}
