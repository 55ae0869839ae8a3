//! Products of dense weights as whole numbers of 16 bits: about as exact as single precision where
//! it matters (vectors differ by 1e-8 of their cosine), and twice as fast.
//!
//! Weights and activations are whole numbers from -4095 to 4095 with a scale for each [`BLOCK`]
//! columns of a row: so many products of two fit 32 bits. Whole numbers are summed within a block,
//! and blocks in their order, so that all tiers give the same bits.

use std::ops::Range;

use super::floats::{largest, nearest};
use super::scratch::with_scratch;
use super::tier::{Tier, kernels, tier};

/// Columns that have a scale in common.
const BLOCK: usize = 128;

/// The largest whole number: 128 products of two are below 2^31.
const MOST: f32 = 4095.0;

/// Rows of weights that are multiplied at once.
const STRIP: usize = 32;

/// Packed weights `[rows, columns]`.
pub struct Sixteen {
    rows: usize,
    columns: usize,
    /// `[strips, pairs of columns, 32 rows, 2]`
    values: Vec<i16>,
    /// `[strips, blocks, 32 rows]`
    scales: Vec<f32>,
}

/// What a strip is multiplied with: rows of activations, quantised.
pub(super) struct Words<'a> {
    /// `[rows, columns]`
    values: &'a [i16],
    /// `[rows, blocks]`
    scales: &'a [f32],
    columns: usize,
}

/// Adds the products of a block of a strip with each row of activations to what there is of them,
/// `[rows, 32]` with a stride.
pub(super) type StripProduct = fn(Block<'_>, &Words<'_>, Products<'_>);

/// A block of a strip of weights.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// `[pairs, 32 rows, 2]`
    values: &'a [i16],
    /// Of each row.
    scales: &'a [f32; STRIP],
    /// Its place in a row.
    number: usize,
}

/// Where products are added up.
pub(super) struct Products<'a> {
    /// From the strip's first row on.
    sums: &'a mut [f32],
    stride: usize,
}

impl Block<'_> {
    /// Its columns within a row.
    fn columns(&self) -> Range<usize> {
        let start = self.number * BLOCK;
        start..start + self.values.len() / STRIP
    }
}

impl Sixteen {
    /// Packs dense weights; nothing where that would not be faster, or they are not of whole strips
    /// and pairs.
    ///
    /// # Panics
    /// If there are not as many numbers.
    pub fn new(numbers: &[f32], rows: usize, columns: usize) -> Option<Sixteen> {
        let fits = rows.is_multiple_of(STRIP) && columns.is_multiple_of(2) && columns > 0;
        (fits && tier() > Tier::Reference).then(|| Sixteen::pack(numbers, rows, columns))
    }

    fn pack(numbers: &[f32], rows: usize, columns: usize) -> Sixteen {
        assert_eq!(numbers.len(), rows * columns);
        let blocks = columns.div_ceil(BLOCK);
        let mut values = vec![0; rows * columns];
        let mut scales = vec![0.0; rows * blocks];
        let mut whole = vec![0; columns];
        let mut sizes = vec![0.0; blocks];
        for (row, numbers) in numbers.chunks_exact(columns).enumerate() {
            quantize(numbers, &mut whole, &mut sizes);
            let (strip, row) = (row / STRIP, row % STRIP);
            for (block, size) in sizes.iter().enumerate() {
                scales[(strip * blocks + block) * STRIP + row] = *size;
            }
            for (pair, two) in whole.chunks_exact(2).enumerate() {
                let at = ((strip * columns / 2 + pair) * STRIP + row) * 2;
                values[at..at + 2].copy_from_slice(two);
            }
        }
        Sixteen { rows, columns, values, scales }
    }

    /// Writes the products with rows of activations `[count, columns]`, and a bias for each, to
    /// `out`, `[count, rows]`, where `stride` numbers lie from row to row; on the calling thread.
    ///
    /// # Panics
    /// If the shapes don't go together.
    pub fn multiply(&self, input: &[f32], bias: &[f32], out: &mut [f32], stride: usize) {
        let Tables { quantize, product } = kernels().sixteen;
        self.multiply_by(quantize, product, input, bias, out, stride);
    }

