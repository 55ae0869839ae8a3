//! How a question begins that goes on from, corrects, returns to or leaves what was asked before.
//! Pure.

use super::words::{is_aux, is_content, is_wh, words};

/// What stands before the question itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lead<'a> {
    /// Nothing, or a word that joins: whether there was one, and the rest.
    Plain(bool, &'a str),
    /// "What about", and the rest.
    WhatAbout(&'a str),
    /// "Something else": the rest has nothing to do with what came before.
    Change(&'a str),
    /// "Let's talk about boats": the new subject, and the rest.
    NewSubject(&'a str, &'a str),
    /// "Back to the ribs": the subject, and the rest.
    Return(&'a str, &'a str),
    /// "No, not the hull, I meant the deck": what was not meant, and what was.
    Correction(Option<&'a str>, &'a str),
}

/// Words that may stand before anything.
const INTERJECTIONS: &[&str] = &[
    "thank you very much",
    "thank you",
    "thanks a lot",
    "thanks",
    "i see",
    "got it",
    "right",
    "great",
    "good",
    "okay",
    "ok",
    "oh",
    "ah",
    "hm",
    "hmm",
    "well",
    "wait",
    "sorry",
    "please",
    "yes",
    "alright",
    "all right",
    "interesting",
];

/// Words that join a question to the one before it.
const JOINING: &[&str] = &["and then", "and", "but", "so", "or", "then"];

/// What leaves a subject without naming another.
const CHANGES: &[&str] = &[
    "something else entirely",
    "something completely different",
    "something different",
    "something else",
    "on another subject",
    "on another topic",
    "on a different subject",
    "on a different topic",
    "another subject",
    "another topic",
    "another question",
    "different subject",
    "different topic",
    "different question",
    "new subject",
    "new topic",
    "new question",
    "next thing",
    "next question",
    "next topic",
    "next",
    "by the way",
    "changing the subject",
    "change of subject",
    "unrelated",
    "never mind",
    "forget it",
    "forget that",
];

/// What names a new subject.
const SUBJECTS: &[&str] =
    &["let's talk about", "let us talk about", "now to", "now about", "moving on to", "on to"];

const RETURNS: &[&str] = &[
    "going back to",
    "coming back to",
    "to come back to",
    "to go back to",
    "to return to",
    "back to",
    "back on",
    "returning to",
    "return to",
    "once more on",
    "again on",
];

const MEANT: &[&str] = &[
    "i actually meant",
    "i meant to ask",
    "i meant",
    "i mean",
    "i was thinking of",
    "i was asking about",
    "i am asking about",
    "i'm asking about",
    "i was talking about",
    "i wanted to know",
    "rather",
    "make that",
];

/// The rest of a text behind one of some beginnings that ends at a word's end.
fn behind<'a>(text: &'a str, beginnings: &[&str]) -> Option<&'a str> {
    beginnings.iter().find_map(|beginning| {
        let found = text.get(..beginning.len())?;
        let rest = &text[beginning.len()..];
        let is_whole = rest.chars().next().is_none_or(|c| {
            c.is_whitespace() || matches!(c, ',' | ':' | ';' | '.' | '!' | '?' | '–' | '—' | '…')
        });
        (found.eq_ignore_ascii_case(beginning) && is_whole).then_some(rest)
    })
}

/// A text without the punctuation and white space before it.
fn bare(text: &str) -> &str {
    text.trim_start_matches(|c: char| {
        c.is_whitespace() || matches!(c, ',' | ':' | ';' | '.' | '!' | '-' | '–' | '—' | '…')
    })
}

/// Where a clause ends: before the first mark that parts it from the next.
fn parted(text: &str) -> Option<(&str, &str)> {
    let at = text.find([':', ',', '.', ';', '?', '!', '–', '—'])?;
    let (first, rest) = text.split_at(at);
    Some((first.trim(), bare(rest.trim_start_matches(['?', '!']))))
}

/// Whether a text is a question by itself: it begins as one, or has a verb that one begins with.
pub(super) fn is_question(text: &str) -> bool {
    let all = words(text);
    let begins = all.iter().take(2).any(|word| is_wh(&word.low))
        || all.first().is_some_and(|word| is_aux(&word.low));
    begins && all.len() > 1
}

