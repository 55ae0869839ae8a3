//! The same with vector instructions.

use std::arch::x86_64::*;

use super::super::raw::in_one;
use super::*;

macro_rules! compiled {
    ($features:literal, $lanes:literal, $at_once:literal) => {
        const VECTORS: usize = STRIP / $lanes;

        // SAFETY, of both: this table is used only where there are these instructions.
        pub(in super::super::super) const TABLES: Tables = Tables {
            quantize: |numbers, values, scales| unsafe { quantize(numbers, values, scales) },
            product: |block, words, products| unsafe { product(block, words, products) },
        };

        #[target_feature(enable = $features)]
        fn quantize(numbers: &[f32], values: &mut [i16], scales: &mut [f32]) {
            super::super::quantize(numbers, values, scales);
        }

        #[target_feature(enable = $features)]
        fn product(block: Block<'_>, words: &Words<'_>, products: Products<'_>) {
            let count = words.values.len() / words.columns;
            let blocks = words.columns.div_ceil(BLOCK);
            let columns = block.columns();
            assert!(columns.end <= words.columns && block.number < blocks);
            assert!(words.scales.len() >= count * blocks);
            assert!(products.sums.len() + products.stride >= count * products.stride + STRIP);
            let some = Some { block, words, blocks, stride: products.stride };
            let sums = products.sums.as_mut_ptr();
            let mut row = 0;
            // SAFETY: rows are there up to `count`, of the activations and of the products, as
            // was just looked at.
            unsafe {
                while row + $at_once <= count {
                    some_rows::<$at_once>(&some, row, sums);
                    row += $at_once;
                }
                while row < count {
                    some_rows::<1>(&some, row, sums);
                    row += 1;
                }
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn some_rows<const M: usize>(some: &Some<'_>, row: usize, sums: *mut f32) {
            let Some { block, words, blocks, stride } = *some;
            let columns = block.columns();
            let mut wholes = [[none(); VECTORS]; M];
            // SAFETY: by what the caller answers for.
            unsafe {
                let first = words.values.as_ptr().add(row * words.columns + columns.start);
                let mut values = [first; M];
                for (m, values) in values.iter_mut().enumerate() {
                    *values = first.add(m * words.columns);
                }
                let weights = block.values.as_ptr();
                for pair in 0..columns.len() / 2 {
                    let mut parts = [none(); VECTORS];
                    for (n, part) in parts.iter_mut().enumerate() {
                        *part = load(weights.add((pair * STRIP + n * $lanes) * 2).cast());
                    }
                    for (wholes, values) in wholes.iter_mut().zip(values) {
                        let two = all(values.cast::<i32>().add(pair).read_unaligned());
                        for n in 0..VECTORS {
                            wholes[n] = dot_pairs(wholes[n], parts[n], two);
                        }
                    }
                }
                for (m, wholes) in wholes.iter().enumerate() {
                    let scale = number(words.scales[(row + m) * blocks + block.number]);
                    for n in 0..VECTORS {
                        let place = sums.add((row + m) * stride + n * $lanes);
                        let of_row = there(block.scales.as_ptr().add(n * $lanes));
                        let sum = times(float(wholes[n]), of_row);
                        store(place, plus(sum, scale, there(place)));
                    }
                }
            }
        }
    };
}

/// What rows have in common.
#[derive(Clone, Copy)]
struct Some<'a> {
    block: Block<'a>,
    words: &'a Words<'a>,
    blocks: usize,
    stride: usize,
}

pub(in super::super) use avx_vnni::TABLES as AVX_VNNI;
pub(in super::super) use avx2::TABLES as AVX2;
pub(in super::super) use avx512::TABLES as AVX512_VNNI;

mod avx2 {
    use std::arch::x86_64::{
        _mm256_cvtepi32_ps as float, _mm256_fmadd_ps as plus, _mm256_loadu_ps as there,
        _mm256_loadu_si256 as load, _mm256_mul_ps as times, _mm256_set1_epi32 as all,
        _mm256_set1_ps as number, _mm256_setzero_si256 as none, _mm256_storeu_ps as store,
    };

    use super::*;

    compiled!("avx2,fma", 8, 2);

    #[inline]
    #[target_feature(enable = "avx2")]
    fn dot_pairs(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
    }
}

mod avx_vnni {
    use std::arch::x86_64::{
        _mm256_cvtepi32_ps as float, _mm256_fmadd_ps as plus, _mm256_loadu_ps as there,
        _mm256_loadu_si256 as load, _mm256_mul_ps as times, _mm256_set1_epi32 as all,
        _mm256_set1_ps as number, _mm256_setzero_si256 as none, _mm256_storeu_ps as store,
    };

    use super::*;

    compiled!("avx2,fma,avxvnni", 8, 2);
    in_one!("avx2,avxvnni", "{{vex}} vpdpwssd {0}, {1}, {2}", ymm_reg, __m256i);
}

mod avx512 {
    use std::arch::x86_64::{
        _mm512_cvtepi32_ps as float, _mm512_fmadd_ps as plus, _mm512_loadu_ps as there,
        _mm512_loadu_si512 as load, _mm512_mul_ps as times, _mm512_set1_epi32 as all,
        _mm512_set1_ps as number, _mm512_setzero_si512 as none, _mm512_storeu_ps as store,
    };

    use super::*;

    compiled!("avx512f,avx512bw,avx512vl,avx512vnni", 16, 8);
    in_one!("avx512f,avx512vnni", "vpdpwssd {0}, {1}, {2}", zmm_reg, __m512i);
}
