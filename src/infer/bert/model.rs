//! A BERT encoder (Devlin et al. 2019): token ids → hidden states, on the calling thread.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::{Result, bail};
use candle_transformers::models::bert::{Config, HiddenAct};

use super::weights::{Checkpoint, Weight};
use crate::compute::dense::{FEW_ROWS, Matrix, multiply};
use crate::compute::kernels::{self, Sixteen, SixteenRows};
use crate::compute::math;

/// An encoder's weights.
pub(super) struct Bert {
    /// One row a word of the vocabulary.
    words: Weight,
    /// One row a position, the type of a first sentence added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    hidden: usize,
    heads: usize,
    act: HiddenAct,
}

struct Layer {
    /// Query, key and value.
    qkv: [Linear; 3],
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    narrow_norm: Norm,
}

struct Linear {
    /// `[out, in]`
    weight: Weight,
    bias: Vec<f32>,
    /// The same packed, when it was first worth it.
    packed: OnceLock<Option<Sixteen>>,
}

/// What linear layers multiply with.
struct Input<'a> {
    /// `[rows, in]`
    numbers: &'a [f32],
    rows: usize,
    /// The same for packed weights, where rows are many.
    whole: Option<&'a SixteenRows>,
}

struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl Bert {
    pub(super) fn load(weights: &Path, config: &Config) -> Result<Bert> {
        let from = Checkpoint::open(weights, config.model_type.as_deref())?;
        let hidden = config.hidden_size;
        let heads = config.num_attention_heads;
        if heads == 0 || !hidden.is_multiple_of(heads) {
            bail!("{hidden} dimensions can't be shared out to {heads} heads");
        }
        let norm = |name: &str| Norm::load(&from, name, hidden, config.layer_norm_eps as f32);
        let table = |name: &str, rows: usize| from.numbers(name, &[rows, hidden]);
        let types = table("embeddings.token_type_embeddings.weight", config.type_vocab_size)?;
        let mut positions =
            table("embeddings.position_embeddings.weight", config.max_position_embeddings)?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(value, more)| *value += more);
        }
        let layers = (0..config.num_hidden_layers).map(|n| {
            let name = |part: &str| format!("encoder.layer.{n}.{part}");
            let linear = |part: &str, inner, outer| Linear::load(&from, &name(part), inner, outer);
            let wide = config.intermediate_size;
            Ok(Layer {
                qkv: [
                    linear("attention.self.query", hidden, hidden)?,
                    linear("attention.self.key", hidden, hidden)?,
                    linear("attention.self.value", hidden, hidden)?,
                ],
                attended: linear("attention.output.dense", hidden, hidden)?,
                attended_norm: norm(&name("attention.output.LayerNorm"))?,
                wide: linear("intermediate.dense", hidden, wide)?,
                narrow: linear("output.dense", wide, hidden)?,
                narrow_norm: norm(&name("output.LayerNorm"))?,
            })
        });
        Ok(Bert {
            words: Weight::load(
                &from,
                "embeddings.word_embeddings.weight",
                [config.vocab_size, hidden],
            )?,
            positions,
            norm: norm("embeddings.LayerNorm")?,
            layers: layers.collect::<Result<_>>()?,
            hidden,
            heads,
            act: config.hidden_act,
        })
    }

    /// Numbers in a hidden state.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Hidden states of texts, one row a token, one text after the other: nothing is padded.
    pub(super) fn forward(&self, texts: &[Arc<[u32]>]) -> Result<Vec<f32>> {
        let hidden = self.hidden;
        let mut states = self.embed(texts)?;
        let rows = states.len() / hidden;
        let mut qkv = vec![0f32; rows * 3 * hidden];
        let mut mixed = vec![0f32; rows * hidden];
        let mut wide = Vec::new();
        let mut shares = Vec::new();
        let mut whole = SixteenRows::default();
        for layer in &self.layers {
            let input = Input::new(&states, rows, &mut whole);
            for (at, linear) in layer.qkv.iter().enumerate() {
                linear.forward(&input, &mut qkv[at * hidden..], 3 * hidden);
            }
            self.attend(&qkv, texts, &mut shares, &mut mixed);
            let input = Input::new(&mixed, rows, &mut whole);
            layer.attended.add_to(&mut states, &input, &mut qkv);
            layer.attended_norm.apply(&mut states);
            let width = layer.wide.bias.len();
            wide.resize(rows * width, 0f32);
            let input = Input::new(&states, rows, &mut whole);
            layer.wide.forward(&input, &mut wide, width);
            self.activate(&mut wide);
            let input = Input::new(&wide, rows, &mut whole);
            layer.narrow.add_to(&mut states, &input, &mut qkv);
            layer.narrow_norm.apply(&mut states);
        }
        Ok(states)
    }

    fn embed(&self, texts: &[Arc<[u32]>]) -> Result<Vec<f32>> {
        let hidden = self.hidden;
        let mut states =
            Vec::with_capacity(texts.iter().map(|text| text.len()).sum::<usize>() * hidden);
        let words = self.words.numbers();
        for text in texts {
            for (at, id) in text.iter().enumerate() {
                let from = *id as usize * hidden;
                let word = words.get(from..from + hidden);
                let position = self.positions.get(at * hidden..(at + 1) * hidden);
                let (Some(word), Some(position)) = (word, position) else {
                    bail!("token {id} at {at} is not in the model");
                };
                states.extend(word.iter().zip(position).map(|(a, b)| a + b));
            }
        }
        self.norm.apply(&mut states);
        Ok(states)
    }

    /// Writes what each token takes from the others of its text to `mixed`, `[tokens, hidden]`.
    fn attend(&self, qkv: &[f32], texts: &[Arc<[u32]>], shares: &mut Vec<f32>, mixed: &mut [f32]) {
        let (hidden, heads) = (self.hidden, self.heads);
        let size = hidden / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut from = 0;
        for text in texts {
            let count = text.len();
            shares.resize(count * count, 0.0);
            for head in 0..heads {
                let part = |which: usize| {
                    let at = from * 3 * hidden + which * hidden + head * size;
                    Matrix::new(&qkv[at..], count, size, 3 * hidden)
                };
                multiply(shares, count, part(0), part(1).transposed(), scale);
                shares.chunks_exact_mut(count).for_each(kernels::softmax);
                let all = Matrix::new(shares, count, count, count);
                multiply(&mut mixed[from * hidden + head * size..], hidden, all, part(2), 1.0);
            }
            from += count;
        }
    }

    fn activate(&self, numbers: &mut [f32]) {
        match self.act {
            HiddenAct::Gelu => kernels::gelu(numbers),
            HiddenAct::GeluApproximate => {
                numbers.iter_mut().for_each(|value| *value = math::gelu_tanh(*value));
            }
            HiddenAct::Relu => numbers.iter_mut().for_each(|value| *value = value.max(0.0)),
        }
    }
}

