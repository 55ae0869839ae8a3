//! Files from the Hugging Face hub, or what `HF_ENDPOINT` names instead of it.

use std::future::Future;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hf_hub::{HFClient, HFError};
use reqwest::header::HeaderMap;

use super::cache::{length, unwritable};
use crate::domain::Cancel;
use crate::error::{Error, ErrorKind, Result};

const TICK: Duration = Duration::from_millis(50);
/// Silence in the middle of a file after which the connection counts as lost.
const STALL: Duration = Duration::from_secs(30);
/// Times that a broken-off transfer is gone on with, each only if the one before brought something.
const RESUMES: usize = 5;

/// How to reach the hub.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// Instead of `HF_ENDPOINT` or the hub itself.
    pub(super) endpoint: Option<String>,
    /// For a connection to stand.
    pub(super) connect: Duration,
    /// For the first answer to come.
    pub(super) answer: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Access { endpoint: None, connect: Duration::from_secs(3), answer: Duration::from_secs(8) }
    }
}

/// One file at the hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote<'a> {
    pub(super) repository: &'a str,
    pub(super) revision: &'a str,
    pub(super) path: &'a str,
}

/// What the hub says of a file; `None` where it doesn't.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) sha256: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) commit: Option<String>,
    /// Names the content, whatever it is made of.
    pub(super) etag: Option<String>,
}

/// Why a file didn't come.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The hub can't be reached at all, so that the next file needn't be tried.
    pub(super) unreachable: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, unreachable: false }
    }
}

type Outcome<T> = std::result::Result<T, Failure>;

impl Access {
    fn endpoint(&self) -> String {
        let endpoint = self
            .endpoint
            .clone()
            .or_else(|| std::env::var("HF_ENDPOINT").ok())
            .filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        endpoint.trim_end_matches('/').to_owned()
    }

    /// A client that gives up soon. Bytes must come as they are stored: of a compressed answer no
    /// range can be gone on with.
    fn http(&self, redirects: reqwest::redirect::Policy) -> Outcome<reqwest::Client> {
        reqwest::Client::builder()
            .user_agent(concat!("wellread/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect)
            .no_gzip()
            .redirect(redirects)
            .build()
            .map_err(|error| self.failure(&error, false))
    }

    fn client(&self) -> Outcome<HFClient> {
        HFClient::builder()
            .endpoint(self.endpoint())
            .client(self.http(reqwest::redirect::Policy::limited(10))?)
            .cache_enabled(false)
            .retry_max_attempts(0)
            .build()
            .map_err(|error| self.failure(&error, false))
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static), unreachable: bool) -> Failure {
        let text = match unreachable {
            true => format!("the hub {} can't be reached: {}", self.endpoint(), innermost(error)),
            false => format!("the hub {} failed: {}", self.endpoint(), innermost(error)),
        };
        Failure { error: Error::new(ErrorKind::Network, text), unreachable }
    }

    fn silent(&self, limit: Duration, unreachable: bool) -> Failure {
        let text = format!("the hub {} gave no answer for {limit:?}", self.endpoint());
        Failure { error: Error::new(ErrorKind::Network, text), unreachable }
    }

    fn hub_failure(&self, remote: Remote<'_>, error: HFError) -> Failure {
        match &error {
            HFError::Request { source, .. } => {
                let unreachable = source.is_connect() || source.is_timeout();
                self.failure(source, unreachable)
            }
            HFError::EntryNotFound { .. }
            | HFError::RepoNotFound { .. }
            | HFError::RevisionNotFound { .. } => {
                let Remote { repository, revision, path } = remote;
                let text = format!("the hub has no {path} in {repository} at {revision}");
                Error::new(ErrorKind::Network, text).into()
            }
            HFError::Http { context } => {
                let text = format!("the hub {} answered {}", self.endpoint(), context.status);
                Error::new(ErrorKind::Network, text).into()
            }
            HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
                let text = format!("the hub refuses {} without leave", remote.repository);
                Error::new(ErrorKind::Network, text)
                    .hint("set HF_TOKEN to a token that may read it")
                    .into()
            }
            _ => self.failure(&error, false),
        }
    }

    /// What the hub says of a file: its SHA-256 if it is kept in the large file store, whose ETag
    /// is one, and the commit that the revision stands for now.
    pub(super) fn facts(&self, remote: Remote<'_>, cancel: &Cancel) -> Outcome<Facts> {
        let Remote { repository, revision, path } = remote;
        let revision = revision.replace('/', "%2F");
        let url = format!("{}/{repository}/resolve/{revision}/{path}", self.endpoint());
        block_on(async {
            // The facts stand in the hub's own answer, which sends on to another host.
            let same_host = reqwest::redirect::Policy::custom(|attempt| {
                let from = attempt.previous().last().and_then(|url| url.host_str());
                match from == attempt.url().host_str() && attempt.previous().len() < 10 {
                    true => attempt.follow(),
                    false => attempt.stop(),
                }
            });
            let mut request = self.http(same_host)?.head(url);
            if let Ok(token) = std::env::var("HF_TOKEN")
                && !token.is_empty()
            {
                request = request.bearer_auth(token);
            }
            let response = match watch(request.send(), self.answer, cancel).await? {
                Some(Ok(response)) => response,
                Some(Err(error)) => return Err(self.failure(&error.without_url(), true)),
                None => return Err(self.silent(self.answer, true)),
            };
            let status = response.status();
            if status.is_success() || status.is_redirection() {
                return Ok(Facts::from_headers(response.headers()));
            }
            let text = match status {
                reqwest::StatusCode::NOT_FOUND => {
                    format!("the hub has no {path} in {repository} at {}", remote.revision)
                }
                status => format!("the hub {} answered {status}", self.endpoint()),
            };
            Err(Error::new(ErrorKind::Network, text).into())
        })
    }

