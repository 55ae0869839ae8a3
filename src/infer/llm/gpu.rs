//! An LLM on a GPU: candle's models of the families, from the same file.
//!
//! candle's keep keys and values by themselves, forget them only as a whole, and give the scores of
//! the last token alone. So what was told is remembered here as tokens: once some of it is to be
//! forgotten, the rest is read again when the model is next used, which costs as much as a prompt of
//! that length; and scores of several tokens take a pass each. Nothing is guessed ahead therefore.
//! What candle 0.11.1 computes otherwise than a model was made for is refused ([`unsupported`]).

use std::io::Cursor;
use std::ops::ControlFlow;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Result, Tensor, bail};
use candle_transformers::models::{
    quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3,
};

use super::context::{GoOn, Model, PREFILL};
use super::family::Facts;
use super::weights::Weights;
use crate::compute::Gpu;

/// Positions that candle's Llama has angles for.
const LLAMA_POSITIONS: usize = 4096;

/// A model on a GPU and what it was told so far.
pub struct GpuModel {
    family: Family,
    gpu: Gpu,
    /// Tokens of the vocabulary.
    vocabulary: usize,
    /// What it was told and has not forgotten.
    told: Vec<u32>,
    /// So many of those, from the first on, candle holds keys and values of.
    held: usize,
}

