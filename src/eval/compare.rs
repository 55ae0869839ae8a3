//! Two runs over the same questions: is there a difference that can be seen? Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::score::{HEADLINE, QuestionResult, is_cost};
use super::stats::{Difference, holm, paired};

/// What a comparison says of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// B is better, and that can be told from chance.
    Better,
    /// B is worse, and that can be told from chance.
    Worse,
    /// No difference can be seen with so many questions.
    NoDifference,
}

/// One metric of two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The metric.
    pub metric: String,
    /// Mean of A over the questions that both have.
    pub a: f64,
    /// Mean of B over the same.
    pub b: f64,
    /// Questions that both have.
    pub n: usize,
    /// B − A.
    pub difference: Difference,
    /// p corrected for the number of metrics (Holm).
    pub p_corrected: f64,
    /// What it says.
    pub verdict: Change,
}

/// A difference counts from this corrected p down.
pub const ALPHA: f64 = 0.05;

/// Compares two runs by the headline metrics that both have.
pub fn compare(a: &[QuestionResult], b: &[QuestionResult]) -> Vec<Row> {
    let by_id = |results: &[QuestionResult]| -> HashMap<String, HashMap<String, f64>> {
        results
            .iter()
            .filter(|result| result.error.is_none())
            .map(|result| (result.id.clone(), result.values().into_iter().collect()))
            .collect()
    };
    let (a, b) = (by_id(a), by_id(b));
    let mut ids: Vec<&String> = a.keys().filter(|id| b.contains_key(*id)).collect();
    ids.sort();
    let mut rows: Vec<Row> = Vec::new();
    for metric in HEADLINE {
        let pairs: Vec<(f64, f64)> = ids
            .iter()
            .filter_map(|id| Some((*a[*id].get(metric)?, *b[*id].get(metric)?)))
            .collect();
        if pairs.is_empty() {
            continue;
        }
        let (left, right): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        rows.push(Row {
            metric: metric.to_owned(),
            a: mean(&left),
            b: mean(&right),
            n: left.len(),
            difference: paired(&left, &right),
            p_corrected: 1.0,
            verdict: Change::NoDifference,
        });
    }
    let corrected = holm(&rows.iter().map(|row| row.difference.p).collect::<Vec<_>>());
    for (row, p) in rows.iter_mut().zip(corrected) {
        row.p_corrected = p;
        let is_better = (row.difference.mean.mean > 0.0) != is_cost(&row.metric);
        row.verdict = match p < ALPHA {
            false => Change::NoDifference,
            true if is_better => Change::Better,
            true => Change::Worse,
        };
    }
    rows
}

/// The comparison as a table for people.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "metric                     A      B      B − A [95 % interval]      p      n  verdict\n",
    );
    for row in rows {
        let mean = row.difference.mean;
        let verdict = match row.verdict {
            Change::Better => "better".to_owned(),
            Change::Worse => "WORSE".to_owned(),
            Change::NoDifference => format!(
                "no difference detectable with {} questions (one of {:.3} would be)",
                row.n, row.difference.detectable
            ),
        };
        let _ = writeln!(
            out,
            "{:<22} {:>6.3} {:>6.3}  {:>+6.3} [{:>+6.3}, {:>+6.3}]  {:>6.4} {:>4}  {verdict}",
            row.metric, row.a, row.b, mean.mean, mean.low, mean.high, row.p_corrected, row.n
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics;
    use crate::eval::score::Levels;

    fn run(ranks: impl Iterator<Item = usize>) -> Vec<QuestionResult> {
        ranks
            .enumerate()
            .map(|(n, rank)| {
                let mut found: Vec<String> = (1..rank).map(|n| format!("other {n}")).collect();
                found.push("gold".to_owned());
                let section = metrics::ranking(&found, &HashMap::from([("gold".to_owned(), 1)]));
                QuestionResult {
                    id: format!("q{n:02}"),
                    kind: "fact".into(),
                    split: None,
                    question: "?".into(),
                    answerable: true,
                    confidence: 0.5,
                    declined: false,
                    ranking: Some(Levels { section, ..Levels::default() }),
                    found: vec![],
                    ranked: vec![],
                    gold: vec![],
                    answer: None,
                    error: None,
                    ms: [0; 3],
                }
            })
            .collect()
    }

    #[test]
    fn a_worse_run_is_called_worse_and_an_equal_one_not() {
        let a = run((0..40).map(|n| 1 + n % 2));
        let b = run((0..40).map(|n| 4 + n % 2));
        insta::assert_snapshot!(table(&compare(&a, &b)));
        assert!(compare(&a, &a).iter().all(|row| row.verdict == Change::NoDifference));
        assert!(compare(&b, &a).iter().any(|row| row.verdict == Change::Better));
    }
}
