//! What the families of LLMs differ in, read from a file's metadata. Pure.

use candle_core::quantized::gguf_file::{Content, Value};

use super::vocabulary::whole;

/// Values of `general.architecture` that can be loaded.
pub(super) const KNOWN: [&str; 5] = ["gemma3", "llama", "phi3", "qwen2", "qwen3"];

/// The shape of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    /// Heads of keys and values; each serves several of the queries'.
    pub(super) kv_heads: usize,
    pub(super) head_size: usize,
    /// Queries are scaled by this.
    pub(super) scale: f64,
    pub(super) epsilon: f64,
    /// Tokens that the model was made for.
    pub(super) context: usize,
    pub(super) rope: Rope,
    /// The local layers' own, where there are such.
    pub(super) local_rope: Option<Rope>,
    /// Tokens that a layer looks back on at the most.
    pub(super) window: Option<usize>,
    /// Every so-and-so-manieth layer has no window and no local positions.
    pub(super) global_every: Option<usize>,
    pub(super) act: Act,
    /// Embeddings are scaled by this.
    pub(super) embedding_scale: Option<f64>,
    /// Query, key and value come of one matrix, and so do the gate and what it lets through.
    pub(super) is_fused: bool,
}

/// Rotary positions (Su et al. 2021).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rope {
    /// Dimensions of a head that are turned.
    pub(super) size: usize,
    pub(super) base: f32,
    /// Positions are divided by this.
    pub(super) factor: f32,
    /// Turned vectors are scaled by this.
    pub(super) magnitude: f32,
    /// Neighbours are turned together, rather than the two halves of a head.
    pub(super) is_interleaved: bool,
}

/// The activation of the wide layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Silu,
    GeluTanh,
}

impl Facts {
    /// # Errors
    /// What is missing, or is not supported of what the file wants.
    pub(super) fn read(content: &Content, architecture: &str) -> Result<Facts, String> {
        let value = |key: &str| content.metadata.get(&format!("{architecture}.{key}"));
        let optional = |key: &str| value(key).and_then(whole).and_then(|n| usize::try_from(n).ok());
        let number = |key: &str| {
            optional(key)
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("{architecture}.{key} is missing or wrong"))
        };
        let real = |key: &str| match value(key) {
            Some(Value::F32(value)) => Some(*value),
            Some(Value::F64(value)) => Some(*value as f32),
            _ => None,
        };
        if optional("expert_count").is_some_and(|count| count > 0) {
            return Err("mixtures of experts are not supported".to_owned());
        }
        let (layers, hidden) = (number("block_count")?, number("embedding_length")?);
        let heads = number("attention.head_count")?;
        let kv_heads = optional("attention.head_count_kv").unwrap_or(heads).max(1);
        let head_size = optional("attention.key_length").unwrap_or(hidden / heads);
        if head_size == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(format!("{heads} heads and {kv_heads} do not go together"));
        }
        let mut context = number("context_length")?;
        let factor = match value("rope.scaling.type") {
            Some(Value::String(kind)) if kind == "linear" => {
                real("rope.scaling.factor").unwrap_or(1.0)
            }
            Some(Value::String(kind)) if kind == "longrope" || kind == "none" => 1.0,
            Some(Value::String(kind)) if !kind.is_empty() => {
                return Err(format!("positions scaled by \"{kind}\" are not supported"));
            }
            _ => 1.0,
        };
        let is_gemma = architecture == "gemma3";
        let is_phi = architecture == "phi3";
        if is_phi && let Some(original) = optional("rope.scaling.original_context_length") {
            // Beyond it other factors hold for all positions.
            context = context.min(original.max(1));
        }
        let rope = Rope {
            size: optional("rope.dimension_count")
                .filter(|size| (1..=head_size).contains(size))
                .unwrap_or(head_size),
            base: real("rope.freq_base").unwrap_or(if is_gemma { 1e6 } else { 1e4 }),
            factor: if factor > 0.0 { factor } else { 1.0 },
            magnitude: real("rope.scaling.attn_factor").unwrap_or(1.0),
            is_interleaved: architecture == "llama",
        };
        let local_rope = is_gemma.then(|| Rope {
            base: real("rope.local_freq_base").unwrap_or(1e4),
            factor: 1.0,
            ..rope.clone()
        });
        // The largest Gemma 3 scales its queries as if its heads shared out the whole width.
        let scaled_by = if is_gemma && layers == 62 { hidden / heads } else { head_size };
        Ok(Facts {
            layers,
            hidden,
            heads,
            kv_heads,
            head_size,
            scale: 1.0 / (scaled_by as f64).sqrt(),
            epsilon: f64::from(real("attention.layer_norm_rms_epsilon").unwrap_or(1e-5)),
            context,
            rope,
            local_rope,
            window: (is_gemma || is_phi)
                .then(|| optional("attention.sliding_window").filter(|window| *window > 0))
                .flatten(),
            global_every: is_gemma.then_some(6),
            act: if is_gemma { Act::GeluTanh } else { Act::Silu },
            embedding_scale: is_gemma.then(|| (hidden as f64).sqrt()),
            is_fused: is_phi,
        })
    }

    /// Whether a layer looks back only so far, and has local positions.
    pub(super) fn is_local(&self, layer: usize) -> bool {
        self.global_every.is_none_or(|every| !(layer + 1).is_multiple_of(every))
    }
}
