//! Who may ask: programs of this machine, pages that wellread serves itself, and whoever bears the
//! token; and how large their requests may be.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, ORIGIN, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use sha2::{Digest, Sha256};

use super::api::failure;
use super::{State, openai};
use crate::base::error::{Error, ErrorKind, Result};

/// The names of this machine that nobody else can give an address.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Characters that a token has at least.
const SHORTEST: usize = 16;

/// Who may ask.
#[derive(Clone, Default)]
pub struct Guard {
    /// The hash of the token, so that comparing takes as long whatever a wrong one begins with.
    token: Option<[u8; 32]>,
    /// The address that is bound.
    bound: Option<SocketAddr>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("token", &self.token.map(|_| "…"))
            .field("bound", &self.bound)
            .finish()
    }
}

impl Guard {
    /// Lets in those who bear the token, or without one whoever is on this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the address can be reached from elsewhere and there is no token, or
    /// the token can't be one.
    pub fn new(bound: SocketAddr, token: Option<&str>) -> Result<Guard> {
        let how = "put at least 16 random characters into a file and name it: serve.token_file, or \
                   set WELLREAD_TOKEN";
        if let Some(token) = token
            && (token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the token must have {SHORTEST} characters or more, all visible ASCII"),
            )
            .hint(how));
        }
        if token.is_none() && !bound.ip().is_loopback() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{bound} can be reached from other machines, and there is no token"),
            )
            .hint("serve this machine alone: 127.0.0.1")
            .hint(how));
        }
        Ok(Guard { token: token.map(hash), bound: Some(bound) })
    }

    /// Whether requests must bear a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Why a request is refused; `None` if it isn't.
    fn refusal(&self, uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, Error)> {
        let forbidden = |what: String| {
            let error = Error::new(ErrorKind::Usage, what)
                .hint("ask from this machine, by the address that wellread says it listens on");
            Some((StatusCode::FORBIDDEN, error))
        };
        let host = uri
            .authority()
            .map(|authority| authority.as_str())
            .or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()));
        if self.token.is_none() {
            // A foreign name that leads here was made to (DNS rebinding).
            match host {
                Some(host) if self.is_own(host) => {}
                Some(host) => return forbidden(format!("the host \"{}\" is foreign", shown(host))),
                None if self.bound.is_none() => {}
                None => return forbidden("the request names no host".to_owned()),
            }
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let is_own =
                origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(
                    |(scheme, at)| {
                        matches!(scheme, "http" | "https")
                            && (self.is_own(at) || self.token.is_some() && Some(at) == host)
                    },
                );
            if !is_own {
                let origin = shown(&String::from_utf8_lossy(origin.as_bytes()));
                return forbidden(format!("a page of \"{origin}\" may not ask"));
            }
        }
        let token = self.token?;
        let bears = borne(headers).is_some_and(|borne| {
            let differing =
                hash(&borne).iter().zip(token).fold(0, |differing, (a, b)| differing | (a ^ b));
            differing == 0
        });
        if bears {
            return None;
        }
        let error = Error::new(ErrorKind::Usage, "the token is missing or wrong")
            .hint("send it as the header Authorization: Bearer TOKEN");
        Some((StatusCode::UNAUTHORIZED, error))
    }

    /// Whether `host`, with its port or without, is this machine by a name that is its own, at the
    /// port that is bound.
    fn is_own(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let Some(bound) = self.bound else { return LOCAL_NAMES.contains(&authority.host()) };
        let name = authority.host().to_ascii_lowercase();
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let is_named = LOCAL_NAMES.contains(&name.as_str())
            || address.is_some_and(|address| address.is_loopback() || address == bound.ip());
        is_named && authority.port_u16().unwrap_or(80) == bound.port()
    }
}