/// Reads how a question begins.
pub(super) fn lead(text: &str) -> Lead<'_> {
    let mut rest = text;
    while let Some(next) = behind(rest, INTERJECTIONS) {
        // "Good boats?" is no greeting.
        let is_parted =
            next.trim_start().starts_with([',', '.', '!', ':', ';', '-', '–', '—', '…']);
        let is_soft =
            ["ok", "okay", "sorry", "oh"].iter().any(|word| behind(rest, &[word]).is_some());
        if !(is_parted || is_soft) || bare(next).is_empty() {
            break;
        }
        rest = bare(next);
    }
    if let Some(found) = correction(rest) {
        return found;
    }
    if let Some(next) = behind(rest, CHANGES)
        && next.starts_with([':', ',', '.', '!', ';', '-', '–', '—', ' '])
        && !bare(next).is_empty()
        && (!next.starts_with(' ') || next.trim_start().starts_with(['-', '–', '—']))
    {
        return Lead::Change(bare(next));
    }
    // "Enough of planks."
    if let Some(next) =
        behind(rest, &["enough of", "enough about", "that's enough of", "so much for"])
        && let Some((_, next)) = parted(next)
        && !next.is_empty()
    {
        return Lead::Change(next);
    }
    if let Some(next) = behind(rest, SUBJECTS)
        && let Some((subject, next)) = parted(next)
        && !next.is_empty()
        && !subject.is_empty()
    {
        return Lead::NewSubject(subject, next);
    }
    if let Some(found) = returning(rest) {
        return found;
    }
    let (mut joins, mut inner) = (false, rest);
    while let Some(next) = behind(inner, JOINING) {
        if bare(next).is_empty() {
            break;
        }
        joins = true;
        inner = bare(next);
    }
    if let Some(next) = behind(
        inner,
        &["what about", "how about", "what of", "same for", "the same for", "same question for"],
    ) && !bare(next).is_empty()
    {
        // "What about interviews, are candidates allowed …" is asked by itself.
        return match parted(next) {
            Some((_, clause)) if is_question(clause) => Lead::Plain(false, rest),
            _ => Lead::WhatAbout(bare(next)),
        };
    }
    Lead::Plain(joins, inner)
}

/// "Back to the ribs: …", "To the drawing again: …".
fn returning(text: &str) -> Option<Lead<'_>> {
    if let Some(next) = behind(text, RETURNS) {
        let (subject, rest) = parted(next).unwrap_or((next.trim(), ""));
        return (!subject.is_empty()).then_some(Lead::Return(subject, rest));
    }
    let next = behind(text, &["to", "on", "about", "regarding", "concerning", "as for"])?;
    let (subject, rest) = parted(next)?;
    let again = subject.strip_suffix("again").or_else(|| subject.strip_suffix("once more"))?;
    let again = again.trim();
    (!again.is_empty() && !rest.is_empty()).then_some(Lead::Return(again, rest))
}

/// "No, I meant …", "Not that one, the other".
fn correction(text: &str) -> Option<Lead<'_>> {
    let mut rest = text;
    let no = behind(rest, &["no no", "no", "nope", "actually"]);
    if let Some(next) = no.filter(|next| {
        next.trim_start().starts_with([',', '.', ':', ';', '!', '-', '–', '—'])
            || behind(next.trim_start(), MEANT).is_some()
    }) {
        rest = bare(next);
    }
    let mut was = None;
    if let Some(next) = behind(rest, &["not"])
        && let Some((said, next)) = parted(next)
        && !next.is_empty()
        && words(said).len() <= 6
    {
        was = Some(said);
        rest = behind(next, &["but"]).map_or(next, bare);
    }
    let meant = behind(rest, MEANT).map(bare);
    let found = meant.unwrap_or(rest);
    let is_it = meant.is_some() || was.is_some() || (rest.len() < text.len() && !is_question(rest));
    let says = words(found).iter().any(|word| is_content(&word.low)) || was.is_some();
    (is_it && says && !found.is_empty()).then_some(Lead::Correction(was, found))
}
