//! `serve`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::Outcome;
use super::app::App;
use super::args::Serve;
use crate::base::error::{Error, Result};
use crate::serve::Shared;
use crate::serve::guard::Guard;
use crate::serve::run::{self, Bound};

/// How often it is looked whether the server has ended.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(app: &App<'_>, args: &Serve) -> Result<Outcome> {
    let token = token(app)?;
    let bound = Bound::to(&args.addr)?;
    let guard = Guard::new(bound.address(), token.as_deref())?;
    let address = bound.address();
    let kb = app.new_kb()?;
    let empty = match kb.existing_library()? {
        Some(library) => library.article_count()? == 0,
        None => true,
    };
    if empty {
        app.ui.warning("there are no articles yet; add some meanwhile: wellread add FEED");
    }
    let (sender, events) = mpsc::channel();
    let state = Shared::with(kb, guard, move |event| {
        // After the last line nobody listens.
        let _ = sender.send(event);
    });
    let is_over = AtomicBool::new(false);
    let (ui, ended) = (app.ui, &is_over);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                if let Ok(event) = events.recv_timeout(LOOK) {
                    ui.event(event);
                }
            }
        });
        let outcome = run::serve(&state, bound, app.cancel, || {
            ui.announce(&format!("wellread serves http://{address}/ (Ctrl-C ends it)"));
        });
        is_over.store(true, Ordering::SeqCst);
        outcome
    })?;
    Ok(Outcome::Done)
}

/// The token of the environment, or of the settings' file.
fn token(app: &App<'_>) -> Result<Option<String>> {
    if let Some(token) =
        std::env::var("WELLREAD_TOKEN").ok().filter(|token| !token.trim().is_empty())
    {
        return Ok(Some(token.trim().to_owned()));
    }
    let path = &app.settings.config.serve.token_file;
    if path.is_empty() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(path).map_err(|error| {
        Error::io("cannot read the token", error).hint("check serve.token_file")
    })?;
    Ok(Some(text.lines().next().unwrap_or_default().trim().to_owned()))
}
