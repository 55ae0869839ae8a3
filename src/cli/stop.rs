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

/// The terminal as it was before lines were edited on it.
#[cfg(unix)]
pub(super) mod terminal {
    use std::io::Write as _;
    use std::sync::Mutex;

    use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Remembers how it is set, for a signal that ends the program while a line is edited.
    pub(in crate::cli) fn remember() {
        if let (Ok(mut before), Ok(now)) = (BEFORE.lock(), tcgetattr(std::io::stdin())) {
            *before = Some(now);
        }
    }

    /// Sets it as it was remembered, if it was.
    pub(super) fn put_back() {
        if let Ok(before) = BEFORE.lock()
            && let Some(before) = before.as_ref()
        {
            // The program ends: there is nobody to tell if it fails.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, before);
            // Text that is pasted is no longer marked as such.
            let mut out = std::io::stdout();
            let _ = out.write_all(b"\x1b[?2004l").and_then(|()| out.flush());
        }
    }
}

#[cfg(windows)]
pub(super) mod terminal {
    /// The console is set back by the system.
    pub(in crate::cli) fn remember() {}

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
