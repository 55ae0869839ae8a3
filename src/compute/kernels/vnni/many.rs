//! Products with many rows of activations: each block of weights is unpacked once, into memory.

use super::{BLOCK, TILE, WORD};

/// Words of a block, unpacked.
const WORDS: usize = BLOCK / 4;

/// A block of a tile, a byte a weight.
#[repr(align(64))]
pub(super) struct Unpacked {
    pub(super) words: [u8; WORDS * WORD],
    /// By sub-block and row; for 4 bits, after them, those of each pair of sub-blocks by 8, as two
    /// 16-bit numbers.
    pub(super) scales: [[i32; TILE]; 16],
}

/// The kernels over the vectors of the module they are in.
macro_rules! many {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn q4k_many(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
            let low_bits = all(0x0f0f_0f0f);
            let mut unpacked = Unpacked { words: [0; _], scales: [[0; _]; _] };
            products.as_flattened_mut().fill(0.0);
            // SAFETY: the tile has `blocks` blocks, and there are as many rows as products.
            unsafe {
                for block in 0..rows.blocks {
                    let tile = tile.add(block * q4k::SIZE);
                    fetch(tile, q4k::SIZE, q4k::SIZE);
                    let into = unpacked.words.as_mut_ptr();
                    for side in 0..SIDES {
                        for word in 0..32 {
                            let at = word * WORD + side * BYTES;
                            let weights = load(tile.add(q4k::WORDS + at));
                            // Of a pair of sub-blocks the one has the low bits, the other the high.
                            let into = into.add(at + word / 8 * 8 * WORD);
                            keep(into, and(weights, low_bits));
                            keep(into.add(8 * WORD), and(right4(weights), low_bits));
                        }
                        for sub in 0..8 {
                            let scales = tile.add(q4k::SUB_SCALES + sub * TILE + side * LANES);
                            let into = unpacked.scales[sub][side * LANES..].as_mut_ptr();
                            keep(into.cast(), bytes(scales));
                        }
                        for pair in 0..4 {
                            let of = unpacked.scales[pair * 2][side * LANES..].as_ptr();
                            let both = or(load(of.cast()), left16(load(of.add(TILE).cast())));
                            let into = unpacked.scales[8 + pair][side * LANES..].as_mut_ptr();
                            keep(into.cast(), times8(both));
                        }
                        let scales = halves(tile.add(side * LANES * 2));
                        by_some!(products, rows, |M, products, rows| {
                            let wholes = q4k_wholes::<M>(&unpacked, side, rows, block);
                            let minima = q4k_minima::<M>(tile, side, rows, block);
                            for m in 0..M {
                                let sums = minus(float(wholes[m]), scales, minima[m]);
                                add_sums(&mut products[m], side, sums, rows, m, block);
                            }
                        });
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn q6k_many(tile: *const u8, rows: Raw, products: &mut [[f32; TILE]]) {
            let mut unpacked = Unpacked { words: [0; _], scales: [[0; _]; _] };
            products.as_flattened_mut().fill(0.0);
            // SAFETY: the tile has `blocks` blocks, and there are as many rows as products.
            unsafe {
                for block in 0..rows.blocks {
                    let tile = tile.add(block * q6k::SIZE);
                    fetch(tile, q6k::SIZE, q6k::SIZE);
                    for side in 0..SIDES {
                        let into = unpacked.words.as_mut_ptr().add(side * BYTES);
                        for part in 0..16 {
                            let (half, j) = (part / 8, part % 8);
                            let words = q6k_words(tile, side, half, j);
                            for (quarter, word) in words.into_iter().enumerate() {
                                keep(into.add((half * 32 + quarter * 8 + j) * WORD), word);
                            }
                        }
                        for sub in 0..16 {
                            let into = unpacked.scales[sub][side * LANES..].as_mut_ptr();
                            keep(into.cast(), q6k_scales(tile, side, sub / 2, sub % 2));
                        }
                        let scales = halves(tile.add(side * LANES * 2));
                        by_some!(products, rows, |M, products, rows| {
                            let wholes = q6k_wholes::<M>(&unpacked, side, rows, block);
                            let shifts = q6k_shifts::<M>(tile, side, rows, block);
                            for m in 0..M {
                                let sums = product(float(less(wholes[m], shifts[m])), scales);
                                add_sums(&mut products[m], side, sums, rows, m, block);
                            }
                        });
                    }
                }
            }
        }

        /// Products of a block with `M` rows, each of its sub-blocks by its scale.
        ///
        /// Sums of 32 products begin with the activations' sum by -8, as if weights were from -8 to 7:
        /// so they lie within 8 * 127 * 32, which fits 16 bits, and one instruction multiplies a sum
        /// with its scale and adds it. What they lack is added by the pairs of sub-blocks.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q4k_wholes<const M: usize>(
            unpacked: &Unpacked,
            side: usize,
            rows: Raw,
            block: usize,
        ) -> [Ints; M] {
            let mut wholes = [none(); M];
            // SAFETY: by what the caller answers for.
            unsafe {
                let words = unpacked.words.as_ptr().add(side * BYTES);
                let values = rows.values.add(block * BLOCK);
                let shifts = rows.shifts.add(block * 8);
                for sub in 0..8 {
                    let mut sums = [none(); M];
                    for (m, sums) in sums.iter_mut().enumerate() {
                        *sums = everywhere(shifts.add(m * rows.blocks * 8 + sub));
                    }
                    for j in sub * 8..sub * 8 + 8 {
                        let word = load(words.add(j * WORD));
                        for (m, sums) in sums.iter_mut().enumerate() {
                            let values = values.add(m * rows.blocks * BLOCK + j * 4);
                            *sums = dot(*sums, word, everywhere(values));
                        }
                    }
                    let scales = load(unpacked.scales[sub][side * LANES..].as_ptr().cast());
                    for m in 0..M {
                        wholes[m] = dot_pairs(wholes[m], sums[m], scales);
                    }
                }
                for pair in 0..4 {
                    let scales = load(unpacked.scales[8 + pair][side * LANES..].as_ptr().cast());
                    for m in 0..M {
                        let at = (m * rows.blocks + block) * 8 + pair * 2;
                        wholes[m] = dot_pairs(wholes[m], scales, everywhere(rows.sums32.add(at)));
                    }
                }
            }
            wholes
        }

        /// The same of weights of 6 bits, which are 32 too high.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn q6k_wholes<const M: usize>(
            unpacked: &Unpacked,
            side: usize,
            rows: Raw,
            block: usize,
        ) -> [Ints; M] {
            let mut wholes = [none(); M];
            // SAFETY: by what the caller answers for.
            unsafe {
                let words = unpacked.words.as_ptr().add(side * BYTES);
                let values = rows.values.add(block * BLOCK);
                for (sub, scales) in unpacked.scales.iter().enumerate() {
                    let mut sums = [none(); M];
                    for j in sub * 4..sub * 4 + 4 {
                        let word = load(words.add(j * WORD));
                        for (m, sums) in sums.iter_mut().enumerate() {
                            let values = values.add(m * rows.blocks * BLOCK + j * 4);
                            *sums = dot(*sums, word, everywhere(values));
                        }
                    }
                    let scales = load(scales[side * LANES..].as_ptr().cast());
                    for m in 0..M {
                        wholes[m] = add(wholes[m], times(sums[m], scales));
                    }
                }
            }
            wholes
        }

        /// Adds a block's sums to what is there of a row's product, by the row's scale.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn add_sums(
            product: &mut [f32; TILE],
            side: usize,
            sums: Floats,
            rows: Raw,
            m: usize,
            block: usize,
        ) {
            let place = product[side * LANES..].as_mut_ptr();
            // SAFETY: by what the caller answers for.
            unsafe {
                let scale = number(*rows.scales.add(m * rows.blocks + block));
                store(place, plus(sums, scale, there(place)));
            }
        }
    };
}
pub(super) use many;

/// Does the same for so many rows at a time as registers hold, and for those that are left over.
macro_rules! by_some {
    ($products:ident, $rows:ident, |$M:ident, $some:ident, $from:ident| $work:block) => {
        let (most, rest) = $products.as_chunks_mut::<AT_ONCE>();
        let (fours, rest) = rest.as_chunks_mut::<4>();
        let mut done = 0;
        for $some in most {
            const $M: usize = AT_ONCE;
            let $from = $rows.from(done);
            $work
            done += $M;
        }
        for $some in fours {
            const $M: usize = 4;
            let $from = $rows.from(done);
            $work
            done += $M;
        }
        for $some in rest {
            const $M: usize = 1;
            let $some = std::slice::from_mut($some);
            let $from = $rows.from(done);
            $work
            done += $M;
        }
    };
}
pub(super) use by_some;
