//! A local LLM in a GGUF file: prompt → text, as it comes.

mod constraint;
#[cfg(test)]
mod constraint_tests;
mod context;
mod decode;
#[cfg(test)]
mod decode_tests;
mod draft;
mod family;
mod gpu;
mod packed;
mod prefix;
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
use std::time::SystemTime;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{CacheUse, Fingerprint};
use crate::compute::{Gpu, Mapped};
use crate::infer::{Finish, Generated, Generator, Message, Prompt, Role, Sampling, Written};

use constraint::Grammars;
use context::{Context, Model, common};
use decode::Rules;
use family::Facts;
use gpu::GpuModel;
use prefix::Prefixes;
use template::{ChatTemplate, Part};
use transformer::Transformer;
use vocabulary::{Piece, Vocabulary};
use weights::{Keep, Weights};

/// The longest context that is used, whatever the model allows: the memory for it is taken as it
/// fills.
const MAX_CONTEXT: usize = 32_768;

/// A model with its own tokenizer, chat template and end tokens, all from its file: on the CPU, unless
/// [`Llm::load_gpu`] loaded it.
pub struct Llm<M = Transformer> {
    name: String,
    sha256: String,
    model: M,
    /// What the model was told; see [`Context`].
    told: Vec<u32>,
    /// Tokens of prompts, held and read.
    prompt_tokens: CacheUse,
    prefixes: Option<Prefixes>,
    vocabulary: Arc<Vocabulary>,
    /// For outputs that follow a schema; made when there is the first.
    grammars: Option<Grammars>,
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
        let opened = Opened::open(path)?;
        // A file without a known hash is known by its size and time, and by where it is.
        let identity = match opened.changed {
            Some(changed) if sha256.len() < 64 => {
                format!("{sha256} {} {} {changed:?}", opened.weights.file.len(), path.display())
            }
            _ => sha256.to_owned(),
        };
        let place = packed.map(|folder| folder.join(format!("{}.packed", file_name(name))));
        let mut complaint = None;
        let mut llm = opened.llm(name, sha256, "it is damaged", |weights, facts, _| {
            let keep = place.as_ref().map(|path| Keep { path, identity: &identity });
            let (model, what) = Transformer::load(facts, &weights, keep)?;
            complaint = what;
            Ok(model)
        })?;
        llm.complaint = complaint.zip(place).map(|(what, place)| {
            format!("packed weights can't be kept as {}: {what}", place.display())
        });
        Ok(llm)
    }

    /// Why its packed weights could not be kept, if they could not: it loads slowly and takes more
    /// memory.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Has what all prompts with the same instructions begin with kept in a folder, computed, for the
    /// next time that the model is loaded. Its SHA-256 must be known.
    ///
    /// # Errors
    /// If there is no such folder and it can't be made; the model is as good without.
    pub fn keep_prefixes(&mut self, folder: &Path) -> Result<()> {
        self.prefixes = Some(Prefixes::open(folder, &self.sha256)?);
        Ok(())
    }
}

impl Llm<GpuModel> {
    /// Loads the same file to a GPU, by candle; see [`Llm::load`].
    ///
    /// # Errors
    /// As [`Llm::load`], and as [`check_gpu`]; if the GPU has no room for it.
    pub fn load_gpu(path: &Path, name: &str, sha256: &str, gpu: &Gpu) -> Result<Self> {
        let mut opened = Opened::open(path)?;
        opened.check_gpu()?;
        opened.facts.context = gpu::context(&opened.facts, &opened.architecture).min(MAX_CONTEXT);
        opened.llm(name, sha256, "it does not load to the GPU", |weights, facts, architecture| {
            GpuModel::load(architecture, facts.context, weights, gpu)
        })
    }
}

/// Whether an LLM's file could run on a GPU. Only its head is read.
///
/// # Errors
/// [`ErrorKind::Model`] if it could not, or is not of a known family.
pub fn check_gpu(path: &Path) -> Result<()> {
    Opened::open(path)?.check_gpu()
}

/// A file whose head was read.
struct Opened {
    broken: Broken,
    changed: Option<SystemTime>,
    architecture: String,
    facts: Facts,
    weights: Weights,
}

