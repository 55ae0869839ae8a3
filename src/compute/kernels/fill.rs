//! Rows of numbers → rows of whole numbers.

use super::Shared;
use super::floats::Quantised;
use super::layout::{BLOCK, Format, SMALL};
use super::rows::Rows;
use super::scratch::with_scratch;
use super::tier::kernels;
use crate::compute::Pool;

impl Rows {
    /// Quantises `count` rows for products with weights of these formats. `write` writes a row of
    /// numbers, whatever it is made of, and is called on several threads.
    pub fn fill(
        &mut self,
        pool: &Pool,
        count: usize,
        columns: usize,
        formats: &[Format],
        write: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        (self.count, self.columns) = (count, columns);
        let is_large = |format: &Format| *format != Format::Q8;
        let wanted = [formats.iter().any(is_large), !formats.iter().all(is_large)];
        let blocks = [BLOCK, SMALL];
        let mut quants = [self.large.take(), self.small.take()];
        for n in 0..2 {
            let mut kept = quants[n].take().or_else(|| self.spare[n].take());
            if wanted[n] {
                let quants = kept.get_or_insert_default();
                quants.values.resize(count * columns, 0);
                quants.scales.resize(count * columns / blocks[n], 0.0);
                quants.sums16.resize(count * columns / 16, 0);
                quants.sums32.resize(count * columns / 32, 0);
                quants.shifts.resize(count * columns / 32, 0);
            }
            (quants[n], self.spare[n]) = if wanted[n] { (kept, None) } else { (None, kept) };
        }
        let places = quants.each_mut().map(|quants| {
            quants.as_mut().map(|quants| {
                (
                    Shared(quants.values.as_mut_ptr()),
                    Shared(quants.scales.as_mut_ptr()),
                    Shared(quants.sums16.as_mut_ptr()),
                    Shared(quants.sums32.as_mut_ptr()),
                    Shared(quants.shifts.as_mut_ptr()),
                )
            })
        });
        let quantize = kernels().floats.quantize;
        let quantize_row = |row: usize| {
            with_scratch(columns, |numbers| {
                write(row, numbers);
                for (n, block) in blocks.into_iter().enumerate() {
                    let Some((values, scales, sums16, sums32, shifts)) = &places[n] else {
                        continue;
                    };
                    let part = |size: usize| (row * columns / size, columns / size);
                    // SAFETY: each row is given to one call alone, and its parts lie in buffers
                    // that were made large enough for all rows above.
                    let (values, scales) = unsafe {
                        let (at, len) = part(block);
                        (values.part(row * columns, columns), scales.part(at, len))
                    };
                    // SAFETY: as above.
                    let (sums16, sums32, shifts) = unsafe {
                        let (at16, len16) = part(16);
                        let (at32, len32) = part(32);
                        (
                            sums16.part(at16, len16),
                            sums32.part(at32, len32),
                            shifts.part(at32, len32),
                        )
                    };
                    (quantize)(
                        numbers,
                        Quantised { block, values, scales, sums16, sums32, shifts },
                    );
                }
            });
        };
        if count * columns < 16_384 {
            (0..count).for_each(quantize_row);
        } else {
            pool.run(count, &quantize_row);
        }
        [self.large, self.small] = quants;
    }
}
