//! A local LLM in a GGUF file: prompt → text, as it comes.

mod family;
mod packed;
mod stream;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tiny;
mod transformer;
mod turn;
mod vocabulary;
mod weights;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};
use candle_transformers::generation::LogitsProcessor;

use crate::base::Fingerprint;
use crate::base::error::{Error, ErrorKind, Result};
use crate::compute::Mapped;
use crate::infer::{Finish, Generation, Generator, Prompt, Sampling};

use family::Facts;
use stream::{Decoder, StopTexts};
use template::{ChatTemplate, Part};
use transformer::Transformer;
use vocabulary::{Piece, Vocabulary};
use weights::{Keep, Weights};

/// Tokens of a prompt that go through the model at once. Between two such pieces the user is heard,
/// which must not take long on a slow machine; larger ones are no quicker.
const PREFILL: usize = 32;

/// The longest context that is used, whatever the model allows: the memory for it is taken as it
/// fills.
const MAX_CONTEXT: usize = 32_768;

/// A model with its own tokenizer, chat template and end tokens, all from its file.
pub struct Llm {
    name: String,
    sha256: String,
    model: Transformer,
    vocabulary: Vocabulary,
    template: ChatTemplate,
    bos: Option<u32>,
    ends: Vec<u32>,
    context: usize,
    complaint: Option<String>,
}

impl Llm {
    /// Loads a GGUF file of one of the families Qwen 2, Qwen 3, Llama, Gemma 3 and Phi-3.
    /// `name` and `sha256` stand in the fingerprint. `packed` is the folder where its weights are
    /// kept as the kernels read them, so that they are packed once; without it, or if nothing can be
    /// written there ([`Llm::complaint`]), they are packed in memory each time.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the file is not GGUF, damaged, of another family, or without a chat
    /// template.
    pub fn load(path: &Path, name: &str, sha256: &str, packed: Option<&Path>) -> Result<Llm> {
        let broken = Broken { path: path.to_owned() };
        let file = fs_err::File::open(path).map_err(|error| {
            Error::io("cannot open the LLM's file", error).hint("check its path")
        })?;
        let changed = file.metadata().and_then(|meta| meta.modified()).ok();
        let file = Mapped::new(&file).map_err(|error| {
            Error::io("cannot read the LLM's file", error).hint("check its path")
        })?;
        let content = Content::read(&mut std::io::Cursor::new(&file[..]))
            .map_err(|error| broken.error("it is not a GGUF file, or it is damaged", error))?;
        let text = |key: &str| match content.metadata.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let number = |key: &str| {
            content
                .metadata
                .get(key)
                .and_then(vocabulary::whole)
                .and_then(|number| u32::try_from(number).ok())
        };
        let architecture = text("general.architecture").unwrap_or_default();
        if !family::KNOWN.contains(&architecture.as_str()) {
            return Err(broken
                .said(&format!(
                    "it is of the family \"{architecture}\"; known are {}",
                    family::KNOWN.join(", ")
                ))
                .hint(OTHER));
        }
        let unusable = |what: String| broken.said(&what).hint(OTHER);
        let facts = Facts::read(&content, &architecture).map_err(unusable)?;
        let vocabulary = Vocabulary::from_gguf(&content)
            .map_err(|what| unusable(format!("its tokenizer is not supported: {what}")))?;
        let token = |id: Option<u32>| id.and_then(|id| vocabulary.token(id));
        let bos = number("tokenizer.ggml.bos_token_id");
        let eos = number("tokenizer.ggml.eos_token_id");
        let source = text("tokenizer.chat_template").ok_or_else(|| {
            broken
                .said("it has no chat template, so it is no model to ask")
                .hint("use an \"instruct\" model")
        })?;
        let template = ChatTemplate::new(
            source,
            token(bos).unwrap_or_default(),
            token(eos).unwrap_or_default(),
        )?;
        let mut ends: Vec<u32> =
            eos.into_iter().chain(number("tokenizer.ggml.eot_token_id")).collect();
        for name in [
            "<|im_end|>",
            "<|eot_id|>",
            "<end_of_turn>",
            "<|end|>",
            "<|endoftext|>",
            "<|end_of_text|>",
        ] {
            ends.extend(vocabulary.id(name));
        }
        ends.sort_unstable();
        ends.dedup();
        let adds_bos = match content.metadata.get("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(adds)) => *adds,
            // SentencePiece adds it where nothing else is said.
            _ => text("tokenizer.ggml.model").as_deref() == Some("llama"),
        };
        let context = facts.context.min(MAX_CONTEXT);
        // A file without a known hash is known by its size and time, and by where it is.
        let identity = match changed {
            Some(changed) if sha256.len() < 64 => {
                format!("{sha256} {} {} {changed:?}", file.len(), path.display())
            }
            _ => sha256.to_owned(),
        };
        let place = packed.map(|folder| folder.join(format!("{}.packed", file_name(name))));
        let keep = place.as_ref().map(|path| Keep { path, identity: &identity });
        let weights = Weights { content, file: Arc::new(file) };
        let (model, complaint) = Transformer::load(facts, &weights, keep)
            .map_err(|error| broken.error("it is damaged", error))?;
        Ok(Llm {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            model,
            vocabulary,
            template,
            bos: bos.filter(|_| adds_bos),
            ends,
            context,
            complaint: complaint.zip(place).map(|(what, place)| {
                format!("packed weights can't be kept as {}: {what}", place.display())
            }),
        })
    }

