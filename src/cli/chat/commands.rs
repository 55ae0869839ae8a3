//! What can be typed besides questions.

use std::path::Path;

use super::session::Session;
use super::{conversations, delete, section, transcript};
use crate::api::FilterWords;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::nearest;
use crate::base::{Filter, files};
use crate::cli::text;
use crate::cli::ui::{Pen, styles};

/// The commands: name, what follows it, what it does.
pub(super) const COMMANDS: [(&str, &str, &str); 11] = [
    ("/new", "", "begin a new conversation"),
    ("/sessions", "", "list the conversations that are kept"),
    ("/resume", "N", "resume one of them"),
    ("/delete", "N", "delete one of them"),
    ("/sources", "", "show what the last answer cites"),
    ("/why", "", "show what it rests on, and what was dropped and why"),
    (
        "/filter",
        "KEY=VALUE …",
        "ask only these articles: source, since, until, author, tag, title; /filter none asks all",
    ),
    ("/quotes", "", "switch between word-for-word quotes and the LLM's answers"),
    ("/save", "FILE", "write the conversation to a new file"),
    ("/help", "", "show this list"),
    ("/quit", "", "leave"),
];

/// What was typed.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    Ask(String),
    Open(usize),
    New,
    Sessions,
    Resume(i64),
    Delete(i64),
    Sources,
    Why,
    Filter(String),
    Quotes,
    Save(String),
    Help,
    Quit,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Ask(String),
    GoOn,
    Quit,
}

/// Reads a line; `None` if it is empty.
pub(super) fn read(line: &str) -> Option<Result<Command>> {
    if line.is_empty() {
        return None;
    }
    if let Ok(n) = line.trim_start_matches('[').trim_end_matches(']').parse::<usize>() {
        return Some(Ok(Command::Open(n)));
    }
    let Some(rest) = line.strip_prefix('/') else {
        return Some(Ok(Command::Ask(line.to_owned())));
    };
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(command(name, argument.trim()))
}

fn command(name: &str, argument: &str) -> Result<Command> {
    let number = |what: &str| {
        argument.parse::<i64>().map_err(|_| {
            Error::new(ErrorKind::Usage, format!("/{what} needs the number of a conversation"))
                .hint("/sessions lists them")
        })
    };
    Ok(match name {
        "new" => Command::New,
        "sessions" => Command::Sessions,
        "resume" => Command::Resume(number("resume")?),
        "delete" => Command::Delete(number("delete")?),
        "sources" => Command::Sources,
        "why" => Command::Why,
        "filter" => Command::Filter(argument.to_owned()),
        "quotes" => Command::Quotes,
        "save" if argument.is_empty() => {
            return Err(Error::new(ErrorKind::Usage, "/save needs the name of a new file")
                .hint("/save chat.txt"));
        }
        "save" => Command::Save(argument.to_owned()),
        "help" | "?" => Command::Help,
        "quit" | "exit" | "q" => Command::Quit,
        _ => return Err(unknown(&format!("/{name}"))),
    })
}

fn unknown(name: &str) -> Error {
    let near = nearest(name, COMMANDS.iter().map(|(known, ..)| *known), 2);
    let error = Error::new(ErrorKind::Usage, format!("there is no command {name}"));
    match near {
        Some(known) => error.hint(format!("did you mean {known}? /help lists all")),
        None => error.hint("/help lists all; a question does not begin with a slash"),
    }
}

