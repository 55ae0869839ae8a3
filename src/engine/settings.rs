//! Everything that decides what a knowledge base does; where the values come from is the doors'
//! business.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::answer::AnswerOptions;
use crate::compute::DeviceChoice;
use crate::document::chunk::ChunkOptions;
use crate::document::html::CleanOptions;
use crate::index::edge::EdgeOptions;
use crate::index::server::ServerOptions;
use crate::retrieve::RetrievalOptions;
use crate::source::fetch::FetchOptions;

/// Where a knowledge base keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The folder of the library (`library.sqlite`), the index and the evaluations.
    pub data: PathBuf,
    /// The folder of the models.
    pub cache: PathBuf,
}

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the library and the embedded index are; empty: the platform's data folder.
    pub data: String,
    /// Where models are; empty: the platform's cache folder.
    pub cache: String,
    /// Where the LLM and the embedder run: `auto`, `cpu`, `cuda` or `metal`.
    pub device: DeviceChoice,
    /// Never use the network.
    pub offline: bool,
    /// Which models.
    pub models: ModelChoice,
    /// Reading from the network.
    pub fetch: FetchOptions,
    /// What is kept of an article.
    pub clean: CleanOptions,
    /// How articles are cut.
    pub chunk: ChunkOptions,
    /// How hits are found.
    pub retrieval: RetrievalOptions,
    /// How questions are answered.
    pub answer: AnswerOptions,
    /// How indexes are built.
    pub index: IndexOptions,
    /// The Qdrant server, if one is used.
    pub store: StoreChoice,
    /// How doors that stay open serve.
    pub serve: ServeOptions,
}

/// How doors that stay open serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeOptions {
    /// A file whose first line is the token that every request must bear; empty: none, and then only
    /// this machine is served.
    pub token_file: String,
    /// Minutes between two readings of all sources; 0: they are not read.
    pub sync_every: u64,
    /// Answers that may wait for the LLM; one more is refused.
    pub queue: usize,
    /// Connections at the most; further ones wait.
    pub connections: usize,
    /// Bytes of a request's body at the most.
    pub max_body_bytes: usize,
    /// Seconds after which a client that says or reads nothing is given up.
    pub patience_secs: u64,
    /// Seconds after which an assistant (MCP) is given what there is of an answer: most of them wait
    /// for a minute.
    pub mcp_secs: u64,
    /// Seconds that answers have to end in once the server is told to stop.
    pub grace_secs: u64,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            token_file: String::new(),
            sync_every: 60,
            queue: 16,
            connections: 512,
            max_body_bytes: 1 << 20,
            patience_secs: 20,
            mcp_secs: 50,
            grace_secs: 30,
        }
    }
}

/// How indexes are built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexOptions {
    /// Questions (made as by `eval generate`) that a rebuilt generation is asked before it is made
    /// live; 0: none.
    pub golden_queries: usize,
    /// By how much the share of them that it finds may be below the live generation's, 0 to 1.
    pub tolerance: f64,
    /// Whether the sentences of what is embedded are embedded, too. Indexing then takes about twice
    /// as long; otherwise a search embeds those of what it finds the first time, for half a second.
    pub sentences: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions { golden_queries: 50, tolerance: 0.05, sentences: true }
    }
}

/// Which models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelChoice {
    /// The embedder: a name of `wellread models list`.
    pub embedder: String,
    /// The LLM: a name of `wellread models list`, the path of a GGUF file, or
    /// `hub:owner/repository/file.gguf`.
    pub generator: String,
    /// A folder with more manifests; empty: none.
    pub manifests: String,
    /// A prompt template's path; empty: the one that wellread ships.
    pub prompt: String,
}

impl Default for ModelChoice {
    fn default() -> Self {
        ModelChoice {
            embedder: "all-minilm-l6-v2".into(),
            generator: "qwen2.5-coder-1.5b-instruct".into(),
            manifests: String::new(),
            prompt: String::new(),
        }
    }
}

/// Where the index lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreChoice {
    /// The server's gRPC address; empty: the embedded store.
    pub url: String,
    /// Settings of the embedded store, used if `url` is not set.
    pub embedded: EdgeOptions,
    /// Settings of the server, used if `url` is set.
    pub server: ServerOptions,
}
