//! The functions that each tier brings.

use super::floats::Floats;
use super::layout::TILE;
use super::rows::Rows;

/// The most rows of activations that a tile is multiplied with at once.
pub(super) const AT_ONCE: usize = 4;

/// Products of a tile, `[activations, rows of the tile]`.
pub(super) type Products = [[f32; TILE]; AT_ONCE];

/// Multiplies a tile with so many rows of activations (1 to [`AT_ONCE`]) from one on.
pub(super) type TileProduct = fn(&[u8], &Rows, usize, usize, &mut Products);

/// What a tier can do.
pub(super) struct Kernels {
    pub(super) q4k: TileProduct,
    pub(super) q6k: TileProduct,
    pub(super) q8: TileProduct,
    pub(super) floats: Floats,
}
