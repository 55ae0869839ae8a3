//! Arithmetic of single precision: what attention and gates are made of.
//!
//! Both tiers are made of the same lines, which have no fused operations: so they give the same
//! bits.

use half::f16;

use crate::compute::math;

/// Numbers side by side.
const LANES: usize = 8;

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
}

#[inline(always)]
fn dot<const KEYS: usize>(query: &[f32], keys: [&[f32]; KEYS]) -> [f32; KEYS] {
    let (chunks, rest) = query.as_chunks::<LANES>();
    let keys = keys.map(|key| key.as_chunks::<LANES>());
    let mut lanes = [[0f32; LANES]; KEYS];
    for (n, chunk) in chunks.iter().enumerate() {
        for (lanes, (key, _)) in lanes.iter_mut().zip(&keys) {
            for lane in 0..LANES {
                lanes[lane] += chunk[lane] * key[n][lane];
            }
        }
    }
    std::array::from_fn(|n| {
        let [a, b, c, d, e, f, g, h] = lanes[n];
        let sum = ((a + e) + (c + g)) + ((b + f) + (d + h));
        rest.iter().zip(keys[n].1).fold(sum, |sum, (a, b)| sum + a * b)
    })
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
fn mix_in<const WIDE: usize>(shares: &[f32], values: &[f32], size: usize, taken: &mut [f32; WIDE]) {
    let mut sums = *taken;
    for (share, value) in shares.iter().zip(values.chunks(size)) {
        let Some(value) = value.first_chunk::<WIDE>() else { break };
        for lane in 0..WIDE {
            sums[lane] += share * value[lane];
        }
    }
    *taken = sums;
}

/// Adds the values, each by its share.
#[inline(always)]
fn mix(shares: &[f32], values: &[f32], taken: &mut [f32]) {
    let size = taken.len();
    let (wide, rest) = taken.as_chunks_mut::<{ 8 * LANES }>();
    let mut at = 0;
    for taken in wide {
        mix_in(shares, values.get(at..).unwrap_or_default(), size, taken);
        at += 8 * LANES;
    }
    let (narrow, rest) = rest.as_chunks_mut::<LANES>();
    for taken in narrow {
        mix_in(shares, values.get(at..).unwrap_or_default(), size, taken);
        at += LANES;
    }
    for taken in rest {
        for (share, value) in shares.iter().zip(values.chunks_exact(size)) {
            *taken += share * value[at];
        }
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

fn widen(narrow: &[f16], wide: &mut [f32]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        *wide = narrow.to_f32();
    }
}

pub(super) const PLAIN: Floats = Floats {
    widen,
    dots: |query, keys, scale, scores| dots(query, keys, scale, scores),
    softmax: |row| math::softmax(row),
    mix: |shares, values, taken| mix(shares, values, taken),
    gate: |kind, gates, through| gate(kind, gates, through),
};

#[cfg(target_arch = "x86_64")]
pub(super) use with_avx2::AVX2;

/// The same lines, compiled for wider vectors.
#[cfg(target_arch = "x86_64")]
mod with_avx2 {
    use std::arch::x86_64::*;

    use super::*;

    #[target_feature(enable = "avx2,f16c")]
    fn widen(narrow: &[f16], wide: &mut [f32]) {
        let (eights, rest) = narrow.as_chunks::<LANES>();
        let (wide_eights, wide_rest) = wide.as_chunks_mut::<LANES>();
        for (wide, narrow) in wide_eights.iter_mut().zip(eights) {
            // SAFETY: both have eight numbers, of 2 and of 4 bytes.
            unsafe {
                let narrow = _mm_loadu_si128(narrow.as_ptr().cast());
                _mm256_storeu_ps(wide.as_mut_ptr(), _mm256_cvtph_ps(narrow));
            }
        }
        super::widen(rest, wide_rest);
    }

    #[target_feature(enable = "avx2")]
    fn dots(query: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
        let size = query.len();
        assert!(keys.len() >= scores.len() * size);
        let mut at = 0;
        while at < scores.len() {
            let keys = &keys[at * size..];
            // SAFETY: there are as many keys as scores, which were counted above.
            at += unsafe {
                if at + 4 <= scores.len() {
                    some_dots::<4>(query, keys.as_ptr(), scale, &mut scores[at..])
                } else {
                    some_dots::<1>(query, keys.as_ptr(), scale, &mut scores[at..])
                }
            };
        }
    }

    /// As `dot` above, written out: the compiler does not make these vectors of its closures.
    ///
    /// # Safety
    /// `KEYS` keys can be read from there on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn some_dots<const KEYS: usize>(
        query: &[f32],
        keys: *const f32,
        scale: f32,
        scores: &mut [f32],
    ) -> usize {
        let size = query.len();
        let mut sums = [_mm256_setzero_ps(); KEYS];
        let mut at = 0;
        while at + LANES <= size {
            // SAFETY: eight numbers from `at` on lie within the query, and within each key.
            unsafe {
                let query = _mm256_loadu_ps(query.as_ptr().add(at));
                for (n, sum) in sums.iter_mut().enumerate() {
                    let key = _mm256_loadu_ps(keys.add(n * size + at));
                    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(query, key));
                }
            }
            at += LANES;
        }
        for (n, (sums, score)) in sums.into_iter().zip(scores).enumerate() {
            let mut lanes = [0f32; LANES];
            // SAFETY: there is place for eight numbers.
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums) };
            let [a, b, c, d, e, f, g, h] = lanes;
            let mut sum = ((a + e) + (c + g)) + ((b + f) + (d + h));
            for (rest, number) in query.iter().enumerate().skip(at) {
                // SAFETY: this number lies within the key.
                sum += number * unsafe { *keys.add(n * size + rest) };
            }
            *score = sum * scale;
        }
        KEYS
    }

    #[target_feature(enable = "avx2")]
    fn softmax(row: &mut [f32]) {
        math::softmax(row);
    }

    #[target_feature(enable = "avx2")]
    fn mix(shares: &[f32], values: &[f32], taken: &mut [f32]) {
        super::mix(shares, values, taken);
    }

    #[target_feature(enable = "avx2")]
    fn gate(kind: Gate, gates: &mut [f32], through: &[f32]) {
        super::gate(kind, gates, through);
    }

    // SAFETY, of all: this table is used only where there are AVX2 and F16C.
    pub(in super::super) const AVX2: Floats = Floats {
        widen: |narrow, wide| unsafe { widen(narrow, wide) },
        dots: |query, keys, scale, scores| unsafe { dots(query, keys, scale, scores) },
        softmax: |row| unsafe { softmax(row) },
        mix: |shares, values, taken| unsafe { mix(shares, values, taken) },
        gate: |kind, gates, through| unsafe { gate(kind, gates, through) },
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kernels::tests::{bits, numbers};
    use crate::compute::kernels::tier;

    #[test]
    fn tiers_give_the_same_bits() {
        let fast = &tier().kernels().floats;
        let mut random = fastrand::Rng::with_seed(3);
        for size in [1, 8, 16, 31, 64, 96, 100, 128, 256] {
            for count in [0, 1, 3, 4, 5, 64] {
                let [query, rows] = [size, size * count].map(|len| numbers(&mut random, len));
                let narrow: Vec<f16> = rows.iter().map(|number| f16::from_f32(*number)).collect();
                let made = [&PLAIN, fast].map(|floats| {
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
                    [wide, before, scores, taken, gates.concat()].map(|numbers| bits(&numbers))
                });
                assert_eq!(made[0], made[1], "{size} {count}");
            }
        }
    }
}
