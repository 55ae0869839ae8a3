//! Files from the Hugging Face hub, or what `HF_ENDPOINT` names instead of it.

use std::future::Future;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use hf_hub::Cache;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::redirect;
use url::Url;

use super::cache::{length, unwritable};
use crate::base::Cancel;
use crate::base::error::{Error, ErrorKind, Result};

const TICK: Duration = Duration::from_millis(50);
/// Silence in the middle of a file after which the connection counts as lost.
const STALL: Duration = Duration::from_secs(30);
/// Times that an interrupted transfer is resumed, each only if the one before made progress.
const RESUMES: usize = 5;
const REDIRECTS: usize = 10;

/// How to reach the hub.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// Instead of `HF_ENDPOINT` or the hub itself.
    pub(super) endpoint: Option<String>,
    /// Instead of `HF_TOKEN` or the token that the hub's own tools keep.
    pub(super) token: Option<String>,
    /// For a connection to stand.
    pub(super) connect: Duration,
    /// For the first answer to come.
    pub(super) answer: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            endpoint: None,
            token: None,
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(8),
        }
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

    fn token(&self) -> Option<String> {
        let named = self.token.clone().or_else(|| std::env::var("HF_TOKEN").ok());
        named.filter(|token| !token.is_empty()).or_else(kept_token)
    }

    /// Where a file lies; each part of its path is escaped.
    fn url(&self, remote: Remote<'_>) -> Outcome<Url> {
        let Remote { repository, revision, path } = remote;
        let endpoint = self.endpoint();
        let wrong = |reason: String| {
            Error::new(ErrorKind::Config, format!("the hub's address {endpoint} {reason}"))
                .hint("HF_ENDPOINT should be like https://huggingface.co")
        };
        let mut url =
            Url::parse(&endpoint).map_err(|error| wrong(format!("is not valid: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http nor https".to_owned()).into());
        }
        // A revision is one segment, whatever slashes its name has.
        url.path_segments_mut()
            .map_err(|()| wrong("can't have a path".to_owned()))?
            .pop_if_empty()
            .extend(repository.split('/'))
            .extend(["resolve", revision])
            .extend(path.split('/'));
        Ok(url)
    }

    /// A client that gives up soon. Bytes must come as they are stored: a compressed response can't be resumed.
    fn client(&self, redirects: redirect::Policy) -> Outcome<reqwest::Client> {
        crate::base::http::client()
            .user_agent(concat!("wellread/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect)
            .no_gzip()
            .redirect(redirects)
            .build()
            .map_err(|error| self.failure(&error, false))
    }

    /// Asks for a file. The token goes to the hub alone: the client takes it off a request that is
    /// redirected to another host or port.
    async fn ask(
        &self,
        request: reqwest::RequestBuilder,
        cancel: &Cancel,
    ) -> Outcome<reqwest::Response> {
        let request = match self.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        match watch(request.send(), self.answer, cancel).await? {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => {
                let unreachable = error.is_connect() || error.is_timeout();
                Err(self.failure(&error.without_url(), unreachable))
            }
            None => Err(self.silent(self.answer, true)),
        }
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

    fn refused(&self, remote: Remote<'_>, status: StatusCode) -> Failure {
        let Remote { repository, revision, path } = remote;
        let error = |text: String| Error::new(ErrorKind::Network, text);
        let error = match status {
            StatusCode::NOT_FOUND => {
                error(format!("the hub has no {path} in {repository} at {revision}"))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                error(format!("access to {repository} was denied"))
                    .hint("set HF_TOKEN to a token that may read it")
            }
            status => error(format!("the hub {} answered {status}", self.endpoint())),
        };
        error.into()
    }

    /// What the hub says of a file: its SHA-256 if it is kept in the large file store, whose ETag
    /// is one, and the commit that the revision stands for now.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the hub fails or doesn't have it; [`ErrorKind::Interrupted`].
    pub(super) fn facts(&self, remote: Remote<'_>, cancel: &Cancel) -> Outcome<Facts> {
        let url = self.url(remote)?;
        block_on(async {
            // The facts stand in the hub's own answer, which sends on to another host.
            let same_host = redirect::Policy::custom(|attempt| {
                let from = attempt.previous().last().and_then(|url| url.host_str());
                match from == attempt.url().host_str() && attempt.previous().len() < REDIRECTS {
                    true => attempt.follow(),
                    false => attempt.stop(),
                }
            });
            let response = self.ask(self.client(same_host)?.head(url), cancel).await?;
            let status = response.status();
            match status.is_success() || status.is_redirection() {
                true => Ok(Facts::from_headers(response.headers())),
                false => Err(self.refused(remote, status)),
            }
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
        let client = self.client(redirect::Policy::limited(REDIRECTS))?;
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
    client: &'a reqwest::Client,
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
        let mut request = self.client.get(access.url(remote)?);
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        let mut response = access.ask(request, cancel).await?;
        if !response.status().is_success() {
            return Err(access.refused(remote, response.status()));
        }
        let what = || format!("{} of {} at the hub", remote.path, remote.repository);
        // A hub that takes no ranges sends the file from its beginning.
        let start = if response.status() == StatusCode::PARTIAL_CONTENT { start } else { 0 };
        if let Some(first) = first_byte(response.headers())
            && first != start
        {
            let text = format!("{} came from byte {first}, not {start}", what());
            return Err(Error::new(ErrorKind::Network, text).into());
        }
        if let (Some(length @ 1..), Some(size)) = (response.content_length(), self.size)
            && start + length != size
        {
            let text = format!("{} has {} bytes, not {size}", what(), start + length);
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
            let block = match watch(response.chunk(), STALL, cancel).await? {
                Some(Ok(Some(block))) => block,
                Some(Ok(None)) => break Ok(()),
                Some(Err(error)) => break Err(access.failure(&error.without_url(), false)),
                None => break Err(access.silent(STALL, false)),
            };
            done += block.len() as u64;
            if self.size.is_some_and(|size| done > size) {
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

/// The token that the hub's own tools keep, in `HF_HOME` or the home folder.
fn kept_token() -> Option<String> {
    let has_place = std::env::var_os("HF_HOME").is_some()
        || std::env::home_dir().is_some_and(|home| !home.as_os_str().is_empty());
    // Without either, it would panic.
    if has_place { Cache::from_env().token() } else { None }
}

/// Where the bytes of an answer to a range begin, if it says so.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn access(endpoint: &str) -> Access {
        Access { endpoint: Some(endpoint.to_owned()), ..Access::default() }
    }

    #[test]
    fn an_address_is_escaped_and_below_the_endpoint() {
        let remote = Remote { repository: "o/r", revision: "refs/pr/1", path: "a b/c#d.gguf" };
        for (endpoint, url) in [
            ("https://h", "https://h/o/r/resolve/refs%2Fpr%2F1/a%20b/c%23d.gguf"),
            ("http://h:8/hf/", "http://h:8/hf/o/r/resolve/refs%2Fpr%2F1/a%20b/c%23d.gguf"),
        ] {
            assert_eq!(access(endpoint).url(remote).unwrap().as_str(), url);
        }
        for wrong in ["huggingface.co", "file:///etc", "data:text/plain,x"] {
            let error = access(wrong).url(remote).unwrap_err().error;
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_first_byte_of_a_range_is_read() {
        for (text, first) in [("bytes 9-17/18", Some(9)), ("bytes */18", None), ("x", None)] {
            let headers = HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]);
            assert_eq!(first_byte(&headers), first, "{text}");
        }
        assert_eq!(first_byte(&HeaderMap::new()), None);
    }
}
