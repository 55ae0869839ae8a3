//! Products of tiles with instructions that multiply four bytes with four and add them up (VNNI):
//! AVX-512 on whole words, AVX-VNNI on halves of them. Both are made of the same lines.
//!
//! No closures: what the standard library calls them from is compiled without these instructions, and
//! would not become one with them.
//!
//! For few rows of activations the weights are unpacked into registers; for many each block is
//! unpacked once, into a buffer that stays in the nearest cache ([`many`]).

mod many;

use std::arch::x86_64::*;
use std::ops::Range;

use super::layout::{BLOCK, Format, SMALL, TILE, WORD, q4k, q6k, q8};
use super::raw::{Raw, by_fours, in_one, places};
use super::rows::Rows;
use super::table::Kernels;
use super::{floats, strips};
use many::{Unpacked, by_some, many};

/// How far ahead of a single row's product the weights are fetched, in bytes.
const AHEAD: usize = 2048;

/// Rows of activations from which on it pays to unpack a block into memory.
const MANY: usize = 8;

/// Brings so many bytes nearer that will be read soon. It is no more than a hint: an address past
/// the end does no harm.
#[inline(always)]
fn fetch(from: *const u8, ahead: usize, bytes: usize) {
    for at in (0..bytes).step_by(64) {
        // SAFETY: every processor of these tiers has the instruction, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead + at).cast()) };
    }
}

