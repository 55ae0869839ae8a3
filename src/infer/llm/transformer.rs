//! A decoder with quantised weights: token ids → scores of the next token.
//!
//! candle reads the weights and multiplies; this is the order of things between. Its own models of
//! these families are not used, because in 0.11.1 Gemma 3 fails on a second piece of a prompt, has
//! another activation than it was trained with and forgets its window when it generates, Llama ends
//! at 4,096 tokens, Qwen 3 turns positions in half precision, and each keeps every mask that it ever
//! made and a copy of the vocabulary in full precision.

use std::io::{Read, Seek};
use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Result, Tensor, bail};

use super::family::{Act, Facts, Rope};

/// A model and what it was told so far.
pub(super) struct Transformer {
    facts: Facts,
    /// One row a token, as they lie in the file.
    words: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Norm,
    output: QMatMul,
    global: Turn,
    local: Option<Turn>,
}

struct Layer {
    norm: Norm,
    qkv: Projection,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    attended: QMatMul,
    attended_norm: Option<Norm>,
    wide_norm: Norm,
    wide: Wide,
    narrow: QMatMul,
    narrow_norm: Option<Norm>,
    is_local: bool,
    held: Option<Held>,
}

enum Projection {
    Fused(QMatMul),
    /// Query, key and value, with their biases.
    Apart([(QMatMul, Option<Tensor>); 3]),
}

enum Wide {
    Fused(QMatMul),
    Apart { gate: QMatMul, up: QMatMul },
}

/// Keys and values of the tokens so far, `[1, heads, room, size]` each.
struct Held {
    keys: Tensor,
    values: Tensor,
    count: usize,
}

struct Norm {
    scale: Tensor,
    epsilon: f32,
}

/// How fast each pair of dimensions turns from position to position.
struct Turn {
    speeds: Vec<f64>,
    magnitude: f64,
    is_interleaved: bool,
}

/// Where tokens stand that go through the model together, as the layers of a kind see it.
struct Place<'a> {
    turn: &'a Turn,
    /// Cosines and sines of their positions.
    rows: (Tensor, Tensor),
    /// The first key that any of them looks back on.
    first: usize,
    /// What is added to the scores of keys from there on, `[tokens, keys]`; nothing for a single
    /// token, which sees them all.
    mask: Option<Tensor>,
}

struct Weights<'a, R> {
    content: &'a Content,
    reader: &'a mut R,
    epsilon: f32,
}

impl Transformer {
    pub(super) fn load<R: Read + Seek>(
        facts: Facts,
        content: &Content,
        reader: &mut R,
    ) -> Result<Transformer> {
        let mut from = Weights { content, reader, epsilon: facts.epsilon as f32 };
        let words = Arc::new(from.tensor("token_embd.weight")?);
        if words.shape().dims2()?.1 != facts.hidden {
            bail!("the embeddings are of the shape {:?}", words.shape());
        }
        let output = match from.has("output.weight") {
            true => from.matrix("output.weight")?,
            false => QMatMul::from_arc(Arc::clone(&words))?,
        };
        let factors = ["rope_freqs.weight", "rope_factors_short.weight"]
            .into_iter()
            .find(|name| from.has(name))
            .map(|name| from.numbers(name)?.to_vec1::<f32>())
            .transpose()?;
        let layers = (0..facts.layers)
            .map(|n| Layer::load(&facts, n, &mut from))
            .collect::<Result<Vec<_>>>()?;
        Ok(Transformer {
            norm: from.norm("output_norm.weight")?,
            global: Turn::new(&facts.rope, factors.as_deref())?,
            local: facts.local_rope.as_ref().map(|rope| Turn::new(rope, None)).transpose()?,
            words,
            layers,
            output,
            facts,
        })
    }

    /// Positions that keys and values are held of.
    pub(super) fn len(&self) -> usize {
        self.layers.first().and_then(|layer| layer.held.as_ref()).map_or(0, |held| held.count)
    }

