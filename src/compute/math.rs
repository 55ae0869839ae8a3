//! Rows of numbers: norms, activations, softmax. Pure, without branches in the inner loops, so that
//! the compiler makes vector instructions of them.

/// Numbers that are summed side by side.
const LANES: usize = 16;

/// What `join` makes of a row's numbers, side by side; it must not matter in which order.
#[inline(always)]
fn fold(row: &[f32], first: f32, each: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [first; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = join(lanes[lane], each(chunk[lane]));
        }
    }
    let mut all = first;
    for value in rest {
        all = join(all, each(*value));
    }
    for lane in lanes {
        all = join(all, lane);
    }
    all
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    fold(row, 0.0, |value| value, |a, b| a + b)
}

#[inline(always)]
fn squares(row: &[f32]) -> f32 {
    fold(row, 0.0, |value| value * value, |a, b| a + b)
}

/// Scales a row to length 1; a row of zeros stays as it is.
pub fn normalize(row: &mut [f32]) {
    let length = squares(row).sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value /= length);
    }
}

/// Layer normalisation (Ba et al. 2016) of a row: mean 0 and variance 1, then a scale and a shift
/// for each place.
#[inline(always)]
pub fn layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    for value in &mut *row {
        *value -= mean;
    }
    let variance = squares(row) / count;
    let factor = 1.0 / (variance + epsilon).sqrt();
    let (scale, shift) = (&scale[..row.len()], &shift[..row.len()]);
    for (n, value) in row.iter_mut().enumerate() {
        *value = *value * factor * scale[n] + shift[n];
    }
}

/// Root mean square normalisation (Zhang and Sennrich 2019) of a row, then a scale for each place.
#[inline(always)]
pub fn rms_norm(row: &mut [f32], scale: &[f32], epsilon: f32) {
    let factor = 1.0 / (squares(row) / row.len() as f32 + epsilon).sqrt();
    row.iter_mut().zip(scale).for_each(|(value, scale)| *value = *value * factor * scale);
}

/// Softmax of a row in place.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    let most = fold(row, f32::NEG_INFINITY, |value| value, |a, b| if b > a { b } else { a });
    for value in &mut *row {
        *value = exp(*value - most);
    }
    let share = 1.0 / sum(row);
    for value in row {
        *value *= share;
    }
}

/// The Gaussian error linear unit with the exact error function (Hendrycks and Gimpel 2016).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The same by the hyperbolic tangent, as some models were trained with.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    // tanh(y) = 1 - 2 / (e^2y + 1)
    0.5 * x * (2.0 - 2.0 / (exp((2.0 * inner).clamp(-87.0, 87.0)) + 1.0))
}

/// The sigmoid linear unit (Hendrycks and Gimpel 2016).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp((-x).min(87.0)))
}

/// The error function, within 4e-7: a ratio of polynomials, as in Eigen.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let y = x * x;
    let above = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_4e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    let below = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2];
    x * horner(&above, y) / horner(&below, y)
}

/// e to the `x` for `x` between -87 and 87, within 2e-7 of its size; 0 below.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding this rounds to a whole number, which then lies in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let is_small = x < -87.0;
    let x = x.max(-87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let power = horner(&series, rest) * rest * rest + rest + 1.0;
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    if is_small { 0.0 } else { power * f32::from_bits(exponent) }
}

#[inline(always)]
fn horner(factors: &[f32], x: f32) -> f32 {
    factors.iter().fold(0.0, |all, factor| all * x + factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The error function by its series, in double precision.
    fn exact_erf(x: f64) -> f64 {
        let mut term = x;
        let mut total = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * 2.0 / std::f64::consts::PI.sqrt()
    }

    proptest! {
        #[test]
        fn activations_are_what_they_are_called(x in -6.0f32..6.0) {
            let wanted = 0.5 * f64::from(x) * (1.0 + exact_erf(f64::from(x) / 2f64.sqrt()));
            let got = f64::from(gelu(x));
            prop_assert!((got - wanted).abs() < 2e-6, "{got} {wanted}");
            let y = f64::from(x);
            let wanted = 0.5 * y
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (y + 0.044715 * y.powi(3))).tanh());
            prop_assert!((f64::from(gelu_tanh(x)) - wanted).abs() < 2e-6);
        }

        #[test]
        fn exp_is_within_its_error(x in -87.0f32..87.0) {
            let wanted = f64::from(x).exp();
            prop_assert!(((f64::from(exp(x)) - wanted) / wanted).abs() < 2e-7);
        }

        #[test]
        fn softmax_shares_out_one(row in prop::collection::vec(-50.0f32..50.0, 1..70)) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = row.iter().map(|x| f64::from(x - most).exp()).collect();
            let total: f64 = powers.iter().sum();
            let mut shares = row.clone();
            softmax(&mut shares);
            for (share, power) in shares.iter().zip(&powers) {
                prop_assert!((f64::from(*share) - power / total).abs() < 1e-6);
            }
        }

        #[test]
        fn a_row_is_brought_to_mean_0_and_variance_1(
            row in prop::collection::vec(-9.0f32..9.0, 2..70)
        ) {
            let count = row.len() as f64;
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
            let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
            let mut normed = row.clone();
            layer_norm(&mut normed, &vec![2.0; row.len()], &vec![0.5; row.len()], 1e-5);
            for (got, x) in normed.iter().zip(&row) {
                let wanted = (f64::from(*x) - mean) / (variance + 1e-5).sqrt() * 2.0 + 0.5;
                prop_assert!((f64::from(*got) - wanted).abs() < 2e-3, "{got} {wanted}");
            }
            let mut unit = row.clone();
            normalize(&mut unit);
            let length: f32 = unit.iter().map(|x| x * x).sum();
            prop_assert!((length - 1.0).abs() < 1e-4 || row.iter().all(|x| *x == 0.0));
        }
    }

    #[test]
    fn nothing_comes_of_what_is_far_below() {
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        let mut row = [0.0, f32::NEG_INFINITY];
        softmax(&mut row);
        assert_eq!(row, [1.0, 0.0]);
        assert!((gelu(60.0) - 60.0).abs() < 1e-4 && gelu(-60.0).abs() < 1e-4);
        assert!((gelu_tanh(60.0) - 60.0).abs() < 1e-4 && gelu_tanh(-60.0).abs() < 1e-4);
        let mut zeros = [0.0; 3];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0; 3]);
    }
}
