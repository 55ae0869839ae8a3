//! A draft, in Markdown or plain, → its sentences. Pure.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::answer::tidy::leans;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::document::sentence::sentences;

/// Bytes of what comes before a sentence that are searched for with it.
const CONTEXT: usize = 200;
/// The longest draft, in bytes.
pub const MAX_DRAFT_BYTES: usize = 256 * 1024;

/// The most sentences of a draft: each is looked up by itself.
pub const MAX_SENTENCES: usize = 500;

/// Words of a line without a full stop that is taken for a heading, at the most.
const HEADING: usize = 10;

/// Characters of a line that may have been broken for its length, at the least.
const WRAPPED: usize = 40;

/// A sentence of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Bytes of the draft.
    pub range: Range<usize>,
    /// What it says: without markup, marks and links.
    pub says: String,
    /// What to look for: with the sentence before if its own first word points there, or with what
    /// a list was opened with. `None` if it makes no claim.
    pub search: Option<String>,
}

/// The sentences of a draft, in order.
///
/// # Errors
/// [`ErrorKind::Usage`] if there are none, [`ErrorKind::TooLong`] if the draft is over
/// [`MAX_DRAFT_BYTES`] or [`MAX_SENTENCES`].
pub fn read(draft: &str) -> Result<Vec<Sentence>> {
    let too_long =
        |what: String| Error::new(ErrorKind::TooLong, what).hint("check it one part at a time");
    if draft.len() > MAX_DRAFT_BYTES {
        return Err(too_long(format!(
            "the draft has {} bytes; at most {MAX_DRAFT_BYTES} can be checked at once",
            draft.len()
        )));
    }
    let found = said(&blocks(draft));
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the draft is empty")
            .hint("write it out, in quotes if it is an argument"));
    }
    let count = found.iter().filter(|sentence| sentence.search.is_some()).count();
    if count > MAX_SENTENCES {
        return Err(too_long(format!(
            "the draft has {count} sentences; at most {MAX_SENTENCES} can be checked at once"
        )));
    }
    Ok(found)
}

/// What a block of a draft is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A paragraph.
    Prose,
    /// An item of a list, a table's cell, a note.
    Item,
    /// A heading, code, raw HTML.
    Other,
}

/// A block: its text without markup, and where that stands in the draft.
#[derive(Debug)]
struct Block {
    kind: Kind,
    text: String,
    /// Where each piece of the text begins, with its bytes of the draft.
    pieces: Vec<(usize, Range<usize>)>,
}

impl Block {
    fn new(kind: Kind) -> Block {
        Block { kind, text: String::new(), pieces: Vec::new() }
    }

    fn push(&mut self, text: &str, range: Range<usize>) {
        self.pieces.push((self.text.len(), range));
        self.text.push_str(text);
    }

    /// Bytes of the draft for bytes of the text.
    fn place(&self, range: &Range<usize>) -> Range<usize> {
        let piece = |at: usize| {
            let next = self.pieces.partition_point(|(start, _)| *start <= at);
            let (start, draft) = self.pieces.get(next.checked_sub(1)?)?;
            let end = self.pieces.get(next).map_or(self.text.len(), |(start, _)| *start);
            Some((at - start, end - start, draft.clone()))
        };
        let start = piece(range.start).map_or(0, |(within, length, draft)| {
            // A piece that is written otherwise in the draft (an escape, code) is taken whole.
            if length == draft.len() { draft.start + within } else { draft.start }
        });
        let end = piece(range.end.saturating_sub(1)).map_or(start, |(within, length, draft)| {
            if length == draft.len() { draft.start + within + 1 } else { draft.end }
        });
        start..end.max(start)
    }
}

/// The blocks of a draft that have text.
fn blocks(draft: &str) -> Vec<Block> {
    let extensions = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut found = Vec::new();
    let mut block = Block::new(Kind::Prose);
    let mut images = 0;
    // Where the text of a link begins.
    let mut link = 0;
    for (event, range) in Parser::new_ext(draft, extensions).into_offset_iter() {
        let kind = match &event {
            Event::Start(Tag::Heading { .. } | Tag::HtmlBlock)
            | Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => Some(Kind::Other),
            Event::Start(Tag::Paragraph) if block.kind == Kind::Item => Some(Kind::Item),
            // What is indented is seldom code in a draft.
            Event::Start(Tag::Paragraph | Tag::CodeBlock(CodeBlockKind::Indented)) => {
                Some(Kind::Prose)
            }
            Event::Start(Tag::Item | Tag::TableCell | Tag::FootnoteDefinition(_)) => {
                Some(Kind::Item)
            }
            Event::End(
                TagEnd::Heading(_)
                | TagEnd::HtmlBlock
                | TagEnd::CodeBlock
                | TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::TableCell
                | TagEnd::FootnoteDefinition,
            )
            | Event::Rule => Some(Kind::Prose),
            _ => None,
        };
        if let Some(kind) = kind {
            found.push(std::mem::replace(&mut block, Block::new(kind)));
        }
        match event {
            Event::Start(Tag::Image { .. }) => images += 1,
            Event::End(TagEnd::Image) => images -= 1,
            Event::Start(Tag::Link { .. }) => link = block.text.len(),
            // A link whose text is a number is a mark.
            Event::End(TagEnd::Link)
                if block.text.get(link..).is_some_and(|text| text.parse::<u32>().is_ok()) =>
            {
                block.text.truncate(link);
                block.pieces.retain(|(start, _)| *start < link);
            }
            _ if images > 0 => {}
            // Without its backquotes.
            Event::Code(text) => {
                let at = draft[range.clone()].find(&*text);
                let inside = at.map(|at| range.start + at..range.start + at + text.len());
                block.push(&text, inside.unwrap_or(range));
            }
            Event::Text(text) | Event::Html(text) => block.push(&text, range),
            Event::SoftBreak | Event::HardBreak => block.push("\n", range),
            _ => {}
        }
    }
    found.push(block);
    found.retain(|block| block.text.chars().any(char::is_alphanumeric));
    found.iter_mut().for_each(join_lines);
    found
}