    /// Forgets the positions from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.held = layer.held.take().filter(|_| len > 0);
            if let Some(held) = &mut layer.held {
                held.count = held.count.min(len);
            }
        }
    }

    /// Scores of the token after the last of `tokens`, which follow those that it was told before,
    /// `[vocabulary]`.
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let states = self.states(tokens)?;
        let last = states.narrow(1, tokens.len() - 1, 1)?.contiguous()?;
        self.scores(&last)
    }

    /// Scores of the token after each of `tokens`, `[tokens, vocabulary]`.
    pub(super) fn forward_each(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let states = self.states(tokens)?;
        self.scores(&states)
    }

    /// Keys and values of the first `len` positions, for [`Transformer::import`].
    pub(super) fn export(&self, len: usize) -> Vec<u8> {
        let numbers = |part: &Tensor| part.narrow(2, 0, len)?.flatten_all()?.to_vec1::<f32>();
        let held = self.layers.iter().filter_map(|layer| layer.held.as_ref());
        held.flat_map(|held| [&held.keys, &held.values])
            .flat_map(|part| numbers(part).unwrap_or_default())
            .flat_map(f32::to_le_bytes)
            .collect()
    }

    /// Takes what [`Transformer::export`] gave in the place of all that it was told; `false` if it
    /// is not of this model, and then nothing changes.
    pub(super) fn import(&mut self, len: usize, bytes: &[u8]) -> bool {
        let shape = (1, self.facts.kv_heads, len, self.facts.head_size);
        let size = self.facts.kv_heads * len * self.facts.head_size * 4;
        if len == 0 || bytes.len() != size * 2 * self.layers.len() {
            return false;
        }
        let mut parts = bytes.chunks(size).map(|bytes| {
            let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap_or_default());
            let numbers: Vec<f32> = bytes.chunks(4).map(number).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        });
        let mut imported = Vec::with_capacity(self.layers.len());
        while let (Some(keys), Some(values)) = (parts.next(), parts.next()) {
            let held = keys.and_then(|keys| Held::with(None, &keys, &values?));
            let Ok(held) = held else { return false };
            imported.push(held);
        }
        for (layer, held) in self.layers.iter_mut().zip(imported) {
            layer.held = Some(held);
        }
        true
    }

    /// What the last layer makes of tokens, `[1, tokens, hidden]`.
    fn states(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let (at, count) = (self.len(), tokens.len());
        let global = Place::new(&self.global, at, count, None)?;
        let window = self.facts.window;
        let local = match &self.local {
            Some(turn) => Place::new(turn, at, count, window)?,
            None => Place::new(&self.global, at, count, window)?,
        };
        let mut states = self.embed(tokens)?;
        for layer in &mut self.layers {
            let place = if layer.is_local { &local } else { &global };
            states = layer.forward(&states, &self.facts, place)?;
        }
        Ok(states)
    }

    fn scores(&self, states: &Tensor) -> Result<Vec<f32>> {
        self.output.forward(&self.norm.apply(states)?)?.flatten_all()?.to_vec1()
    }

    /// The rows of tokens, `[1, tokens, hidden]`: only these are brought to full precision.
    fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        let hidden = self.facts.hidden;
        let dtype = self.words.dtype();
        let size = hidden / dtype.block_size() * dtype.type_size();
        let bytes = self.words.data()?;
        let mut rows = Vec::with_capacity(tokens.len() * size);
        for token in tokens {
            let from = *token as usize * size;
            let Some(row) = bytes.get(from..from + size) else {
                bail!("token {token} is not in the model");
            };
            rows.extend_from_slice(row);
        }
        let device = &Device::Cpu;
        let rows = QStorage::from_data(rows.into(), device, dtype)?;
        let states = QTensor::new(rows, (1, tokens.len(), hidden))?.dequantize(device)?;
        match self.facts.embedding_scale {
            Some(scale) => states * scale,
            None => Ok(states),
        }
    }
}

impl Layer {
    fn load<R: Read + Seek>(facts: &Facts, n: usize, from: &mut Weights<'_, R>) -> Result<Layer> {
        let name = |part: &str| format!("blk.{n}.{part}.weight");
        let qkv = if facts.is_fused {
            Projection::Fused(from.matrix(&name("attn_qkv"))?)
        } else {
            let mut part = |part: &str| -> Result<_> {
                let bias = format!("blk.{n}.{part}.bias");
                let bias = from.has(&bias).then(|| from.numbers(&bias)).transpose()?;
                Ok((from.matrix(&name(part))?, bias))
            };
            Projection::Apart([part("attn_q")?, part("attn_k")?, part("attn_v")?])
        };
        let wide = if facts.is_fused {
            Wide::Fused(from.matrix(&name("ffn_up"))?)
        } else {
            Wide::Apart { gate: from.matrix(&name("ffn_gate"))?, up: from.matrix(&name("ffn_up"))? }
        };
        Ok(Layer {
            norm: from.norm(&name("attn_norm"))?,
            qkv,
            query_norm: from.norm_if(&name("attn_q_norm"))?,
            key_norm: from.norm_if(&name("attn_k_norm"))?,
            attended: from.matrix(&name("attn_output"))?,
            attended_norm: from.norm_if(&name("post_attention_norm"))?,
            wide_norm: from.norm(&name("ffn_norm"))?,
            wide,
            narrow: from.matrix(&name("ffn_down"))?,
            narrow_norm: from.norm_if(&name("post_ffw_norm"))?,
            is_local: facts.is_local(n),
            held: None,
        })
    }

