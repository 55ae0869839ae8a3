//! Vectors of 64 bytes: whole words.

use super::*;

pub(in super::super) static KERNELS: Kernels = Kernels {
    q4k: by_4_bits,
    q6k: by_6_bits,
    q8: by_8_bits,
    floats: floats::AVX512,
    sixteen: strips::AVX512_VNNI,
};

type Ints = __m512i;
type Floats = __m512;
const BYTES: usize = 64;
const LANES: usize = BYTES / 4;
const SIDES: usize = TILE / LANES;
const AT_ONCE: usize = 8;

kernels!("avx512f,avx512bw,avx512vl,avx512vnni");
many!("avx512f,avx512bw,avx512vl,avx512vnni");
vectors! { "avx512f,avx512bw,avx512vl,avx512vnni";
    fn none() -> Ints = _mm512_setzero_si512();
    fn zeros() -> Floats = _mm512_setzero_ps();
    fn all(number: i32) -> Ints = _mm512_set1_epi32(number);
    fn number(number: f32) -> Floats = _mm512_set1_ps(number);
    fn and(a: Ints, b: Ints) -> Ints = _mm512_and_si512(a, b);
    fn or(a: Ints, b: Ints) -> Ints = _mm512_or_si512(a, b);
    fn xor(a: Ints, b: Ints) -> Ints = _mm512_xor_si512(a, b);
    fn left4(a: Ints) -> Ints = _mm512_slli_epi16::<4>(a);
    fn left2(a: Ints) -> Ints = _mm512_slli_epi16::<2>(a);
    fn right4(a: Ints) -> Ints = _mm512_srli_epi16::<4>(a);
    fn right2(a: Ints) -> Ints = _mm512_srli_epi16::<2>(a);
    fn times32(a: Ints) -> Ints = _mm512_slli_epi32::<5>(a);
    fn dot(sum: Ints, weights: Ints, values: Ints) -> Ints =
        _mm512_dpbusd_epi32(sum, weights, values);
    fn left16(a: Ints) -> Ints = _mm512_slli_epi32::<16>(a);
    fn times8(a: Ints) -> Ints = _mm512_slli_epi16::<3>(a);
    fn add(a: Ints, b: Ints) -> Ints = _mm512_add_epi32(a, b);
    fn less(a: Ints, b: Ints) -> Ints = _mm512_sub_epi32(a, b);
    fn times(a: Ints, b: Ints) -> Ints = _mm512_mullo_epi32(a, b);
    fn low_of_pair(both: Ints) -> Ints = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(both));
    fn high_of_pair(both: Ints) -> Ints = _mm512_srai_epi32::<16>(both);
    fn float(a: Ints) -> Floats = _mm512_cvtepi32_ps(a);
    fn product(a: Floats, b: Floats) -> Floats = _mm512_mul_ps(a, b);
    fn plus(a: Floats, b: Floats, c: Floats) -> Floats = _mm512_fmadd_ps(a, b, c);
    fn minus(a: Floats, b: Floats, c: Floats) -> Floats = _mm512_fmsub_ps(a, b, c);
}
in_one!("avx512f,avx512vnni", "vpdpwssd {0}, {1}, {2}", zmm_reg, __m512i);
vectors! { unsafe "avx512f,avx512bw,avx512vl,avx512vnni";
    fn load(from: *const u8) -> Ints = _mm512_loadu_si512(from.cast());
    fn keep(into: *mut u8, ints: Ints) -> () = _mm512_storeu_si512(into.cast(), ints);
    fn there(from: *const f32) -> Floats = _mm512_loadu_ps(from);
    fn store(into: *mut f32, floats: Floats) -> () = _mm512_storeu_ps(into, floats);
    fn halves(from: *const u8) -> Floats =
        _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()));
    fn bytes(from: *const u8) -> Ints = _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()));
    fn unsigned_pairs(from: *const u8) -> Ints =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(from.cast()));
    fn signed_pairs(from: *const u8) -> Ints =
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast()));
}
