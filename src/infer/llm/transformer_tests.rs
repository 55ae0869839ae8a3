//! What holds of every family, bit for bit, and how near the scores of the real models are to
//! candle's.

use std::ops::ControlFlow;

use std::io::Cursor;
use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};

use super::super::family::{Facts, KNOWN};
use super::super::tiny::Tiny;
use super::super::weights::Weights;
use super::Transformer;
use crate::compute::{Mapped, Pool};

fn weights(path: &std::path::Path) -> Weights {
    let file = Arc::new(Mapped::new(&fs_err::File::open(path).unwrap()).unwrap());
    Weights { content: Content::read(&mut Cursor::new(&file[..])).unwrap(), file }
}

fn model(path: &std::path::Path, architecture: &str) -> Transformer {
    let weights = weights(path);
    let facts = Facts::read(&weights.content, architecture).unwrap();
    Transformer::load(facts, &weights, None).unwrap().0
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|n| n * n % 97 + n % 5).collect()
}

#[test]
fn pieces_threads_and_what_was_forgotten_change_no_bit() {
    for architecture in KNOWN {
        let mut model = model(Tiny::new(architecture).file().path(), architecture);
        let tokens = tokens(131);
        let whole = model.forward_each(&tokens).unwrap();
        let wide = whole.len() / tokens.len();
        assert_eq!(model.len(), tokens.len());
        for (size, threads) in [(1, 1), (3, 2), (5, 4), (32, 3), (130, 1)] {
            model.pool = Arc::new(Pool::new(threads));
            // What was told after the 40th is forgotten, other things among it.
            model.truncate(40);
            model.forward(&[9, 8, 7, 6, 5]).unwrap();
            model.truncate(40);
            assert_eq!(model.len(), 40);
            for (n, piece) in tokens[40..].chunks(size).enumerate() {
                let last = 40 + n * size + piece.len() - 1;
                let wanted = &whole[last * wide..][..wide];
                let what = format!("{architecture}: {last} by {size}, {threads} threads");
                match n % 2 {
                    0 => assert!(model.forward(piece).unwrap() == wanted, "{what}"),
                    _ => {
                        let each = model.forward_each(piece).unwrap();
                        let from = (40 + n * size) * wide;
                        assert!(each == whole[from..][..each.len()], "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn keys_and_values_go_out_and_come_back() {
    for architecture in KNOWN {
        let file = Tiny::new(architecture).file();
        let mut first = model(file.path(), architecture);
        let tokens = tokens(60);
        first.forward(&tokens[..50]).unwrap();
        let bytes = first.export(45);
        let mut second = model(file.path(), architecture);
        second.forward(&tokens[..7]).unwrap();
        assert!(!second.import(44, &bytes) && !second.import(45, &bytes[1..]));
        assert!(!second.import(usize::MAX, &bytes));
        assert_eq!(second.len(), 7);
        assert!(second.import(45, &bytes));
        assert_eq!(second.len(), 45);
        first.truncate(45);
        let wanted = first.forward(&tokens[45..]).unwrap();
        assert!(second.forward(&tokens[45..]).unwrap() == wanted, "{architecture}");
        assert!(second.import(0, &[]) && second.len() == 0);
        assert!(second.export(99).is_empty());
    }
}

#[test]
fn what_is_not_a_token_is_an_error_and_changes_nothing() {
    let mut model = model(Tiny::new("qwen2").file().path(), "qwen2");
    let tokens = tokens(20);
    let wanted = model.forward(&tokens).unwrap();
    model.truncate(10);
    assert!(model.forward(&[1, 99_999]).is_err());
    assert!(model.forward(&[]).is_err());
    assert_eq!(model.len(), 10);
    assert!(model.forward(&tokens[10..]).unwrap() == wanted);
}

#[test]
fn a_pass_is_broken_off_between_layers_and_changes_nothing() {
    for architecture in KNOWN {
        let mut model = model(Tiny::new(architecture).file().path(), architecture);
        let tokens = tokens(40);
        let wanted = model.forward(&tokens).unwrap();
        model.truncate(30);
        let mut asked = 0;
        let broken = model.forward_while(&tokens[30..], &mut || {
            asked += 1;
            if asked > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((broken.unwrap(), asked, model.len()), (None, 2, 30));
        assert!(model.forward(&tokens[30..]).unwrap() == wanted, "{architecture}");
    }
}

/// The file of a model in the cache, if it is there.
fn cached(name: &str, file: &str) -> Option<std::path::PathBuf> {
    let path = crate::models::default_cache().ok()?.join(name).join(file);
    path.is_file().then_some(path)
}

fn best(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

fn compare(ours: &[f32], theirs: &Tensor, what: &str) {
    let theirs: Vec<f32> = theirs.flatten_all().unwrap().to_vec1().unwrap();
    let far = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    let spread = theirs.iter().fold(0f32, |most, score| most.max(score.abs()));
    eprintln!("{what}: the largest difference is {far} of {spread}");
    assert_eq!(best(ours), best(&theirs), "{what}");
    assert!(far < 0.06 * spread, "{what}: {far} of {spread}");
}

#[test]
fn scores_of_the_small_model_are_near_those_of_candle() {
    let file = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(path) = cached("smollm2-135m-instruct", file) else { return };
    let tokens: Vec<u32> = (0..40).map(|n| 1000 + n * n * 7 % 3000).collect();
    let mut model = model(&path, "llama");
    let mut file = fs_err::File::open(&path).unwrap();
    let content = Content::read(&mut file).unwrap();
    let mut theirs =
        quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
    let input = Tensor::new(tokens.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    compare(&model.forward(&tokens).unwrap(), &theirs.forward(&input, 0).unwrap(), "small");
}

#[test]
fn scores_of_the_default_model_are_near_those_of_candle() {
    let file = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf";
    let Some(path) = cached("qwen2.5-coder-1.5b-instruct", file) else { return };
    let tokens: Vec<u32> = (0..40).map(|n| 1000 + n * n * 7 % 3000).collect();
    let mut model = model(&path, "qwen2");
    let ours = model.forward(&tokens).unwrap();
    drop(model);
    let mut file = fs_err::File::open(&path).unwrap();
    let content = Content::read(&mut file).unwrap();
    let mut theirs =
        quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
    let input = Tensor::new(tokens.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    compare(&ours, &theirs.forward(&input, 0).unwrap(), "default");
}
