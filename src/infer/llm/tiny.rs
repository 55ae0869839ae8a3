//! Tiny LLMs with random weights, for tests: each family as a GGUF file with all that a real one has.

use std::io::{Cursor, Write};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

/// How a tokenizer is kept in the file.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    ByteLevel,
    SentencePiece,
}

/// A model to be made.
pub(super) struct Tiny {
    pub(super) architecture: &'static str,
    pub(super) kind: Kind,
    pub(super) layers: usize,
    pub(super) window: Option<usize>,
    /// Metadata that goes over what is made.
    pub(super) more: Vec<(&'static str, Value)>,
    pub(super) tied: bool,
}

const HIDDEN: usize = 64;
const WIDE: usize = 96;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const SIZE: usize = 32;
const CONTEXT: u32 = 600;

/// A template in the manner of ChatML, with the family's own marks.
fn template(open: &str, close: &str) -> String {
    format!(
        "{{% for m in messages %}}{open}{{{{ m['role'] }}}}\n{{{{ m['content'] }}}}{close}\n\
         {{% endfor %}}{{% if add_generation_prompt %}}{open}assistant\n{{% endif %}}"
    )
}

impl Tiny {
    pub(super) fn new(architecture: &'static str) -> Tiny {
        let is_gemma = architecture == "gemma3";
        Tiny {
            architecture,
            kind: match architecture {
                "gemma3" | "phi3" => Kind::SentencePiece,
                _ => Kind::ByteLevel,
            },
            // One of Gemma's first six layers looks back on everything.
            layers: if is_gemma { 7 } else { 2 },
            window: (is_gemma || architecture == "phi3").then_some(40),
            more: Vec::new(),
            tied: is_gemma || architecture == "qwen2",
        }
    }

    /// Dimensions of a head: not always the width shared out.
    fn size(&self) -> usize {
        match self.architecture {
            "gemma3" | "qwen3" => SIZE,
            _ => HIDDEN / HEADS,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut metadata = self.tokenizer();
        metadata.extend(self.shape());
        for (key, value) in &self.more {
            metadata.retain(|(known, _)| known != key);
            metadata.push(((*key).to_owned(), value.clone()));
        }
        let tokens = match metadata.iter().find(|(key, _)| key == "tokenizer.ggml.tokens") {
            Some((_, Value::Array(tokens))) => tokens.len(),
            _ => 0,
        };
        let tensors = self.tensors(tokens);
        let metadata: Vec<(&str, &Value)> =
            metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
        file.into_inner()
    }

    pub(super) fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&self.bytes()).unwrap();
        file
    }

