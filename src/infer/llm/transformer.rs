//! A decoder with quantised weights: token ids → scores of the next token.
//!
//! The kernels multiply and attend; this is the order of things between. Families are only other
//! orders of the same steps. What comes out for a token depends on it and those before it alone: in
//! one piece, in many or one by one, the bits are the same.

use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{Result, bail};

use super::family::{Act, Facts};
use super::turn::{Turn, Turns};
use super::weights::{Keep, LayerMatrices, Weights, Words};
use crate::compute::kernels::{
    Attention, Format, Gate, Held, Matrix, Rows, attend, gated, multiply, rms_norm,
};
use crate::compute::{Pace, Pool, Yielding};

/// Tokens from which on a forward pass is one of a prompt, whose best number of threads is found by
/// itself.
const MANY: usize = 16;

/// A model and what it was told so far.
pub struct Transformer {
    facts: Facts,
    words: Words,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    output: Matrix,
    global: Turn,
    local: Option<Turn>,
    /// Positions held.
    len: usize,
    pool: Arc<Pool>,
    buffers: Buffers,
    /// Of passes over single tokens.
    pace: Pace,
    /// Of the layers of a pass over a prompt: there are few passes until the first word.
    prompt_pace: Pace,
}

struct Layer {
    matrices: LayerMatrices,
    norm: Vec<f32>,
    /// Of query, key and value.
    biases: [Option<Vec<f32>>; 3],
    query_norm: Option<Vec<f32>>,
    key_norm: Option<Vec<f32>>,
    attended_norm: Option<Vec<f32>>,
    wide_norm: Vec<f32>,
    narrow_norm: Option<Vec<f32>>,
    is_local: bool,
    held: Held,
}

/// What a forward pass works in, `[tokens, …]` each; kept from pass to pass.
#[derive(Default)]
struct Buffers {
    states: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// By heads of keys, `[kv_heads, tokens, …]`.
    attended: Vec<f32>,
    wide: Vec<f32>,
    taken: Vec<f32>,
    rows: Rows,
}

/// What the steps of a pass have in common.
struct Pass<'a> {
    facts: &'a Facts,
    pool: &'a Pool,
    epsilon: f32,
    at: usize,
    count: usize,
}

/// Whose scores are wanted.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Each,
    Last,
}

impl Transformer {
    /// A model over its mapped file; with what went wrong if its packed weights could not be kept.
    pub(super) fn load(
        facts: Facts,
        weights: &Weights,
        keep: Option<Keep<'_>>,
    ) -> Result<(Transformer, Option<String>)> {
        let pool = Pool::shared();
        let words = weights.words(&facts)?;
        let (matrices, complaint) = weights.matrices(&facts, &pool, keep)?;
        if matrices.output.rows() != words.count() {
            bail!("there are {} scores of {} tokens", matrices.output.rows(), words.count());
        }
        let factors = match weights.any_numbers("rope_freqs.weight")? {
            Some(factors) => Some(factors),
            None => weights.any_numbers("rope_factors_short.weight")?,
        };
        let layers = matrices
            .layers
            .into_iter()
            .enumerate()
            .map(|(n, matrices)| Layer::load(&facts, n, weights, matrices))
            .collect::<Result<Vec<_>>>()?;
        let model = Transformer {
            norm: weights.numbers("output_norm.weight", facts.hidden)?,
            global: Turn::new(&facts.rope, factors.as_deref())?,
            local: facts.local_rope.as_ref().map(|rope| Turn::new(rope, None)).transpose()?,
            words,
            layers,
            output: matrices.output,
            len: 0,
            pace: Pace::new(pool.threads()),
            prompt_pace: Pace::new(pool.threads()),
            pool,
            buffers: Buffers::default(),
            facts,
        };
        Ok((model, complaint))
    }

