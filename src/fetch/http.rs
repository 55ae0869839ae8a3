//! Over http and https: conditional requests (RFC 9110), redirects checked one by one, limits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, redirect};
use url::{Host, Url};

use super::{Body, Cursor, FetchOptions, Fetched, too_large};
use crate::domain::{Cancel, Event, Events, Unit};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn fetch(
    url: &Url,
    cursor: &Cursor,
    options: &FetchOptions,
    events: Events<'_>,
    cancel: &Cancel,
) -> Result<(Fetched, Cursor)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start the HTTP client", error))?;
    let stopped = async {
        while !cancel.is_raised() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let limit = Duration::from_millis(options.total_timeout_ms);
    let task = format!("Fetching {url}");
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = tokio::time::timeout(limit, get(url, cursor, options, &task, events)) => {
                outcome.unwrap_or_else(|_| Err(Error::new(
                    ErrorKind::Network,
                    format!("{url} took longer than {} seconds", limit.as_secs()),
                )
                .hint("try again, or raise fetch.total_timeout_ms")))
            }
            () = stopped => Err(Error::interrupted()),
        }
    });
    events(Event::Done { task });
    outcome
}

async fn get(
    url: &Url,
    cursor: &Cursor,
    options: &FetchOptions,
    task: &str,
    events: Events<'_>,
) -> Result<(Fetched, Cursor)> {
    let mut at = url.clone();
    for _ in 0..=options.max_redirects {
        let response = request(&at, cursor, options).await?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok((Fetched::Unchanged, cursor.clone()));
        }
        if status.is_redirection()
            && let Some(target) = header(response.headers(), &LOCATION)
        {
            let next = at
                .join(&target)
                .map_err(|error| network(&at, "redirects to what is no URL").caused_by(error))?;
            if !matches!(next.scheme(), "http" | "https") {
                return Err(network(&at, &format!("redirects to {}", next.scheme())));
            }
            at = next;
            continue;
        }
        if !status.is_success() {
            return Err(refused(&at, &response));
        }
        let cursor = Cursor {
            etag: header(response.headers(), &ETAG),
            last_modified: header(response.headers(), &LAST_MODIFIED),
            stamp: None,
        };
        let content_type = header(response.headers(), &CONTENT_TYPE);
        let bytes = body(&at, response, options, task, events).await?;
        let body = Body { bytes, url: Some(at.to_string()), content_type, file_name: None };
        return Ok((Fetched::Body(body), cursor));
    }
    Err(network(url, &format!("redirects more than {} times", options.max_redirects)))
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

async fn request(url: &Url, cursor: &Cursor, options: &FetchOptions) -> Result<Response> {
    let failed =
        |error: reqwest::Error| network(url, "can't be reached").caused_by(innermost(&error));
    let mut client = Client::builder()
        .user_agent(&options.user_agent)
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
        .read_timeout(Duration::from_millis(options.read_timeout_ms));
    if !options.allow_private {
        let addresses = public_addresses(url).await?;
        // The name is not asked for again: what was checked is what is connected to.
        if let Some(host) = url.domain() {
            client = client.resolve_to_addrs(host, &addresses);
        }
    }
    let client = client.build().map_err(failed)?;
    let mut request = client.get(url.clone()).header(
        ACCEPT,
        "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, \
         text/html;q=0.8, */*;q=0.5",
    );
    if let Some(etag) = &cursor.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(time) = &cursor.last_modified {
        request = request.header(IF_MODIFIED_SINCE, time);
    }
    request.send().await.map_err(failed)
}

async fn body(
    url: &Url,
    mut response: Response,
    options: &FetchOptions,
    task: &str,
    events: Events<'_>,
) -> Result<Vec<u8>> {
    let total = response.content_length().unwrap_or(0);
    if total > options.max_bytes {
        return Err(too_large(url.as_str(), options.max_bytes));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| network(url, "broke off").caused_by(innermost(&error)))?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > options.max_bytes {
            return Err(too_large(url.as_str(), options.max_bytes));
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
        .hint("if that is meant, allow it with --allow-private")),
        None if addresses.is_empty() => Err(network(url, "has no address")),
        None => Ok(addresses),
    }
}

/// Whether an address is of the open internet (the special-purpose registries of RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4() {
                return is_public(IpAddr::V4(v4));
            }
            let first = v6.segments()[0];
            let is_nat64 = first == 0x64 && v6.segments()[1] == 0xff9b;
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || is_nat64
                || (first == 0x2001 && v6.segments()[1] == 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
