//! The functions that each tier brings.

use std::ops::Range;

use super::floats::Floats;
use super::layout::TILE;
use super::rows::Rows;
use super::strips;

/// Products of a tile with each of these rows of activations, `[activations, rows of the tile]`.
pub(super) type TileProduct = fn(&[u8], &Rows, Range<usize>, &mut [[f32; TILE]]);

/// What a tier can do.
pub(super) struct Kernels {
    pub(super) q4k: TileProduct,
    pub(super) q6k: TileProduct,
    pub(super) q8: TileProduct,
    pub(super) floats: Floats,
    pub(super) sixteen: strips::Tables,
}
