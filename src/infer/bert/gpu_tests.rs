//! What holds on a GPU, on candle's CPU device: the same code runs there.

use candle_core::Tensor;

use super::super::model::Bert;
use super::*;

const HIDDEN: usize = 16;
const WIDE: usize = 32;
const WORDS: usize = 50;
const POSITIONS: usize = 40;

fn config() -> Config {
    Config {
        vocab_size: WORDS,
        hidden_size: HIDDEN,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: WIDE,
        max_position_embeddings: POSITIONS,
        ..Config::default()
    }
}

/// A checkpoint with random weights; `root` stands before all names.
fn checkpoint(root: &str, [scale, shift]: [&str; 2]) -> tempfile::NamedTempFile {
    let mut random = fastrand::Rng::with_seed(7);
    let mut tensors = HashMap::new();
    let mut add = |name: &str, shape: &[usize], middle: f32| {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| middle + random.f32() - 0.5).collect();
        let tensor = Tensor::from_vec(values, shape, &Gpu::Cpu).unwrap();
        tensors.insert(format!("{root}{name}"), tensor);
    };
    let mut norms = vec!["embeddings".to_owned()];
    for (name, rows) in [("word", WORDS), ("position", POSITIONS), ("token_type", 2)] {
        add(&format!("embeddings.{name}_embeddings.weight"), &[rows, HIDDEN], 0.0);
    }
    for n in 0..2 {
        for (part, inner, outer) in [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", HIDDEN, WIDE),
            ("output.dense", WIDE, HIDDEN),
        ] {
            let name = format!("encoder.layer.{n}.{part}");
            add(&format!("{name}.weight"), &[outer, inner], 0.0);
            add(&format!("{name}.bias"), &[outer], 0.0);
        }
        norms
            .extend(["attention.output", "output"].map(|part| format!("encoder.layer.{n}.{part}")));
    }
    for name in norms {
        add(&format!("{name}.LayerNorm.{scale}"), &[HIDDEN], 1.0);
        add(&format!("{name}.LayerNorm.{shift}"), &[HIDDEN], 0.0);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    candle_core::safetensors::save(&tensors, file.path()).unwrap();
    file
}

#[test]
fn states_are_those_of_the_cpu_however_the_weights_are_called() {
    // Of many lengths, in no order.
    let texts: Vec<Arc<[u32]>> = [5, 1, 40, 17, 17, 39, 2]
        .map(|length| (0..length).map(|n| (n * n + length) % WORDS as u32).collect())
        .into();
    for (root, names) in [("", ["weight", "bias"]), ("bert.", ["gamma", "beta"])] {
        let file = checkpoint(root, names);
        let cpu = Bert::load(file.path(), &config()).unwrap();
        let gpu = GpuBert::load(file.path(), &config(), &Gpu::Cpu).unwrap();
        assert_eq!(gpu.hidden(), HIDDEN);
        let (ours, theirs) = (cpu.forward(&texts).unwrap(), gpu.forward(&texts).unwrap());
        assert_eq!(ours.len(), theirs.len());
        let far = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        let spread = ours.iter().fold(0f32, |most, state| most.max(state.abs()));
        assert!(far < 2e-3 * spread, "{far} of {spread}");
        assert!(gpu.forward(&[]).unwrap().is_empty());
        let with_nothing = [&[[].into()], &texts[..]].concat();
        assert_eq!(gpu.forward(&with_nothing).unwrap(), theirs);
    }
}

#[test]
fn what_is_not_in_the_model_is_an_error() {
    let file = checkpoint("", ["weight", "bias"]);
    let gpu = GpuBert::load(file.path(), &config(), &Gpu::Cpu).unwrap();
    for text in [vec![1, WORDS as u32], vec![1; POSITIONS + 1]] {
        let error = gpu.forward(&[text.into()]).unwrap_err().to_string();
        assert!(error.contains("not in the model"), "{error}");
    }
}
