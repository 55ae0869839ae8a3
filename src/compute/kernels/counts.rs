//! How many instructions the kernels take, by callgrind: times are too noisy for a test.
//!
//! A test calls itself under valgrind, which knows no AVX-512, so that it is the AVX2 tier that is
//! counted. What one call takes is the difference of many calls to few.

use std::process::Command;

use super::*;
use crate::compute::Pool;

/// What is counted, and how many instructions a call takes at the most: a twentieth more than it took
/// when this was written.
const MOST: [(&str, u64); 8] = [
    ("q4k by 1", 9_900),
    ("q4k by 4", 27_100),
    ("q6k by 1", 17_600),
    ("q6k by 4", 36_300),
    ("q8 by 1", 10_800),
    ("q8 by 4", 34_200),
    ("sixteen by 8", 91_600),
    ("attention", 36_500),
];

/// The calls that are counted; a few where nobody counts.
#[test]
fn some_work() {
    let what = std::env::var("WELLREAD_TEST_COUNTED").unwrap_or_default();
    let calls: usize =
        std::env::var("WELLREAD_TEST_CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let pool = Pool::new(1);
    let (rows, columns) = (64, 512);
    let activations: Vec<f32> = (0..8 * columns).map(|n| (n as f32 * 0.37).sin()).collect();
    for (name, _) in MOST.iter().filter(|(name, _)| what.is_empty() || *name == what) {
        let format = match name.split(' ').next() {
            Some("q4k") => (Format::Q4K, 144),
            Some("q6k") => (Format::Q6K, 210),
            Some("q8") => (Format::Q8, 34),
            Some("sixteen") => {
                let weights = vec![0.5; rows * columns];
                let packed = Sixteen::new(&weights, rows, columns);
                let mut out = vec![0.0; 8 * rows];
                let mut input = SixteenRows::default();
                for _ in 0..calls {
                    let Some(packed) = &packed else { continue };
                    input.fill(&activations, columns);
                    packed.multiply(&input, &[0.0; 64], &mut out, rows);
                }
                continue;
            }
            _ => {
                let shape = Attention { heads: 4, kv_heads: 2, size: 64, scale: 0.1, window: None };
                let mut held = Held::new(2, 64);
                held.push(&[0.5; 65 * 2 * 64], &[0.5; 65 * 2 * 64]);
                let mut taken = vec![0.0; 256];
                for _ in 0..calls {
                    let queries = &activations[..256];
                    attend(&pool, &shape, (64, 1), queries, &held, &mut taken);
                }
                continue;
            }
        };
        let (format, block) = format;
        let bytes = vec![0x11; rows * columns / format.block() * block];
        let matrix = tests::matrix(&pool, format, &bytes, rows, columns);
        let count = if name.ends_with('1') { 1 } else { 4 };
        let quants = tests::quantised(&pool, format, &activations[..count * columns], columns);
        let mut product = vec![0.0; count * rows];
        for _ in 0..calls {
            multiply(&pool, &quants, &mut [(&matrix, &mut product)]);
        }
    }
}

/// Instructions of this test binary when it makes so many calls.
fn counted(what: &str, calls: u32) -> u64 {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "compute::kernels::counts::some_work", "--test-threads=1"])
        .env("WELLREAD_TEST_COUNTED", what)
        .env("WELLREAD_TEST_CALLS", calls.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let line = said.lines().find_map(|line| line.split("Collected :").nth(1));
    line.unwrap_or_else(|| panic!("callgrind counted nothing: {said}")).trim().parse().unwrap()
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn kernels_take_no_more_instructions_than_they_did() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("WELLREAD_TEST_REQUIRE_SHARED").is_none(), "valgrind isn't here");
        return;
    }
    let calls = 50;
    let mut now = Vec::new();
    for (what, most) in MOST {
        let a_call = (counted(what, 1 + calls) - counted(what, 1)) / u64::from(calls);
        now.push((what, a_call, most));
    }
    // Much fewer is good news, but then the guard has to follow.
    let is_as_before =
        |(_, a_call, most): &(&str, u64, u64)| (most * 3 / 4..=*most).contains(a_call);
    assert!(now.iter().all(is_as_before), "instructions a call, and at the most: {now:?}");
}
