//! Each tier against the plain one, bit for bit, and the plain one against products of what candle
//! makes of the same bytes.

use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use half::f16;

use super::layout::{BLOCK, SMALL};
use super::product::multiply_by;
use super::table::Kernels;
use super::tier::here;
use super::*;
use crate::compute::{Bytes, Pool};

const FORMATS: [(Format, GgmlDType, usize); 3] = [
    (Format::Q4K, GgmlDType::Q4K, 144),
    (Format::Q6K, GgmlDType::Q6K, 210),
    (Format::Q8, GgmlDType::Q8_0, 34),
];

/// Numbers from -2 to 2.
pub(super) fn numbers(random: &mut fastrand::Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| 4.0 * (random.f32() - 0.5)).collect()
}

pub(super) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Where the half-precision numbers of a block stand.
fn scales(format: Format) -> &'static [usize] {
    match format {
        Format::Q4K => &[0, 2],
        Format::Q6K => &[208],
        Format::Q8 => &[0],
    }
}

/// Blocks of any bytes, with scales of that size.
fn blocks(
    format: Format,
    size: usize,
    count: usize,
    scale: f32,
    mut byte: impl FnMut() -> u8,
) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..count * size).map(|_| byte()).collect();
    for block in bytes.chunks_exact_mut(size) {
        for at in scales(format) {
            let sign = if byte().is_multiple_of(2) { 1.0 } else { -1.0 };
            block[*at..at + 2].copy_from_slice(&f16::from_f32(scale * sign).to_le_bytes());
        }
    }
    bytes
}

pub(super) fn matrix(
    pool: &Pool,
    format: Format,
    bytes: &[u8],
    rows: usize,
    columns: usize,
) -> Matrix {
    let source = match format {
        Format::Q4K => Source::Q4K(bytes),
        Format::Q6K => Source::Q6K(bytes),
        Format::Q8 => Source::Q8(bytes),
    };
    let tiles = rows.div_ceil(TILE);
    let mut packed = vec![1; tile_bytes(format, columns) * tiles];
    pack(pool, &source, (rows, columns), 0..tiles, &mut packed);
    Matrix::new(format, rows, columns, Bytes::Owned(packed)).unwrap()
}

pub(super) fn quantised(pool: &Pool, format: Format, numbers: &[f32], columns: usize) -> Rows {
    let mut rows = Rows::default();
    rows.fill(pool, numbers.len() / columns, columns, &[format], &|row, into| {
        into.copy_from_slice(&numbers[row * columns..][..columns]);
    });
    rows
}

fn product(tier: Tier, pool: &Pool, matrix: &Matrix, rows: &Rows) -> Vec<u32> {
    let mut product = vec![f32::NAN; rows.count() * matrix.rows()];
    multiply_by(tier.kernels(), pool, rows, &mut [(matrix, &mut product)]);
    bits(&product)
}

/// The numbers that quantised rows stand for.
fn widened(rows: &Rows, format: Format) -> Vec<f64> {
    let (quants, block) = match format {
        Format::Q8 => (rows.small.as_ref().unwrap(), SMALL),
        Format::Q4K | Format::Q6K => (rows.large.as_ref().unwrap(), BLOCK),
    };
    let scale = |n: usize| f64::from(quants.scales[n / block]);
    quants.values.iter().enumerate().map(|(n, value)| f64::from(*value) * scale(n)).collect()
}

