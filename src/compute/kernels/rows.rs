//! Rows of activations, as whole numbers from -127 to 127 with scales.

/// Quantised rows `[rows, columns]`, as ggml's `Q8_K` and `Q8_0` have them; the memory is kept from
/// use to use.
#[derive(Default)]
pub struct Rows {
    pub(super) columns: usize,
    pub(super) count: usize,
    /// For `Q4K` and `Q6K`.
    pub(super) large: Option<Quants>,
    /// For `Q8`.
    pub(super) small: Option<Quants>,
    pub(super) spare: [Option<Quants>; 2],
}

#[derive(Default)]
pub(super) struct Quants {
    pub(super) values: Vec<i8>,
    /// One a block.
    pub(super) scales: Vec<f32>,
    /// Sums of the values of 16 columns, and of 32.
    pub(super) sums16: Vec<i16>,
    pub(super) sums32: Vec<i16>,
    /// What sums of products of 32 columns begin with, so that weights without a sign have one:
    /// the sum of the values, by -8 for 4 bits and by -128 for 8.
    pub(super) shifts: Vec<i32>,
}

impl Rows {
    /// Rows that it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }
}
