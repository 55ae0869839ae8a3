//! Question sets: JSON lines → questions, and their gold → articles and sections of the library.
//! Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::Lines;
use crate::base::error::Result;
use crate::base::hex;
use crate::engine::Golden;

/// One line of a question set; `src/api/schema/question.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique in its set.
    pub id: String,
    /// As it is asked.
    pub question: String,
    /// What kind of question it is; metrics are given by it.
    #[serde(rename = "type", default = "untyped")]
    pub kind: String,
    /// Whether the articles answer it.
    #[serde(default = "yes")]
    pub answerable: bool,
    /// Where the answer stands, each place by itself.
    #[serde(default)]
    pub gold: Vec<Gold>,
    /// What a right answer states: of each fact any of its forms.
    #[serde(default)]
    pub facts: Vec<Vec<String>>,
    /// Strings of which a right answer holds at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// `dev` for tuning, `test` for the last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// What a person has to know of it, or to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Made by `eval generate`, not by a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
}

fn untyped() -> String {
    "untyped".to_owned()
}

fn yes() -> bool {
    true
}

/// A place where an answer stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gold {
    /// The article by its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The article by its GUID, for imported sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// The heading of the section; without it the whole article is gold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// How relevant it is; 1 where nothing else is said.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub relevance: u32,
}

fn one() -> u32 {
    1
}

fn is_one(relevance: &u32) -> bool {
    *relevance == 1
}

/// A question set.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionSet {
    /// The file's name without its ending.
    pub name: String,
    /// SHA-256 of the file, the first 16 digits.
    pub hash: String,
    /// In their order, each with its line in the file, from 1.
    pub questions: Vec<(usize, Question)>,
}

/// Reads a set; blank lines are passed over.
///
/// # Errors
/// [`ErrorKind::Parse`](crate::base::error::ErrorKind) with every malformed line and every id that stands twice, by line number.
pub fn parse(name: &str, text: &str) -> Result<QuestionSet> {
    let lines = Lines::<Question> {
        id: |question| &question.id,
        flaw,
        hint: "correct these lines; the format is in eval/README.md",
    };
    let questions = lines.read(&format!("the question set {name} is"), text)?;
    let hash = hex(&Sha256::digest(text)[..8]);
    Ok(QuestionSet { name: name.to_owned(), hash, questions })
}

/// What is wrong with a question that is well-formed.
fn flaw(question: &Question) -> Option<String> {
    if question.id.trim().is_empty() {
        return Some("the id is empty".to_owned());
    }
    if question.question.trim().is_empty() {
        return Some("the question is empty".to_owned());
    }
    if !question.answerable && !question.gold.is_empty() {
        return Some("it is not answerable, and has gold".to_owned());
    }
    if question.answerable && question.gold.is_empty() {
        return Some("it is answerable, and has no gold".to_owned());
    }
    let is_empty = |form: &String| form.trim_end_matches('*').trim().is_empty();
    if question.facts.iter().flatten().chain(&question.any).any(is_empty) {
        return Some("a fact is empty".to_owned());
    }
    question
        .gold
        .iter()
        .find(|gold| gold.url.is_some() == gold.doc.is_some())
        .map(|_| "gold names its article either by url or by doc".to_owned())
}

impl Question {
    /// A question of a set from one that was made without a person; `n` numbers it, from 1.
    pub fn generated(n: usize, golden: Golden) -> Question {
        Question {
            id: format!("k{n:04}"),
            question: golden.query,
            kind: if golden.heading.is_some() { "heading" } else { "article" }.to_owned(),
            answerable: true,
            gold: vec![Gold {
                url: Some(golden.url),
                doc: None,
                heading: golden.heading,
                relevance: 1,
            }],
            facts: Vec::new(),
            any: Vec::new(),
            split: None,
            note: None,
            generated: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_malformed_lines_are_named_at_once() {
        let text = "{\"id\":\"a\",\"question\":\"x?\",\"gold\":[{\"url\":\"u\"}]}\n\nnonsense\n\
                    {\"id\":\"a\",\"question\":\"y?\",\"gold\":[{\"doc\":\"d\"}]}\n\
                    {\"id\":\"b\",\"question\":\"y?\",\"answerable\":false,\"colour\":1}\n\
                    {\"id\":\"c\",\"question\":\" \",\"answerable\":false}\n\
                    {\"id\":\"d\",\"question\":\"z?\"}\n\
                    {\"id\":\"e\",\"question\":\"z?\",\"gold\":[{\"url\":\"u\"}],\"facts\":[[\"*\"]]}\n";
        insta::assert_snapshot!(parse("some", text).unwrap_err().to_string());
    }

    #[test]
    fn the_projects_own_set_is_well_formed() {
        let set = parse("sample", include_str!("../../eval/sample/questions.jsonl")).unwrap();
        assert_eq!(set.questions.len(), 30);
        assert!(parse("none", "\n").is_err());
    }

    #[test]
    fn headings_are_compared_by_their_words() {}
}
