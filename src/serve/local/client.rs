//! The asking end: HTTP/1.1 over the socket of a data folder.

use std::path::Path;

use super::Handed;
use crate::answer::{Answer, OnSaid};
use crate::base::Watch;
use crate::base::error::Result;
use crate::retrieve::Retrieved;

/// Why a question was not answered by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// None serves the folder.
    NoServer,
    /// The one that does has other settings.
    OtherSettings,
}

/// Has a running server of a data folder answer; what it tells on the way comes as if it were
/// answered here.
///
/// # Errors
/// What the answer fails with; if the server ends before the answer does.
pub fn ask(
    data: &Path,
    handed: &Handed,
    watch: &Watch<'_>,
    on_said: OnSaid<'_>,
) -> Result<Result<Answer, Alone>> {
    #[cfg(unix)]
    return over_socket::ask(data, handed, watch, on_said);
    #[cfg(not(unix))]
    return {
        let _ = (data, handed, watch, on_said);
        Ok(Err(Alone::NoServer))
    };
}

/// Has a running server of a data folder search.
///
/// # Errors
/// As [`ask`].
pub fn search(data: &Path, handed: &Handed, watch: &Watch<'_>) -> Result<Result<Retrieved, Alone>> {
    #[cfg(unix)]
    return over_socket::search(data, handed, watch);
    #[cfg(not(unix))]
    return {
        let _ = (data, handed, watch);
        Ok(Err(Alone::NoServer))
    };
}

#[cfg(unix)]
mod over_socket {
    use std::future::Future;
    use std::path::Path;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use futures_util::StreamExt;
    use hyper::client::conn::http1;
    use hyper::header::{CONTENT_TYPE, HOST};
    use hyper::{Request, Response, StatusCode};
    use hyper_util::rt::TokioIo;
    use serde::Deserialize;
    use tokio::net::UnixStream;

    use super::super::{Handed, Line, NAME};
    use super::Alone;
    use crate::answer::{Answer, OnSaid, Said};
    use crate::base::error::{Error, ErrorKind, Result};
    use crate::base::{Cancel, Watch};
    use crate::retrieve::Retrieved;

    /// How often it is looked whether the user has stopped it.
    const LOOK: Duration = Duration::from_millis(50);
    /// Bytes of an error at the most.
    const MAX_ERROR: usize = 1 << 16;
    /// Bytes of one line at the most.
    const MAX_LINE: usize = 1 << 28;

    pub(super) fn ask(
        data: &Path,
        handed: &Handed,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Result<Answer, Alone>> {
        told(data, "/local/ask", handed, watch, &mut |line| {
            match line {
                Line::Standalone(text) => on_said(Said::Standalone(&text))?,
                Line::Passages(passages) => on_said(Said::Passages(&passages))?,
                Line::Quotes(quotes) => on_said(Said::Quotes(&quotes))?,
                Line::Sentence(sentence) => on_said(Said::Sentence(&sentence))?,
                Line::Dropped(sentence) => on_said(Said::Dropped(&sentence))?,
                Line::Answer(answer) => return Ok(Some(*answer)),
                Line::Event(_) | Line::Found(_) | Line::Failed(_) => {}
            }
            Ok(None)
        })
    }

    pub(super) fn search(
        data: &Path,
        handed: &Handed,
        watch: &Watch<'_>,
    ) -> Result<Result<Retrieved, Alone>> {
        told(data, "/local/search", handed, watch, &mut |line| match line {
            Line::Found(found) => Ok(Some(found.retrieved())),
            _ => Ok(None),
        })
    }

    /// Hands a question on, and each line that comes back to `each`, until that has what it wants.
    fn told<T>(
        data: &Path,
        path: &str,
        handed: &Handed,
        watch: &Watch<'_>,
        each: &mut dyn FnMut(Line) -> Result<Option<T>>,
    ) -> Result<Result<T, Alone>> {
        let socket = data.join(NAME);
        if !socket.exists() {
            return Ok(Err(Alone::NoServer));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot ask the running server", error))?;
        runtime.block_on(async {
            let Some(response) = unless_stopped(watch.cancel, sent(&socket, path, handed)).await?
            else {
                return Ok(Err(Alone::NoServer));
            };
            match response.status() {
                StatusCode::OK => {}
                StatusCode::CONFLICT => return Ok(Err(Alone::OtherSettings)),
                _ => return Err(refused(response).await),
            }
            let mut lines =
                Lines { body: response.into_body().into_data_stream(), rest: Vec::new() };
            while let Some(line) = unless_stopped(watch.cancel, lines.next()).await?? {
                match line {
                    Line::Event(event) => (watch.events)(event),
                    Line::Failed(failed) => return Err(failed.error()),
                    line => {
                        if let Some(wanted) = each(line)? {
                            return Ok(Ok(wanted));
                        }
                    }
                }
            }
            Err(gone())
        })
    }

    fn gone() -> Error {
        Error::new(ErrorKind::Io, "the running server ended before the answer did")
            .hint("ask again; with --no-server the answer is made here")
    }

    /// Waits for something, unless the user stops it.
    async fn unless_stopped<T>(cancel: &Cancel, wanted: impl Future<Output = T>) -> Result<T> {
        let mut wanted = std::pin::pin!(wanted);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK, wanted.as_mut()).await {
                return Ok(done);
            }
            cancel.check()?;
        }
    }

    /// Sends a question; `None` if nobody takes it.
    async fn sent(socket: &Path, path: &str, handed: &Handed) -> Option<Response<Body>> {
        let stream = UnixStream::connect(socket).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let body = serde_json::to_vec(handed).ok()?;
        let request = Request::post(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .ok()?;
        sender.send_request(request).await.ok().map(|response| response.map(Body::new))
    }

    /// The error that a server answers with.
    async fn refused(response: Response<Body>) -> Error {
        #[derive(Deserialize)]
        struct Shape {
            error: Detail,
        }
        #[derive(Deserialize)]
        struct Detail {
            kind: ErrorKind,
            message: String,
            steps: Vec<String>,
        }
        let bytes = to_bytes(response.into_body(), MAX_ERROR).await.unwrap_or_default();
        match serde_json::from_slice::<Shape>(&bytes) {
            Ok(Shape { error: Detail { kind, message, steps } }) => {
                let error = Error::new(kind, message);
                let error = steps.into_iter().fold(error, Error::hint);
                error.hint("answer without the server: --no-server")
            }
            Err(_) => gone(),
        }
    }

    /// A body, line by line.
    struct Lines {
        body: axum::body::BodyDataStream,
        rest: Vec<u8>,
    }

    impl Lines {
        async fn next(&mut self) -> Result<Option<Line>> {
            loop {
                if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.rest.drain(..=end).collect();
                    let line = serde_json::from_slice(&line).map_err(|error| {
                        Error::new(ErrorKind::Bug, "the running server can't be understood")
                            .caused_by(error)
                            .hint("restart it; with --no-server the answer is made here")
                    })?;
                    return Ok(Some(line));
                }
                match self.body.next().await {
                    Some(Ok(bytes)) if self.rest.len() < MAX_LINE => {
                        self.rest.extend_from_slice(&bytes);
                    }
                    Some(_) => return Err(gone()),
                    None => return Ok(None),
                }
            }
        }
    }
}
