//! Over http and https: conditional requests (RFC 9110), redirects checked one by one, limits, and
//! one request at a time to a host.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use url::{Host, Url};

use super::address::is_public;
use super::{Body, Cursor, FetchOptions, Fetched, too_large};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Event, Events, Unit};

/// One HTTP client for everything that is fetched in one go; any number of threads may ask it.
pub(super) struct Http {
    options: FetchOptions,
    client: Client,
    pins: Arc<Pins>,
    /// Held while a host is asked.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Held while any host is asked.
    all: Arc<Semaphore>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
}

/// Where a URL led.
enum Hop {
    To(Url),
    End(Fetched, Cursor),
}

impl Http {
    pub(super) fn new(options: &FetchOptions) -> Result<Http> {
        let cannot = |error| Error::io("cannot start the HTTP client", error);
        let pins = Arc::new(Pins::default());
        let client = crate::base::http::client()
            .user_agent(&options.user_agent)
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
            .read_timeout(Duration::from_millis(options.read_timeout_ms))
            .dns_resolver(Arc::clone(&pins))
            .build()
            .map_err(|error| cannot(std::io::Error::other(error)))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // It drives the connections of all threads that ask.
        let driver = std::thread::Builder::new()
            .name("fetch".into())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
            })
            .map_err(cannot)?;
        Ok(Http {
            all: Arc::new(Semaphore::new(options.concurrency.max(1))),
            options: options.clone(),
            client,
            pins,
            hosts: Mutex::default(),
            handle,
            stop: Some(stop),
            driver: Some(driver),
        })
    }

    /// Fetches one URL, unless it is as it was at the cursor. Waits until `is_stopped` at most.
    pub(super) fn fetch(
        &self,
        url: &Url,
        cursor: &Cursor,
        events: Events<'_>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(Fetched, Cursor)> {
        self.handle.block_on(async {
            tokio::select! {
                outcome = self.get(url, cursor, events) => outcome,
                () = raised(is_stopped) => Err(Error::interrupted()),
            }
        })
    }

    /// Fetches several URLs, hosts beside each other, and gives each outcome as it comes, with the
    /// URL's place in the list.
    pub(super) fn fetch_all(
        &self,
        urls: &[Url],
        events: Events<'_>,
        is_stopped: &dyn Fn() -> bool,
        each: &mut dyn FnMut(usize, Result<Fetched>),
    ) -> Result<()> {
        self.handle.block_on(async {
            let mut running: FuturesUnordered<_> =
                urls.iter()
                    .enumerate()
                    .map(|(at, url)| async move {
                        (at, self.get(url, &Cursor::default(), events).await)
                    })
                    .collect();
            loop {
                tokio::select! {
                    next = running.next() => match next {
                        Some((at, outcome)) => each(at, outcome.map(|(fetched, _)| fetched)),
                        None => return Ok(()),
                    },
                    () = raised(is_stopped) => return Err(Error::interrupted()),
                }
            }
        })
    }

    async fn get(
        &self,
        url: &Url,
        cursor: &Cursor,
        events: Events<'_>,
    ) -> Result<(Fetched, Cursor)> {
        let task = format!("Fetching {url}");
        let outcome = self.follow(url, cursor, &task, events).await;
        events(Event::Done { task });
        outcome
    }

    async fn follow(
        &self,
        url: &Url,
        cursor: &Cursor,
        task: &str,
        events: Events<'_>,
    ) -> Result<(Fetched, Cursor)> {
        let limit = Duration::from_millis(self.options.total_timeout_ms);
        let mut left = limit;
        let mut at = url.clone();
        for _ in 0..=self.options.max_redirects {
            // Waiting for its turn is not the server's time.
            let turn = self.turn(&at).await?;
            let begun = Instant::now();
            let hop = tokio::time::timeout(left, self.hop(&at, cursor, task, events)).await;
            drop(turn);
            left = left.saturating_sub(begun.elapsed());
            let hop = hop.map_err(|_| {
                Error::new(
                    ErrorKind::Network,
                    format!("{url} took longer than {} seconds", limit.as_secs()),
                )
                .hint("try again, or raise fetch.total_timeout_ms")
            })?;
            match hop? {
                Hop::To(next) => at = next,
                Hop::End(fetched, cursor) => return Ok((fetched, cursor)),
            }
        }
        Err(network(url, &format!("redirects more than {} times", self.options.max_redirects)))
    }

    /// The leave to ask a URL's host: of the host first, then of the bound on all, so that nobody
    /// who waits for a host holds others up.
    async fn turn(&self, url: &Url) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                hosts.entry(super::host_of(url)).or_insert_with(|| Arc::new(Semaphore::new(1))),
            )
        };
        let closed =
            |error| Error::new(ErrorKind::Bug, "the queue of requests is closed").caused_by(error);
        let host = host.acquire_owned().await.map_err(closed)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        Ok((host, all))
    }

    async fn hop(&self, at: &Url, cursor: &Cursor, task: &str, events: Events<'_>) -> Result<Hop> {
        let response = self.request(at, cursor).await?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Hop::End(Fetched::Unchanged, cursor.clone()));
        }
        if status.is_redirection()
            && let Some(target) = header(response.headers(), &LOCATION)
        {
            let next = at.join(&target).map_err(|error| {
                network(at, "redirects to something that is not a URL").caused_by(error)
            })?;
            if !matches!(next.scheme(), "http" | "https") {
                return Err(network(
                    at,
                    &format!("redirects to {next}, which is not an http or https address"),
                ));
            }
            return Ok(Hop::To(next));
        }
        if !status.is_success() {
            return Err(refused(at, &response));
        }
        let cursor = Cursor {
            etag: header(response.headers(), &ETAG),
            last_modified: header(response.headers(), &LAST_MODIFIED),
            stamp: None,
        };
        let content_type = header(response.headers(), &CONTENT_TYPE);
        let bytes = body(at, response, self.options.max_bytes, task, events).await?;
        let body = Body { bytes, url: Some(at.to_string()), content_type, file_name: None };
        Ok(Hop::End(Fetched::Body(body), cursor))
    }

    async fn request(&self, url: &Url, cursor: &Cursor) -> Result<Response> {
        if !self.options.allow_private {
            let addresses = public_addresses(url).await?;
            // The name is not asked for again: what was checked is what is connected to.
            if let Some(host) = url.domain() {
                self.pins.pin(host, addresses);
            }
        }
        let mut request = self.client.get(url.clone()).header(
            ACCEPT,
            "application/atom+xml, application/rss+xml, application/feed+json, \
             application/xml;q=0.9, text/html;q=0.8, */*;q=0.5",
        );
        if let Some(etag) = &cursor.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(time) = &cursor.last_modified {
            request = request.header(IF_MODIFIED_SINCE, time);
        }
        request
            .send()
            .await
            .map_err(|error| network(url, "can't be reached").caused_by(innermost(&error)))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
    }
}

