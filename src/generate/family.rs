//! The model families that candle reads from GGUF, behind one face.

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::{
    quantized_gemma3, quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3,
};

/// Values of `general.architecture` that can be loaded.
pub(super) const KNOWN: [&str; 5] = ["gemma3", "llama", "phi3", "qwen2", "qwen3"];

/// A model of a known family.
pub(super) enum Model {
    Gemma3(quantized_gemma3::ModelWeights),
    Llama(quantized_llama::ModelWeights),
    Phi3(quantized_phi3::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

/// Why a model was not loaded.
pub(super) enum LoadError {
    Unknown,
    Candle(candle_core::Error),
}

impl Model {
    pub(super) fn load<R: Read + Seek>(
        architecture: &str,
        content: Content,
        reader: &mut R,
    ) -> std::result::Result<Model, LoadError> {
        let device = &Device::Cpu;
        let model = match architecture {
            "gemma3" => {
                quantized_gemma3::ModelWeights::from_gguf(content, reader, device).map(Model::Gemma3)
            }
            "llama" => {
                quantized_llama::ModelWeights::from_gguf(content, reader, device).map(Model::Llama)
            }
            "phi3" => quantized_phi3::ModelWeights::from_gguf(false, content, reader, device)
                .map(Model::Phi3),
            "qwen2" => {
                quantized_qwen2::ModelWeights::from_gguf(content, reader, device).map(Model::Qwen2)
            }
            "qwen3" => {
                quantized_qwen3::ModelWeights::from_gguf(content, reader, device).map(Model::Qwen3)
            }
            _ => return Err(LoadError::Unknown),
        };
        model.map_err(LoadError::Candle)
    }

    /// Logits after the last token of `[1, tokens]` that stand from `at` on, `[1, vocabulary]`.
    pub(super) fn forward(&mut self, input: &Tensor, at: usize) -> Result<Tensor> {
        match self {
            Model::Gemma3(model) => model.forward(input, at),
            Model::Llama(model) => model.forward(input, at),
            Model::Phi3(model) => model.forward(input, at),
            Model::Qwen2(model) => model.forward(input, at),
            Model::Qwen3(model) => model.forward(input, at),
        }
    }

    /// Forgets what was said. The families without such a call forget at position 0.
    pub(super) fn clear(&mut self) {
        match self {
            Model::Llama(model) => model.clear_kv_cache(),
            Model::Qwen2(model) => model.clear_kv_cache(),
            Model::Qwen3(model) => model.clear_kv_cache(),
            Model::Gemma3(_) | Model::Phi3(_) => {}
        }
    }
}
