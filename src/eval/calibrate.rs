//! What signals say of whether an answer will be right: a logistic regression (Cox, 1958) with a ridge
//! penalty, fitted by Newton's method, and tested on sets that it was not fitted on. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::metrics::auroc;
use super::score::QuestionResult;
use crate::answer::{FEATURES, Signals};

/// How much a weight of 1 of a standardised feature costs.
const RIDGE: f64 = 1.0;

/// Steps of Newton's method; it has long converged then.
const STEPS: usize = 50;

/// A question whose outcome is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What was known before.
    pub signals: Signals,
    /// Whether a right answer came of it.
    pub right: bool,
    /// Which run it is of.
    pub run: usize,
}

/// The log-odds of a right answer as a linear function of the signals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Without any signal.
    pub bias: f64,
    /// A weight a feature.
    pub weights: Vec<f64>,
}

/// What came of a calibration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Questions, and those with a right answer.
    pub questions: [usize; 2],
    /// Fitted on all runs.
    pub fit: Fit,
    /// Area under the ROC curve on each run by a fit on all others; `None` if all its questions ended
    /// alike, or there is but one run.
    pub left_out: Vec<Option<f64>>,
    /// What a threshold does to the questions, each by a fit that has not seen its run.
    pub table: Vec<Row>,
}

/// What a threshold does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Questions that are less likely to be answered rightly are declined.
    pub threshold: f64,
    /// The share of all questions that is answered.
    pub coverage: f64,
    /// The share of those that is answered wrongly.
    pub risk: f64,
    /// The share of all questions with a right answer that is declined.
    pub lost: f64,
}

/// The questions of runs that can be learnt from: those for which the LLM was asked.
pub fn examples(runs: &[Vec<QuestionResult>]) -> Vec<Example> {
    let each = |(run, results): (usize, &Vec<QuestionResult>)| {
        results
            .iter()
            .filter_map(|result| {
                let answer = result.answer.as_ref()?;
                let right = result.answerable && result.is_right().unwrap_or(false);
                answer.signals.verdict.map(|_| Example { signals: answer.signals, right, run })
            })
            .collect::<Vec<_>>()
    };
    runs.iter().enumerate().flat_map(each).collect()
}

/// Fits all examples, and each run by the others. `with_verdict` says whether the LLM's verdict may be
/// used.
pub fn calibrate(examples: &[Example], with_verdict: bool) -> Calibration {
    let features = |example: &Example| {
        let mut features = example.signals.features().map(f64::from);
        if !with_verdict {
            features[FEATURES - 1] = 0.0;
        }
        features
    };
    let rows: Vec<([f64; FEATURES], bool)> =
        examples.iter().map(|example| (features(example), example.right)).collect();
    let runs = examples.iter().map(|example| example.run + 1).max().unwrap_or(0);
    let mut left_out = Vec::new();
    let mut judged = Vec::new();
    for run in 0..runs {
        let of = |is_in: bool| -> Vec<([f64; FEATURES], bool)> {
            let chosen = examples.iter().zip(&rows).filter(|(one, _)| (one.run == run) == is_in);
            chosen.map(|(_, row)| *row).collect()
        };
        let train = if runs > 1 { of(false) } else { rows.clone() };
        let fit = fit(&train);
        let scored: Vec<(f64, bool)> =
            of(true).iter().map(|(row, right)| (fit.probability(row), *right)).collect();
        left_out.push(if runs > 1 { auroc(&scored) } else { None });
        judged.extend(scored);
    }
    let right = rows.iter().filter(|(_, right)| *right).count();
    let table = (0..=18).map(|n| row(&judged, f64::from(n) * 0.05)).collect();
    Calibration { questions: [rows.len(), right], fit: fit(&rows), left_out, table }
}

/// A calibration as text.
pub fn table(found: &Calibration) -> String {
    let Calibration { questions: [all, right], fit, left_out, table } = found;
    let mut out = format!("{all} questions, {right} answered rightly\n\nbias {:.3}\n", fit.bias);
    for (name, weight) in Signals::NAMES.iter().zip(&fit.weights) {
        let _ = writeln!(out, "{name:<10}{weight:>8.3}");
    }
    out.push_str("\nAUROC of each run by a fit on the others:");
    for auc in left_out {
        out.push_str(&auc.map_or(" –".to_owned(), |auc| format!(" {auc:.3}")));
    }
    out.push_str("\n\nthreshold  answered  wrong of these  right ones lost\n");
    for Row { threshold, coverage, risk, lost } in table {
        let _ = writeln!(out, "{threshold:>9.2}{coverage:>10.3}{risk:>16.3}{lost:>17.3}");
    }
    out
}

fn row(judged: &[(f64, bool)], threshold: f64) -> Row {
    let count =
        |of: &dyn Fn(&(f64, bool)) -> bool| judged.iter().filter(|one| of(one)).count() as f64;
    let answered = count(&|(p, _)| *p >= threshold);
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    Row {
        threshold,
        coverage: share(answered, judged.len() as f64),
        risk: share(count(&|(p, right)| *p >= threshold && !right), answered),
        lost: share(count(&|(p, right)| *p < threshold && *right), count(&|(_, right)| *right)),
    }
}

