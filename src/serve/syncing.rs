//! Sources read again and again while the server runs.

use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::State;
use crate::api::SyncShape;
use crate::base::error::Result;
use crate::base::{Cancel, Event, SourceId, Warning, Watch};
use crate::source::fetch::{Source, SourceKind};

/// How often it is looked whether the server is to stop.
const LOOK: Duration = Duration::from_millis(200);

/// The thread that reads; it ends when the server is to stop, in the middle of what it does.
pub struct Syncing(Option<JoinHandle<()>>);

impl Syncing {
    /// Waits for its end.
    pub fn join(self) {
        if let Some(thread) = self.0 {
            // A panic in it has been shown.
            let _ = thread.join();
        }
    }
}

/// Starts to read all sources every so many minutes, for the first time after as many.
pub fn start(state: &State, stop: &Cancel) -> Syncing {
    let config = state.kb.config();
    let minutes = config.serve.sync_every;
    if minutes == 0 || config.offline {
        change(state, |sync| sync.every_minutes = 0);
        return Syncing(None);
    }
    let (state, stop) = (State::clone(state), stop.clone());
    let thread = std::thread::Builder::new().name("wellread-sync".into()).spawn(move || {
        let every = Duration::from_secs(minutes.saturating_mul(60));
        while wait(&state, every, &stop) {
            read(&state, &stop);
        }
    });
    Syncing(thread.ok())
}

/// Waits for the next time; whether it has come.
fn wait(state: &State, every: Duration, stop: &Cancel) -> bool {
    let start = Instant::now();
    let next = jiff::SignedDuration::try_from(every)
        .ok()
        .and_then(|every| Timestamp::now().checked_add(every).ok());
    change(state, |sync| sync.next = next);
    while start.elapsed() < every {
        if stop.is_raised() {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

fn change(state: &State, change: impl FnOnce(&mut SyncShape)) {
    change(&mut state.sync.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Reads all sources once, and indexes what they brought; what fails is told in one line each.
pub fn read(state: &State, stop: &Cancel) {
    change(state, |sync| {
        sync.running = true;
        sync.next = None;
    });
    let outcome = read_all(state, stop);
    let ended = Timestamp::now();
    let mut failures = Vec::new();
    let (mut added, mut changed) = (0, 0);
    match outcome {
        Ok((new, other, failed)) => (added, changed, failures) = (new, other, failed),
        Err(_) if stop.is_raised() => {}
        Err(error) => failures.push(format!("all sources: {}", error.chain())),
    }
    for line in &failures {
        let source = SourceId("sync".to_owned());
        (state.events)(Event::Warning(Warning::Source { source, what: line.clone() }));
    }
    change(state, |sync| {
        sync.running = false;
        sync.last = Some(ended);
        (sync.added, sync.changed, sync.failures) = (added, changed, failures);
    });
}

fn read_all(state: &State, stop: &Cancel) -> Result<(usize, usize, Vec<String>)> {
    let watch = Watch { events: &|_: Event| {}, cancel: stop };
    let Some(library) = state.kb.existing_library()? else { return Ok((0, 0, Vec::new())) };
    let is_read_again = |kind| !matches!(kind, SourceKind::Stdin | SourceKind::Import);
    let sources: Vec<_> = library
        .sources()?
        .into_iter()
        .filter(|info| is_read_again(info.kind))
        .map(|info| (info.id.0.clone(), Source::of_name(&info.id.0)))
        .collect();
    if sources.is_empty() {
        return Ok((0, 0, Vec::new()));
    }
    let report = state.kb.read_sources(sources, &watch)?;
    let mut failures: Vec<String> =
        report.failed.iter().map(|(name, error)| format!("{name}: {}", error.chain())).collect();
    let count = |which: fn(&crate::library::Recorded) -> usize| {
        report.done.iter().map(|synced| which(&synced.recorded)).sum()
    };
    let indexed = library
        .article_count()
        .and_then(|count| (count > 0).then(|| state.kb.update_index(false, &watch)).transpose());
    // What was read is in the library all the same.
    if let Err(error) = indexed
        && !stop.is_raised()
    {
        failures.push(format!("the index: {}", error.chain()));
    }
    Ok((count(|recorded| recorded.added.len()), count(|recorded| recorded.changed.len()), failures))
}
