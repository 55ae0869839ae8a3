//! A local LLM in a GGUF file, on candle: prompt → text, as it comes.

mod family;
mod quicken;
mod stream;
mod template;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Tensor};
use candle_transformers::generation::LogitsProcessor;
use tokenizers::Tokenizer;

use crate::domain::Fingerprint;
use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Finish, Generation, Generator, Prompt, Sampling};

use family::Model;
use stream::{Decoder, StopTexts};
use template::ChatTemplate;

/// Tokens of a prompt that go through the model at once; between two such pieces the user is
/// heard.
const PREFILL: usize = 256;

/// The longest context that is used, whatever the model allows: the memory for it is taken as it
/// fills.
const MAX_CONTEXT: usize = 32_768;

/// A model with its own tokenizer, chat template and end tokens, all from its file.
pub struct Llm {
    name: String,
    sha256: String,
    model: Model,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    bos: Option<u32>,
    ends: Vec<u32>,
    context: usize,
}

impl Llm {
    /// Loads a GGUF file of a family that candle reads: Qwen2, Qwen3, Llama, Gemma 3, Phi-3.
    /// `name` and `sha256` stand in the fingerprint.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the file is not GGUF, damaged, of another family, or without a chat
    /// template.
    pub fn load(path: &Path, name: &str, sha256: &str) -> Result<Llm> {
        let broken = Broken { path: path.to_owned() };
        let file = fs_err::File::open(path).map_err(|error| {
            Error::io("cannot open the LLM's file", error).hint("check its path")
        })?;
        let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
        let content = Content::read(&mut reader)
            .map_err(|error| broken.error("it is not a GGUF file, or it is damaged", error))?;
        let tokenizer = Tokenizer::from_gguf(&content)
            .map_err(|error| broken.error("its tokenizer can't be used", error))?;
        let text = |key: &str| match content.metadata.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let number = |key: &str| {
            content.metadata.get(key).and_then(|value| match value {
                Value::U32(n) => Some(*n),
                Value::I32(n) => u32::try_from(*n).ok(),
                Value::U64(n) => u32::try_from(*n).ok(),
                _ => None,
            })
        };
        let architecture = text("general.architecture").unwrap_or_default();
        let token = |id: Option<u32>| id.and_then(|id| tokenizer.id_to_token(id));
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
            ends.extend(tokenizer.token_to_id(name));
        }
        ends.sort_unstable();
        ends.dedup();
        let adds_bos =
            matches!(content.metadata.get("tokenizer.ggml.add_bos_token"), Some(Value::Bool(true)));
        let context = number(&format!("{architecture}.context_length"))
            .map_or(2048, |n| n as usize)
            .min(MAX_CONTEXT);
        let quick = quicken::quicken(&content, &mut reader)
            .map_err(|error| broken.error("it is damaged", error))?;
        let loaded = match quick {
            Some((content, mut reader)) => Model::load(&architecture, content, &mut reader),
            None => Model::load(&architecture, content, &mut reader),
        };
        let model = loaded.map_err(|error| match error {
            family::LoadError::Unknown => broken
                .said(&format!(
                    "it is of the family \"{architecture}\"; known are {}",
                    family::KNOWN.join(", ")
                ))
                .hint("choose another model: wellread models list"),
            family::LoadError::Candle(error) => broken.error("it is damaged", error),
        })?;
        Ok(Llm {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            model,
            tokenizer,
            template,
            bos: bos.filter(|_| adds_bos),
            ends,
            context,
        })
    }

    /// A prompt as tokens: the template's own text with its special tokens, what is said as plain
    /// text.
    fn tokens(&mut self, prompt: &Prompt) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        for part in self.template.lay_out(prompt)? {
            let (text, is_plain) = match &part {
                template::Part::Template(text) => (text, false),
                template::Part::Said(text) => (text, true),
            };
            tokens.extend(self.encode(text, is_plain)?);
        }
        if let Some(bos) = self.bos
            && tokens.first() != Some(&bos)
        {
            tokens.insert(0, bos);
        }
        Ok(tokens)
    }

    fn encode(&mut self, text: &str, is_plain: bool) -> Result<Vec<u32>> {
        self.tokenizer.set_encode_special_tokens(is_plain);
        let encoding = self.tokenizer.encode_fast(text, false);
        self.tokenizer.set_encode_special_tokens(true);
        let encoding = encoding.map_err(|error| {
            Error::new(ErrorKind::Model, format!("the tokenizer of {} failed", self.name))
                .caused_by(error.to_string())
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Logits of the token after the last of `tokens`, `[vocabulary]`.
    fn forward(&mut self, tokens: &[u32], at: usize) -> Result<Tensor> {
        let run = || -> candle_core::Result<Tensor> {
            let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
            self.model.forward(&input, at)?.flatten_all()
        };
        let mut run = run;
        run().map_err(|error| {
            Error::new(ErrorKind::Model, format!("{} failed", self.name))
                .caused_by(error.to_string())
        })
    }
}

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
        // Between calls special tokens are plain text.
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| {
            Error::new(ErrorKind::Model, format!("the tokenizer of {} failed", self.name))
                .caused_by(error.to_string())
        })?;
        Ok(encoding.len())
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
        self.model.clear();
        let mut result = Generation {
            text: String::new(),
            prompt_tokens: tokens.len(),
            completion_tokens: 0,
            finish: Finish::Length,
        };
        let mut at = 0;
        let mut logits = None;
        for piece in tokens.chunks(PREFILL) {
            // An empty piece of text asks whether to go on.
            if on_text("").is_break() {
                result.finish = Finish::Cancelled;
                return Ok(result);
            }
            logits = Some(self.forward(piece, at)?);
            at += piece.len();
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
            let piece = decoder
                .push(token, |tokens| {
                    self.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
                })
                .map_err(failed)?;
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
            logits = Some(self.forward(&[token], at)?);
            at += 1;
        }
        let rest = decoder
            .finish(|tokens| self.tokenizer.decode(tokens, true).map_err(|error| error.to_string()))
            .map_err(failed)?;
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
