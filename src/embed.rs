//! Text → unit vectors, by a BERT-family sentence embedder on candle.
//!
//! Pooling as in Sentence-BERT (Reimers and Gurevych, EMNLP 2019): the mean of the last hidden
//! states over the text's own tokens, or the first token's, then scaled to length 1.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::Tokenizer;

use crate::domain::Fingerprint;
use crate::error::{Error, ErrorKind, Result};
use crate::models::Pooling;
use crate::seams::{Embedder, Purpose};

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

/// Texts that go through the model at once: small enough for the cache of a core.
const BATCH: usize = 8;

/// A BERT-family model on the CPU.
pub struct BertEmbedder {
    spec: EmbedderSpec,
    model: BertModel,
    tokenizer: Tokenizer,
}

impl BertEmbedder {
    /// Loads a model; its weights are mapped, not copied.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if a file is missing or not what it should be.
    pub fn load(spec: EmbedderSpec, files: &EmbedderFiles) -> Result<BertEmbedder> {
        let broken = |path: &Path, error: String| {
            Error::new(ErrorKind::Model, format!("{} can't be used", path.display()))
                .caused_by(error)
                .hint(format!("fetch it again: wellread models fetch {}", spec.name))
        };
        let config = fs_err::read(&files.config)
            .map_err(|error| Error::io("cannot read the model's configuration", error))?;
        let config: Config = serde_json::from_slice(&config)
            .map_err(|error| broken(&files.config, error.to_string()))?;
        // Reading the tokenizer takes about a fifth of the whole: it goes beside the weights.
        let (tokenizer, model) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| tokenizer(&files.tokenizer));
            let model = model(&files.weights, &config);
            (tokenizer.join(), model)
        });
        let tokenizer = tokenizer
            .map_err(|_| Error::new(ErrorKind::Bug, "reading the tokenizer broke off"))?
            .map_err(|error| broken(&files.tokenizer, error))?;
        let model = model.map_err(|error| broken(&files.weights, error.to_string()))?;
        if config.hidden_size != spec.dimensions {
            let said = format!("it has {} dimensions, not {}", config.hidden_size, spec.dimensions);
            return Err(broken(&files.config, said));
        }
        Ok(BertEmbedder { spec, model, tokenizer })
    }

    fn prefix(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Passage => &self.spec.passage_prefix,
            Purpose::Query => &self.spec.query_prefix,
        }
    }

    fn tokens(&self, text: &str, purpose: Purpose) -> Result<Vec<u32>> {
        let prefixed;
        let text = match self.prefix(purpose) {
            "" => text,
            prefix => {
                prefixed = format!("{prefix}{text}");
                &prefixed
            }
        };
        // A special token that is written in a text is text: nobody gets to close the sequence.
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|error| {
            Error::new(ErrorKind::Model, format!("the tokenizer of {} failed", self.spec.name))
                .caused_by(error.to_string())
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Vectors of one batch of token lists, `[batch, dimensions]`.
    fn forward(&self, batch: &[&[u32]]) -> candle_core::Result<Vec<Vec<f32>>> {
        let rows = batch.len();
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let mut ids = vec![0u32; rows * longest];
        let mut mask = vec![0f32; rows * longest];
        for (row, tokens) in batch.iter().enumerate() {
            ids[row * longest..row * longest + tokens.len()].copy_from_slice(tokens);
            mask[row * longest..row * longest + tokens.len()].fill(1.0);
        }
        let device = &Device::Cpu;
        let is_even = batch.iter().all(|tokens| tokens.len() == longest);
        let ids = Tensor::from_vec(ids, (rows, longest), device)?;
        let mask = Tensor::from_vec(mask, (rows, longest), device)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, (!is_even).then_some(&mask))?;
        let pooled = match self.spec.pooling {
            Pooling::Mean => {
                let mask = mask.unsqueeze(2)?;
                let sum = states.broadcast_mul(&mask)?.sum(1)?;
                sum.broadcast_div(&mask.sum(1)?)?
            }
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1)?,
        };
        let length = pooled.sqr()?.sum_keepdim(1)?.sqrt()?;
        pooled.broadcast_div(&length)?.to_vec2()
    }
}

/// Nothing is cut or filled up by it: a text that is too long is an error, and each batch is filled
/// up to its own longest text.
fn tokenizer(path: &Path) -> std::result::Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_file(path).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    Ok(tokenizer)
}

fn model(weights: &PathBuf, config: &Config) -> candle_core::Result<BertModel> {
    // SAFETY: the file is of the model cache, where files are only ever replaced as a whole by a
    // rename, never written in place.
    #[allow(unsafe_code)]
    let weights = unsafe {
        VarBuilder::from_mmaped_safetensors(std::slice::from_ref(weights), DType::F32, &Device::Cpu)
    }?;
    BertModel::load(weights, config)
}

impl Embedder for BertEmbedder {
    fn fingerprint(&self) -> Fingerprint {
        let spec = &self.spec;
        let pooling = match spec.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        Fingerprint(
            [
                ("embedder", spec.name.clone()),
                ("embedder.weights", spec.sha256.chars().take(16).collect()),
                ("embedder.pooling", pooling.to_owned()),
                ("embedder.query_prefix", spec.query_prefix.clone()),
                ("embedder.passage_prefix", spec.passage_prefix.clone()),
            ]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        )
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
                .hint("ask a shorter question; nothing is cut off unseen"));
            }
            tokens.push(ids);
        }
        // Texts of like length go together, so that little is filled up.
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|at| tokens[*at].len());
        let batches: Vec<&[usize]> = order.chunks(BATCH).collect();
        let run = |batch: &[usize]| {
            let rows: Vec<&[u32]> = batch.iter().map(|at| tokens[*at].as_slice()).collect();
            self.forward(&rows)
        };
        let workers =
            std::thread::available_parallelism().map_or(1, usize::from).min(batches.len());
        let outcomes: Vec<candle_core::Result<Vec<Vec<f32>>>> = if workers < 2 {
            batches.iter().map(|batch| run(batch)).collect()
        } else {
            parallel(&batches, workers, &run)
        };
        let mut vectors = vec![Vec::new(); texts.len()];
        for (batch, outcome) in batches.iter().zip(outcomes) {
            let rows = outcome.map_err(|error| {
                Error::new(ErrorKind::Model, format!("{} failed", self.spec.name))
                    .caused_by(error.to_string())
            })?;
            for (at, row) in batch.iter().zip(rows) {
                vectors[*at] = row;
            }
        }
        Ok(vectors)
    }
}

/// Runs batches on several threads, the long ones (the last) first.
fn parallel<T: Send>(
    batches: &[&[usize]],
    workers: usize,
    run: &(dyn Fn(&[usize]) -> T + Sync),
) -> Vec<T> {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let left = AtomicUsize::new(batches.len());
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(batches.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Ok(before) =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                {
                    let outcome = run(batches[before - 1]);
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    done.push((before - 1, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