/// Does what a command says.
///
/// # Errors
/// What it fails with; the conversation goes on as it was.
pub(super) fn run(session: &mut Session<'_, '_>, command: Command) -> Result<Next> {
    let ui = session.app.ui;
    match command {
        Command::Ask(question) => return Ok(Next::Ask(question)),
        Command::Quit => return Ok(Next::Quit),
        Command::Open(n) => section::open(session, n)?,
        Command::New => {
            session.begin();
            ui.result("A new conversation.\n")?;
        }
        Command::Sessions => ui.result(&conversations(session.app)?)?,
        Command::Resume(id) => {
            session.resume(id)?;
            if let Some((question, answer)) = session.said.last() {
                ui.result(&transcript::whole(ui.pen, question, answer))?;
            }
        }
        Command::Delete(id) => {
            delete(session.app, id)?;
            if session.id == Some(id) {
                session.begin();
            }
            ui.result(&format!("Conversation {id} is deleted.\n"))?;
        }
        Command::Sources => {
            let shown = text::sources(ui.pen, last(session)?);
            ui.result(if shown.is_empty() { "It cites nothing.\n" } else { &shown })?;
        }
        Command::Why => {
            let answer = last(session)?;
            let signals = text::signals(answer);
            ui.result(&format!("{}{signals}\n", text::explanation(ui.pen, answer)))?;
        }
        Command::Filter(said) => {
            if !said.is_empty() {
                session.filter = filter(session, &said)?;
            }
            ui.result(&format!("{}\n", ui.pen.safe(&in_words(&session.filter))))?;
        }
        Command::Quotes => {
            session.quotes = !session.quotes;
            ui.result(match session.quotes {
                true => "Answers are quoted word for word; the LLM is not asked.\n",
                false => "The LLM answers.\n",
            })?;
        }
        Command::Save(file) => {
            let said: Vec<String> = session
                .said
                .iter()
                .map(|(question, answer)| {
                    transcript::whole(Pen { color: false, escape: true }, question, answer)
                })
                .collect();
            if said.is_empty() {
                return Err(Error::new(ErrorKind::Usage, "there is nothing to save yet")
                    .hint("ask a question first"));
            }
            files::write_new(Path::new(&file), said.join("\n").as_bytes())?;
            ui.result(&format!("Saved to {}.\n", ui.pen.safe(&file)))?;
        }
        Command::Help => ui.result(&help(ui.pen))?,
    }
    Ok(Next::GoOn)
}

fn last<'s>(session: &'s Session<'_, '_>) -> Result<&'s crate::answer::Answer> {
    session.last().ok_or_else(|| {
        Error::new(ErrorKind::Usage, "nothing was asked yet").hint("ask a question first")
    })
}

fn help(pen: Pen) -> String {
    let usage = |name: &str, argument: &str| format!("{name} {argument}").trim_end().to_owned();
    let width = COMMANDS.iter().map(|(name, what, _)| usage(name, what).chars().count()).max();
    let width = width.unwrap_or(0);
    let mut out = String::new();
    for (name, argument, does) in COMMANDS {
        let usage = format!("{:width$}", usage(name, argument));
        out.push_str(&format!("{}  {does}\n", pen.paint(styles::NUMBER, &usage)));
    }
    let number = pen.paint(styles::NUMBER, &format!("{:width$}", "N"));
    out.push_str(&format!("{number}  open that source of the last answer\n"));
    out.push_str("Ctrl-C stops an answer; Ctrl-D leaves.\n");
    out
}

/// A filter as it is typed.
fn filter(session: &Session<'_, '_>, said: &str) -> Result<Filter> {
    if ["none", "off", "all", "clear"].contains(&said) {
        return Ok(Filter::default());
    }
    let words = filter_words(said)?;
    words.understood(&*session.app.kb()?.filled_library()?)
}

/// `since=2025-01-01 author="Ida Holm"`.
fn filter_words(said: &str) -> Result<FilterWords> {
    const KEYS: [&str; 6] = ["source", "since", "until", "author", "tag", "title"];
    let mut words = FilterWords::default();
    for pair in pairs(said)? {
        let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
        let value = value.trim();
        if !KEYS.contains(&key) {
            let error = Error::new(ErrorKind::Usage, format!("there is no filter \"{key}\""));
            return Err(match nearest(key, KEYS, 2) {
                Some(known) => error.hint(format!("did you mean {known}=…?")),
                None => error.hint(format!("there are {}", KEYS.join(", "))),
            });
        }
        if value.is_empty() {
            return Err(Error::new(ErrorKind::Usage, format!("{key} has no value"))
                .hint(format!("write {key}=…, in quotes if it has spaces")));
        }
        let value = value.to_owned();
        match key {
            "source" => words.source.push(value),
            "author" => words.author.push(value),
            "tag" => words.tag.push(value),
            "since" => words.since = Some(value),
            "until" => words.until = Some(value),
            _ => words.title = Some(value),
        }
    }
    Ok(words)
}