/// Line breaks that only keep lines short become spaces; those that end something stay.
fn join_lines(block: &mut Block) {
    if block.kind == Kind::Other {
        return;
    }
    let lines: Vec<&str> = block.text.split('\n').collect();
    let length = |text: &str| text.trim_end().chars().count();
    let longest = lines.iter().map(|line| length(line)).max().unwrap_or(0);
    let mut text = String::with_capacity(block.text.len());
    for (at, line) in lines.iter().enumerate() {
        text.push_str(line);
        let Some(next) = lines.get(at + 1) else { break };
        let word = next.split_whitespace().next().unwrap_or_default();
        let is_wrapped = length(line) >= WRAPPED && length(line) + 1 + length(word) > longest;
        let goes_on = next.trim_start().starts_with(char::is_lowercase);
        text.push(if is_wrapped || goes_on { ' ' } else { '\n' });
    }
    block.text = text;
}

/// The sentences of blocks.
fn said(blocks: &[Block]) -> Vec<Sentence> {
    let mut found: Vec<Sentence> = Vec::new();
    // The last sentence that stands by itself, and the one that opened a list.
    let (mut before, mut opening) = (String::new(), String::new());
    for (at, block) in blocks.iter().enumerate() {
        if block.kind != Kind::Item {
            opening.clear();
        }
        if block.kind == Kind::Other || heads(block, blocks.get(at + 1)) {
            let range = trimmed(&block.text, 0..block.text.len());
            let says = collapse(&block.text[range.clone()]);
            found.push(Sentence { range: block.place(&range), says, search: None });
            continue;
        }
        for (range, marks) in pieces(&block.text) {
            if let (Some(marks), Some(last)) = (marks, found.last_mut()) {
                last.range.end = last.range.end.max(block.place(&marks).end);
            }
            let says = plain(&block.text[range.clone()]);
            if !says.chars().any(char::is_alphanumeric) {
                continue;
            }
            let claims = makes_claim(&says);
            let context = match block.kind {
                _ if leans(&says) => before.as_str(),
                Kind::Item => opening.as_str(),
                Kind::Prose | Kind::Other => "",
            };
            // What is searched for may be cut at its end, which is the sentence itself.
            let context =
                &context[context.ceil_char_boundary(context.len().saturating_sub(CONTEXT))..];
            let search = claims.then(|| collapse(&format!("{context} {says}")));
            if says.ends_with(':') {
                opening.clone_from(&says);
            }
            if !leans(&says) {
                before.clone_from(&says);
            }
            let mut range = block.place(&range);
            let end = found.last().map_or(0, |last| last.range.end);
            range.start = range.start.max(end);
            if range.is_empty() {
                // Both stand in one piece that can't be parted.
                continue;
            }
            found.push(Sentence { range, says, search });
        }
    }
    found
}

/// Whether a line without a full stop heads what follows it.
fn heads(block: &Block, next: Option<&Block>) -> bool {
    let ends =
        |text: &str| text.trim_end().ends_with(['.', '!', '?', '…', ':', ';', ',', '"', '”']);
    block.kind == Kind::Prose
        && !block.text.trim().contains('\n')
        && !ends(&block.text)
        && block.text.split_whitespace().count() <= HEADING
        && next.is_some_and(|next| next.kind == Kind::Prose && ends(&next.text))
}

/// The sentences of a text without the white space around them; marks that stand before one are of
/// the sentence before it.
fn pieces(text: &str) -> Vec<(Range<usize>, Option<Range<usize>>)> {
    let piece = |range: Range<usize>| {
        let mut range = trimmed(text, range);
        let start = range.start;
        while let Some(length) = mark(&text[range.clone()]) {
            range = trimmed(text, range.start + length..range.end);
        }
        let marks = trimmed(text, start..range.start);
        (range, Some(marks).filter(|marks| !marks.is_empty()))
    };
    sentences(text).into_iter().map(piece).collect()
}

