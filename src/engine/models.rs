//! The models of the settings, fetched and loaded.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::KnowledgeBase;
use crate::answer::prompt::Template;
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Warning, Watch};
use crate::compute::{Device, DeviceChoice, Gpu};
use crate::infer::bert::{BertEmbedder, EmbedderFiles, EmbedderSpec};
use crate::infer::llm::{self, Llm};
use crate::infer::{Embedder, Generator};
use crate::models::{self, Choice, Manifest, Resolver};

/// The folder of the cache in which beginnings of prompts are kept; no model is called so.
const PREFIXES: &str = ".prefixes";

/// The folder of the cache in which weights are kept as the kernels read them.
const PACKED: &str = ".packed";

impl KnowledgeBase {
    /// The models that are known by name.
    ///
    /// # Errors
    /// If a manifest can't be read.
    pub fn manifests(&self) -> Result<Vec<Manifest>> {
        let folder = &self.config().models.manifests;
        models::manifests((!folder.is_empty()).then(|| Path::new(folder)))
    }

    /// What finds and fetches models' files.
    pub fn resolver(&self) -> Resolver {
        Resolver::new(self.places().cache.clone(), self.config().offline)
    }

    /// Where models run, opened when it is first asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the settings ask for a GPU that can't be used.
    pub fn device(&self) -> Result<Device> {
        let mut kept = self.parts.device.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = kept.as_ref() {
            return Ok(device.clone());
        }
        let device = self.config().device.open()?;
        Ok(kept.insert(device).clone())
    }

