//! Text → unit vectors, by a BERT-family sentence embedder.
//!
//! Pooling as in Sentence-BERT (Reimers and Gurevych, EMNLP 2019): the mean of the last hidden
//! states over the text's own tokens, or the first token's, then scaled to length 1.

mod gpu;
mod kept;
mod model;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_transformers::models::bert::Config;
use tokenizers::{Encoding, Tokenizer};

use crate::base::Fingerprint;
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::compute::{Gpu, Pool, math};
use crate::infer::{Embedder, Embedding, Purpose, Token};
use crate::models::Pooling;

use gpu::GpuBert;
use kept::Kept;
use model::Bert;

/// What decides a model's vectors besides its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderSpec {
    /// Its name.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// Dimensions of a vector.
    pub dimensions: usize,
    /// Tokens of a text at the most, special tokens included.
    pub max_tokens: usize,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Stands before a question.
    pub query_prefix: String,
    /// Stands before a chunk.
    pub passage_prefix: String,
}

impl EmbedderSpec {
    /// What is stored with vectors, so that those of two models are never mixed.
    pub fn fingerprint(&self) -> Fingerprint {
        // The weights have the dimensions, and what is too long is an error, not another vector.
        let EmbedderSpec {
            name,
            sha256,
            dimensions: _,
            max_tokens: _,
            pooling,
            query_prefix,
            passage_prefix,
        } = self;
        let pooling = match pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        Fingerprint(
            [
                ("embedder", name.clone()),
                ("embedder.weights", sha256.chars().take(16).collect()),
                ("embedder.pooling", pooling.to_owned()),
                ("embedder.query_prefix", query_prefix.clone()),
                ("embedder.passage_prefix", passage_prefix.clone()),
            ]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        )
    }
}

/// Where a model's files are.
#[derive(Clone, Debug)]
pub struct EmbedderFiles {
    /// safetensors.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
}

/// Tokens that go through the model at once on one core: enough for the matrices to be worth it, few
/// enough for the caches, and for the last cores not to wait long for each other.
const BATCH_TOKENS: usize = 384;

/// A BERT-family model.
pub struct BertEmbedder {
    spec: EmbedderSpec,
    encoder: Encoder,
    tokenizer: Tokenizer,
    kept: Kept,
}

/// Token ids → hidden states; both give the same (cosine ≥ 0.9999).
enum Encoder {
    Cpu { model: Arc<Bert>, pool: Arc<Pool> },
    Gpu(Box<GpuBert>),
}

impl BertEmbedder {
    /// Loads a model, to run on the CPU.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if a file is missing or damaged, or of a model with other dimensions.
    pub fn load(spec: EmbedderSpec, files: &EmbedderFiles) -> Result<BertEmbedder> {
        BertEmbedder::load_with(spec, files, |config| {
            let model = Arc::new(Bert::load(&files.weights, config)?);
            Ok(Encoder::Cpu { model, pool: Pool::shared() })
        })
    }

    /// Loads a model to a GPU. Its vectors are those of the CPU, and so is its fingerprint.
    ///
    /// # Errors
    /// As [`BertEmbedder::load`]; if the GPU has no room for it.
    pub fn load_gpu(spec: EmbedderSpec, files: &EmbedderFiles, gpu: &Gpu) -> Result<BertEmbedder> {
        BertEmbedder::load_with(spec, files, |config| {
            Ok(Encoder::Gpu(Box::new(GpuBert::load(&files.weights, config, gpu)?)))
        })
    }

