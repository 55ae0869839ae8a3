//! Keys and values of the positions so far, in half precision.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::floats::SPAN;

/// What a layer holds.
///
/// A head's keys lie in blocks of 64 positions, a number of all of them side by side, so that a query
/// is multiplied with many at once: `[blocks, heads, size, 64]`. Values are `[blocks, heads, 64, size]`.
pub struct Held {
    heads: usize,
    size: usize,
    len: usize,
    keys: Vec<f16>,
    values: Vec<f16>,
}

impl Held {
    /// Of no position yet.
    pub fn new(heads: usize, size: usize) -> Held {
        Held { heads, size, len: 0, keys: Vec::new(), values: Vec::new() }
    }

    /// Positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers of a head.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds positions, keys and values of `[positions, heads, size]`.
    ///
    /// # Panics
    /// If there are not as many values as keys, or not of whole positions.
    pub fn push(&mut self, keys: &[f32], values: &[f32]) {
        let mut narrow = vec![f16::ZERO; 2 * keys.len()];
        let (narrow_keys, narrow_values) = narrow.split_at_mut(keys.len());
        narrow_keys.convert_from_f32_slice(keys);
        narrow_values.convert_from_f32_slice(values);
        self.push_narrow(narrow_keys, narrow_values);
    }

    fn push_narrow(&mut self, keys: &[f16], values: &[f16]) {
        let row = self.row();
        assert!(keys.len() == values.len() && keys.len().is_multiple_of(row));
        let blocks = (self.len + keys.len() / row).div_ceil(SPAN);
        for held in [&mut self.keys, &mut self.values] {
            let size = blocks * SPAN * row;
            if held.len() < size {
                held.resize(size, f16::ZERO);
            }
        }
        for (keys, values) in keys.chunks_exact(row).zip(values.chunks_exact(row)) {
            for head in 0..self.heads {
                let block = self.block(self.len / SPAN, head);
                let (at, own) = (self.len % SPAN, head * self.size);
                let place = &mut self.keys[block.clone()];
                let keys = &keys[own..own + self.size];
                for (place, key) in place.iter_mut().skip(at).step_by(SPAN).zip(keys) {
                    *place = *key;
                }
                self.values[block][at * self.size..][..self.size]
                    .copy_from_slice(&values[own..own + self.size]);
            }
            self.len += 1;
        }
    }

    /// Keys and values of the first positions, as [`Held::import`] takes them: `[positions, heads,
    /// size]` each.
    pub fn export(&self, len: usize, bytes: &mut Vec<u8>) {
        for is_key in [true, false] {
            for position in 0..len.min(self.len) {
                for head in 0..self.heads {
                    let block = self.block(position / SPAN, head);
                    for number in 0..self.size {
                        let value = if is_key {
                            self.keys[block.start + number * SPAN + position % SPAN]
                        } else {
                            self.values[block.start + position % SPAN * self.size + number]
                        };
                        bytes.extend(value.to_le_bytes());
                    }
                }
            }
        }
    }

    /// Takes what [`Held::export`] gave in place of what is held. Bytes that are left over after
    /// whole positions are passed over.
    pub fn import(&mut self, bytes: &[u8]) {
        let numbers = bytes.as_chunks::<2>().0.iter().map(|two| f16::from_le_bytes(*two));
        let numbers: Vec<f16> = numbers.collect();
        let half = numbers.len() / (2 * self.row()) * self.row();
        self.len = 0;
        self.push_narrow(&numbers[..half], &numbers[half..2 * half]);
    }

    /// Numbers of a position.
    fn row(&self) -> usize {
        self.heads * self.size
    }

    fn block(&self, block: usize, head: usize) -> std::ops::Range<usize> {
        let at = (block * self.heads + head) * SPAN * self.size;
        at..at + SPAN * self.size
    }

    /// Keys of a head, `[size, 64]`: what no position has yet is anything.
    pub(super) fn keys(&self, block: usize, head: usize) -> &[f16] {
        &self.keys[self.block(block, head)]
    }

    /// Values of a head, `[64, size]`: what no position has yet is anything.
    pub(super) fn values(&self, block: usize, head: usize) -> &[f16] {
        &self.values[self.block(block, head)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_out_as_it_came_in() {
        let (heads, size, all) = (2, 3, 2 * SPAN + 5);
        let number = |n: usize| f16::from_f32(n as f32);
        let keys: Vec<f32> = (0..all * heads * size).map(|n| number(n).to_f32()).collect();
        let values: Vec<f32> = keys.iter().map(|key| -key).collect();
        let mut held = Held::new(heads, size);
        let row = heads * size;
        // What is forgotten is written over.
        held.push(&values[..7 * row], &keys[..7 * row]);
        held.truncate(0);
        for (keys, values) in keys.chunks(50 * row).zip(values.chunks(50 * row)) {
            held.push(keys, values);
        }
        assert_eq!(held.len(), all);
        let mut bytes = Vec::new();
        held.export(SPAN + 1, &mut bytes);
        let wanted = [&keys[..(SPAN + 1) * row], &values[..(SPAN + 1) * row]].concat();
        let wanted: Vec<u8> = wanted.iter().flat_map(|n| f16::from_f32(*n).to_le_bytes()).collect();
        assert_eq!(bytes, wanted);
        let mut again = Held::new(heads, size);
        again.import(&bytes);
        assert_eq!(again.len(), SPAN + 1);
        let mut copy = Vec::new();
        again.export(usize::MAX, &mut copy);
        assert_eq!(copy, bytes);
        let key = |position: usize, head: usize, n: usize| {
            held.keys(position / SPAN, head)[n * SPAN + position % SPAN].to_f32()
        };
        let value = |position: usize, head: usize, n: usize| {
            held.values(position / SPAN, head)[position % SPAN * size + n].to_f32()
        };
        for position in [0, SPAN - 1, SPAN, all - 1] {
            for (head, n) in [(0, 0), (1, 2)] {
                let at = position * row + head * size + n;
                assert_eq!(key(position, head, n), keys[at]);
                assert_eq!(value(position, head, n), values[at]);
            }
        }
    }
}
