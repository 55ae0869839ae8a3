//! Dialogues: whether a follow-up that is made to stand alone finds what a question does that a
//! person wrote out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::gold;
use super::lines::Lines;
use super::score;
use super::set::{Gold, Question, QuestionSet};
use super::stats::{Estimate, bootstrap, bootstrap_of};
use crate::answer::conversation::{self, Turn};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Filter, Watch};
use crate::engine::{KnowledgeBase, Question as Asked};

/// Hits that are looked at.
const HITS: usize = 50;

/// A dialogue of the set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialogue {
    /// Unique in its set.
    pub id: String,
    /// Over which articles it was written.
    #[serde(default)]
    pub source: String,
    /// What its later turns do.
    #[serde(default)]
    pub kind: String,
    /// In their order.
    pub turns: Vec<DialogueTurn>,
}

/// A question of a dialogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialogueTurn {
    /// As it is asked.
    pub question: String,
    /// As a person wrote it out.
    pub standalone: String,
    /// Where the answer stands.
    #[serde(default)]
    pub gold: Vec<Gold>,
}

/// Reads dialogues; blank lines are passed over.
///
/// # Errors
/// [`ErrorKind::Parse`] with every malformed line and every id that stands twice, by line number.
pub fn parse(name: &str, text: &str) -> Result<Vec<Dialogue>> {
    let lines = Lines::<Dialogue> {
        id: |dialogue| &dialogue.id,
        flaw: |_| None,
        hint: "correct these lines; the format is in eval/hard/README.md",
    };
    let dialogues = lines.read(&format!("the dialogues of {name} are"), text)?;
    Ok(dialogues.into_iter().map(|(_, dialogue)| dialogue).collect())
}

/// All turns as one set, so that their gold is found in the library.
pub fn as_set(dialogues: &[Dialogue]) -> QuestionSet {
    let mut questions = Vec::new();
    for (line, dialogue) in dialogues.iter().enumerate() {
        for (at, turn) in dialogue.turns.iter().enumerate() {
            let question = Question {
                id: format!("{}.{}", dialogue.id, at + 1),
                question: turn.question.clone(),
                kind: dialogue.kind.clone(),
                answerable: !turn.gold.is_empty(),
                gold: turn.gold.clone(),
                facts: Vec::new(),
                any: Vec::new(),
                split: None,
                generated: false,
                note: None,
            };
            questions.push((line + 1, question));
        }
    }
    QuestionSet { name: "dialogues".to_owned(), hash: String::new(), questions }
}

/// A follow-up, searched for in three wordings.
#[derive(Clone, Debug, Serialize)]
pub struct FollowUp {
    /// Dialogue and turn, from 1.
    pub id: String,
    /// What the dialogue's later turns do.
    pub kind: String,
    /// Whether the dialogue is one with an odd number, which rules were tuned on.
    pub is_odd: bool,
    /// As it was asked.
    pub question: String,
    /// As it was made to stand alone; itself if it was taken as it is.
    pub standalone: String,
    /// As a person wrote it out.
    pub by_hand: String,
    /// For each wording whether a gold section is among the first five.
    pub hits: [f64; 3],
}

