//! Products of tiles in plain Rust: what the others are held to, and what runs where there is no
//! other. The inner loops go over the rows of a tile, side by side.

use std::ops::Range;

use super::layout::{BLOCK, SMALL, TILE, WORD, half, q4k, q6k, q8};
use super::rows::{Quants, Rows};

type Sums = [i32; TILE];

/// Adds the products of a word's bytes with four activations.
#[inline(always)]
fn add_word(sums: &mut Sums, word: impl Fn(usize) -> i32, values: &[i8]) {
    for (row, sum) in sums.iter_mut().enumerate() {
        for (k, value) in values.iter().enumerate() {
            *sum += word(row * 4 + k) * i32::from(*value);
        }
    }
}

pub(super) fn q4k(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
    let Some(quants) = &rows.large else { return };
    let blocks = rows.columns() / BLOCK;
    for (at, products) in which.zip(products) {
        *products = [0.0; TILE];
        for (block, tile) in tile.chunks_exact(q4k::SIZE).enumerate() {
            let Part { values, scale, sums32, .. } = quants.block(blocks * at + block);
            let mut whole = [0i32; TILE];
            let mut minima = [0i32; TILE];
            for sub in 0..8 {
                let mut sums = [0i32; TILE];
                for j in 0..8 {
                    let word = &tile[q4k::WORDS + (sub / 2 * 8 + j) * WORD..][..WORD];
                    let values = &values[sub * 32 + j * 4..][..4];
                    let shift = sub % 2 * 4;
                    add_word(&mut sums, |n| i32::from(word[n] >> shift & 15), values);
                }
                for row in 0..TILE {
                    whole[row] += sums[row] * i32::from(tile[q4k::SUB_SCALES + sub * TILE + row]);
                    let minimum = tile[q4k::SUB_MINIMA + sub / 2 * 2 * TILE + row * 2 + sub % 2];
                    minima[row] += i32::from(minimum) * i32::from(sums32[sub]);
                }
            }
            for row in 0..TILE {
                let minimum = minima[row] as f32 * half(tile, q4k::MINIMA + row * 2);
                let sum = (whole[row] as f32).mul_add(half(tile, row * 2), -minimum);
                products[row] = sum.mul_add(scale, products[row]);
            }
        }
    }
}

pub(super) fn q6k(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
    let Some(quants) = &rows.large else { return };
    let blocks = rows.columns() / BLOCK;
    for (at, products) in which.zip(products) {
        *products = [0.0; TILE];
        for (block, tile) in tile.chunks_exact(q6k::SIZE).enumerate() {
            let Part { values, scale, sums16, .. } = quants.block(blocks * at + block);
            let mut whole = [0i32; TILE];
            // Sub-blocks of 16 columns: in each half of 128 there are four quarters of two.
            for (sub, sum16) in sums16.iter().enumerate() {
                let (half, quarter, part) = (sub / 8, sub % 8 / 2, sub % 2);
                let mut sums = [0i32; TILE];
                for j in part * 4..part * 4 + 4 {
                    let low = half * 16 + quarter % 2 * 8 + j;
                    let low = &tile[q6k::LOW + low * WORD..][..WORD];
                    let high = &tile[q6k::HIGH + (half * 8 + j) * WORD..][..WORD];
                    let values = &values[half * 128 + quarter * 32 + j * 4..][..4];
                    let (low_by, high_by) = (quarter / 2 * 4, quarter * 2);
                    let weight = |n: usize| {
                        i32::from((low[n] >> low_by & 15) | (high[n] >> high_by & 3) << 4)
                    };
                    add_word(&mut sums, weight, values);
                }
                for row in 0..TILE {
                    // Weights are from -32 on.
                    let sum = sums[row] - 32 * i32::from(*sum16);
                    let at = q6k::SUB_SCALES + sub / 2 * 2 * TILE + row * 2 + sub % 2;
                    whole[row] += sum * i32::from(tile[at] as i8);
                }
            }
            for row in 0..TILE {
                let sum = whole[row] as f32 * half(tile, row * 2);
                products[row] = sum.mul_add(scale, products[row]);
            }
        }
    }
}

pub(super) fn q8(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
    let Some(quants) = &rows.small else { return };
    let blocks = rows.columns() / SMALL;
    let words = &tile[q8::words(blocks)..];
    for (at, products) in which.zip(products) {
        *products = [0.0; TILE];
        for (block, words) in words.chunks_exact(q8::SIZE).enumerate() {
            let n = blocks * at + block;
            let (values, scale) = (&quants.values[n * SMALL..][..SMALL], quants.scales[n]);
            let mut sums = [0i32; TILE];
            for (word, values) in words.chunks_exact(WORD).zip(values.chunks_exact(4)) {
                add_word(&mut sums, |n| i32::from(word[n] as i8), values);
            }
            for row in 0..TILE {
                let sum = sums[row] as f32 * half(tile, (block * TILE + row) * 2);
                products[row] = sum.mul_add(scale, products[row]);
            }
        }
    }
}

/// A block of activations.
struct Part<'a> {
    values: &'a [i8],
    scale: f32,
    sums16: &'a [i16],
    sums32: &'a [i16],
}

impl Quants {
    fn block(&self, n: usize) -> Part<'_> {
        Part {
            values: &self.values[n * BLOCK..][..BLOCK],
            scale: self.scales[n],
            sums16: &self.sums16[n * 16..][..16],
            sums32: &self.sums32[n * 8..][..8],
        }
    }
}
