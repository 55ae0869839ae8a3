//! What runs on a GPU, on candle's CPU device: the same code, without the GPU.

use wellread::compute::Gpu;
use wellread::infer::bert::BertEmbedder;
use wellread::infer::llm::Llm;
use wellread::infer::{Embedder, Purpose};

use crate::contract::{
    cosine, embedder_contract, generator_contract, generator_file, minilm, minilm_files,
};
use crate::support::{Wellread, sample_feed};

fn minilm_on_gpu() -> BertEmbedder {
    let (spec, files) = minilm_files();
    BertEmbedder::load_gpu(spec, &files, &Gpu::Cpu).unwrap()
}

#[test]
fn the_embedder_of_a_gpu_holds_the_contract() {
    embedder_contract(&minilm_on_gpu());
}

/// An index made with the one is searched with the other.
#[test]
fn vectors_of_a_gpu_are_those_of_the_cpu() {
    let (cpu, gpu) = (minilm(), minilm_on_gpu());
    assert_eq!(gpu.fingerprint(), cpu.fingerprint());
    let texts: Vec<String> = (0..70)
        .map(|n| format!("Plank {n}: {}", "steam it for an hour. ".repeat(n * 7 % 41)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ours = cpu.embed_tokens(&texts, Purpose::Passage).unwrap();
    let theirs = gpu.embed_tokens(&texts, Purpose::Passage).unwrap();
    let mut least = 1f32;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        least = least.min(cosine(&ours.vector, &theirs.vector));
        assert_eq!(ours.tokens.len(), theirs.tokens.len());
        for (ours, theirs) in ours.tokens.iter().zip(&theirs.tokens) {
            assert_eq!(ours.range, theirs.range);
            assert!(cosine(&ours.state, &theirs.state) >= 0.999, "{ours:?}");
        }
    }
    eprintln!("the least cosine is {least}");
    assert!(least >= 0.9999, "{least}");
}

#[test]
fn the_small_llm_of_a_gpu_holds_the_generator_contract() {
    let file = generator_file("smollm2-135m-instruct");
    let sha256 = file.sha256.as_deref().unwrap_or_default();
    generator_contract(&mut Llm::load_gpu(&file.path, &file.name, sha256, &Gpu::Cpu).unwrap());
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn without_a_gpu_auto_takes_the_cpu_and_a_gpu_by_name_is_an_error() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let said = wellread.succeeds(&["doctor"]);
    assert!(said.contains("device: CPU: this build has no GPU support\n"), "{said}");
    let said = wellread.succeeds(&["--set", "device=cpu", "doctor"]);
    assert!(said.contains("device: CPU: the setting device says so\n"), "{said}");
    for args in [&["doctor"][..], &["search", "varnish"], &["ask", "How long does glue harden?"]] {
        let ran = wellread.run(&[&["--set", "device=cuda"], args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("device is \"cuda\", and this build has no cuda support"), "{said}");
        assert!(
            said.contains("try: build wellread with `--features cuda`, or set device"),
            "{said}"
        );
    }
    let ran = wellread.run(&["--set", "device=gpu", "doctor"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("`auto`, `cpu`, `cuda`, `metal`"), "{}", ran.stderr);
}
