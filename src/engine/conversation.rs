//! Questions of a conversation.

use super::ask::Asking;
use super::{KnowledgeBase, Question};
use crate::answer::conversation::{Rewriting, Turn, standalone};
use crate::answer::{Answer, OnSaid, Said};
use crate::base::Watch;
use crate::base::error::Result;
use crate::retrieve::check_question;

impl KnowledgeBase {
    /// Answers a question that may follow up on earlier ones of a conversation, which `turns` holds
    /// in their order. One that does is made to stand alone, said ([`Said::Standalone`]) and searched
    /// for as that. Earlier answers are never evidence; what the last one rested on stays a candidate.
    ///
    /// # Errors
    /// As [`KnowledgeBase::ask`].
    pub fn ask_in(
        &self,
        question: &Question<'_>,
        turns: &[Turn],
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        self.check_llm()?;
        let found = self.standalone(question, turns, watch)?;
        self.followed(question, turns, found, on_said, |asking, on_said| {
            self.ask_of(asking, watch, on_said)
        })
    }

    /// As [`KnowledgeBase::ask_in`], by the sentences that answer best; no LLM is loaded.
    ///
    /// # Errors
    /// As [`KnowledgeBase::quote`].
    pub fn quote_in(
        &self,
        question: &Question<'_>,
        turns: &[Turn],
        watch: &Watch<'_>,
    ) -> Result<Answer> {
        let text = check_question(question.text)?;
        let found = standalone(text, turns).map(|found| found.text);
        self.followed(question, turns, found, &mut |_| Ok(()), |asking, _| {
            self.quote_of(asking, watch)
        })
    }

    /// What a question means after these turns, by rules, and by the LLM where they can't make it
    /// whole; `None` if it is to be taken as it is.
    ///
    /// # Errors
    /// If it can't be asked, or the LLM fails or is stopped.
    pub fn standalone(
        &self,
        question: &Question<'_>,
        turns: &[Turn],
        watch: &Watch<'_>,
    ) -> Result<Option<String>> {
        let text = check_question(question.text)?;
        let Some(by_rules) = standalone(text, turns) else { return Ok(None) };
        if by_rules.is_whole {
            return Ok(Some(by_rules.text));
        }
        let rewriting = Rewriting { question: text, turns };
        let by_llm =
            self.with_llm(None, watch, |generator| rewriting.ask(generator, watch.cancel))?;
        Ok(Some(by_llm.unwrap_or(by_rules.text)))
    }

    /// Asks for what a question means, and says in the answer that it was.
    fn followed(
        &self,
        question: &Question<'_>,
        turns: &[Turn],
        found: Option<String>,
        on_said: OnSaid<'_>,
        ask: impl FnOnce(&Asking<'_>, OnSaid<'_>) -> Result<Answer>,
    ) -> Result<Answer> {
        let Some(text) = found else {
            return ask(&Asking { question, seen: &[], schema: None }, on_said);
        };
        on_said(Said::Standalone(&text))?;
        let seen = turns.last().map_or(&[][..], |turn| &turn.seen);
        let question = Question { text: &text, ..*question };
        let answer = ask(&Asking { question: &question, seen, schema: None }, on_said)?;
        Ok(Answer { standalone: Some(text), ..answer })
    }
}