/// A line's words, those between quotation marks kept together.
fn pairs(line: &str) -> Result<Vec<String>> {
    let (mut found, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match (letter, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) if word.is_empty() || word.ends_with('=') => quote = Some(letter),
            (space, None) if space.is_whitespace() => {
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
            }
            (letter, _) => word.push(letter),
        }
    }
    if quote.is_some() {
        return Err(Error::new(ErrorKind::Usage, "a quotation mark is not closed")
            .hint("/filter author=\"Ida Holm\""));
    }
    if !word.is_empty() {
        found.push(word);
    }
    Ok(found)
}

/// A filter as `/filter` shows it.
fn in_words(filter: &Filter) -> String {
    let words = FilterWords::of(filter);
    let day = |at: String| at.strip_suffix("T00:00:00Z").map_or(at.clone(), str::to_owned);
    let several = |key: &str, values: Vec<String>| -> Vec<String> {
        values.into_iter().map(|value| format!("{key}={value}")).collect()
    };
    let mut said = several("source", words.source);
    said.extend(words.since.map(|at| format!("since={}", day(at))));
    said.extend(words.until.map(|at| format!("until={}", day(at))));
    said.extend(several("author", words.author));
    said.extend(several("tag", words.tag));
    said.extend(words.title.map(|title| format!("title={title}")));
    match said.is_empty() {
        true => "All articles are asked.".to_owned(),
        false => format!("Only these articles are asked: {}", said.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> Command {
        read(line).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        let error = read(line).unwrap().unwrap_err();
        format!("{error} / {:?}", error.steps())
    }

    #[test]
    fn a_line_is_a_question_a_number_or_a_command() {
        assert_eq!(understood("Why?"), Command::Ask("Why?".into()));
        assert_eq!(understood("2025 was when?"), Command::Ask("2025 was when?".into()));
        assert_eq!((understood("3"), understood("[12]")), (Command::Open(3), Command::Open(12)));
        assert_eq!(understood("/resume  4"), Command::Resume(4));
        assert_eq!(understood("/save a b.txt"), Command::Save("a b.txt".into()));
        assert_eq!(understood("/filter"), Command::Filter(String::new()));
        assert_eq!((understood("/q"), understood("/exit")), (Command::Quit, Command::Quit));
        assert!(read("").is_none());
        for (name, argument, _) in COMMANDS {
            let line = format!("{name} {}", if argument == "N" { "1" } else { argument });
            assert!(read(line.trim()).unwrap().is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_nearest() {
        assert!(refused("/souces").contains("did you mean /sources?"));
        assert!(refused("/xyzzy").contains("/help lists all"));
        assert!(refused("/resume x").contains("number of a conversation"));
        assert!(refused("/save").contains("new file"));
    }

    #[test]
    fn a_filter_is_read_as_it_is_typed_and_errors_name_what_is_near() {
        let words = filter_words("since=2025-01-01 author=\"Ida Holm\" tag=a tag='b c'").unwrap();
        assert_eq!(words.since.as_deref(), Some("2025-01-01"));
        assert_eq!(
            (words.author, words.tag),
            (vec!["Ida Holm".into()], vec!["a".into(), "b c".into()])
        );
        let hint = |line: &str| format!("{:?}", filter_words(line).unwrap_err().steps());
        assert!(hint("sicne=2025-01-01").contains("did you mean since="));
        assert!(hint("colour=red").contains("source, since"));
        assert!(hint("since=").contains("write since="));
        assert!(hint("author=\"Ida").contains("author="));
        let filter = Filter { since: "2025-01-01T00:00:00Z".parse().ok(), ..Filter::default() };
        assert_eq!(in_words(&filter), "Only these articles are asked: since=2025-01-01");
    }
}
