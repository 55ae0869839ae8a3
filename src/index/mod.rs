//! Generations: complete indexes that are made beside the live one and swapped in at once.
//!
//! ```text
//! index/
//!   current            the live generation's name, replaced by a rename
//!   writer.lock        held by whoever makes a generation
//!   g000007/           a published generation; an embedded one is never written to again
//!     generation.json  what it is and what made it
//!     lock             held by its readers
//!     articles.json    which articles it holds, at which state
//!     frequencies      in how many chunks each term is
//!     shard/           the base, an embedded store (on a server: a collection of that name instead)
//!     delta            what came after the base was built; shared with other generations
//!   g000008.building/  one that is being made, or was left by a killed process
//! ```
//!
//! An embedded generation that follows another shares its base by hard links and writes only what is
//! new, into the delta; when that has grown, base and delta become a new base. A generation on a
//! server is brought up to date where it is.

mod backup;
mod base;
mod build;
mod check;
mod delta;
pub mod edge;
mod fill;
mod frequencies;
mod layout;
mod opened;
mod payload;
pub mod server;
pub mod store;
mod targets;
mod verify;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::edge::EdgeOptions;
use self::server::{Server, ServerOptions};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleId, Cancel, DocumentId, Events, Fingerprint};
use crate::document::chunk::{self, ChunkOptions, HeadingPath};
use crate::document::html::{self, CleanOptions};
use crate::document::terms;
use crate::library::{Library, Pending};

pub use backup::{Backup, restore};
pub use build::Gate;
pub use fill::{Built, Work};
pub use opened::Opened;
pub use verify::Verified;

/// What this build writes into a generation's folder and a store's payloads.
const SCHEMA: u32 = 2;

/// Where an index is.
#[derive(Clone, Debug)]
pub struct Index {
    dir: PathBuf,
    server: Option<(String, ServerOptions)>,
    embedded: EdgeOptions,
}

/// What a generation is and what made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Its name.
    pub id: String,
    /// The schema that it was written with.
    pub schema: u32,
    /// What made it.
    pub fingerprint: Fingerprint,
    /// When it was published.
    pub created: Timestamp,
    /// Articles in it.
    pub articles: usize,
    /// Chunks in it.
    pub chunks: usize,
    /// Dimensions of its dense vectors.
    pub dimensions: usize,
    /// The generation before it.
    pub parent: Option<String>,
    /// The server that holds it; `None`: its own folder does.
    pub server: Option<String>,
    /// The library's [`Library::changes`] that it was brought up to.
    #[serde(default)]
    pub library_changes: Option<u64>,
    /// Terms of a chunk on the average when its base was built: what its BM25 weights are made with.
    #[serde(default)]
    pub average_length: f64,
    /// Chunks of its base, those included that do not count any more.
    #[serde(default)]
    pub base_chunks: usize,
    /// Chunks of its base that do not count any more, because their articles changed or went.
    #[serde(default)]
    pub superseded_chunks: usize,
    /// Bytes of the delta that are its own or its ancestors'.
    #[serde(default)]
    pub delta_bytes: u64,
    /// Chunks in these bytes, those included that do not count any more.
    #[serde(default)]
    pub delta_chunks: usize,
    /// How often it was brought up to date in place, on a server.
    #[serde(default)]
    pub amended: u64,
}

/// An article as a generation holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldArticle {
    /// The library's state that it was made from; see [`Library::pending`].
    pub state: String,
    /// Its chunks; 0 if it has no text or could not be cut.
    pub chunks: usize,
    /// The document that they were cut from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentId>,
    /// Whether they lie in the delta, and not in the base.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_delta: bool,
}

impl HeldArticle {
    /// One that is being written, or should be written anew.
    fn unfinished() -> HeldArticle {
        HeldArticle { state: String::new(), chunks: 0, document: None, in_delta: false }
    }
}

/// The articles of a generation.
pub type HeldArticles = BTreeMap<ArticleId, HeldArticle>;

impl Generation {
    /// Whether this wellread can ask it as it is. One of an older schema is built anew from the
    /// library by the next update.
    pub fn is_current(&self) -> bool {
        self.schema == SCHEMA
    }
}

impl Index {
    /// The index in a folder, its generations on a server if one is given.
    pub fn new(
        dir: PathBuf,
        server: Option<(String, ServerOptions)>,
        embedded: EdgeOptions,
    ) -> Index {
        Index { dir, server, embedded }
    }

    /// The same, with new generations in its folder.
    pub fn embedded(&self) -> Index {
        Index { server: None, ..self.clone() }
    }

    /// The server that new generations are made on; `None`: they are embedded.
    fn url(&self) -> Option<&str> {
        self.server.as_ref().map(|(url, _)| url.as_str())
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The live generation; `None` if nothing was built yet.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if the pointer points to nothing, or to what another program or a newer
    /// wellread made.
    pub fn live(&self) -> Result<Option<Generation>> {
        layout::live(&self.dir)
    }

    /// All published generations, oldest first.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn generations(&self) -> Result<Vec<Generation>> {
        layout::generations(&self.dir)
    }

    /// Bytes on disk of a generation's folder.
    pub fn bytes(&self, generation: &Generation) -> u64 {
        layout::bytes(&self.dir.join(&generation.id))
    }