    fn load_with(
        spec: EmbedderSpec,
        files: &EmbedderFiles,
        encoder: impl FnOnce(&Config) -> candle_core::Result<Encoder>,
    ) -> Result<BertEmbedder> {
        let broken = |path: &Path, error: String| {
            Error::new(ErrorKind::Model, format!("{} can't be used", path.display()))
                .caused_by(error)
                .step(Step::FetchModel(spec.name.clone()))
        };
        let config = fs_err::read(&files.config)
            .map_err(|error| Error::io("cannot read the model's configuration", error))?;
        let config: Config = serde_json::from_slice(&config)
            .map_err(|error| broken(&files.config, error.to_string()))?;
        // Reading the tokenizer takes about a fifth of the whole: it goes beside the weights.
        let (tokenizer, encoder) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| tokenizer(&files.tokenizer));
            let encoder = encoder(&config);
            (tokenizer.join(), encoder)
        });
        let tokenizer = tokenizer
            .map_err(|_| Error::new(ErrorKind::Bug, "reading the tokenizer panicked"))?
            .map_err(|error| broken(&files.tokenizer, error))?;
        let encoder = encoder.map_err(|error| broken(&files.weights, error.to_string()))?;
        if config.hidden_size != spec.dimensions {
            let said = format!("it has {} dimensions, not {}", config.hidden_size, spec.dimensions);
            return Err(broken(&files.config, said));
        }
        Ok(BertEmbedder { spec, encoder, tokenizer, kept: Kept::default() })
    }

    fn prefix(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Passage => &self.spec.passage_prefix,
            Purpose::Query => &self.spec.query_prefix,
        }
    }

    fn tokens(&self, text: &str, purpose: Purpose) -> Result<Arc<[u32]>> {
        let prefixed;
        let text = match self.prefix(purpose) {
            "" => text,
            prefix => {
                prefixed = format!("{prefix}{text}");
                &prefixed
            }
        };
        self.kept.get_or(text, || {
            let encoding = self.tokenizer.encode_fast(text, true);
            Ok(encoding.map_err(|error| self.tokenizer_failed(&error))?.get_ids().to_vec())
        })
    }

    /// A text's tokens with their bytes of it.
    fn encode(&self, text: &str) -> Result<Encoding> {
        self.tokenizer.encode(text, true).map_err(|error| self.tokenizer_failed(&error))
    }

    fn tokenizer_failed(&self, error: &tokenizers::Error) -> Error {
        Error::new(ErrorKind::Model, format!("the tokenizer of {} failed", self.spec.name))
            .caused_by(error.to_string())
    }

    /// Vectors of texts, with their states if they are wanted; see [`vectors`].
    fn run(
        &self,
        texts: &[&str],
        purpose: Purpose,
        with_states: bool,
    ) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        let mut tokens = Vec::with_capacity(texts.len());
        for text in texts {
            let ids = self.tokens(text, purpose)?;
            if ids.len() > self.spec.max_tokens {
                return Err(Error::new(
                    ErrorKind::TooLong,
                    format!(
                        "a text has {} tokens, and {} takes at most {}: \"{}…\"",
                        ids.len(),
                        self.spec.name,
                        self.spec.max_tokens,
                        text.chars().take(60).collect::<String>()
                    ),
                )
                .hint("ask a shorter question; nothing is silently truncated"));
            }
            tokens.push(ids);
        }
        let pooling = self.spec.pooling;
        let done = match &self.encoder {
            Encoder::Cpu { model, pool } => {
                let model = Arc::clone(model);
                pool.map(batches(tokens, pool.threads()), move |texts| {
                    let states = model.forward(&texts)?;
                    Ok(vectors(&states, model.hidden(), &texts, pooling, with_states))
                })
            }
            Encoder::Gpu(model) => vec![
                model
                    .forward(&tokens)
                    .map(|states| vectors(&states, model.hidden(), &tokens, pooling, with_states)),
            ],
        };
        let mut vectors = Vec::with_capacity(texts.len());
        for outcome in done {
            vectors.extend(outcome.map_err(|error: candle_core::Error| {
                Error::new(ErrorKind::Model, format!("{} failed", self.spec.name))
                    .caused_by(error.to_string())
            })?);
        }
        Ok(vectors)
    }
}

