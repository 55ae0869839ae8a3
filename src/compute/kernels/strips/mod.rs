//! Products of strips of [`super::Sixteen`] weights.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use super::floats::{largest, nearest};

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX_VNNI, AVX2, AVX512_VNNI};

/// Columns that have a scale in common.
pub(super) const BLOCK: usize = 128;

/// The largest whole number: 128 products of two are below 2^31.
const MOST: f32 = 4095.0;

/// Rows of weights that are multiplied at once.
pub(super) const STRIP: usize = 32;

/// What a strip is multiplied with: rows of activations, quantised.
pub(super) struct Words<'a> {
    /// `[rows, columns]`
    pub(super) values: &'a [i16],
    /// `[rows, blocks]`
    pub(super) scales: &'a [f32],
    pub(super) columns: usize,
}

/// Adds the products of a block of a strip with each row of activations to what there is of them,
/// `[rows, 32]` with a stride.
pub(super) type StripProduct = fn(Block<'_>, &Words<'_>, Products<'_>);

/// A block of a strip of weights.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// `[pairs, 32 rows, 2]`
    pub(super) values: &'a [i16],
    /// Of each row.
    pub(super) scales: &'a [f32; STRIP],
    /// Its place in a row.
    pub(super) number: usize,
}

/// Where products are added up.
pub(super) struct Products<'a> {
    /// From the strip's first row on.
    pub(super) sums: &'a mut [f32],
    pub(super) stride: usize,
}

impl Block<'_> {
    /// Its columns within a row.
    fn columns(&self) -> Range<usize> {
        let start = self.number * BLOCK;
        start..start + self.values.len() / STRIP
    }
}

/// What a tier has for these products.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) quantize: fn(&[f32], &mut [i16], &mut [f32]),
    pub(super) product: StripProduct,
}

/// In plain Rust.
pub(super) const PLAIN: Tables = Tables {
    quantize: |numbers, values, scales| quantize(numbers, values, scales),
    product: plain_product,
};

/// Whole numbers, the nearest to a row's numbers divided by the scale of their block.
#[inline(always)]
pub(super) fn quantize(numbers: &[f32], values: &mut [i16], scales: &mut [f32]) {
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