    fn multiply_by(
        &self,
        quantize: fn(&[f32], &mut [i16], &mut [f32]),
        product: StripProduct,
        input: &[f32],
        bias: &[f32],
        out: &mut [f32],
        stride: usize,
    ) {
        let Sixteen { rows, columns, .. } = *self;
        let count = input.len() / columns;
        let blocks = columns.div_ceil(BLOCK);
        assert!(input.len() == count * columns && bias.len() == rows && rows <= stride);
        if count == 0 {
            return;
        }
        assert!(out.len() >= (count - 1) * stride + rows);
        for out in out.chunks_mut(stride).take(count) {
            out[..rows].copy_from_slice(bias);
        }
        with_scratch(count * (columns / 2 + blocks), |scratch| {
            let (scales, values) = scratch.split_at_mut(count * blocks);
            let values: &mut [i16] = bytemuck::cast_slice_mut(values);
            let each = values.chunks_exact_mut(columns).zip(scales.chunks_exact_mut(blocks));
            for (numbers, (values, scales)) in input.chunks_exact(columns).zip(each) {
                quantize(numbers, values, scales);
            }
            let words = Words { values, scales, columns };
            for strip in 0..rows / STRIP {
                let values = &self.values[strip * STRIP * columns..][..STRIP * columns];
                let scales = self.scales[strip * STRIP * blocks..].as_chunks().0;
                for (number, values) in values.chunks(BLOCK * STRIP).enumerate() {
                    let block = Block { values, scales: &scales[number], number };
                    let sums = &mut out[strip * STRIP..];
                    product(block, &words, Products { sums, stride });
                }
            }
        });
    }
}

/// What a tier has for these products.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    quantize: fn(&[f32], &mut [i16], &mut [f32]),
    product: StripProduct,
}

/// In plain Rust.
pub(super) const PLAIN: Tables = Tables {
    quantize: |numbers, values, scales| quantize(numbers, values, scales),
    product: plain_product,
};

/// Whole numbers, the nearest to a row's numbers divided by the scale of their block.
#[inline(always)]
fn quantize(numbers: &[f32], values: &mut [i16], scales: &mut [f32]) {
    let blocks = numbers.chunks(BLOCK).zip(values.chunks_mut(BLOCK));
    for ((numbers, values), scale) in blocks.zip(scales) {
        let most = largest(numbers);
        // What is so small, or not a number, is nothing.
        let is_some = most > 1e-30 && most.is_finite();
        *scale = if is_some { most / MOST } else { 0.0 };
        let factor = if is_some { MOST / most } else { 0.0 };
        let (chunks, rest) = numbers.as_chunks::<16>();
        let (whole_chunks, whole_rest) = values.as_chunks_mut::<16>();
        for (numbers, values) in chunks.iter().zip(whole_chunks) {
            for lane in 0..16 {
                values[lane] = nearest(numbers[lane] * factor, MOST) as i16;
            }
        }
        for (number, value) in rest.iter().zip(whole_rest) {
            *value = nearest(number * factor, MOST) as i16;
        }
    }
}