#[test]
fn products_are_those_of_the_numbers_that_the_bytes_stand_for() {
    let pool = Pool::new(2);
    let mut random = fastrand::Rng::with_seed(5);
    for (format, dtype, size) in FORMATS {
        let (rows, columns) = (21, 768);
        let count = rows * columns / format.block();
        let bytes = blocks(format, size, count, 0.01, || random.u8(..));
        let storage = QStorage::from_data((&bytes).into(), &Device::Cpu, dtype).unwrap();
        let weights = QTensor::new(storage, (rows, columns)).unwrap();
        let weights: Vec<Vec<f32>> = weights.dequantize(&Device::Cpu).unwrap().to_vec2().unwrap();
        let numbers: Vec<f32> = (0..5 * columns).map(|_| random.f32() - 0.5).collect();
        let quants = quantised(&pool, format, &numbers, columns);
        let wide = widened(&quants, format);
        for (number, wide) in numbers.iter().zip(&wide) {
            assert!((f64::from(*number) - wide).abs() < 0.51 * 0.5 / 127.0);
        }
        let matrix = matrix(&pool, format, &bytes, rows, columns);
        let made = product(Tier::Reference, &pool, &matrix, &quants);
        for (n, made) in made.iter().enumerate() {
            let (row, weights) = (n / rows, &weights[n % rows]);
            let each = weights.iter().zip(&wide[row * columns..]);
            let terms: Vec<f64> = each.map(|(a, b)| f64::from(*a) * b).collect();
            let (wanted, size): (f64, f64) =
                (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum());
            let made = f64::from(f32::from_bits(*made));
            assert!((made - wanted).abs() < 1e-5 * size, "{format:?} {n}: {made} {wanted}");
        }
    }
}

#[test]
fn tiers_threads_and_rows_beside_change_no_bit() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(4)];
    let mut random = fastrand::Rng::with_seed(7);
    for (format, _, size) in FORMATS {
        let wide = [format.block(), 3 * format.block(), 18 * format.block()];
        for (rows, columns) in
            [1, 15, 16, 17, 40, 67].into_iter().flat_map(|n| wide.map(|k| (n, k)))
        {
            let count = rows * columns / format.block();
            let extremes: [(f32, Option<u8>); 6] = [
                (0.01, None),
                (60_000.0, None),
                (60_000.0, Some(0xff)),
                (60_000.0, Some(0x80)),
                (60_000.0, Some(0x7f)),
                (0.0, Some(0)),
            ];
            for (scale, byte) in extremes {
                let bytes = blocks(format, size, count, scale, || byte.unwrap_or(random.u8(..)));
                let matrix = matrix(&pools[1], format, &bytes, rows, columns);
                for many in if byte.is_none() { 1..=17 } else { 4..=5 } {
                    let numbers: Vec<f32> = (0..many * columns)
                        .map(|n| match (byte, n / columns % 3) {
                            (None, 0) if n / format.block() % 3 == 1 => 0.0,
                            (None, _) => random.f32() - 0.5,
                            (_, 0) => 3.0,
                            (_, 1) => -3.0,
                            _ => {
                                if n % 2 == 0 {
                                    3.0
                                } else {
                                    -3.0
                                }
                            }
                        })
                        .collect();
                    let quants = quantised(&pools[0], format, &numbers, columns);
                    let plain = product(Tier::Reference, &pools[0], &matrix, &quants);
                    for (row, one) in numbers.chunks_exact(columns).enumerate() {
                        let one = quantised(&pools[0], format, one, columns);
                        let alone = product(tier(), &pools[0], &matrix, &one);
                        assert_eq!(alone, plain[row * rows..][..rows], "{format:?} {row} alone");
                    }
                    for tier in here() {
                        for pool in &pools {
                            let made = product(*tier, pool, &matrix, &quants);
                            let what = format!("{tier:?} {format:?} [{rows}, {columns}] by {many}");
                            assert_eq!(made, plain, "{what}");
                        }
                    }
                }
            }
        }
    }
}

/// Models of a process share the pool, and each chooses its own number of threads.
#[test]
fn another_number_of_threads_in_the_midst_of_a_product_changes_no_bit() {
    static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(4));
    static THREADS: AtomicUsize = AtomicUsize::new(1);
    fn q8(tile: &[u8], rows: &Rows, which: Range<usize>, products: &mut [[f32; TILE]]) {
        POOL.limit(THREADS.load(SeqCst));
        reference::q8(tile, rows, which, products);
    }
    let kernels = Kernels {
        q4k: reference::q4k,
        q6k: reference::q6k,
        q8,
        floats: floats::PLAIN,
        sixteen: strips::PLAIN,
    };
    let mut random = fastrand::Rng::with_seed(11);
    let (rows, columns, many) = (64 * TILE, 1024, 8);
    let numbers = numbers(&mut random, many * columns);
    let quants = quantised(&POOL, Format::Q8, &numbers, columns);
    let matrices = [(); 2].map(|()| {
        let bytes = blocks(Format::Q8, 34, rows * columns / SMALL, 0.01, || random.u8(..));
        matrix(&POOL, Format::Q8, &bytes, rows, columns)
    });
    let wanted = matrices.each_ref().map(|matrix| product(tier(), &POOL, matrix, &quants));
    for (before, after) in [(1, 4), (4, 1)] {
        POOL.limit(before);
        THREADS.store(after, SeqCst);
        let mut made = [(); 2].map(|()| vec![f32::NAN; many * rows]);
        let [a, b] = &mut made;
        multiply_by(&kernels, &POOL, &quants, &mut [(&matrices[0], a), (&matrices[1], b)]);
        assert!(made.map(|made| bits(&made)) == wanted, "from {before} threads to {after}");
    }
}

