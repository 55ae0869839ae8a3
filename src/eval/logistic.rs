//! A logistic regression (Cox, 1958) with a ridge penalty, fitted by Newton's method. Pure.

/// How much a weight of 1 costs, beside a mean log loss an example. Features are of about the same
/// scale as they are.
const RIDGE: f64 = 0.1;

/// Steps of Newton's method; it has long converged then.
const STEPS: usize = 50;

/// What is known of an example, and whether it is so.
pub type Example<'a> = (&'a [f64], bool);

/// Examples of which the same numbers are known.
pub fn examples<const N: usize>(rows: &[([f64; N], bool)]) -> Vec<Example<'_>> {
    rows.iter().map(|(row, is)| (&row[..], *is)).collect()
}

/// The bias and the weights, in this order, that fit some groups of examples with `features` numbers
/// each. Each class of each group has the same weight, and all weights have the mean 1.
pub fn fit(features: usize, groups: &[Vec<Example<'_>>]) -> Vec<f64> {
    let mut rows: Vec<(Vec<f64>, bool, f64)> = Vec::new();
    for group in groups {
        let count = |class: bool| group.iter().filter(|(_, is)| *is == class).count().max(1) as f64;
        let counts = [count(false), count(true)];
        rows.extend(group.iter().map(|(row, is)| {
            let row = std::iter::once(1.0).chain(row.iter().copied()).collect();
            (row, *is, 1.0 / counts[usize::from(*is)])
        }));
    }
    let mean = rows.iter().map(|row| row.2).sum::<f64>() / rows.len().max(1) as f64;
    let size = features + 1;
    let mut weights = vec![0.0; size];
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; size];
        let mut curve = vec![vec![0.0; size]; size];
        for at in 0..size {
            // The bias costs nothing.
            let ridge = if at == 0 { 1e-6 } else { RIDGE };
            gradient[at] = -ridge * weights[at];
            curve[at][at] = ridge;
        }
        for (row, is, weight) in &rows {
            let p = sigmoid(row.iter().zip(&weights).map(|(x, w)| x * w).sum());
            let weight = weight / mean;
            for (a, x) in row.iter().enumerate() {
                gradient[a] += weight * (f64::from(u8::from(*is)) - p) * x;
                for (b, y) in row.iter().enumerate() {
                    curve[a][b] += weight * p * (1.0 - p) * x * y;
                }
            }
        }
        for (weight, step) in weights.iter_mut().zip(solve(curve, gradient)) {
            *weight += step;
        }
    }
    weights
}

/// How likely it is that it is so, 0 to 1, by what [`fit`] returns.
pub fn probability(fitted: &[f64], features: &[f64]) -> f64 {
    let (bias, weights) = fitted.split_first().unwrap_or((&0.0, &[]));
    sigmoid(features.iter().zip(weights).fold(*bias, |sum, (x, w)| sum + x * w))
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// The solution of a system of linear equations with a positive definite matrix, by elimination.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let size = b.len();
    for at in 0..size {
        let pivot = a[at].clone();
        for below in at + 1..size {
            let factor = a[below][at] / pivot[at];
            for (x, y) in a[below].iter_mut().zip(&pivot) {
                *x -= factor * y;
            }
            b[below] -= factor * b[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|other| a[at][other] * b[other]).sum();
        b[at] = (b[at] - known) / a[at][at];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let found = solve(vec![vec![4.0, 1.0], vec![1.0, 3.0]], vec![1.0, 2.0]);
        assert!((found[0] - 1.0 / 11.0).abs() < 1e-12 && (found[1] - 7.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn what_tells_gets_a_weight_and_what_does_not_none() {
        let rows: Vec<([f64; 2], bool)> =
            (0..40).map(|n| ([f64::from(n % 2), f64::from(n % 4 / 2)], n % 2 == 1)).collect();
        let fitted = fit(2, &[examples(&rows)]);
        assert!(fitted[1] > 3.0 && fitted[2].abs() < 1e-3, "{fitted:?}");
        assert!(probability(&fitted, &[1.0, 0.0]) > 0.9 && probability(&fitted, &[0.0, 1.0]) < 0.1);
        assert_eq!(fit(2, &[]), [0.0; 3]);
    }
}
