//! Passages embedded a second: the embedder, beside candle's own model on scoped threads that are
//! made anew for each call, eight texts padded to the longest at once, as it was done before. In
//! turns, so that what else the machine does meets both.
//!
//! `cargo bench --bench embedding -- [PASSAGES [TEXTS A CALL]] [--against PYTHON]`, with
//! all-MiniLM-L6-v2 in the cache; PYTHON is one that has what `benches/embedding.py` names, and then
//! sentence-transformers and ONNX Runtime take their turns in each round, with as many threads.
#![allow(clippy::disallowed_methods, missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;
use serde_json::Value;
use tokenizers::Tokenizer;
use wellread::base::Cancel;
use wellread::infer::bert::{BertEmbedder, EmbedderFiles, EmbedderSpec};
use wellread::infer::{Embedder, Purpose};
use wellread::models::{self, Resolver};

const ROUNDS: usize = 5;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let against = args.iter().position(|arg| arg == "--against").map(|at| {
        args.remove(at);
        args.remove(at)
    });
    let numbers: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(256);
    let at_once = numbers.get(1).copied().unwrap_or(count).max(1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (spec, files) = minilm();
    let before = Before::load(&files);
    let now = BertEmbedder::load(spec, &files).unwrap();
    let texts = passages(&now, count);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let tokens: usize =
        texts.iter().map(|text| now.count_tokens(text, Purpose::Passage).unwrap()).sum();
    println!(
        "{count} passages of {} tokens on average, {at_once} a call, {cores} cores",
        tokens / count
    );
    let mut rivals = against
        .map(|python| Rivals::start(&python, files.weights.parent().unwrap(), cores, &texts));
    let others = rivals.as_ref().map_or(Vec::new(), |rivals| rivals.names.clone());
    let mut speeds: Vec<Vec<f64>> = vec![Vec::new(); 2 + others.len()];
    for round in 1..=ROUNDS {
        let mut vectors: Vec<Vec<Vec<f32>>> = Vec::new();
        for (which, speeds) in speeds.iter_mut().take(2).enumerate() {
            let start = Instant::now();
            let made = texts.chunks(at_once).flat_map(|texts| match which {
                0 => now.embed(texts, Purpose::Passage).unwrap(),
                _ => before.embed(texts),
            });
            vectors.push(made.collect());
            speeds.push(count as f64 / start.elapsed().as_secs_f64());
        }
        for (at, name) in others.iter().enumerate() {
            let (seconds, made) = rivals.as_mut().unwrap().embed(name);
            vectors.push(made);
            speeds[2 + at].push(count as f64 / seconds);
        }
        for other in &vectors[1..] {
            for (a, b) in vectors[0].iter().zip(other) {
                let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!(cosine > 0.9999, "the vectors differ: {cosine}");
            }
        }
        println!("round {round}");
    }
    let names = ["wellread", "before"].into_iter().chain(others.iter().map(String::as_str));
    for (at, name) in names.enumerate() {
        let ratios = speeds[0].iter().zip(&speeds[at]).map(|(now, other)| now / other).collect();
        let ([least, median, most], [_, ratio, _]) = (spread(speeds[at].clone()), spread(ratios));
        println!(
            "{name}: {median:.1}/s ({least:.1}–{most:.1}), wellread is {ratio:.2} times as fast"
        );
    }
}

