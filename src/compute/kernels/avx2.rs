//! Products of tiles with AVX2, FMA and F16C.
//!
//! A vector has four neighbouring columns of eight rows, half of a word. `maddubs` multiplies unsigned weights with
//! four activations that all rows share and adds neighbours: at most 2 * 15 * 127 for 4 bits, so
//! that eight of them fit 16 bits, and 2 * 63 * 127 for 6, so that two do.

use std::arch::x86_64::*;
use std::ops::Range;

use super::layout::{BLOCK, Format, SMALL, TILE, WORD, q4k, q6k, q8};
use super::raw::{Raw, by_fours, places};
use super::rows::Rows;
use super::table::Kernels;
use super::{floats, strips};

pub(super) static KERNELS: Kernels = Kernels {
    q4k: by_4_bits,
    q6k: by_6_bits,
    q8: by_8_bits,
    floats: floats::AVX2,
    sixteen: strips::AVX2,
};

/// Numbers, rows of a tile, in a vector.
const LANES: usize = TILE / 2;

/// How far ahead of a single row's product the weights are fetched, in bytes.
const AHEAD: usize = 2048;

by_fours!(by_4_bits, Format::Q4K, q4k);
by_fours!(by_6_bits, Format::Q6K, q6k);
by_fours!(by_8_bits, Format::Q8, q8);

/// Four bytes (or two 16-bit numbers) in all places.
///
/// # Safety
/// Four bytes can be read there, and there is AVX2; so for the functions below.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn everywhere<T>(from: *const T) -> __m256i {
    // SAFETY: by what the caller answers for.
    _mm256_set1_epi32(unsafe { from.cast::<i32>().read_unaligned() })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load(from: *const u8) -> __m256i {
    // SAFETY: by what the caller answers for: 32 bytes can be read there.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// Eight half-precision numbers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn halves(from: *const u8) -> __m256 {
    // SAFETY: by what the caller answers for: 16 bytes can be read there.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q4k<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
    let low_bits = _mm256_set1_epi8(15);
    let mut totals = [[_mm256_setzero_ps(); M]; 2];
    // SAFETY: the tile has `blocks` blocks, and each row of activations too.
    unsafe {
        for block in 0..rows.blocks {
            let tile = tile.add(block * q4k::SIZE);
            let at = places::<M>(rows, block);
            for (side, totals) in totals.iter_mut().enumerate() {
                let mut wholes = [_mm256_setzero_si256(); M];
                for pair in 0..4 {
                    let mut low = [_mm256_setzero_si256(); M];
                    let mut high = [_mm256_setzero_si256(); M];
                    let words = tile.add(q4k::WORDS + pair * 8 * WORD + side * WORD / 2);
                    if side == 0 {
                        for line in 0..10 {
                            // It is no more than a hint: an address past the end does no harm.
                            let far = words.wrapping_add(AHEAD + line * 64);
                            _mm_prefetch::<_MM_HINT_T0>(far.cast());
                        }
                    }
                    for j in 0..8 {
                        let word = load(words.add(j * WORD));
                        let lows = _mm256_and_si256(word, low_bits);
                        let highs = _mm256_and_si256(_mm256_srli_epi16::<4>(word), low_bits);
                        for m in 0..M {
                            let values = rows.values.add(at[m] * BLOCK + pair * 64 + j * 4);
                            let made = _mm256_maddubs_epi16(lows, everywhere(values));
                            low[m] = _mm256_add_epi16(low[m], made);
                            let made = _mm256_maddubs_epi16(highs, everywhere(values.add(32)));
                            high[m] = _mm256_add_epi16(high[m], made);
                        }
                    }
                    let scales = tile.add(q4k::SUB_SCALES + pair * 2 * TILE + side * LANES);
                    let (of_low, of_high) = (twice(scales), twice(scales.add(TILE)));
                    for m in 0..M {
                        let low = _mm256_madd_epi16(low[m], of_low);
                        let high = _mm256_madd_epi16(high[m], of_high);
                        wholes[m] = _mm256_add_epi32(wholes[m], _mm256_add_epi32(low, high));
                    }
                }
                let mut minima = [_mm256_setzero_si256(); M];
                for pair in 0..4 {
                    let of_pair = tile.add(q4k::SUB_MINIMA + pair * 2 * TILE + side * TILE);
                    let of_pair = _mm256_cvtepu8_epi16(_mm_loadu_si128(of_pair.cast()));
                    for m in 0..M {
                        let sums = everywhere(rows.sums32.add(at[m] * 8 + pair * 2));
                        minima[m] = _mm256_add_epi32(minima[m], _mm256_madd_epi16(of_pair, sums));
                    }
                }
                let scales = halves(tile.add(side * TILE));
                let of_minima = halves(tile.add(q4k::MINIMA + side * TILE));
                for m in 0..M {
                    let minima = _mm256_mul_ps(_mm256_cvtepi32_ps(minima[m]), of_minima);
                    let sums = _mm256_fmsub_ps(_mm256_cvtepi32_ps(wholes[m]), scales, minima);
                    let scale = _mm256_set1_ps(*rows.scales.add(at[m]));
                    totals[m] = _mm256_fmadd_ps(sums, scale, totals[m]);
                }
            }
        }
        for m in 0..M {
            for (side, totals) in totals.iter().enumerate() {
                _mm256_storeu_ps(products[m][side * LANES..].as_mut_ptr(), totals[m]);
            }
        }
    }
}

