//! Attention of queries to the keys and values before them (Vaswani et al. 2017), where several
//! heads of queries share one of keys (Ainslie et al. 2023).
//!
//! A query's numbers are made in one order of its keys, whatever is done beside them.

use super::Shared;
use super::floats::SPAN;
use super::held::Held;
use super::scratch::with_scratch;
use super::tier::kernels;
use crate::compute::Pool;

/// Queries and heads of them for which a span of keys is brought to single precision, about.
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
/// `queries` are `[count, heads, size]`, and what is taken `[kv_heads, count, heads / kv_heads, size]`.
///
/// # Panics
/// If a buffer is of another size than that, or less is held than is seen.
pub fn attend(
    pool: &Pool,
    shape: &Attention,
    (at, count): (usize, usize),
    queries: &[f32],
    held: &Held,
    taken: &mut [f32],
) {
    let Attention { heads, kv_heads, size, .. } = *shape;
    let group = heads / kv_heads;
    assert!(queries.len() == count * heads * size && taken.len() == queries.len());
    assert!(held.len() >= at + count && (held.heads(), held.size()) == (kv_heads, size));
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
        few.attend(&queries[from * heads * size..], held, taken);
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
    fn attend(&self, queries: &[f32], held: &Held, taken: &mut [f32]) {
        let Attention { heads, size, scale, window, .. } = *self.shape;
        let floats = &kernels().floats;
        // Of a position.
        let wide = self.group * size;
        let count = taken.len() / wide;
        let end = self.at + count;
        let sees = |query: usize| {
            let position = self.at + query;
            window.map_or(0, |window| (position + 1).saturating_sub(window))..position + 1
        };
        let begin = sees(0).start / SPAN * SPAN;
        let stride = (end - begin).next_multiple_of(SPAN);
        let seen_in = |query: usize, span: usize| {
            let sees = sees(query);
            sees.start.clamp(span, span + SPAN)..sees.end.clamp(span, span + SPAN)
        };
        taken.fill(0.0);
        with_scratch(self.group * count * stride + SPAN * size, |scratch| {
            let (scores, span_of) = scratch.split_at_mut(self.group * count * stride);
            for span in (begin..end).step_by(SPAN) {
                (floats.widen)(held.keys(span / SPAN, self.head), span_of);
                for query in (0..count).filter(|query| !seen_in(*query, span).is_empty()) {
                    let scores = &mut scores[query * self.group * stride + span - begin..];
                    let queries = &queries[(query * heads + self.first) * size..][..wide];
                    (floats.dots)(queries, span_of, scale, scores, stride);
                }
            }
            for (row, scores) in scores.chunks_exact_mut(stride).enumerate() {
                let sees = sees(row / self.group);
                (floats.softmax)(&mut scores[sees.start - begin..sees.end - begin]);
            }
            for span in (begin..end).step_by(SPAN) {
                let numbers = (end - span).min(SPAN) * size;
                let values = &held.values(span / SPAN, self.head)[..numbers];
                (floats.widen)(values, &mut span_of[..numbers]);
                for (query, taken) in taken.chunks_exact_mut(wide).enumerate() {
                    let seen = seen_in(query, span);
                    let values = &span_of[(seen.start - span) * size..(seen.end - span) * size];
                    let shares = &scores[query * self.group * stride + seen.start - begin..];
                    (floats.mix)(shares, stride, values, taken, size);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

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
        let made = [(); 2].map(|()| numbers(&mut random, all * kv_heads * size));
        let held_of = |len: usize| {
            let mut held = Held::new(kv_heads, size);
            held.push(&made[0][..len * kv_heads * size], &made[1][..len * kv_heads * size]);
            held
        };
        for window in [None, Some(1), Some(70)] {
            let shape = Attention { heads, kv_heads, size, scale: 0.2, window };
            // `[queries, heads, size]` by pieces of some tokens.
            let taken = |piece: usize, threads: usize| {
                let pool = Pool::new(threads);
                let mut all_taken = vec![0f32; all * heads * size];
                for at in (0..all).step_by(piece) {
                    let count = piece.min(all - at);
                    let mut taken = vec![f32::NAN; count * heads * size];
                    let queries = &queries[at * heads * size..][..count * heads * size];
                    let held = held_of(at + count);
                    attend(&pool, &shape, (at, count), queries, &held, &mut taken);
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
                let seen = |held: &[f32]| -> Vec<Vec<f64>> {
                    let at = |key: usize| (key * kv_heads + head) * size;
                    let row = |key: usize| {
                        held[at(key)..at(key) + size].iter().map(|n| f16::from_f32(*n).to_f64())
                    };
                    (first..=position).map(|key| row(key).collect()).collect()
                };
                let query = &queries[n * size..][..size];
                let wanted = exact(query, &seen(&made[0]), &seen(&made[1]), 0.2);
                for (taken, wanted) in taken.iter().zip(wanted) {
                    assert!((f64::from(*taken) - wanted).abs() < 1e-4, "{n}: {taken} {wanted}");
                }
            }
        }
    }
}
