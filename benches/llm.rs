//! The LLM's speed: start, prompt and answer, each by the median of some rounds.
//!
//! `cargo bench --bench llm -- MODEL.gguf [ROUNDS] [--packed FOLDER] [--against 'COMMAND']`. The
//! command is run once a round, in turns with the rest, and its wall time shown. Without a model the
//! kernels are measured alone. With `--perplexity FILE` it tells how surprised the model is by a text,
//! as `perplexity.mjs` tells it of llama.cpp. `WELLREAD_CPU` caps the tier, as for the program.
#![allow(clippy::disallowed_methods, missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wellread::compute::kernels::{Format, Matrix, Rows, Source, TILE, multiply, pack, tile_bytes};
use wellread::compute::{Bytes, Pool, Tier, cap_tier};
use wellread::infer::llm::Llm;
use wellread::infer::{Generator, Message, Prompt, Role, Sampling};

/// Tokens of the prompt, about.
const PROMPT: usize = 800;

/// Tokens of the answer.
const ANSWER: usize = 48;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (mut path, mut rounds, mut packed, mut against) = (None, 5, None, None);
    let mut text: Option<String> = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--packed" => packed = args.next().map(PathBuf::from),
            "--perplexity" => text = args.next(),
            "--against" => against = args.next(),
            _ => match arg.parse() {
                Ok(number) => rounds = number,
                Err(_) => path = Some(PathBuf::from(arg)),
            },
        }
    }
    if let Ok(name) = std::env::var("WELLREAD_CPU") {
        cap_tier(Tier::of_name(&name).unwrap());
    }
    let Some(path) = path else {
        return kernels();
    };
    if let Some(text) = text {
        return perplexity(&path, packed.as_deref(), &std::fs::read_to_string(text).unwrap());
    }
    let mut medians: Vec<(&str, Vec<f64>)> = Vec::new();
    for _ in 0..rounds {
        let mut note = |what, value: f64| match medians.iter_mut().find(|(of, _)| *of == what) {
            Some((_, values)) => values.push(value),
            None => medians.push((what, vec![value])),
        };
        let start = Instant::now();
        let mut llm = Llm::load(&path, "bench", "", packed.as_deref()).unwrap();
        note("load, s", start.elapsed().as_secs_f64());
        let short = prompt(&llm, 5);
        generate(&mut llm, &short, 1, 0.0);
        note("start to first token of a short prompt, s", start.elapsed().as_secs_f64());
        let long = prompt(&llm, PROMPT);
        let (count, first, rest) = generate(&mut llm, &long, ANSWER, 0.0);
        note("tokens of the prompt", count as f64);
        note("prompt, tokens/s", count as f64 / first);
        note("answer with guesses, tokens/s", rest);
        // Nothing is guessed where a token is drawn, if only of one.
        let (_, _, rest) = generate(&mut llm, &long, ANSWER, 1e-4);
        note("answer without guesses, tokens/s", rest);
        note("peak memory, MB", peak_memory());
        if let Some(command) = &against {
            let start = Instant::now();
            std::process::Command::new("sh").arg("-c").arg(command).status().unwrap();
            note("the other command, s", start.elapsed().as_secs_f64());
        }
    }
    println!("{}, {rounds} rounds: median (least, most)", path.display());
    for (what, mut values) in medians {
        values.sort_by(f64::total_cmp);
        let median = values[values.len() / 2];
        println!("{what}: {median:.2} ({:.2}, {:.2})", values[0], values[values.len() - 1]);
    }
}

/// e to the mean negative log-probability of the text's tokens, after a short prompt.
fn perplexity(path: &Path, packed: Option<&Path>, text: &str) {
    let mut llm = Llm::load(path, "bench", "", packed).unwrap();
    let message = Message { role: Role::User, content: "Go on.".to_owned() };
    let prompt = Prompt { messages: vec![message], opening: String::new() };
    let count = llm.count_tokens(text).unwrap();
    let sum = llm.score(&prompt, &[text], &mut || ControlFlow::Continue(())).unwrap()[0];
    println!("perplexity {:.4} of {count} tokens", (-sum / count as f64).exp());
}

fn prompt(llm: &Llm, tokens: usize) -> Prompt {
    let mut content = String::from("Count from one to five hundred in English words.");
    for n in 0.. {
        if llm.count_tokens(&content).unwrap() >= tokens {
            break;
        }
        content.push_str(&format!(" Plank {} of {n} is steamed again.", n * n % 97));
    }
    Prompt { messages: vec![Message { role: Role::User, content }], opening: String::new() }
}

/// Tokens of the prompt, seconds to the first token, and tokens a second from there on.
fn generate(
    llm: &mut Llm,
    prompt: &Prompt,
    max_tokens: usize,
    temperature: f64,
) -> (usize, f64, f64) {
    let sampling = Sampling { max_tokens, temperature, seed: 1, stop: vec![], schema: None };
    let start = Instant::now();
    let mut first = None;
    let made = llm
        .generate(prompt, &sampling, &mut |piece| {
            if !piece.text.is_empty() {
                first.get_or_insert_with(|| start.elapsed().as_secs_f64());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let (all, first) = (start.elapsed().as_secs_f64(), first.unwrap_or(0.0));
    (made.prompt_tokens, first, (made.completion_tokens as f64 - 1.0) / (all - first))
}

/// The most memory that this process had, as Linux tells it.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

/// The kernels alone on one thread: the least time of many short runs, which other programs disturb
/// least.
fn kernels() {
    let pool = Pool::new(1);
    println!("tier {}", wellread::compute::tier().name());
    for (format, block, columns) in [
        (Format::Q4K, 144, 1536),
        (Format::Q4K, 144, 8960),
        (Format::Q6K, 210, 1536),
        (Format::Q6K, 210, 8960),
        (Format::Q8, 34, 1536),
    ] {
        let rows = 64;
        let bytes = vec![0x11; rows * columns / format.block() * block];
        let source = match format {
            Format::Q4K => Source::Q4K(&bytes),
            Format::Q6K => Source::Q6K(&bytes),
            Format::Q8 => Source::Q8(&bytes),
        };
        let mut packed = vec![0; tile_bytes(format, columns) * rows / TILE];
        pack(&pool, &source, (rows, columns), 0..rows / TILE, &mut packed);
        let size = packed.len();
        let matrix = Matrix::new(format, rows, columns, Bytes::Owned(packed)).unwrap();
        for count in [1, 2, 3, 4, 8, 32] {
            let mut quantised = Rows::default();
            quantised.fill(&pool, count, columns, &[format], &|row, into| {
                into.iter_mut().enumerate().for_each(|(n, x)| *x = ((n * row) as f32).sin());
            });
            let mut product = vec![0.0; rows * count];
            let mut least = f64::INFINITY;
            for _ in 0..2000 {
                let start = Instant::now();
                multiply(&pool, &quantised, &mut [(&matrix, &mut product)]);
                least = least.min(start.elapsed().as_secs_f64());
            }
            println!(
                "{format:?} [{rows}, {columns}] by {count}: {:.1} GMAC/s, {:.1} GB/s",
                (rows * columns * count) as f64 / least / 1e9,
                size as f64 / least / 1e9
            );
        }
    }
}
