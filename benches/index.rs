//! The embedded index at size: build, disk, memory, start, search, recall; beside LanceDB and
//! sqlite-vec where a Python that has them is named.
//!
//! ```console
//! $ cargo bench --bench index -- 10000 100000
//! $ WELLREAD_BENCH_PYTHON=venv/bin/python cargo bench --bench index -- 100000
//! $ cargo bench --bench index -- 1000000 --plain    # no quantisation
//! ```
//!
//! Vectors are drawn around 2,000 centres, so that neighbours are about as near as those of
//! texts; sparse vectors have 40 terms by Zipf's law. Every figure is from a process of its own.
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use wellread::base::{
    ArticleId, ArticleMeta, Chunk, ChunkId, DocumentId, Filter, Point, SourceId, SparseVector,
};
use wellread::index::edge::{EdgeOptions, EdgeStore};
use wellread::index::store::Shape;
use wellread::index::store::{Query, Store};
use wellread::infer::{Embedder, Purpose};

const DIMENSIONS: usize = 384;
const CENTRES: u64 = 2_000;
const VOCABULARY: f64 = 50_000.0;
const GROUP: usize = 2_000;
const QUERIES: u64 = 500;
/// Queries whose true neighbours are looked for.
const EXACT: u64 = 100;
/// Hits of each of the two searches of a hybrid one.
const CANDIDATES: usize = 50;

