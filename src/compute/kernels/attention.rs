//! Attention of queries to the keys and values before them (Vaswani et al. 2017), where several
//! heads of queries share one of keys (Ainslie et al. 2023).
//!
//! A query's numbers are made in one order of its keys, whatever is done beside them. Both tiers
//! are made of the same lines, which have no fused operations: so they give the same bits.

use std::cell::Cell;

use half::f16;

use super::Shared;
use super::product::Gate;
use super::tier::kernels;
use crate::compute::{Pool, math};

/// Keys that are brought to single precision at once.
const SPAN: usize = 64;

/// Numbers side by side.
const LANES: usize = 8;

/// What is attended with.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; they divide those of queries.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub size: usize,
    /// Products of queries and keys are scaled by this.
    pub scale: f32,
    /// Keys that a query sees, its own included; all if there is no window.
    pub window: Option<usize>,
}

/// Arithmetic of single precision that a tier has.
pub(super) struct Floats {
    widen: fn(&[f16], &mut [f32]),
    dots: fn(&[f32], &[f32], f32, &mut [f32]),
    softmax: fn(&mut [f32]),
    mix: fn(&[f32], &[f32], &mut [f32]),
    pub(super) gate: fn(Gate, &mut [f32], &[f32]),
}

/// Takes for each query, the first of which stands at position `at`, the values of the keys it sees.
///
/// `queries` are `[count, heads, size]`, `keys` and `values` `[positions, kv_heads, size]`, and what
/// is taken `[kv_heads, count, heads / kv_heads, size]`.
///
/// # Panics
/// If a buffer is shorter than that.
pub fn attend(
    pool: &Pool,
    shape: &Attention,
    (at, count): (usize, usize),
    queries: &[f32],
    (keys, values): (&[f16], &[f16]),
    taken: &mut [f32],
) {
    let Attention { heads, kv_heads, size, .. } = *shape;
    let group = heads / kv_heads;
    assert!(queries.len() == count * heads * size && taken.len() == queries.len());
    assert!(keys.len() >= (at + count) * kv_heads * size && values.len() >= keys.len());
    // A single query's heads are shared out where there are more threads than heads of keys.
    let parts = match count {
        1 => (1..=group)
            .find(|parts| group.is_multiple_of(*parts) && parts * kv_heads >= pool.in_use())
            .unwrap_or(group),
        _ => 1,
    };
    let group = group / parts;
    let at_once = if count == 1 { 1 } else { (32 / group).max(1) };
    let blocks = count.div_ceil(at_once);
    let place = Shared(taken.as_mut_ptr());
    pool.run(kv_heads * parts * blocks, &|unit| {
        let (head, block) = (unit / blocks, unit % blocks);
        let from = block * at_once;
        let many = at_once.min(count - from);
        let wide = group * size;
        // SAFETY: units have different heads or queries, so each place is written by one alone, and
        // the length was checked above.
        let taken = unsafe { place.part((head * count + from) * wide, many * wide) };
        let few = Unit { shape, head: head / parts, first: head * group, group, at: at + from };
        few.attend(&queries[from * heads * size..], (keys, values), taken);
    });
}

/// Some heads of some queries, which share a head of keys.
struct Unit<'a> {
    shape: &'a Attention,
    head: usize,
    first: usize,
    group: usize,
    at: usize,
}

impl Unit<'_> {
    fn attend(&self, queries: &[f32], (keys, values): (&[f16], &[f16]), taken: &mut [f32]) {
        let Attention { heads, kv_heads, size, scale, window } = *self.shape;
        let floats = &kernels().floats;
        let rows = taken.len() / size;
        let end = self.at + rows / self.group;
        let sees = |row: usize| {
            let position = self.at + row / self.group;
            window.map_or(0, |window| (position + 1).saturating_sub(window))..position + 1
        };
        let begin = sees(0).start;
        let seen = end - begin;
        let in_span = |row: usize, span: usize| {
            let sees = sees(row);
            sees.start.clamp(span, (span + SPAN).min(end))
                ..sees.end.clamp(span, (span + SPAN).min(end))
        };
        taken.fill(0.0);
        with_scratch(rows * seen + SPAN * size, |scratch| {
            let (scores, wide) = scratch.split_at_mut(rows * seen);
            let spread = |narrow: &[f16], span: usize, wide: &mut [f32]| {
                for (position, wide) in (span..end).zip(wide.chunks_exact_mut(size)) {
                    let at = (position * kv_heads + self.head) * size;
                    (floats.widen)(&narrow[at..at + size], wide);
                }
            };
            for span in (begin..end).step_by(SPAN) {
                spread(keys, span, wide);
                for row in 0..rows {
                    let sees = in_span(row, span);
                    let head = row / self.group * heads + self.first + row % self.group;
                    let query = &queries[head * size..][..size];
                    let keys = &wide[(sees.start - span) * size..(sees.end - span) * size];
                    let scores = &mut scores[row * seen..][..seen];
                    let scores = &mut scores[sees.start - begin..sees.end - begin];
                    (floats.dots)(query, keys, scale, scores);
                }
            }
            for row in 0..rows {
                let sees = sees(row);
                let scores = &mut scores[row * seen..][..seen];
                (floats.softmax)(&mut scores[sees.start - begin..sees.end - begin]);
            }
            for span in (begin..end).step_by(SPAN) {
                spread(values, span, wide);
                for (row, taken) in taken.chunks_exact_mut(size).enumerate() {
                    let sees = in_span(row, span);
                    let values = &wide[(sees.start - span) * size..(sees.end - span) * size];
                    let shares = &scores[row * seen..][..seen];
                    (floats.mix)(&shares[sees.start - begin..sees.end - begin], values, taken);
                }
            }
        });
    }
}

