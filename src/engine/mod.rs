//! The knowledge base behind every door.
//!
//! One [`KnowledgeBase`] is made from settings and shared by all threads that ask. It neither prints
//! nor reads the environment; what happens on the way goes out as events. A question holds one
//! snapshot (a generation of the index with the documents that it was cut from) from its first
//! search to its last citation; searches never wait for the LLM, which has one fair queue.

mod about;
mod ask;
mod claims;
mod conversation;
mod details;
mod goldens;
mod index;
mod llm;
mod models;
mod read;
pub mod settings;
mod share;
mod snapshot;
mod speed;
pub mod sync;
mod text;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{CacheUse, Fingerprint};
use crate::compute::Device;
use crate::index::Index;
use crate::infer::Embedder;
use crate::library::Library;
use settings::{Config, Places};
use snapshot::Snapshots;

pub use ask::Question;
pub use goldens::{Golden, same_heading};
pub use read::ReadReport;
pub use share::Shared as SharedVectors;
pub use snapshot::Snapshot;
pub use text::ArticleText;

/// Library, models, index, retrieval and answering, made once and shared.
pub struct KnowledgeBase {
    parts: Arc<Parts>,
    index: Index,
    snapshots: Snapshots,
}

/// What all views of a knowledge base share.
struct Parts {
    config: Config,
    places: Places,
    library: Mutex<Option<Arc<Library>>>,
    device: Mutex<Option<Device>>,
    embedder: Mutex<Option<Arc<dyn Embedder>>>,
    details: details::DetailsCache,
    llm: llm::Queue,
}

impl KnowledgeBase {
    /// A knowledge base of these settings. Nothing is opened, fetched or loaded before it is needed.
    pub fn new(config: Config, places: Places) -> KnowledgeBase {
        let store = &config.store;
        let server = (!store.url.is_empty()).then(|| (store.url.clone(), store.server.clone()));
        let index = Index::new(places.data.join("index"), server, store.embedded.clone());
        let parts = Parts {
            config,
            places,
            library: Mutex::default(),
            device: Mutex::default(),
            embedder: Mutex::default(),
            details: details::DetailsCache::default(),
            llm: llm::Queue::default(),
        };
        KnowledgeBase { parts: Arc::new(parts), index, snapshots: Snapshots::default() }
    }

    /// The same library and models over an embedded index in another folder: what an evaluation
    /// asks, so that the live index stays as it is.
    pub fn beside(&self, folder: PathBuf) -> KnowledgeBase {
        let index = Index::new(folder, None, self.config().store.embedded.clone());
        KnowledgeBase { parts: Arc::clone(&self.parts), index, snapshots: Snapshots::default() }
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    /// Its caches with their names: details of hits in memory, and tokens of prompts that the LLM
    /// held.
    pub fn caches(&self) -> [(&'static str, CacheUse); 2] {
        let Parts { details, llm, .. } = &*self.parts;
        [("details", details.used()), ("prompt_tokens", llm.prompt_tokens())]
    }

    /// Where it keeps things.
    pub fn places(&self) -> &Places {
        &self.parts.places
    }

    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The library, to be written to; made if it is not there.
    ///
    /// # Errors
    /// If it can't be opened or made.
    pub fn library(&self) -> Result<Arc<Library>> {
        self.opened(|path| Library::open(path).map(Some))?
            .ok_or_else(|| Error::new(ErrorKind::Bug, "the library was opened and is not there"))
    }

    /// The library, to be read from; `None` if there is none yet.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn existing_library(&self) -> Result<Option<Arc<Library>>> {
        self.opened(|path| {
            if !path.exists() {
                return Ok(None);
            }
            match Library::open(path) {
                // A folder that is not ours to write is still there to be read.
                Err(error) if error.kind() == ErrorKind::Io => {
                    Library::open_read_only(path).map_err(|_| error).map(Some)
                }
                other => other.map(Some),
            }
        })
    }

    /// A library with articles in it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there are none yet.
    pub fn filled_library(&self) -> Result<Arc<Library>> {
        let empty =
            || Error::new(ErrorKind::NotFound, "there are no articles yet").step(Step::AddSource);
        let library = self.existing_library()?.ok_or_else(empty)?;
        if library.article_count()? == 0 { Err(empty()) } else { Ok(library) }
    }

    fn opened(
        &self,
        open: impl FnOnce(&Path) -> Result<Option<Library>>,
    ) -> Result<Option<Arc<Library>>> {
        let mut kept = self.parts.library.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = open(&self.places().data.join("library.sqlite"))?.map(Arc::new);
        }
        Ok(kept.clone())
    }

    /// What a generation made with these settings is made of.
    ///
    /// # Errors
    /// If the embedder of the settings is not known.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let embedder = self.embedder_spec()?.fingerprint();
        Ok(crate::index::fingerprint(&embedder, &self.config().chunk, &self.config().clean))
    }
}