/// The token that a request bears: as a bearer's, or as the password that a browser asks for.
fn borne(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A name from outside, short enough to be repeated.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// An error as an answer of the shape that clients of a path know.
fn refused(path: &str, status: StatusCode, error: &Error) -> Response {
    if path.starts_with("/v1/") { openai::failure(status, error) } else { failure(status, error) }
}

/// Lets a request on, or refuses it; puts on every answer what keeps browsers from guessing.
pub async fn check(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let mut response = match state.guard.refusal(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some((status, error)) => {
            let mut response = refused(request.uri().path(), status, &error);
            if status == StatusCode::UNAUTHORIZED {
                // A browser asks its user for a password, which is the token.
                for how in ["Bearer realm=\"wellread\"", "Basic realm=\"wellread\""] {
                    response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(how));
                }
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry("referrer-policy").or_insert(HeaderValue::from_static("no-referrer"));
    headers
        .entry("cross-origin-resource-policy")
        .or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// Takes a body in before anybody works on it: one that is too large is refused, and one that does
/// not come in time is given up.
pub async fn take_body(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let options = &state.kb.config().serve;
    let most = options.max_body_bytes;
    let path = request.uri().path().to_owned();
    let too_large = || {
        let error =
            Error::new(ErrorKind::TooLarge, format!("the request's body is over {most} bytes"))
                .hint("send less at once, or raise serve.max_body_bytes");
        refused(&path, StatusCode::PAYLOAD_TOO_LARGE, &error)
    };
    let said = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if said.and_then(|said| said.parse::<u64>().ok()).is_some_and(|said| said > most as u64) {
        return too_large();
    }
    let (parts, body) = request.into_parts();
    let patience = Duration::from_secs(options.patience_secs.max(1));
    let broken = |status, what: &str| {
        let error = Error::new(ErrorKind::Usage, what).hint("send the request again");
        refused(&path, status, &error)
    };
    match tokio::time::timeout(patience, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) if is_over_limit(&error) => too_large(),
        Ok(Err(_)) => broken(StatusCode::BAD_REQUEST, "the request's body was cut off"),
        Err(_) => broken(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time"),
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn asked(guard: &Guard, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        guard.refusal(&Uri::from_static("/api/search"), &map).map(|(status, _)| status)
    }

    #[test]
    fn on_loopback_foreign_hosts_and_origins_are_refused() {
        let guard = Guard::new("127.0.0.1:7878".parse().unwrap(), None).unwrap();
        let forbidden = Some(StatusCode::FORBIDDEN);
        for host in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST:7878", "[::1]:7878"] {
            assert_eq!(asked(&guard, &[("host", host)]), None, "{host}");
            let origin = format!("http://{host}");
            assert_eq!(asked(&guard, &[("host", host), ("origin", &origin)]), None, "{origin}");
        }
        for host in [
            "evil.example:7878",
            "localhost:80",
            "localhost",
            "0.0.0.0:7878",
            "localhost.evil.example:7878",
            "user@localhost:7878",
            "",
        ] {
            assert_eq!(asked(&guard, &[("host", host)]), forbidden, "{host}");
        }
        assert_eq!(asked(&guard, &[]), forbidden);
        for origin in
            ["https://evil.example", "null", "http://0.0.0.0:7878", "file://", "http://localhost"]
        {
            let headers = [("host", "localhost:7878"), ("origin", origin)];
            assert_eq!(asked(&guard, &headers), forbidden, "{origin}");
        }
    }

    #[test]
    fn other_addresses_need_a_token_and_a_wrong_one_is_refused() {
        let open: SocketAddr = "0.0.0.0:7878".parse().unwrap();
        assert_eq!(Guard::new(open, None).unwrap_err().kind(), ErrorKind::Config);
        assert!(Guard::new(open, Some("short")).is_err());
        assert!(Guard::new(open, Some("0123456789 abcdef")).is_err());
        let guard = Guard::new(open, Some(TOKEN)).unwrap();
        let unauthorized = Some(StatusCode::UNAUTHORIZED);
        let host = ("host", "books.example:7878");
        assert_eq!(asked(&guard, &[host]), unauthorized);
        for wrong in ["Bearer 0123456789abcdeF", "Bearer ", "Basic 0123456789abcdef", "Bearer"] {
            assert_eq!(asked(&guard, &[host, ("authorization", wrong)]), unauthorized, "{wrong}");
        }
        let right = ("authorization", "bearer 0123456789abcdef");
        assert_eq!(asked(&guard, &[host, right]), None);
        // "me:0123456789abcdef"
        let password = ("authorization", "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==");
        assert_eq!(asked(&guard, &[host, password]), None);
        let own = ("origin", "http://books.example:7878");
        assert_eq!(asked(&guard, &[host, right, own]), None);
        let foreign = ("origin", "http://evil.example:7878");
        assert_eq!(asked(&guard, &[host, right, foreign]), Some(StatusCode::FORBIDDEN));
        assert!(!format!("{guard:?}").contains(TOKEN));
    }
}
