//! `index …`.

use std::path::Path;

use serde::Serialize;

use super::Outcome;
use super::app::App;
use super::eval::goldens_of;
use crate::cli::IndexCommand;
use crate::domain::{Filter, Hit};
use crate::embed::BertEmbedder;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::set::{Question, same_heading};
use crate::index::{self, Built, Generation, Index, Verified};
use crate::library::Library;
use crate::retrieve;
use crate::seams::{Embedder, Store};
use crate::ui::styles;

/// Hits among which a golden question's section must be.
const GOLDEN_HITS: usize = 5;
/// Articles that golden questions are made from, at the most.
const GOLDEN_ARTICLES: usize = 200;

#[derive(Serialize)]
struct Status {
    live: Option<String>,
    generations: Vec<Shown>,
    /// Articles of the library that the live generation lacks, or has in an older state.
    pending: usize,
    /// Articles of the live generation that the library no longer has.
    gone: usize,
    /// Vectors that the library keeps.
    vectors: usize,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    generation: Generation,
    fingerprint_short: String,
    bytes: u64,
}

pub(super) fn run(app: &App<'_>, command: &IndexCommand) -> Result<Outcome> {
    match command {
        IndexCommand::Status => status(app),
        IndexCommand::Rebuild => rebuild(app),
        IndexCommand::Verify { repair } => verify(app, *repair),
        IndexCommand::Rollback => rollback(app),
        IndexCommand::Prune { all } => prune(app, *all),
        IndexCommand::Backup { file } => backup(app, file),
        IndexCommand::Restore { file } => restore(app, file),
        IndexCommand::Push => push(app),
        IndexCommand::Pull => pull(app),
    }
}

fn status(app: &App<'_>) -> Result<Outcome> {
    let index = app.index()?;
    let live = index.live()?;
    let library = app.existing_library()?;
    let (mut pending, mut gone, mut vectors) = (0, 0, 0);
    if let Some(library) = &library {
        let held = match &live {
            Some(live) => index.articles(live)?,
            None => Default::default(),
        };
        let states = held.iter().map(|(id, article)| (id, article.state.as_str())).collect();
        let difference = library.pending(&states)?;
        (pending, gone) = (difference.articles.len(), difference.removed.len());
        vectors = library.vector_count()?;
    }
    let generations = index
        .generations()?
        .into_iter()
        .map(|generation| Shown {
            bytes: index.bytes(&generation),
            fingerprint_short: generation.fingerprint.short(),
            generation,
        })
        .collect();
    let status = Status { live: live.map(|live| live.id), generations, pending, gone, vectors };
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

fn rebuild(app: &App<'_>) -> Result<Outcome> {
    let library = app.filled_library()?;
    let embedder = app.embedder()?;
    let built = rebuilt(app, &app.index()?, &library, &embedder)?;
    say(app, &built)
}

/// A new generation, made live if it finds what the live one finds.
fn rebuilt(
    app: &App<'_>,
    index: &Index,
    library: &Library,
    embedder: &BertEmbedder,
) -> Result<Built> {
    let options = &app.settings.config.index;
    let mut golden = Vec::new();
    if options.golden_queries > 0 {
        let made = goldens_of(app, library, &Filter::default(), GOLDEN_ARTICLES)?;
        golden = crate::eval::stats::sample(made, options.golden_queries);
    }
    // A generation of another embedder can't be asked with this one; nor one that is damaged.
    let asked = embedder.fingerprint();
    let live = app.index()?.open_any().ok().filter(|(_, held)| {
        let made_by = &held.generation.fingerprint.0;
        asked.0.iter().all(|(key, value)| made_by.get(key) == Some(value))
    });
    let gate = |new: &dyn Store| -> Result<()> {
        let Some((live, held)) = &live else { return Ok(()) };
        let found = |store: &dyn Store| golden_found(app, store, embedder, &golden);
        let (before, after) = (found(live.as_ref())?, found(new)?);
        let count = golden.len().max(1) as f64;
        if (before as f64 - after as f64) / count <= options.tolerance {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Index,
            format!(
                "the new index finds {after} of {} golden questions, and {} finds {before}: it was \
                 not made live",
                golden.len(),
                held.generation.id
            ),
        )
        .hint("look at the settings that changed, or allow it: --set index.tolerance=1"))
    };
    app.with_work(library, embedder, |work| index.rebuild(work, Some(&gate)))
}

