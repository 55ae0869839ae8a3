//! Arithmetic of single precision: what attention and gates are made of.
//!
//! All tiers are made of the same lines, or do the same operations in the same order, so that they
//! give the same bits.

#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;

use super::layout::BLOCK;
use crate::compute::math;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX2, AVX512};

/// Keys that are multiplied with queries side by side.
pub(super) const SPAN: usize = 64;

/// What a gate does before it lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The sigmoid linear unit (Hendrycks and Gimpel 2016).
    Silu,
    /// The Gaussian error linear unit, by the hyperbolic tangent.
    GeluTanh,
}

/// Arithmetic of single precision that a tier has.
pub(super) struct Floats {
    pub(super) widen: fn(&[f16], &mut [f32]),
    pub(super) dots: fn(&[f32], &[f32], f32, &mut [f32], usize),
    pub(super) softmax: fn(&mut [f32]),
    pub(super) mix: fn(&[f32], usize, &[f32], &mut [f32], usize),
    pub(super) gate: fn(Gate, &mut [f32], &[f32]),
    pub(super) quantize: fn(&[f32], Quantised<'_>),
    pub(super) gelu: fn(&mut [f32]),
    pub(super) layer_norm: fn(&mut [f32], &[f32], &[f32], f32),
    pub(super) rms_norm: fn(&mut [f32], &[f32], f32),
}

/// Where the numbers of a row go, as whole ones.
pub(super) struct Quantised<'a> {
    /// Numbers that have a scale in common.
    pub(super) block: usize,
    pub(super) values: &'a mut [i8],
    pub(super) scales: &'a mut [f32],
    /// Sums of 16 values, and of 32.
    pub(super) sums16: &'a mut [i16],
    pub(super) sums32: &'a mut [i16],
    pub(super) shifts: &'a mut [i32],
}

/// Products of queries `[rows, size]` with the keys of a span, `[size, SPAN]`, scaled, each the sum of
/// its terms from first to last: `[rows, stride]`, of which the first `SPAN` are written.
fn dots(queries: &[f32], keys: &[f32], scale: f32, scores: &mut [f32], stride: usize) {
    let size = keys.len() / SPAN;
    for (query, scores) in queries.chunks_exact(size).zip(scores.chunks_mut(stride)) {
        let mut sums = [0f32; SPAN];
        for (number, keys) in query.iter().zip(keys.as_chunks::<SPAN>().0) {
            for (sum, key) in sums.iter_mut().zip(keys) {
                *sum = number.mul_add(*key, *sum);
            }
        }
        scores[..SPAN].copy_from_slice(&sums.map(|sum| sum * scale));
    }
}

/// Adds to `taken`, `[rows, size]`, the values `[count, size]`, each by its share, one after the
/// other; of the shares `[rows, stride]` there are `count` a row.
fn mix(shares: &[f32], stride: usize, values: &[f32], taken: &mut [f32], size: usize) {
    for (shares, taken) in shares.chunks(stride).zip(taken.chunks_exact_mut(size)) {
        for (share, values) in shares.iter().zip(values.chunks_exact(size)) {
            for (taken, value) in taken.iter_mut().zip(values) {
                *taken = share.mul_add(*value, *taken);
            }
        }
    }
}

#[inline(always)]
fn gate(kind: Gate, gates: &mut [f32], through: &[f32]) {
    let each = gates.iter_mut().zip(through);
    match kind {
        Gate::Silu => each.for_each(|(gate, through)| *gate = math::silu(*gate) * through),
        Gate::GeluTanh => each.for_each(|(gate, through)| *gate = math::gelu_tanh(*gate) * through),
    }
}

