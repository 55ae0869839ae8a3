//! Questions a line each, answers a line of JSON each.

use std::io::BufRead;

use super::session::Session;
use crate::answer::AnswerStatus;
use crate::api::{AnswerShape, FailedQuestion};
use crate::base::error::{Error, ErrorKind, Result};
use crate::cli::{Outcome, steps};
use crate::retrieve::MAX_QUESTION_BYTES;

/// What is read of a line; more is too long to be asked in any case.
const MOST: usize = 2 * MAX_QUESTION_BYTES;

/// Bytes of a question that an error repeats.
const REPEATED: usize = 200;

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    /// It is not UTF-8; what can be read of it.
    Broken(String),
    /// It has so many bytes; how it begins.
    Long(usize, String),
}

/// The next line, without its end; `None` if there is none. However long it is, little is held.
fn read_line(input: &mut impl BufRead) -> Result<Option<Line>> {
    let cannot = |error| Error::io("cannot read the questions from standard input", error);
    let (mut held, mut length) = (Vec::new(), 0);
    loop {
        let block = match input.fill_buf() {
            Ok(block) => block,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cannot(error)),
        };
        if block.is_empty() {
            if held.is_empty() {
                return Ok(None);
            }
            break;
        }
        let end = block.iter().position(|byte| *byte == b'\n');
        let piece = &block[..end.unwrap_or(block.len())];
        held.extend_from_slice(&piece[..piece.len().min(MOST.saturating_sub(held.len()))]);
        length += piece.len();
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if length > MOST {
        return Ok(Some(Line::Long(length, String::from_utf8_lossy(&held).into_owned())));
    }
    Ok(Some(match String::from_utf8(held) {
        Ok(text) => Line::Text(text),
        Err(error) => Line::Broken(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }))
}

/// Answers each line of the input; blank ones are passed over.
///
/// # Errors
/// If the input can't be read, the output can't be written, or the user stops it; what fails of one
/// question is written in place of its answer.
pub(in crate::cli) fn answer_lines(
    session: &mut Session<'_, '_>,
    input: &mut impl BufRead,
) -> Result<Outcome> {
    let app = session.app;
    let (mut failed, mut answered, mut asked) = (false, false, false);
    loop {
        // While it waits for a line there is nothing to finish: a signal ends it at once.
        app.cancel.raise();
        let line = read_line(input);
        app.cancel.lower();
        let Some(line) = line? else { break };
        let (text, outcome) = match line {
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => {
                let outcome = session.ask(&text, &mut |_| Ok(()));
                (text, outcome)
            }
            Line::Broken(text) => {
                let error = Error::new(ErrorKind::Usage, "the question is not text")
                    .hint("give it in UTF-8");
                (text, Err(error))
            }
            Line::Long(length, text) => {
                let error = Error::new(
                    ErrorKind::TooLong,
                    format!(
                        "the question has {length} bytes; at most {MAX_QUESTION_BYTES} can be asked"
                    ),
                )
                .hint("ask one question of a few sentences");
                (text, Err(error))
            }
        };
        asked = true;
        app.ui.clear();
        match outcome {
            Ok((answer, id)) => {
                answered |= answer.status == AnswerStatus::Answered;
                let model = &app.kb()?.config().models.generator;
                let shape = AnswerShape { id, ..AnswerShape::new(text.trim(), model, &answer) };
                app.ui.json_line(&shape)?;
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::BrokenPipe) =>
            {
                return Err(error);
            }
            Err(error) => {
                failed = true;
                let text = text.trim();
                app.ui.json_line(&FailedQuestion {
                    error: error.chain(),
                    r#try: steps::said(error.steps()),
                    question: &text[..text.floor_char_boundary(REPEATED)],
                })?;
            }
        }
    }
    if !asked {
        return Err(Error::new(ErrorKind::Usage, "there is no question on standard input")
            .hint("write one question a line"));
    }
    Ok(match (failed, answered) {
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::No,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn lines(input: &[u8]) -> Vec<Line> {
        let mut input = std::io::BufReader::with_capacity(7, Cursor::new(input.to_vec()));
        std::iter::from_fn(|| read_line(&mut input).unwrap()).collect()
    }

    #[test]
    fn each_line_is_read_whatever_it_holds() {
        let text = |text: &str| Line::Text(text.to_owned());
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a?\r\n\nb"), [text("a?\r"), text(""), text("b")]);
        assert_eq!(
            lines(b"ok\nno\xff\nok\n"),
            [text("ok"), Line::Broken("no\u{fffd}".into()), text("ok")]
        );
        let mut long = vec![b'x'; 1_000_000];
        long.extend_from_slice(b"\nafter\n");
        let read = lines(&long);
        let [Line::Long(length, beginning), rest] = &read[..] else { panic!("{}", read.len()) };
        assert_eq!((*length, beginning.len(), rest), (1_000_000, MOST, &text("after")));
    }
}
