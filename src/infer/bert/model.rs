//! A BERT encoder (Devlin et al. 2019): token ids → hidden states.
//!
//! candle reads the weights and multiplies matrices; what lies between is done here, row by row, on
//! the calling thread. candle's own element-wise operations share one set of threads with the LLM
//! and let one caller in at a time, so that embedding on all cores would wait for itself.

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{Config, HiddenAct};

use crate::compute::math;
use crate::infer::numbers::read;

/// An encoder's weights.
pub(super) struct Bert {
    /// One row a word of the vocabulary.
    words: Tensor,
    /// One row a position, the type of a first sentence added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    hidden: usize,
    heads: usize,
    act: HiddenAct,
}

struct Layer {
    /// Query, key and value in one.
    qkv: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    narrow_norm: Norm,
}

struct Linear {
    /// `[in, out]`
    weight: Tensor,
    bias: Vec<f32>,
}

struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl Bert {
    pub(super) fn load(weights: &PathBuf, config: &Config) -> Result<Bert> {
        // SAFETY: the file is of the model cache, where files are only ever replaced as a whole by
        // a rename, never written in place.
        #[allow(unsafe_code)]
        let weights = unsafe {
            VarBuilder::from_mmaped_safetensors(
                std::slice::from_ref(weights),
                DType::F32,
                &Device::Cpu,
            )
        }?;
        // Some checkpoints have all of it under the model's name.
        let is_root =
            |weights: &VarBuilder| weights.contains_tensor("embeddings.word_embeddings.weight");
        let weights = ["bert"]
            .into_iter()
            .chain(config.model_type.as_deref())
            .map(|name| weights.pp(name))
            .find(is_root)
            .unwrap_or(weights);
        let hidden = config.hidden_size;
        let heads = config.num_attention_heads;
        if heads == 0 || !hidden.is_multiple_of(heads) {
            candle_core::bail!("{hidden} dimensions can't be shared out to {heads} heads");
        }
        let norm = |weights: VarBuilder| Norm::load(&weights, hidden, config.layer_norm_eps);
        let from = weights.pp("embeddings");
        let words = from.get((config.vocab_size, hidden), "word_embeddings.weight")?;
        let types = from.get((config.type_vocab_size, hidden), "token_type_embeddings.weight")?;
        let positions =
            from.get((config.max_position_embeddings, hidden), "position_embeddings.weight")?;
        let positions = positions.broadcast_add(&types.narrow(0, 0, 1)?)?;
        let layers = (0..config.num_hidden_layers).map(|n| {
            let from = weights.pp(format!("encoder.layer.{n}"));
            let attention = from.pp("attention.self");
            let wide = config.intermediate_size;
            Ok(Layer {
                qkv: Linear::load(
                    &[attention.pp("query"), attention.pp("key"), attention.pp("value")],
                    hidden,
                    hidden,
                )?,
                attended: Linear::load(&[from.pp("attention.output.dense")], hidden, hidden)?,
                attended_norm: norm(from.pp("attention.output.LayerNorm"))?,
                wide: Linear::load(&[from.pp("intermediate.dense")], hidden, wide)?,
                narrow: Linear::load(&[from.pp("output.dense")], wide, hidden)?,
                narrow_norm: norm(from.pp("output.LayerNorm"))?,
            })
        });
        Ok(Bert {
            words,
            positions: positions.flatten_all()?.to_vec1()?,
            norm: norm(from.pp("LayerNorm"))?,
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
        for layer in &self.layers {
            let qkv = layer.qkv.forward(states.clone(), rows)?;
            let mixed = read(&qkv, |qkv| self.attend(qkv, &layer.qkv.bias, texts))??;
            layer.attended.add_to(&mut states, mixed, rows)?;
            layer.attended_norm.apply(&mut states);
            let wide = layer.wide.forward(states.clone(), rows)?;
            let wide = read(&wide, |wide| self.activate(wide, &layer.wide.bias))?;
            layer.narrow.add_to(&mut states, wide, rows)?;
            layer.narrow_norm.apply(&mut states);
        }
        Ok(states)
    }

    fn embed(&self, texts: &[Arc<[u32]>]) -> Result<Vec<f32>> {
        let hidden = self.hidden;
        let mut states =
            Vec::with_capacity(texts.iter().map(|text| text.len()).sum::<usize>() * hidden);
        read(&self.words, |words| {
            for text in texts {
                for (at, id) in text.iter().enumerate() {
                    let from = *id as usize * hidden;
                    let word = words.get(from..from + hidden);
                    let position = self.positions.get(at * hidden..(at + 1) * hidden);
                    let (Some(word), Some(position)) = (word, position) else {
                        candle_core::bail!("token {id} at {at} is not in the model");
                    };
                    states.extend(word.iter().zip(position).map(|(a, b)| a + b));
                }
            }
            Ok(())
        })??;
        self.norm.apply(&mut states);
        Ok(states)
    }

    /// What each token takes from the others of its text, `[tokens, hidden]`.
    fn attend(&self, qkv: &[f32], bias: &[f32], texts: &[Arc<[u32]>]) -> Result<Vec<f32>> {
        let (hidden, heads) = (self.hidden, self.heads);
        let size = hidden / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let device = &Device::Cpu;
        let mut mixed = vec![0f32; qkv.len() / 3];
        let mut from = 0;
        for text in texts {
            let count = text.len();
            let rows = &qkv[from * 3 * hidden..(from + count) * 3 * hidden];
            // Query, key or value of all heads, `[heads, tokens, size]`.
            let part = |which: usize, scale: f32| {
                let mut part = Vec::with_capacity(count * hidden);
                for head in 0..heads {
                    let at = which * hidden + head * size;
                    let bias = &bias[at..at + size];
                    for row in rows.chunks_exact(3 * hidden) {
                        let row = &row[at..at + size];
                        part.extend(
                            row.iter().zip(bias).map(|(value, bias)| (value + bias) * scale),
                        );
                    }
                }
                Tensor::from_vec(part, (heads, count, size), device)
            };
            let scores = part(0, scale)?.matmul(&part(1, 1.0)?.transpose(1, 2)?)?;
            let shares = read(&scores, |scores| {
                let mut shares = scores.to_vec();
                shares.chunks_exact_mut(count).for_each(math::softmax);
                shares
            })?;
            let taken =
                Tensor::from_vec(shares, (heads, count, count), device)?.matmul(&part(2, 1.0)?)?;
            read(&taken, |taken| {
                for (head, rows) in taken.chunks_exact(count * size).enumerate() {
                    for (at, row) in rows.chunks_exact(size).enumerate() {
                        let to = (from + at) * hidden + head * size;
                        mixed[to..to + size].copy_from_slice(row);
                    }
                }
            })?;
            from += count;
        }
        Ok(mixed)
    }

    fn activate(&self, rows: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(bias.len()) {
            let row = row.iter().zip(bias).map(|(value, bias)| value + bias);
            match self.act {
                HiddenAct::Gelu => out.extend(row.map(math::gelu)),
                HiddenAct::GeluApproximate => out.extend(row.map(math::gelu_tanh)),
                HiddenAct::Relu => out.extend(row.map(|value| value.max(0.0))),
            }
        }
        out
    }
}

impl Linear {
    /// Layers that read the same rows, side by side.
    fn load(from: &[VarBuilder], inner: usize, outer: usize) -> Result<Linear> {
        let weights = from
            .iter()
            .map(|from| from.get((outer, inner), "weight"))
            .collect::<Result<Vec<_>>>()?;
        let biases = from.iter().map(|from| from.get(outer, "bias")).collect::<Result<Vec<_>>>()?;
        Ok(Linear {
            weight: Tensor::cat(&weights, 0)?.t()?,
            bias: Tensor::cat(&biases, 0)?.to_vec1()?,
        })
    }

    /// The product alone; the bias is added by whoever reads it.
    fn forward(&self, input: Vec<f32>, rows: usize) -> Result<Tensor> {
        let inner = input.len() / rows.max(1);
        Tensor::from_vec(input, (rows, inner), &Device::Cpu)?.matmul(&self.weight)
    }

    fn add_to(&self, states: &mut [f32], input: Vec<f32>, rows: usize) -> Result<()> {
        let product = self.forward(input, rows)?;
        read(&product, |product| {
            let width = self.bias.len();
            for (row, more) in states.chunks_exact_mut(width).zip(product.chunks_exact(width)) {
                for ((value, more), bias) in row.iter_mut().zip(more).zip(&self.bias) {
                    *value += more + bias;
                }
            }
        })
    }
}

impl Norm {
    fn load(from: &VarBuilder, size: usize, epsilon: f64) -> Result<Norm> {
        // Old checkpoints call them gamma and beta.
        let get = |name: &str, old: &str| {
            from.get(size, if from.contains_tensor(name) { name } else { old })?.to_vec1()
        };
        Ok(Norm {
            scale: get("weight", "gamma")?,
            shift: get("bias", "beta")?,
            epsilon: epsilon as f32,
        })
    }

    fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.scale.len()) {
            math::layer_norm(row, &self.scale, &self.shift, self.epsilon);
        }
    }
}
