//! Products of tiles with AVX2, FMA and F16C.
//!
//! A vector has four neighbouring columns of eight rows. `maddubs` multiplies unsigned weights with
//! four activations that all rows share and adds neighbours: at most 2 * 15 * 127 for 4 bits, so
//! that eight of them fit 16 bits, and 2 * 63 * 127 for 6, so that two do.

use std::arch::x86_64::*;

use super::floats;
use super::layout::{BLOCK, Format, SMALL, TILE, q4k, q6k, q8, tile_bytes};
use super::rows::{Quants, Rows};
use super::table::{Kernels, Products};

pub(super) static KERNELS: Kernels =
    Kernels { q4k: by_4_bits, q6k: by_6_bits, q8: by_8_bits, floats: floats::AVX2 };

/// How far ahead of a single row's product the weights are fetched, in bytes.
const AHEAD: usize = 2048;

/// What a kernel needs of the rows that it multiplies with.
struct Rowed {
    values: *const i8,
    scales: *const f32,
    sums16: *const i16,
    sums32: *const i16,
    blocks: usize,
}

impl Rowed {
    /// From row `first` on, after a look at whether all that a kernel reads is there.
    fn new(quants: &Quants, rows: &Rows, first: usize, count: usize, block: usize) -> Rowed {
        let blocks = rows.columns() / block;
        let end = (first + count) * blocks;
        assert!(end * block <= quants.values.len() && end <= quants.scales.len());
        if block == BLOCK {
            assert!(end * 16 <= quants.sums16.len() && end * 8 <= quants.sums32.len());
        }
        let at = first * blocks;
        let sums = if block == BLOCK { at } else { 0 };
        Rowed {
            values: quants.values[at * block..].as_ptr(),
            scales: quants.scales[at..].as_ptr(),
            sums16: quants.sums16[sums * 16..].as_ptr(),
            sums32: quants.sums32[sums * 8..].as_ptr(),
            blocks,
        }
    }
}

macro_rules! by_count {
    ($kernel:ident, $count:expr, $tile:expr, $rows:expr, $products:expr) => {
        // SAFETY: the table of this tier is used only where its instructions are, and the lengths
        // of the tile and of the rows were just checked.
        unsafe {
            match $count {
                1 => $kernel::<1>($tile, $rows, $products),
                2 => $kernel::<2>($tile, $rows, $products),
                3 => $kernel::<3>($tile, $rows, $products),
                _ => $kernel::<4>($tile, $rows, $products),
            }
        }
    };
}

fn by_4_bits(tile: &[u8], rows: &Rows, first: usize, count: usize, products: &mut Products) {
    let Some(quants) = &rows.large else { return };
    assert!(tile.len() >= tile_bytes(Format::Q4K, rows.columns()));
    let rows = &Rowed::new(quants, rows, first, count, BLOCK);
    by_count!(q4k, count, tile.as_ptr(), rows, products);
}

fn by_6_bits(tile: &[u8], rows: &Rows, first: usize, count: usize, products: &mut Products) {
    let Some(quants) = &rows.large else { return };
    assert!(tile.len() >= tile_bytes(Format::Q6K, rows.columns()));
    let rows = &Rowed::new(quants, rows, first, count, BLOCK);
    by_count!(q6k, count, tile.as_ptr(), rows, products);
}

