//! `doctor`: what is well, and what to do about the rest.

use std::path::Path;

use serde::Serialize;

use super::Outcome;
use super::app::App;
use crate::base::error::Result;
use crate::cli::ui::styles;
use crate::compute::{Device, DeviceChoice};
use crate::index::server::Server;
use crate::index::store::Select;
use crate::models::{self, Choice};

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warning,
    Error,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    health: Health,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

/// Free bytes below which nothing large should be begun.
const LOW_DISK: u64 = 2_000_000_000;

pub(super) fn run(app: &App<'_>) -> Result<Outcome> {
    let mut checks = vec![version(), machine(), device(app)];
    checks.push(folder("data folder", app.settings.data_dir()));
    checks.push(folder("model cache", app.settings.cache_dir()));
    checks.extend(models(app));
    checks.push(library(app));
    checks.push(index(app));
    if !app.settings.config.store.url.is_empty() {
        checks.push(server(app));
    }
    if !app.settings.config.offline {
        checks.push(python());
    }
    let is_well = checks.iter().all(|check| check.health != Health::Error);
    if app.json {
        app.ui.json(&serde_json::json!({ "checks": checks }))?;
    } else {
        let pen = app.ui.pen;
        let mut text = String::new();
        for check in &checks {
            let mark = match check.health {
                Health::Ok => pen.paint(styles::GOOD, "ok     "),
                Health::Warning => pen.paint(styles::WARNING, "warning"),
                Health::Error => pen.paint(styles::ERROR, "error  "),
            };
            text.push_str(&format!("{mark} {}: {}\n", check.name, pen.safe(&check.detail)));
            if let Some(todo) = &check.todo {
                text.push_str(&format!("        try: {}\n", pen.safe(todo)));
            }
        }
        app.ui.result(&text)?;
    }
    Ok(if is_well { Outcome::Done } else { Outcome::Failed })
}

fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, health: Health::Ok, detail: detail.into(), todo: None }
}

fn warning(name: &'static str, detail: impl Into<String>, todo: impl Into<String>) -> Check {
    Check { name, health: Health::Warning, detail: detail.into(), todo: Some(todo.into()) }
}

fn error(name: &'static str, error: &crate::base::error::Error) -> Check {
    Check {
        name,
        health: Health::Error,
        detail: error.chain(),
        todo: super::steps::said(error.steps()),
    }
}

fn version() -> Check {
    ok(
        "version",
        format!(
            "wellread {}, schema of the library {}",
            env!("CARGO_PKG_VERSION"),
            crate::library::SCHEMA_VERSION
        ),
    )
}

fn machine() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut features: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avxvnni", std::arch::is_x86_feature_detected!("avxvnni")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
        ];
        features.extend(known.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
        if !features.contains(&"avx2") {
            return warning(
                "machine",
                format!("{cores} cores, without AVX2: the LLM will be slow"),
                "use the small model: --model smollm2-135m-instruct",
            );
        }
    }
    #[cfg(target_arch = "aarch64")]
    features.push("neon");
    let tier = crate::compute::tier().name();
    ok("machine", format!("{cores} cores, {}; the LLM uses {tier}", features.join(" ")))
}

/// Where the LLM and the embedder run, and why there.
fn device(app: &App<'_>) -> Check {
    let name = "device";
    let look = || -> Result<Check> {
        let kb = app.kb()?;
        let gpu = match kb.device()? {
            Device::Cpu { why } => return Ok(ok(name, format!("CPU: {why}"))),
            Device::Gpu { name, .. } => name,
        };
        let device = kb.config().device;
        Ok(match kb.llm_not_on_gpu()? {
            None if device == DeviceChoice::Auto => ok(name, format!("{gpu}: it opens")),
            None => ok(name, format!("{gpu}: the setting device says so")),
            Some(why) if device == DeviceChoice::Auto => {
                ok(name, format!("{gpu} for the embedder, the CPU for the LLM: {why}"))
            }
            Some(why) => Check {
                name,
                health: Health::Error,
                detail: why,
                todo: Some("set device = \"cpu\" or \"auto\", or use another LLM".into()),
            },
        })
    };
    look().unwrap_or_else(|problem| error(name, &problem))
}

fn folder(name: &'static str, path: Result<std::path::PathBuf>) -> Check {
    let path = match path {
        Ok(path) => path,
        Err(problem) => return error(name, &problem),
    };
    let mut existing: &Path = &path;
    while !existing.exists() {
        match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
            _ => {
                existing = Path::new(".");
                break;
            }
        }
    }
    if let Err(problem) = tempfile::NamedTempFile::new_in(existing) {
        let what = format!("cannot write to {}", existing.display());
        return error(name, &crate::base::error::Error::io(what, problem));
    }
    let free = fs4::available_space(existing).unwrap_or(u64::MAX);
    let detail = format!("{}, {:.1} GB free", path.display(), free as f64 / 1e9);
    if free < LOW_DISK {
        warning(name, detail, "free some space: models and indexes need a few GB")
    } else {
        ok(name, detail)
    }
}

