//! The conversation on a terminal.

use super::commands::{self, Next};
use super::editor::{Line, Typed};
use super::session::Session;
use super::transcript::{ending, sentences, standalone};
use crate::answer::{self, AnswerSentence, Said};
use crate::base::error::{ErrorKind, Result};
use crate::cli::{Outcome, stop, text};

const PROMPT: &str = "> ";

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<Outcome> {
    let app = session.app;
    let mut line = Line::new(app.kb()?.places().data.join("chat_history"))?;
    app.ui.status("Ask a question; /help lists what else can be typed.");
    let mut is_leaving = false;
    loop {
        // At the prompt there is nothing to finish: a signal ends the program at once.
        app.cancel.raise();
        let typed = stop::editing(|| line.read(PROMPT));
        app.cancel.lower();
        let typed = match typed? {
            Typed::End => break,
            Typed::Interrupt if is_leaving => break,
            Typed::Interrupt => {
                is_leaving = true;
                app.ui.status("Ctrl-C once more, Ctrl-D or /quit leaves.");
                continue;
            }
            Typed::Line(typed) => typed,
        };
        is_leaving = false;
        let said = match commands::read(typed.trim()) {
            None => Ok(Next::GoOn),
            Some(Ok(command)) => commands::run(session, command),
            Some(Err(error)) => Err(error),
        };
        let outcome = match said {
            Ok(Next::Ask(question)) => ask(session, &question),
            Ok(Next::GoOn) => Ok(()),
            Ok(Next::Quit) => break,
            Err(error) => Err(error),
        };
        app.ui.clear();
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(error),
            // Ctrl-C stopped the answer, or a command, and not the conversation.
            Err(error) if error.kind() == ErrorKind::Interrupted => app.ui.status("Stopped."),
            Err(error) => app.ui.error(&error),
        }
        app.cancel.lower();
        // Told to end, not to stop an answer.
        app.cancel.check()?;
    }
    Ok(Outcome::Done)
}

fn ask(session: &mut Session<'_, '_>, question: &str) -> Result<()> {
    let app = session.app;
    let mut before: Option<AnswerSentence> = None;
    let mut passages = Vec::new();
    let mut was_told = false;
    let outcome = session.ask(question, &mut |said| match said {
        Said::Standalone(text) => {
            was_told = true;
            app.ui.status(&standalone(text));
            Ok(())
        }
        Said::Passages(found) => {
            passages = found.to_vec();
            Ok(())
        }
        // Something to read while the LLM reads.
        Said::Quotes(quotes) => {
            text::quotes(quotes, &passages).iter().for_each(|line| app.ui.status(line));
            Ok(())
        }
        Said::Sentence(sentence) => {
            let separator = answer::separator(before.as_ref(), sentence);
            before = Some(sentence.clone());
            app.ui.clear();
            app.ui.result(&format!("{separator}{}", text::sentence(app.ui.pen, sentence)))
        }
        Said::Dropped(_) => Ok(()),
    });
    if before.is_some() {
        app.ui.result("\n")?;
    }
    let (answer, _) = outcome?;
    if let Some(text) = answer.standalone.as_deref().filter(|_| !was_told) {
        app.ui.status(&standalone(text));
    }
    if before.is_none() {
        app.ui.result(&sentences(app.ui.pen, &answer))?;
    }
    app.ui.result(&ending(app.ui.pen, &answer))
}
