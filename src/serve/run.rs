//! Listening, serving, and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::io::Patient;
use super::{DAY_SECS, State, router, syncing};
#[cfg(unix)]
use super::{local, local_router};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Warning, Watch};
use crate::engine::settings::ServeOptions;

/// How often it is looked whether the server is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long accepting pauses when the system has no more connections to give.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of a request's head at the most.
const MAX_HEAD: usize = 32 * 1024;
/// Headers of a request at the most.
const MAX_HEADERS: usize = 64;

/// An address that is listened on.
#[derive(Debug)]
pub struct Bound {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Listens on an address.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is none; [`ErrorKind::Io`] if it is in use or not this machine's.
    pub fn to(addr: &str) -> Result<Bound> {
        let wrong = || {
            Error::new(ErrorKind::Usage, format!("\"{addr}\" is not an address with a port"))
                .hint("write it as 127.0.0.1:7878")
        };
        let address: SocketAddr = match addr.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => addr.parse(),
        }
        .map_err(|_| wrong())?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                Error::new(ErrorKind::Io, format!("{address} is in use by another program"))
                    .hint(format!("choose another port: --addr {}:{}", address.ip(), next(address)))
                    .hint("end the wellread that serves there")
            }
            _ => Error::io(format!("cannot listen on {address}"), error)
                .hint("choose an address of this machine: --addr 127.0.0.1:7878"),
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Bound { listener, address })
    }

    /// The address with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn next(address: SocketAddr) -> u16 {
    address.port().checked_add(1).unwrap_or(7878)
}

/// Serves, and reads the sources every so often, until `stop` is raised, and calls `ready` once clients can
/// come; then ends what is being said, as far as it ends in time.
///
/// # Errors
/// If no threads can be had.
pub fn serve(state: &State, bound: Bound, stop: &Cancel, ready: impl FnOnce()) -> Result<()> {
    let options = state.kb.config().serve.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8))
        // Each answer that waits has a thread, and so has each search that computes.
        .max_blocking_threads(options.queue.saturating_add(64))
        .thread_name("wellread-serve")
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start the server's threads", error))?;
    let listener = {
        let _in = runtime.enter();
        TcpListener::from_std(bound.listener).map_err(|error| Error::io("cannot listen", error))?
    };
    let sync = syncing::start(state, stop);
    warm(state, stop);
    let outcome = runtime.block_on(async {
        let (done, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        #[cfg(unix)]
        match local::Socket::in_folder(&state.kb.places().data) {
            Ok(socket) => {
                let router = local_router(state);
                let stopping = stopping.clone();
                connections.spawn(accept(Door::Unix(socket), router, options.clone(), stopping));
            }
            Err(error) => (state.events)(Event::Status(format!(
                "commands can't use this server: {}",
                error.chain()
            ))),
        }
        connections.spawn(accept(Door::Tcp(listener), router(state), options.clone(), stopping));
        ready();
        while !stop.is_raised() {
            tokio::time::sleep(LOOK).await;
        }
        state.stop.raise();
        let _ = done.send(true);
        let grace = Duration::from_secs(options.grace_secs.min(DAY_SECS));
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            connections.abort_all();
        }
        Ok(())
    });
    // What still computes has nobody left who listens, and the process does not wait for it.
    runtime.shutdown_timeout(Duration::from_secs(2));
    sync.join();
    outcome
}

/// Opens what the first question needs, but for the LLM, while nobody asks yet. What fails here will
/// fail the question, and is said once.
fn warm(state: &State, stop: &Cancel) {
    let (state, stop) = (State::clone(state), stop.clone());
    // A server without this thread is a colder one.
    let _ = std::thread::Builder::new().name("wellread-warm".into()).spawn(move || {
        let watch = Watch { events: &|event| (state.events)(event), cancel: &stop };
        let warmed = state.kb.existing_library().and_then(|library| match library {
            Some(library) if library.article_count()? > 0 => {
                state.kb.embedder(&watch)?;
                state.kb.check_llm()?;
                match state.kb.index().live()? {
                    Some(live) if live.is_current() => state.kb.snapshot(&library).map(drop),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        });
        if let Err(error) = warmed
            && !stop.is_raised()
        {
            (state.events)(Event::Warning(Warning::Model(error.chain())));
        }
    });
}

/// What is listened on.
pub(super) enum Door {
    /// An address.
    Tcp(TcpListener),
    /// A socket of the data folder.
    #[cfg(unix)]
    Unix(local::Socket),
}

impl Door {
    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Door::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Each sentence goes out when it is there.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Door::Unix(socket) => Ok(Box::new(socket.listener.accept().await?.0)),
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Takes connections in until it is to stop; ends with the last of them.
async fn accept(
    door: Door,
    router: Router,
    options: ServeOptions,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(options.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let patience = Duration::from_secs(options.patience_secs.clamp(1, DAY_SECS));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stopping.changed() => break,
        };
        let stream = tokio::select! {
            stream = door.accept() => stream,
            _ = stopping.changed() => break,
        };
        match stream {
            Ok(stream) => {
                let connection = connection(stream, router.clone(), patience, stopping.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
    drop(door);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until it ends, or what it is asked when the server is to stop.
async fn connection(
    stream: Box<dyn Stream>,
    router: Router,
    patience: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
    let mut served = std::pin::pin!(served);
    // A connection that breaks off is its client's affair.
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stopping.changed() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