impl Fit {
    /// How likely a right answer is, 0 to 1.
    fn probability(&self, row: &[f64; FEATURES]) -> f64 {
        let odds = row.iter().zip(&self.weights).fold(self.bias, |sum, (x, w)| sum + x * w);
        1.0 / (1.0 + (-odds).exp())
    }
}

/// The fit of some rows.
fn fit(rows: &[([f64; FEATURES], bool)]) -> Fit {
    let n = rows.len().max(1) as f64;
    let mut mean = [0.0; FEATURES];
    let mut scale = [0.0; FEATURES];
    for at in 0..FEATURES {
        mean[at] = rows.iter().map(|(row, _)| row[at]).sum::<f64>() / n;
        let variance = rows.iter().map(|(row, _)| (row[at] - mean[at]).powi(2)).sum::<f64>() / n;
        // One that is always the same says nothing.
        scale[at] = if variance > 1e-12 { 1.0 / variance.sqrt() } else { 0.0 };
    }
    const SIZE: usize = FEATURES + 1;
    let standard = |row: &[f64; FEATURES]| {
        let mut all = [1.0; SIZE];
        for at in 0..FEATURES {
            all[at + 1] = (row[at] - mean[at]) * scale[at];
        }
        all
    };
    let mut weights = [0.0; SIZE];
    for _ in 0..STEPS {
        let mut gradient = [0.0; SIZE];
        let mut curve = [[0.0; SIZE]; SIZE];
        for at in 0..SIZE {
            // The bias costs nothing.
            let ridge = if at == 0 { 1e-6 } else { RIDGE };
            gradient[at] = -ridge * weights[at];
            curve[at][at] = ridge;
        }
        for (row, right) in rows {
            let row = standard(row);
            let odds: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
            let p = 1.0 / (1.0 + (-odds).exp());
            for a in 0..SIZE {
                gradient[a] += (f64::from(u8::from(*right)) - p) * row[a];
                for b in 0..SIZE {
                    curve[a][b] += p * (1.0 - p) * row[a] * row[b];
                }
            }
        }
        for (weight, step) in weights.iter_mut().zip(solve(curve, gradient)) {
            *weight += step;
        }
    }
    let raw: Vec<f64> = (0..FEATURES).map(|at| weights[at + 1] * scale[at]).collect();
    let bias = weights[0] - raw.iter().zip(mean).map(|(w, m)| w * m).sum::<f64>();
    Fit { bias, weights: raw }
}

/// The solution of a system of linear equations with a positive definite matrix, by elimination.
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for at in 0..N {
        let pivot = a[at];
        for below in at + 1..N {
            let factor = a[below][at] / pivot[at];
            for (x, y) in a[below].iter_mut().zip(pivot) {
                *x -= factor * y;
            }
            b[below] -= factor * b[at];
        }
    }
    for at in (0..N).rev() {
        let known: f64 = (at + 1..N).map(|other| a[at][other] * b[other]).sum();
        b[at] = (b[at] - known) / a[at][at];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(cosine: f32, verdict: f32, right: bool, run: usize) -> Example {
        let signals = Signals { cosine, verdict: Some(verdict), ..Signals::default() };
        Example { signals, right, run }
    }

    /// Two runs in which the cosine tells, and the verdict only where it may.
    fn examples() -> Vec<Example> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..400)
            .map(|at| {
                let (cosine, verdict) = (random.f32(), random.f32() * 4.0 - 2.0);
                let odds = 6.0 * (cosine - 0.5) + 2.0 * verdict;
                example(cosine, verdict, random.f32() < 1.0 / (1.0 + (-odds).exp()), at % 2)
            })
            .collect()
    }

    #[test]
    fn what_made_the_outcomes_is_found_again() {
        let with = calibrate(&examples(), true);
        assert!((with.fit.weights[0] - 6.0).abs() < 2.0, "{:?}", with.fit);
        assert!((with.fit.weights[FEATURES - 1] - 2.0).abs() < 0.6, "{:?}", with.fit);
        assert!(with.left_out.iter().all(|auc| auc.is_some_and(|auc| auc > 0.85)));
        let without = calibrate(&examples(), false);
        assert_eq!(without.fit.weights[FEATURES - 1], 0.0);
        assert!(without.left_out[0] < with.left_out[0]);
    }

    #[test]
    fn a_higher_threshold_answers_less_and_less_wrongly() {
        let table = calibrate(&examples(), true).table;
        assert!(table.windows(2).all(|pair| pair[1].coverage <= pair[0].coverage));
        assert!(table.windows(2).all(|pair| pair[1].lost >= pair[0].lost));
        assert!(table[0].coverage == 1.0 && table[12].risk < table[0].risk - 0.1);
    }

    #[test]
    fn outcomes_that_are_all_alike_or_none_are_no_error() {
        let all = [example(0.1, 0.0, true, 0), example(0.9, 0.0, true, 0)];
        for examples in [&all[..], &all[..1], &[]] {
            let fitted = calibrate(examples, true);
            assert!(fitted.fit.weights.iter().all(|weight| weight.is_finite()), "{fitted:?}");
        }
    }
}
