#![no_main]
//! Any bytes as a feed, page or archive: no panic, no hang.

use libfuzzer_sys::fuzz_target;
use wellread_fuzz::source::read::{Hint, parse};

fuzz_target!(|bytes: &[u8]| {
    let hint = Hint { url: Some("https://example.org/feed"), ..Hint::default() };
    let _ = parse(bytes, &hint);
});