impl Linear {
    fn load(from: &Arc<Checkpoint>, name: &str, inner: usize, outer: usize) -> Result<Linear> {
        Ok(Linear {
            weight: Weight::load(from, &format!("{name}.weight"), [outer, inner])?,
            bias: from.numbers(&format!("{name}.bias"), &[outer])?,
            packed: OnceLock::new(),
        })
    }

    /// Writes as many rows to `out`, `stride` numbers from row to row.
    fn forward(&self, input: &Input<'_>, out: &mut [f32], stride: usize) {
        let Input { numbers, rows, whole } = *input;
        let inner = numbers.len() / rows.max(1);
        if let Some(whole) = whole {
            let [outer, inner] = self.weight.shape();
            let pack = || Sixteen::new(self.weight.numbers(), outer, inner);
            if let Some(packed) = self.packed.get_or_init(pack) {
                return packed.multiply(whole, &self.bias, out, stride);
            }
        }
        let input = Matrix::new(numbers, rows, inner, inner);
        multiply(out, stride, input, self.weight.matrix().transposed(), 1.0);
        for row in out.chunks_mut(stride).take(rows) {
            row.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
        }
    }

    /// Adds to the states what this makes of the input; `room` is for the product.
    fn add_to(&self, states: &mut [f32], input: &Input<'_>, room: &mut [f32]) {
        let product = &mut room[..states.len()];
        self.forward(input, product, self.bias.len());
        states.iter_mut().zip(product).for_each(|(value, more)| *value += *more);
    }
}

impl<'a> Input<'a> {
    /// `room` is for what packed weights are multiplied with.
    fn new(numbers: &'a [f32], rows: usize, room: &'a mut SixteenRows) -> Input<'a> {
        let whole = (rows > FEW_ROWS).then(|| {
            room.fill(numbers, numbers.len() / rows);
            &*room
        });
        Input { numbers, rows, whole }
    }
}

impl Norm {
    fn load(from: &Checkpoint, name: &str, size: usize, epsilon: f32) -> Result<Norm> {
        // Old checkpoints call them gamma and beta.
        let get = |part: &str, old: &str| {
            let new = format!("{name}.{part}");
            let name = if from.has(&new) { new } else { format!("{name}.{old}") };
            from.numbers(&name, &[size])
        };
        Ok(Norm { scale: get("weight", "gamma")?, shift: get("bias", "beta")?, epsilon })
    }

    fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.scale.len()) {
            kernels::layer_norm(row, &self.scale, &self.shift, self.epsilon);
        }
    }
}