fn by_8_bits(tile: &[u8], rows: &Rows, first: usize, count: usize, products: &mut Products) {
    let Some(quants) = &rows.small else { return };
    assert!(tile.len() >= tile_bytes(Format::Q8, rows.columns()));
    let rows = &Rowed::new(quants, rows, first, count, SMALL);
    by_count!(q8, count, tile.as_ptr(), rows, products);
}

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
unsafe fn q4k<const M: usize>(tile: *const u8, rows: &Rowed, products: &mut Products) {
    let low_bits = _mm256_set1_epi8(15);
    let mut totals = [_mm256_setzero_ps(); M];
    // SAFETY: the tile has `blocks` blocks, and each row of activations too.
    unsafe {
        for block in 0..rows.blocks {
            let tile = tile.add(block * q4k::SIZE);
            let at: [usize; M] = std::array::from_fn(|m| m * rows.blocks + block);
            let mut wholes = [_mm256_setzero_si256(); M];
            for pair in 0..4 {
                let mut low = [_mm256_setzero_si256(); M];
                let mut high = [_mm256_setzero_si256(); M];
                let words = tile.add(q4k::WORDS + pair * 256);
                if M <= 2 {
                    for line in 0..5 {
                        // It is no more than a hint: an address past the end does no harm.
                        let far = words.wrapping_add(AHEAD + line * 64);
                        _mm_prefetch::<_MM_HINT_T0>(far.cast());
                    }
                }
                for j in 0..8 {
                    let word = load(words.add(j * 32));
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
                let scales = tile.add(q4k::SUB_SCALES + pair * 2 * TILE);
                let (of_low, of_high) = (twice(scales), twice(scales.add(TILE)));
                for m in 0..M {
                    let low = _mm256_madd_epi16(low[m], of_low);
                    let high = _mm256_madd_epi16(high[m], of_high);
                    wholes[m] = _mm256_add_epi32(wholes[m], _mm256_add_epi32(low, high));
                }
            }
            let mut minima = [_mm256_setzero_si256(); M];
            for pair in 0..4 {
                let of_pair = tile.add(q4k::SUB_MINIMA + pair * 2 * TILE);
                let of_pair = _mm256_cvtepu8_epi16(_mm_loadu_si128(of_pair.cast()));
                for m in 0..M {
                    let sums = everywhere(rows.sums32.add(at[m] * 8 + pair * 2));
                    minima[m] = _mm256_add_epi32(minima[m], _mm256_madd_epi16(of_pair, sums));
                }
            }
            let (scales, of_minima) = (halves(tile), halves(tile.add(q4k::MINIMA)));
            for m in 0..M {
                let minima = _mm256_mul_ps(_mm256_cvtepi32_ps(minima[m]), of_minima);
                let sums = _mm256_fmsub_ps(_mm256_cvtepi32_ps(wholes[m]), scales, minima);
                totals[m] =
                    _mm256_fmadd_ps(sums, _mm256_set1_ps(*rows.scales.add(at[m])), totals[m]);
            }
        }
        for m in 0..M {
            _mm256_storeu_ps(products[m].as_mut_ptr(), totals[m]);
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
unsafe fn q6k<const M: usize>(tile: *const u8, rows: &Rowed, products: &mut Products) {
    let low_bits = _mm256_set1_epi8(15);
    let high_bits = _mm256_set1_epi8(0x30);
    let mut totals = [_mm256_setzero_ps(); M];
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
            let at: [usize; M] = std::array::from_fn(|m| m * rows.blocks + block);
            let mut wholes = [_mm256_setzero_si256(); M];
            for part in 0..4 {
                let (half, part) = (part / 2, part % 2);
                if M <= 2 {
                    for line in 0..7 {
                        let far = tile.wrapping_add(AHEAD + ((half * 2 + part) * 7 + line) * 64);
                        _mm_prefetch::<_MM_HINT_T0>(far.cast());
                    }
                }
                let scales: [__m256i; 4] = std::array::from_fn(|quarter| {
                    let from = tile.add(q6k::SUB_SCALES + (half * 4 + quarter) * 2 * TILE);
                    let both = _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()));
                    _mm256_shuffle_epi8(both, picks[part])
                });
                // Two words at a time fit 16 bits.
                for j in [part * 4, part * 4 + 2] {
                    let mut sums = [[_mm256_setzero_si256(); M]; 4];
                    for j in [j, j + 1] {
                        let low = tile.add(q6k::LOW + (half * 16 + j) * 32);
                        let (low, next) = (load(low), load(low.add(8 * 32)));
                        let high = load(tile.add(q6k::HIGH + (half * 8 + j) * 32));
                        let shifted = [
                            _mm256_slli_epi16::<4>(high),
                            _mm256_slli_epi16::<2>(high),
                            high,
                            _mm256_srli_epi16::<2>(high),
                        ];
                        let lows =
                            [low, next, _mm256_srli_epi16::<4>(low), _mm256_srli_epi16::<4>(next)];
                        for quarter in 0..4 {
                            let weights = _mm256_or_si256(
                                _mm256_and_si256(lows[quarter], low_bits),
                                _mm256_and_si256(shifted[quarter], high_bits),
                            );
                            for m in 0..M {
                                let column = half * 128 + quarter * 32 + j * 4;
                                let values = everywhere(rows.values.add(at[m] * BLOCK + column));
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
                let scales = tile.add(q6k::SUB_SCALES + pair * 2 * TILE);
                let scales = _mm256_cvtepi8_epi16(_mm_loadu_si128(scales.cast()));
                for m in 0..M {
                    let sums = everywhere(rows.sums16.add(at[m] * 16 + pair * 2));
                    shifts[m] = _mm256_add_epi32(shifts[m], _mm256_madd_epi16(scales, sums));
                }
            }
            let scales = halves(tile);
            for m in 0..M {
                let whole = _mm256_sub_epi32(wholes[m], _mm256_slli_epi32::<5>(shifts[m]));
                let sums = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), scales);
                totals[m] =
                    _mm256_fmadd_ps(sums, _mm256_set1_ps(*rows.scales.add(at[m])), totals[m]);
            }
        }
        for m in 0..M {
            _mm256_storeu_ps(products[m].as_mut_ptr(), totals[m]);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8<const M: usize>(tile: *const u8, rows: &Rowed, products: &mut Products) {
    let ones = _mm256_set1_epi16(1);
    let mut totals = [_mm256_setzero_ps(); M];
    // SAFETY: the tile has `blocks` blocks, and each row of activations too.
    unsafe {
        let words = tile.add(q8::words(rows.blocks));
        for block in 0..rows.blocks {
            let words = words.add(block * q8::SIZE);
            if M <= 2 {
                for line in 0..4 {
                    _mm_prefetch::<_MM_HINT_T0>(words.wrapping_add(AHEAD + line * 64).cast());
                }
            }
            let at: [usize; M] = std::array::from_fn(|m| m * rows.blocks + block);
            let mut sums = [_mm256_setzero_si256(); M];
            for j in 0..8 {
                let weights = load(words.add(j * 32));
                // Up to 128, which is right without a sign.
                let sizes = _mm256_abs_epi8(weights);
                for m in 0..M {
                    let values = everywhere(rows.values.add(at[m] * SMALL + j * 4));
                    let made = _mm256_maddubs_epi16(sizes, _mm256_sign_epi8(values, weights));
                    sums[m] = _mm256_add_epi32(sums[m], _mm256_madd_epi16(made, ones));
                }
            }
            let scales = halves(tile.add(block * 2 * TILE));
            for m in 0..M {
                let sums = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[m]), scales);
                totals[m] =
                    _mm256_fmadd_ps(sums, _mm256_set1_ps(*rows.scales.add(at[m])), totals[m]);
            }
        }
        for m in 0..M {
            _mm256_storeu_ps(products[m].as_mut_ptr(), totals[m]);
        }
    }
}
