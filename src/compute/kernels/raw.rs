//! What vector instructions read: places in tiles and rows, looked at once before they are read.

use std::ops::Range;

use super::layout::{BLOCK, Format, SMALL, TILE, tile_bytes};
use super::rows::Rows;

/// Rows of activations from one on.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    pub(super) values: *const i8,
    pub(super) scales: *const f32,
    pub(super) sums16: *const i16,
    pub(super) sums32: *const i16,
    /// See [`super::rows::Quants`].
    pub(super) shifts: *const i32,
    /// Blocks of a row.
    pub(super) blocks: usize,
    block: usize,
}

impl Raw {
    /// From the first of these rows on; nothing if they are not quantised for this format.
    ///
    /// # Panics
    /// If less of a tile, of the rows or of the products is there than a kernel will use.
    pub(super) fn new(
        format: Format,
        tile: &[u8],
        rows: &Rows,
        which: &Range<usize>,
        products: &[[f32; TILE]],
    ) -> Option<Raw> {
        let block = format.block();
        let quants = match format {
            Format::Q4K | Format::Q6K => rows.large.as_ref()?,
            Format::Q8 => rows.small.as_ref()?,
        };
        assert!(block == BLOCK || block == SMALL);
        let blocks = rows.columns() / block;
        let (at, end) = (which.start * blocks, which.end * blocks);
        assert!(tile.len() >= tile_bytes(format, rows.columns()) && products.len() >= which.len());
        assert!(end * block <= quants.values.len() && end <= quants.scales.len());
        assert!(end * (block / 16) <= quants.sums16.len());
        assert!(end * (block / 32) <= quants.sums32.len());
        assert!(end * (block / 32) <= quants.shifts.len());
        Some(Raw {
            values: quants.values[at * block..].as_ptr(),
            scales: quants.scales[at..].as_ptr(),
            sums16: quants.sums16[at * (block / 16)..].as_ptr(),
            sums32: quants.sums32[at * (block / 32)..].as_ptr(),
            shifts: quants.shifts[at * (block / 32)..].as_ptr(),
            blocks,
            block,
        })
    }

    /// The same rows from the `n`th on.
    ///
    /// # Safety
    /// There are as many.
    pub(super) unsafe fn from(self, n: usize) -> Raw {
        let at = n * self.blocks;
        // SAFETY: by what the caller answers for.
        unsafe {
            Raw {
                values: self.values.add(at * self.block),
                scales: self.scales.add(at),
                sums16: self.sums16.add(at * (self.block / 16)),
                sums32: self.sums32.add(at * (self.block / 32)),
                shifts: self.shifts.add(at * (self.block / 32)),
                ..self
            }
        }
    }
}

/// Where a block of each row is.
#[inline(always)]
pub(super) fn places<const M: usize>(rows: Raw, block: usize) -> [usize; M] {
    let mut at = [block; M];
    for (m, at) in at.iter_mut().enumerate() {
        *at += m * rows.blocks;
    }
    at
}

/// A function for `which` rows of activations, up to four at a time.
macro_rules! by_fours {
    ($name:ident, $format:expr, $kernel:ident) => {
        fn $name(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
            let Some(raw) = Raw::new($format, tile, rows, &which, products) else { return };
            let tile = tile.as_ptr();
            for (n, products) in products[..which.len()].chunks_mut(4).enumerate() {
                // SAFETY: the table of this tier is used only where its instructions are, and what
                // is read and written was just seen to be there.
                unsafe {
                    let raw = raw.from(n * 4);
                    match products.len() {
                        1 => $kernel::<1>(tile, raw, products),
                        2 => $kernel::<2>(tile, raw, products),
                        3 => $kernel::<3>(tile, raw, products),
                        _ => $kernel::<4>(tile, raw, products),
                    }
                }
            }
        }
    };
}
pub(super) use by_fours;

/// Multiplies and adds in one instruction, which the compiler would make two of.
macro_rules! in_one {
    ($features:literal, $instruction:literal, $register:ident, $ints:ident) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn dot_pairs(mut sum: $ints, a: $ints, b: $ints) -> $ints {
            // SAFETY: the instruction is here, and works on these registers alone.
            unsafe {
                std::arch::asm!(
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
pub(super) use in_one;
