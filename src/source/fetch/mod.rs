//! A location → bytes: URL, file, folder or standard input.

mod address;
mod http;
mod local;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Cancel, Events, SourceId};

/// What names of imported corpora begin with.
pub const IMPORTED: &str = "beir:";

/// How sources are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchOptions {
    /// Allow URLs that point into private networks and to this machine.
    pub allow_private: bool,
    /// Bytes of one file or answer at the most, after unpacking.
    pub max_bytes: u64,
    /// Bytes of one article's body at the most; a longer one is left out and said to be.
    pub max_article_bytes: usize,
    /// Milliseconds until a connection stands.
    pub connect_timeout_ms: u64,
    /// Milliseconds without a byte after which a server is given up.
    pub read_timeout_ms: u64,
    /// Milliseconds for one answer in all.
    pub total_timeout_ms: u64,
    /// Redirects that are followed.
    pub max_redirects: usize,
    /// Pages of a paged feed that are followed (RFC 5005).
    pub max_pages: usize,
    /// Servers that are asked at the same time at the most; one host is only ever asked one thing
    /// at a time.
    pub concurrency: usize,
    /// Linked pages that are fetched in one go for articles of which a feed has only a summary; 0
    /// fetches none.
    pub max_linked_pages: usize,
    /// What wellread calls itself.
    pub user_agent: String,
}

impl Default for FetchOptions {
    fn default() -> Self {
        FetchOptions {
            allow_private: false,
            max_bytes: 128 << 20,
            max_article_bytes: 16 << 20,
            connect_timeout_ms: 10_000,
            read_timeout_ms: 30_000,
            total_timeout_ms: 300_000,
            max_redirects: 10,
            max_pages: 20,
            concurrency: 16,
            max_linked_pages: 50,
            user_agent: concat!("wellread/", env!("CARGO_PKG_VERSION"), " (feed reader)").into(),
        }
    }
}

/// How a source is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Over http or https.
    Url,
    /// A file.
    File,
    /// All files of a folder that can be read.
    Folder,
    /// Standard input, once.
    Stdin,
    /// Taken in by `eval import`, once.
    Import,
}

impl SourceKind {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Url => "url",
            SourceKind::File => "file",
            SourceKind::Folder => "folder",
            SourceKind::Stdin => "stdin",
            SourceKind::Import => "import",
        }
    }
}

/// Where something is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Over http or https.
    Url(Url),
    /// A file or folder, absolute.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// What `eval import` took in, by its name (`beir:…`).
    Import(String),
}

/// How far a source has been read: what to ask a server with, or what a file was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The server's `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The server's `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// A file's size and time, a folder's files with theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
}

/// What was fetched.
#[derive(Debug)]
pub enum Fetched {
    /// Nothing has changed since the cursor.
    Unchanged,
    /// One body.
    Body(Body),
    /// The files of a folder, to be read one by one.
    Files(Vec<PathBuf>),
}

/// One body with what is known of it.
#[derive(Debug, Default)]
pub struct Body {
    /// Unpacked.
    pub bytes: Vec<u8>,
    /// Where it came from in the end, after redirects.
    pub url: Option<String>,
    /// The server's `Content-Type`.
    pub content_type: Option<String>,
    /// The file's name.
    pub file_name: Option<String>,
}

impl Source {
    /// What a user means: `-`, an http or https URL, or a path.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for URLs of other kinds, [`ErrorKind::NotFound`] for a path that is not
    /// there.
    pub fn parse(text: &str) -> Result<Source> {
        let source = Source::of_name(text)?;
        if let Source::Path(path) = &source {
            path.metadata().map_err(|error| {
                Error::io(format!("cannot read the source {text}"), error)
                    .hint("give a feed's URL, or the path of a file or folder that is there")
            })?;
        }
        Ok(source)
    }

    /// The source that something on the network points to, which is only ever on the network
    /// itself: never a path of this machine, whatever it looks like.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] if `text` is not an absolute http or https URL.
    pub fn web(text: &str) -> Result<Source> {
        match Url::parse(text.trim()) {
            Ok(mut url) if matches!(url.scheme(), "http" | "https") => {
                url.set_fragment(None);
                Ok(Source::Url(url))
            }
            Ok(_) | Err(_) => {
                Err(Error::new(ErrorKind::Parse, format!("{text} is not an http or https address"))
                    .hint("if you trust what it points to, add that by itself"))
            }
        }
    }

