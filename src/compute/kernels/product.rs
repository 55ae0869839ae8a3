//! Matrices of packed weights times rows of activations.

use std::ops::Range;

use super::Shared;
use super::floats::Gate;
use super::layout::{Format, TILE, tile_bytes};
use super::rows::Rows;
use super::scratch::with_scratch;
use super::table::{Kernels, TileProduct};
use super::tier::kernels;
use crate::compute::{Bytes, Pool};

/// Packed weights `[rows, columns]`.
pub struct Matrix {
    format: Format,
    rows: usize,
    columns: usize,
    bytes: Bytes,
}

impl Matrix {
    /// Weights that [`super::pack`] wrote; `None` if there are not as many bytes as they take.
    pub fn new(format: Format, rows: usize, columns: usize, bytes: Bytes) -> Option<Matrix> {
        let size = tile_bytes(format, columns) * rows.div_ceil(TILE);
        let fits = columns > 0 && columns.is_multiple_of(format.block()) && bytes.len() == size;
        fits.then_some(Matrix { format, rows, columns, bytes })
    }

    /// How the weights are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows, which are the numbers of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, which are the numbers of a row that it is multiplied with.
    pub fn columns(&self) -> usize {
        self.columns
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    fn tile(&self, n: usize) -> &[u8] {
        let size = tile_bytes(self.format, self.columns);
        &self.bytes[n * size..][..size]
    }

    fn kernel(&self, kernels: &Kernels) -> TileProduct {
        match self.format {
            Format::Q4K => kernels.q4k,
            Format::Q6K => kernels.q6k,
            Format::Q8 => kernels.q8,
        }
    }

    fn check(&self, rows: &Rows) {
        let has = match self.format {
            Format::Q4K | Format::Q6K => rows.large.is_some(),
            Format::Q8 => rows.small.is_some(),
        };
        assert!(
            has && rows.columns() == self.columns,
            "the rows are not quantised for this matrix"
        );
    }

    /// Tiles that one thread takes at once: some microseconds of work, and of many rows some tiles
    /// that follow each other, so that the next can be fetched while one is multiplied. To be asked
    /// once a product: another model may change the threads in use in the midst of it.
    fn at_once(&self, count: usize, pool: &Pool) -> usize {
        let fair = (self.tiles() / (8 * pool.in_use())).clamp(1, 4);
        let short = (96 << 10) / tile_bytes(self.format, self.columns) / count.max(1);
        if count < 8 { short.max(1) } else { short.max(fair) }
    }
}

/// Products of several matrices with the same rows: `[rows, matrix rows]` each.
///
/// # Panics
/// If the rows have other columns than a matrix, or are not quantised for its format, or a buffer
/// is not of the size of its product.
pub fn multiply(pool: &Pool, rows: &Rows, products: &mut [(&Matrix, &mut [f32])]) {
    multiply_by(kernels(), pool, rows, products);
}

pub(super) fn multiply_by(
    kernels: &Kernels,
    pool: &Pool,
    rows: &Rows,
    products: &mut [(&Matrix, &mut [f32])],
) {
    let count = rows.count();
    let parts: Vec<(&Matrix, usize, Shared<f32>)> = products
        .iter_mut()
        .map(|(matrix, product)| {
            matrix.check(rows);
            assert_eq!(product.len(), count * matrix.rows);
            (*matrix, matrix.at_once(count, pool), Shared(product.as_mut_ptr()))
        })
        .collect();
    let chunks = |matrix: &Matrix, at_once: usize| matrix.tiles().div_ceil(at_once);
    let all = parts.iter().map(|(matrix, at_once, _)| chunks(matrix, *at_once)).sum();
    pool.run(all, &|mut chunk| {
        for (matrix, at_once, product) in &parts {
            let chunks = chunks(matrix, *at_once);
            if chunk >= chunks {
                chunk -= chunks;
                continue;
            }
            let kernel = matrix.kernel(kernels);
            with_scratch(count * TILE, |made| {
                let (made, _) = made.as_chunks_mut();
                for tile in part(chunk, *at_once, matrix.tiles()) {
                    expect(count, tile, matrix.rows, product);
                    kernel(matrix.tile(tile), rows, 0..count, made);
                    write(made, tile, matrix.rows, product);
                }
            });
            return;
        }
    });
}

/// What a gate lets through: `gate(a) * b` of the products a and b, `[rows, matrix rows]`.
///
/// # Panics
/// As [`multiply`], and if the matrices are not of one shape.
pub fn gated(
    pool: &Pool,
    rows: &Rows,
    (gate, through): (&Matrix, &Matrix),
    kind: Gate,
    product: &mut [f32],
) {
    let count = rows.count();
    gate.check(rows);
    through.check(rows);
    assert_eq!(gate.rows, through.rows);
    assert_eq!(product.len(), count * gate.rows);
    let kernels = kernels();
    let product = Shared(product.as_mut_ptr());
    let (open, pass) = (gate.kernel(kernels), through.kernel(kernels));
    let at_once = gate.at_once(count, pool);
    pool.run(gate.tiles().div_ceil(at_once), &|chunk| {
        with_scratch(2 * count * TILE, |made| {
            let (a, b) = made.split_at_mut(count * TILE);
            for tile in part(chunk, at_once, gate.tiles()) {
                expect(count, tile, gate.rows, &product);
                open(gate.tile(tile), rows, 0..count, a.as_chunks_mut().0);
                pass(through.tile(tile), rows, 0..count, b.as_chunks_mut().0);
                (kernels.floats.gate)(kind, a, b);
                write(a.as_chunks().0, tile, gate.rows, &product);
            }
        });
    });
}

fn part(chunk: usize, at_once: usize, all: usize) -> Range<usize> {
    chunk * at_once..((chunk + 1) * at_once).min(all)
}

/// Fetches the places where products of a tile will be put: they lie far from each other.
fn expect(count: usize, tile: usize, rows: usize, product: &Shared<f32>) {
    #[cfg(target_arch = "x86_64")]
    for n in 0..count {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        let place = product.0.wrapping_add(n * rows + tile * TILE);
        // SAFETY: it is no more than a hint, and reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (count, tile, rows, product);
}

/// Puts products of a tile where they belong, but for the rows that the matrix does not have.
fn write(made: &[[f32; TILE]], tile: usize, rows: usize, product: &Shared<f32>) {
    let at = tile * TILE;
    let len = TILE.min(rows - at);
    for (n, made) in made.iter().enumerate() {
        // SAFETY: the buffer has place for the products of all rows, and each tile, so each of
        // these places, is written by one call alone.
        let place = unsafe { product.part(n * rows + at, len) };
        match place.first_chunk_mut() {
            Some(whole) => *whole = *made,
            None => place.copy_from_slice(&made[..len]),
        }
    }
}
