//! What was asked and answered, alone or in conversations, and what its reader thinks of it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Library, Sql, from_micros, to_micros};
use crate::base::error::Result;

/// An answer that is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewAnswer<'a> {
    /// The conversation that it belongs to, if any.
    pub conversation: Option<i64>,
    /// As it was asked.
    pub question: &'a str,
    /// As it was searched for, where it followed up on an earlier question.
    pub standalone: Option<&'a str>,
    /// The answer as `ask --json` prints it.
    pub answer: &'a str,
}

/// A kept answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its number; later answers have higher ones.
    pub id: i64,
    /// The conversation that it belongs to, if any.
    pub conversation: Option<i64>,
    /// When it was given.
    pub answered_at: Timestamp,
    /// As it was asked.
    pub question: String,
    /// As it was searched for, where it followed up on an earlier question.
    pub standalone: Option<String>,
    /// The answer as `ask --json` prints it.
    pub answer: String,
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationInfo {
    /// Its number.
    pub id: i64,
    /// When it was begun.
    pub started_at: Timestamp,
    /// Its first question.
    pub first: String,
    /// How many questions were asked in it.
    pub answers: usize,
}

/// What a reader thinks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rating {
    /// It is right and of use.
    Good,
    /// It is not.
    Bad,
}

/// A verdict with the answer that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The answer.
    pub answer: KeptAnswer,
    /// When the verdict was given.
    pub given_at: Timestamp,
    /// The verdict.
    pub verdict: Rating,
    /// What the reader says of it.
    pub note: Option<String>,
}

impl Rating {
    /// As it is stored and written: `good` or `bad`.
    pub fn as_str(self) -> &'static str {
        match self {
            Rating::Good => "good",
            Rating::Bad => "bad",
        }
    }
}

const COLUMNS: &str = "answers.id, conversation_id, answered_at, question, standalone, answer";

impl Library {
    /// Begins a conversation; returns its number.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn start_conversation(&self, now: Timestamp) -> Result<i64> {
        self.write("cannot be written (conversations)", |tx| {
            tx.execute("INSERT INTO conversations (started_at) VALUES (?1)", [to_micros(now)])?;
            Ok(tx.last_insert_rowid())
        })
    }

    /// Keeps an answer and returns its number. Of the answers outside of conversations the last
    /// `loose` are kept, and those that have a verdict.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn keep_answer(&self, new: &NewAnswer<'_>, loose: usize, now: Timestamp) -> Result<i64> {
        self.write("cannot be written (answers)", |tx| {
            tx.execute(
                "INSERT INTO answers (conversation_id, answered_at, question, standalone, answer)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![new.conversation, to_micros(now), new.question, new.standalone, new.answer],
            )?;
            let id = tx.last_insert_rowid();
            tx.execute(
                "DELETE FROM answers WHERE conversation_id IS NULL
                 AND id NOT IN (SELECT answer_id FROM feedback)
                 AND id <= (SELECT id FROM answers WHERE conversation_id IS NULL
                            ORDER BY id DESC LIMIT 1 OFFSET ?1)",
                [i64::try_from(loose).unwrap_or(i64::MAX)],
            )?;
            Ok(id)
        })
    }

    /// A kept answer by its number; without one the last.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn kept_answer(&self, id: Option<i64>) -> Result<Option<KeptAnswer>> {
        self.read("cannot be read (answers)", |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM answers WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC LIMIT 1"
            );
            tx.query_row(&sql, [id], kept).optional()
        })
    }

    /// The conversations in which something was asked, the last begun first.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn conversations(&self) -> Result<Vec<ConversationInfo>> {
        self.read("cannot be read (conversations)", |tx| {
            tx.prepare_cached(
                "SELECT conversations.id, started_at, question, count(*), min(answers.id)
                 FROM conversations JOIN answers ON conversation_id = conversations.id
                 GROUP BY conversations.id ORDER BY conversations.id DESC",
            )?
            .query_map([], |row| {
                let id: i64 = row.get(0)?;
                let count: i64 = row.get(3)?;
                Ok(ConversationInfo {
                    id,
                    started_at: from_micros("started_at", &id.to_string(), row.get(1)?)?,
                    first: row.get(2)?,
                    answers: usize::try_from(count).unwrap_or(0),
                })
            })?
            .collect()
        })
    }

    /// The answers of a conversation, in the order in which they were given; empty if there is no
    /// such conversation.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn conversation(&self, id: i64) -> Result<Vec<KeptAnswer>> {
        self.read("cannot be read (conversations)", |tx| {
            tx.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM answers WHERE conversation_id = ?1 ORDER BY id"
            ))?
            .query_map([id], kept)?
            .collect()
        })
    }

    /// Whether there is a conversation of this number.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn has_conversation(&self, id: i64) -> Result<bool> {
        self.read("cannot be read (conversations)", |tx| {
            let found = tx.query_row("SELECT 1 FROM conversations WHERE id = ?1", [id], |_| Ok(()));
            Ok(found.optional()?.is_some())
        })
    }

    /// Deletes a conversation with its answers; whether there was one.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn delete_conversation(&self, id: i64) -> Result<bool> {
        self.write("cannot be written (conversations)", |tx| {
            Ok(tx.execute("DELETE FROM conversations WHERE id = ?1", [id])? > 0)
        })
    }

    /// Keeps a reader's verdict on an answer, in place of an earlier one; whether there is such an
    /// answer.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn give_feedback(
        &self,
        answer: i64,
        verdict: Rating,
        note: Option<&str>,
        now: Timestamp,
    ) -> Result<bool> {
        self.write("cannot be written (feedback)", |tx| {
            let known = tx
                .query_row("SELECT 1 FROM answers WHERE id = ?1", [answer], |_| Ok(()))
                .optional()?
                .is_some();
            if known {
                tx.execute(
                    "INSERT OR REPLACE INTO feedback (answer_id, given_at, verdict, note)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![answer, to_micros(now), verdict.as_str(), note],
                )?;
            }
            Ok(known)
        })
    }

    /// All verdicts with their answers, in the order of the answers.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn feedback(&self) -> Result<Vec<Feedback>> {
        self.read("cannot be read (feedback)", |tx: &Transaction<'_>| {
            tx.prepare_cached(&format!(
                "SELECT {COLUMNS}, given_at, verdict, note
                 FROM feedback JOIN answers ON answers.id = answer_id ORDER BY answers.id"
            ))?
            .query_map([], |row| {
                let verdict: String = row.get(7)?;
                let answer = kept(row)?;
                Ok(Feedback {
                    given_at: from_micros("given_at", &answer.id.to_string(), row.get(6)?)?,
                    answer,
                    verdict: if verdict == "good" { Rating::Good } else { Rating::Bad },
                    note: row.get(8)?,
                })
            })?
            .collect::<Sql<Vec<_>>>()
        })
    }
}

fn kept(row: &Row<'_>) -> Sql<KeptAnswer> {
    let id: i64 = row.get(0)?;
    Ok(KeptAnswer {
        id,
        conversation: row.get(1)?,
        answered_at: from_micros("answered_at", &id.to_string(), row.get(2)?)?,
        question: row.get(3)?,
        standalone: row.get(4)?,
        answer: row.get(5)?,
    })
}
