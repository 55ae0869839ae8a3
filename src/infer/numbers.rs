//! The numbers of a tensor, where they lie.

use candle_core::{Result, Storage, Tensor, bail};

/// Shows the numbers of a tensor that lies in memory in one piece.
///
/// # Errors
/// If it does not, or holds other numbers than `f32`.
pub(super) fn read<R>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(numbers), Some((from, to))) = (&*storage, layout.contiguous_offsets()) else {
        bail!("a tensor does not lie in memory in one piece");
    };
    Ok(with(&numbers.as_slice::<f32>()?[from..to]))
}
