//! A location → bytes: URL, file, folder or standard input.

mod http;
mod local;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::{Cancel, Events, SourceId};
use crate::error::{Error, ErrorKind, Result};

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
            max_linked_pages: 50,
            user_agent: concat!("wellread/", env!("CARGO_PKG_VERSION"), " (feed reader)").into(),
        }
    }
}

/// How a source is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
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

impl Kind {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Url => "url",
            Kind::File => "file",
            Kind::Folder => "folder",
            Kind::Stdin => "stdin",
            Kind::Import => "import",
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
                return Err(wrong(format!("{scheme} is not a scheme that wellread knows")));
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

    /// How it is fetched.
    pub fn kind(&self) -> Kind {
        match self {
            Source::Url(_) => Kind::Url,
            Source::Path(path) if path.is_dir() => Kind::Folder,
            Source::Path(_) => Kind::File,
            Source::Stdin => Kind::Stdin,
            Source::Import(_) => Kind::Import,
        }
    }
}

/// Fetches what has changed since the cursor, with the cursor to keep once it is stored.
///
/// # Errors
/// [`ErrorKind::Network`] if a server can't be reached, answers with an error, or is forbidden by
/// `offline`; [`ErrorKind::TooLarge`] over a limit; an I/O error for files.
pub fn fetch(
    source: &Source,
    cursor: &Cursor,
    options: &FetchOptions,
    offline: bool,
    events: Events<'_>,
    cancel: &Cancel,
) -> Result<(Fetched, Cursor)> {
    match source {
        Source::Url(url) if offline => Err(Error::new(
            ErrorKind::Network,
            format!("{url} can't be read: --offline forbids the network"),
        )
        .hint("run it without --offline, or give a file")),
        Source::Url(url) => http::fetch(url, cursor, options, events, cancel),
        Source::Path(path) => local::fetch(path, cursor, options),
        Source::Stdin => local::stdin(options),
        Source::Import(name) => Err(Error::new(
            ErrorKind::NotFound,
            format!("{name} is taken in by a command of its own"),
        )
        .hint("wellread eval import beir FOLDER")),
    }
}

/// One file, within the limit.
///
/// # Errors
/// [`ErrorKind::TooLarge`] or an I/O error that names it.
pub fn read_file(path: &std::path::Path, options: &FetchOptions) -> Result<Body> {
    local::read(path, options)
}

fn too_large(name: &str, limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{name} has more than {} MB", limit / 1_000_000))
        .hint("split it, or raise the limit: --set fetch.max_bytes=…")
}
