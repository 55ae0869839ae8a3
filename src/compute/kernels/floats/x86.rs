//! The same lines, compiled for wider vectors.

use std::arch::x86_64::*;

use half::f16;

use super::{Floats, Gate, Quantised, SUMS};
use crate::compute::math;

pub(in super::super) use avx2::FLOATS as AVX2;
pub(in super::super) use avx512::FLOATS as AVX512;

/// What is compiled for these instructions; `some_dots` and `widen` are beside it.
macro_rules! compiled {
    ($features:literal, $lanes:literal, $most:literal) => {
        #[target_feature(enable = $features)]
        fn dots(query: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
            let size = query.len();
            assert!(keys.len() >= scores.len() * size);
            let mut at = 0;
            while at < scores.len() {
                let keys = &keys[at * size..];
                // SAFETY: there are as many keys as scores, which were counted above.
                at += unsafe {
                    if at + 4 <= scores.len() {
                        some_dots::<4>(query, keys.as_ptr(), scale, &mut scores[at..])
                    } else {
                        some_dots::<1>(query, keys.as_ptr(), scale, &mut scores[at..])
                    }
                };
            }
        }

        /// As `dot`, written out: the compiler does not make these vectors of its closures.
        ///
        /// # Safety
        /// `KEYS` keys can be read from there on.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn some_dots<const KEYS: usize>(
            query: &[f32],
            keys: *const f32,
            scale: f32,
            scores: &mut [f32],
        ) -> usize {
            let size = query.len();
            let mut sums = [[none(); SUMS / $lanes]; KEYS];
            let mut at = 0;
            while at + SUMS <= size {
                for part in 0..SUMS / $lanes {
                    // SAFETY: so many numbers from there on lie within the query, and each key.
                    unsafe {
                        let at = at + part * $lanes;
                        let query = load(query.as_ptr().add(at));
                        for (n, sums) in sums.iter_mut().enumerate() {
                            let key = load(keys.add(n * size + at));
                            sums[part] = add(sums[part], multiply(query, key));
                        }
                    }
                }
                at += SUMS;
            }
            let mut fours = [_mm_setzero_ps(); KEYS];
            for (four, sums) in fours.iter_mut().zip(sums) {
                *four = quarter(sums);
            }
            let mut made = [0f32; 4];
            // SAFETY: there is place for four numbers.
            unsafe { _mm_storeu_ps(made.as_mut_ptr(), sums_of(&fours)) };
            for (n, (mut sum, score)) in made.into_iter().zip(scores).enumerate().take(KEYS) {
                for (rest, number) in query.iter().enumerate().skip(at) {
                    // SAFETY: this number lies within the key.
                    sum += number * unsafe { *keys.add(n * size + rest) };
                }
                *score = sum * scale;
            }
            KEYS
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
        fn mix(shares: &[f32], values: &[f32], taken: &mut [f32]) {
            // Heads have 64 or 128 numbers.
            if taken.len().is_multiple_of($most) {
                super::super::mix::<$most>(shares, values, taken);
            } else {
                super::super::mix::<64>(shares, values, taken);
            }
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
            dots: |query, keys, scale, scores| unsafe { dots(query, keys, scale, scores) },
            softmax: |row| unsafe { softmax(row) },
            mix: |shares, values, taken| unsafe { mix(shares, values, taken) },
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

/// Eight sums onto four.
#[inline]
#[target_feature(enable = "avx2")]
fn halves_together(eight: __m256) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight))
}

/// The sum of each vector, halves onto halves; of as many as there are.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_of<const KEYS: usize>(fours: &[__m128; KEYS]) -> __m128 {
    let mut all = [_mm_setzero_ps(); 4];
    all[..KEYS].copy_from_slice(fours);
    let [mut a, mut b, mut c, mut d] = all;
    _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
    _mm_add_ps(_mm_add_ps(a, c), _mm_add_ps(b, d))
}

mod avx2 {
    use super::*;
    use std::arch::x86_64::{
        _mm256_add_ps as add, _mm256_loadu_ps as load, _mm256_mul_ps as multiply,
        _mm256_setzero_ps as none, _mm256_storeu_ps as store,
    };

    compiled!("avx2,f16c", 8, 64);

    /// Sixteen sums onto four, halves onto halves.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn quarter([low, high]: [__m256; 2]) -> __m128 {
        halves_together(add(low, high))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn halves(from: *const u8) -> __m256 {
        // SAFETY: by what the caller answers for: 16 bytes can be read there.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }
}

mod avx512 {
    use super::*;
    use std::arch::x86_64::{
        _mm512_add_ps as add, _mm512_loadu_ps as load, _mm512_mul_ps as multiply,
        _mm512_setzero_ps as none, _mm512_storeu_ps as store,
    };

    compiled!("avx512f,avx512bw,avx512vl", 16, 128);

    /// Sixteen sums onto four, halves onto halves.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn quarter([all]: [__m512; 1]) -> __m128 {
        let high = _mm512_castps512_ps256(_mm512_shuffle_f32x4::<0b1110>(all, all));
        halves_together(_mm256_add_ps(_mm512_castps512_ps256(all), high))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn halves(from: *const u8) -> __m512 {
        // SAFETY: by what the caller answers for: 32 bytes can be read there.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
    }
}
