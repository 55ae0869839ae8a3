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

/// Turns that a follow-up may go back to.
const TURNS: usize = 50;

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
    /// Its number, once something is kept of it.
    pub id: Option<i64>,
    /// Each question with its answer, for `/save` and to look at; a loose one has the last alone.
    pub said: Vec<(String, Answer)>,
    /// Whether its answers are kept as those outside of conversations are, and it is not.
    pub is_loose: bool,
}

impl<'a, 'b> Session<'a, 'b> {
    pub fn new(app: &'a App<'b>, filter: Filter, sources: Vec<Source>) -> Session<'a, 'b> {
        Session {
            app,
            filter,
            sources,
            quotes: false,
            turns: Vec::new(),
            id: None,
            said: Vec::new(),
            is_loose: false,
        }
    }

    /// The last answer.
    pub fn last(&self) -> Option<&Answer> {
        self.said.last().map(|(_, answer)| answer)
    }

    /// Leaves this conversation for a new one under the same filter.
    pub fn begin(&mut self) {
        self.turns.clear();
        self.said.clear();
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
        // An answer is not lost because it can't be kept.
        let kept = self.keep(asked, &answer).unwrap_or_else(|error| {
            self.app.ui.warning(&format!("the answer was not kept: {}", error.chain()));
            None
        });
        if self.turns.len() >= TURNS {
            self.turns.remove(0);
        }
        self.turns.push(Turn::of(asked, &answer));
        if self.is_loose {
            self.said.clear();
        }
        self.said.push((asked.to_owned(), answer.clone()));
        Ok((answer, kept))
    }

    fn keep(&mut self, question: &str, answer: &Answer) -> Result<Option<i64>> {
        let kb = self.app.kb()?;
        let Some(library) = kb.existing_library()? else { return Ok(None) };
        if library.is_read_only() {
            return Ok(None);
        }
        if self.is_loose {
            return api::keep(kb, None, question, answer);
        }
        // Another terminal may have deleted it meanwhile.
        let is_there = match self.id {
            Some(id) => library.has_conversation(id)?,
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