/// The kernels over the vectors of the module they are in.
macro_rules! kernels {
    ($features:literal) => {
        by_fours!(q4k_few, Format::Q4K, q4k);
        by_fours!(q6k_few, Format::Q6K, q6k);
        by_fours!(by_8_bits, Format::Q8, q8);

        fn by_4_bits(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
            if which.len() < MANY {
                return q4k_few(tile, rows, which, products);
            }
            let Some(raw) = Raw::new(Format::Q4K, tile, rows, &which, products) else { return };
            // SAFETY: the table of this tier is used only where its instructions are, and what is
            // read and written was just seen to be there.
            unsafe { q4k_many(tile.as_ptr(), raw, &mut products[..which.len()]) }
        }

        fn by_6_bits(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
            if which.len() < MANY {
                return q6k_few(tile, rows, which, products);
            }
            let Some(raw) = Raw::new(Format::Q6K, tile, rows, &which, products) else { return };
            // SAFETY: as above.
            unsafe { q6k_many(tile.as_ptr(), raw, &mut products[..which.len()]) }
        }

        /// Four bytes (or two 16-bit numbers) in all places.
        ///
        /// # Safety
        /// Four bytes can be read there, and this tier's instructions are here; so for all below.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn everywhere<T>(from: *const T) -> Ints {
            // SAFETY: by what the caller answers for.
            all(unsafe { from.cast::<i32>().read_unaligned() })
        }

        #[target_feature(enable = $features)]
        unsafe fn q4k<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
            let low_bits = all(0x0f0f_0f0f);
            let mut totals = [[zeros(); M]; SIDES];
            // SAFETY: the tile has `blocks` blocks, and each row of activations too.
            unsafe {
                for block in 0..rows.blocks {
                    let tile = tile.add(block * q4k::SIZE);
                    let at = places::<M>(rows, block);
                    for side in 0..SIDES {
                        let mut wholes = [none(); M];
                        for pair in 0..4 {
                            let mut low = [none(); M];
                            let mut high = [none(); M];
                            let words = tile.add(q4k::WORDS + (pair * 8 * SIDES + side) * BYTES);
                            if side == 0 {
                                fetch(words, AHEAD, q4k::SIZE / 4);
                            }
                            for j in 0..8 {
                                let word = load(words.add(j * WORD));
                                let lows = and(word, low_bits);
                                let highs = and(right4(word), low_bits);
                                for m in 0..M {
                                    let values = rows.values.add(at[m] * BLOCK + pair * 64 + j * 4);
                                    low[m] = dot(low[m], lows, everywhere(values));
                                    high[m] = dot(high[m], highs, everywhere(values.add(32)));
                                }
                            }
                            let scales = tile.add(q4k::SUB_SCALES + pair * 2 * TILE + side * LANES);
                            let (of_low, of_high) = (bytes(scales), bytes(scales.add(TILE)));
                            for m in 0..M {
                                wholes[m] = add(wholes[m], times(low[m], of_low));
                                wholes[m] = add(wholes[m], times(high[m], of_high));
                            }
                        }
                        let minima = q4k_minima::<M>(tile, side, rows, block);
                        let scales = halves(tile.add(side * LANES * 2));
                        for m in 0..M {
                            let sums = minus(float(wholes[m]), scales, minima[m]);
                            let scale = number(*rows.scales.add(at[m]));
                            totals[side][m] = plus(sums, scale, totals[side][m]);
                        }
                    }
                }
                for m in 0..M {
                    for (side, totals) in totals.iter().enumerate() {
                        store(products[m][side * LANES..].as_mut_ptr(), totals[m]);
                    }
                }
            }
        }

        /// What the minima of the sub-blocks take away.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q4k_minima<const M: usize>(
            tile: *const u8,
            side: usize,
            rows: Raw,
            block: usize,
        ) -> [Floats; M] {
            let mut minima = [none(); M];
            // SAFETY: by what the caller answers for.
            unsafe {
                for pair in 0..4 {
                    let at = q4k::SUB_MINIMA + (pair * TILE + side * LANES) * 2;
                    let of_pair = unsigned_pairs(tile.add(at));
                    for (m, minima) in minima.iter_mut().enumerate() {
                        let at = (m * rows.blocks + block) * 8 + pair * 2;
                        *minima = dot_pairs(*minima, of_pair, everywhere(rows.sums32.add(at)));
                    }
                }
                let scales = halves(tile.add(q4k::MINIMA + side * LANES * 2));
                let mut taken = [zeros(); M];
                for (taken, minima) in taken.iter_mut().zip(minima) {
                    *taken = product(float(minima), scales);
                }
                taken
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn q6k<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
            let mut totals = [[zeros(); M]; SIDES];
            // SAFETY: the tile has `blocks` blocks, and each row of activations too.
            unsafe {
                for block in 0..rows.blocks {
                    let tile = tile.add(block * q6k::SIZE);
                    let at = places::<M>(rows, block);
                    for side in 0..SIDES {
                        let mut wholes = [none(); M];
                        for part in 0..4 {
                            let (half, part) = (part / 2, part % 2);
                            if side == 0 {
                                fetch(
                                    tile.add((half * 2 + part) * q6k::SIZE / 4),
                                    AHEAD,
                                    q6k::SIZE / 4,
                                );
                            }
                            let mut sums = [[none(); M]; 4];
                            for j in part * 4..part * 4 + 4 {
                                let words = q6k_words(tile, side, half, j);
                                for (quarter, word) in words.into_iter().enumerate() {
                                    let column = half * 128 + quarter * 32 + j * 4;
                                    for m in 0..M {
                                        let values = rows.values.add(at[m] * BLOCK + column);
                                        let sum = &mut sums[quarter][m];
                                        *sum = dot(*sum, word, everywhere(values));
                                    }
                                }
                            }
                            for (quarter, sums) in sums.into_iter().enumerate() {
                                let scales = q6k_scales(tile, side, half * 4 + quarter, part);
                                for m in 0..M {
                                    wholes[m] = add(wholes[m], times(sums[m], scales));
                                }
                            }
                        }
                        let shifts = q6k_shifts::<M>(tile, side, rows, block);
                        let scales = halves(tile.add(side * LANES * 2));
                        for m in 0..M {
                            let sums = product(float(less(wholes[m], shifts[m])), scales);
                            let scale = number(*rows.scales.add(at[m]));
                            totals[side][m] = plus(sums, scale, totals[side][m]);
                        }
                    }
                }
                for m in 0..M {
                    for (side, totals) in totals.iter().enumerate() {
                        store(products[m][side * LANES..].as_mut_ptr(), totals[m]);
                    }
                }
            }
        }

        /// The words of four quarters of a half block, a byte a weight, 32 too high.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q6k_words(tile: *const u8, side: usize, half: usize, j: usize) -> [Ints; 4] {
            let (low_bits, high_bits) = (all(0x0f0f_0f0f), all(0x3030_3030));
            // SAFETY: by what the caller answers for.
            let [first, second, high] = unsafe {
                let low = tile.add(q6k::LOW + (half * 16 + j) * WORD + side * BYTES);
                let high = tile.add(q6k::HIGH + (half * 8 + j) * WORD + side * BYTES);
                [load(low), load(low.add(8 * WORD)), load(high)]
            };
            [
                or(and(first, low_bits), and(left4(high), high_bits)),
                or(and(second, low_bits), and(left2(high), high_bits)),
                or(and(right4(first), low_bits), and(high, high_bits)),
                or(and(right4(second), low_bits), and(right2(high), high_bits)),
            ]
        }

        /// The scales of the first or the second sub-block of a pair.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q6k_scales(tile: *const u8, side: usize, pair: usize, which: usize) -> Ints {
            let at = q6k::SUB_SCALES + (pair * TILE + side * LANES) * 2;
            // SAFETY: by what the caller answers for.
            let both = unsafe { signed_pairs(tile.add(at)) };
            if which == 0 { low_of_pair(both) } else { high_of_pair(both) }
        }

        /// What is too much because weights are from -32 on.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q6k_shifts<const M: usize>(
            tile: *const u8,
            side: usize,
            rows: Raw,
            block: usize,
        ) -> [Ints; M] {
            let mut shifts = [none(); M];
            for pair in 0..8 {
                // SAFETY: by what the caller answers for.
                unsafe {
                    let at = q6k::SUB_SCALES + (pair * TILE + side * LANES) * 2;
                    let scales = signed_pairs(tile.add(at));
                    for (m, shifts) in shifts.iter_mut().enumerate() {
                        let at = (m * rows.blocks + block) * 16 + pair * 2;
                        *shifts = dot_pairs(*shifts, scales, everywhere(rows.sums16.add(at)));
                    }
                }
            }
            for shifts in &mut shifts {
                *shifts = times32(*shifts);
            }
            shifts
        }

        #[target_feature(enable = $features)]
        unsafe fn q8<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
            // Bytes without a sign are 128 more.
            let signs = all(0x8080_8080u32 as i32);
            let mut totals = [[zeros(); M]; SIDES];
            // SAFETY: the tile has `blocks` blocks, and each row of activations too.
            unsafe {
                let words = tile.add(q8::words(rows.blocks));
                for block in 0..rows.blocks {
                    let words = words.add(block * q8::SIZE);
                    fetch(words, AHEAD, q8::SIZE);
                    let at = places::<M>(rows, block);
                    for side in 0..SIDES {
                        let mut sums = [none(); M];
                        for m in 0..M {
                            sums[m] = everywhere(rows.shifts.add(at[m]));
                        }
                        for j in 0..8 {
                            let weights = xor(load(words.add(j * WORD + side * BYTES)), signs);
                            for m in 0..M {
                                let values = rows.values.add(at[m] * SMALL + j * 4);
                                sums[m] = dot(sums[m], weights, everywhere(values));
                            }
                        }
                        let scales = halves(tile.add((block * TILE + side * LANES) * 2));
                        for m in 0..M {
                            let sums = product(float(sums[m]), scales);
                            let scale = number(*rows.scales.add(at[m]));
                            totals[side][m] = plus(sums, scale, totals[side][m]);
                        }
                    }
                }
                for m in 0..M {
                    for (side, totals) in totals.iter().enumerate() {
                        store(products[m][side * LANES..].as_mut_ptr(), totals[m]);
                    }
                }
            }
        }
    };
}

/// Functions of one instruction or two.
macro_rules! vectors {
    ($features:literal; $(fn $name:ident($($arg:ident: $of:ty),*) -> $made:ty = $body:expr;)*) => {
        $(
            #[inline]
            #[target_feature(enable = $features)]
            fn $name($($arg: $of),*) -> $made {
                $body
            }
        )*
    };
    // Those that read or write memory.
    (unsafe $features:literal; $(fn $name:ident($($arg:ident: $of:ty),*) -> $made:ty = $body:expr;)*) => {
        $(
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn $name($($arg: $of),*) -> $made {
                // SAFETY: by what the caller answers for: so many bytes can be read or written.
                unsafe { $body }
            }
        )*
    };
}

pub(super) mod avx;
pub(super) mod avx512;
