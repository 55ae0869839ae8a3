//! `chat`: one question after another, on a terminal or a line each.

mod commands;
mod editor;
mod lines;
mod section;
mod session;
mod terminal;
mod transcript;

use std::io::IsTerminal;

use super::Outcome;
use super::app::{App, checked};
use super::args::Chat;
use super::text;
use crate::api::ConversationShape;
use crate::base::error::{Error, ErrorKind, Result};
use crate::library::ConversationInfo;

pub(super) use lines::answer_lines;
pub(super) use session::Session;

pub(super) fn run(app: &App<'_>, args: &Chat) -> Result<Outcome> {
    if args.sessions {
        return list(app);
    }
    if let Some(id) = args.delete {
        return delete(app, id).map(|()| Outcome::Done);
    }
    let (filter, sources) = checked(app, &args.filter)?;
    let mut session = Session::new(app, filter, sources);
    session.quotes = args.quotes;
    if let Some(id) = args.resume {
        session.resume(id)?;
    }
    if !args.quotes {
        app.kb()?.check_llm()?;
    }
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if is_terminal && !app.json {
        return terminal::run(&mut session);
    }
    answer_lines(&mut session, &mut std::io::stdin().lock())
}

fn list(app: &App<'_>) -> Result<Outcome> {
    if app.json {
        let kept = kept(app)?;
        let shapes: Vec<_> = kept.iter().map(ConversationShape::new).collect();
        app.ui.json(&serde_json::json!({ "conversations": shapes }))?;
        return Ok(Outcome::Done);
    }
    app.ui.result(&conversations(app)?)?;
    Ok(Outcome::Done)
}

fn kept(app: &App<'_>) -> Result<Vec<ConversationInfo>> {
    match app.kb()?.existing_library()? {
        Some(library) => library.conversations(),
        None => Ok(Vec::new()),
    }
}

/// The kept conversations, a line each.
fn conversations(app: &App<'_>) -> Result<String> {
    let kept = kept(app)?;
    if kept.is_empty() {
        return Ok("No conversations are kept.\n".to_owned());
    }
    let width = kept.iter().map(|one| one.id.to_string().len()).max().unwrap_or(1);
    let lines = kept.iter().map(|one| {
        let questions = if one.answers == 1 { "question" } else { "questions" };
        format!(
            "{:>width$}  {}  {} {questions}: {}\n",
            one.id,
            one.started_at.strftime("%Y-%m-%d %H:%M"),
            one.answers,
            app.ui.pen.safe(&text::shorten(&one.first, 80)),
        )
    });
    Ok(lines.collect())
}

fn delete(app: &App<'_>, id: i64) -> Result<()> {
    let is_there = match app.kb()?.existing_library()? {
        Some(library) => library.delete_conversation(id)?,
        None => false,
    };
    if is_there { Ok(()) } else { Err(no_conversation(id)) }
}

fn no_conversation(id: i64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no conversation {id}"))
        .hint("`wellread chat --sessions` lists them, as does /sessions")
}