#[test]
fn other_formats_become_8_bits() {
    let pool = Pool::new(2);
    let (rows, columns) = (11, 96);
    let numbers: Vec<f32> = (0..rows * columns).map(|n| (n as f32 * 0.37).sin()).collect();
    let write = |row: usize, into: &mut [f32]| {
        into.copy_from_slice(&numbers[row * columns..][..columns]);
    };
    let tensor = Tensor::from_vec(numbers.clone(), (rows, columns), &Device::Cpu).unwrap();
    let theirs = QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap();
    let pack = |source: &Source<'_>| {
        let mut packed = vec![0; tile_bytes(Format::Q8, columns)];
        pack(&pool, source, (rows, columns), 0..1, &mut packed);
        packed
    };
    assert!(pack(&Source::Numbers(&write)) == pack(&Source::Q8(&theirs.data().unwrap())));
}

#[test]
fn a_gate_lets_through_what_it_should() {
    let pool = Pool::new(2);
    let mut random = fastrand::Rng::with_seed(9);
    let (rows, columns) = (19, 512);
    let count = rows * columns / BLOCK;
    let a = blocks(Format::Q4K, 144, count, 0.001, || random.u8(..));
    let a = matrix(&pool, Format::Q4K, &a, rows, columns);
    let b = blocks(Format::Q6K, 210, count, 0.001, || random.u8(..));
    let b = matrix(&pool, Format::Q6K, &b, rows, columns);
    let numbers: Vec<f32> = (0..7 * columns).map(|_| random.f32() - 0.5).collect();
    let quants = quantised(&pool, Format::Q4K, &numbers, columns);
    let [of_a, of_b] = [&a, &b].map(|matrix| product(tier(), &pool, matrix, &quants));
    for (kind, act) in [
        (Gate::Silu, crate::compute::math::silu as fn(f32) -> f32),
        (Gate::GeluTanh, crate::compute::math::gelu_tanh),
    ] {
        let mut made = vec![f32::NAN; 7 * rows];
        gated(&pool, &quants, (&a, &b), kind, &mut made);
        for ((made, a), b) in made.iter().zip(&of_a).zip(&of_b) {
            let wanted = act(f32::from_bits(*a)) * f32::from_bits(*b);
            assert_eq!(made.to_bits(), wanted.to_bits());
        }
    }
}

#[test]
fn tiers_are_known_by_name() {
    for tier in [Tier::Reference, Tier::Avx2, Tier::AvxVnni, Tier::Avx512Vnni] {
        assert_eq!(Tier::of_name(tier.name()), Some(tier));
    }
    assert_eq!(Tier::of_name("avx1024"), None);
}

#[test]
fn bytes_that_are_too_few_are_no_matrix() {
    let size = tile_bytes(Format::Q8, 96);
    assert!(Matrix::new(Format::Q8, 11, 96, Bytes::Owned(vec![0; size])).is_some());
    assert!(Matrix::new(Format::Q8, 11, 96, Bytes::Owned(vec![0; size - 1])).is_none());
    assert!(Matrix::new(Format::Q8, 11, 95, Bytes::Owned(vec![0; size])).is_none());
    assert!(Matrix::new(Format::Q4K, 11, 96, Bytes::Owned(vec![0; size])).is_none());
}
