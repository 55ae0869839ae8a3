//! The section that a passage is of, to be read.

use std::io::Write;
use std::process::{Command, Stdio};

use super::session::Session;
use crate::base::Document;
use crate::base::error::{Error, ErrorKind, Result};
use crate::cli::app::App;
use crate::cli::ui::{Pen, styles};
use crate::cli::{stop, text};
use crate::retrieve::Passage;

/// Shows the section of a passage of the last answer, in the reader's pager if there is one.
///
/// # Errors
/// If there is no such passage, or its article is not what it was.
pub(super) fn open(session: &Session<'_, '_>, n: usize) -> Result<()> {
    let app = session.app;
    let Some(answer) = session.last() else {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("there is no source {n}: nothing was asked yet"),
        )
        .hint("ask a question first"));
    };
    let Some(passage) = answer.passages.iter().find(|passage| passage.n == n) else {
        let known: Vec<String> = answer.passages.iter().map(|one| one.n.to_string()).collect();
        let error = Error::new(ErrorKind::Usage, format!("the last answer has no source {n}"));
        return Err(match known.is_empty() {
            true => error.hint("it has none"),
            false => error.hint(format!("it has {}", known.join(", "))),
        });
    };
    let document = document(app, passage)?;
    let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    match pager {
        // A pager shows colours as it likes; the text is safe for any.
        Some(pager) => {
            page(app, &pager, &section(Pen { color: false, escape: true }, passage, &document))
        }
        None => app.ui.result(&section(app.ui.pen, passage, &document)),
    }
}

/// The document that a passage stands in.
fn document(app: &App<'_>, passage: &Passage) -> Result<Document> {
    let kb = app.kb()?;
    let library = kb.filled_library()?;
    let gone = || {
        Error::new(
            ErrorKind::NotFound,
            format!("\"{}\" is no longer stored as it was for this answer", passage.article.title),
        )
        .hint("ask again")
    };
    if !passage.document.0.is_empty() {
        return library.document(&passage.document).map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(),
            _ => error,
        });
    }
    let article = library.article(&passage.article.id)?.ok_or_else(gone)?;
    let document = kb.document_of(&passage.article.id)?.ok_or_else(gone)?;
    let is_same = article.revision == passage.revision
        && document.text.get(passage.range.clone()) == Some(passage.text.as_str());
    if is_same { Ok(document) } else { Err(gone()) }
}

/// A section with its place above, what was read of it marked.
fn section(pen: Pen, passage: &Passage, document: &Document) -> String {
    let found = document.sections.iter().find(|section| {
        section.range.start <= passage.range.start && passage.range.end <= section.range.end
    });
    let whole = found.map_or(passage.range.clone(), |section| section.range.clone());
    let mut out = format!("{}\n\n", text::place(pen, &passage.article, &passage.heading_path));
    let piece =
        |range: std::ops::Range<usize>| pen.safe(document.text.get(range).unwrap_or_default());
    out.push_str(piece(whole.start..passage.range.start).trim_start());
    // A style does not go on over a line's end in every terminal.
    for line in piece(passage.range.clone()).split_inclusive('\n') {
        let end = line.trim_end_matches('\n').len();
        let (line, rest) = line.split_at(end);
        out.push_str(&if line.is_empty() { String::new() } else { pen.paint(styles::MATCH, line) });
        out.push_str(rest);
    }
    out.push_str(piece(passage.range.end..whole.end).trim_end());
    out.push('\n');
    out
}

/// Gives a text to the reader's pager; what can't be shown there is printed.
fn page(app: &App<'_>, pager: &str, shown: &str) -> Result<()> {
    let status = stop::leaving_the_terminal(|| {
        let mut child =
            Command::new("sh").args(["-c", pager]).stdin(Stdio::piped()).spawn().ok()?;
        if let Some(mut input) = child.stdin.take() {
            // A pager that was left early reads no more.
            let _ = input.write_all(shown.as_bytes());
        }
        Some(child.wait())
    });
    match status {
        Some(Ok(status)) if status.code() != Some(127) => Ok(()),
        Some(Err(_)) => Ok(()),
        // There is no shell, or it did not find the pager.
        _ => app.ui.result(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Section;
    use crate::base::samples::article;
    use crate::retrieve::samples;

    #[test]
    fn a_section_is_shown_whole_and_safe_with_the_passage_marked() {
        let document = Document {
            text: "Before.\n\nPlanks \u{1b}[31mdry.\n\nThe passage.\n\nAfter.\n\nNext section."
                .into(),
            sections: [(0..8, "One"), (9..49, "Two"), (49..64, "Three")]
                .map(|(range, heading)| Section {
                    heading_path: vec![heading.into()],
                    level: 2,
                    range,
                })
                .into(),
            ..Document::default()
        };
        let start = document.text.find("The passage").unwrap();
        let passage = Passage {
            section: 1,
            article: article("Boats"),
            heading_path: vec!["Two".into()],
            range: start..start + 12,
            ..samples::passage(1, "The passage.")
        };
        let plain = section(Pen { color: false, escape: true }, &passage, &document);
        assert_eq!(plain, "Boats › Two\n\nPlanks \\u{1b}[31mdry.\n\nThe passage.\n\nAfter.\n");
        let colored = section(Pen { color: true, escape: true }, &passage, &document);
        assert!(colored.contains("\u{1b}[33mThe passage.\u{1b}[0m"), "{colored:?}");
    }
}