/// Ends when the flag is up.
async fn raised(is_stopped: &dyn Fn() -> bool) {
    while !is_stopped() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Addresses that were checked, by name: the client connects to these. A name that is not among
/// them is that of a proxy, for each URL's host is checked before it is asked.
#[derive(Default)]
struct Pins(Mutex<HashMap<String, Vec<SocketAddr>>>);

impl Pins {
    fn pin(&self, host: &str, addresses: Vec<SocketAddr>) {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.insert(host.to_owned(), addresses);
    }
}

impl Resolve for Pins {
    fn resolve(&self, name: Name) -> Resolving {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = pins.get(name.as_str()).cloned();
        Box::pin(async move {
            let addresses = match pinned {
                // Each port of a host is asked for by its URL, not by what was looked up for.
                Some(addresses) => addresses.into_iter().map(|a| (a.ip(), 0).into()).collect(),
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>(),
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn network(url: &Url, said: &str) -> Error {
    Error::new(ErrorKind::Network, format!("{url} {said}"))
        .hint("check the address in a browser, or try again later")
}

/// What it was in the end that failed: the layers above it say no more.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn refused(url: &Url, response: &Response) -> Error {
    let status = response.status();
    let error = Error::new(ErrorKind::Network, format!("{url} answers {status}"));
    let wait = header(response.headers(), &RETRY_AFTER);
    match (status, wait) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(wait)) => {
            error.hint(format!("the server asks to try again after: {wait}"))
        }
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
            error.hint("check the address; the feed may have moved")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            error.hint("it is not open to everybody; save it to a file and add that")
        }
        _ => error.hint("try again later"),
    }
}

async fn body(
    url: &Url,
    mut response: Response,
    max_bytes: u64,
    task: &str,
    events: Events<'_>,
) -> Result<Vec<u8>> {
    let total = response.content_length().unwrap_or(0);
    if total > max_bytes {
        return Err(too_large(url.as_str(), max_bytes));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            network(url, "closed the connection early").caused_by(innermost(&error))
        })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(url.as_str(), max_bytes));
        }
        let done = bytes.len() as u64;
        events(Event::Progress { task: task.to_owned(), done, total, unit: Unit::Bytes });
    }
}

fn header(headers: &HeaderMap, name: &reqwest::header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The addresses of a URL's host, if all of them are public.
async fn public_addresses(url: &Url) -> Result<Vec<SocketAddr>> {
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![(IpAddr::V4(address), port).into()],
        Some(Host::Ipv6(address)) => vec![(IpAddr::V6(address), port).into()],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| {
                network(url, "can't be reached: its name is not known").caused_by(error)
            })?
            .collect(),
        None => Vec::new(),
    };
    match addresses.iter().find(|address| !is_public(address.ip())) {
        Some(address) => Err(Error::new(
            ErrorKind::Network,
            format!("{url} points into a private network ({})", address.ip()),
        )
        .hint("if you mean to, allow it with --allow-private")),
        None if addresses.is_empty() => Err(network(url, "has no address")),
        None => Ok(addresses),
    }
}
