//! Generations: complete indexes that are made beside the live one and swapped in at once.
//!
//! ```text
//! index/
//!   current            the live generation's name, replaced by a rename
//!   writer.lock        held by whoever makes a generation
//!   g000007/           a published generation; never written to again
//!     generation.json  what it is and what made it
//!     articles.json    which articles it holds, at which state
//!     shard/           the embedded store (on a server: a collection of that name instead)
//!   g000008.building/  one that is being made, or was left by a killed process
//! ```

mod backup;
mod build;
mod layout;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bm25;
use crate::chunk::{self, ChunkOptions, HeadingPath};
use crate::domain::{ArticleId, Cancel, Document, Events, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::html::{self, CleanOptions, Repeated};
use crate::library::Library;
use crate::seams::{Embedder, Store};
use crate::store::Shape;
use crate::store::edge::{EdgeOptions, EdgeStore};
use crate::store::server::{Server, ServerOptions, ServerStore};

pub use backup::{Backup, restore};
pub use build::{Built, Gate, Work};
pub use layout::Held;
pub use verify::Verified;

/// What this build writes into a generation's folder and a store's payloads.
const SCHEMA: u32 = 1;

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
}

/// An article as a generation holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldArticle {
    /// The library's state that it was made from; see [`Library::pending`].
    pub state: String,
    /// Its chunks; 0 if it has no text.
    pub chunks: usize,
}

/// The articles of a generation.
pub type HeldArticles = BTreeMap<ArticleId, HeldArticle>;

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
        layout::articles(&self.dir, generation)
    }

    /// The live generation, opened for reading; it stays readable while the second value lives,
    /// whatever is published meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if there is none, it is damaged, or something else made it than what
    /// is `wanted`, with the parts that differ.
    pub fn open(&self, wanted: &Fingerprint) -> Result<(Box<dyn Store>, Held)> {
        let held = layout::hold(&self.dir)?;
        check_fingerprint(&held.generation, wanted)?;
        Ok((self.open_held(&held)?, held))
    }

    /// The live generation, whatever made it.
    ///
    /// # Errors
    /// As [`Index::open`], but for what made it.
    pub fn open_any(&self) -> Result<(Box<dyn Store>, Held)> {
        let held = layout::hold(&self.dir)?;
        Ok((self.open_held(&held)?, held))
    }

    fn open_held(&self, held: &Held) -> Result<Box<dyn Store>> {
        let generation = &held.generation;
        Ok(match &generation.server {
            None => Box::new(EdgeStore::open_reader(&self.dir.join(&generation.id).join("shard"))?),
            Some(url) => {
                let server = Server::connect(url, &self.server_options(url)?)?;
                let shape = Shape { dimensions: generation.dimensions };
                Box::new(ServerStore::open(server, &generation.id, &shape)?)
            }
        })
    }

    fn server_options(&self, url: &str) -> Result<ServerOptions> {
        match &self.server {
            Some((ours, options)) if ours == url => Ok(options.clone()),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("the live generation is on the server {url}, and store.url is another"),
            )
            .hint("set store.url to it, or bring the index here: wellread index pull")),
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
    let mut parts = embedder.0.clone();
    let heading_path = match chunk.heading_path {
        HeadingPath::Full => "full",
        HeadingPath::Innermost => "innermost",
        HeadingPath::None => "none",
    };
    let clean_settings = format!(
        "boilerplate={} repeated={}@{} bold_headings={} keep={}",
        clean.boilerplate,
        clean.repeated,
        clean.repeated_share,
        clean.bold_headings,
        clean.keep_sources.join(",")
    );
    parts.extend(
        [
            ("chunk.version", chunk::VERSION.to_owned()),
            ("chunk.target_tokens", chunk.target_tokens.to_string()),
            ("chunk.max_tokens", chunk.max_tokens.to_string()),
            ("chunk.overlap_tokens", chunk.overlap_tokens.to_string()),
            ("chunk.heading_path", heading_path.to_owned()),
            ("clean.version", html::VERSION.to_owned()),
            ("clean", clean_settings),
            ("bm25", bm25::VERSION.to_owned()),
            ("schema", SCHEMA.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    Fingerprint(parts)
}

fn check_fingerprint(generation: &Generation, wanted: &Fingerprint) -> Result<()> {
    let differences = generation.fingerprint.differences(wanted);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Index,
        format!("the index was made otherwise than it is asked now ({})", differences.join("; ")),
    )
    .hint("set it back, or build the index anew: wellread index rebuild"))
}

/// The document of an article at a revision, as the index has it: cleaned, with what repeats across
/// its source's articles left out. An article that is gone has an empty one.
///
/// # Errors
/// If the library can't be read.
pub fn document(
    library: &Library,
    id: &ArticleId,
    revision: u32,
    clean: &CleanOptions,
) -> Result<Document> {
    let Some(article) = library.article_at(id, revision)? else { return Ok(Document::default()) };
    let keeps = clean.keep_sources.contains(&article.meta.source.0);
    let options = CleanOptions { boilerplate: clean.boilerplate && !keeps, ..clean.clone() };
    let document = html::document(&article.content, &options);
    if keeps || !clean.repeated {
        return Ok(document);
    }
    let repeated = match library.learned(&article.meta.source)? {
        // A set that can't be read is learned anew by the next sync.
        Some(learned) => serde_json::from_str::<Repeated>(&learned.json).unwrap_or_default(),
        None => Repeated::default(),
    };
    Ok(html::remove_repeated(document, &repeated))
}

/// The shape of what an embedder makes.
fn shape(embedder: &dyn Embedder) -> Shape {
    Shape { dimensions: embedder.dimensions() }
}