enum Family {
    Llama(quantized_llama::ModelWeights),
    Phi3(quantized_phi3::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Family {
    /// Scores after the last of `input`, which stands at position `at`; at 0 all is forgotten.
    fn forward(&mut self, input: &Tensor, at: usize) -> Result<Tensor> {
        match self {
            Family::Llama(model) => model.forward(input, at),
            Family::Phi3(model) => model.forward(input, at),
            Family::Qwen2(model) => model.forward(input, at),
            Family::Qwen3(model) => {
                // The others look at the position by themselves.
                if at == 0 {
                    model.clear_kv_cache();
                }
                model.forward(input, at)
            }
        }
    }
}

/// What of a file candle's models can't do, or do wrong; nothing if its scores are right.
pub(super) fn unsupported(facts: &Facts, architecture: &str, content: &Content) -> Option<String> {
    let has = |tensor: &str| content.tensor_infos.contains_key(tensor);
    let whole = facts.heads * facts.head_size;
    let what = match architecture {
        "gemma3" => "candle's Gemma 3 has another activation and another mask than the model",
        _ if has("rope_freqs.weight") || has("rope_factors_short.weight") => {
            "it has factors of its own for positions, which candle leaves out"
        }
        _ if facts.rope.factor != 1.0 || facts.rope.magnitude != 1.0 => {
            "it scales positions, which candle does not"
        }
        _ if facts.rope.size != facts.head_size => "it turns a part of each head, candle the whole",
        "phi3" if facts.rope.base != 1e4 => "its positions have another base than candle's",
        "llama" | "phi3" | "qwen2" if whole != facts.hidden => "its heads are not those of candle",
        _ if has("blk.0.attn_q.bias") != (architecture == "qwen2")
            || has("blk.0.attn_q_norm.weight") != (architecture == "qwen3") =>
        {
            "its attention is not that of candle"
        }
        _ => return None,
    };
    Some(what.to_owned())
}

/// Tokens that a model may be told on a GPU.
pub(super) fn context(facts: &Facts, architecture: &str) -> usize {
    match architecture {
        "llama" => facts.context.min(LLAMA_POSITIONS),
        // Within the window it makes no difference that candle has none.
        "phi3" => facts.context.min(facts.window.unwrap_or(usize::MAX)),
        _ => facts.context,
    }
}

impl GpuModel {
    /// A model over its mapped file, of a family and shape that is not [`unsupported`]. `context` is
    /// how many tokens it may be told: some of candle's models make room for all of them at once.
    pub(super) fn load(
        architecture: &str,
        context: usize,
        weights: Weights,
        gpu: &Gpu,
    ) -> Result<GpuModel> {
        let Weights { mut content, file } = weights;
        let vocabulary = match content.tensor_infos.get("token_embd.weight") {
            Some(info) => info.shape.dims2()?.0,
            None => bail!("the tensor token_embd.weight is missing"),
        };
        let length = format!("{architecture}.context_length");
        content.metadata.insert(length, Value::U32(u32::try_from(context)?));
        // Otherwise Qwen 3 turns positions in half precision.
        content.metadata.insert("general.dtype".to_owned(), Value::U32(0));
        let file = &mut Cursor::new(&file[..]);
        let family = match architecture {
            "llama" => Family::Llama(quantized_llama::ModelWeights::from_gguf(content, file, gpu)?),
            "phi3" => {
                Family::Phi3(quantized_phi3::ModelWeights::from_gguf(false, content, file, gpu)?)
            }
            "qwen2" => Family::Qwen2(quantized_qwen2::ModelWeights::from_gguf(content, file, gpu)?),
            "qwen3" => Family::Qwen3(quantized_qwen3::ModelWeights::from_gguf(content, file, gpu)?),
            _ => bail!("the family \"{architecture}\" is not known on a GPU"),
        };
        Ok(GpuModel { family, gpu: gpu.clone(), vocabulary, told: Vec::new(), held: 0 })
    }

    /// Scores after the last of `tokens`; without them, if it is broken off or fails, they are not
    /// told.
    fn tell(&mut self, tokens: &[u32], go_on: GoOn<'_>) -> Result<Option<Vec<f32>>> {
        if tokens.is_empty() {
            bail!("there are no tokens");
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary) {
            bail!("token {token} is not in the model");
        }
        let before = self.told.len();
        self.told.extend_from_slice(tokens);
        let scores = self.catch_up(go_on);
        if !matches!(scores, Ok(Some(_))) {
            self.truncate(before);
        }
        scores
    }

    /// Reads what is told and not held.
    fn catch_up(&mut self, go_on: GoOn<'_>) -> Result<Option<Vec<f32>>> {
        let mut scores = None;
        while self.held < self.told.len() {
            if go_on().is_break() {
                return Ok(None);
            }
            // After a pass that fails it is not known what is held.
            let at = std::mem::take(&mut self.held);
            let piece = &self.told[at..at + piece(at, self.told.len() - at)];
            let input = Tensor::new(piece, &self.gpu)?.unsqueeze(0)?;
            scores = Some(self.family.forward(&input, at)?);
            self.held = at + piece.len();
        }
        match scores {
            Some(scores) => scores.flatten_all()?.to_dtype(DType::F32)?.to_vec1().map(Some),
            None => bail!("there is nothing to read"),
        }
    }
}

/// How many of `left` tokens go through the model at once from a position on: a power of two that
/// divides it. candle keeps the mask of every length at every position for good; this way there are
/// few.
fn piece(at: usize, left: usize) -> usize {
    let aligned = if at == 0 { PREFILL } else { PREFILL.min(1 << at.trailing_zeros()) };
    aligned.min(1 << left.ilog2())
}

impl Model for GpuModel {
    const FORGETS_FREELY: bool = false;

    fn len(&self) -> usize {
        self.told.len()
    }

    fn truncate(&mut self, len: usize) {
        self.told.truncate(len);
        if self.held > self.told.len() {
            self.held = 0;
        }
    }

    fn forward_while(&mut self, tokens: &[u32], go_on: GoOn<'_>) -> Result<Option<Vec<f32>>> {
        self.tell(tokens, go_on)
    }

    fn forward_each(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut each = Vec::with_capacity(tokens.len() * self.vocabulary);
        for token in tokens {
            let scores = self.tell(&[*token], &mut || ControlFlow::Continue(()))?;
            each.extend(scores.into_iter().flatten());
        }
        Ok(each)
    }

    /// Nothing: they stay on the GPU.
    fn export(&self, _: usize) -> Vec<u8> {
        Vec::new()
    }

    fn import(&mut self, _: usize, _: &[u8]) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
