//! The line that questions are typed on: history and completion.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::commands::COMMANDS;
use crate::base::error::{Error, ErrorKind, Result};
use crate::retrieve::MAX_QUESTION_BYTES;

/// Lines that are remembered.
const REMEMBERED: usize = 1000;

/// What was typed.
#[derive(Debug)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    End,
}

/// The line with its history.
pub(super) struct Line {
    editor: Editor<Commands, DefaultHistory>,
    /// Where the history is kept; `None` if it can't be.
    file: Option<PathBuf>,
}

impl Line {
    /// # Errors
    /// If the terminal can't be used.
    pub fn new(file: PathBuf) -> Result<Line> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(cannot)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).map_err(cannot)?;
        editor.set_helper(Some(Commands));
        // A history that can't be read is begun anew.
        let _ = editor.load_history(&file);
        Ok(Line { editor, file: Some(file) })
    }

    /// # Errors
    /// If the terminal fails.
    pub fn read(&mut self, prompt: &str) -> Result<Typed> {
        match self.editor.readline(prompt) {
            Ok(line) => {
                if !line.trim().is_empty() && line.len() <= MAX_QUESTION_BYTES {
                    let _ = self.editor.add_history_entry(line.as_str());
                    self.save();
                }
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            // The window was resized.
            Err(ReadlineError::Signal(_)) => Ok(Typed::Line(String::new())),
            Err(error) => Err(cannot(error)),
        }
    }

    /// Written by rustyline for its owner alone. Where that isn't possible, it is not tried again.
    fn save(&mut self) {
        if let Some(file) = &self.file
            && self.editor.save_history(file).is_err()
        {
            self.file = None;
        }
    }
}

fn cannot(error: ReadlineError) -> Error {
    Error::new(ErrorKind::Io, "cannot use this terminal")
        .caused_by(error)
        .hint("pipe the questions in, one a line")
}

/// Completes commands.
struct Commands;

impl Completer for Commands {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, completions(line.get(..at).unwrap_or_default())))
    }
}

/// The commands that begin as a line does.
fn completions(line: &str) -> Vec<String> {
    let is_one = line.starts_with('/') && !line.contains(' ');
    let all = COMMANDS.iter().filter(|(name, ..)| is_one && name.starts_with(line));
    all.map(|(name, argument, _)| match argument.is_empty() {
        true => (*name).to_owned(),
        false => format!("{name} "),
    })
    .collect()
}

impl Helper for Commands {}
impl Hinter for Commands {
    type Hint = String;
}
impl Highlighter for Commands {}
impl Validator for Commands {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_completed_and_questions_are_not() {
        assert_eq!(completions("/so"), ["/sources"]);
        assert_eq!(completions("/s"), ["/sessions", "/sources", "/save "]);
        assert_eq!(completions("/re"), ["/resume "]);
        for line in ["", "s", "what /s", "/save f", "/x"] {
            assert!(completions(line).is_empty(), "{line}");
        }
    }
}