    /// The articles that a generation holds.
    ///
    /// # Errors
    /// If its folder can't be read.
    pub fn articles(&self, generation: &Generation) -> Result<HeldArticles> {
        let read = |generation: &Generation| layout::articles(&self.dir, generation);
        Ok(layout::consistent(&self.dir, generation.clone(), read)?.1)
    }

    /// What a generation lacks of a library.
    ///
    /// # Errors
    /// If either can't be read.
    pub fn pending(
        &self,
        library: &Library,
        clean: &CleanOptions,
        generation: &Generation,
    ) -> Result<Pending> {
        library.pending(clean, &fill::states(&self.articles(generation)?))
    }

    /// A name that changes with every generation that is published and with every change to one on
    /// a server; `None` if there is no generation. Reads two small files.
    ///
    /// # Errors
    /// As [`Index::live`].
    pub fn live_name(&self) -> Result<Option<String>> {
        let live = self.live()?;
        Ok(live.map(|live| match live.amended {
            0 => live.id,
            n => format!("{}.{n}", live.id),
        }))
    }

    /// The documents that the chunks of all published generations were cut from.
    ///
    /// # Errors
    /// If a generation can't be read.
    pub fn documents(&self) -> Result<HashSet<DocumentId>> {
        let mut documents = HashSet::new();
        for generation in self.generations()? {
            let articles = self.articles(&generation)?.into_values();
            documents.extend(articles.filter_map(|article| article.document));
        }
        Ok(documents)
    }

    /// The live generation, opened for reading; it stays readable while it is held, whatever is
    /// published meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if there is none, it is damaged, an older wellread made it, or its
    /// settings differ from those that are `wanted`.
    pub fn open(&self, wanted: &Fingerprint) -> Result<Opened> {
        let held = layout::hold(&self.dir)?;
        check_fingerprint(&held.generation, wanted)?;
        self.open_held(held)
    }

    /// The live generation, whatever its settings.
    ///
    /// # Errors
    /// As [`Index::open`], but for the settings.
    pub fn open_any(&self) -> Result<Opened> {
        self.open_held(layout::hold(&self.dir)?)
    }

    fn server_options(&self, url: &str) -> Result<ServerOptions> {
        match &self.server {
            Some((ours, options)) if ours == url => Ok(options.clone()),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("the live generation is on the server {url}, and store.url is another"),
            )
            .hint("set store.url to it")
            .step(Step::Pull)),
        }
    }

    /// Removes the generations but the live one and, if it is kept, the one before it, and what
    /// killed builds left; their names.
    ///
    /// # Errors
    /// If something can't be removed.
    pub fn prune(
        &self,
        work_events: Events<'_>,
        cancel: &Cancel,
        keep_parent: bool,
    ) -> Result<Vec<String>> {
        let writer = layout::writer(&self.dir, work_events, cancel)?;
        // Giving out a name clears what was being built.
        writer.next(&self.dir)?;
        self.remove_old(&writer, keep_parent)
    }

    /// Makes the generation before the live one live again.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if there is none before it.
    pub fn rollback(&self) -> Result<Generation> {
        let generation = layout::rollback(&self.dir)?;
        if let Some(url) = &generation.server {
            Server::connect(url, &self.server_options(url)?)?.publish(&generation.id)?;
        }
        Ok(generation)
    }
}

/// What makes a generation: the embedder, the chunker, the cleaning, the BM25, the schema.
pub fn fingerprint(
    embedder: &Fingerprint,
    chunk: &ChunkOptions,
    clean: &CleanOptions,
) -> Fingerprint {
    // Taken apart whole, so that a new option can't be forgotten here.
    let ChunkOptions { target_tokens, max_tokens, overlap_tokens, heading_path } = chunk;
    let CleanOptions { boilerplate, repeated, repeated_share, bold_headings, keep_sources } = clean;
    let mut parts = embedder.0.clone();
    let heading_path = match heading_path {
        HeadingPath::Full => "full",
        HeadingPath::Innermost => "innermost",
        HeadingPath::None => "none",
    };
    let clean_settings = format!(
        "boilerplate={boilerplate} repeated={repeated}@{repeated_share} \
         bold_headings={bold_headings} keep={}",
        keep_sources.join(",")
    );
    parts.extend(
        [
            ("chunk.version", chunk::VERSION.to_owned()),
            ("chunk.target_tokens", target_tokens.to_string()),
            ("chunk.max_tokens", max_tokens.to_string()),
            ("chunk.overlap_tokens", overlap_tokens.to_string()),
            ("chunk.heading_path", heading_path.to_owned()),
            ("clean.version", html::VERSION.to_owned()),
            ("clean", clean_settings),
            ("bm25", terms::VERSION.to_owned()),
            ("schema", SCHEMA.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    Fingerprint(parts)
}

fn check_fingerprint(generation: &Generation, wanted: &Fingerprint) -> Result<()> {
    check_schema(generation)?;
    let differences = generation.fingerprint.differences(wanted);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Index,
        format!("settings differ from the index: {}", differences.join("; ")),
    )
    .hint("set them back")
    .step(Step::Rebuild))
}

/// Whether a generation is of this build's schema; newer ones are refused when they are read.
fn check_schema(generation: &Generation) -> Result<()> {
    if generation.schema >= SCHEMA {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Index,
        format!("an older wellread made the index (schema {})", generation.schema),
    )
    .step(Step::Sync)
    .step(Step::Rebuild))
}

/// The error of an index whose files are not as they were written.
fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Index, format!("the index is damaged: {what}")).step(Step::Rebuild)
}