    /// Positions that it was told and has not forgotten.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Forgets the positions from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Scores of the token after the last of `tokens`, which follow those that it was told before:
    /// `[vocabulary]`.
    #[cfg(test)]
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let scores = self.forward_while(tokens, &mut || ControlFlow::Continue(()))?;
        scores.ok_or_else(|| candle_core::Error::msg("it was broken off"))
    }

    /// The same, unless `go_on`, which is asked before each layer, breaks it off: then there are no
    /// scores, and the model holds what it held before.
    pub(super) fn forward_while(
        &mut self,
        tokens: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        self.pass(tokens, After::Last, go_on)
    }

    /// Scores of the token after each of `tokens`, `[tokens, vocabulary]`.
    pub(super) fn forward_each(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let scores = self.pass(tokens, After::Each, &mut || ControlFlow::Continue(()))?;
        scores.ok_or_else(|| candle_core::Error::msg("it was broken off"))
    }

    /// Keys and values of the first `len` positions, as [`Transformer::import`] takes them.
    pub(super) fn export(&self, len: usize) -> Vec<u8> {
        let len = len.min(self.len);
        let mut bytes = Vec::with_capacity(self.layers.len() * len * self.row() * 4);
        for layer in &self.layers {
            layer.held.export(len, &mut bytes);
        }
        bytes
    }

    /// Takes the first `len` positions from what [`Transformer::export`] gave, and forgets all
    /// others. Whether it fits this model; if not, nothing is changed.
    pub(super) fn import(&mut self, len: usize, bytes: &[u8]) -> bool {
        let size = len.saturating_mul(self.row() * 4);
        if len > self.facts.context || bytes.len() != size.saturating_mul(self.layers.len()) {
            return false;
        }
        for (n, layer) in self.layers.iter_mut().enumerate() {
            layer.held.import(&bytes[n * size..(n + 1) * size]);
        }
        self.len = len;
        true
    }

    /// Numbers that a layer holds of a position, of keys and of values.
    fn row(&self) -> usize {
        self.facts.kv_heads * self.facts.head_size
    }

    fn pass(
        &mut self,
        tokens: &[u32],
        after: After,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        if tokens.is_empty() {
            bail!("there are no tokens");
        }
        let time = Yielding::begin();
        let begun = seconds(&time, &self.pool);
        self.pool.limit(self.pace.threads());
        let mut buffers = std::mem::take(&mut self.buffers);
        let scores = self.pass_in(&mut buffers, tokens, (after, &time), go_on);
        self.buffers = buffers;
        let is_whole = scores.as_ref().is_ok_and(Option::is_some);
        if is_whole && tokens.len() == 1 {
            let [worked, waited] = seconds(&time, &self.pool);
            self.pace.took(worked - begun[0], waited - begun[1]);
        }
        scores
    }

    fn pass_in(
        &mut self,
        work: &mut Buffers,
        tokens: &[u32],
        (after, time): (After, &Yielding),
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        let (at, count) = (self.len, tokens.len());
        let is_prompt = count >= MANY;
        let hidden = self.facts.hidden;
        let pass = Pass {
            facts: &self.facts,
            pool: &self.pool,
            epsilon: self.facts.epsilon as f32,
            at,
            count,
        };
        work.states.resize(count * hidden, 0.0);
        for (token, state) in tokens.iter().zip(work.states.chunks_exact_mut(hidden)) {
            self.words.write(*token, state)?;
            if let Some(scale) = self.facts.embedding_scale {
                state.iter_mut().for_each(|number| *number *= scale as f32);
            }
        }
        let global = self.global.rows(at, count);
        let local = self.local.as_ref().map(|turn| turn.rows(at, count));
        for layer in &mut self.layers {
            if go_on().is_break() {
                return Ok(None);
            }
            let begun = seconds(time, &self.pool);
            if is_prompt {
                self.pool.limit(self.prompt_pace.threads());
            }
            // What a pass that failed has left, or what was forgotten.
            layer.held.truncate(at);
            let turns = local.as_ref().filter(|_| layer.is_local).unwrap_or(&global);
            layer.attend(&pass, work, turns);
            layer.widen(&pass, work);
            if is_prompt {
                let [worked, waited] = seconds(time, &self.pool);
                let each = |seconds: f64| seconds / count as f64;
                self.prompt_pace.took(each(worked - begun[0]), each(waited - begun[1]));
            }
        }
        self.len += count;
        let first = if after == After::Each { 0 } else { count - 1 };
        let states = &work.states[first * hidden..];
        pass.fill(&mut work.rows, count - first, &[&self.output], &|row, into| {
            into.copy_from_slice(&states[row * hidden..][..hidden]);
            rms_norm(into, &self.norm, pass.epsilon);
        });
        let mut scores = vec![0.0; (count - first) * self.output.rows()];
        multiply(&self.pool, &work.rows, &mut [(&self.output, &mut scores)]);
        Ok(Some(scores))
    }
}

impl Pass<'_> {
    /// Quantises rows for these matrices.
    fn fill(
        &self,
        rows: &mut Rows,
        count: usize,
        matrices: &[&Matrix],
        write: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let formats: Vec<Format> = matrices.iter().map(|matrix| matrix.format()).collect();
        rows.fill(self.pool, count, matrices[0].columns(), &formats, write);
    }
}

impl Layer {
    fn load(facts: &Facts, n: usize, from: &Weights, matrices: LayerMatrices) -> Result<Layer> {
        let Facts { hidden, head_size, .. } = *facts;
        let name = |part: &str| format!("blk.{n}.{part}.weight");
        let optional = |name: String, count: usize| {
            from.has(&name).then(|| from.numbers(&name, count)).transpose()
        };
        let bias = |part: &str, rows: usize| optional(format!("blk.{n}.{part}.bias"), rows);
        let shapes = [&matrices.gate, &matrices.up].map(|matrix| (matrix.rows(), matrix.columns()));
        if shapes[0] != shapes[1] {
            bail!("gate and what it lets through differ: {shapes:?}");
        }
        Ok(Layer {
            norm: from.numbers(&name("attn_norm"), hidden)?,
            biases: [
                bias("attn_q", matrices.query.rows())?,
                bias("attn_k", matrices.key.rows())?,
                bias("attn_v", matrices.value.rows())?,
            ],
            query_norm: optional(name("attn_q_norm"), head_size)?,
            key_norm: optional(name("attn_k_norm"), head_size)?,
            attended_norm: optional(name("post_attention_norm"), hidden)?,
            wide_norm: from.numbers(&name("ffn_norm"), hidden)?,
            narrow_norm: optional(name("post_ffw_norm"), hidden)?,
            is_local: facts.is_local(n),
            matrices,
            held: Held::new(facts.kv_heads, head_size),
        })
    }