impl Opened {
    fn open(path: &Path) -> Result<Opened> {
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
        let architecture = text_of(&content, "general.architecture").unwrap_or_default();
        if !family::KNOWN.contains(&architecture.as_str()) {
            return Err(broken.unusable(&format!(
                "it is of the family \"{architecture}\"; known are {}",
                family::KNOWN.join(", ")
            )));
        }
        let facts = Facts::read(&content, &architecture).map_err(|what| broken.unusable(&what))?;
        let weights = Weights { content, file: Arc::new(file) };
        Ok(Opened { broken, changed, architecture, facts, weights })
    }

    fn check_gpu(&self) -> Result<()> {
        let content = &self.weights.content;
        match gpu::unsupported(&self.facts, &self.architecture, content) {
            None => Ok(()),
            Some(what) => {
                let what = format!("on a GPU, {what}");
                Err(self.broken.unusable(&what).hint("or set device = \"cpu\" or \"auto\""))
            }
        }
    }

    /// The LLM of the file, its model loaded by `load`; `failed` is what it means if that fails.
    fn llm<M: Model>(
        self,
        name: &str,
        sha256: &str,
        failed: &str,
        load: impl FnOnce(Weights, Facts, &str) -> candle_core::Result<M>,
    ) -> Result<Llm<M>> {
        let Opened { broken, architecture, facts, weights, .. } = self;
        let content = &weights.content;
        let number = |key: &str| {
            content
                .metadata
                .get(key)
                .and_then(vocabulary::whole)
                .and_then(|number| u32::try_from(number).ok())
        };
        let vocabulary = Vocabulary::from_gguf(content)
            .map_err(|what| broken.unusable(&format!("its tokenizer is not supported: {what}")))?;
        let token = |id: Option<u32>| id.and_then(|id| vocabulary.token(id));
        let bos = number("tokenizer.ggml.bos_token_id");
        let eos = number("tokenizer.ggml.eos_token_id");
        let source = text_of(content, "tokenizer.chat_template").ok_or_else(|| {
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
            _ => text_of(content, "tokenizer.ggml.model").as_deref() == Some("llama"),
        };
        let context = facts.context.min(MAX_CONTEXT);
        let model =
            load(weights, facts, &architecture).map_err(|error| broken.error(failed, error))?;
        Ok(Llm {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            model,
            told: Vec::new(),
            prompt_tokens: CacheUse::default(),
            prefixes: None,
            vocabulary: Arc::new(vocabulary),
            grammars: None,
            template,
            bos: bos.filter(|_| adds_bos),
            ends,
            context,
            complaint: None,
        })
    }
}

/// A text of a file's metadata.
fn text_of(content: &Content, key: &str) -> Option<String> {
    match content.metadata.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

impl<M: Model> Llm<M> {
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

    /// An error if a prompt leaves no room for `more` tokens.
    fn check_room(&self, tokens: &[u32], more: usize) -> Result<()> {
        if tokens.len() + more <= self.context {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLong,
            format!(
                "the prompt has {} tokens, and {} takes {} with the answer",
                tokens.len(),
                self.name,
                self.context
            ),
        )
        .hint("give the passages less room: --set answer.read_tokens=500"))
    }

    /// Its vocabulary for outputs that follow a schema.
    fn grammars(&mut self) -> Result<&Grammars> {
        let made = match self.grammars.take() {
            Some(made) => made,
            None => Grammars::new(&self.vocabulary, &self.ends)?,
        };
        Ok(self.grammars.insert(made))
    }

    /// How many of the first tokens of a prompt are those of every prompt with the same
    /// instructions.
    fn fixed(&self, prompt: &Prompt, tokens: &[u32]) -> usize {
        let system = prompt.messages.iter().take_while(|message| message.role == Role::System);
        // What is said after them begins like one of these at the most.
        let others = ["A", "7"].map(|said| {
            let said = Message { role: Role::User, content: said.to_owned() };
            let messages = system.clone().cloned().chain([said]).collect();
            self.tokens(&Prompt { messages, opening: String::new() })
                .map_or(0, |other| common(tokens, &other))
        });
        others.into_iter().min().unwrap_or(0).min(tokens.len().saturating_sub(1))
    }

    /// Tells the model a prompt, of which only what is new is computed; the scores of what comes
    /// after it, or nothing if it was broken off.
    fn tell(
        &mut self,
        prompt: &Prompt,
        tokens: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        let fixed = self.prefixes.as_ref().map_or(0, |_| self.fixed(prompt, tokens));
        let first = &tokens[..fixed];
        let mut context =
            Context { model: &mut self.model, told: &mut self.told, name: &self.name };
        let mut held = context.holds(tokens);
        if let Some(prefixes) = &mut self.prefixes
            && prefix::is_worth(first)
            && held < fixed
        {
            let kept = prefixes.get(first);
            if kept.is_some_and(|computed| context.import(first, &computed)) {
                held = fixed;
            } else {
                // What does not fit was imported in part, and nothing is held any more.
                held = context.holds(tokens);
                if context.tell(first, go_on)?.is_none() {
                    return Ok(None);
                }
                prefixes.put(first, &context.export(fixed));
            }
        }
        self.prompt_tokens.hits += held as u64;
        self.prompt_tokens.misses += (tokens.len() - held) as u64;
        context.tell(tokens, go_on)
    }

    /// A text that follows a prompt, as the tokens that would come of both together; where those
    /// are none of the prompt's, by itself.
    fn continuation(&self, prompt: &Prompt, tokens: &[u32], text: &str) -> Result<Vec<u32>> {
        let mut whole = prompt.clone();
        whole.opening.push_str(text);
        match self.tokens(&whole)?.strip_prefix(tokens) {
            Some(rest) => Ok(rest.to_vec()),
            None => self.vocabulary.plain(text).map_err(|error| self.tokenizer_failed(error)),
        }
    }
}

/// A model's name as a file may be called.
fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

struct Broken {
    path: PathBuf,
}

impl Broken {
    fn said(&self, what: &str) -> Error {
        Error::new(ErrorKind::Model, format!("{} can't be used: {what}", self.path.display()))
    }

