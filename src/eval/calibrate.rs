//! What signals say of whether the articles answer a question: a logistic regression, tested on sets
//! that it was not fitted on. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::logistic;
use super::metrics::auroc;
use super::score::QuestionResult;
use crate::answer::{FEATURES, Signals};

/// A question that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What was known of it.
    pub signals: Signals,
    /// Whether the articles answer it.
    pub answerable: bool,
    /// Whether they do, and the answer was right.
    pub right: bool,
}

/// The log-odds that the articles answer, as a linear function of the signals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Without any signal.
    pub bias: f64,
    /// A weight a feature, 0 for one that is not used.
    pub weights: [f64; FEATURES],
}

/// What came of a calibration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Questions that were fitted, and those of them that the articles answer.
    pub questions: [usize; 2],
    /// Fitted on all runs.
    pub fit: Fit,
    /// Area under the ROC curve on each run by a fit on all others; `None` if all its questions are
    /// alike, or there is but one run.
    pub left_out: Vec<Option<f64>>,
    /// The same on each run that was only tested, by the fit on all that were fitted.
    pub tested: Vec<Option<f64>>,
    /// What thresholds do to the questions that were fitted, and to each run that was only tested.
    pub table: Vec<Row>,
}

/// What a threshold does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Whose questions: "fitted on", or a run's name.
    pub of: String,
    /// A question whose probability is less is declined, as is one that the LLM was not asked.
    pub threshold: f64,
    /// The share of the answerable questions that is declined.
    pub refused: f64,
    /// The share of the right answers that is declined.
    pub lost: f64,
    /// The share of the unanswerable questions that is declined.
    pub declined: f64,
}

/// The questions of a run with answers, but for those about the articles themselves: of these there are
/// no signals.
pub fn examples(results: &[QuestionResult]) -> Vec<Example> {
    let each = |result: &QuestionResult| {
        let signals = result.answer.as_ref()?.signals;
        if signals == Signals::default() {
            return None;
        }
        let answerable = result.answerable;
        let right = answerable && result.is_right().unwrap_or(false);
        Some(Example { signals, answerable, right })
    };
    results.iter().filter_map(each).collect()
}

/// Fits all runs, and each by the others, and tests the fit on the runs of `tests` with their names.
/// Each run, and within it the answerable and the other questions, counts the same. `used` has the
/// positions of the features to weigh; if what the LLM says is among them, only questions are fitted of
/// which it was asked that.
pub fn calibrate(
    runs: &[Vec<Example>],
    tests: &[(String, Vec<Example>)],
    used: &[usize],
) -> Calibration {
    let uses = |name: &str| used.iter().any(|at| Signals::NAMES.get(*at) == Some(&name));
    let (verdict, quote) = (uses("verdict"), uses("quote"));
    let asked = |one: &&Example| {
        (!verdict || one.signals.verdict.is_some()) && (!quote || one.signals.quote.is_some())
    };
    let masked: Vec<Vec<(Features, bool)>> = runs
        .iter()
        .map(|run| {
            let row = |one: &Example| (features(one, used), one.answerable);
            run.iter().filter(asked).map(row).collect()
        })
        .collect();
    let all: Vec<&[(Features, bool)]> = masked.iter().map(Vec::as_slice).collect();
    let found = fit(&all);
    let area = |fit: &Fit, rows: &[(Features, bool)]| {
        let scored: Vec<(f64, bool)> =
            rows.iter().map(|(row, is)| (fit.probability(row), *is)).collect();
        auroc(&scored)
    };
    let left_out = (0..all.len()).map(|at| {
        let mut others = all.clone();
        let own = others.remove(at);
        if others.is_empty() { None } else { area(&fit(&others), own) }
    });
    let left_out = left_out.collect();
    let tested = tests.iter().map(|(_, run)| {
        let row = |one: &Example| (features(one, used), one.answerable);
        area(&found, &run.iter().filter(asked).map(row).collect::<Vec<_>>())
    });
    let tested = tested.collect();

    let judged = |run: &[Example]| -> Vec<(f64, Example)> {
        let judge = |one: &Example| {
            let p = if asked(&one) { found.probability(&features(one, used)) } else { 0.0 };
            (p, one.clone())
        };
        run.iter().map(judge).collect()
    };
    let mut groups = vec![("fitted on".to_owned(), judged(&runs.concat()))];
    groups.extend(tests.iter().map(|(name, run)| (name.clone(), judged(run))));
    let thresholds = (1..=18).map(|n| f64::from(n) * 0.05);
    let rows = |(of, all): &(String, Vec<(f64, Example)>)| -> Vec<Row> {
        thresholds.clone().map(|threshold| row(of, all, threshold)).collect()
    };
    let table = groups.iter().flat_map(rows).collect();
    let questions = [
        all.iter().map(|run| run.len()).sum(),
        all.iter().map(|run| run.iter().filter(|(_, is)| *is).count()).sum(),
    ];
    Calibration { questions, fit: found, left_out, tested, table }
}