    /// Adds to each token's state what it takes from itself and those before it.
    fn attend(&mut self, pass: &Pass<'_>, work: &mut Buffers, turns: &Turns) {
        let Facts { hidden, heads, kv_heads, head_size: size, .. } = *pass.facts;
        let LayerMatrices { query, key, value, attended, .. } = &self.matrices;
        let count = pass.count;
        let states = &work.states;
        pass.fill(&mut work.rows, count, &[query, key, value], &|row, into| {
            into.copy_from_slice(&states[row * hidden..][..hidden]);
            rms_norm(into, &self.norm, pass.epsilon);
        });
        work.query.resize(count * query.rows(), 0.0);
        work.key.resize(count * key.rows(), 0.0);
        work.value.resize(count * value.rows(), 0.0);
        let made = [(query, &mut work.query), (key, &mut work.key), (value, &mut work.value)];
        let mut made = made.map(|(matrix, made)| (matrix, made.as_mut_slice()));
        multiply(pass.pool, &work.rows, &mut made);
        let norms = [self.query_norm.as_deref(), self.key_norm.as_deref(), None];
        for (n, (matrix, made)) in made.into_iter().enumerate() {
            for (row, made) in made.chunks_exact_mut(matrix.rows()).enumerate() {
                if let Some(bias) = &self.biases[n] {
                    made.iter_mut().zip(bias).for_each(|(number, bias)| *number += bias);
                }
                for head in made.chunks_exact_mut(size) {
                    if let Some(norm) = norms[n] {
                        rms_norm(head, norm, pass.epsilon);
                    }
                    if n < 2 {
                        turns.apply(row, head);
                    }
                }
            }
        }
        self.held.push(&work.key, &work.value);
        let shape = Attention {
            heads,
            kv_heads,
            size,
            scale: pass.facts.scale as f32,
            window: pass.facts.window.filter(|_| self.is_local),
        };
        work.attended.resize(count * heads * size, 0.0);
        let place = (pass.at, count);
        attend(pass.pool, &shape, place, &work.query, &self.held, &mut work.attended);
        let (taken, group) = (&work.attended, heads / kv_heads * size);
        pass.fill(&mut work.rows, count, &[attended], &|row, into| {
            for (head, into) in into.chunks_exact_mut(group).enumerate() {
                into.copy_from_slice(&taken[(head * count + row) * group..][..group]);
            }
        });
        add(pass, work, attended, self.attended_norm.as_deref());
    }

    /// Adds to each token's state what the wide layer makes of it.
    fn widen(&self, pass: &Pass<'_>, work: &mut Buffers) {
        let LayerMatrices { gate, up, down, .. } = &self.matrices;
        let (hidden, wide) = (pass.facts.hidden, gate.rows());
        let states = &work.states;
        pass.fill(&mut work.rows, pass.count, &[gate, up], &|row, into| {
            into.copy_from_slice(&states[row * hidden..][..hidden]);
            rms_norm(into, &self.wide_norm, pass.epsilon);
        });
        work.wide.resize(pass.count * wide, 0.0);
        let kind = match pass.facts.act {
            Act::Silu => Gate::Silu,
            Act::GeluTanh => Gate::GeluTanh,
        };
        gated(pass.pool, &work.rows, (gate, up), kind, &mut work.wide);
        let made = &work.wide;
        pass.fill(&mut work.rows, pass.count, &[down], &|row, into| {
            into.copy_from_slice(&made[row * wide..][..wide]);
        });
        add(pass, work, down, self.narrow_norm.as_deref());
    }
}

/// What was worked since a pass began, and how long callers of the pool have waited for its threads.
fn seconds(time: &Yielding, pool: &Pool) -> [f64; 2] {
    [time.worked(), pool.waited()].map(|time| time.as_secs_f64())
}

/// Adds the products of the rows to the states, after a norm if there is one.
fn add(pass: &Pass<'_>, work: &mut Buffers, matrix: &Matrix, norm: Option<&[f32]>) {
    work.taken.resize(pass.count * matrix.rows(), 0.0);
    multiply(pass.pool, &work.rows, &mut [(matrix, &mut work.taken)]);
    if let Some(norm) = norm {
        for taken in work.taken.chunks_exact_mut(matrix.rows()) {
            rms_norm(taken, norm, pass.epsilon);
        }
    }
    for (state, taken) in work.states.iter_mut().zip(&work.taken) {
        *state += taken;
    }
}

#[cfg(test)]
#[path = "transformer_tests.rs"]
mod tests;