    fn forward(&mut self, states: &Tensor, facts: &Facts, place: &Place<'_>) -> Result<Tensor> {
        let taken = self.attend(&self.norm.apply(states)?, facts, place)?;
        let taken = Norm::apply_if(self.attended_norm.as_ref(), taken)?;
        let states = (states + taken)?;
        let input = self.wide_norm.apply(&states)?;
        let (gate, up) = match &self.wide {
            Wide::Apart { gate, up } => (gate.forward(&input)?, up.forward(&input)?),
            Wide::Fused(both) => {
                let both = both.forward(&input)?;
                let half = both.dim(2)? / 2;
                (both.narrow(2, 0, half)?.contiguous()?, both.narrow(2, half, half)?.contiguous()?)
            }
        };
        let gate = match facts.act {
            Act::Silu => gate.silu()?,
            Act::GeluTanh => gate.gelu()?,
        };
        let made = self.narrow.forward(&(gate * up)?)?;
        states + Norm::apply_if(self.narrow_norm.as_ref(), made)?
    }

    /// What each token takes from itself and those before it.
    fn attend(&mut self, input: &Tensor, facts: &Facts, place: &Place<'_>) -> Result<Tensor> {
        let Facts { heads, kv_heads, head_size: size, .. } = *facts;
        let count = input.dim(1)?;
        let [query, key, value] = self.qkv.forward(input, heads * size, kv_heads * size)?;
        let by_head = |part: &Tensor, heads: usize, norm: Option<&Norm>| -> Result<Tensor> {
            let part = part.reshape((1, count, heads, size))?;
            Norm::apply_if(norm, part)?.transpose(1, 2)?.contiguous()
        };
        let Place { turn, rows, first, mask } = place;
        let query = turn.apply(&by_head(&query, heads, self.query_norm.as_ref())?, rows)?;
        let key = turn.apply(&by_head(&key, kv_heads, self.key_norm.as_ref())?, rows)?;
        let value = by_head(&value, kv_heads, None)?;
        let held = Held::with(self.held.take(), &key, &value)?;
        let seen = held.count - first;
        let keys = held.keys.narrow(2, *first, seen)?.squeeze(0)?;
        let values = held.values.narrow(2, *first, seen)?.squeeze(0)?;
        self.held = Some(held);
        // All queries that a head of keys serves, one below the other.
        let query = query.reshape((kv_heads, heads / kv_heads * count, size))?;
        let scores = (query.matmul(&keys.transpose(1, 2)?)? * facts.scale)?;
        let scores = match mask {
            Some(mask) => {
                let by_head = scores.reshape((heads, count, seen))?.broadcast_add(mask)?;
                by_head.reshape((kv_heads, heads / kv_heads * count, seen))?
            }
            None => scores,
        };
        let shares = candle_nn::ops::softmax_last_dim(&scores)?;
        let taken = shares.matmul(&values)?.reshape((heads, count, size))?;
        let taken = taken.transpose(0, 1)?.reshape((1, count, heads * size))?;
        self.attended.forward(&taken)
    }
}