/// Numbers to work with, whatever they are: the thread keeps the memory.
pub(super) fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    }
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let done = work(&mut scratch[..len]);
    SCRATCH.set(scratch);
    done
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
    use crate::compute::kernels::tier;

    fn numbers(random: &mut fastrand::Rng, count: usize) -> Vec<f32> {
        (0..count).map(|_| 4.0 * (random.f32() - 0.5)).collect()
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|number| number.to_bits()).collect()
    }

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

    /// Attention of one head of one query in double precision.
    fn exact(query: &[f32], keys: &[Vec<f64>], values: &[Vec<f64>], scale: f32) -> Vec<f64> {
        let dot = |key: &Vec<f64>| key.iter().zip(query).map(|(a, b)| a * f64::from(*b)).sum();
        let scores = keys.iter().map(|key| {
            let dot: f64 = dot(key);
            (dot * f64::from(scale)).exp()
        });
        let scores: Vec<f64> = scores.collect();
        let total: f64 = scores.iter().sum();
        let taken =
            |n: usize| scores.iter().zip(values).map(|(s, value)| s / total * value[n]).sum();
        (0..query.len()).map(taken).collect()
    }

    #[test]
    fn queries_take_what_they_should_in_any_pieces_on_any_threads() {
        let (heads, kv_heads, size, all) = (6, 2, 40, 150);
        let mut random = fastrand::Rng::with_seed(4);
        let queries = numbers(&mut random, all * heads * size);
        let held = [(); 2].map(|()| numbers(&mut random, all * kv_heads * size));
        let held: [Vec<f16>; 2] = held.map(|held| held.iter().map(|n| f16::from_f32(*n)).collect());
        for window in [None, Some(1), Some(70)] {
            let shape = Attention { heads, kv_heads, size, scale: 0.2, window };
            // `[queries, heads, size]` by pieces of some tokens.
            let taken = |piece: usize, threads: usize| {
                let pool = Pool::new(threads);
                let mut all_taken = vec![0f32; all * heads * size];
                for at in (0..all).step_by(piece) {
                    let count = piece.min(all - at);
                    let end = (at + count) * kv_heads * size;
                    let mut taken = vec![f32::NAN; count * heads * size];
                    let queries = &queries[at * heads * size..][..count * heads * size];
                    let held = (&held[0][..end], &held[1][..end]);
                    attend(&pool, &shape, (at, count), queries, held, &mut taken);
                    for (n, taken) in taken.chunks_exact(size).enumerate() {
                        let group = heads / kv_heads;
                        let (head, row) = (n / (count * group), n / group % count);
                        let place = (at + row) * heads + head * group + n % group;
                        all_taken[place * size..][..size].copy_from_slice(taken);
                    }
                }
                all_taken
            };
            let whole = taken(all, 1);
            for (piece, threads) in [(1, 1), (1, 4), (7, 2), (32, 4), (all, 3)] {
                assert_eq!(bits(&taken(piece, threads)), bits(&whole), "{piece} {threads}");
            }
            for (n, taken) in whole.chunks_exact(size).enumerate() {
                let (position, head) = (n / heads, n % heads / (heads / kv_heads));
                let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
                let seen = |held: &[f16]| -> Vec<Vec<f64>> {
                    let at = |key: usize| (key * kv_heads + head) * size;
                    let row = |key: usize| held[at(key)..at(key) + size].iter().map(|n| n.to_f64());
                    (first..=position).map(|key| row(key).collect()).collect()
                };
                let query = &queries[n * size..][..size];
                let wanted = exact(query, &seen(&held[0]), &seen(&held[1]), 0.2);
                for (taken, wanted) in taken.iter().zip(wanted) {
                    assert!((f64::from(*taken) - wanted).abs() < 1e-4, "{n}: {taken} {wanted}");
                }
            }
        }
    }
}