/// One vector of length 1 for each text, of its hidden states: their mean, or the first. With them
/// the states themselves, `[tokens, hidden]` for each text, if they are wanted.
fn vectors(
    states: &[f32],
    hidden: usize,
    texts: &[Arc<[u32]>],
    pooling: Pooling,
    with_states: bool,
) -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut rest = states;
    let vectors = texts.iter().map(|text| {
        let (own, others) = rest.split_at(text.len() * hidden);
        rest = others;
        let mut vector = vec![0f32; hidden];
        for (at, row) in own.chunks_exact(hidden).enumerate() {
            if at == 0 || pooling == Pooling::Mean {
                vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        // Dividing a sum by its count changes nothing once its length is 1.
        math::normalize(&mut vector);
        (vector, if with_states { own.to_vec() } else { Vec::new() })
    });
    vectors.collect()
}

/// A tokenizer that neither truncates nor pads: a text that is too long is an error, and each batch
/// is padded to its own longest text.
fn tokenizer(path: &Path) -> std::result::Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_file(path).map_err(|error| error.to_string())?;
    // A special token that is written in a text is text: "[SEP]" in an article ends nothing.
    tokenizer.set_encode_special_tokens(true);
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    Ok(tokenizer)
}

impl Embedder for BertEmbedder {
    fn fingerprint(&self) -> Fingerprint {
        self.spec.fingerprint()
    }

    fn dimensions(&self) -> usize {
        self.spec.dimensions
    }

    fn max_tokens(&self) -> usize {
        self.spec.max_tokens
    }

    fn count_tokens(&self, text: &str, purpose: Purpose) -> Result<usize> {
        Ok(self.tokens(text, purpose)?.len())
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let done = self.run(texts, purpose, false)?;
        Ok(done.into_iter().map(|(vector, _)| vector).collect())
    }

    fn embed_tokens(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Embedding>> {
        let done = self.run(texts, purpose, true)?;
        let prefix = self.prefix(purpose);
        let each = |((vector, states), text): ((Vec<f32>, Vec<f32>), &&str)| {
            let whole = format!("{prefix}{text}");
            let encoding = self.encode(&whole)?;
            let places = encoding.get_offsets().iter().zip(encoding.get_special_tokens_mask());
            let tokens = places.zip(states.chunks_exact(self.spec.dimensions)).filter_map(
                |((&(start, end), special), state)| {
                    let range = start.checked_sub(prefix.len())?..end.checked_sub(prefix.len())?;
                    let mut state = state.to_vec();
                    math::normalize(&mut state);
                    (*special == 0).then_some(Token { range, state })
                },
            );
            Ok(Embedding { vector, tokens: tokens.collect() })
        };
        done.into_iter().zip(texts).map(each).collect()
    }
}

/// Texts in batches of about [`BATCH_TOKENS`], or fewer where there would be less than one for each
/// thread.
fn batches(texts: Vec<Arc<[u32]>>, threads: usize) -> Vec<Vec<Arc<[u32]>>> {
    let total: usize = texts.iter().map(|text| text.len()).sum();
    let most = total.div_ceil(threads.max(1)).clamp(1, BATCH_TOKENS);
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut tokens = 0;
    for text in texts {
        if !batch.is_empty() && tokens + text.len() > most {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        tokens += text.len();
        batch.push(text);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_are_the_texts_in_order_and_enough_for_all_threads(
            lengths in prop::collection::vec(1usize..257, 0..100), threads in 1usize..70
        ) {
            let texts: Vec<Arc<[u32]>> = lengths
                .iter()
                .enumerate()
                .map(|(n, length)| vec![n as u32; *length].into())
                .collect();
            let batches = batches(texts.clone(), threads);
            prop_assert_eq!(batches.concat(), texts);
            prop_assert!(batches.len() >= threads.min(lengths.len()) / 2);
            for batch in &batches {
                let tokens: usize = batch.iter().map(|text| text.len()).sum();
                prop_assert!(!batch.is_empty() && (batch.len() == 1 || tokens <= BATCH_TOKENS));
            }
        }
    }
}
