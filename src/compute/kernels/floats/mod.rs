//! Arithmetic of single precision: what attention and gates are made of.
//!
//! All tiers are made of the same lines, which have no fused operations: so they give the same bits.

#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;

use crate::compute::math;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX2, AVX512};

/// Numbers side by side.
const LANES: usize = 8;

/// Sums side by side in the product of a query and a key.
const SUMS: usize = 16;

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
    pub(super) dots: fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) softmax: fn(&mut [f32]),
    pub(super) mix: fn(&[f32], &[f32], &mut [f32]),
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
}

#[inline(always)]
fn dot<const KEYS: usize>(query: &[f32], keys: [&[f32]; KEYS]) -> [f32; KEYS] {
    let (chunks, rest) = query.as_chunks::<SUMS>();
    let keys = keys.map(|key| key.as_chunks::<SUMS>());
    let mut lanes = [[0f32; SUMS]; KEYS];
    for (n, chunk) in chunks.iter().enumerate() {
        for (lanes, (key, _)) in lanes.iter_mut().zip(&keys) {
            for lane in 0..SUMS {
                lanes[lane] += chunk[lane] * key[n][lane];
            }
        }
    }
    std::array::from_fn(|n| {
        rest.iter().zip(keys[n].1).fold(together(&lanes[n]), |sum, (a, b)| sum + a * b)
    })
}

/// Sums that were made side by side, halves onto halves.
#[inline(always)]
fn together(lanes: &[f32; SUMS]) -> f32 {
    let mut lanes = *lanes;
    let mut half = SUMS / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn dots(query: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
    let size = query.len();
    let (fours, rest) = scores.as_chunks_mut::<4>();
    let (of_fours, of_rest) = keys.split_at(fours.len() * 4 * size);
    for (scores, keys) in fours.iter_mut().zip(of_fours.chunks_exact(4 * size)) {
        let made = dot(query, std::array::from_fn::<_, 4, _>(|n| &keys[n * size..][..size]));
        *scores = made.map(|score| score * scale);
    }
    for (score, key) in rest.iter_mut().zip(of_rest.chunks_exact(size)) {
        let [made] = dot(query, [key]);
        *score = made * scale;
    }
}

#[inline(always)]
fn mix_in<const WIDE: usize>(
    shares: &[f32],
    values: &[f32],
    size: usize,
    at: usize,
    taken: &mut [f32; WIDE],
) {
    let mut sums = *taken;
    let mut from = at;
    for share in shares {
        let Some(value) = values.get(from..).and_then(<[f32]>::first_chunk::<WIDE>) else { break };
        for lane in 0..WIDE {
            sums[lane] += share * value[lane];
        }
        from += size;
    }
    *taken = sums;
}

/// Adds the values, each by its share; `MOST` numbers stay in registers at once.
#[inline(always)]
fn mix<const MOST: usize>(shares: &[f32], values: &[f32], taken: &mut [f32]) {
    let size = taken.len();
    let (wide, rest) = taken.as_chunks_mut::<MOST>();
    let mut at = 0;
    for taken in wide {
        mix_in(shares, values, size, at, taken);
        at += MOST;
    }
    let (narrow, rest) = rest.as_chunks_mut::<LANES>();
    for taken in narrow {
        mix_in(shares, values, size, at, taken);
        at += LANES;
    }
    for taken in rest {
        mix_in(shares, values, size, at, std::array::from_mut(taken));
        at += 1;
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
    let Quantised { block, values, scales, sums16, sums32 } = into;
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
}

fn widen(narrow: &[f16], wide: &mut [f32]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        *wide = narrow.to_f32();
    }
}

pub(super) const PLAIN: Floats = Floats {
    widen,
    dots: |query, keys, scale, scores| dots(query, keys, scale, scores),
    softmax: |row| math::softmax(row),
    mix: |shares, values, taken| mix::<64>(shares, values, taken),
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
                let narrow: Vec<f16> = rows.iter().map(|number| f16::from_f32(*number)).collect();
                let of = |tier: &Tier| {
                    let floats = &tier.kernels().floats;
                    let mut wide = vec![0.0; rows.len()];
                    (floats.widen)(&narrow, &mut wide);
                    let mut scores = vec![0.0; count];
                    (floats.dots)(&query, &wide, 0.3, &mut scores);
                    let before = scores.clone();
                    (floats.softmax)(&mut scores);
                    let mut taken = query.clone();
                    (floats.mix)(&scores, &wide, &mut taken);
                    let mut gates = [rows.clone(), rows.clone()];
                    (floats.gate)(Gate::Silu, &mut gates[0], &wide);
                    (floats.gate)(Gate::GeluTanh, &mut gates[1], &wide);
                    let mut quantised = vec![0f32; rows.len() / 32];
                    let mut values = vec![0; rows.len() / 32 * 32];
                    let mut sums = [vec![0; values.len() / 16], vec![0; values.len() / 32]];
                    let [sums16, sums32] = &mut sums;
                    let (values, scales) = (&mut values, &mut quantised);
                    let into = Quantised { block: 32, values, scales, sums16, sums32 };
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