fn plain_product(block: Block<'_>, words: &Words<'_>, products: Products<'_>) {
    let blocks = words.columns.div_ceil(BLOCK);
    let rows = words.values.chunks_exact(words.columns).zip(words.scales.chunks_exact(blocks));
    for ((values, scales), sums) in rows.zip(products.sums.chunks_mut(products.stride)) {
        let mut wholes = [0i32; STRIP];
        let pairs = values[block.columns()].as_chunks::<2>().0;
        for (pair, weights) in pairs.iter().zip(block.values.as_chunks::<{ 2 * STRIP }>().0) {
            for (whole, weights) in wholes.iter_mut().zip(weights.as_chunks::<2>().0) {
                for (value, weight) in pair.iter().zip(weights) {
                    *whole += i32::from(*value) * i32::from(*weight);
                }
            }
        }
        for ((sum, whole), scale) in sums.iter_mut().zip(wholes).zip(block.scales) {
            *sum = (whole as f32 * scale).mul_add(scales[block.number], *sum);
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX_VNNI, AVX2, AVX512_VNNI};

/// The same with vector instructions.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use super::*;

    macro_rules! compiled {
        ($features:literal, $lanes:literal, $at_once:literal) => {
            const VECTORS: usize = STRIP / $lanes;

            // SAFETY, of both: this table is used only where there are these instructions.
            pub(in super::super::super) const TABLES: Tables = Tables {
                quantize: |numbers, values, scales| unsafe { quantize(numbers, values, scales) },
                product: |block, words, products| unsafe { product(block, words, products) },
            };

            #[target_feature(enable = $features)]
            fn quantize(numbers: &[f32], values: &mut [i16], scales: &mut [f32]) {
                super::super::quantize(numbers, values, scales);
            }

            #[target_feature(enable = $features)]
            fn product(block: Block<'_>, words: &Words<'_>, products: Products<'_>) {
                let count = words.values.len() / words.columns;
                let blocks = words.columns.div_ceil(BLOCK);
                let columns = block.columns();
                assert!(columns.end <= words.columns && block.number < blocks);
                assert!(words.scales.len() >= count * blocks);
                assert!(products.sums.len() + products.stride >= count * products.stride + STRIP);
                let some = Some { block, words, blocks, stride: products.stride };
                let sums = products.sums.as_mut_ptr();
                let mut row = 0;
                // SAFETY: rows are there up to `count`, of the activations and of the products, as
                // was just looked at.
                unsafe {
                    while row + $at_once <= count {
                        some_rows::<$at_once>(&some, row, sums);
                        row += $at_once;
                    }
                    while row < count {
                        some_rows::<1>(&some, row, sums);
                        row += 1;
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn some_rows<const M: usize>(some: &Some<'_>, row: usize, sums: *mut f32) {
                let Some { block, words, blocks, stride } = *some;
                let columns = block.columns();
                let mut wholes = [[none(); VECTORS]; M];
                // SAFETY: by what the caller answers for.
                unsafe {
                    let first = words.values.as_ptr().add(row * words.columns + columns.start);
                    let mut values = [first; M];
                    for (m, values) in values.iter_mut().enumerate() {
                        *values = first.add(m * words.columns);
                    }
                    let weights = block.values.as_ptr();
                    for pair in 0..columns.len() / 2 {
                        let mut parts = [none(); VECTORS];
                        for (n, part) in parts.iter_mut().enumerate() {
                            *part = load(weights.add((pair * STRIP + n * $lanes) * 2).cast());
                        }
                        for (wholes, values) in wholes.iter_mut().zip(values) {
                            let two = all(values.cast::<i32>().add(pair).read_unaligned());
                            for n in 0..VECTORS {
                                wholes[n] = dot_pairs(wholes[n], parts[n], two);
                            }
                        }
                    }
                    for (m, wholes) in wholes.iter().enumerate() {
                        let scale = number(words.scales[(row + m) * blocks + block.number]);
                        for n in 0..VECTORS {
                            let place = sums.add((row + m) * stride + n * $lanes);
                            let of_row = there(block.scales.as_ptr().add(n * $lanes));
                            let sum = times(float(wholes[n]), of_row);
                            store(place, plus(sum, scale, there(place)));
                        }
                    }
                }
            }
        };
    }

    /// Multiplies and adds in one instruction, which the compiler would make two of.
    macro_rules! in_one {
        ($features:literal, $instruction:literal, $register:ident, $ints:ident) => {
            #[inline]
            #[target_feature(enable = $features)]
            fn dot_pairs(mut sum: $ints, a: $ints, b: $ints) -> $ints {
                // SAFETY: the instruction is here, and works on these registers alone.
                unsafe {
                    asm!(
                        $instruction,
                        inout($register) sum,
                        in($register) a,
                        in($register) b,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
                sum
            }
        };
    }

    /// What rows have in common.
    #[derive(Clone, Copy)]
    struct Some<'a> {
        block: Block<'a>,
        words: &'a Words<'a>,
        blocks: usize,
        stride: usize,
    }

    pub(in super::super) use avx_vnni::TABLES as AVX_VNNI;
    pub(in super::super) use avx2::TABLES as AVX2;
    pub(in super::super) use avx512::TABLES as AVX512_VNNI;

    mod avx2 {
        use std::arch::x86_64::{
            _mm256_cvtepi32_ps as float, _mm256_fmadd_ps as plus, _mm256_loadu_ps as there,
            _mm256_loadu_si256 as load, _mm256_mul_ps as times, _mm256_set1_epi32 as all,
            _mm256_set1_ps as number, _mm256_setzero_si256 as none, _mm256_storeu_ps as store,
        };

        use super::*;

        compiled!("avx2,fma", 8, 2);

        #[inline]
        #[target_feature(enable = "avx2")]
        fn dot_pairs(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
        }
    }

    mod avx_vnni {
        use std::arch::x86_64::{
            _mm256_cvtepi32_ps as float, _mm256_fmadd_ps as plus, _mm256_loadu_ps as there,
            _mm256_loadu_si256 as load, _mm256_mul_ps as times, _mm256_set1_epi32 as all,
            _mm256_set1_ps as number, _mm256_setzero_si256 as none, _mm256_storeu_ps as store,
        };

        use super::*;

        compiled!("avx2,fma,avxvnni", 8, 2);
        in_one!("avx2,avxvnni", "{{vex}} vpdpwssd {0}, {1}, {2}", ymm_reg, __m256i);
    }

    mod avx512 {
        use std::arch::x86_64::{
            _mm512_cvtepi32_ps as float, _mm512_fmadd_ps as plus, _mm512_loadu_ps as there,
            _mm512_loadu_si512 as load, _mm512_mul_ps as times, _mm512_set1_epi32 as all,
            _mm512_set1_ps as number, _mm512_setzero_si512 as none, _mm512_storeu_ps as store,
        };

        use super::*;

        compiled!("avx512f,avx512bw,avx512vl,avx512vnni", 16, 8);
        in_one!("avx512f,avx512vnni", "vpdpwssd {0}, {1}, {2}", zmm_reg, __m512i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kernels::tests::{bits, numbers};
    use crate::compute::kernels::tier::here;

    fn made(tables: Tables, weights: &Sixteen, input: &[f32], bias: &[f32]) -> Vec<f32> {
        let count = input.len() / weights.columns;
        let stride = weights.rows + 3;
        let mut out = vec![7.0; count * stride];
        let Tables { quantize, product } = tables;
        weights.multiply_by(quantize, product, input, bias, &mut out, stride);
        for row in out.chunks_exact(stride) {
            assert_eq!(row[weights.rows..], [7.0; 3], "it wrote beside its place");
        }
        out
    }

    #[test]
    fn products_are_nearly_exact_and_of_the_same_bits_in_all_tiers() {
        let mut random = fastrand::Rng::with_seed(11);
        for (rows, columns) in [(32, 2), (64, 126), (96, 128), (32, 384), (32, 1536), (64, 130)] {
            let weights = numbers(&mut random, rows * columns);
            let bias = numbers(&mut random, rows);
            let packed = Sixteen::pack(&weights, rows, columns);
            for count in [1, 2, 7, 8, 19] {
                let input = numbers(&mut random, count * columns);
                let plain = made(PLAIN, &packed, &input, &bias);
                for tier in here() {
                    let made = made(tier.kernels().sixteen, &packed, &input, &bias);
                    assert_eq!(bits(&made), bits(&plain), "{tier:?} [{rows}, {columns}] {count}");
                }
                for (n, made) in plain.iter().enumerate() {
                    let (at, row) = (n / (rows + 3), n % (rows + 3));
                    if row >= rows {
                        continue;
                    }
                    let terms = weights[row * columns..][..columns]
                        .iter()
                        .zip(&input[at * columns..])
                        .map(|(a, b)| f64::from(*a) * f64::from(*b));
                    let wanted: f64 = terms.sum::<f64>() + f64::from(bias[row]);
                    let error = (f64::from(*made) - wanted).abs();
                    assert!(error < 2e-3 * (columns as f64).sqrt(), "{made} {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_largest_numbers_fit_and_what_is_none_is_nothing() {
        let (rows, columns) = (32, 256);
        let packed = Sixteen::pack(&vec![-3e4; rows * columns], rows, columns);
        let bias = vec![1.0; rows];
        let input: Vec<f32> =
            [2e4, -2e4, 0.0, f32::NAN].iter().flat_map(|x| vec![*x; columns]).collect();
        let plain = made(PLAIN, &packed, &input, &bias);
        let wanted = -3e4 * 2e4 * columns as f32;
        for (row, wanted) in plain.chunks_exact(rows + 3).zip([wanted, -wanted, 1.0, 1.0]) {
            assert!(row[..rows].iter().all(|x| (x - wanted).abs() <= 1e-4 * wanted.abs()));
        }
        for tier in here() {
            let made = made(tier.kernels().sixteen, &packed, &input, &bias);
            assert_eq!(bits(&made), bits(&plain), "{tier:?}");
        }
    }
}
