//! Products of dense weights as whole numbers of 16 bits: nearly as exact as single precision, and
//! faster.
//!
//! Weights and activations are whole numbers from -4095 to 4095 with a scale for each [`BLOCK`]
//! columns of a row: so many products of two fit 32 bits. Whole numbers are summed within a block,
//! and blocks in their order, so that all tiers give the same bits.

use super::strips::{BLOCK, Block, Products, STRIP, StripProduct, Words, quantize};
use super::tier::{Tier, kernels, tier};

/// Packed weights `[rows, columns]`.
pub struct Sixteen {
    rows: usize,
    columns: usize,
    /// `[strips, pairs of columns, 32 rows, 2]`
    values: Vec<i16>,
    /// `[strips, blocks, 32 rows]`
    scales: Vec<f32>,
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

    /// Writes the products with rows of activations, and a bias for each, to `out`, `[count, rows]`,
    /// where `stride` numbers lie from row to row; on the calling thread.
    ///
    /// # Panics
    /// If the shapes don't go together.
    pub fn multiply(&self, with: &SixteenRows, bias: &[f32], out: &mut [f32], stride: usize) {
        self.multiply_by(kernels().sixteen.product, with, bias, out, stride);
    }

    fn multiply_by(
        &self,
        product: StripProduct,
        with: &SixteenRows,
        bias: &[f32],
        out: &mut [f32],
        stride: usize,
    ) {
        let Sixteen { rows, columns, .. } = *self;
        let count = with.values.len() / columns;
        let blocks = columns.div_ceil(BLOCK);
        assert!(with.columns == columns && bias.len() == rows && rows <= stride);
        if count == 0 {
            return;
        }
        assert!(out.len() >= (count - 1) * stride + rows);
        for out in out.chunks_mut(stride).take(count) {
            out[..rows].copy_from_slice(bias);
        }
        let words = Words { values: &with.values, scales: &with.scales, columns };
        for strip in 0..rows / STRIP {
            let values = &self.values[strip * STRIP * columns..][..STRIP * columns];
            let scales = self.scales[strip * STRIP * blocks..].as_chunks().0;
            for (number, values) in values.chunks(BLOCK * STRIP).enumerate() {
                let block = Block { values, scales: &scales[number], number };
                let sums = &mut out[strip * STRIP..];
                product(block, &words, Products { sums, stride });
            }
        }
    }
}

/// Rows of activations for products with [`Sixteen`] weights; the memory is kept from use to use.
#[derive(Default)]
pub struct SixteenRows {
    columns: usize,
    /// `[rows, columns]`
    values: Vec<i16>,
    /// `[rows, blocks]`
    scales: Vec<f32>,
}

impl SixteenRows {
    /// Takes rows of `columns` numbers in place of what is there.
    ///
    /// # Panics
    /// If they are not of whole rows.
    pub fn fill(&mut self, numbers: &[f32], columns: usize) {
        self.fill_by(kernels().sixteen.quantize, numbers, columns);
    }

    fn fill_by(
        &mut self,
        quantize: fn(&[f32], &mut [i16], &mut [f32]),
        numbers: &[f32],
        columns: usize,
    ) {
        assert!(columns > 0 && numbers.len().is_multiple_of(columns));
        let blocks = columns.div_ceil(BLOCK);
        self.columns = columns;
        self.values.resize(numbers.len(), 0);
        self.scales.resize(numbers.len() / columns * blocks, 0.0);
        let values = self.values.chunks_exact_mut(columns);
        let each = values.zip(self.scales.chunks_exact_mut(blocks));
        for (numbers, (values, scales)) in numbers.chunks_exact(columns).zip(each) {
            quantize(numbers, values, scales);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::kernels::strips::{PLAIN, Tables};
    use crate::compute::kernels::tests::{bits, numbers};
    use crate::compute::kernels::tier::here;

    fn made(tables: Tables, weights: &Sixteen, input: &[f32], bias: &[f32]) -> Vec<f32> {
        let count = input.len() / weights.columns;
        let stride = weights.rows + 3;
        let mut out = vec![7.0; count * stride];
        let Tables { quantize, product } = tables;
        let mut rows = SixteenRows::default();
        // What was there before does not matter.
        rows.fill_by(quantize, &[1.0; 6], 3);
        rows.fill_by(quantize, input, weights.columns);
        weights.multiply_by(product, &rows, bias, &mut out, stride);
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