/// A calibration as text.
pub fn table(found: &Calibration) -> String {
    let Calibration { questions: [all, answerable], fit, left_out, tested, table } = found;
    let mut out =
        format!("{all} questions, {answerable} of them answerable\n\nbias {:>13.3}\n", fit.bias);
    for (name, weight) in Signals::NAMES.iter().zip(&fit.weights) {
        if *weight != 0.0 {
            let _ = writeln!(out, "{name:<10}{weight:>8.3}");
        }
    }
    let mut areas = |title: &str, areas: &[Option<f64>]| {
        if areas.is_empty() {
            return;
        }
        let _ = write!(out, "\n{title}:");
        for auc in areas {
            out.push_str(&auc.map_or(" –".to_owned(), |auc| format!(" {auc:.3}")));
        }
    };
    areas("AUROC of each run by a fit on the others", left_out);
    areas("AUROC of each run that was not fitted", tested);
    out.push('\n');
    let mut before = "";
    for Row { of, threshold, refused, lost, declined } in table {
        if of != before {
            let title = "threshold  refused  right ones lost  unanswerable ones declined";
            let _ = writeln!(out, "\n{of}\n{title}");
            before = of;
        }
        let _ = writeln!(out, "{threshold:>9.2}{refused:>9.3}{lost:>17.3}{declined:>28.3}");
    }
    out
}

/// A number a feature.
type Features = [f64; FEATURES];

/// The features of a question, 0 for those that are not used.
fn features(example: &Example, used: &[usize]) -> Features {
    let mut features = example.signals.features().map(f64::from);
    for (at, feature) in features.iter_mut().enumerate() {
        if !used.contains(&at) {
            *feature = 0.0;
        }
    }
    features
}

fn row(of: &str, judged: &[(f64, Example)], threshold: f64) -> Row {
    let share = |of: &dyn Fn(&Example) -> bool| {
        let all: Vec<_> = judged.iter().filter(|(_, one)| of(one)).collect();
        let below = all.iter().filter(|(p, _)| *p < threshold).count();
        below as f64 / all.len().max(1) as f64
    };
    Row {
        of: of.to_owned(),
        threshold,
        refused: share(&|one| one.answerable),
        lost: share(&|one| one.right),
        declined: share(&|one| !one.answerable),
    }
}

impl Fit {
    /// How likely it is that the articles answer, 0 to 1.
    fn probability(&self, row: &Features) -> f64 {
        let fitted: Vec<f64> = std::iter::once(self.bias).chain(self.weights).collect();
        logistic::probability(&fitted, row)
    }
}