/// Bytes of a mark such as `[1]` or `[2, 3]` that a text begins with.
fn mark(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?.split(']').next()?;
    let is_mark = inside.chars().any(|c| c.is_ascii_digit())
        && inside.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ';' | ' ' | '^'))
        && text.len() > inside.len() + 1;
    is_mark.then_some(inside.len() + 2)
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..start + piece.trim().len()
}

/// What a sentence says: without marks and bare links, white space collapsed.
fn plain(text: &str) -> String {
    let (text, _) = crate::answer::cite::strip_marks(text);
    let is_link = |word: &&str| {
        let word = word.trim_start_matches(['(', '<', '[']);
        word.starts_with("http://") || word.starts_with("https://") || word.starts_with("www.")
    };
    text.split_whitespace().filter(|word| !is_link(word)).collect::<Vec<_>>().join(" ")
}

/// Whether a sentence claims something: questions, greetings and what only opens a list do not.
fn makes_claim(says: &str) -> bool {
    const GREETINGS: [&str; 12] = [
        "hello",
        "hi",
        "hey",
        "dear",
        "thanks",
        "thank",
        "regards",
        "best",
        "cheers",
        "sincerely",
        "welcome",
        "yours",
    ];
    let end = says.trim_end_matches(['"', '”', '\'', '’', ')', '*', '_']);
    let words = says.split_whitespace().count();
    let first = says.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let greets = words <= 4 && GREETINGS.contains(&first.to_lowercase().as_str());
    let asks = end.ends_with(['?', '？']);
    let opens = says.ends_with(':') && words <= 5;
    !(asks || greets || opens)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The draft's own bytes of its sentences, and whether each makes a claim.
    fn split(draft: &str) -> Vec<(&str, bool)> {
        let found = read(draft).unwrap();
        found.into_iter().map(|one| (&draft[one.range], one.search.is_some())).collect()
    }

    #[test]
    fn what_makes_no_claim_is_told_apart() {
        let draft = "# Boats\n\nHello there,\n\nThe hull is oak. [1] Is it *really*?\n\n\
                     The reasons:\n\n- it is **hard** [2, 3]\n- it rots late\n\n\
                     ```sh\nrm -rf hull\n```\n\nCoats\n\nIt took two days, see [this](https://a.example/b).\n";
        assert_eq!(
            split(draft),
            [
                ("Boats", false),
                ("Hello there,", false),
                ("The hull is oak. [1]", true),
                ("Is it *really*?", false),
                ("The reasons:", false),
                ("it is **hard** [2, 3]", true),
                ("it rots late", true),
                ("rm -rf hull", false),
                ("Coats", false),
                ("It took two days, see [this](https://a.example/b).", true),
            ]
        );
    }

    #[test]
    fn what_is_said_has_no_markup_and_what_is_sought_has_its_context() {
        let draft = "Theseus is a yawl [1][2].\nIt costs \\$5 &amp; `more`, see https://a.example/x.\n\n\
                     She carries:\n\n1. two masts\n\n[1]: https://a.example/y";
        let found = read(draft).unwrap();
        let told: Vec<(&str, Option<&str>)> =
            found.iter().map(|one| (one.says.as_str(), one.search.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("Theseus is a yawl.", Some("Theseus is a yawl.")),
                ("It costs $5 & more, see", Some("Theseus is a yawl. It costs $5 & more, see")),
                ("She carries:", None),
                ("two masts", Some("She carries: two masts")),
            ]
        );
    }

    #[test]
    fn lines_are_joined_where_they_were_broken_for_their_length() {
        let wrapped = "The hull of the yawl was planked in larch on\nOak frames, and each coat dried for two days\nbefore the next.";
        assert_eq!(split(wrapped).len(), 1);
        let lines = "Theseus has two masts\nHer hull is larch";
        assert_eq!(split(lines), [("Theseus has two masts", true), ("Her hull is larch", true)]);
        assert_eq!(split("    It is indented."), [("It is indented.", true)]);
    }

    #[test]
    fn a_draft_that_is_empty_or_endless_is_refused() {
        assert_eq!(read(" \n* * *\n").unwrap_err().kind(), ErrorKind::Usage);
        let long = "a".repeat(MAX_DRAFT_BYTES + 1);
        assert_eq!(read(&long).unwrap_err().kind(), ErrorKind::TooLong);
        let many = "It is oak. ".repeat(MAX_SENTENCES + 1);
        assert!(read(&many).unwrap_err().to_string().contains("501 sentences"));
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_draft_and_in_order(
            draft in "(\\PC|\\n|\\n\\n|[*_`#>|-]|\\[1\\]|\\. [A-Z]|\\[a\\]\\(b\\)|&amp;|\\\\){0,60}"
        ) {
            let Ok(found) = read(&draft) else { return Ok(()) };
            let mut at = 0;
            for one in found {
                prop_assert!(one.range.start >= at, "{:?} in {:?}", one, draft);
                prop_assert!(draft.get(one.range.clone()).is_some_and(|text| !text.is_empty()));
                at = one.range.end;
            }
        }
    }
}
