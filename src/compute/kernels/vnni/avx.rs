//! Vectors of 32 bytes: halves of words.

use super::*;

pub(in super::super) static KERNELS: Kernels = Kernels {
    q4k: by_4_bits,
    q6k: by_6_bits,
    q8: by_8_bits,
    floats: floats::AVX2,
    sixteen: strips::AVX_VNNI,
};

type Ints = __m256i;
type Floats = __m256;
const BYTES: usize = 32;
const LANES: usize = BYTES / 4;
const SIDES: usize = TILE / LANES;
const AT_ONCE: usize = 4;

kernels!("avx2,fma,f16c,avxvnni");
many!("avx2,fma,f16c,avxvnni");
vectors! { "avx2,fma,f16c,avxvnni";
    fn none() -> Ints = _mm256_setzero_si256();
    fn zeros() -> Floats = _mm256_setzero_ps();
    fn all(number: i32) -> Ints = _mm256_set1_epi32(number);
    fn number(number: f32) -> Floats = _mm256_set1_ps(number);
    fn and(a: Ints, b: Ints) -> Ints = _mm256_and_si256(a, b);
    fn or(a: Ints, b: Ints) -> Ints = _mm256_or_si256(a, b);
    fn xor(a: Ints, b: Ints) -> Ints = _mm256_xor_si256(a, b);
    fn left4(a: Ints) -> Ints = _mm256_slli_epi16::<4>(a);
    fn left2(a: Ints) -> Ints = _mm256_slli_epi16::<2>(a);
    fn right4(a: Ints) -> Ints = _mm256_srli_epi16::<4>(a);
    fn right2(a: Ints) -> Ints = _mm256_srli_epi16::<2>(a);
    fn times32(a: Ints) -> Ints = _mm256_slli_epi32::<5>(a);
    fn dot(sum: Ints, weights: Ints, values: Ints) -> Ints =
        _mm256_dpbusd_avx_epi32(sum, weights, values);
    fn left16(a: Ints) -> Ints = _mm256_slli_epi32::<16>(a);
    fn times8(a: Ints) -> Ints = _mm256_slli_epi16::<3>(a);
    fn add(a: Ints, b: Ints) -> Ints = _mm256_add_epi32(a, b);
    fn less(a: Ints, b: Ints) -> Ints = _mm256_sub_epi32(a, b);
    fn times(a: Ints, b: Ints) -> Ints = _mm256_mullo_epi32(a, b);
    fn low_of_pair(both: Ints) -> Ints = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(both));
    fn high_of_pair(both: Ints) -> Ints = _mm256_srai_epi32::<16>(both);
    fn float(a: Ints) -> Floats = _mm256_cvtepi32_ps(a);
    fn product(a: Floats, b: Floats) -> Floats = _mm256_mul_ps(a, b);
    fn plus(a: Floats, b: Floats, c: Floats) -> Floats = _mm256_fmadd_ps(a, b, c);
    fn minus(a: Floats, b: Floats, c: Floats) -> Floats = _mm256_fmsub_ps(a, b, c);
}
in_one!("avx2,avxvnni", "{{vex}} vpdpwssd {0}, {1}, {2}", ymm_reg, __m256i);
vectors! { unsafe "avx2,fma,f16c,avxvnni";
    fn load(from: *const u8) -> Ints = _mm256_loadu_si256(from.cast());
    fn keep(into: *mut u8, ints: Ints) -> () = _mm256_storeu_si256(into.cast(), ints);
    fn there(from: *const f32) -> Floats = _mm256_loadu_ps(from);
    fn store(into: *mut f32, floats: Floats) -> () = _mm256_storeu_ps(into, floats);
    fn halves(from: *const u8) -> Floats =
        _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
    fn bytes(from: *const u8) -> Ints = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
    fn unsigned_pairs(from: *const u8) -> Ints =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
    fn signed_pairs(from: *const u8) -> Ints =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()));
}
