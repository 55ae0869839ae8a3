//! One error for the whole library: what kind, what is wrong with which thing, and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong, whom it concerns and what to do next.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    steps: Vec<Step>,
    source: Option<Source>,
}

/// What to do next. The door that an error reaches says it in its user's terms: a shell names a
/// command, a page a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// In words that hold at every door.
    Say(String),
    /// Add a source.
    AddSource,
    /// Look at the sources.
    ListSources,
    /// Bring the index up to date.
    Sync,
    /// Build the index anew; the library has everything that it needs.
    Rebuild,
    /// Look at the generations of the index.
    ListGenerations,
    /// Bring the index from the server to this machine.
    Pull,
    /// Compute a share of the vectors again.
    EmbedShard,
    /// Look at the models.
    ListModels,
    /// Fetch a model of that name, with the network.
    FetchModel(String),
    /// Check the files of the models.
    VerifyModels,
    /// Look at the runs of evaluations.
    ListRuns,
    /// Begin a run anew.
    RestartRun,
    /// Import a corpus.
    ImportCorpus,
    /// Check models, library, index and machine.
    Diagnose,
}

/// The class of an error, for callers that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line or an argument is wrong.
    Usage,
    /// The configuration is wrong.
    Config,
    /// Something that was named is not there.
    NotFound,
    /// The network failed, or was forbidden by `--offline`.
    Network,
    /// A source could not be read as what it says it is.
    Parse,
    /// Something is over a limit that protects memory or time.
    TooLarge,
    /// The operating system refused an operation on a file.
    Io,
    /// The disk or a quota is full.
    DiskFull,
    /// A model file is missing, broken, or not of a known family.
    Model,
    /// A text is over the embedder's or the LLM's token limit.
    TooLong,
    /// The library is missing, broken, or of another version.
    Library,
    /// The index is missing, broken, or made by something else.
    Index,
    /// Another process holds a lock.
    Locked,
    /// The user stopped the work.
    Interrupted,
    /// The reader of a pipe has gone; not a failure.
    BrokenPipe,
    /// A bug in wellread.
    Bug,
}

impl Error {
    /// An error of a kind, with a message that names the thing and what is wrong with it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), steps: Vec::new(), source: None }))
    }

    /// The same with what to do next, in words that hold at every door.
    pub fn hint(self, hint: impl Into<String>) -> Error {
        self.step(Step::Say(hint.into()))
    }

    /// The same with one more thing that can be done next.
    pub fn step(mut self, step: Step) -> Error {
        self.0.steps.push(step);
        self
    }

    /// The same with its cause.
    pub fn caused_by(mut self, source: impl Into<Source>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// The user stopped the work.
    pub fn interrupted() -> Error {
        Error::new(ErrorKind::Interrupted, "stopped; everything finished so far is kept")
            .hint("run the same command again to resume")
    }

    /// An I/O error with what was being done, as `cannot read /a/b`. A full disk, a closed pipe
    /// and refused permissions become kinds and hints of their own.
    pub fn io(doing: impl fmt::Display, source: std::io::Error) -> Error {
        use std::io::ErrorKind as Io;
        let (kind, hint) = match source.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (
                ErrorKind::DiskFull,
                Some("free some space and run the same command again; nothing stored is lost"),
            ),
            Io::BrokenPipe => (ErrorKind::BrokenPipe, None),
            Io::NotFound => (ErrorKind::NotFound, None),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => {
                (ErrorKind::Io, Some("check who owns it and its permissions"))
            }
            _ => (ErrorKind::Io, None),
        };
        let error = Error::new(kind, doing.to_string()).caused_by(source);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What can be done next, the first choice first; empty if nothing is known.
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// The message and the causes under it, joined by `: `, without repeating what a cause says
    /// that its effect said already.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !said.is_empty() && !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