/// The fit of some runs.
fn fit(runs: &[&[(Features, bool)]]) -> Fit {
    let groups: Vec<_> = runs.iter().map(|run| logistic::examples(run)).collect();
    let fitted = logistic::fit(FEATURES, &groups);
    let mut found = Fit { bias: fitted[0], weights: [0.0; FEATURES] };
    found.weights.copy_from_slice(&fitted[1..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSINE: usize = 0;
    const VERDICT: usize = FEATURES - 2;

    fn example(cosine: f32, verdict: f32, answerable: bool) -> Example {
        let signals = Signals { cosine, verdict: Some(verdict), ..Signals::default() };
        Example { signals, answerable, right: answerable }
    }

    /// Two runs in which both signals tell.
    fn runs() -> Vec<Vec<Example>> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut one = |_| {
            let (cosine, verdict) = (random.f32(), random.f32() * 4.0 - 2.0);
            let odds = 6.0 * (cosine - 0.5) + 2.0 * verdict;
            example(cosine, verdict, random.f32() < 1.0 / (1.0 + (-odds).exp()))
        };
        vec![(0..400).map(&mut one).collect(), (0..100).map(&mut one).collect()]
    }

    #[test]
    fn what_made_the_outcomes_is_found_again() {
        let with = calibrate(&runs(), &[], &[COSINE, VERDICT]);
        assert!((with.fit.weights[COSINE] - 6.0).abs() < 2.0, "{:?}", with.fit);
        assert!((with.fit.weights[VERDICT] - 2.0).abs() < 0.6, "{:?}", with.fit);
        assert!(with.left_out.iter().all(|auc| auc.is_some_and(|auc| auc > 0.85)));
        let without = calibrate(&runs(), &[], &[COSINE]);
        assert_eq!(without.fit.weights[VERDICT], 0.0);
        assert!(without.left_out[0] < with.left_out[0]);
    }

    /// Ten times the questions of one kind move the fit by no more than their own noise.
    #[test]
    fn runs_and_classes_count_the_same_however_many_questions_they_have() {
        let runs = runs();
        let once = calibrate(&runs, &[], &[COSINE, VERDICT]).fit;
        let mut more = runs.clone();
        let of_one_kind: Vec<_> = runs[1].iter().filter(|one| one.answerable).cloned().collect();
        more[1].extend((0..9).flat_map(|_| of_one_kind.clone()));
        let again = calibrate(&more, &[], &[COSINE, VERDICT]).fit;
        // Only the penalty weighs less beside more questions.
        for (a, b) in once.weights.iter().zip(&again.weights) {
            assert!((a - b).abs() <= 0.03 * a.abs(), "{once:?} {again:?}");
        }
        assert!((once.bias - again.bias).abs() < 0.2, "{once:?} {again:?}");
    }

    #[test]
    fn a_higher_threshold_declines_more_and_what_was_not_asked_is_declined() {
        let mut test = runs().remove(1);
        for one in test.iter_mut().take(10) {
            one.signals.verdict = None;
        }
        let tests = [("other".to_owned(), test)];
        let found = calibrate(&runs(), &tests, &[COSINE, VERDICT]);
        for of in ["fitted on", "other"] {
            let rows: Vec<_> = found.table.iter().filter(|row| row.of == of).collect();
            assert_eq!(rows.len(), 18, "{rows:?}");
            assert!(rows.windows(2).all(|pair| pair[1].refused >= pair[0].refused));
            assert!(rows.windows(2).all(|pair| pair[1].declined >= pair[0].declined));
            let of = |at: f64| rows.iter().find(|row| (row.threshold - at).abs() < 1e-9).unwrap();
            assert!(of(0.5).declined > of(0.5).refused + 0.3, "{rows:?}");
        }
        assert!(found.table[1].refused + found.table[1].declined > 0.1);
        assert!(found.tested[0].is_some_and(|auc| auc > 0.85));
        assert!(table(&found).contains("other"), "{}", table(&found));
    }

    #[test]
    fn outcomes_that_are_all_alike_or_none_are_no_error() {
        let all = [example(0.1, 0.0, true), example(0.9, 0.0, true)];
        for runs in [vec![all.to_vec()], vec![all[..1].to_vec()], vec![vec![]], vec![]] {
            let fitted = calibrate(&runs, &[], &[COSINE, VERDICT]);
            assert!(fitted.fit.weights.iter().all(|weight| weight.is_finite()), "{fitted:?}");
        }
    }
}
