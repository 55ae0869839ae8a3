//! Where what lies in a tile of packed weights. All numbers are little-endian.
//!
//! The weights of ggml's blocks keep their bits and their order; only the rows are interleaved, four
//! bytes of each in turn ("word" below), so that 64 bytes have the same four places of [`TILE`] rows:
//! one vector of AVX-512, two of AVX2. Each part begins at a multiple of 64 bytes.
//!
//! | format | a tile of 256 (`Q8_0`: all) columns | bits a weight |
//! |---|---|---|
//! | `Q4K` | scales, scales of the minima `[16]` f16; sub-scales `[8 sub-blocks, 16 rows]` u8; sub-minima `[4, 16 rows, 2 sub-blocks]` u8; 32 words | 4.63 |
//! | `Q6K` | scales `[16]` f16, 32 bytes of nothing; sub-scales `[8, 16 rows, 2 sub-blocks]` i8; 32 words of low bits, 16 words of high bits | 6.63 |
//! | `Q8` | scales `[blocks, 16]` f16, nothing up to a multiple of 64; 8 words a block of 32 | 8.5 |

/// Rows of weights in a tile.
pub const TILE: usize = 16;

/// Bytes of a word: four of each row.
pub(super) const WORD: usize = 4 * TILE;

/// Columns of a block of `Q4K` and `Q6K`, with one scale of the activations.
pub(super) const BLOCK: usize = 256;

/// Columns of a block of `Q8`.
pub(super) const SMALL: usize = 32;

/// How packed weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ggml's `Q4_K`.
    Q4K,
    /// ggml's `Q6_K`.
    Q6K,
    /// ggml's `Q8_0`; what all other formats become.
    Q8,
}

impl Format {
    /// The number that stands for it in files.
    pub fn number(self) -> u8 {
        match self {
            Format::Q4K => 1,
            Format::Q6K => 2,
            Format::Q8 => 3,
        }
    }

    /// The format that a number stands for.
    pub fn of_number(number: u8) -> Option<Format> {
        [Format::Q4K, Format::Q6K, Format::Q8].into_iter().find(|f| f.number() == number)
    }

    /// Columns must be a multiple of this.
    pub fn block(self) -> usize {
        match self {
            Format::Q4K | Format::Q6K => BLOCK,
            Format::Q8 => SMALL,
        }
    }
}

pub(super) mod q4k {
    use super::WORD;
    pub(in super::super) const MINIMA: usize = 32;
    pub(in super::super) const SUB_SCALES: usize = 64;
    pub(in super::super) const SUB_MINIMA: usize = 192;
    pub(in super::super) const WORDS: usize = 320;
    pub(in super::super) const SIZE: usize = WORDS + 32 * WORD;
}

pub(super) mod q6k {
    use super::WORD;
    pub(in super::super) const SUB_SCALES: usize = 64;
    pub(in super::super) const LOW: usize = 320;
    pub(in super::super) const HIGH: usize = LOW + 32 * WORD;
    pub(in super::super) const SIZE: usize = HIGH + 16 * WORD;
}

pub(super) mod q8 {
    use super::{SMALL, TILE, WORD};
    /// Bytes of the words of a block.
    pub(in super::super) const SIZE: usize = SMALL / 4 * WORD;
    /// Where the words begin.
    pub(in super::super) fn words(blocks: usize) -> usize {
        (blocks * 2 * TILE).next_multiple_of(64)
    }
}

/// Bytes of a tile of all columns.
pub fn tile_bytes(format: Format, columns: usize) -> usize {
    let blocks = columns / format.block();
    match format {
        Format::Q4K => blocks * q4k::SIZE,
        Format::Q6K => blocks * q6k::SIZE,
        Format::Q8 => q8::words(blocks) + blocks * q8::SIZE,
    }
}

/// The half-precision number at `at`.
pub(super) fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}
