//! `mcp`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Outcome;
use super::app::App;
use super::args::Mcp;
use super::config::{self, Origin, Settings};
use crate::api::json as written;
use crate::base::error::{Error, Result};
use crate::serve::{Shared, mcp};

pub(super) fn run(app: &App<'_>, args: &Mcp) -> Result<Outcome> {
    if args.install_hint {
        return hint(app);
    }
    // What happens on the way has no place between the messages, and a client's log is not read.
    mcp::stdio(&Shared::new(app.new_kb()?), app.cancel)?;
    Ok(Outcome::Done)
}

/// How common clients are told of this command.
fn hint(app: &App<'_>) -> Result<Outcome> {
    let program = std::env::current_exe()
        .map_err(|error| Error::io("cannot tell where this program is", error))?;
    let program = program.display().to_string();
    let mut args = vec!["mcp".to_owned()];
    args.extend(chosen(&app.settings)?);
    let server = json!({ "command": program, "args": args });
    let servers = json!({ "mcpServers": { "wellread": server } });
    if app.json {
        app.ui.json(&servers)?;
        return Ok(Outcome::Done);
    }
    app.ui.result(&text(&program, &args, &servers, &server)?)?;
    Ok(Outcome::Done)
}

/// Settings that name a file or a folder.
const PATHS: [&str; 5] =
    ["cache", "models.manifests", "models.prompt", "serve.token_file", "store.server.api_key_file"];
/// Settings that name a model, which may be a file.
const MODELS: [&str; 3] = ["answer.escalate", "models.embedder", "models.generator"];

/// The arguments that make another process have these settings. A client starts it in a folder of
/// its own, with few variables: what was chosen here, other than in a file that it reads itself, is
/// named, and so is whatever depends on the folder.
fn chosen(settings: &Settings) -> Result<Vec<String>> {
    let own = config::platform_file();
    let mut args = Vec::new();
    if !settings.config.data.is_empty() {
        let data = absolute(Path::new(&settings.config.data))?;
        args.extend(["--data".to_owned(), data]);
    }
    if let Some(file) = &settings.file {
        args.extend(["--config".to_owned(), absolute(file)?]);
    }
    for (key, (value, origin)) in settings.origins.iter().filter(|(key, _)| *key != "data") {
        let is_read = match origin {
            Origin::Default => true,
            Origin::File(path) => {
                own.as_ref() == Some(path) || settings.file.as_ref() == Some(path)
            }
            Origin::Environment(_) | Origin::Flag => false,
        };
        let (text, depends) = as_typed(key, value)?;
        if !is_read || depends {
            args.extend(["--set".to_owned(), format!("{key}={text}")]);
        }
    }
    Ok(args)
}

/// A value as `--set` takes it, and whether it names a file by where it is from this folder; then the
/// text has its whole path.
fn as_typed(key: &str, value: &toml::Value) -> Result<(String, bool)> {
    Ok(match value {
        toml::Value::String(text) => {
            let path = Path::new(text);
            let is_path = PATHS.contains(&key) || MODELS.contains(&key) && path.exists();
            let depends = is_path && !text.is_empty() && path.is_relative();
            (if depends { absolute(path)? } else { text.clone() }, depends)
        }
        toml::Value::Array(items) => {
            let items = items.iter().map(|item| as_typed(key, item));
            let (texts, depend): (Vec<_>, Vec<_>) =
                items.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            (texts.join(","), depend.contains(&true))
        }
        other => (other.to_string(), false),
    })
}

fn absolute(path: &Path) -> Result<String> {
    let whole = std::path::absolute(path)
        .map_err(|error| Error::io("cannot tell the whole path of a file", error))?;
    Ok(whole.display().to_string())
}

fn text(program: &str, args: &[String], servers: &Value, server: &Value) -> Result<String> {
    let command: Vec<String> =
        std::iter::once(program).chain(args.iter().map(String::as_str)).map(quoted).collect();
    let command = command.join(" ");
    let mut vscode = json!({ "name": "wellread" });
    if let (Some(all), Some(server)) = (vscode.as_object_mut(), server.as_object()) {
        all.extend(server.clone());
    }
    let mut out = String::new();
    let _ = writeln!(out, "Claude Code:\n\n  claude mcp add wellread -- {command}\n");
    let _ = writeln!(out, "VS Code:\n\n  code --add-mcp {}\n", quoted(&written::line(&vscode)?));
    let _ = writeln!(
        out,
        "Claude Desktop (Settings, Developer, Edit Config: claude_desktop_config.json), Cursor \
         (~/.cursor/mcp.json), and most others:\n"
    );
    for line in written::pretty(servers)?.lines() {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(
        out,
        "\nOver HTTP, while `wellread serve` runs:\n\n  \
         claude mcp add --transport http wellread http://127.0.0.1:7878/mcp"
    );
    if Path::new(program).components().any(|part| part.as_os_str() == "target") {
        let _ =
            writeln!(out, "\nThis program is in a build folder; install it before you rely on it.");
    }
    Ok(out)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_spaces_or_quotes_is_one_word_to_a_shell() {
        assert_eq!(quoted("/usr/bin/wellread"), "/usr/bin/wellread");
        assert_eq!(quoted("/my apps/it's"), "'/my apps/it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
