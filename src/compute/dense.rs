//! Products of dense matrices in single precision: on the calling thread, or for few rows on all that
//! are free.

use std::sync::{Mutex, PoisonError};

use super::Pool;

/// Up to so many rows are multiplied into columns first: to lay the other matrix out anew, or to pack
/// it, takes longer than the product.
pub const FEW_ROWS: usize = 64;

/// Columns that a thread multiplies at once.
const PART: usize = 96;

/// Numbers in a slice, seen as a matrix.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    /// From a number to the one below it.
    down: usize,
    /// From a number to the one at its right.
    right: usize,
}

impl<'a> Matrix<'a> {
    /// `[rows, columns]`, where `stride` numbers lie from the beginning of a row to that of the
    /// next.
    ///
    /// # Panics
    /// If the slice ends before the last number.
    pub fn new(numbers: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        assert!(fits(numbers.len(), rows, columns, stride), "a matrix reaches out of its numbers");
        Matrix { numbers, rows, columns, down: stride, right: 1 }
    }

    /// Some of its columns, as many as there are.
    fn columns(self, first: usize, most: usize) -> Matrix<'a> {
        let numbers = self.numbers.get(first * self.right..).unwrap_or_default();
        let columns = self.columns.saturating_sub(first).min(most);
        Matrix { numbers, columns, ..self }
    }

    /// Rows as columns; no number is moved.
    pub fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            down: self.right,
            right: self.down,
            ..self
        }
    }
}

/// Whether a matrix lies within so many numbers.
fn fits(numbers: usize, rows: usize, columns: usize, stride: usize) -> bool {
    let needed = || (rows - 1).checked_mul(stride)?.checked_add(columns);
    rows == 0
        || columns == 0
        || (columns <= stride || rows == 1) && needed().is_some_and(|needed| needed <= numbers)
}

/// Writes `scale` · `left` · `right` to `out`, `[rows of left, columns of right]`, where `stride`
/// numbers lie from row to row.
///
/// # Panics
/// If the shapes don't go together.
pub fn multiply(out: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, scale: f32) {
    let (rows, columns) = (left.rows, right.columns);
    assert!(fits(out.len(), rows, columns, stride), "a product has no room");
    if rows == 0 || rows > FEW_ROWS || right.down != 1 || columns <= rows {
        return write(out, (stride, 1), left, right, scale);
    }
    // gemm lays one of two matrices out anew, whichever the result's layout makes the left one: for
    // a short text the weights' layout takes longer than the product.
    let mut turned = vec![0.0; rows * columns];
    let parts: Vec<Mutex<&mut [f32]>> = turned.chunks_mut(PART * rows).map(Mutex::new).collect();
    Pool::shared().run(parts.len(), &|n| {
        let mut part = parts[n].lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut part, (1, rows), left, right.columns(n * PART, PART), scale);
    });
    for (at, column) in turned.chunks_exact(rows).enumerate() {
        for (row, number) in column.iter().enumerate() {
            out[row * stride + at] = *number;
        }
    }
}

/// Writes a product; `steps` are from a number of `out` to the one below it and to the one at its
/// right, one of them 1 and the other no shorter than what lies between.
fn write(out: &mut [f32], steps: (usize, usize), left: Matrix<'_>, right: Matrix<'_>, scale: f32) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert_eq!(inner, right.rows, "a product of matrices that don't go together");
    let is_whole = match steps {
        (stride, 1) => fits(out.len(), rows, columns, stride),
        (1, stride) => fits(out.len(), columns, rows, stride),
        _ => false,
    };
    assert!(is_whole, "a product has no room");
    // Strides lie within the lengths of slices, which lie within isize.
    let step = |stride: usize| stride as isize;
    // SAFETY: the constructor of `Matrix` and the assertions above see to it that each index that
    // the strides and shapes give lies within its slice; `out` is borrowed for writing alone, and
    // its rows (or columns) don't overlap, for from one to the next it is as far as they are long.
    #[expect(unsafe_code, reason = "gemm takes pointers")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            step(steps.1),
            step(steps.0),
            false,
            left.numbers.as_ptr(),
            step(left.right),
            step(left.down),
            right.numbers.as_ptr(),
            step(right.right),
            step(right.down),
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_are_those_of_the_definition(
            rows in 0usize..9, inner in 0usize..40, columns in 0usize..20, gap in 0usize..5,
            seed in any::<u64>()
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut numbers = |rows: usize, stride: usize| -> Vec<f32> {
                (0..rows * stride).map(|_| random.f32() - 0.5).collect()
            };
            let left = numbers(rows, inner + gap);
            let right = numbers(columns, inner + gap);
            let mut out = vec![7.0; rows * (columns + gap)];
            multiply(
                &mut out,
                columns + gap,
                Matrix::new(&left, rows, inner, inner + gap),
                Matrix::new(&right, columns, inner, inner + gap).transposed(),
                2.0,
            );
            for (at, got) in out.iter().enumerate() {
                let (row, column) = (at / (columns + gap), at % (columns + gap));
                let wanted: f32 = if column >= columns {
                    7.0
                } else {
                    let term = |n: usize| {
                        left[row * (inner + gap) + n] * right[column * (inner + gap) + n]
                    };
                    2.0 * (0..inner).map(term).sum::<f32>()
                };
                prop_assert!((got - wanted).abs() < 1e-4, "{got} {wanted}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let numbers = [0f32; 12];
        let refused =
            |run: &(dyn Fn() + std::panic::RefUnwindSafe)| std::panic::catch_unwind(run).is_err();
        assert!(refused(&|| {
            Matrix::new(&numbers, 4, 4, 4);
        }));
        assert!(refused(&|| {
            Matrix::new(&numbers, 2, 3, 2);
        }));
        assert!(refused(&|| {
            Matrix::new(&numbers, usize::MAX, 2, 2);
        }));
        assert!(!refused(&|| {
            Matrix::new(&numbers, 3, 4, 4);
        }));
        let square = || Matrix::new(&numbers, 3, 3, 4);
        assert!(refused(&|| multiply(&mut [0.0; 8], 3, square(), square(), 1.0)));
        assert!(refused(&|| {
            multiply(&mut [0.0; 9], 3, square(), Matrix::new(&numbers, 2, 3, 3), 1.0)
        }));
    }
}
