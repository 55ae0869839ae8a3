//! Indexes over made-up articles, embedded by a model that is a hash of their words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wellread::base::error::{Error, ErrorKind, Result};
use wellread::base::{Cancel, Content, Extent, Filter, Fingerprint, Hit, ParsedArticle, SourceId};
use wellread::document::chunk::ChunkOptions;
use wellread::document::html::CleanOptions;
use wellread::document::terms::{self, Terms};
use wellread::index::edge::EdgeOptions;
use wellread::index::server::ServerOptions;
use wellread::index::{Built, Index, Opened, Work};
use wellread::infer::{Embedder, Embedding, Purpose, Token};
use wellread::library::{Item, Library, SourceItems};
use wellread::source::fetch::{Cursor, SourceKind};

use crate::qdrant::QdrantServer;

pub const DIMENSIONS: usize = 32;

/// Vectors of the words that a text has.
#[derive(Default)]
pub struct Words {
    pub embedded: AtomicUsize,
    /// What it embeds changes, and its fingerprint does not.
    pub is_other: AtomicBool,
}

impl Embedder for Words {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint(BTreeMap::from([("embedder".to_owned(), "words".to_owned())]))
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn max_tokens(&self) -> usize {
        64
    }

    fn count_tokens(&self, text: &str, _: Purpose) -> Result<usize> {
        if text.contains("uncuttable") {
            return Err(Error::new(ErrorKind::Model, "the tokenizer stumbles"));
        }
        Ok(text.split_whitespace().count() + 2)
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>> {
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let shift = usize::from(self.is_other.load(Ordering::Relaxed));
        Ok(texts.iter().map(|text| vector(text, shift)).collect())
    }

    fn embed_tokens(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Embedding>> {
        let vectors = self.embed(texts, purpose)?;
        let each = |(vector, text): (Vec<f32>, &&str)| {
            let token = Token { range: 0..text.len(), state: vector.clone() };
            Embedding { vector, tokens: vec![token] }
        };
        Ok(vectors.into_iter().zip(texts).map(each).collect())
    }
}

pub fn vector(text: &str, shift: usize) -> Vec<f32> {
    let mut vector = [0.01; DIMENSIONS].to_vec();
    for word in text.split_whitespace() {
        let hash = word.bytes().fold(7usize, |hash, byte| hash * 31 + usize::from(byte));
        vector[(hash % 8_191 + shift) % DIMENSIONS] += 1.0 + (hash % 7) as f32 / 10.0;
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

/// A data folder: each article is a source of its own, so that it can be removed.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub library: Library,
    pub embedder: Words,
    pub chunk: ChunkOptions,
    pub clean: CleanOptions,
}

impl Home {
    pub fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::open(&dir.path().join("library.sqlite")).unwrap();
        let chunk = ChunkOptions { target_tokens: 30, max_tokens: 60, ..ChunkOptions::default() };
        let clean = CleanOptions { repeated: false, ..CleanOptions::default() };
        Home { dir, library, embedder: Words::default(), chunk, clean }
    }

    pub fn index(&self) -> Index {
        Index::new(self.dir.path().join("index"), None, EdgeOptions::default())
    }

    pub fn on_server(&self, server: &QdrantServer, shards: u32) -> Index {
        let options = ServerOptions { shards, retries: 0, ..ServerOptions::default() };
        let server = Some((server.url.clone(), options));
        Index::new(self.dir.path().join("index"), server, EdgeOptions::default())
    }

    /// Puts an article into the library, or changes it.
    pub fn put(&self, name: &str, html: &str) {
        let source = SourceId(format!("https://x.org/{name}"));
        let now = jiff::Timestamp::now();
        self.library.add_source(&source, SourceKind::Url, now).unwrap();
        let article = ParsedArticle {
            guid: Some(name.to_owned()),
            url: Some(format!("https://x.org/{name}")),
            title: format!("On {name}"),
            subtitle: None,
            authors: vec![format!("Author {}", name.len())],
            published: "2025-03-01T00:00:00Z".parse().ok(),
            updated: None,
            tags: vec![],
            content: Content::Html(html.to_owned()),
            extent: Extent::Full,
        };
        let items = [Item { article, place: None }];
        let found = SourceItems { title: None, site: None, items: &items };
        self.library.record(&source, found, &Cursor::default(), &self.clean, now).unwrap();
    }

    pub fn remove(&self, name: &str) {
        self.library.remove_source(&SourceId(format!("https://x.org/{name}"))).unwrap();
    }

    pub fn work<T>(&self, use_it: impl FnOnce(&Work<'_>) -> T) -> T {
        use_it(&Work {
            library: &self.library,
            embedder: &self.embedder,
            chunk: &self.chunk,
            clean: &self.clean,
            sentences: false,
            events: &|_| {},
            cancel: &Cancel::default(),
        })
    }

    pub fn update(&self, index: &Index) -> Built {
        self.work(|work| index.update(work)).unwrap()
    }

    pub fn whole(&self, index: &Index) {
        let verified = self.work(|work| index.verify(work)).unwrap();
        assert!(verified.is_whole() && verified.pending == 0, "{verified:?}");
        assert!(verified.vectors > 0 || verified.chunks == 0);
    }

    /// Paragraphs of words that are drawn by a seed.
    pub fn text(random: &mut fastrand::Rng) -> String {
        let paragraphs = random.usize(1..5);
        (0..paragraphs)
            .map(|_| {
                let words: Vec<String> = (0..random.usize(3..25))
                    .map(|_| format!("word{}", random.usize(0..12) * random.usize(1..9)))
                    .collect();
                format!("<p>The {}.</p>", words.join(" "))
            })
            .collect()
    }
}

pub fn questions() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(11);
    (0..12).map(|n| format!("word{n} word{} word{}", n * 3, random.usize(0..60))).collect()
}

pub fn ids(hits: &[Hit]) -> Vec<u128> {
    hits.iter().map(|hit| hit.chunk_id.0.as_u128()).collect()
}

/// Both give the same hits with the same scores, to all questions, with and without a filter.
#[track_caller]
pub fn agree(ours: &Opened, theirs: &Opened) {
    let one = Filter { authors: vec!["Author 2".into()], ..Filter::default() };
    let mut compared = 0;
    for question in questions() {
        for filter in [&Filter::default(), &one] {
            let vector = vector(&question, 0);
            for [ours, theirs] in [
                [ours, theirs].map(|opened| opened.dense(&vector, filter, 8).unwrap()),
                [ours, theirs].map(|opened| opened.terms(&question, filter, 8).unwrap()),
            ] {
                assert_eq!(ids(&ours), ids(&theirs), "{question}");
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    assert!((ours.score - theirs.score).abs() < 1e-5, "{question}");
                    let score = theirs.score;
                    let theirs = Hit { score: ours.score, scores: ours.scores, ..theirs.clone() };
                    assert_eq!(*ours, theirs, "{question} {score}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 60, "{compared}");
}

/// BM25 as the book has it, counted over all chunks that the library has, whose average length is
/// given back.
#[track_caller]
pub fn is_bm25(home: &Home, opened: &Opened) -> f64 {
    let mut chunks = Vec::new();
    for info in home.library.articles(&Filter::default()).unwrap() {
        chunks.extend(home.work(|work| work.texts(&info.meta.id)).unwrap());
    }
    assert_eq!(opened.generation.chunks, chunks.len());
    let chunks: Vec<Terms> = chunks.iter().map(|text| terms::of(text)).collect();
    let average = opened.generation.average_length;
    let measured = chunks.iter().map(Terms::length).sum::<usize>() as f64 / chunks.len() as f64;
    // That of the base; a delta moves it a little.
    assert!((average - measured).abs() < 0.5 * measured, "{average} {measured}");
    for question in questions() {
        let wanted = terms::of(&question).ids;
        let df = |term: u32| chunks.iter().filter(|terms| terms.ids.contains(&term)).count() as f64;
        let mut scores: Vec<f64> = chunks
            .iter()
            .map(|terms| {
                let length = terms.length() as f64;
                let of_term = |(id, count): (&u32, &u32)| {
                    if !wanted.contains(id) {
                        return 0.0;
                    }
                    let (n, f) = (chunks.len() as f64, f64::from(*count));
                    let idf = ((n - df(*id) + 0.5) / (df(*id) + 0.5) + 1.0).ln();
                    idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / average))
                };
                terms.ids.iter().zip(&terms.counts).map(of_term).sum()
            })
            .filter(|score| *score > 0.0)
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.truncate(20);
        let hits = opened.terms(&question, &Filter::default(), 20).unwrap();
        assert_eq!(hits.len(), scores.len(), "{question}");
        for (hit, wanted) in hits.iter().zip(scores) {
            assert!((f64::from(hit.score) - wanted).abs() < 1e-4, "{question}: {wanted}");
        }
    }
    measured
}

/// Changes of a library by chance, `steps` of them.
pub fn change(home: &Home, random: &mut fastrand::Rng, names: &mut BTreeSet<String>, steps: usize) {
    for _ in 0..steps {
        let name = format!("b{}", random.usize(0..60));
        if names.contains(&name) && random.usize(0..3) == 0 {
            home.remove(&name);
            names.remove(&name);
        } else {
            home.put(&name, &Home::text(random));
            names.insert(name);
        }
    }
}