/// Asks all dialogues; `llm` says whether the LLM is asked where the rules can't make a question
/// whole. What was answered before is told by quotes, so that no LLM answers.
///
/// # Errors
/// [`ErrorKind::NotFound`] with all gold that is not in the library; as [`KnowledgeBase::search`].
pub fn run(
    kb: &KnowledgeBase,
    filter: &Filter,
    dialogues: &[Dialogue],
    llm: bool,
    watch: &Watch<'_>,
) -> Result<Vec<FollowUp>> {
    const TASK: &str = "Asking";
    let set = as_set(dialogues);
    let (gold, problems) = gold::resolve(kb, &set, watch)?;
    if !problems.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("gold is not in the library:\n  {}", problems.join("\n  ")),
        )
        .hint("add the articles that the dialogues were written for (--source)"));
    }
    let mut gold = gold.into_iter();
    let mut results = Vec::new();
    for (number, dialogue) in dialogues.iter().enumerate() {
        watch.progress(TASK, number, dialogues.len());
        let mut turns: Vec<Turn> = Vec::new();
        for (at, turn) in dialogue.turns.iter().enumerate() {
            let places = gold.next().unwrap_or_default();
            let found = if llm {
                kb.standalone(&Asked { text: &turn.question, filter, sources: &[] }, &turns, watch)?
            } else {
                conversation::standalone(&turn.question, &turns).map(|found| found.text)
            };
            let text = found.as_deref().unwrap_or(&turn.question);
            if at > 0 && !places.is_empty() {
                let hit = |text: &str| -> Result<f64> {
                    let found = kb.search(&Asked { text, filter, sources: &[] }, HITS, watch)?;
                    Ok(score::levels(&found.hits, &places).section.hit_5)
                };
                let asked = hit(&turn.question)?;
                let alone = if text == turn.question { asked } else { hit(text)? };
                results.push(FollowUp {
                    id: format!("{}.{}", dialogue.id, at + 1),
                    kind: dialogue.kind.clone(),
                    is_odd: number % 2 == 0,
                    question: turn.question.clone(),
                    standalone: text.to_owned(),
                    by_hand: turn.standalone.clone(),
                    hits: [asked, alone, hit(&turn.standalone)?],
                });
            }
            let answer = kb.quote(&Asked { text, filter, sources: &[] }, watch)?;
            turns.push(Turn { standalone: found, ..Turn::of(&turn.question, &answer) });
        }
    }
    watch.done(TASK);
    Ok(results)
}

/// How often each wording finds a gold section among the first five.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// As it was asked.
    pub asked: Estimate,
    /// As it was made to stand alone.
    pub standalone: Estimate,
    /// As a person wrote it out.
    pub by_hand: Estimate,
    /// The second over the third; `None` if the third is 0.
    pub ratio: Option<Estimate>,
}

/// The rates of all follow-ups, of those of odd and even dialogues, and of each kind.
pub fn summary(results: &[FollowUp]) -> BTreeMap<String, Rates> {
    let mut groups: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
    for one in results {
        let half = if one.is_odd { "odd" } else { "even" };
        for group in ["all", half, &one.kind] {
            groups.entry(group.to_owned()).or_default().push(one.hits);
        }
    }
    groups.into_iter().map(|(name, hits)| (name, rates(&hits))).collect()
}

fn rates(hits: &[[f64; 3]]) -> Rates {
    let of = |at: usize| bootstrap(&hits.iter().map(|one| one[at]).collect::<Vec<_>>());
    let ratio = bootstrap_of(hits, |drawn| {
        let sum = |at: usize| drawn.iter().map(|one| one[at]).sum::<f64>();
        (sum(2) > 0.0).then(|| sum(1) / sum(2))
    });
    Rates { asked: of(0), standalone: of(1), by_hand: of(2), ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_dialogues_are_well_formed() {
        let dialogues = parse("own", include_str!("../../eval/hard/dialogues.jsonl")).unwrap();
        assert_eq!(dialogues.len(), 40);
        assert_eq!(as_set(&dialogues).questions.len(), 103);
    }

    #[test]
    fn all_malformed_lines_are_named() {
        let text = "{\"id\":\"a\",\"turns\":[]}\nnonsense\n{\"turns\":[]}\n";
        let error = parse("some", text).unwrap_err().to_string();
        assert!(error.contains("line 2:") && error.contains("line 3:"), "{error}");
        assert!(!error.contains("line 1:"), "{error}");
        assert!(parse("none", "\n").is_err());
    }

    #[test]
    fn the_ratio_is_of_sums_and_absent_where_nothing_is_found() {
        let found = rates(&[[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]);
        assert_eq!(found.ratio.unwrap().mean, 1.0);
        assert!((found.asked.mean - 1.0 / 3.0).abs() < 1e-9);
        assert!(rates(&[[1.0, 1.0, 0.0]]).ratio.is_none());
    }
}
