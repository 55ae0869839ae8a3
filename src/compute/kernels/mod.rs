//! Products of packed quantised weights with rows of numbers, and the arithmetic of attention.
//!
//! Weights lie in tiles of [`TILE`] rows, so that one vector instruction works on all of them. What
//! comes out depends on a row alone: never on the rows beside it, the threads, or the tier. Within
//! a block sums are whole numbers, and across blocks there is one order; so a prompt in pieces, or
//! guessed tokens looked at together, give the bits that one token after the other gives.
#![expect(
    unsafe_code,
    reason = "vector instructions, and threads that write disjoint parts of one buffer"
)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod counts;
mod fill;
mod floats;
mod held;
mod layout;
mod numbers;
mod pack;
mod product;
#[cfg(target_arch = "x86_64")]
mod raw;
mod reference;
mod rows;
mod scratch;
mod sixteen;
mod strips;
mod table;
#[cfg(test)]
mod tests;
mod tier;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub use attention::{Attention, attend};
pub use floats::Gate;
pub use held::Held;
pub use layout::{Format, TILE, tile_bytes};
pub use numbers::{gelu, layer_norm, rms_norm, softmax};
pub use pack::{Source, pack};
pub use product::{Matrix, gated, multiply};
pub use rows::Rows;
pub use sixteen::{Sixteen, SixteenRows};
pub use tier::{Tier, cap_tier, tier};

/// Where threads write parts of one buffer that do not overlap.
struct Shared<T>(*mut T);

// SAFETY: a pointer is only an address; each use says why no two threads use the same place.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// `len` places from `at` on.
    ///
    /// # Safety
    /// They lie in the buffer, which outlives them, and nobody else uses them meanwhile.
    #[expect(clippy::mut_from_ref, reason = "the caller answers for it that no two overlap")]
    unsafe fn part(&self, at: usize, len: usize) -> &mut [T] {
        // SAFETY: by what the caller answers for.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}
