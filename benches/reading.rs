//! Reading a feed: bytes → articles → documents, what repeats learned and left out. The sample
//! feed, and the one beside the project where that is there.
#![allow(clippy::disallowed_methods, missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use wellread::document::html::{
    CleanOptions, block_keys, document, learn_repeated, remove_repeated,
};
use wellread::source::read::{Hint, Parsed, parse};

fn read(bytes: &[u8]) -> usize {
    let Ok(Parsed::Source(feed)) = parse(bytes, &Hint::default()) else { panic!("no feed") };
    let clean = CleanOptions::default();
    let documents: Vec<_> =
        feed.articles.iter().map(|article| document(&article.content, &clean)).collect();
    let keys: Vec<_> = documents.iter().map(block_keys).collect();
    let repeated = learn_repeated(&keys, &clean);
    documents.into_iter().map(|document| remove_repeated(document, &repeated).text.len()).sum()
}

fn feeds(criterion: &mut Criterion) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, path) in
        [("sample", "eval/sample/feed.xml"), ("real", "../shared/articles/feed.xml")]
    {
        let Ok(bytes) = std::fs::read(project.join(path)) else { continue };
        criterion.bench_function(&format!("read the {name} feed"), |bencher| {
            bencher.iter(|| read(black_box(&bytes)));
        });
    }
}

criterion_group!(benches, feeds);
criterion_main!(benches);
