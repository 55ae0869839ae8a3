//! What was asked and answered, as text.

use crate::answer::{self, Answer, AnswerStatus};
use crate::cli::text;
use crate::cli::ui::Pen;

/// Characters of a question that was made to stand alone.
const SHOWN: usize = 300;

/// The one line that shows what is searched for.
pub(super) fn standalone(question: &str) -> String {
    format!("→ {}", text::shorten(question, SHOWN))
}

/// What an answer says, with its marks; nothing if it abstained.
pub(super) fn sentences(pen: Pen, answer: &Answer) -> String {
    let (mut out, mut before) = (String::new(), None);
    for sentence in &answer.sentences {
        out.push_str(answer::separator(before, sentence));
        out.push_str(&text::sentence(pen, sentence));
        before = Some(sentence);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// What stands under an answer, or instead of one.
pub(super) fn ending(pen: Pen, answer: &Answer) -> String {
    match answer.status {
        AnswerStatus::Answered => format!("\n{}", text::sources(pen, answer)),
        AnswerStatus::Abstained => text::abstention(pen, answer),
    }
}

/// A question and its answer as text.
pub(super) fn whole(pen: Pen, question: &str, answer: &Answer) -> String {
    let mut out = format!("> {}\n", pen.safe(question));
    if let Some(text) = &answer.standalone {
        out.push_str(&format!("{}\n", pen.safe(&standalone(text))));
    }
    out.push_str(&format!("\n{}{}", sentences(pen, answer), ending(pen, answer)));
    out
}
