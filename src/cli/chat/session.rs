//! A conversation that is going on: its turns, its filter, and where its answers are kept.

use jiff::Timestamp;

use super::no_conversation;
use crate::answer::conversation::Turn;
use crate::answer::{Answer, OnSaid};
use crate::api;
use crate::base::Filter;
use crate::base::error::Result;
use crate::cli::app::App;
use crate::engine::Question;
use crate::source::fetch::Source;

/// A conversation.
pub(in crate::cli) struct Session<'a, 'b> {
    pub app: &'a App<'b>,
    pub filter: Filter,
    /// Sources that the filter names and that are read before the next question.
    sources: Vec<Source>,
    /// Answers by quotes alone.
    pub quotes: bool,
    /// What was asked and answered so far.
    pub turns: Vec<Turn>,
    /// The last answer, in full.
    pub last: Option<Answer>,
    /// Its number, once something is kept of it.
    pub id: Option<i64>,
    /// Each question with its answer as text, for `/save`.
    pub said: Vec<(String, Answer)>,
}

impl<'a, 'b> Session<'a, 'b> {
    pub fn new(app: &'a App<'b>, filter: Filter, sources: Vec<Source>) -> Session<'a, 'b> {
        Session {
            app,
            filter,
            sources,
            quotes: false,
            turns: Vec::new(),
            last: None,
            id: None,
            said: Vec::new(),
        }
    }

    /// Leaves this conversation for a new one under the same filter.
    pub fn begin(&mut self) {
        self.turns.clear();
        self.said.clear();
        self.last = None;
        self.id = None;
    }

    /// Leaves this conversation for a kept one.
    ///
    /// # Errors
    /// If there is no such conversation, or it can't be read; then this one goes on.
    pub fn resume(&mut self, id: i64) -> Result<()> {
        let library = self.app.kb()?.existing_library()?;
        let kept = library.map_or(Ok(Vec::new()), |library| library.conversation(id))?;
        if kept.is_empty() {
            return Err(no_conversation(id));
        }
        let said = kept
            .into_iter()
            .map(|kept| Ok((kept.question.clone(), api::again(&kept)?)))
            .collect::<Result<Vec<_>>>()?;
        self.turns = said.iter().map(|(question, answer)| Turn::of(question, answer)).collect();
        self.last = said.last().map(|(_, answer)| answer.clone());
        self.said = said;
        self.id = Some(id);
        Ok(())
    }

    /// Asks, and keeps the answer; its number among the kept ones.
    ///
    /// # Errors
    /// As `ask_in`; if the answer can't be kept.
    pub fn ask(&mut self, text: &str, on_said: OnSaid<'_>) -> Result<(Answer, Option<i64>)> {
        let question = Question { text, filter: &self.filter, sources: &self.sources };
        let answer = self.app.watched(|watch| {
            let kb = self.app.kb()?;
            if self.quotes {
                kb.quote_in(&question, &self.turns, watch)
            } else {
                kb.ask_in(&question, &self.turns, watch, on_said)
            }
        })?;
        // They are read once, not before each question.
        self.sources.clear();
        let asked = text.trim();
        let kept = self.keep(asked, &answer)?;
        self.turns.push(Turn::of(asked, &answer));
        self.said.push((asked.to_owned(), answer.clone()));
        self.last = Some(answer.clone());
        Ok((answer, kept))
    }

    fn keep(&mut self, question: &str, answer: &Answer) -> Result<Option<i64>> {
        let kb = self.app.kb()?;
        let Some(library) = kb.existing_library()? else { return Ok(None) };
        if library.is_read_only() {
            return Ok(None);
        }
        // Another terminal may have deleted it meanwhile.
        let is_there = match self.id {
            Some(id) => !library.conversation(id)?.is_empty(),
            None => false,
        };
        let id = match self.id {
            Some(id) if is_there => id,
            _ => library.start_conversation(Timestamp::now())?,
        };
        self.id = Some(id);
        api::keep(kb, Some(id), question, answer)
    }
}
