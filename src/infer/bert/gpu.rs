//! A BERT encoder on a GPU: candle's, over the same checkpoint.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use crate::compute::Gpu;

/// Tokens that go through the model at once, padding among them: what attention compares of them
/// takes some hundred megabytes.
const BATCH_TOKENS: usize = 8192;

/// An encoder's weights on a GPU.
pub(super) struct GpuBert {
    model: BertModel,
    hidden: usize,
    vocabulary: usize,
    positions: usize,
}

impl GpuBert {
    pub(super) fn load(weights: &Path, config: &Config, gpu: &Gpu) -> Result<GpuBert> {
        let tensors = candle_core::safetensors::load(weights, gpu)?;
        // The weights stand under their plain names or under a model's, and old checkpoints call
        // those of norms gamma and beta.
        let mark = "embeddings.word_embeddings.weight";
        let root = tensors.keys().find_map(|name| name.strip_suffix(mark)).unwrap_or_default();
        let root = root.to_owned();
        let named = tensors.into_iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(&root)?;
            let name = name.replace("LayerNorm.gamma", "LayerNorm.weight");
            Some((name.replace("LayerNorm.beta", "LayerNorm.bias"), tensor))
        });
        let named: HashMap<String, Tensor> = named.collect();
        let model = BertModel::load(VarBuilder::from_tensors(named, DType::F32, gpu), config)?;
        Ok(GpuBert {
            model,
            hidden: config.hidden_size,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
        })
    }

    /// Numbers in a hidden state.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Hidden states of texts, one row a token, one text after the other, without padding.
    pub(super) fn forward(&self, texts: &[Arc<[u32]>]) -> Result<Vec<f32>> {
        let mut starts = Vec::with_capacity(texts.len());
        let mut rows = 0;
        for text in texts {
            // A GPU would read past its weights.
            let is_known = text.iter().all(|id| (*id as usize) < self.vocabulary);
            if !is_known || text.len() > self.positions {
                bail!("a text has tokens or positions that are not in the model");
            }
            starts.push(rows);
            rows += text.len();
        }
        let mut states = vec![0f32; rows * self.hidden];
        // Texts of about one length go together, so that little is padded.
        let mut order: Vec<usize> = (0..texts.len()).filter(|n| !texts[*n].is_empty()).collect();
        order.sort_by_key(|n| std::cmp::Reverse(texts[*n].len()));
        let mut order = order.as_slice();
        while let Some(longest) = order.first() {
            let length = texts[*longest].len();
            let (batch, rest) = order.split_at((BATCH_TOKENS / length).clamp(1, order.len()));
            order = rest;
            let padded = self.padded(batch.iter().map(|n| &*texts[*n]), length)?;
            for (n, row) in batch.iter().zip(padded.chunks_exact(length * self.hidden)) {
                let own = texts[*n].len() * self.hidden;
                states[starts[*n] * self.hidden..][..own].copy_from_slice(&row[..own]);
            }
        }
        Ok(states)
    }

    /// States of texts padded to a length, `[texts, length, hidden]`.
    fn padded<'a>(
        &self,
        texts: impl ExactSizeIterator<Item = &'a [u32]>,
        length: usize,
    ) -> Result<Vec<f32>> {
        let shape = (texts.len(), length);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for text in texts {
            let end = ids.len() + length;
            ids.extend_from_slice(text);
            mask.resize(ids.len(), 1u32);
            // What stands there is masked.
            ids.resize(end, 0u32);
            mask.resize(end, 0u32);
        }
        let gpu = &self.model.device;
        let ids = Tensor::from_vec(ids, shape, gpu)?;
        let mask = Tensor::from_vec(mask, shape, gpu)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        states.flatten_all()?.to_vec1()
    }
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
