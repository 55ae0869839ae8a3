//! Sentences of answers that people have read: how many of them their passages support, and what tells
//! the others from them. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::Lines;
use super::logistic;
use super::metrics::auroc;
use super::score::QuestionResult;
use super::stats::{Estimate, bootstrap_of};
use crate::answer::{SENTENCE_FEATURES as FEATURES, SentenceSignals};
use crate::base::error::Result;
use crate::base::hex;
use crate::base::text::collapse;

/// What one reader made of the answer to a question: one line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The question set.
    pub set: String,
    /// The question's id.
    pub id: String,
    /// Whether it was answered.
    pub status: String,
    /// Whether the answer has its facts.
    pub facts: bool,
    /// Whether it tells the asker what they wanted to know.
    pub right: bool,
    /// Each sentence that was read, of this answer or of one before.
    pub sentences: Vec<Read>,
    /// Places where it is broken as prose.
    pub debris: usize,
    /// What is wrong with it.
    pub note: String,
}

/// A sentence that was read. It is not kept itself: it may be the articles'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// See [`hash`].
    pub hash: String,
    /// Whether the passages that it cites say all of it.
    pub supported: bool,
}

/// Reads a file of verdicts; blank lines are passed over.
///
/// # Errors
/// [`ErrorKind::Parse`](crate::base::error::ErrorKind) with every malformed line and every id that stands twice, by line number.
pub fn parse(text: &str) -> Result<Vec<Verdict>> {
    let lines = Lines::<Verdict> {
        id: |verdict| &verdict.id,
        flaw: |_| None,
        hint: "each line is an object with set, id, status, facts, right, sentences, debris and note",
    };
    let verdicts = lines.read("the verdicts are", text)?;
    Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
}

/// What a sentence is known by: the first eight bytes of the SHA-256 of its text without marks and
/// bullet, white space collapsed, in hexadecimal.
pub fn hash(sentence: &str) -> String {
    let text = collapse(sentence.trim().trim_start_matches("- "));
    hex(&Sha256::digest(text.as_bytes())[..8])
}

/// The sentences of an answer's text, each of which ends in marks such as `[1][2]`.
fn said(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find(" [").map(|found| at + found) {
        let mut end = open + 1;
        while let Some(inside) = text[end..].strip_prefix('[') {
            let digits =
                inside.len() - inside.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits == 0 || !inside[digits..].starts_with(']') {
                break;
            }
            end += digits + 2;
        }
        let is_over = text[end..].is_empty() || text[end..].starts_with([' ', '\n']);
        if end > open + 1 && is_over {
            found.push(text[start..open].trim());
            start = end;
        }
        at = end;
    }
    found
}

/// Sentences of a run's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentences {
    /// Of each answer that was printed: the sentences that were read, and those of them that are
    /// supported.
    answers: Vec<(usize, usize)>,
    /// Sentences that nobody has read.
    unread: usize,
    /// What is known of those that an LLM wrote, and whether they are supported.
    written: Vec<Row>,
}

/// What is known of a sentence, and whether it is supported.
type Row = ([f64; FEATURES], bool);

/// The sentences of a run's answers by what was read.
pub fn sentences(results: &[QuestionResult], verdicts: &[Verdict]) -> Sentences {
    let read: HashMap<(&str, &str), bool> = verdicts
        .iter()
        .flat_map(|verdict| {
            let id = verdict.id.as_str();
            verdict.sentences.iter().map(move |one| ((id, one.hash.as_str()), one.supported))
        })
        .collect();
    let mut found = Sentences { answers: Vec::new(), unread: 0, written: Vec::new() };
    for result in results {
        let Some(answer) = &result.answer else { continue };
        let (mut all, mut supported) = (0, 0);
        for (at, sentence) in said(&answer.text).into_iter().enumerate() {
            let hash = hash(sentence);
            let Some(holds) = read.get(&(result.id.as_str(), hash.as_str())) else {
                found.unread += 1;
                continue;
            };
            all += 1;
            supported += usize::from(*holds);
            // A run of an older program has others.
            let signals = answer.sentences.get(at).copied().flatten();
            if let Some(signals) = signals.filter(|known| *known != SentenceSignals::default()) {
                found.written.push((signals.features().map(f64::from), *holds));
            }
        }
        if all > 0 {
            found.answers.push((all, supported));
        }
    }
    found
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of each run, in their order.
    pub runs: Vec<OfRun>,
    /// Without any signal, and a weight a signal: fitted on the runs that are not only tested.
    pub fit: Vec<f64>,
    /// What thresholds do to what the LLM wrote: of the runs that were fitted together, and of each
    /// that was only tested.
    pub table: Vec<Effect>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfRun {
    /// Its name.
    pub name: String,
    /// Sentences that were printed and read, and those that nobody has read.
    pub read: usize,
    /// See `read`.
    pub unread: usize,
    /// The share of the printed sentences that are supported; drawn by answers.
    pub supported: Option<Estimate>,
    /// Area under the ROC curve: of a run that was only tested by the fit, of another by a fit on the
    /// others; `None` if there is none, or all its sentences are alike.
    pub auroc: Option<f64>,
}

/// What a threshold does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Whose sentences.
    pub of: String,
    /// A sentence that is less likely to hold goes.
    pub threshold: f64,
    /// The share of the supported sentences that stays.
    pub kept: f64,
    /// The share of those that stay that are supported.
    pub supported: f64,
}