fn models(app: &App<'_>) -> Vec<Check> {
    let (manifests, resolver) = match app.kb().and_then(|kb| Ok((kb.manifests()?, kb.resolver()))) {
        Ok(parts) => parts,
        Err(problem) => return vec![error("models", &problem)],
    };
    let chosen = &app.settings.config.models;
    [("embedder", &chosen.embedder), ("LLM", &chosen.generator)]
        .into_iter()
        .map(|(name, choice)| match Choice::parse(choice) {
            Ok(Choice::Manifest(model)) => match models::find(&manifests, &model) {
                Ok(manifest) if resolver.state(manifest).present => {
                    ok(name, format!("{model}, {:.0} MB", manifest.bytes() as f64 / 1e6))
                }
                Ok(manifest) => warning(
                    name,
                    format!("{model} is not here ({:.0} MB)", manifest.bytes() as f64 / 1e6),
                    format!("wellread models fetch {model}"),
                ),
                Err(problem) => error(name, &problem),
            },
            Ok(Choice::Path(path)) if path.is_file() => ok(name, path.display().to_string()),
            Ok(Choice::Path(path)) => {
                warning(name, format!("{} is not there", path.display()), "check models.generator")
            }
            Ok(Choice::Hub { .. }) => ok(name, choice.clone()),
            Err(problem) => error(name, &problem),
        })
        .collect()
}

fn library(app: &App<'_>) -> Check {
    let name = "library";
    let look = || -> Result<Check> {
        let Some(library) = app.kb()?.existing_library()? else {
            return Ok(warning(name, "there is none yet", "wellread add FEED"));
        };
        let problems = library.check()?;
        if !problems.is_empty() {
            return Ok(Check {
                name,
                health: Health::Error,
                detail: format!("{}: {}", library.path().display(), problems.join("; ")),
                todo: Some(
                    "restore it from a backup, or move it away and add your sources again".into(),
                ),
            });
        }
        let sources = library.sources()?;
        let failed = sources.iter().filter(|source| source.error.is_some()).count();
        let detail = format!(
            "{} sources, {} articles, {} vectors",
            sources.len(),
            library.article_count()?,
            library.vector_count()?
        );
        Ok(match failed {
            0 => ok(name, detail),
            n => {
                warning(name, format!("{detail}; {n} sources failed last time"), "wellread sources")
            }
        })
    };
    look().unwrap_or_else(|problem| error(name, &problem))
}

fn index(app: &App<'_>) -> Check {
    let name = "index";
    let look = || -> Result<Check> {
        let kb = app.kb()?;
        let Some(live) = kb.index().live()? else {
            return Ok(warning(name, "there is none yet", "wellread add FEED"));
        };
        let detail = format!("{}: {} articles, {} chunks", live.id, live.articles, live.chunks);
        let Some(library) = kb.existing_library()? else { return Ok(ok(name, detail)) };
        let snapshot = kb.snapshot(&library)?;
        let mut found = 0;
        snapshot.index().scan(&Select::All, &mut |_| {
            found += 1;
            Ok(())
        })?;
        if found != live.chunks {
            return Ok(Check {
                name,
                health: Health::Error,
                detail: format!("{detail}, but {found} are found in it"),
                todo: Some("wellread index rebuild".into()),
            });
        }
        Ok(match kb.index().pending(&library, &kb.config().clean, &live)?.count() {
            0 => ok(name, detail),
            n => {
                warning(name, format!("{detail}; {n} articles have changed since"), "wellread sync")
            }
        })
    };
    look().unwrap_or_else(|problem| error(name, &problem))
}

fn server(app: &App<'_>) -> Check {
    let store = &app.settings.config.store;
    match Server::connect(&store.url, &store.server).and_then(|server| server.live()) {
        Ok(Some(live)) => ok("Qdrant server", format!("{} answers; {live} is live", store.url)),
        Ok(None) => ok("Qdrant server", format!("{} answers; it holds no index yet", store.url)),
        Err(problem) => error("Qdrant server", &problem),
    }
}

/// Only fetching models from package wheels needs it.
fn python() -> Check {
    let ran =
        std::process::Command::new("python3").args(["-c", models::RUN_PIP, "--version"]).output();
    match ran {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            let version: Vec<&str> = said.split_whitespace().take(2).collect();
            ok("pip", version.join(" "))
        }
        _ => warning(
            "pip",
            "python3 with pip is not there; models can come from the hub alone",
            "install python3 and pip, if the hub can't be reached",
        ),
    }
}