    /// As [`Source::parse`], for a source that may be gone.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for URLs of other kinds.
    pub fn of_name(text: &str) -> Result<Source> {
        let text = text.trim();
        if text == "-" {
            return Ok(Source::Stdin);
        }
        if text.starts_with(IMPORTED) {
            return Ok(Source::Import(text.to_owned()));
        }
        if text.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the source is empty")
                .hint("give a feed's URL, or the path of a file or folder"));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let wrong = |why: String| {
                Error::new(ErrorKind::Usage, format!("{text} can't be read: {why}"))
                    .hint("give an http or https URL, or a path")
            };
            if scheme == "file" {
                let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
                let path = url.to_file_path().map_err(|()| wrong("it is no path".to_owned()))?;
                return Ok(Source::Path(path));
            }
            if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
                return Err(wrong(format!("the scheme {scheme} is not supported")));
            }
            let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
            url.set_fragment(None);
            return Ok(Source::Url(url));
        }
        let path = PathBuf::from(text);
        let path = path
            .canonicalize()
            .or_else(|_| std::path::absolute(&path))
            .map_err(|error| Error::io(format!("cannot read the source {text}"), error))?;
        Ok(Source::Path(path))
    }

    /// The source's name in the library.
    pub fn id(&self) -> SourceId {
        SourceId(match self {
            Source::Url(url) => url.to_string(),
            Source::Path(path) => path.to_string_lossy().into_owned(),
            Source::Stdin => "-".to_owned(),
            Source::Import(name) => name.clone(),
        })
    }

    /// What is read one after the other: everything of one host, and everything of this machine.
    pub(super) fn host(&self) -> String {
        match self {
            Source::Url(url) => host_of(url),
            Source::Path(_) | Source::Stdin | Source::Import(_) => String::new(),
        }
    }

    /// How it is fetched.
    pub fn kind(&self) -> SourceKind {
        match self {
            Source::Url(_) => SourceKind::Url,
            Source::Path(path) if path.is_dir() => SourceKind::Folder,
            Source::Path(_) => SourceKind::File,
            Source::Stdin => SourceKind::Stdin,
            Source::Import(_) => SourceKind::Import,
        }
    }
}

/// Reads locations, any number at a time; made once for everything that is read in one go.
pub struct Fetcher<'a> {
    /// How.
    pub(super) options: &'a FetchOptions,
    /// Touch no network.
    pub(super) offline: bool,
    /// Where progress and warnings go.
    pub(super) events: Events<'a>,
    cancel: &'a Cancel,
    /// Raised when nobody waits for what is fetched any more.
    stop: Cancel,
    /// Made when a URL is first fetched.
    http: Mutex<Option<Arc<http::Http>>>,
}

impl<'a> Fetcher<'a> {
    /// A fetcher; nothing is opened yet.
    pub fn new(
        options: &'a FetchOptions,
        offline: bool,
        events: Events<'a>,
        cancel: &'a Cancel,
    ) -> Fetcher<'a> {
        Fetcher {
            options,
            offline,
            events,
            cancel,
            stop: Cancel::default(),
            http: Mutex::default(),
        }
    }

    /// Fetches what has changed since the cursor, with the cursor to keep once it is stored.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if a server can't be reached, answers with an error, or is forbidden
    /// by `offline`; [`ErrorKind::TooLarge`] over a limit; an I/O error for files;
    /// [`ErrorKind::Interrupted`].
    pub fn fetch(&self, source: &Source, cursor: &Cursor) -> Result<(Fetched, Cursor)> {
        match source {
            Source::Url(url) if self.offline => Err(Error::new(
                ErrorKind::Network,
                format!("{url} can't be read: --offline forbids the network"),
            )
            .hint("run it without --offline, or give a file")),
            Source::Url(url) => self.http()?.fetch(url, cursor, self.events, &|| self.is_stopped()),
            Source::Path(path) => local::fetch(path, cursor, self.options),
            Source::Stdin => local::stdin(self.options),
            Source::Import(name) => {
                Err(Error::new(ErrorKind::NotFound, format!("{name} can only be imported"))
                    .step(Step::ImportCorpus))
            }
        }
    }

    /// Fetches pages from several hosts at a time and gives each as it comes, with its place in
    /// `urls`. Must not be called `offline`.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`], or if no client can be made; what fails of a page goes to
    /// `each`.
    pub(super) fn pages(
        &self,
        urls: &[Url],
        each: &mut dyn FnMut(usize, Result<Fetched>),
    ) -> Result<()> {
        self.http()?.fetch_all(urls, self.events, &|| self.is_stopped(), each)
    }

    /// One file, within the limit.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] or an I/O error that names it.
    pub(super) fn file(&self, path: &std::path::Path) -> Result<Body> {
        local::read(path, self.options)
    }

    /// Ends what is being fetched, as if it were interrupted.
    pub(super) fn stop(&self) {
        self.stop.raise();
    }

    /// An error of kind [`ErrorKind::Interrupted`] if it was stopped.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::interrupted()) } else { Ok(()) }
    }

    fn is_stopped(&self) -> bool {
        self.cancel.is_raised() || self.stop.is_raised()
    }

    fn http(&self) -> Result<Arc<http::Http>> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*http {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(http::Http::new(self.options)?);
        *http = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// The host of a URL with its port.
fn host_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0))
}

fn too_large(name: &str, limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{name} has more than {} MB", limit / 1_000_000))
        .hint("split it, or raise the limit: --set fetch.max_bytes=…")
}
