//! An answer as the LLM writes it → sentences that hold, and those that went. Pure.

use std::ops::ControlFlow;

use super::cite::{Checker, Support, list_item, strip_marks};
use super::{AnswerOptions, AnswerSentence, DropReason, DroppedSentence, OnSaid, Said};
use crate::base::error::Result;
use crate::base::text::collapse;
use crate::retrieve::Passage;

/// Reads sentence by sentence.
pub(super) struct Reader<'a> {
    checker: Checker<'a>,
    sentences: Vec<AnswerSentence>,
    dropped: Vec<DroppedSentence>,
    seen: Vec<String>,
    max: usize,
    /// Whether the sentence before was dropped.
    is_alone: bool,
}

impl<'a> Reader<'a> {
    /// A reader of what is to answer a question from passages.
    pub fn new(passages: &'a [Passage], question: &str, options: &AnswerOptions) -> Reader<'a> {
        Reader {
            checker: Checker::new(passages, question, options.support),
            sentences: Vec::new(),
            dropped: Vec::new(),
            seen: Vec::new(),
            max: options.max_sentences,
            is_alone: false,
        }
    }

    /// What holds, and what went.
    pub fn end(self) -> (Vec<AnswerSentence>, Vec<DroppedSentence>) {
        (self.sentences, self.dropped)
    }

    /// Takes a sentence out.
    ///
    /// # Errors
    /// If `on_said` fails.
    pub fn drop(&mut self, sentence: &str, why: DropReason, on_said: OnSaid<'_>) -> Result<()> {
        let dropped = DroppedSentence { text: sentence.to_owned(), why };
        on_said(Said::Dropped(&dropped))?;
        self.dropped.push(dropped);
        self.is_alone = true;
        Ok(())
    }

    /// Reads the next sentence; breaks if no more are wanted.
    ///
    /// # Errors
    /// If `on_said` fails.
    pub fn read(&mut self, sentence: &str, on_said: OnSaid<'_>) -> Result<ControlFlow<()>> {
        let plain = tidy(&strip_marks(sentence).0);
        if !plain.chars().any(char::is_alphanumeric) {
            return Ok(ControlFlow::Continue(()));
        }
        let key = plain.to_lowercase();
        if self.seen.contains(&key) {
            self.drop(sentence, DropReason::Repeated, on_said)?;
            // A small model that repeats itself goes on doing so.
            return Ok(ControlFlow::Break(()));
        }
        self.seen.push(key);
        let why = if is_fragment(&plain) {
            DropReason::Unfinished
        } else if self.is_alone && leans(&plain) {
            DropReason::Leaning
        } else {
            match self.checker.check(&plain) {
                Support::Supported { evidence } => {
                    let sentence = AnswerSentence {
                        text: plain,
                        citations: evidence.iter().map(|found| found.n).collect(),
                        evidence,
                    };
                    on_said(Said::Sentence(&sentence))?;
                    self.sentences.push(sentence);
                    self.is_alone = false;
                    let full = self.sentences.len() >= self.max;
                    return Ok(if full {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    });
                }
                Support::Unsupported { missing } => DropReason::Unsupported(missing),
                Support::Declines => DropReason::Declines,
            }
        };
        self.drop(sentence, why, on_said)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// What a list item begins with. They lose their numbers, for one that is dropped would leave a gap.
pub(super) const ITEM: &str = "- ";

/// A sentence as it is shown: white space collapsed, without words about the passages before what
/// they say or quotation marks that stand alone, first letter a capital (the LLM goes on from an
/// opening).
fn tidy(sentence: &str) -> String {
    let text = collapse(sentence);
    let text = text.trim_start_matches([',', ':', ';', ' ']);
    let (item, text) = match list_item(text) {
        Some(text) => (ITEM, text),
        None => ("", text),
    };
    let text = balanced(without_preface(text));
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => item.chars().chain(first.to_uppercase()).chain(characters).collect(),
        None => String::new(),
    }
}

/// What stands behind "The passages state that" and the like.
fn without_preface(text: &str) -> &str {
    const WHO: [&str; 8] =
        ["passage", "passages", "article", "articles", "text", "author", "section", "post"];
    const SAYS: [&str; 22] = [
        "state", "states", "say", "says", "mention", "mentions", "suggest", "suggests", "indicate",
        "indicates", "explain", "explains", "note", "notes", "describe", "describes", "emphasize",
        "emphasizes", "highlight", "highlights", "claim", "claims",
    ];
    let mut words = text.split(' ').enumerate().peekable();
    let mut at = 0;
    let mut next = |wanted: &dyn Fn(&str) -> bool| match words.peek() {
        Some((_, word)) if wanted(&word.to_lowercase()) => {
            at += word.len() + 1;
            words.next();
            true
        }
        _ => false,
    };
    let _ = next(&|word| matches!(word, "the" | "these" | "this"));
    let _ = next(&|word| matches!(word, "given" | "provided"));
    let is_preface = next(&|word| WHO.contains(&word)) && {
        let _ = next(&|word| word == "also");
        next(&|word| SAYS.contains(&word)) && next(&|word| word == "that")
    };
    if is_preface { text.get(at..).unwrap_or(text) } else { text }
}

/// A text without quotation marks that open or close nothing.
fn balanced(text: &str) -> String {
    let straight = text.matches('"').count();
    let curly = text.matches('“').count() != text.matches('”').count();
    text.chars()
        .filter(|c| !(*c == '"' && straight % 2 == 1 || matches!(c, '“' | '”') && curly))
        .collect()
}

/// Whether a sentence ends in a word that something must follow.
fn is_fragment(text: &str) -> bool {
    const OPEN: [&str; 24] = [
        "a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "including", "into", "is",
        "of", "on", "or", "such", "than", "the", "to", "was", "were", "which", "with",
    ];
    let end = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let Some(last) = end.rsplit(' ').next() else { return true };
    // "What it stands for." asks for nothing more; "It stands for and." does.
    OPEN.contains(&last) && text.ends_with(['.', ',', ';']) && last != "for" && last != "in"
        || text.ends_with(':') && !text.contains(' ')
}

/// Whether a sentence begins with a word whose meaning stands in the one before.
fn leans(text: &str) -> bool {
    const LEANING: [&str; 19] = [
        "this", "these", "that", "those", "it", "its", "they", "their", "such", "he", "she", "his",
        "her", "both", "additionally", "moreover", "furthermore", "also", "instead",
    ];
    let first = text.split(|c: char| !c.is_alphanumeric() && c != '\'').next().unwrap_or_default();
    LEANING.contains(&first.to_lowercase().as_str())
}