    /// One that another model would not have.
    fn unusable(&self, what: &str) -> Error {
        self.said(what).step(Step::ListModels)
    }

    fn error(&self, what: &str, error: candle_core::Error) -> Error {
        self.said(what).caused_by(error.to_string()).step(Step::VerifyModels).step(Step::ListModels)
    }
}

impl<M: Model + Send> Generator for Llm<M> {
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
        on_piece: &mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
    ) -> Result<Generated> {
        let tokens = self.tokens(prompt)?;
        self.check_room(&tokens, 1)?;
        let mut constraint = match &sampling.schema {
            Some(schema) => Some(self.grammars()?.follow(schema)?),
            None => None,
        };
        // An empty piece asks whether to go on.
        let mut ask = || on_piece(Written { text: "", log_probability: None });
        let Some(scores) = self.tell(prompt, &tokens, &mut ask)? else {
            return Ok(Generated::empty(tokens.len(), Finish::Cancelled));
        };
        let rules = Rules {
            sampling,
            ends: &self.ends,
            room: sampling.max_tokens.min(self.context - tokens.len()),
            decode: &|tokens| self.vocabulary.decode(tokens),
            is_guessing: M::FORGETS_FREELY,
        };
        let mut context =
            Context { model: &mut self.model, told: &mut self.told, name: &self.name };
        match &mut constraint {
            Some(constraint) => {
                decode::generate_by(constraint, &mut context, scores, &rules, on_piece)
            }
            None => decode::generate(&mut context, scores, &rules, on_piece),
        }
    }

    fn score(
        &mut self,
        prompt: &Prompt,
        continuations: &[&str],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<f64>> {
        let tokens = self.tokens(prompt)?;
        let continued = continuations
            .iter()
            .map(|text| self.continuation(prompt, &tokens, text))
            .collect::<Result<Vec<_>>>()?;
        self.check_room(&tokens, continued.iter().map(Vec::len).fold(1, usize::max))?;
        let Some(scores) = self.tell(prompt, &tokens, go_on)? else {
            return Err(Error::interrupted());
        };
        let mut context =
            Context { model: &mut self.model, told: &mut self.told, name: &self.name };
        decode::score(&mut context, &scores, &continued)
    }

    fn prompt_tokens(&self) -> CacheUse {
        self.prompt_tokens
    }
}
