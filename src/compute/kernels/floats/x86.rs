//! The same lines, compiled for wider vectors.

use std::arch::x86_64::*;

use half::f16;

use super::{Floats, Gate, Quantised, SPAN};
use crate::compute::math;

pub(in super::super) use avx2::FLOATS as AVX2;
pub(in super::super) use avx512::FLOATS as AVX512;

/// What is compiled for these instructions; how many vectors of keys (`DOTS`)
/// and of values (`MIXED`) registers hold at once, and `halves`, are beside it.
macro_rules! compiled {
    ($features:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        fn dots(queries: &[f32], keys: &[f32], scale: f32, scores: &mut [f32], stride: usize) {
            let size = keys.len() / SPAN;
            let rows = queries.len() / size;
            assert!(rows == 0 || scores.len() >= (rows - 1) * stride + SPAN && stride >= SPAN);
            let mut row = 0;
            while row < rows {
                let queries = queries[row * size..].as_ptr();
                let scores = scores[row * stride..].as_mut_ptr();
                // SAFETY: so many queries and places for scores are left, as was looked at above.
                row += unsafe {
                    match rows - row {
                        1 => some_dots::<1>(queries, keys, scale, scores, stride),
                        2 => some_dots::<2>(queries, keys, scale, scores, stride),
                        3 => some_dots::<3>(queries, keys, scale, scores, stride),
                        _ => some_dots::<4>(queries, keys, scale, scores, stride),
                    }
                };
            }
        }

        /// # Safety
        /// There are `ROWS` queries, and places for their scores.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn some_dots<const ROWS: usize>(
            queries: *const f32,
            keys: &[f32],
            scale: f32,
            scores: *mut f32,
            stride: usize,
        ) -> usize {
            let size = keys.len() / SPAN;
            let keys = keys.as_chunks::<SPAN>().0;
            for part in 0..SPAN / $lanes / DOTS {
                let mut sums = [[none(); DOTS]; ROWS];
                // SAFETY: `part` lies within a span, and what is read and written is there.
                unsafe {
                    for (at, keys) in keys.iter().enumerate() {
                        let mut vectors = [none(); DOTS];
                        for (n, vector) in vectors.iter_mut().enumerate() {
                            *vector = load(keys.as_ptr().add((part * DOTS + n) * $lanes));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let number = all(*queries.add(row * size + at));
                            for n in 0..DOTS {
                                sums[n] = plus(number, vectors[n], sums[n]);
                            }
                        }
                    }
                    for (row, sums) in sums.iter().enumerate() {
                        for (n, sum) in sums.iter().enumerate() {
                            let place = row * stride + (part * DOTS + n) * $lanes;
                            store(scores.add(place), multiply(*sum, all(scale)));
                        }
                    }
                }
            }
            ROWS
        }

        #[target_feature(enable = $features)]
        fn widen(narrow: &[f16], wide: &mut [f32]) {
            let (chunks, rest) = narrow.as_chunks::<$lanes>();
            let (wide_chunks, wide_rest) = wide.as_chunks_mut::<$lanes>();
            for (wide, narrow) in wide_chunks.iter_mut().zip(chunks) {
                // SAFETY: both have as many numbers as a vector, of 4 and of 2 bytes.
                unsafe { store(wide.as_mut_ptr(), halves(narrow.as_ptr().cast())) };
            }
            super::super::widen(rest, wide_rest);
        }

        #[target_feature(enable = $features)]
        fn softmax(row: &mut [f32]) {
            math::softmax(row);
        }

        #[target_feature(enable = $features)]
        fn mix(shares: &[f32], stride: usize, values: &[f32], taken: &mut [f32], size: usize) {
            let rows = taken.len() / size;
            let count = values.len() / size;
            assert!(rows == 0 || shares.len() >= (rows - 1) * stride + count);
            let mut row = 0;
            while row < rows {
                let shares = shares[row * stride..].as_ptr();
                let taken = taken[row * size..].as_mut_ptr();
                // SAFETY: so many rows of shares, and of numbers to add to, are left, as was looked
                // at above.
                row += unsafe {
                    match rows - row {
                        1 => some_mix::<1>(shares, stride, values, taken, size),
                        2 | 3 => some_mix::<2>(shares, stride, values, taken, size),
                        _ => some_mix::<4>(shares, stride, values, taken, size),
                    }
                };
            }
        }

        /// # Safety
        /// There are `ROWS` rows of as many shares as values, and as many of `size` numbers.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn some_mix<const ROWS: usize>(
            shares: *const f32,
            stride: usize,
            values: &[f32],
            taken: *mut f32,
            size: usize,
        ) -> usize {
            let count = values.len() / size;
            let values = values.as_ptr();
            let mut at = 0;
            // SAFETY: by what the caller answers for; `at` and what is read after it lie in a row.
            unsafe {
                while at + MIXED * $lanes <= size {
                    let mut sums = [[none(); MIXED]; ROWS];
                    for (row, sums) in sums.iter_mut().enumerate() {
                        for (n, sum) in sums.iter_mut().enumerate() {
                            *sum = load(taken.add(row * size + at + n * $lanes));
                        }
                    }
                    for key in 0..count {
                        let mut vectors = [none(); MIXED];
                        for (n, vector) in vectors.iter_mut().enumerate() {
                            *vector = load(values.add(key * size + at + n * $lanes));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let share = all(*shares.add(row * stride + key));
                            for n in 0..MIXED {
                                sums[n] = plus(share, vectors[n], sums[n]);
                            }
                        }
                    }
                    for (row, sums) in sums.iter().enumerate() {
                        for (n, sum) in sums.iter().enumerate() {
                            store(taken.add(row * size + at + n * $lanes), *sum);
                        }
                    }
                    at += MIXED * $lanes;
                }
                for row in 0..ROWS {
                    for at in at..size {
                        let place = taken.add(row * size + at);
                        for key in 0..count {
                            let share = *shares.add(row * stride + key);
                            *place = share.mul_add(*values.add(key * size + at), *place);
                        }
                    }
                }
            }
            ROWS
        }

        #[target_feature(enable = $features)]
        fn gate(kind: Gate, gates: &mut [f32], through: &[f32]) {
            super::super::gate(kind, gates, through);
        }

        #[target_feature(enable = $features)]
        fn quantize(numbers: &[f32], into: Quantised<'_>) {
            super::super::quantize(numbers, into);
        }

        #[target_feature(enable = $features)]
        fn gelu(numbers: &mut [f32]) {
            for number in numbers {
                *number = math::gelu(*number);
            }
        }

        #[target_feature(enable = $features)]
        fn layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
            math::layer_norm(row, scale, shift, epsilon);
        }

        #[target_feature(enable = $features)]
        fn rms_norm(row: &mut [f32], scale: &[f32], epsilon: f32) {
            math::rms_norm(row, scale, epsilon);
        }

        // SAFETY, of all: this table is used only where there are these instructions.
        pub(in super::super::super) const FLOATS: Floats = Floats {
            widen: |narrow, wide| unsafe { widen(narrow, wide) },
            dots: |queries, keys, scale, scores, stride| unsafe {
                dots(queries, keys, scale, scores, stride)
            },
            softmax: |row| unsafe { softmax(row) },
            mix: |shares, stride, values, taken, size| unsafe {
                mix(shares, stride, values, taken, size)
            },
            gate: |kind, gates, through| unsafe { gate(kind, gates, through) },
            quantize: |numbers, into| unsafe { quantize(numbers, into) },
            gelu: |numbers| unsafe { gelu(numbers) },
            layer_norm: |row, scale, shift, epsilon| unsafe {
                layer_norm(row, scale, shift, epsilon)
            },
            rms_norm: |row, scale, epsilon| unsafe { rms_norm(row, scale, epsilon) },
        };
    };
}

mod avx2 {
    use super::*;
    use std::arch::x86_64::{
        _mm256_fmadd_ps as plus, _mm256_loadu_ps as load, _mm256_mul_ps as multiply,
        _mm256_set1_ps as all, _mm256_setzero_ps as none, _mm256_storeu_ps as store,
    };

    compiled!("avx2,fma,f16c", 8);

    const DOTS: usize = 2;
    const MIXED: usize = 2;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn halves(from: *const u8) -> __m256 {
        // SAFETY: by what the caller answers for: 16 bytes can be read there.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }
}

mod avx512 {
    use super::*;
    use std::arch::x86_64::{
        _mm512_fmadd_ps as plus, _mm512_loadu_ps as load, _mm512_mul_ps as multiply,
        _mm512_set1_ps as all, _mm512_setzero_ps as none, _mm512_storeu_ps as store,
    };

    compiled!("avx512f,avx512bw,avx512vl", 16);

    const DOTS: usize = 4;
    const MIXED: usize = 2;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn halves(from: *const u8) -> __m512 {
        // SAFETY: by what the caller answers for: 32 bytes can be read there.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
    }
}