impl<'a> Place<'a> {
    fn new(turn: &'a Turn, at: usize, count: usize, window: Option<usize>) -> Result<Place<'a>> {
        let back =
            |position: usize| window.map_or(0, |window| (position + 1).saturating_sub(window));
        let first = back(at);
        let seen = at + count - first;
        let mask = (count > 1).then(|| {
            let row = |position: usize| {
                let sees = back(position)..=position;
                (first..at + count)
                    .map(move |key| if sees.contains(&key) { 0f32 } else { f32::NEG_INFINITY })
            };
            let rows: Vec<f32> = (at..at + count).flat_map(row).collect();
            Tensor::from_vec(rows, (count, seen), &Device::Cpu)
        });
        Ok(Place { turn, rows: turn.rows(at, count)?, first, mask: mask.transpose()? })
    }
}

impl Projection {
    fn forward(&self, input: &Tensor, query: usize, key: usize) -> Result<[Tensor; 3]> {
        match self {
            Projection::Fused(all) => {
                let all = all.forward(input)?;
                let part = |from, size| all.narrow(2, from, size)?.contiguous();
                Ok([part(0, query)?, part(query, key)?, part(query + key, key)?])
            }
            Projection::Apart(parts) => {
                let part = |(weight, bias): &(QMatMul, Option<Tensor>)| {
                    let product = weight.forward(input)?;
                    match bias {
                        Some(bias) => product.broadcast_add(bias),
                        None => Ok(product),
                    }
                };
                Ok([part(&parts[0])?, part(&parts[1])?, part(&parts[2])?])
            }
        }
    }
}

impl Held {
    /// Adds keys and values; room doubles where there is none left.
    fn with(held: Option<Held>, keys: &Tensor, values: &Tensor) -> Result<Held> {
        let (_, heads, more, size) = keys.dims4()?;
        let count = held.as_ref().map_or(0, |held| held.count);
        let room = held.as_ref().map_or(Ok(0), |held| held.keys.dim(2))?;
        let held = match held {
            Some(held) if count + more <= room => held,
            held => {
                let room = (count + more).next_power_of_two().max(256);
                let grown = |old: Option<&Tensor>| -> Result<Tensor> {
                    let new = Tensor::zeros((1, heads, room, size), keys.dtype(), keys.device())?;
                    if let Some(old) = old {
                        new.slice_set(&old.narrow(2, 0, count)?.contiguous()?, 2, 0)?;
                    }
                    Ok(new)
                };
                let keys = grown(held.as_ref().map(|held| &held.keys))?;
                let values = grown(held.as_ref().map(|held| &held.values))?;
                Held { keys, values, count }
            }
        };
        held.keys.slice_set(keys, 2, count)?;
        held.values.slice_set(values, 2, count)?;
        Ok(Held { count: count + more, ..held })
    }
}

impl Norm {
    /// Root mean square normalisation (Zhang and Sennrich 2019).
    fn apply(&self, states: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(states, &self.scale, self.epsilon)
    }

    fn apply_if(norm: Option<&Norm>, states: Tensor) -> Result<Tensor> {
        match norm {
            Some(norm) => norm.apply(&states),
            None => Ok(states),
        }
    }
}

impl Turn {
    fn new(rope: &Rope, factors: Option<&[f32]>) -> Result<Turn> {
        let pairs = rope.size / 2;
        if factors.is_some_and(|factors| factors.len() != pairs) {
            bail!("there are not {pairs} factors of positions");
        }
        let speeds = (0..pairs).map(|pair| {
            let speed = f64::from(rope.base).powf(-2.0 * pair as f64 / rope.size as f64);
            let factor = factors.map_or(1.0, |factors| factors[pair]);
            speed / f64::from(factor) / f64::from(rope.factor)
        });
        Ok(Turn {
            speeds: speeds.collect(),
            magnitude: f64::from(rope.magnitude),
            is_interleaved: rope.is_interleaved,
        })
    }

    /// Cosines and sines of positions, `[positions, pairs]` each.
    fn rows(&self, at: usize, count: usize) -> Result<(Tensor, Tensor)> {
        let rows = |of: fn(f64) -> f64| {
            let row = |position: usize| {
                self.speeds
                    .iter()
                    .map(move |speed| (of(position as f64 * speed) * self.magnitude) as f32)
            };
            let rows: Vec<f32> = (at..at + count).flat_map(row).collect();
            Tensor::from_vec(rows, (count, self.speeds.len()), &Device::Cpu)
        };
        Ok((rows(f64::cos)?, rows(f64::sin)?))
    }

    /// Turns the first dimensions of each head; the rest stays.
    fn apply(&self, heads: &Tensor, (cos, sin): &(Tensor, Tensor)) -> Result<Tensor> {
        let turn = |part: &Tensor| match self.is_interleaved {
            true => candle_nn::rotary_emb::rope_i(part, cos, sin),
            false => candle_nn::rotary_emb::rope(part, cos, sin),
        };
        let (size, turned) = (heads.dim(3)?, self.speeds.len() * 2);
        if turned == size {
            return turn(heads);
        }
        let first = turn(&heads.narrow(3, 0, turned)?.contiguous()?)?;
        Tensor::cat(&[&first, &heads.narrow(3, turned, size - turned)?], 3)?.contiguous()
    }
}

impl<R: Read + Seek> Weights<'_, R> {
    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn tensor(&mut self, name: &str) -> Result<QTensor> {
        self.content.tensor(self.reader, name, &Device::Cpu)
    }

    fn matrix(&mut self, name: &str) -> Result<QMatMul> {
        QMatMul::from_qtensor(self.tensor(name)?)
    }

    fn numbers(&mut self, name: &str) -> Result<Tensor> {
        self.tensor(name)?.dequantize(&Device::Cpu)
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        Ok(Norm { scale: self.numbers(name)?, epsilon: self.epsilon })
    }

    fn norm_if(&mut self, name: &str) -> Result<Option<Norm>> {
        self.has(name).then(|| self.norm(name)).transpose()
    }
}
