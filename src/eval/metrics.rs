//! Ranking metrics of one question, in the field's terms. Pure.
//!
//! A ranking is what was found, best first, each document once; relevance is the grade of each
//! relevant document. Without a relevant document every metric is 0, as trec_eval has it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The ranking metrics of one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Whether the first is relevant.
    pub hit_1: f64,
    /// Whether one of the first three is.
    pub hit_3: f64,
    /// Whether one of the first five is.
    pub hit_5: f64,
    /// Whether one of the first ten is.
    pub hit_10: f64,
    /// Share of the relevant that are among the first three.
    pub recall_3: f64,
    /// Share of the relevant that are among the first ten.
    pub recall_10: f64,
    /// 1 / rank of the first relevant one, 0 if it is not among the first ten.
    pub mrr_10: f64,
    /// Normalised discounted cumulative gain of the first ten, gain = grade, discount =
    /// log2(rank + 1) (Järvelin and Kekäläinen, TOIS 2002, as trec_eval's `ndcg_cut` has it).
    pub ndcg_10: f64,
    /// Average precision over the whole ranking; its mean is MAP.
    pub ap: f64,
}

impl Ranking {
    /// Names and values, in the order in which tables show them.
    pub fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("hit@1", self.hit_1),
            ("hit@3", self.hit_3),
            ("hit@5", self.hit_5),
            ("hit@10", self.hit_10),
            ("recall@3", self.recall_3),
            ("recall@10", self.recall_10),
            ("MRR@10", self.mrr_10),
            ("nDCG@10", self.ndcg_10),
            ("MAP", self.ap),
        ]
    }
}

/// The metrics of a ranking. A document that stands in it twice counts at its first place.
pub fn ranking(found: &[String], relevance: &HashMap<String, u32>) -> Ranking {
    let relevant = relevance.values().filter(|grade| **grade > 0).count();
    if relevant == 0 {
        return Ranking::default();
    }
    let mut seen = std::collections::HashSet::new();
    let grades: Vec<u32> = found
        .iter()
        .filter(|document| seen.insert(document.as_str()))
        .map(|document| relevance.get(document).copied().unwrap_or(0))
        .collect();
    let within = |k: usize| grades.iter().take(k).filter(|grade| **grade > 0).count() as f64;
    let hit = |k: usize| within(k).min(1.0);
    let discount = |rank: usize| ((rank + 2) as f64).log2();
    let gain = |grades: &mut dyn Iterator<Item = u32>| -> f64 {
        grades.take(10).enumerate().map(|(rank, grade)| f64::from(grade) / discount(rank)).sum()
    };
    let mut ideal: Vec<u32> = relevance.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let first = grades.iter().take(10).position(|grade| *grade > 0);
    let mut precision = 0.0;
    let mut so_far = 0.0;
    for (rank, _) in grades.iter().enumerate().filter(|(_, grade)| **grade > 0) {
        so_far += 1.0;
        precision += so_far / (rank + 1) as f64;
    }
    Ranking {
        hit_1: hit(1),
        hit_3: hit(3),
        hit_5: hit(5),
        hit_10: hit(10),
        recall_3: within(3) / relevant as f64,
        recall_10: within(10) / relevant as f64,
        mrr_10: first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
        ndcg_10: gain(&mut grades.iter().copied()) / gain(&mut ideal.into_iter()),
        ap: precision / relevant as f64,
    }
}

/// Risk (share of wrong answers) over coverage (share of questions answered), by falling
/// confidence: one point for each question, and the area under the curve. `answers` are pairs of
/// confidence and whether answering was right.
pub fn risk_coverage(answers: &[(f64, bool)]) -> (Vec<(f64, f64)>, f64) {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let all = sorted.len() as f64;
    let mut wrong = 0.0;
    let points: Vec<(f64, f64)> = sorted
        .iter()
        .enumerate()
        .map(|(at, (_, right))| {
            wrong += if *right { 0.0 } else { 1.0 };
            ((at + 1) as f64 / all, wrong / (at + 1) as f64)
        })
        .collect();
    let area = points.iter().map(|(_, risk)| risk).sum::<f64>() / all.max(1.0);
    (points, area)
}

/// The area under the ROC curve of a score that is to be high where the second value is true: how
/// often a true one scores above a false one, ties counting half (Mann and Whitney, 1947). `None`
/// if only one of them is there.
pub fn auroc(scores: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut below, mut trues) = (0.0, 0usize, 0usize);
    let mut at = 0;
    while at < sorted.len() {
        let end = at + sorted[at..].iter().take_while(|(score, _)| *score == sorted[at].0).count();
        let tied = sorted[at..end].iter().filter(|(_, is)| *is).count();
        let others = end - at - tied;
        wins += tied as f64 * (below as f64 + others as f64 / 2.0);
        below += others;
        trues += tied;
        at = end;
    }
    (trues > 0 && below > 0).then(|| wins / (trues as f64 * below as f64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metrics(found: &[&str], relevant: &[(&str, u32)]) -> Ranking {
        let found: Vec<String> = found.iter().map(|&id| id.to_owned()).collect();
        let relevance = relevant.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect();
        ranking(&found, &relevance)
    }

    #[test]
    fn by_hand() {
        let m = metrics(&["x", "a", "y", "b"], &[("a", 1), ("b", 1), ("c", 1)]);
        assert_eq!((m.hit_1, m.hit_3, m.recall_3, m.recall_10), (0.0, 1.0, 1.0 / 3.0, 2.0 / 3.0));
        assert_eq!(m.mrr_10, 0.5);
        assert!((m.ap - (0.5 + 0.5) / 3.0).abs() < 1e-12);
        let dcg = 1.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((m.ndcg_10 - dcg / ideal).abs() < 1e-12);
        assert_eq!(metrics(&["a"], &[]), Ranking::default());
        assert_eq!(metrics(&["a", "a", "b"], &[("b", 1)]).mrr_10, 0.5);
    }

    #[test]
    fn risk_grows_with_what_is_answered_wrongly() {
        let (points, area) = risk_coverage(&[(0.9, true), (0.2, false), (0.5, true)]);
        assert_eq!(points.last(), Some(&(1.0, 1.0 / 3.0)));
        assert!((area - 1.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn auroc_counts_pairs() {
        assert_eq!(auroc(&[(0.9, true), (0.5, false), (0.4, true), (0.1, false)]), Some(0.75));
        assert_eq!(auroc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auroc(&[(0.5, true)]), None);
    }

    proptest! {
        #[test]
        fn all_lie_between_0_and_1(found in proptest::collection::vec(0u8..30, 0..20), gold in proptest::collection::vec((0u8..30, 0u32..4), 0..6)) {
            let found: Vec<String> = found.iter().map(u8::to_string).collect();
            let gold = gold.iter().map(|(id, grade)| (id.to_string(), *grade)).collect();
            for (name, value) in ranking(&found, &gold).named() {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{name} {value}");
            }
        }
    }
}
