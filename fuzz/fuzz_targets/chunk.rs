#![no_main]
//! Any document under any limit: the chunks cover its blocks once, in order, and fit.

use libfuzzer_sys::fuzz_target;
use wellread_fuzz::document::chunk::{ChunkOptions, split};
use wellread_fuzz::base::{ArticleId, ArticleMeta, Content, SourceId};
use wellread_fuzz::document::html::{CleanOptions, document};

fuzz_target!(|input: (u8, u8, &str)| {
    let (limit, overlap, text) = input;
    let document = document(&Content::Html(text.to_owned()), &CleanOptions::default());
    let meta = ArticleMeta {
        id: ArticleId("a".into()),
        source: SourceId("s".into()),
        other_sources: vec![],
        url: None,
        title: "A title".into(),
        subtitle: None,
        authors: vec![],
        published: None,
        tags: vec![],
    };
    let limit = 16 + usize::from(limit);
    let options = ChunkOptions {
        target_tokens: limit,
        max_tokens: limit,
        overlap_tokens: usize::from(overlap) % limit,
        ..ChunkOptions::default()
    };
    // Three bytes a token, and two special ones.
    let count = |text: &str| Ok(text.len().div_ceil(3) + 2);
    let chunks = split(&document, &meta, &options, limit, &count).expect("any document is cut");
    let mut end = 0;
    for chunk in &chunks {
        assert!(chunk.tokens <= limit, "{} > {limit}", chunk.tokens);
        assert!(chunk.range.start >= end && chunk.range.end > chunk.range.start);
        assert!(document.text[end..chunk.range.start].trim().is_empty());
        end = chunk.range.end;
    }
    assert!(document.text[end..].trim().is_empty());
});