/// Eight bytes, each as two 16-bit numbers side by side.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn twice(from: *const u8) -> __m256i {
    // SAFETY: by what the caller answers for: 8 bytes can be read there.
    let once = _mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(from.cast()) });
    _mm256_or_si256(once, _mm256_slli_epi32::<16>(once))
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q6k<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
    let low_bits = _mm256_set1_epi8(15);
    let high_bits = _mm256_set1_epi8(0x30);
    let mut totals = [[_mm256_setzero_ps(); M]; 2];
    // SAFETY: the tile has `blocks` blocks, and each row of activations too.
    unsafe {
        // Of two sub-scales side by side, the first, or the second, in both places.
        let first = _mm256_set1_epi32(0x0100_0100);
        let step = _mm256_setr_epi32(
            0,
            0x0404_0404,
            0x0808_0808,
            0x0c0c_0c0c,
            0,
            0x0404_0404,
            0x0808_0808,
            0x0c0c_0c0c,
        );
        let first = _mm256_add_epi8(first, step);
        let picks = [first, _mm256_add_epi8(first, _mm256_set1_epi8(2))];
        for block in 0..rows.blocks {
            let tile = tile.add(block * q6k::SIZE);
            let at = places::<M>(rows, block);
            for (side, totals) in totals.iter_mut().enumerate() {
                let mut wholes = [_mm256_setzero_si256(); M];
                for part in 0..4 {
                    let (half, part) = (part / 2, part % 2);
                    if side == 0 {
                        for line in 0..14 {
                            let line = (half * 2 + part) * 14 + line;
                            let far = tile.wrapping_add(AHEAD + line * 64);
                            _mm_prefetch::<_MM_HINT_T0>(far.cast());
                        }
                    }
                    let mut scales = [_mm256_setzero_si256(); 4];
                    for (quarter, scales) in scales.iter_mut().enumerate() {
                        let pair = half * 4 + quarter;
                        let from = tile.add(q6k::SUB_SCALES + (pair * 2 + side) * TILE);
                        let both = _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()));
                        *scales = _mm256_shuffle_epi8(both, picks[part]);
                    }
                    // Two words at a time fit 16 bits.
                    for j in [part * 4, part * 4 + 2] {
                        let mut sums = [[_mm256_setzero_si256(); M]; 4];
                        for j in [j, j + 1] {
                            let low = tile.add(q6k::LOW + (half * 16 + j) * WORD + side * WORD / 2);
                            let (low, next) = (load(low), load(low.add(8 * WORD)));
                            let high =
                                tile.add(q6k::HIGH + (half * 8 + j) * WORD + side * WORD / 2);
                            let high = load(high);
                            let shifted = [
                                _mm256_slli_epi16::<4>(high),
                                _mm256_slli_epi16::<2>(high),
                                high,
                                _mm256_srli_epi16::<2>(high),
                            ];
                            let lows = [
                                low,
                                next,
                                _mm256_srli_epi16::<4>(low),
                                _mm256_srli_epi16::<4>(next),
                            ];
                            for quarter in 0..4 {
                                let weights = _mm256_or_si256(
                                    _mm256_and_si256(lows[quarter], low_bits),
                                    _mm256_and_si256(shifted[quarter], high_bits),
                                );
                                for m in 0..M {
                                    let column = half * 128 + quarter * 32 + j * 4;
                                    let values =
                                        everywhere(rows.values.add(at[m] * BLOCK + column));
                                    let made = _mm256_maddubs_epi16(weights, values);
                                    sums[quarter][m] = _mm256_add_epi16(sums[quarter][m], made);
                                }
                            }
                        }
                        for quarter in 0..4 {
                            for m in 0..M {
                                let made = _mm256_madd_epi16(sums[quarter][m], scales[quarter]);
                                wholes[m] = _mm256_add_epi32(wholes[m], made);
                            }
                        }
                    }
                }
                // Weights are from -32 on.
                let mut shifts = [_mm256_setzero_si256(); M];
                for pair in 0..8 {
                    let scales = tile.add(q6k::SUB_SCALES + (pair * 2 + side) * TILE);
                    let scales = _mm256_cvtepi8_epi16(_mm_loadu_si128(scales.cast()));
                    for m in 0..M {
                        let sums = everywhere(rows.sums16.add(at[m] * 16 + pair * 2));
                        shifts[m] = _mm256_add_epi32(shifts[m], _mm256_madd_epi16(scales, sums));
                    }
                }
                let scales = halves(tile.add(side * TILE));
                for m in 0..M {
                    let whole = _mm256_sub_epi32(wholes[m], _mm256_slli_epi32::<5>(shifts[m]));
                    let sums = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), scales);
                    let scale = _mm256_set1_ps(*rows.scales.add(at[m]));
                    totals[m] = _mm256_fmadd_ps(sums, scale, totals[m]);
                }
            }
        }
        for m in 0..M {
            for (side, totals) in totals.iter().enumerate() {
                _mm256_storeu_ps(products[m][side * LANES..].as_mut_ptr(), totals[m]);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8<const M: usize>(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
    let ones = _mm256_set1_epi16(1);
    let mut totals = [[_mm256_setzero_ps(); M]; 2];
    // SAFETY: the tile has `blocks` blocks, and each row of activations too.
    unsafe {
        let words = tile.add(q8::words(rows.blocks));
        for block in 0..rows.blocks {
            let words = words.add(block * q8::SIZE);
            for line in 0..8 {
                _mm_prefetch::<_MM_HINT_T0>(words.wrapping_add(AHEAD + line * 64).cast());
            }
            let at = places::<M>(rows, block);
            for (side, totals) in totals.iter_mut().enumerate() {
                let mut sums = [_mm256_setzero_si256(); M];
                for j in 0..8 {
                    let weights = load(words.add(j * WORD + side * WORD / 2));
                    // Up to 128, which is right without a sign.
                    let sizes = _mm256_abs_epi8(weights);
                    for m in 0..M {
                        let values = everywhere(rows.values.add(at[m] * SMALL + j * 4));
                        let made = _mm256_maddubs_epi16(sizes, _mm256_sign_epi8(values, weights));
                        sums[m] = _mm256_add_epi32(sums[m], _mm256_madd_epi16(made, ones));
                    }
                }
                let scales = halves(tile.add((block * 2 + side) * TILE));
                for m in 0..M {
                    let sums = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[m]), scales);
                    let scale = _mm256_set1_ps(*rows.scales.add(at[m]));
                    totals[m] = _mm256_fmadd_ps(sums, scale, totals[m]);
                }
            }
        }
        for m in 0..M {
            for (side, totals) in totals.iter().enumerate() {
                _mm256_storeu_ps(products[m][side * LANES..].as_mut_ptr(), totals[m]);
            }
        }
    }
}
