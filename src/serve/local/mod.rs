//! The door for programs of the same user: a socket in the data folder, over which `ask` and
//! `search` use the warm models of a running server as if they were their own.
//!
//! What goes over it are the engine's own values, not the shapes of the API: so what a command
//! prints is the same to the byte, whoever computed it.

mod client;
#[cfg(unix)]
mod door;
#[cfg(unix)]
mod socket;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::answer::{Answer, AnswerSentence, DroppedSentence, Quote};
use crate::base::error::{Error, ErrorKind, Step};
use crate::base::{Event, Filter, Hit, SparseVector, hex};
use crate::engine::settings::Config;
use crate::infer::schema::Schema;
use crate::retrieve::{Mended, Passage, Retrieved};

pub use client::{Alone, ask, search};
#[cfg(unix)]
pub(super) use door::router;
#[cfg(unix)]
pub(super) use socket::Socket;

/// The socket's name in the data folder.
const NAME: &str = "serve.sock";

/// A question that is handed to a running server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Handed {
    /// What the settings of the one who asks come to ([`settings`]).
    pub settings: String,
    /// As the user put it.
    pub text: String,
    /// Which chunks may be found.
    pub filter: Filter,
    /// Sources that are read first if they are new, by their names.
    pub sources: Vec<String>,
    /// Maximum number of hits, of a search.
    pub limit: usize,
    /// Whether no LLM is asked.
    pub quotes_only: bool,
    /// The JSON Schema that the answer is to follow.
    pub schema: Option<Schema>,
}

/// What a server tells of a question that was handed to it: one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Something happened on the way.
    Event(Event),
    /// The question as it is searched for.
    Standalone(String),
    /// The sections that are read.
    Passages(Vec<Passage>),
    /// The sentences of them that answer best.
    Quotes(Vec<Quote>),
    /// A sentence that holds.
    Sentence(AnswerSentence),
    /// A sentence that was taken out.
    Dropped(DroppedSentence),
    /// The end of an answer.
    Answer(Box<Answer>),
    /// The end of a search.
    Found(Found),
    /// The end: it failed.
    Failed(Failed),
}

/// What a search found, as far as it is shown.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    hits: Vec<Hit>,
    best_cosine: Option<f32>,
    terms: SparseVector,
    mended: Vec<Mended>,
}

impl Found {
    fn new(found: Retrieved) -> Found {
        let Retrieved { hits, best_cosine, terms, mended, .. } = found;
        Found { hits, best_cosine, terms, mended }
    }

    fn retrieved(self) -> Retrieved {
        let Found { hits, best_cosine, terms, mended } = self;
        Retrieved { hits, best_cosine, terms, mended, ..Retrieved::default() }
    }
}

/// An error as it is handed back.
#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    kind: ErrorKind,
    message: String,
    steps: Vec<Step>,
}

impl Failed {
    fn new(error: &Error) -> Failed {
        Failed { kind: error.kind(), message: error.chain(), steps: error.steps().to_vec() }
    }

    fn error(self) -> Error {
        self.steps.into_iter().fold(Error::new(self.kind, self.message), Error::step)
    }
}

/// What all settings come to that decide an answer, as 32 hexadecimal digits: a server that has
/// others would answer otherwise. Where they name files, that is so only in the same folder.
pub fn settings(config: &Config) -> String {
    let mut decisive = config.clone();
    // The folder is where the socket is, and how is served changes no answer.
    decisive.data = String::new();
    decisive.serve = Default::default();
    let mut hasher = Sha256::new();
    hasher.update(env!("CARGO_PKG_VERSION"));
    hasher.update(serde_json::to_vec(&decisive).unwrap_or_default());
    hasher.update(crate::compute::tier().name());
    let models = &config.models;
    let named = [&models.generator, &models.manifests, &models.prompt, &config.cache];
    let is_relative = |name: &&String| {
        let has_parts = name.contains(['/', '\\']) || name.ends_with(".gguf");
        has_parts && !name.starts_with("hub:") && std::path::Path::new(name.as_str()).is_relative()
    };
    if named.iter().any(is_relative)
        && let Ok(folder) = std::env::current_dir()
    {
        hasher.update(folder.as_os_str().as_encoded_bytes());
    }
    hex(&hasher.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_decide_an_answer_tell_servers_apart_and_others_do_not() {
        let base = Config::default();
        let with = |change: fn(&mut Config)| {
            let mut config = base.clone();
            change(&mut config);
            settings(&config)
        };
        assert_eq!(settings(&base), with(|config| config.serve.queue += 1));
        assert_eq!(settings(&base), with(|config| config.data = "/elsewhere".into()));
        assert_ne!(settings(&base), with(|config| config.answer.seed += 1));
        assert_ne!(settings(&base), with(|config| config.models.generator = "other".into()));
        assert_ne!(settings(&base), with(|config| config.offline = true));
    }

    #[test]
    fn an_error_comes_back_as_it_was() {
        let error = Error::new(ErrorKind::NotFound, "it is gone")
            .caused_by(std::io::Error::other("moved"))
            .step(Step::FetchModel("m".into()))
            .hint("look");
        let line = serde_json::to_string(&Failed::new(&error)).unwrap();
        let back = serde_json::from_str::<Failed>(&line).unwrap().error();
        assert_eq!((back.kind(), back.chain()), (error.kind(), error.chain()));
        assert_eq!(back.steps(), error.steps());
    }
}
