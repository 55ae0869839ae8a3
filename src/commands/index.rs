//! `index status | rebuild | rollback`.

use serde::Serialize;

use super::Outcome;
use super::app::App;
use crate::cli::IndexCommand;
use crate::error::Result;
use crate::index::Generation;
use crate::ui::styles;

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
        IndexCommand::Rollback => rollback(app),
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
    let built = app.with_work(&library, &embedder, |work| app.index()?.rebuild(work))?;
    for title in &built.empty {
        app.ui.warning(&format!("\"{title}\" has no text that could be indexed"));
    }
    if app.json {
        app.ui.json(&built)?;
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

fn rollback(app: &App<'_>) -> Result<Outcome> {
    let generation = app.index()?.rollback()?;
    if app.json {
        app.ui.json(&generation)?;
    } else {
        app.ui.result(&format!("{} is live again\n", generation.id))?;
    }
    Ok(Outcome::Done)
}