    /// Fetches a file to the end of `partial`, going on from what is there. `on_bytes` is told
    /// the length of `partial` now and then.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the hub fails; what came stays. Disk errors and
    /// [`ErrorKind::Interrupted`] as such.
    pub(super) fn download(
        &self,
        remote: Remote<'_>,
        size: Option<u64>,
        partial: &Path,
        cache: &Path,
        on_bytes: &mut dyn FnMut(u64),
        cancel: &Cancel,
    ) -> Outcome<()> {
        let client = self.client()?;
        let mut resumed = 0;
        loop {
            let before = length(partial);
            let transfer = Transfer { access: self, client: &client, remote, size, partial, cache };
            let failure = match block_on(transfer.run(before, on_bytes, cancel)) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let now = length(partial);
            let lost = failure.error.kind() == ErrorKind::Network && now > before;
            let from_nothing = before > 0 && now == 0;
            if !(lost || from_nothing) || resumed == RESUMES {
                return Err(failure);
            }
            resumed += 1;
        }
    }
}

struct Transfer<'a> {
    access: &'a Access,
    client: &'a HFClient,
    remote: Remote<'a>,
    size: Option<u64>,
    partial: &'a Path,
    cache: &'a Path,
}

impl Transfer<'_> {
    async fn run(&self, start: u64, on_bytes: &mut dyn FnMut(u64), cancel: &Cancel) -> Outcome<()> {
        let Transfer { access, remote, .. } = *self;
        // Without a size there is no telling how much is left to ask for.
        let start = self.size.map_or(0, |size| if start <= size { start } else { 0 });
        if self.size == Some(start) {
            return Ok(());
        }
        let (owner, name) = hf_hub::split_id(remote.repository);
        let repository = self.client.model(owner, name);
        let range = self.size.filter(|_| start > 0).map(|size| start..size);
        let request = repository
            .download_file_stream()
            .filename(remote.path)
            .revision(remote.revision)
            .maybe_range(range)
            .send();
        let (length, mut stream) = match watch(request, access.answer, cancel).await? {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Err(access.hub_failure(remote, error)),
            None => return Err(access.silent(access.answer, true)),
        };
        let what = || format!("{} of {} at the hub", remote.path, remote.repository);
        if let (0, Some(length @ 1..), Some(size)) = (start, length, self.size)
            && length != size
        {
            let text = format!("{} has {length} bytes, not {size}", what());
            return Err(Error::new(ErrorKind::Network, text).into());
        }
        let failed = |error| Failure::from(unwritable(self.cache, error));
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.partial)
            .map_err(failed)?;
        file.file().set_len(start).map_err(failed)?;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut done = start;
        let mut told = Instant::now();
        let ended = loop {
            cancel.check()?;
            let block = match watch(stream.next(), STALL, cancel).await? {
                Some(Some(Ok(block))) => block,
                Some(Some(Err(error))) => break Err(access.hub_failure(remote, error)),
                Some(None) => break Ok(()),
                None => break Err(access.silent(STALL, false)),
            };
            done += block.len() as u64;
            if self.size.is_some_and(|size| done > size) {
                // A hub that takes no ranges sends the file from its beginning.
                file.file().set_len(0).map_err(failed)?;
                let text = format!("{} is longer than {} bytes", what(), self.size.unwrap_or(0));
                return Err(Error::new(ErrorKind::Network, text).into());
            }
            file.write_all(&block).map_err(failed)?;
            if told.elapsed() >= 2 * TICK {
                told = Instant::now();
                on_bytes(done);
            }
        };
        file.sync_all().map_err(failed)?;
        on_bytes(done);
        ended?;
        match self.size.filter(|size| *size != done) {
            Some(size) => {
                let text = format!("{} ended after {done} of {size} bytes", what());
                Err(Error::new(ErrorKind::Network, text).into())
            }
            None => Ok(()),
        }
    }
}

impl Facts {
    fn from_headers(headers: &HeaderMap) -> Facts {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text("x-linked-etag")
            .or_else(|| text("etag"))
            .map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase())
            .filter(|etag| {
                !etag.is_empty() && etag.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        let is_hex = |etag: &&String| etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        Facts {
            sha256: etag.as_ref().filter(|etag| etag.len() == 64).filter(is_hex).cloned(),
            size: text("x-linked-size").and_then(|size| size.parse().ok()).filter(|size| *size > 0),
            commit: text("x-repo-commit")
                .filter(|commit| super::manifest::is_plain(commit))
                .map(str::to_owned),
            etag,
        }
    }
}

/// The text of the last cause, where what happened stands.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string().lines().next().unwrap_or_default().chars().take(300).collect()
}

/// Runs a future to its end on this thread. A name server that doesn't answer keeps a thread, which
/// is left behind.
fn block_on<T>(future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start the network client", error))?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_background();
    outcome
}

/// What a future gives within a time; `None` if it doesn't.
///
/// # Errors
/// [`ErrorKind::Interrupted`] if the user stopped the work meanwhile.
async fn watch<F: Future>(
    future: F,
    limit: Duration,
    cancel: &Cancel,
) -> Result<Option<F::Output>> {
    let mut future = std::pin::pin!(future);
    let end = Instant::now() + limit;
    loop {
        if let Ok(output) = tokio::time::timeout(TICK, future.as_mut()).await {
            return Ok(Some(output));
        }
        cancel.check()?;
        if Instant::now() >= end {
            return Ok(None);
        }
    }
}
