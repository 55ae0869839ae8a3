//! Ctrl-C, and being told to end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::Cancel;
use crate::base::error::{Error, ErrorKind, Result};

/// Whether another program has the terminal, whose Ctrl-C reaches this one, too.
static IS_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// What a process is told from outside.
enum Told {
    /// To stop what is under way: Ctrl-C.
    Stop,
    /// To end: SIGTERM, or SIGHUP where its terminal is closed.
    End,
}

/// Has the first signal raise the flag, for good if the whole program is to end; while the flag is up,
/// one ends the process where it is, which loses nothing that was stored.
///
/// # Errors
/// If no signal can be listened for.
pub(super) fn on_signals(cancel: &Cancel) -> Result<()> {
    let cancel = cancel.clone();
    let failed =
        |error: io::Error| Error::new(ErrorKind::Bug, "cannot listen for Ctrl-C").caused_by(error);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen().map_err(failed)?
    };
    let listen = move || {
        runtime.block_on(async {
            loop {
                let told = signals.next().await;
                if matches!(told, Told::Stop) && IS_ELSEWHERE.load(Ordering::SeqCst) {
                    continue;
                }
                if cancel.is_raised() {
                    terminal::put_back();
                    std::process::exit(130);
                }
                match told {
                    Told::Stop => cancel.raise(),
                    Told::End => cancel.raise_for_good(),
                }
            }
        })
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(listen).map(|_| ()).map_err(failed)
}

/// Has a line edited: a signal that ends the program meanwhile leaves the terminal as it is now.
pub(super) fn editing<T>(read: impl FnOnce() -> T) -> T {
    terminal::remember();
    let line = read();
    terminal::forget();
    line
}

/// The terminal as it was before a line was edited on it.
#[cfg(unix)]
mod terminal {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    fn before() -> MutexGuard<'static, Option<Termios>> {
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember() {
        *before() = tcgetattr(std::io::stdin()).ok();
    }

    pub(super) fn forget() {
        *before() = None;
    }

    /// Sets it as it was, if a line is being edited. The program ends: there is nobody to tell if that
    /// fails.
    pub(super) fn put_back() {
        let Some(before) = before().take() else { return };
        // One that is in the background would be stopped.
        let mut stops = SigSet::empty();
        stops.add(Signal::SIGTTOU);
        let _ = stops.thread_block();
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &before);
        // Text that is pasted is no longer marked as such. Whoever holds Rust's lock may be waiting.
        let _ = nix::unistd::write(std::io::stdout(), b"\x1b[?2004l");
    }
}

#[cfg(windows)]
mod terminal {
    pub(super) fn remember() {}

    pub(super) fn forget() {}

    /// The console is set back by the system.
    pub(super) fn put_back() {}
}

/// Runs another program in the terminal: until it has ended, Ctrl-C is meant for that alone.
pub(super) fn leaving_the_terminal<T>(run: impl FnOnce() -> T) -> T {
    IS_ELSEWHERE.store(true, Ordering::SeqCst);
    let ended = run();
    IS_ELSEWHERE.store(false, Ordering::SeqCst);
    ended
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::End,
            _ = self.hang_up.recv() => Told::End,
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    pause: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Signals { interrupt: ctrl_c()?, pause: ctrl_break()?, close: ctrl_close()? })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.pause.recv() => Told::End,
            _ = self.close.recv() => Told::End,
        }
    }
}
