//! Memory to work in, kept from use to use.

use std::cell::Cell;

/// Numbers to work with, whatever they are: the thread keeps the memory.
pub(super) fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    }
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let done = work(&mut scratch[..len]);
    SCRATCH.set(scratch);
    done
}