/// The size of the largest number; of what is not a number it says nothing.
#[inline(always)]
pub(super) fn largest(numbers: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = numbers.as_chunks::<16>();
    let mut lanes = [0f32; 16];
    for chunk in chunks {
        for lane in 0..16 {
            lanes[lane] = larger(lanes[lane], chunk[lane].abs());
        }
    }
    let mut half = 8;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = larger(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    rest.iter().fold(lanes[0], |most, number| larger(most, number.abs()))
}

/// The nearest whole number from `-most` to `most`; what is not a number becomes any of them.
#[inline(always)]
pub(super) fn nearest(number: f32, most: f32) -> i32 {
    // Adding this rounds to a whole number, which then lies in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let number = if number < most { number } else { most };
    let number = if number > -most { number } else { -most };
    (number + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32
}

/// Whole numbers from -127 to 127, the nearest to `numbers` divided by the scale of their block.
#[inline(always)]
fn quantize(numbers: &[f32], into: Quantised<'_>) {
    let Quantised { block, values, scales, sums16, sums32, shifts } = into;
    let blocks = numbers.chunks_exact(block).zip(values.chunks_exact_mut(block));
    for ((numbers, values), scale) in blocks.zip(scales) {
        let most = largest(numbers);
        // What is so small, or not a number, is nothing.
        let is_some = most > 1e-30 && most.is_finite();
        *scale = if is_some { most / 127.0 } else { 0.0 };
        let factor = if is_some { 127.0 / most } else { 0.0 };
        let whole = values.as_chunks_mut::<16>().0.iter_mut();
        for (numbers, values) in numbers.as_chunks::<16>().0.iter().zip(whole) {
            for lane in 0..16 {
                values[lane] = nearest(numbers[lane] * factor, 127.0) as i8;
            }
        }
    }
    for (sum, values) in sums16.iter_mut().zip(values.as_chunks::<16>().0) {
        let mut all = 0;
        for value in values {
            all += i16::from(*value);
        }
        *sum = all;
    }
    for (sum, parts) in sums32.iter_mut().zip(sums16.as_chunks::<2>().0) {
        *sum = parts[0] + parts[1];
    }
    let by = if block == BLOCK { -8 } else { -128 };
    for (shift, sum) in shifts.iter_mut().zip(&*sums32) {
        *shift = by * i32::from(*sum);
    }
}

fn widen(narrow: &[f16], wide: &mut [f32]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        *wide = narrow.to_f32();
    }
}

pub(super) const PLAIN: Floats = Floats {
    widen,
    dots,
    softmax: |row| math::softmax(row),
    mix,
    gate: |kind, gates, through| gate(kind, gates, through),
    quantize: |numbers, into| quantize(numbers, into),
    gelu: |numbers| numbers.iter_mut().for_each(|number| *number = math::gelu(*number)),
    layer_norm: |row, scale, shift, epsilon| math::layer_norm(row, scale, shift, epsilon),
    rms_norm: |row, scale, epsilon| math::rms_norm(row, scale, epsilon),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kernels::tests::{bits, numbers};
    use crate::compute::kernels::tier::{Tier, here};

    #[test]
    fn tiers_give_the_same_bits() {
        let mut random = fastrand::Rng::with_seed(3);
        for size in [1, 8, 16, 31, 64, 96, 100, 128, 256] {
            for count in [0, 1, 3, 4, 5, 64] {
                let [query, rows] = [size, size * count].map(|len| numbers(&mut random, len));
                let keys = numbers(&mut random, size * SPAN);
                let narrow: Vec<f16> = rows.iter().map(|number| f16::from_f32(*number)).collect();
                let of = |tier: &Tier| {
                    let floats = &tier.kernels().floats;
                    let mut wide = vec![0.0; rows.len()];
                    (floats.widen)(&narrow, &mut wide);
                    let stride = SPAN + 3;
                    let mut scores = vec![0.0; count * stride];
                    (floats.dots)(&rows, &keys, 0.3, &mut scores, stride);
                    let before = scores.clone();
                    scores.chunks_exact_mut(stride).for_each(|row| (floats.softmax)(row));
                    let mut taken = rows.clone();
                    (floats.mix)(&scores, stride, &wide, &mut taken, size);
                    let mut gates = [rows.clone(), rows.clone()];
                    (floats.gate)(Gate::Silu, &mut gates[0], &wide);
                    (floats.gate)(Gate::GeluTanh, &mut gates[1], &wide);
                    let mut quantised = vec![0f32; rows.len() / 32];
                    let mut values = vec![0; rows.len() / 32 * 32];
                    let mut sums = [vec![0; values.len() / 16], vec![0; values.len() / 32]];
                    let [sums16, sums32] = &mut sums;
                    let shifts = &mut vec![0; sums32.len()];
                    let (values, scales) = (&mut values, &mut quantised);
                    let into = Quantised { block: 32, values, scales, sums16, sums32, shifts };
                    (floats.quantize)(&wide[..into.values.len()], into);
                    quantised.extend(values.iter().map(|value| f32::from(*value)));
                    quantised.extend(sums.concat().iter().map(|sum| f32::from(*sum)));
                    let mut rows = [(); 3].map(|()| wide.clone());
                    let [normed, scaled, acted] = &mut rows;
                    for (normed, scaled) in
                        normed.chunks_exact_mut(size).zip(scaled.chunks_exact_mut(size))
                    {
                        (floats.layer_norm)(normed, &query, &query, 1e-5);
                        (floats.rms_norm)(scaled, &query, 1e-5);
                    }
                    (floats.gelu)(acted);
                    [wide, before, scores, taken, gates.concat(), quantised, rows.concat()]
                        .map(|numbers| bits(&numbers))
                };
                let plain = of(&Tier::Reference);
                for tier in here() {
                    assert_eq!(of(tier), plain, "{tier:?} {size} {count}");
                }
            }
        }
    }
}