/// How many questions have their section among the first hits.
fn golden_found(
    app: &App<'_>,
    store: &dyn Store,
    embedder: &dyn Embedder,
    golden: &[Question],
) -> Result<usize> {
    let retrieval = &app.settings.config.retrieval;
    let mut found = 0;
    for question in golden {
        app.cancel.check()?;
        let hits = retrieve::search(
            store,
            embedder,
            &question.question,
            &Filter::default(),
            retrieval,
            GOLDEN_HITS,
        )?;
        let is_gold = |hit: &Hit| {
            question.gold.iter().any(|gold| {
                let innermost = hit.heading_path.last().map_or("", String::as_str);
                hit.article.url == gold.url
                    && gold.heading.as_ref().is_none_or(|heading| same_heading(heading, innermost))
            })
        };
        found += usize::from(hits.iter().any(is_gold));
    }
    Ok(found)
}

fn say(app: &App<'_>, built: &Built) -> Result<Outcome> {
    for title in &built.empty {
        app.ui.warning(&format!("\"{title}\" has no text that could be indexed"));
    }
    if app.json {
        app.ui.json(built)?;
    } else {
        app.ui.result(&format!(
            "{}: {} articles in {} chunks, {} of them embedded anew\n",
            built.generation.as_deref().unwrap_or("-"),
            built.articles,
            built.chunks,
            built.embedded
        ))?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Compared<'a> {
    #[serde(flatten)]
    verified: &'a Verified,
    repaired: Option<Built>,
}

fn verify(app: &App<'_>, repair: bool) -> Result<Outcome> {
    let library = app.filled_library()?;
    let embedder = app.embedder()?;
    let index = app.index()?;
    let verified = app.with_work(&library, &embedder, |work| index.verify(work));
    let verified = match verified {
        // What can't be opened is made anew.
        Err(error) if repair && error.kind() == ErrorKind::Index => {
            app.ui.warning(&error.chain());
            let built = app.with_work(&library, &embedder, |work| index.rebuild(work, None))?;
            return say(app, &built);
        }
        other => other?,
    };
    let repaired = if repair && !verified.is_whole() {
        let built =
            app.with_work(&library, &embedder, |work| index.repair(work, &verified.damaged))?;
        let again = app.with_work(&library, &embedder, |work| index.verify(work))?;
        if !again.is_whole() {
            return Err(Error::new(ErrorKind::Index, "the repaired index is still not whole")
                .hint("build it anew: wellread index rebuild"));
        }
        Some(built)
    } else {
        None
    };
    let is_good = verified.is_whole() || repaired.is_some();
    if app.json {
        app.ui.json(&Compared { verified: &verified, repaired })?;
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
            (true, _) => "The index holds what the library says.\n",
            (false, Some(_)) => "Repaired.\n",
            (false, None) => "Repair it: wellread index verify --repair\n",
        });
        app.ui.result(&text)?;
    }
    Ok(if is_good { Outcome::Done } else { Outcome::No })
}

fn prune(app: &App<'_>, all: bool) -> Result<Outcome> {
    let removed = app.index()?.prune(&app.events(), app.cancel, !all)?;
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
    let library = app.filled_library()?;
    let made = app.index()?.backup(&library, file, &app.events(), app.cancel)?;
    said(app, &made, file, "Wrote")
}

fn restore(app: &App<'_>, file: &Path) -> Result<Outcome> {
    let data = app.settings.data_dir()?;
    let restored = index::restore(file, &data, &app.events(), app.cancel)?;
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

fn push(app: &App<'_>) -> Result<Outcome> {
    if app.settings.config.store.url.is_empty() {
        return Err(Error::new(ErrorKind::Config, "store.url names no Qdrant server").hint(
            "set it: WELLREAD_STORE_URL=http://localhost:6334, or store.url in wellread.toml",
        ));
    }
    moved(app, &app.index()?)
}

fn pull(app: &App<'_>) -> Result<Outcome> {
    let outcome = moved(app, &app.index()?.embedded())?;
    if !app.settings.config.store.url.is_empty() {
        app.ui.warning("store.url is still set: the next sync brings the index to it again");
    }
    Ok(outcome)
}

/// Builds the index at another place; every vector is known.
fn moved(app: &App<'_>, to: &Index) -> Result<Outcome> {
    let library = app.filled_library()?;
    let embedder = app.embedder()?;
    let built = rebuilt(app, to, &library, &embedder)?;
    say(app, &built)
}

fn rollback(app: &App<'_>) -> Result<Outcome> {
    let generation = app.index()?.rollback()?;
    if app.json {
        app.ui.json(&generation)?;
    } else {
        app.ui.result(&format!("{} is live again\n", generation.id))?;
    }
    Ok(Outcome::Done)
}