fn normal(random: &mut fastrand::Rng) -> f32 {
    let (u, v) = (random.f64().max(1e-12), random.f64());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// A point around a centre; `seed` decides which.
fn vector(seed: u64, spread: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut centre = fastrand::Rng::with_seed(random.u64(0..CENTRES) + 1_000_000_007);
    let centre = unit((0..DIMENSIONS).map(|_| normal(&mut centre)).collect());
    let noise = unit((0..DIMENSIONS).map(|_| normal(&mut random)).collect());
    unit(centre.iter().zip(&noise).map(|(c, n)| c + spread * n).collect())
}

fn terms(seed: u64, count: usize) -> SparseVector {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let drawn: std::collections::BTreeSet<u32> =
        (0..count).map(|_| VOCABULARY.powf(random.f64()) as u32).collect();
    let values = drawn.iter().map(|_| 0.5 + random.f32()).collect();
    SparseVector { indices: drawn.into_iter().collect(), values }
}

fn point(n: u64) -> Point {
    let article = ArticleId(format!("a{}", n / 10));
    let text = format!("Chunk {n}. ").repeat(60);
    Point {
        chunk: Chunk {
            id: ChunkId(uuid::Uuid::from_u128(u128::from(n) + 1)),
            article_id: article.clone(),
            section: (n % 10) as usize,
            ordinal: (n % 10) as usize,
            heading_path: vec!["Part".into(), format!("Section {}", n % 10)],
            range: 0..text.len(),
            embedded_text: String::new(),
            text,
            tokens: 200,
        },
        article: ArticleMeta {
            id: article,
            source: SourceId(format!("feed-{}", n % 50)),
            other_sources: vec![],
            url: Some(format!("https://example.org/{}", n / 10)),
            title: format!("Article {}", n / 10),
            subtitle: None,
            authors: vec!["Ida".into()],
            // Five years, evenly.
            published: jiff::Timestamp::from_second(1_577_836_800 + (n % 1_826) as i64 * 86_400)
                .ok(),
            tags: vec![format!("t{}", n % 20)],
        },
        revision: 1,
        document: DocumentId(format!("{n:032x}")),
        dense: vector(n, 0.7),
        sparse: terms(n, 40),
        length: 60,
    }
}

/// The question that is near the point `n`.
fn question(n: u64) -> (Vec<f32>, SparseVector) {
    let near = vector(n, 0.7);
    let mut random = fastrand::Rng::with_seed(n + 7);
    let noise = unit((0..DIMENSIONS).map(|_| normal(&mut random)).collect());
    let dense = unit(near.iter().zip(&noise).map(|(v, n)| v + 0.4 * n).collect());
    (dense, terms(n, 6))
}

fn asked(size: u64, count: u64) -> impl Iterator<Item = (Vec<f32>, SparseVector)> {
    (0..count).map(move |at| question(at * (size / count).max(1)))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The true nearest ten of the first questions.
fn exact(size: u64) -> Vec<Vec<u64>> {
    let questions: Vec<Vec<f32>> = asked(size, EXACT).map(|(dense, _)| dense).collect();
    let mut best: Vec<Vec<(f32, u64)>> = vec![Vec::new(); questions.len()];
    for n in 0..size {
        let vector = vector(n, 0.7);
        for (best, question) in best.iter_mut().zip(&questions) {
            let score = dot(&vector, question);
            if best.len() < 10 || score > best[9].0 {
                best.push((score, n));
                best.sort_by(|a, b| b.0.total_cmp(&a.0));
                best.truncate(10);
            }
        }
    }
    best.into_iter().map(|best| best.into_iter().map(|(_, n)| n).collect()).collect()
}

fn build(dir: &Path, size: u64, quantization: bool) -> Value {
    let start = Instant::now();
    let options = EdgeOptions { quantization };
    let mut store = EdgeStore::create(dir, &Shape { dimensions: DIMENSIONS }, &options).unwrap();
    let mut writing = 0.0;
    let all: Vec<u64> = (0..size).collect();
    for group in all.chunks(GROUP) {
        let points: Vec<Point> = group.iter().map(|n| point(*n)).collect();
        let write = Instant::now();
        store.upsert(&points).unwrap();
        writing += write.elapsed().as_secs_f64();
    }
    let optimize = Instant::now();
    store.flush().unwrap();
    let optimizing = optimize.elapsed().as_secs_f64();
    drop(store);
    json!({
        "write_s": writing, "optimize_s": optimizing, "all_s": start.elapsed().as_secs_f64(),
        "chunks_per_s": size as f64 / (writing + optimizing),
        "disk_mb": disk(&dir.join("segments")), "peak_mb": memory("VmHWM:"),
    })
}

fn disk(path: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        bytes += meta.blocks() * 512;
        if meta.is_dir() {
            bytes += (disk(&entry.path()) * 1e6) as u64;
        }
    }
    bytes as f64 / 1e6
}

fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    json!({ "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99) })
}

fn ask(dir: &Path, size: u64) -> Value {
    let start = Instant::now();
    let store = EdgeStore::open_reader(dir).unwrap();
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let hybrid = |filter: &Filter, count: u64| {
        asked(size, count)
            .map(|(dense, sparse)| {
                let start = Instant::now();
                store.search(&Query::Dense(dense), filter, CANDIDATES).unwrap();
                store.search(&Query::Sparse(sparse), filter, CANDIDATES).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect::<Vec<f64>>()
    };
    hybrid(&Filter::default(), 50);
    let dense = asked(size, QUERIES)
        .map(|(dense, _)| {
            let start = Instant::now();
            store.search(&Query::Dense(dense), &Filter::default(), CANDIDATES).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let plain = percentiles(hybrid(&Filter::default(), QUERIES));
    let last_year = Filter { since: "2024-01-01T00:00:00Z".parse().ok(), ..Filter::default() };
    let filtered = percentiles(hybrid(&last_year, QUERIES));
    let found: Vec<Vec<u64>> = asked(size, EXACT)
        .map(|(dense, _)| {
            let hits = store.search(&Query::Dense(dense), &Filter::default(), 10).unwrap();
            hits.iter().map(|hit| hit.chunk_id.0.as_u128() as u64 - 1).collect()
        })
        .collect();
    json!({
        "open_ms": open_ms, "dense": percentiles(dense), "hybrid": plain, "hybrid_last_year": filtered,
        "rss_mb": memory("VmRSS:"), "found": found,
    })
}

/// From the start of a process to hits, the embedder's loading included.
fn start(dir: &Path, size: u64) -> Value {
    let cache = wellread::models::default_cache().unwrap();
    let manifests = wellread::models::manifests(None).unwrap();
    let manifest = wellread::models::find(&manifests, "all-minilm-l6-v2").unwrap();
    let facts = manifest.embedder.clone().unwrap();
    let resolver = wellread::models::Resolver::new(cache, true);
    let cancel = wellread::base::Cancel::default();
    let resolved = resolver.resolve(manifest, &|_| {}, &cancel).unwrap();
    let path = |role| resolved.path(role).unwrap().to_owned();
    let embedder = wellread::infer::bert::BertEmbedder::load(
        wellread::infer::bert::EmbedderSpec {
            name: manifest.name.clone(),
            sha256: String::new(),
            dimensions: facts.dimensions,
            max_tokens: facts.max_tokens,
            pooling: facts.pooling,
            query_prefix: facts.query_prefix,
            passage_prefix: facts.passage_prefix,
        },
        &wellread::infer::bert::EmbedderFiles {
            weights: path("weights"),
            tokenizer: path("tokenizer"),
            config: path("config"),
        },
    )
    .unwrap();
    let store = EdgeStore::open_reader(dir).unwrap();
    let filter = Filter::default();
    let question = format!("what does chunk {} say?", size / 2);
    let vector = embedder.embed(&[&question], Purpose::Query).unwrap().remove(0);
    let dense = store.search(&Query::Dense(vector), &filter, CANDIDATES).unwrap();
    let words = wellread::document::terms::query(&question);
    let sparse = store.search(&Query::Sparse(words), &filter, CANDIDATES).unwrap();
    json!({ "hits": dense.len() + sparse.len() })
}

/// Runs a part in a process of its own, and gives back what it says with its seconds.
fn apart(part: &str, dir: &Path, size: u64, quantization: bool) -> Value {
    let start = Instant::now();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([part, &size.to_string(), &quantization.to_string()])
        .arg(dir)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{part} failed");
    let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
    said["process_ms"] = json!(start.elapsed().as_secs_f64() * 1e3);
    said
}

/// The same vectors and questions for other programs.
fn rivals(python: &str, folder: &Path, size: u64, truth: &[Vec<u64>]) -> Value {
    let write = |name: &str, vectors: &mut dyn Iterator<Item = Vec<f32>>| {
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(name)).unwrap());
        for vector in vectors {
            for value in vector {
                file.write_all(&value.to_le_bytes()).unwrap();
            }
        }
    };
    write("vectors.f32", &mut (0..size).map(|n| vector(n, 0.7)));
    write("questions.f32", &mut asked(size, QUERIES).map(|(dense, _)| dense));
    write("exact.f32", &mut asked(size, EXACT).map(|(dense, _)| dense));
    std::fs::write(folder.join("truth.json"), json!(truth).to_string()).unwrap();
    let output = std::process::Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals.py"))
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn recall(found: &[Vec<u64>], truth: &[Vec<u64>]) -> f64 {
    let hits: usize = found
        .iter()
        .zip(truth)
        .map(|(found, truth)| found.iter().filter(|n| truth.contains(n)).count())
        .sum();
    hits as f64 / truth.iter().map(Vec::len).sum::<usize>() as f64
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [part, size, quantization, dir] = &args[..]
        && ["build", "ask", "start"].contains(&part.as_str())
    {
        let (size, dir) = (size.parse().unwrap(), Path::new(dir));
        let said = match part.as_str() {
            "build" => build(dir, size, quantization == "true"),
            "ask" => ask(dir, size),
            _ => start(dir, size),
        };
        println!("{said}");
        return;
    }
    let sizes: Vec<u64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000] } else { sizes };
    for size in sizes {
        let folder = tempfile::tempdir().unwrap();
        let truth = exact(size);
        let kinds: &[bool] =
            if args.iter().any(|arg| arg == "--plain") { &[false] } else { &[false, true] };
        for &quantization in kinds {
            let dir = folder.path().join(format!("q-{quantization}"));
            let built = apart("build", &dir, size, quantization);
            let mut asked = apart("ask", &dir, size, quantization);
            let found: Vec<Vec<u64>> = serde_json::from_value(asked["found"].take()).unwrap();
            asked["recall_at_10"] = json!(recall(&found, &truth));
            asked.as_object_mut().unwrap().remove("found");
            let starts: Vec<f64> = (0..5)
                .map(|_| apart("start", &dir, size, quantization)["process_ms"].as_f64().unwrap())
                .collect();
            let line = json!({
                "wellread": { "chunks": size, "quantization": quantization, "build": built,
                    "ask": asked, "start_to_hits": percentiles(starts) },
            });
            println!("{line:#}");
            std::fs::remove_dir_all(&dir).unwrap();
        }
        if let Ok(python) = std::env::var("WELLREAD_BENCH_PYTHON") {
            println!("{:#}", rivals(&python, folder.path(), size, &truth));
        }
    }
}
