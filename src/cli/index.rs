//! `index …`.

use std::path::Path;

use super::Outcome;
use super::app::App;
use super::args::IndexCommand;
use super::ui::styles;
use crate::api::{IndexShape, VerifiedShape};
use crate::base::Watch;
use crate::base::error::Result;
use crate::engine::KnowledgeBase;
use crate::index::{self, Built};

pub(super) fn run(app: &App<'_>, command: &IndexCommand) -> Result<Outcome> {
    match command {
        IndexCommand::Status => status(app),
        IndexCommand::Rebuild => built(app, |kb, watch| kb.rebuild_index(watch)),
        IndexCommand::Verify { repair } => verify(app, *repair),
        IndexCommand::Rollback => rollback(app),
        IndexCommand::Prune { all } => prune(app, *all),
        IndexCommand::Backup { file } => backup(app, file),
        IndexCommand::Restore { file } => restore(app, file),
        IndexCommand::Push => built(app, |kb, watch| kb.push_index(watch)),
        IndexCommand::Pull => pull(app),
    }
}

fn status(app: &App<'_>) -> Result<Outcome> {
    let status = IndexShape::of(app.kb()?)?;
    if app.json {
        app.ui.json(&status)?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = String::new();
    for shown in &status.generations {
        let generation = &shown.generation;
        let is_live = status.live.as_ref() == Some(&generation.id);
        let name = pen.paint(styles::TITLE, &generation.id);
        text.push_str(&format!(
            "{name}{}  {} articles, {} chunks, {:.1} MB{}, made {}\n",
            if is_live { " (live)" } else { "" },
            generation.articles,
            generation.chunks,
            shown.bytes as f64 / 1e6,
            generation.server.as_ref().map(|url| format!(" on {url}")).unwrap_or_default(),
            generation.created.strftime("%Y-%m-%d %H:%M UTC"),
        ));
        if is_live {
            text.push_str(&format!("  fingerprint {}\n", shown.fingerprint_short));
            for (key, value) in &generation.fingerprint.0 {
                text.push_str(&pen.paint(styles::ASIDE, &format!("    {key} = {value}\n")));
            }
        }
    }
    if status.generations.is_empty() {
        text.push_str("There is no index yet.\n");
    }
    text.push_str(&format!(
        "{} articles to index, {} to remove; {} vectors kept in the library\n",
        status.pending, status.gone, status.vectors
    ));
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

/// Runs a call that builds a generation, and says what it did.
fn built(
    app: &App<'_>,
    call: impl FnOnce(&KnowledgeBase, &Watch<'_>) -> Result<Built>,
) -> Result<Outcome> {
    let built = app.watched(|watch| call(app.kb()?, watch))?;
    say(app, &built)
}

fn say(app: &App<'_>, built: &Built) -> Result<Outcome> {
    if app.json {
        app.ui.json(built)?;
    } else {
        app.ui.result(&format!(
            "{}: {} articles in {} chunks, {} of them newly embedded\n",
            built.generation.as_deref().unwrap_or("-"),
            built.articles,
            built.chunks,
            built.embedded
        ))?;
    }
    Ok(Outcome::Done)
}

fn verify(app: &App<'_>, repair: bool) -> Result<Outcome> {
    let (verified, repaired) = app.watched(|watch| app.kb()?.verify_index(repair, watch))?;
    let Some(verified) = verified else {
        // It could not be opened, and was made anew.
        return say(app, &repaired.unwrap_or_default());
    };
    let is_good = verified.is_whole() || repaired.is_some();
    if app.json {
        app.ui.json(&VerifiedShape { verified: &verified, repaired: repaired.as_ref() })?;
    } else {
        let mut text = format!(
            "{}: {} articles, {} chunks compared, {} looked up by their vectors\n",
            verified.generation, verified.articles, verified.chunks, verified.vectors
        );
        for (count, said) in [
            (verified.missing.len(), "chunks are missing"),
            (verified.extra.len(), "chunks should not be there"),
            (verified.wrong.len(), "chunks have wrong vectors"),
            (verified.pending, "articles have changed since; `wellread sync` indexes them"),
        ] {
            if count > 0 {
                text.push_str(&format!("{count} {said}\n"));
            }
        }
        text.push_str(match (verified.is_whole(), &repaired) {
            (true, _) => "The index matches the library.\n",
            (false, Some(_)) => "Repaired.\n",
            (false, None) => "Repair it: wellread index verify --repair\n",
        });
        app.ui.result(&text)?;
    }
    Ok(if is_good { Outcome::Done } else { Outcome::No })
}

fn prune(app: &App<'_>, all: bool) -> Result<Outcome> {
    let removed = app.watched(|watch| app.kb()?.prune(!all, watch))?;
    if app.json {
        app.ui.json(&serde_json::json!({ "removed": removed }))?;
    } else if removed.is_empty() {
        app.ui.result("Nothing to remove.\n")?;
    } else {
        app.ui.result(&format!("Removed {}\n", removed.join(", ")))?;
    }
    Ok(Outcome::Done)
}

fn backup(app: &App<'_>, file: &Path) -> Result<Outcome> {
    let kb = app.kb()?;
    let library = kb.filled_library()?;
    let made =
        app.watched(|watch| kb.index().backup(&library, file, watch.events, watch.cancel))?;
    said(app, &made, file, "Wrote")
}

fn restore(app: &App<'_>, file: &Path) -> Result<Outcome> {
    let data = app.settings.data_dir()?;
    let restored = app.watched(|watch| index::restore(file, &data, watch.events, watch.cancel))?;
    said(app, &restored, file, "Restored")
}

fn said(app: &App<'_>, backup: &index::Backup, file: &Path, done: &str) -> Result<Outcome> {
    if app.json {
        app.ui.json(backup)?;
    } else {
        let bytes: u64 = backup.files.iter().map(|kept| kept.bytes).sum();
        app.ui.result(&format!(
            "{done} {}: library and {}, {} files, {:.1} MB unpacked\n",
            file.display(),
            backup.generation.as_deref().unwrap_or("no generation (it is built anew)"),
            backup.files.len(),
            bytes as f64 / 1e6
        ))?;
    }
    Ok(Outcome::Done)
}

fn pull(app: &App<'_>) -> Result<Outcome> {
    let outcome = built(app, |kb, watch| kb.pull_index(watch))?;
    if !app.settings.config.store.url.is_empty() {
        app.ui.warning("store.url is still set: the next sync brings the index to it again");
    }
    Ok(outcome)
}

fn rollback(app: &App<'_>) -> Result<Outcome> {
    let generation = app.kb()?.index().rollback()?;
    if app.json {
        app.ui.json(&generation)?;
    } else {
        app.ui.result(&format!("{} is live again\n", generation.id))?;
    }
    Ok(Outcome::Done)
}
