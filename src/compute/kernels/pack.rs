//! Rows of weights as a GGUF file has them → tiles.

use std::ops::Range;

use super::Shared;
use super::layout::{BLOCK, Format, SMALL, TILE, WORD, q4k, q6k, q8, tile_bytes};
use super::scratch::with_scratch;
use crate::compute::Pool;

/// Rows of weights to be packed.
pub enum Source<'a> {
    /// Blocks of `Q4_K`, row by row.
    Q4K(&'a [u8]),
    /// Blocks of `Q6_K`, row by row.
    Q6K(&'a [u8]),
    /// Blocks of `Q8_0`, row by row.
    Q8(&'a [u8]),
    /// Whatever else: writes the numbers of a row, which become `Q8_0`.
    Numbers(&'a (dyn Fn(usize, &mut [f32]) + Sync)),
}

impl Source<'_> {
    /// What it is packed as.
    pub fn format(&self) -> Format {
        match self {
            Source::Q4K(_) => Format::Q4K,
            Source::Q6K(_) => Format::Q6K,
            Source::Q8(_) | Source::Numbers(_) => Format::Q8,
        }
    }
}

/// Writes these tiles of a matrix `[rows, columns]`; rows that a last tile has too many are zeros.
///
/// # Panics
/// If the source or `into` is not of the size that the tiles have.
pub fn pack(
    pool: &Pool,
    source: &Source<'_>,
    shape: (usize, usize),
    tiles: Range<usize>,
    into: &mut [u8],
) {
    let (rows, columns) = shape;
    let size = tile_bytes(source.format(), columns);
    assert_eq!(into.len(), size * tiles.len());
    let start = Shared(into.as_mut_ptr());
    pool.run(tiles.len(), &|n| {
        // SAFETY: each tile is written by one call alone, and lies in `into` by its length.
        let tile = unsafe { start.part(n * size, size) };
        tile.fill(0);
        let first = (tiles.start + n) * TILE;
        for row in first..(first + TILE).min(rows) {
            match source {
                Source::Q4K(bytes) => pack_q4k(row_of(bytes, row, columns, 144), row - first, tile),
                Source::Q6K(bytes) => pack_q6k(row_of(bytes, row, columns, 210), row - first, tile),
                Source::Q8(bytes) => {
                    let size = columns / SMALL * 34;
                    pack_q8(&bytes[row * size..][..size], row - first, tile);
                }
                Source::Numbers(write) => with_scratch(columns, |numbers| {
                    write(row, numbers);
                    pack_q8(&q8_blocks(numbers), row - first, tile);
                }),
            }
        }
    });
}

fn row_of(bytes: &[u8], row: usize, columns: usize, block: usize) -> &[u8] {
    let size = columns / BLOCK * block;
    &bytes[row * size..][..size]
}

/// Spreads a row's bytes over the words from `at` on.
fn spread(bytes: &[u8], row: usize, words: &mut [u8]) {
    for (four, word) in bytes.chunks_exact(4).zip(words.chunks_exact_mut(WORD)) {
        word[row * 4..row * 4 + 4].copy_from_slice(four);
    }
}

fn pack_q4k(blocks: &[u8], row: usize, tile: &mut [u8]) {
    for (block, tile) in blocks.chunks_exact(144).zip(tile.chunks_exact_mut(q4k::SIZE)) {
        tile[row * 2..row * 2 + 2].copy_from_slice(&block[0..2]);
        tile[q4k::MINIMA + row * 2..][..2].copy_from_slice(&block[2..4]);
        let six = &block[4..16];
        for sub in 0..8 {
            let (scale, minimum) = match sub {
                0..4 => (six[sub] & 63, six[sub + 4] & 63),
                _ => (
                    (six[sub + 4] & 15) | (six[sub - 4] >> 6) << 4,
                    (six[sub + 4] >> 4) | (six[sub] >> 6) << 4,
                ),
            };
            tile[q4k::SUB_SCALES + sub * TILE + row] = scale;
            tile[q4k::SUB_MINIMA + sub / 2 * 2 * TILE + row * 2 + sub % 2] = minimum;
        }
        spread(&block[16..], row, &mut tile[q4k::WORDS..]);
    }
}

fn pack_q6k(blocks: &[u8], row: usize, tile: &mut [u8]) {
    for (block, tile) in blocks.chunks_exact(210).zip(tile.chunks_exact_mut(q6k::SIZE)) {
        tile[row * 2..row * 2 + 2].copy_from_slice(&block[208..]);
        for sub in 0..16 {
            let at = q6k::SUB_SCALES + sub / 2 * 2 * TILE + row * 2 + sub % 2;
            tile[at] = block[192 + sub];
        }
        spread(&block[..128], row, &mut tile[q6k::LOW..]);
        spread(&block[128..192], row, &mut tile[q6k::HIGH..]);
    }
}

fn pack_q8(blocks: &[u8], row: usize, tile: &mut [u8]) {
    let (scales, words) = tile.split_at_mut(q8::words(blocks.len() / 34));
    let scales = scales.chunks_exact_mut(2 * TILE).zip(words.chunks_exact_mut(q8::SIZE));
    for (block, (scales, words)) in blocks.chunks_exact(34).zip(scales) {
        scales[row * 2..row * 2 + 2].copy_from_slice(&block[..2]);
        spread(&block[2..], row, words);
    }
}

/// A row as ggml's `Q8_0`.
fn q8_blocks(numbers: &[f32]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(numbers.len() / SMALL * 34);
    for numbers in numbers.chunks_exact(SMALL) {
        let most = numbers.iter().fold(0f32, |most, number| most.max(number.abs()));
        let scale = half::f16::from_f32(most / 127.0);
        let factor = if scale.to_f32() > 0.0 { 1.0 / (most / 127.0) } else { 0.0 };
        blocks.extend_from_slice(&scale.to_le_bytes());
        blocks.extend(numbers.iter().map(|number| (number * factor).round() as i8 as u8));
    }
    blocks
}
