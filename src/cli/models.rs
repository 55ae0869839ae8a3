//! `models list | fetch | verify`.

use super::Outcome;
use super::app::App;
use crate::base::error::Result;
use crate::cli::args::ModelsCommand;
use crate::cli::ui::styles;
use crate::models::{self, Choice, FileStatus, Manifest};

pub(super) fn run(app: &App<'_>, command: &ModelsCommand) -> Result<Outcome> {
    match command {
        ModelsCommand::List => list(app),
        ModelsCommand::Fetch { models } => fetch(app, models),
        ModelsCommand::Verify { models } => verify(app, models),
    }
}

fn list(app: &App<'_>) -> Result<Outcome> {
    let resolver = app.kb()?.resolver();
    let chosen = &app.settings.config.models;
    let manifests = app.kb()?.manifests()?;
    let states: Vec<_> =
        manifests.iter().map(|manifest| (manifest, resolver.state(manifest))).collect();
    if app.json {
        let list: Vec<_> = states
            .iter()
            .map(|(manifest, state)| {
                serde_json::json!({ "model": manifest, "state": state, "chosen": is_chosen(chosen, manifest) })
            })
            .collect();
        app.ui.json(&serde_json::json!({ "models": list }))?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = String::new();
    for (manifest, state) in states {
        let mark = if is_chosen(chosen, manifest) { "*" } else { " " };
        let here = if state.present {
            pen.paint(styles::GOOD, "here")
        } else {
            pen.paint(styles::ASIDE, "not here")
        };
        text.push_str(&format!(
            "{mark} {:<30} {:<9} {:>6.0} MB  {here}  {}  {}\n",
            manifest.name,
            manifest.kind.to_string(),
            state.total as f64 / 1e6,
            manifest.licence,
            pen.paint(styles::ASIDE, &manifest.description),
        ));
    }
    text.push_str(&format!("\n* chosen. Folder: {}\n", resolver.cache().display()));
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

fn is_chosen(chosen: &crate::engine::settings::ModelChoice, manifest: &Manifest) -> bool {
    chosen.embedder == manifest.name || chosen.generator == manifest.name
}

fn fetch(app: &App<'_>, names: &[String]) -> Result<Outcome> {
    let manifests = app.kb()?.manifests()?;
    let resolver = app.kb()?.resolver();
    let chosen = &app.settings.config.models;
    let names = match names {
        [] => vec![chosen.embedder.clone(), chosen.generator.clone()],
        names => names.to_vec(),
    };
    let mut fetched = Vec::new();
    for name in &names {
        let folder = match Choice::parse(name)? {
            Choice::Manifest(name) => {
                let manifest = models::find(&manifests, &name)?;
                app.watched(|watch| resolver.resolve(manifest, watch.events, watch.cancel))?;
                resolver.folder(manifest)
            }
            choice => {
                let file = app.watched(|watch| {
                    resolver.resolve_choice(&choice, &manifests, watch.events, watch.cancel)
                })?;
                file.path
            }
        };
        fetched.push((name, folder));
    }
    if app.json {
        let list: Vec<_> = fetched
            .iter()
            .map(|(name, path)| serde_json::json!({ "name": name, "path": path }))
            .collect();
        app.ui.json(&serde_json::json!({ "models": list }))?;
    } else {
        let lines: String =
            fetched.iter().map(|(name, path)| format!("{name}: {}\n", path.display())).collect();
        app.ui.result(&lines)?;
    }
    Ok(Outcome::Done)
}

fn verify(app: &App<'_>, names: &[String]) -> Result<Outcome> {
    let manifests = app.kb()?.manifests()?;
    let resolver = app.kb()?.resolver();
    let chosen: Vec<&Manifest> = match names {
        [] => manifests.iter().filter(|manifest| resolver.state(manifest).bytes > 0).collect(),
        names => names.iter().map(|name| models::find(&manifests, name)).collect::<Result<_>>()?,
    };
    let mut all_right = true;
    let mut list = Vec::new();
    let mut text = String::new();
    let pen = app.ui.pen;
    for manifest in chosen {
        let files = app.watched(|watch| resolver.verify(manifest, watch.events, watch.cancel))?;
        for file in files {
            let (style, said) = match file.status {
                FileStatus::Ok => (styles::GOOD, "ok"),
                FileStatus::Missing => (styles::WARNING, "missing"),
                FileStatus::Wrong => (styles::ERROR, "wrong"),
            };
            all_right &= file.status == FileStatus::Ok;
            text.push_str(&format!(
                "{} {}/{}{}\n",
                pen.paint(style, said),
                manifest.name,
                file.name,
                file.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default()
            ));
            list.push(serde_json::json!({ "model": manifest.name, "file": file }));
        }
    }
    if list.is_empty() {
        app.ui.warning("no model is here yet; `wellread models fetch` fetches them");
    }
    if !all_right {
        text.push_str("To fix it: wellread models fetch\n");
    }
    if app.json {
        app.ui.json(&serde_json::json!({ "files": list }))?;
    } else {
        app.ui.result(&text)?;
    }
    Ok(if all_right { Outcome::Done } else { Outcome::Failed })
}
