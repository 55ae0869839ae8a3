//! `feedback`.

use jiff::Timestamp;

use super::Outcome;
use super::app::App;
use super::args::FeedbackCommand;
use super::text::shorten;
use super::ui::styles;
use crate::base::error::{Error, ErrorKind, Result};
use crate::library::Rating;

/// Characters of a question in a list.
const WIDTH: usize = 80;

pub(super) fn run(app: &App<'_>, command: &FeedbackCommand) -> Result<Outcome> {
    let (verdict, args) = match command {
        FeedbackCommand::Good(args) => (Rating::Good, args),
        FeedbackCommand::Bad(args) => (Rating::Bad, args),
        FeedbackCommand::List => return list(app),
    };
    let library = app.kb()?.filled_library()?;
    let answer = library.kept_answer(args.id)?.ok_or_else(|| match args.id {
        Some(id) => {
            Error::new(ErrorKind::NotFound, format!("no answer {id} is kept")).hint(format!(
                "leave the number out for the last answer; the last {} are kept (answer.history)",
                app.settings.config.answer.history
            ))
        }
        None => Error::new(ErrorKind::NotFound, "no answer is kept yet")
            .hint("ask something first; answer.history says how many answers are kept"),
    })?;
    let note = args.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
    if !library.give_feedback(answer.id, verdict, note, Timestamp::now())? {
        return Err(Error::new(ErrorKind::NotFound, format!("answer {} is gone", answer.id))
            .hint("ask again"));
    }
    if app.json {
        app.ui.json(&serde_json::json!({
            "id": answer.id, "question": answer.question, "verdict": verdict.as_str(), "note": note,
        }))?;
    } else {
        let question = app.ui.pen.safe(&shorten(&answer.question, WIDTH));
        app.ui.result(&format!("{} is {}: {question}\n", answer.id, verdict.as_str()))?;
    }
    Ok(Outcome::Done)
}

fn list(app: &App<'_>) -> Result<Outcome> {
    let all = match app.kb()?.existing_library()? {
        Some(library) => library.feedback()?,
        None => Vec::new(),
    };
    if app.json {
        let shown: Vec<_> = all
            .iter()
            .map(|one| {
                serde_json::json!({
                    "id": one.answer.id, "question": one.answer.question,
                    "verdict": one.verdict.as_str(), "note": one.note,
                    "answered_at": one.answer.answered_at, "given_at": one.given_at,
                })
            })
            .collect();
        app.ui.json(&shown)?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = String::new();
    for one in &all {
        let style = match one.verdict {
            Rating::Good => styles::GOOD,
            Rating::Bad => styles::ERROR,
        };
        let verdict = pen.paint(style, &format!("{:<4}", one.verdict.as_str()));
        let id = pen.paint(styles::NUMBER, &format!("{:>5}", one.answer.id));
        text.push_str(&format!(
            "{id}  {verdict}  {}\n",
            pen.safe(&shorten(&one.answer.question, WIDTH))
        ));
        if let Some(note) = &one.note {
            text.push_str(&format!("             {}\n", pen.safe(&shorten(note, WIDTH))));
        }
    }
    if all.is_empty() {
        text.push_str("No answer has been called good or bad yet.\n");
    }
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}
