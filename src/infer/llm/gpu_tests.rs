//! What holds on a GPU, on candle's CPU device: the same code runs there.

use candle_core::quantized::gguf_file::Value;

use super::super::family::KNOWN;
use super::super::tests::assert_near;
use super::super::tiny::Tiny;
use super::super::{Llm, Opened, check_gpu};
use super::*;
use crate::infer::Generator;

/// The families that are known on a GPU.
fn families() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().filter(|architecture| *architecture != "gemma3")
}

fn tiny(architecture: &'static str) -> Tiny {
    // candle knows no window of Phi-3.
    Tiny { window: None, ..Tiny::new(architecture) }
}

fn model(architecture: &'static str) -> GpuModel {
    let opened = Opened::open(tiny(architecture).file().path()).unwrap();
    opened.check_gpu().unwrap();
    GpuModel::load(architecture, 600, opened.weights, &Gpu::Cpu).unwrap()
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|n| n * n % 97 + n % 5).collect()
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn forward(model: &mut impl Model, tokens: &[u32]) -> Vec<f32> {
    model.forward_while(tokens, &mut go_on).unwrap().unwrap()
}

#[test]
fn scores_are_those_of_the_cpu() {
    for architecture in families() {
        let tokens = tokens(200);
        let mut cpu = Llm::load(tiny(architecture).file().path(), "tiny", "", None).unwrap().model;
        let mut gpu = model(architecture);
        let ours = forward(&mut cpu, &tokens);
        assert_near(&ours, &forward(&mut gpu, &tokens), architecture);
        assert_eq!(gpu.len(), tokens.len());
        let (ours, theirs) = (cpu.forward_each(&tokens[..20]), gpu.forward_each(&tokens[..20]));
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(gpu.len(), 220);
        let rows = ours.chunks(gpu.vocabulary).zip(theirs.chunks(gpu.vocabulary));
        assert_eq!(rows.len(), 20);
        for (n, (ours, theirs)) in rows.enumerate() {
            assert_near(ours, theirs, &format!("{architecture}, token {n}"));
        }
    }
}

#[test]
fn what_was_forgotten_changes_nothing() {
    for architecture in families() {
        let tokens = tokens(150);
        let wanted = forward(&mut model(architecture), &tokens);
        let mut model = model(architecture);
        forward(&mut model, &tokens);
        for told in [140, 40, 7, 0] {
            model.truncate(told);
            assert_eq!(model.len(), told);
            // Other things are told and forgotten, and a pass is broken off.
            model.forward_each(&[9, 8, 7]).unwrap();
            model.truncate(told + 1);
            model.truncate(told);
            let mut asked = 0;
            let broken = model.forward_while(&tokens[told..], &mut || {
                asked += 1;
                if asked > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!((broken.unwrap(), asked, model.len()), (None, 2, told), "{architecture}");
            let scores = forward(&mut model, &tokens[told..]);
            assert_near(&scores, &wanted, &format!("{architecture} after {told}"));
        }
        model.truncate(99);
        assert!(model.forward_while(&[1, 99_999], &mut go_on).is_err());
        assert!(model.forward_while(&[], &mut go_on).is_err());
        assert_eq!((model.len(), model.import(9, &[]), model.export(9)), (99, false, vec![]));
        assert_near(&forward(&mut model, &tokens[99..]), &wanted, architecture);
    }
}

#[test]
fn a_long_text_is_read_in_few_kinds_of_pieces() {
    let mut kinds = std::collections::BTreeSet::new();
    for start in 0..300 {
        for end in start + 1..300 {
            let (mut at, mut pieces) = (start, 0);
            while at < end {
                let size = piece(at, end - at);
                assert!(size.is_power_of_two() && size <= PREFILL && at % size == 0, "{at} {end}");
                kinds.insert((size, at));
                (at, pieces) = (at + size, pieces + 1);
            }
            assert_eq!(at, end);
            assert!(pieces <= 2 * 8 + 2, "{start} to {end} in {pieces} pieces");
        }
    }
    assert!(kinds.len() < 2 * 300, "{}", kinds.len());
}

#[test]
fn what_candle_does_otherwise_is_refused() {
    let text = |text: &str| Value::String(text.to_owned());
    type Case = (&'static str, Vec<(&'static str, Value)>, &'static str);
    let cases: [Case; 5] = [
        ("gemma3", vec![], "Gemma 3"),
        ("llama", vec![("llama.rope.dimension_count", Value::U32(8))], "a part of each head"),
        ("phi3", vec![("phi3.rope.freq_base", Value::F32(5e5))], "another base"),
        (
            "qwen2",
            vec![
                ("qwen2.rope.scaling.type", text("linear")),
                ("qwen2.rope.scaling.factor", Value::F32(4.0)),
            ],
            "scales positions",
        ),
        ("qwen2", vec![("qwen2.attention.key_length", Value::U32(32))], "heads"),
    ];
    for (architecture, more, wanted) in cases {
        let file = Tiny { more, ..Tiny::new(architecture) }.file();
        let error = check_gpu(file.path()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        let loaded = Llm::load_gpu(file.path(), "tiny", "", &Gpu::Cpu).err().unwrap();
        assert_eq!(loaded.chain(), error.chain());
    }
    for (architecture, tensor, wanted) in [
        ("llama", "rope_freqs.weight", "factors"),
        ("phi3", "rope_factors_short.weight", "factors"),
        ("llama", "blk.0.attn_q.bias", "attention"),
        ("qwen2", "blk.0.attn_q_norm.weight", "attention"),
    ] {
        let mut opened = Opened::open(Tiny::new(architecture).file().path()).unwrap();
        let tensors = &mut opened.weights.content.tensor_infos;
        let any = tensors.remove("output_norm.weight").unwrap();
        tensors.insert(tensor.to_owned(), any);
        let said = unsupported(&opened.facts, architecture, &opened.weights.content);
        assert!(said.as_ref().is_some_and(|said| said.contains(wanted)), "{tensor}: {said:?}");
    }
}

#[test]
fn no_more_is_told_than_candle_has_positions_for() {
    let length = |architecture, more| {
        let file = Tiny { more, ..Tiny::new(architecture) }.file();
        Llm::load_gpu(file.path(), "tiny", "", &Gpu::Cpu).unwrap().context_tokens()
    };
    assert_eq!(length("llama", vec![("llama.context_length", Value::U32(10_000))]), 4096);
    // As far as the window reaches.
    assert_eq!(length("phi3", vec![]), 40);
    assert_eq!(length("qwen2", vec![]), 600);
    assert_eq!(length("qwen3", vec![]), 600);
}