    /// Why its packed weights could not be kept, if they could not: it loads slowly and takes more
    /// memory.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// A prompt as tokens: special ones where the template writes them; what is said is plain text.
    fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let parts = self.template.lay_out(prompt)?;
        let pieces: Vec<Piece<'_>> = parts
            .iter()
            .map(|part| match part {
                Part::Template(text) => Piece::Template(text),
                Part::Said(text) => Piece::Said(text),
            })
            .collect();
        let tokens = self.vocabulary.prompt(&pieces);
        let mut tokens = tokens.map_err(|error| self.tokenizer_failed(error))?;
        if let Some(bos) = self.bos
            && tokens.first() != Some(&bos)
        {
            tokens.insert(0, bos);
        }
        Ok(tokens)
    }

    fn tokenizer_failed(&self, error: String) -> Error {
        Error::new(ErrorKind::Model, format!("the tokenizer of {} failed", self.name))
            .caused_by(error)
    }

    /// Scores of the token after the last of `tokens`, `[vocabulary]`.
    fn forward(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let scores = self.model.forward(tokens);
        scores.and_then(|scores| Tensor::new(scores, &Device::Cpu)).map_err(|error| {
            Error::new(ErrorKind::Model, format!("{} failed", self.name))
                .caused_by(error.to_string())
        })
    }
}

/// A model's name as a file may be called.
fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// What to do about a model that can't be used.
const OTHER: &str = "choose another model: wellread models list";

struct Broken {
    path: PathBuf,
}

impl Broken {
    fn said(&self, what: &str) -> Error {
        Error::new(ErrorKind::Model, format!("{} can't be used: {what}", self.path.display()))
    }

    fn error(&self, what: &str, error: candle_core::Error) -> Error {
        self.said(what)
            .caused_by(error.to_string())
            .hint("fetch it again (wellread models fetch), or choose another with --model")
    }
}

impl Generator for Llm {
    fn fingerprint(&self) -> Fingerprint {
        let short: String = self.sha256.chars().take(16).collect();
        Fingerprint([("generator".to_owned(), format!("{}@{short}", self.name))].into())
    }

    fn context_tokens(&self) -> usize {
        self.context
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        let tokens = self.vocabulary.plain(text).map_err(|error| self.tokenizer_failed(error))?;
        Ok(tokens.len())
    }

    fn generate(
        &mut self,
        prompt: &Prompt,
        sampling: &Sampling,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let tokens = self.tokens(prompt)?;
        if tokens.len() >= self.context {
            return Err(Error::new(
                ErrorKind::TooLong,
                format!(
                    "the prompt has {} tokens, and {} takes {} with the answer",
                    tokens.len(),
                    self.name,
                    self.context
                ),
            )
            .hint("give the passages less room: --set answer.context_tokens=1000"));
        }
        self.model.truncate(0);
        let mut result = Generation {
            text: String::new(),
            prompt_tokens: tokens.len(),
            completion_tokens: 0,
            finish: Finish::Length,
        };
        let mut logits = None;
        for piece in tokens.chunks(PREFILL) {
            // An empty piece of text asks whether to go on.
            if on_text("").is_break() {
                result.finish = Finish::Cancelled;
                return Ok(result);
            }
            logits = Some(self.forward(piece)?);
        }
        let temperature = (sampling.temperature > 0.0).then_some(sampling.temperature);
        let mut sampler = LogitsProcessor::new(sampling.seed, temperature, None);
        let mut decoder = Decoder::default();
        let mut stops = StopTexts::new(&sampling.stop);
        let room = sampling.max_tokens.min(self.context - tokens.len());
        let failed = |error: String| {
            Error::new(ErrorKind::Model, "the LLM's output can't be read").caused_by(error)
        };
        while let Some(scores) = logits.take() {
            if result.completion_tokens >= room {
                break;
            }
            let token = sampler.sample(&scores).map_err(|error| failed(error.to_string()))?;
            if self.ends.contains(&token) {
                result.finish = Finish::Stop;
                break;
            }
            result.completion_tokens += 1;
            let piece =
                decoder.push(token, |tokens| self.vocabulary.decode(tokens)).map_err(failed)?;
            let (text, stopped) = stops.push(&piece);
            result.text.push_str(&text);
            if stopped {
                result.finish = Finish::Stop;
                let _ = on_text(&text);
                return Ok(result);
            }
            if on_text(&text).is_break() {
                result.finish = Finish::Cancelled;
                return Ok(result);
            }
            logits = Some(self.forward(&[token])?);
        }
        let rest = decoder.finish(|tokens| self.vocabulary.decode(tokens)).map_err(failed)?;
        let (mut rest, stopped) = stops.push(&rest);
        if stopped {
            result.finish = Finish::Stop;
        } else {
            rest.push_str(&stops.finish());
        }
        if !rest.is_empty() {
            result.text.push_str(&rest);
            let _ = on_text(&rest);
        }
        Ok(result)
    }
}