/// Least, median, most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// The programs of `benches/embedding.py`.
struct Rivals {
    names: Vec<String>,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Rivals {
    fn start(python: &str, folder: &Path, threads: usize, texts: &[&str]) -> Rivals {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/embedding.py"))
            .arg(folder)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{}", serde_json::to_string(texts).unwrap()).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Rivals { names: serde_json::from_str(&line).unwrap(), child, input, output }
    }

    /// Seconds, and the vectors of all texts.
    fn embed(&mut self, name: &str) -> (f64, Vec<Vec<f32>>) {
        writeln!(self.input, "{name}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let mut said: Value = serde_json::from_str(&line).unwrap();
        let seconds = said["seconds"].as_f64().unwrap();
        (seconds, serde_json::from_value(said["vectors"].take()).unwrap())
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passages of about 200 tokens out of the words of the sample feed, no two alike.
fn passages(embedder: &dyn Embedder, count: usize) -> Vec<String> {
    let feed = include_str!("../eval/sample/feed.xml");
    let words: Vec<&str> = feed
        .split_whitespace()
        .filter(|word| word.chars().all(|char| char.is_alphabetic() || ".,;".contains(char)))
        .collect();
    (0..count)
        .map(|n| {
            let mut text = format!("Passage {n}.");
            let mut words = words.iter().cycle().skip(n * 37 % words.len());
            while embedder.count_tokens(&text, Purpose::Passage).unwrap() < 180 + n % 41 {
                for word in words.by_ref().take(8) {
                    text.push(' ');
                    text.push_str(word);
                }
            }
            text
        })
        .collect()
}

fn minilm() -> (EmbedderSpec, EmbedderFiles) {
    let manifests = models::manifests(None).unwrap();
    let manifest = models::find(&manifests, "all-minilm-l6-v2").unwrap();
    let resolver = Resolver::new(models::default_cache().unwrap(), true);
    let resolved = resolver.resolve(manifest, &|_| {}, &Cancel::default()).unwrap();
    let facts = manifest.embedder.clone().unwrap();
    let spec = EmbedderSpec {
        name: manifest.name.clone(),
        sha256: manifest.file("weights").unwrap().sha256.clone(),
        dimensions: facts.dimensions,
        max_tokens: facts.max_tokens,
        pooling: facts.pooling,
        query_prefix: facts.query_prefix,
        passage_prefix: facts.passage_prefix,
    };
    let path = |role| resolved.path(role).unwrap().to_owned();
    let files = EmbedderFiles {
        weights: path("weights"),
        tokenizer: path("tokenizer"),
        config: path("config"),
    };
    (spec, files)
}

/// How texts were embedded before.
struct Before {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl Before {
    fn load(files: &EmbedderFiles) -> Before {
        let config = fs_err::read(&files.config).unwrap();
        let config = serde_json::from_slice(&config).unwrap();
        let weights = fs_err::read(&files.weights).unwrap();
        let weights =
            VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
        let mut tokenizer = Tokenizer::from_file(&files.tokenizer).unwrap();
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).unwrap();
        Before { model: BertModel::load(weights, &config).unwrap(), tokenizer }
    }

    fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let tokens: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| self.tokenizer.encode_fast(*text, true).unwrap().get_ids().to_vec())
            .collect();
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|at| tokens[*at].len());
        let batches: Vec<&[usize]> = order.chunks(8).collect();
        let workers =
            std::thread::available_parallelism().map_or(1, usize::from).min(batches.len());
        let left = AtomicUsize::new(batches.len());
        let done = Mutex::new(vec![Vec::new(); texts.len()]);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Ok(before) =
                        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    {
                        let batch = batches[before - 1];
                        let rows: Vec<&[u32]> =
                            batch.iter().map(|at| tokens[*at].as_slice()).collect();
                        let vectors = self.forward(&rows).unwrap();
                        let mut done = done.lock().unwrap();
                        for (at, vector) in batch.iter().zip(vectors) {
                            done[*at] = vector;
                        }
                    }
                });
            }
        });
        done.into_inner().unwrap()
    }

    fn forward(&self, batch: &[&[u32]]) -> candle_core::Result<Vec<Vec<f32>>> {
        let rows = batch.len();
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let mut ids = vec![0u32; rows * longest];
        let mut mask = vec![0f32; rows * longest];
        for (row, tokens) in batch.iter().enumerate() {
            ids[row * longest..row * longest + tokens.len()].copy_from_slice(tokens);
            mask[row * longest..row * longest + tokens.len()].fill(1.0);
        }
        let is_even = batch.iter().all(|tokens| tokens.len() == longest);
        let ids = Tensor::from_vec(ids, (rows, longest), &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, (rows, longest), &Device::Cpu)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, (!is_even).then_some(&mask))?;
        let mask = mask.unsqueeze(2)?;
        let sum = states.broadcast_mul(&mask)?.sum(1)?;
        let pooled = sum.broadcast_div(&mask.sum(1)?)?;
        let length = pooled.sqr()?.sum_keepdim(1)?.sqrt()?;
        pooled.broadcast_div(&length)?.to_vec2()
    }
}