    /// What `load` loads to the GPU; nothing if it is to run on the CPU.
    fn on_gpu<T>(
        &self,
        device: &Device,
        name: &str,
        watch: &Watch<'_>,
        load: impl FnOnce(&Gpu) -> Result<T>,
    ) -> Result<Option<T>> {
        let Device::Gpu { gpu, .. } = device else { return Ok(None) };
        match load(gpu) {
            Ok(loaded) => Ok(Some(loaded)),
            // What is broken fails there, too.
            Err(error) if self.config().device == DeviceChoice::Auto => {
                watch.status(format!("Loading {name} on the CPU: {}", error.chain()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Why the LLM of the settings can't run on a GPU; nothing if it can, or if its file is not here.
    ///
    /// # Errors
    /// If no model is called so.
    pub fn llm_not_on_gpu(&self) -> Result<Option<String>> {
        let path = match Choice::parse(&self.config().models.generator)? {
            Choice::Manifest(name) => {
                let manifests = self.manifests()?;
                let manifest = models::find(&manifests, &name)?;
                let folder = self.resolver().state(manifest).folder;
                manifest.file("weights").map(|file| folder.join(&file.name))
            }
            Choice::Path(path) => Some(path),
            Choice::Hub { .. } => None,
        };
        let there = path.filter(|path| path.is_file());
        Ok(there.and_then(|path| llm::check_gpu(&path).err()).map(|error| error.chain()))
    }

    fn embedder_manifest(&self) -> Result<Manifest> {
        let manifests = self.manifests()?;
        models::find(&manifests, &self.config().models.embedder).cloned()
    }

    /// What decides the vectors of the settings' embedder; nothing is loaded for it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not known, or is no embedder.
    pub(super) fn embedder_spec(&self) -> Result<EmbedderSpec> {
        let manifest = self.embedder_manifest()?;
        let Some(facts) = &manifest.embedder else {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the model {} is not an embedder", manifest.name),
            )
            .step(Step::ListModels));
        };
        Ok(EmbedderSpec {
            name: manifest.name.clone(),
            sha256: manifest.file("weights").map(|file| file.sha256.clone()).unwrap_or_default(),
            dimensions: facts.dimensions,
            max_tokens: facts.max_tokens,
            pooling: facts.pooling,
            query_prefix: facts.query_prefix.clone(),
            passage_prefix: facts.passage_prefix.clone(),
        })
    }

    /// The embedder of the settings, fetched if it is not here, and kept.
    ///
    /// # Errors
    /// If it can't be had or loaded.
    pub fn embedder(&self, watch: &Watch<'_>) -> Result<Arc<dyn Embedder>> {
        let mut kept = self.parts.embedder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedder) = kept.as_ref() {
            return Ok(Arc::clone(embedder));
        }
        // Before anything is fetched.
        let device = self.device()?;
        let spec = self.embedder_spec()?;
        let manifest = self.embedder_manifest()?;
        let resolved = self.resolver().resolve(&manifest, watch.events, watch.cancel)?;
        let files = EmbedderFiles {
            weights: resolved.path("weights")?.to_owned(),
            tokenizer: resolved.path("tokenizer")?.to_owned(),
            config: resolved.path("config")?.to_owned(),
        };
        let on_gpu = |gpu: &Gpu| BertEmbedder::load_gpu(spec.clone(), &files, gpu);
        let embedder: Arc<dyn Embedder> = match self.on_gpu(&device, &spec.name, watch, on_gpu)? {
            Some(embedder) => Arc::new(embedder),
            None => Arc::new(BertEmbedder::load(spec, &files)?),
        };
        *kept = Some(Arc::clone(&embedder));
        Ok(embedder)
    }

    /// Whether the LLMs of the settings can be meant at all; they are loaded only when they are needed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no model is called so, [`ErrorKind::Model`] if its file is not
    /// there.
    pub fn check_llm(&self) -> Result<()> {
        let larger = &self.config().answer.escalate;
        if !larger.is_empty() {
            self.check_choice(larger)?;
        }
        self.check_choice(&self.config().models.generator)
    }

    fn check_choice(&self, name: &str) -> Result<()> {
        match Choice::parse(name)? {
            Choice::Manifest(name) => models::find(&self.manifests()?, &name).map(|_| ()),
            Choice::Path(path) if !path.is_file() => Err(Error::new(
                ErrorKind::Model,
                format!("the model {} is not there", path.display()),
            )
            .hint("check the path")
            .step(Step::ListModels)),
            Choice::Path(_) | Choice::Hub { .. } => Ok(()),
        }
    }

    /// Uses an LLM, named as in `models.generator` (that of the settings if `None`), once those who
    /// came before are done with it. It is fetched and loaded if it is not there, and kept.
    ///
    /// # Errors
    /// If it can't be had or loaded, the caller is stopped, or `use_it` fails.
    pub fn with_llm<T>(
        &self,
        name: Option<&str>,
        watch: &Watch<'_>,
        use_it: impl FnOnce(&mut dyn Generator) -> Result<T>,
    ) -> Result<T> {
        let name = name.unwrap_or(&self.config().models.generator);
        let load = || self.load_llm(name, watch);
        self.parts.llm.with(name, watch.cancel, load, use_it)
    }

    fn load_llm(&self, name: &str, watch: &Watch<'_>) -> Result<Box<dyn Generator>> {
        let device = self.device()?;
        let choice = Choice::parse(name)?;
        let file = self.resolver().resolve_choice(
            &choice,
            &self.manifests()?,
            watch.events,
            watch.cancel,
        )?;
        watch.status(format!("Loading {}", file.name));
        // A file given by its path is known by its size: hashing a gigabyte takes as long as
        // loading it.
        let identity = match &file.sha256 {
            Some(sha256) => sha256.clone(),
            None => {
                let size = fs_err::metadata(&file.path).map(|meta| meta.len()).unwrap_or(0);
                format!("size-{size}")
            }
        };
        let on_gpu = |gpu: &Gpu| Llm::load_gpu(&file.path, &file.name, &identity, gpu);
        if let Some(llm) = self.on_gpu(&device, &file.name, watch, on_gpu)? {
            return Ok(Box::new(llm));
        }
        let packed = self.places().cache.join(PACKED);
        let mut llm = Llm::load(&file.path, &file.name, &identity, Some(&packed))?;
        let slow = |what: &str| Warning::Model(format!("each start takes longer: {what}"));
        if let Some(complaint) = llm.complaint() {
            watch.warn(slow(complaint));
        }
        // Two files of one size may hold different models.
        if file.sha256.is_some()
            && let Err(error) = llm.keep_prefixes(&self.places().cache.join(PREFIXES))
        {
            watch.warn(slow(&error.chain()));
        }
        Ok(Box::new(llm))
    }

    /// The prompt template of the settings.
    ///
    /// # Errors
    /// If it can't be read or is not a template.
    pub fn template(&self) -> Result<Template> {
        let path = &self.config().models.prompt;
        if path.is_empty() {
            return Template::shipped();
        }
        let source = fs_err::read_to_string(path).map_err(|error| {
            Error::io("cannot read the prompt template", error).hint("check models.prompt")
        })?;
        Template::new(path, &source)
    }
}