/// Fits the sentences of runs, and tests the fit on those of others.
pub fn report(runs: &[(String, Sentences)], tests: &[(String, Sentences)]) -> Report {
    let groups: Vec<&[Row]> = runs.iter().map(|(_, of)| &of.written[..]).collect();
    let fit_of = |groups: &[&[Row]]| {
        let groups: Vec<_> = groups.iter().map(|rows| logistic::examples(rows)).collect();
        logistic::fit(FEATURES, &groups)
    };
    let area = |fitted: &[f64], rows: &[Row]| {
        let scored: Vec<(f64, bool)> =
            rows.iter().map(|(row, is)| (logistic::probability(fitted, row), *is)).collect();
        auroc(&scored)
    };
    let fit = fit_of(&groups);
    let mut found = Vec::new();
    for (at, (name, of)) in runs.iter().enumerate() {
        let mut others = groups.clone();
        let own = others.remove(at);
        let auroc = if others.is_empty() { None } else { area(&fit_of(&others), own) };
        found.push(of_run(name, of, auroc));
    }
    found.extend(tests.iter().map(|(name, of)| of_run(name, of, area(&fit, &of.written))));
    let mut table = rows("fitted on", &groups.concat(), &fit);
    for (name, of) in tests {
        table.extend(rows(name, &of.written, &fit));
    }
    Report { runs: found, fit, table }
}

fn of_run(name: &str, of: &Sentences, auroc: Option<f64>) -> OfRun {
    let share = |answers: &[(usize, usize)]| {
        let all: usize = answers.iter().map(|(all, _)| all).sum();
        let supported: usize = answers.iter().map(|(_, supported)| supported).sum();
        (all > 0).then(|| supported as f64 / all as f64)
    };
    OfRun {
        name: name.to_owned(),
        read: of.answers.iter().map(|(all, _)| all).sum(),
        unread: of.unread,
        supported: bootstrap_of(&of.answers, share),
        auroc,
    }
}

fn rows(of: &str, written: &[Row], fit: &[f64]) -> Vec<Effect> {
    let all = written.iter().filter(|(_, holds)| *holds).count().max(1) as f64;
    let row = |n: i32| {
        let threshold = f64::from(n) * 0.05;
        let stays = |(row, _): &&Row| logistic::probability(fit, row) >= threshold;
        let left: Vec<_> = written.iter().filter(stays).collect();
        let holds = left.iter().filter(|(_, holds)| *holds).count() as f64;
        let supported = holds / left.len().max(1) as f64;
        Effect { of: of.to_owned(), threshold, kept: holds / all, supported }
    };
    (0..=16).map(row).collect()
}

