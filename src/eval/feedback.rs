//! Kept answers with what their readers say of them → questions of a set. Pure.

use serde::Deserialize;

use super::set::{Gold, Question};
use crate::answer::cite::particulars;
use crate::answer::{AnswerSentence, AnswerStatus};
use crate::base::ArticleId;
use crate::base::error::{Error, ErrorKind, Result};
use crate::library::{Feedback, Rating};

/// Facts of a question at the most: what an answer says besides may be left out of another.
const FACTS: usize = 3;

/// What is read of an answer as `ask --json` prints it.
#[derive(Deserialize)]
struct Kept {
    status: AnswerStatus,
    sentences: Vec<AnswerSentence>,
    passages: Vec<KeptPassage>,
}

#[derive(Deserialize)]
struct KeptPassage {
    n: usize,
    url: Option<String>,
    article_id: ArticleId,
    heading_path: Vec<String>,
}

/// The question of an answer. Of a good one the cited sections are gold, and the figures and names of
/// its first sentence are the facts; a bad one is of type `bad`, has what was shown for gold, and is
/// for a person to complete. `guid` tells the GUID of an article that has no link.
///
/// # Errors
/// If the kept answer can't be read, or `guid` fails.
pub fn question(
    feedback: &Feedback,
    guid: &dyn Fn(&ArticleId) -> Result<Option<String>>,
) -> Result<Question> {
    let Feedback { answer, verdict, note, .. } = feedback;
    let kept: Kept = serde_json::from_str(&answer.answer).map_err(|error| {
        Error::new(ErrorKind::Library, format!("the kept answer {} can't be read", answer.id))
            .caused_by(error)
            .hint("it is from another version of wellread; ask the question again")
    })?;
    let text = answer.standalone.as_ref().unwrap_or(&answer.question);
    let cited: Vec<usize> = kept.sentences.iter().flat_map(|one| one.citations.clone()).collect();
    let mut gold: Vec<Gold> = Vec::new();
    for passage in &kept.passages {
        if !cited.is_empty() && !cited.contains(&passage.n) {
            continue;
        }
        let doc = match passage.url {
            Some(_) => None,
            None => guid(&passage.article_id)?,
        };
        let heading = passage.heading_path.last().cloned();
        let place = Gold { url: passage.url.clone(), doc, heading, relevance: 1 };
        if (place.url.is_some() || place.doc.is_some()) && !gold.contains(&place) {
            gold.push(place);
        }
    }
    let is_good = *verdict == Rating::Good;
    // That the articles don't say is right, or else what they were asked is somewhere in them.
    let is_silence = is_good && kept.status == AnswerStatus::Abstained;
    let answerable = !gold.is_empty() && !is_silence;
    let facts = match kept.sentences.first().filter(|_| is_good && answerable) {
        Some(first) => {
            particulars(&first.text, text).into_iter().take(FACTS).map(|one| vec![one]).collect()
        }
        None => Vec::new(),
    };
    let note = match (is_good, note) {
        (true, note) => note.clone(),
        (false, Some(note)) => Some(format!("to be completed: {note}")),
        (false, None) => Some("to be completed".to_owned()),
    };
    Ok(Question {
        id: format!("f{:04}", answer.id),
        question: text.clone(),
        kind: verdict.as_str().to_owned(),
        answerable,
        gold: if answerable { gold } else { Vec::new() },
        facts,
        any: Vec::new(),
        split: None,
        note,
        generated: false,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::eval::set;
    use crate::library::KeptAnswer;

    fn feedback(verdict: Rating, status: &str) -> Feedback {
        let sentences = if status == "answered" {
            serde_json::json!([{
                "text": "It took Eilif Lund 912 hours.", "citations": [2],
                "evidence": [{"n": 2, "range": {"start": 0, "end": 9}, "coverage": 1.0}]
            }])
        } else {
            serde_json::json!([])
        };
        let passage = |n: usize, url: Option<&str>| {
            serde_json::json!({"n": n, "url": url, "article_id": format!("a{n}"),
                               "heading_path": ["Sums", "Hours"], "text": "…"})
        };
        let answer = serde_json::json!({
            "status": status, "sentences": sentences,
            "passages": [passage(1, Some("https://a.example/1")), passage(2, None)]
        });
        Feedback {
            answer: KeptAnswer {
                id: 7,
                conversation: None,
                answered_at: Timestamp::UNIX_EPOCH,
                question: "And how long?".into(),
                standalone: Some("How long did the Tern take?".into()),
                answer: answer.to_string(),
            },
            given_at: Timestamp::UNIX_EPOCH,
            verdict,
            note: (verdict == Rating::Bad).then(|| "names the wrong man".into()),
        }
    }

    fn made(verdict: Rating, status: &str) -> Question {
        let guid = |id: &ArticleId| Ok(Some(format!("guid of {id}")));
        let question = question(&feedback(verdict, status), &guid).unwrap();
        // Whatever it is, it is a question of a well-formed set.
        set::parse("made", &serde_json::to_string(&question).unwrap()).unwrap();
        question
    }

    #[test]
    fn a_good_answer_gives_gold_and_facts() {
        let question = made(Rating::Good, "answered");
        assert_eq!(question.question, "How long did the Tern take?");
        assert_eq!(question.gold.len(), 1);
        assert_eq!(question.gold[0].doc.as_deref(), Some("guid of a2"));
        assert_eq!(question.gold[0].heading.as_deref(), Some("Hours"));
        assert_eq!(question.facts, [["912"], ["eilif*"], ["lund*"]]);
        assert_eq!((question.id.as_str(), question.note), ("f0007", None));
    }

    #[test]
    fn an_abstention_that_is_good_is_unanswerable() {
        let question = made(Rating::Good, "abstained");
        assert!(!question.answerable && question.gold.is_empty());
    }

    #[test]
    fn a_bad_answer_is_for_a_person_to_complete() {
        for status in ["answered", "abstained"] {
            let question = made(Rating::Bad, status);
            assert_eq!(question.kind, "bad");
            assert_eq!(question.note.as_deref(), Some("to be completed: names the wrong man"));
            assert!(question.answerable && question.facts.is_empty() && !question.gold.is_empty());
        }
        let mut unreadable = feedback(Rating::Bad, "answered");
        unreadable.answer.answer = "{}".into();
        let error = question(&unreadable, &|_| Ok(None)).unwrap_err();
        assert!(error.to_string().contains("answer 7"), "{error}");
    }
}
