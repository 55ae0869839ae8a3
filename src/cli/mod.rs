//! Builds the parts from the settings and calls one use case each; maps outcomes to exit codes.

mod app;
pub mod args;
mod ask;
mod chat;
mod cite;
pub mod config;
mod doctor;
mod embed;
mod eval;
mod feedback;
mod index;
mod markdown;
mod mcp;
mod models;
mod serve;
mod server;
mod sources;
mod steps;
mod stop;
pub mod text;
mod trust;
pub mod ui;
mod warnings;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::base::Cancel;
use crate::base::error::{Error, ErrorKind, Result};
use crate::cli::args::{Cli, Command, Global};
use crate::cli::config::{Ignored, Settings};
use crate::cli::ui::{Ui, Verbosity};
use crate::compute::{Tier, cap_tier};
use crate::index::server::ApiKey;
use app::App;

/// How a command ended, if not by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// The articles don't say, or a threshold was missed: exit code 1.
    No,
    /// Some of several things failed, each reported: exit code 2.
    Failed,
}

/// Parses the command line, runs the command, and says how it ended: 0 done (or the reader of a
/// pipe has gone), 1 abstained, 2 an error, 130 stopped by Ctrl-C; a panic is 101.
pub fn main() -> ExitCode {
    quiet_guarded_panics();
    let cli = Cli::parse();
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let ui = Ui::new(verbosity, cli.global.color);
    let cancel = Cancel::default();
    let outcome = stop::on_signals(&cancel).and_then(|()| run(cli, &ui, &cancel));
    ui.clear();
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(if error.kind() == ErrorKind::Interrupted { 130 } else { 2 })
        }
    }
}

/// A panic inside the embedded store becomes an error of ours; only others are shown as they are.
fn quiet_guarded_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::index::edge::is_guarded() {
            shown(panic);
        }
    }));
}

fn run(cli: Cli, ui: &Ui, cancel: &Cancel) -> Result<Outcome> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "wellread", &mut script);
        ui.result(&String::from_utf8_lossy(&script))?;
        return Ok(Outcome::Done);
    }
    let mut settings =
        Settings::load(cli.global.config.as_deref(), &flags(&cli.global, &cli.command), &|name| {
            std::env::var(name).ok()
        })?;
    if let Ok(key) = std::env::var("WELLREAD_QDRANT_API_KEY") {
        settings.config.store.server.api_key = ApiKey(key);
    }
    if let Some(warning) = settings.ignored_in_short() {
        ui.warning(&warning);
    }
    if let Some(name) = std::env::var("WELLREAD_CPU").ok().filter(|name| !name.is_empty()) {
        let tier = Tier::of_name(&name).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("WELLREAD_CPU is \"{name}\"")).hint(
                "it must be avx512vnni, avxvnni, avx2 or reference: the best that may be used",
            )
        })?;
        cap_tier(tier);
    }
    let app = App::new(ui, cancel, settings, cli.global.json);
    let outcome = match cli.command {
        Command::Ask(args) => ask::ask(&app, &args),
        Command::Search(args) => ask::search(&app, &args),
        Command::Chat(args) => chat::run(&app, &args),
        Command::Serve(args) => serve::run(&app, &args),
        Command::Mcp(args) => mcp::run(&app, &args),
        Command::Cite(args) => cite::run(&app, &args),
        Command::Feedback(command) => feedback::run(&app, &command),
        Command::Add(args) => sources::add(&app, &args),
        Command::Sources => sources::list(&app),
        Command::Sync(args) => sources::sync(&app, &args),
        Command::Remove(args) => sources::remove(&app, &args),
        Command::Articles(args) => sources::articles(&app, &args),
        Command::Show(args) => sources::show(&app, &args),
        Command::Index(command) => index::run(&app, &command),
        Command::Embed(args) => embed::run(&app, &args),
        Command::Eval(command) => eval::run(&app, &command),
        Command::Models(command) => models::run(&app, &command),
        Command::Doctor => doctor::run(&app),
        Command::Config => config(&app),
        Command::Completions { .. } => Ok(Outcome::Done),
    };
    crate::index::edge::leave();
    outcome
}

/// What the command line says of the settings, as keys and values; `--set` comes first, so that a
/// flag of its own wins.
fn flags(global: &Global, command: &Command) -> Vec<(String, String)> {
    let mut flags = global.set.clone();
    let mut set = |key: &str, value: Option<String>| {
        flags.extend(value.map(|value| (key.to_owned(), value)));
    };
    set("offline", global.offline.then(|| "true".to_owned()));
    set("data", global.data.as_ref().map(|path| path.display().to_string()));
    match command {
        Command::Ask(ask) => {
            set("models.generator", ask.model.clone());
            set("answer.max_tokens", ask.max_tokens.map(|n| n.to_string()));
            set("answer.temperature", ask.temperature.map(|t| t.to_string()));
            set("answer.seed", ask.seed.map(|n| n.to_string()));
        }
        Command::Chat(chat) => set("models.generator", chat.model.clone()),
        Command::Add(args) => {
            set("fetch.allow_private", args.allow_private.then(|| "true".to_owned()));
        }
        Command::Sync(args) => {
            set("fetch.allow_private", args.allow_private.then(|| "true".to_owned()));
        }
        Command::Search(_)
        | Command::Serve(_)
        | Command::Mcp(_)
        | Command::Cite(_)
        | Command::Feedback(_)
        | Command::Sources
        | Command::Remove(_)
        | Command::Articles(_)
        | Command::Show(_)
        | Command::Index(_)
        | Command::Embed(_)
        | Command::Eval(_)
        | Command::Models(_)
        | Command::Doctor
        | Command::Config
        | Command::Completions { .. } => {}
    }
    flags
}

/// `wellread config`.
fn config(app: &App<'_>) -> Result<Outcome> {
    if app.json {
        let values: serde_json::Map<String, serde_json::Value> = app
            .settings
            .origins
            .iter()
            .map(|(key, (value, origin))| {
                let mut shown = serde_json::json!({ "value": value, "origin": origin.to_string() });
                if let Some(ignored) = app.settings.ignored.iter().find(|one| one.key == *key) {
                    shown["ignored"] = serde_json::json!({
                        "value": ignored.value,
                        "origin": ignored.file.display().to_string(),
                        "why": ignored.why,
                    });
                }
                (key.clone(), shown)
            })
            .collect();
        app.ui.json(&values)?;
    } else {
        // A file's values are whatever its writer put there, and stay on their line.
        let shown = |value: &toml::Value| app.ui.pen.safe(&value.to_string()).replace('\n', "\\n");
        let width = app.settings.origins.keys().map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (key, (value, origin)) in &app.settings.origins {
            let origin = app.ui.pen.paint(crate::cli::ui::styles::ASIDE, &format!("# {origin}"));
            let value = shown(value);
            text.push_str(&format!("{key:width$} = {value}  {origin}\n"));
        }
        for Ignored { key, value, file, why } in &app.settings.ignored {
            let value = shown(value);
            text.push_str(&format!("# ignored in {}: {key} = {value} ({why})\n", file.display()));
        }
        app.ui.result(&text)?;
    }
    Ok(Outcome::Done)
}