/// A report as text.
pub fn table(found: &Report) -> String {
    let mut out = String::new();
    for OfRun { name, read, unread, supported, auroc } in &found.runs {
        let _ = write!(out, "{name}: {read} printed sentences read by people, {unread} unread");
        if let Some(Estimate { mean, low, high, .. }) = supported {
            let _ = write!(out, "; supported {mean:.3} [{low:.3}, {high:.3}]");
        }
        match auroc {
            Some(auroc) => _ = writeln!(out, "; AUROC of the LLM's {auroc:.3}"),
            None => out.push('\n'),
        }
    }
    if let Some((bias, weights)) = found.fit.split_first() {
        let _ = writeln!(out, "\nbias {bias:>13.3}");
        for (name, weight) in SentenceSignals::NAMES.iter().zip(weights) {
            let _ = writeln!(out, "{name:<10}{weight:>8.3}");
        }
    }
    let mut before = "";
    for Effect { of, threshold, kept, supported } in &found.table {
        if of != before {
            let _ =
                writeln!(out, "\n{of}\nthreshold  supported ones kept  supported of those kept");
            before = of;
        }
        let _ = writeln!(out, "{threshold:>9.2}{kept:>20.3}{supported:>25.3}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_text_is_cut_at_its_marks() {
        let text = "It is oak. [1][2] See [3] in May, it said. [4]\n- An item [1]\n“A quote.” [2]";
        let found = said(text);
        assert_eq!(found[0], "It is oak.");
        assert_eq!(found[1], "See");
        assert_eq!(found[2..], ["in May, it said.", "- An item", "“A quote.”"]);
        assert!(said("Nothing.").is_empty() && said("").is_empty());
        assert_eq!(hash("- An  item"), hash("An item"));
        assert_eq!(hash("An item").len(), 16);
    }

    /// Sentences of which the likely ones are supported, and every tenth of the others.
    fn made(seed: u64) -> Sentences {
        let mut random = fastrand::Rng::with_seed(seed);
        let written: Vec<Row> = (0..200)
            .map(|at| {
                let likely = random.f64();
                ([likely - 1.0, 0.5], likely > 0.5 || at % 10 == 0)
            })
            .collect();
        Sentences { answers: vec![(2, 1), (3, 3)], unread: 1, written }
    }

    #[test]
    fn what_tells_is_found_and_a_threshold_leaves_the_supported() {
        let runs = [("a".to_owned(), made(1)), ("b".to_owned(), made(2))];
        let found = report(&runs, &[("c".to_owned(), made(3))]);
        assert!(found.runs.iter().all(|run| run.auroc.is_some_and(|auroc| auroc > 0.9)));
        assert_eq!((found.runs[0].read, found.runs[0].unread), (5, 1));
        let supported = found.runs[0].supported.unwrap();
        assert!((supported.mean - 0.8).abs() < 1e-9 && supported.low < 0.8, "{supported:?}");
        let at = |of: &str, at: f64| {
            found
                .table
                .iter()
                .find(|row| row.of == of && (row.threshold - at).abs() < 1e-9)
                .unwrap()
        };
        assert!(at("c", 0.0).kept == 1.0 && at("c", 0.5).supported > at("c", 0.0).supported + 0.2);
        assert!(table(&found).contains("c: 5 printed sentences"), "{}", table(&found));
        let none = report(&[], &[]);
        assert!(none.runs.is_empty() && none.fit == [0.0; 3]);
    }

    #[test]
    fn sentences_are_matched_with_what_was_read_of_that_question() {
        let line = |id: &str, said: &str, supported: bool| {
            format!(
                r#"{{"set": "s", "id": "{id}", "status": "answered", "facts": true, "right": true, "sentences": [{{"hash": "{}", "supported": {supported}}}], "debris": 0, "note": ""}}"#,
                hash(said)
            )
        };
        let verdicts =
            parse(&[line("q1", "It is oak.", true), line("q2", "No.", false)].join("\n"));
        let verdicts = verdicts.unwrap();
        assert!(parse("{}").is_err());
        let signals = r#"{"together": 0.9, "cosine": 0.5}"#;
        let answer = format!(
            r#"{{"status": "answered", "reason": null, "text": "It is oak. [1] It is big. [1]",
            "kept": 2, "dropped": [], "sentences": [{signals}, {signals}], "facts_found": 1,
            "facts": 1, "missed": [], "cited": [1, 1], "gold": [1, 1], "passages": 1,
            "prompt_tokens": 1, "completion_tokens": 1}}"#
        );
        let result: QuestionResult = serde_json::from_str(&format!(
            r#"{{"id": "q1", "kind": "", "split": null, "question": "", "answerable": true,
            "confidence": 0.5, "declined": false, "ranking": null, "found": [], "ranked": [],
            "gold": [], "answer": {answer}, "error": null, "ms": [0, 0, 0]}}"#
        ))
        .unwrap();
        let found = sentences(&[result], &verdicts);
        assert_eq!((&found.answers[..], found.unread, found.written.len()), (&[(1, 1)][..], 1, 1));
    }
}