    fn shape(&self) -> Vec<(String, Value)> {
        let whole = |n: usize| Value::U32(n as u32);
        let is_gemma = self.architecture == "gemma3";
        let mut shape = vec![
            ("context_length", Value::U32(CONTEXT)),
            ("embedding_length", whole(HIDDEN)),
            ("block_count", whole(self.layers)),
            ("feed_forward_length", whole(WIDE)),
            ("attention.head_count", whole(HEADS)),
            ("attention.head_count_kv", whole(KV_HEADS)),
            ("attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
            // Gemma's local layers have another of their own.
            ("rope.freq_base", Value::F32(if is_gemma { 1e6 } else { 1e4 })),
        ];
        if matches!(self.architecture, "llama" | "phi3") {
            shape.push(("rope.dimension_count", whole(self.size())));
        }
        if matches!(self.architecture, "gemma3" | "qwen3") {
            shape.push(("attention.key_length", whole(self.size())));
            shape.push(("attention.value_length", whole(self.size())));
        }
        if let Some(window) = self.window {
            shape.push(("attention.sliding_window", whole(window)));
        }
        let name = |key: &str| format!("{}.{key}", self.architecture);
        let architecture = Value::String(self.architecture.to_owned());
        let mut shape: Vec<(String, Value)> =
            shape.into_iter().map(|(key, value)| (name(key), value)).collect();
        shape.push(("general.architecture".to_owned(), architecture));
        shape
    }

    fn tokenizer(&self) -> Vec<(String, Value)> {
        let text = |text: &str| Value::String(text.to_owned());
        let texts = |texts: &[String]| Value::Array(texts.iter().map(|t| text(t)).collect());
        let kinds = |kinds: Vec<u32>| Value::Array(kinds.into_iter().map(Value::U32).collect());
        let mut tokens: Vec<String>;
        let mut types: Vec<u32>;
        let metadata = match self.kind {
            Kind::ByteLevel => {
                tokens = (0..=255).map(|byte| byte_char(byte).to_string()).collect();
                let merges = ["t h", "th e", "Ġ the", "s t", "e a", "ea m", "st eam"];
                tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
                types = vec![1; tokens.len()];
                let special = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>"];
                let first = tokens.len() as u32;
                tokens.extend(special.map(str::to_owned));
                types.extend([3, 3, 3, 4]);
                let pre = if self.architecture == "llama" { "llama-bpe" } else { "qwen2" };
                vec![
                    ("model", text("gpt2")),
                    ("pre", text(pre)),
                    ("merges", texts(&merges.map(str::to_owned))),
                    ("bos_token_id", Value::U32(first + 2)),
                    ("eos_token_id", Value::U32(first + 1)),
                    ("chat_template", text(&template("<|im_start|>", "<|im_end|>"))),
                ]
            }
            Kind::SentencePiece => {
                tokens = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
                types = vec![2, 3, 3];
                tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
                types.extend([6; 256]);
                tokens.extend(["<start_of_turn>", "<end_of_turn>"].map(str::to_owned));
                types.extend([4, 4]);
                tokens.extend(["\n\n", "▁▁"].map(str::to_owned));
                types.extend([4, 4]);
                let pieces = ["▁t", "he", "▁the", "st", "ea", "eam", "▁st", "▁steam", "steam"];
                tokens.extend(pieces.map(str::to_owned));
                tokens.push("▁".to_owned());
                tokens.extend(('a'..='z').map(|letter| letter.to_string()));
                tokens.extend(["\n", ".", ",", "<", ">", "/", "_"].map(str::to_owned));
                types.resize(tokens.len(), 1);
                // Scores fall with the place in the vocabulary, as SentencePiece writes them.
                let scores = (0..tokens.len()).map(|n| Value::F32(-(n as f32))).collect();
                vec![
                    ("model", text("llama")),
                    ("scores", Value::Array(scores)),
                    ("add_space_prefix", Value::Bool(self.architecture != "gemma3")),
                    ("bos_token_id", Value::U32(1)),
                    ("eos_token_id", Value::U32(2)),
                    ("unknown_token_id", Value::U32(0)),
                    ("chat_template", text(&template("<start_of_turn>", "<end_of_turn>"))),
                ]
            }
        };
        let mut metadata: Vec<(String, Value)> = metadata
            .into_iter()
            .map(|(key, value)| match key {
                "chat_template" => (format!("tokenizer.{key}"), value),
                _ => (format!("tokenizer.ggml.{key}"), value),
            })
            .collect();
        metadata.push(("tokenizer.ggml.tokens".to_owned(), texts(&tokens)));
        metadata.push(("tokenizer.ggml.token_type".to_owned(), kinds(types)));
        metadata
    }

    fn tensors(&self, tokens: usize) -> Vec<(String, QTensor)> {
        let mut random = fastrand::Rng::with_seed(11);
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[usize], middle: f32| {
            let count: usize = shape.iter().product();
            let spread = if shape.len() == 1 { 0.2 } else { 0.3 };
            let values: Vec<f32> =
                (0..count).map(|_| middle + spread * (random.f32() - 0.5)).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            let dtype = if shape.len() == 1 { GgmlDType::F32 } else { GgmlDType::Q8_0 };
            tensors.push((name, QTensor::quantize(&tensor, dtype).unwrap()));
        };
        let (size, kv) = (self.size(), KV_HEADS * self.size());
        add("token_embd.weight".to_owned(), &[tokens, HIDDEN], 0.0);
        if !self.tied {
            add("output.weight".to_owned(), &[tokens, HIDDEN], 0.0);
        }
        add("output_norm.weight".to_owned(), &[HIDDEN], 1.0);
        for n in 0..self.layers {
            let mut weight = |name: &str, shape: &[usize], middle: f32| {
                add(format!("blk.{n}.{name}"), shape, middle);
            };
            let query = HEADS * size;
            weight("attn_norm.weight", &[HIDDEN], 1.0);
            weight("ffn_norm.weight", &[HIDDEN], 1.0);
            weight("attn_output.weight", &[HIDDEN, query], 0.0);
            weight("ffn_down.weight", &[HIDDEN, WIDE], 0.0);
            if self.architecture == "phi3" {
                weight("attn_qkv.weight", &[query + 2 * kv, HIDDEN], 0.0);
                weight("ffn_up.weight", &[2 * WIDE, HIDDEN], 0.0);
                continue;
            }
            weight("ffn_up.weight", &[WIDE, HIDDEN], 0.0);
            weight("ffn_gate.weight", &[WIDE, HIDDEN], 0.0);
            for (part, rows) in [("attn_q", query), ("attn_k", kv), ("attn_v", kv)] {
                weight(&format!("{part}.weight"), &[rows, HIDDEN], 0.0);
                if self.architecture == "qwen2" {
                    weight(&format!("{part}.bias"), &[rows], 0.0);
                }
            }
            if matches!(self.architecture, "gemma3" | "qwen3") {
                weight("attn_q_norm.weight", &[size], 1.0);
                weight("attn_k_norm.weight", &[size], 1.0);
            }
            if self.architecture == "gemma3" {
                weight("post_attention_norm.weight", &[HIDDEN], 1.0);
                weight("post_ffw_norm.weight", &[HIDDEN], 1.0);
            }
        }
        tensors
    }
}

/// The character that stands for a byte in byte-level vocabularies (GPT-2).
fn byte_char(byte: u8) -> char {
    let is_own = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if is_own(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !is_own(*byte)).count() as u32;
    char::from_u32(256 + before).unwrap()
}
