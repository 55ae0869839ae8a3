#![no_main]
//! Any text as HTML or Markdown: the blocks lie in the text, in order, each in its section.

use libfuzzer_sys::fuzz_target;
use wellread_fuzz::base::{Content, Document};
use wellread_fuzz::document::html::{CleanOptions, document};

fn check(document: &Document) {
    let mut end = 0;
    for block in &document.blocks {
        assert!(block.range.start >= end && block.range.end > block.range.start);
        assert!(document.text.get(block.range.clone()).is_some());
        let section = &document.sections[block.section];
        assert!(section.range.start <= block.range.start && block.range.end <= section.range.end);
        end = block.range.end;
    }
}

fuzz_target!(|text: &str| {
    let options = CleanOptions::default();
    check(&document(&Content::Html(text.to_owned()), &options));
    check(&document(&Content::Markdown(text.to_owned()), &options));
});
