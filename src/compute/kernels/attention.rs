//! Attention of queries to the keys and values before them (Vaswani et al. 2017), where several
//! heads of queries share one of keys (Ainslie et al. 2023).
//!
//! A query's numbers are made in one order of its keys, whatever is done beside them.

use half::f16;

use super::Shared;
use super::scratch::with_scratch;
use super::tier::kernels;
use crate::compute::Pool;

/// Keys that are brought to single precision at once.
const SPAN: usize = 64;

/// Queries and heads of them for which a span is brought there, about.
const ROWS: usize = 48;

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
    let at_once = if count == 1 { 1 } else { (ROWS / group).max(1) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kernels::tests::{bits, numbers};

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
