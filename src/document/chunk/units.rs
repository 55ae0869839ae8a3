//! A section → the smallest pieces that chunks are made of. Pure.

use std::ops::Range;

use crate::base::error::Result;
use crate::base::{BlockKind, Document};

use super::group_of;
use crate::document::sentence::sentences;

/// A block, or a part of one that does not fit a chunk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// Bytes of the document's text; the units of a block tile it.
    pub range: Range<usize>,
    /// Tokens of its text.
    pub tokens: usize,
    /// Tokens of what lies between the unit before and this one: white space, which most tokenizers
    /// count as none.
    pub gap: usize,
    /// Units of one group belong together.
    pub group: Option<(u8, usize)>,
    /// The header of the table that it is a row of.
    pub header: Option<String>,
    /// Tokens of the header.
    pub header_tokens: usize,
}

/// The units of a section, in order, each of at most `max` tokens (its header included).
pub(super) fn units(
    document: &Document,
    section: usize,
    max: usize,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    let from = document.blocks.partition_point(|block| block.section < section);
    for (at, block) in document.blocks.iter().enumerate().skip(from) {
        if block.section != section {
            break;
        }
        let mut header = match &block.kind {
            BlockKind::TableRow { header, .. } => header.clone(),
            _ => None,
        };
        let mut header_tokens = match &header {
            // The line break behind it is a token of its own to some tokenizers.
            Some(header) => count(&format!("{header}\n"))?,
            None => 0,
        };
        if header_tokens > max / 2 {
            // A header that would fill its rows' chunks stands only where it is.
            (header, header_tokens) = (None, 0);
        }
        let group = group_of(&block.kind, at);
        let mut push = |range: Range<usize>, tokens: usize| {
            units.push(Unit {
                range,
                tokens,
                gap: 0,
                group,
                header: header.clone(),
                header_tokens,
            });
        };
        let room = max - header_tokens;
        let text = &document.text[block.range.clone()];
        let tokens = count(text)?;
        if tokens <= room {
            push(block.range.clone(), tokens);
            continue;
        }
        let pieces = match &block.kind {
            BlockKind::Code { .. } => lines(text),
            BlockKind::Paragraph
            | BlockKind::ListItem { .. }
            | BlockKind::TableRow { .. }
            | BlockKind::Quote
            | BlockKind::Caption => sentences(text),
        };
        for piece in pieces {
            for (range, tokens) in within(text, piece, room, count)? {
                push(block.range.start + range.start..block.range.start + range.end, tokens);
            }
        }
    }
    for at in 1..units.len() {
        let between = units[at - 1].range.end..units[at].range.start;
        units[at].gap = if between.is_empty() { 0 } else { count(&document.text[between])? };
    }
    Ok(units)
}

fn lines(text: &str) -> Vec<Range<usize>> {
    tiles(text, |c| c == '\n')
}

/// Ranges that tile the text, each ending after the characters that `ends` holds for.
fn tiles(text: &str, ends: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut ended = false;
    for (at, character) in text.char_indices() {
        if ended && !ends(character) {
            found.push(start..at);
            start = at;
        }
        ended = ends(character);
    }
    if start < text.len() {
        found.push(start..text.len());
    }
    found
}

/// A piece, if it fits; else its words gathered; a word that doesn't fit is halved until it does.
fn within(
    text: &str,
    piece: Range<usize>,
    room: usize,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Vec<(Range<usize>, usize)>> {
    let tokens = count(&text[piece.clone()])?;
    if tokens <= room {
        return Ok(vec![(piece, tokens)]);
    }
    let mut found: Vec<(Range<usize>, usize)> = Vec::new();
    for word in tiles(&text[piece.clone()], char::is_whitespace) {
        let word = piece.start + word.start..piece.start + word.end;
        let mut rest = vec![word];
        while let Some(part) = rest.pop() {
            let tokens = count(&text[part.clone()])?;
            if tokens > room {
                let middle = text.floor_char_boundary(part.start + part.len() / 2);
                if middle > part.start {
                    rest.push(middle..part.end);
                    rest.push(part.start..middle);
                    continue;
                }
            }
            match found.last_mut() {
                Some((last, sum)) if *sum + tokens <= room => {
                    last.end = part.end;
                    *sum += tokens;
                }
                _ => found.push((part, tokens)),
            }
        }
    }
    Ok(found)
}
