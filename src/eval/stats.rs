//! How sure a figure is: bootstrap intervals, paired tests, what could have been seen. Pure; every
//! seed is fixed and shown.

use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap, and shuffles of the randomisation test.
pub const RESAMPLES: usize = 10_000;
/// The seed of both.
pub const SEED: u64 = 42;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over the questions.
    pub mean: f64,
    /// 2.5th percentile of the bootstrap.
    pub low: f64,
    /// 97.5th percentile of the bootstrap.
    pub high: f64,
    /// Questions.
    pub n: usize,
}

/// The mean and its percentile bootstrap interval (Efron and Tibshirani, 1993); zeros for no values.
pub fn bootstrap(values: &[f64]) -> Estimate {
    let n = values.len();
    if n == 0 {
        return Estimate::default();
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| values[random.usize(..n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Estimate { mean, low: at(0.025), high: at(0.975), n }
}

/// A figure of a whole set with its percentile bootstrap interval over the questions (1,000
/// resamples; those of which it can't be said are left out). `None` if it can't be said of the set.
pub fn bootstrap_of<T: Copy>(
    values: &[T],
    figure: impl Fn(&[T]) -> Option<f64>,
) -> Option<Estimate> {
    let mean = figure(values)?;
    let n = values.len();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut found: Vec<f64> = (0..RESAMPLES / 10)
        .filter_map(|_| {
            let drawn: Vec<T> = (0..n).map(|_| values[random.usize(..n)]).collect();
            figure(&drawn)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = found.len().saturating_sub(1) as f64;
        found.get((last * share).round() as usize).copied().unwrap_or(mean)
    };
    Some(Estimate { mean, low: at(0.025), high: at(0.975), n })
}

/// `n` of the values, drawn by [`SEED`], in their order.
pub fn sample<T>(values: Vec<T>, n: usize) -> Vec<T> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let drawn: std::collections::HashSet<usize> =
        random.choose_multiple(0..values.len(), n.min(values.len())).into_iter().collect();
    let numbered = values.into_iter().enumerate().filter(|(at, _)| drawn.contains(at));
    numbered.map(|(_, value)| value).collect()
}

/// The difference of two runs over the same questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean of B − A with its bootstrap interval.
    pub mean: Estimate,
    /// Two-sided p of the paired randomisation test.
    pub p: f64,
    /// The difference that as many questions would show four times out of five at p < 0.05.
    pub detectable: f64,
}

/// Compares paired values by the randomisation test (Smucker, Allan and Carterette, CIKM 2007):
/// how often does a random choice of signs give as large a mean difference?
pub fn paired(a: &[f64], b: &[f64]) -> Difference {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let mean = bootstrap(&differences);
    let n = differences.len();
    let observed = differences.iter().sum::<f64>().abs();
    let mut random = fastrand::Rng::with_seed(SEED);
    let as_large = (0..RESAMPLES)
        .filter(|_| {
            let sum: f64 = differences.iter().map(|d| if random.bool() { *d } else { -*d }).sum();
            sum.abs() >= observed - 1e-12
        })
        .count();
    let variance = differences.iter().map(|d| (d - mean.mean).powi(2)).sum::<f64>()
        / (n.saturating_sub(1)).max(1) as f64;
    // 1.960 for 5 % two-sided, 0.842 for a power of 80 %.
    let detectable = (1.960 + 0.842) * (variance / n.max(1) as f64).sqrt();
    let p = (as_large + 1) as f64 / (RESAMPLES + 1) as f64;
    Difference { mean, p: p.min(1.0), detectable }
}

/// p values corrected for their number (Holm, 1979), in their order.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        highest = highest.max(p_values[at] * (p_values.len() - rank) as f64).min(1.0);
        corrected[at] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sample_keeps_its_order_and_may_be_larger_than_all() {
        let all: Vec<u32> = (0..50).collect();
        let drawn = super::sample(all.clone(), 10);
        assert!(drawn.len() == 10 && drawn.is_sorted());
        assert_eq!(drawn, super::sample(all.clone(), 10));
        assert_eq!(super::sample(all.clone(), usize::MAX), all);
        assert!(super::sample(Vec::<u32>::new(), 3).is_empty());
    }

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clear_difference_is_seen_and_none_is_not() {
        let a: Vec<f64> = (0..60).map(|n| f64::from(n % 2)).collect();
        let better: Vec<f64> = a.iter().map(|_| 1.0).collect();
        let seen = paired(&a, &better);
        assert!(seen.p < 0.001 && seen.mean.low > 0.3, "{seen:?}");
        let same = paired(&a, &a);
        assert!((same.p, same.mean.mean, same.detectable) == (1.0, 0.0, 0.0), "{same:?}");
    }

    #[test]
    fn the_interval_of_a_coin_is_as_wide_as_the_binomials() {
        let values: Vec<f64> = (0..100).map(|n| f64::from(n % 2)).collect();
        let estimate = bootstrap(&values);
        assert_eq!(estimate.mean, 0.5);
        assert!((estimate.low - 0.402).abs() < 0.02 && (estimate.high - 0.598).abs() < 0.02);
        assert_eq!(bootstrap(&[]), Estimate::default());
    }

    #[test]
    fn holm_as_in_a_textbook() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), vec![0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.9, 0.8]), vec![1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn the_mean_lies_in_its_interval(values in proptest::collection::vec(0.0f64..1.0, 1..30)) {
            let estimate = bootstrap(&values);
            prop_assert!(estimate.low <= estimate.mean + 1e-9 && estimate.mean <= estimate.high + 1e-9);
        }
    }
}
