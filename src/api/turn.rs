//! What was asked and answered before, as a client of the JSON doors sends it along.

use serde::Deserialize;

use crate::answer::conversation::Turn;

/// An earlier question of a conversation that the client keeps itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnWords {
    /// As it was asked.
    question: String,
    /// As it was searched for, where it followed up on an earlier one.
    #[serde(default)]
    standalone: Option<String>,
    /// What was answered, without marks; empty: nothing, or not known.
    #[serde(default)]
    answer: String,
    /// Titles of the articles that the answer cites, best first.
    #[serde(default)]
    titles: Vec<String>,
}

impl From<TurnWords> for Turn {
    fn from(words: TurnWords) -> Turn {
        let TurnWords { question, standalone, answer, titles } = words;
        Turn { question, standalone, answer, titles, ..Turn::default() }
    }
}
