//! Questions that follow up on earlier ones, made to stand alone: by rules ([`standalone`]), and where
//! these can't make one whole by an LLM ([`Rewriting`]), whose words are checked. Pure but for the LLM.

mod lead;
mod llm;
mod replace;
mod rules;
#[cfg(test)]
mod tests;
mod topic;
mod words;

use std::ops::Range;

use super::Answer;
use crate::base::text::collapse;
use crate::base::{ArticleId, Hit};

pub use llm::Rewriting;
pub(super) use topic::is_bare;

/// The longest question that is made of several, in bytes.
const LONGEST: usize = 400;

/// Earlier turns that a turn is read with.
const BEFORE: usize = 16;

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
    /// What its passages were; they stay candidates. Empty if they aren't known.
    pub seen: Vec<Seen>,
}

impl Turn {
    /// A question with its answer.
    pub fn of(question: &str, answer: &Answer) -> Turn {
        let said: Vec<&str> = answer.sentences.iter().map(|one| one.text.as_str()).collect();
        let mut titles: Vec<String> = Vec::new();
        for n in answer.sentences.iter().flat_map(|one| &one.citations) {
            let Some(passage) = answer.passages.iter().find(|passage| passage.n == *n) else {
                continue;
            };
            if !titles.contains(&passage.article.title) {
                titles.push(passage.article.title.clone());
            }
        }
        let seen = answer.passages.iter().map(|passage| Seen {
            article: passage.article.id.clone(),
            revision: passage.revision,
            range: passage.range.clone(),
        });
        Turn {
            question: question.to_owned(),
            standalone: answer.standalone.clone(),
            answer: said.join(" "),
            titles,
            seen: seen.collect(),
        }
    }
}

/// A passage of an earlier answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its article.
    pub article: ArticleId,
    /// The article's revision.
    pub revision: u32,
    /// Bytes of the revision's text.
    pub range: Range<usize>,
}

impl Seen {
    /// Whether a hit is of this passage.
    pub fn has(&self, hit: &Hit) -> bool {
        self.article == hit.article.id
            && self.revision == hit.revision
            && self.range.start < hit.range.end
            && hit.range.start < self.range.end
    }
}

/// A follow-up that was made to stand alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standalone {
    /// What is to be searched for.
    pub text: String,
    /// Whether it says all that was meant, as far as rules can tell.
    pub is_whole: bool,
}

/// Turns of a conversation in their order. Where it isn't known what one was searched for, that is
/// what it means after those before it.
pub fn each_alone(turns: Vec<Turn>) -> Vec<Turn> {
    let mut known: Vec<Turn> = Vec::with_capacity(turns.len());
    for mut turn in turns {
        if turn.standalone.is_none() {
            let before = &known[known.len().saturating_sub(BEFORE)..];
            turn.standalone = standalone(&turn.question, before).map(|found| found.text);
        }
        known.push(turn);
    }
    known
}

/// What a question means after these turns; `None` if it is to be taken as it is.
pub fn standalone(question: &str, turns: &[Turn]) -> Option<Standalone> {
    let asked = collapse(question);
    let found = rules::read(&asked, turns)?;
    let is_new = found.text != asked && !found.text.is_empty();
    (is_new && found.text.len() <= LONGEST).then_some(found)
}
