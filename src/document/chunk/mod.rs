//! Document → chunks, by heading, measured in the embedder's own tokens. Pure.
//!
//! A chunk never crosses a heading. The chunks of a document cover its blocks exactly once, in
//! order; each, with title and heading path, fits the embedder by its own count.

mod units;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleMeta, BlockKind, Chunk, ChunkId, Document};
use crate::document::sentence::sentences;

use units::Unit;

/// What the chunker does besides its settings; part of an index's fingerprint.
pub const VERSION: &str = "1";

/// How documents are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChunkOptions {
    /// Tokens that a chunk aims at, title and heading path included.
    pub target_tokens: usize,
    /// Tokens that a chunk may have, title and heading path included; never over the embedder's.
    pub max_tokens: usize,
    /// Tokens of the chunk before in the same section that are embedded with a chunk; 0: none.
    pub overlap_tokens: usize,
    /// What of the headings is embedded with a chunk.
    pub heading_path: HeadingPath,
}

/// What of the headings is embedded with a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadingPath {
    /// Title and all headings down to the section.
    #[default]
    Full,
    /// The innermost heading; the title where there is none.
    Innermost,
    /// Nothing.
    None,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        ChunkOptions {
            target_tokens: 200,
            max_tokens: 256,
            overlap_tokens: 0,
            heading_path: HeadingPath::Full,
        }
    }
}

/// Counts the tokens of a text, special tokens included.
pub type Count<'a> = &'a dyn Fn(&str) -> Result<usize>;

/// The chunks of a document. `limit` is the embedder's own maximum of tokens.
///
/// # Errors
/// If the tokenizer fails, or the settings leave no room for text.
pub fn split(
    document: &Document,
    article: &ArticleMeta,
    options: &ChunkOptions,
    limit: usize,
    count: Count<'_>,
) -> Result<Vec<Chunk>> {
    let max = options.max_tokens.min(limit);
    if max < 16 {
        return Err(Error::new(
            ErrorKind::Config,
            format!("chunk.max_tokens is {max}: that leaves no room for text"),
        )
        .hint("set it to 64 or more"));
    }
    let target = options.target_tokens.clamp(16, max);
    let special = count("")?;
    let mut chunks = Vec::new();
    let mut occurrences: HashMap<[u8; 32], u32> = HashMap::new();
    for (index, section) in document.sections.iter().enumerate() {
        let path = path_text(&article.title, &section.heading_path, options.heading_path);
        let path = fit_path(path, max / 2, count)?;
        // The line break behind the path is a token of its own to some tokenizers.
        let overhead = if path.is_empty() { special } else { count(&format!("{path}\n"))? };
        let room = Room { max: max - overhead, target: target.saturating_sub(overhead).max(8) };
        let units = units::units(document, index, room.max, &|text| {
            Ok(count(text)?.saturating_sub(special))
        })?;
        let mut before: Option<&str> = None;
        for group in pack(&units, room, options.overlap_tokens) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let range = first.range.start..last.range.end;
            let body = document.text[range.clone()].trim_end();
            // A table's rows carry its header into every chunk of it.
            let text = match &first.header {
                Some(header) => format!("{header}\n{body}"),
                None => body.to_owned(),
            };
            let overlap = match before.filter(|_| options.overlap_tokens > 0) {
                Some(text) => tail(text, options.overlap_tokens, special, count)?,
                None => String::new(),
            };
            let mut embedded_text = [path.as_str(), overlap.as_str(), text.as_str()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("\n");
            let mut tokens = count(&embedded_text)?;
            if tokens > max && !overlap.is_empty() {
                // The overlap is a loan: it goes where it has no room.
                embedded_text = [path.as_str(), text.as_str()].join("\n");
                tokens = count(&embedded_text)?;
            }
            if tokens > max {
                return Err(Error::new(
                    ErrorKind::Bug,
                    format!(
                        "a chunk of \"{}\" has {tokens} tokens, more than {max}",
                        article.title
                    ),
                )
                .hint("set chunk.max_tokens lower, and report this article"));
            }
            before = Some(&document.text[range.clone()]);
            let id = id(article, &section.heading_path, &text, &mut occurrences);
            chunks.push(Chunk {
                id,
                article_id: article.id.clone(),
                section: index,
                ordinal: chunks.len(),
                heading_path: section.heading_path.clone(),
                range,
                text,
                embedded_text,
                tokens,
            });
        }
    }
    Ok(chunks)
}

/// What is embedded of a chunk by itself: title and heading path, then its text; no overlap. The same
/// as [`Chunk::embedded_text`] where nothing overlaps.
///
/// # Errors
/// If the tokenizer fails.
pub fn embedded_text(
    title: &str,
    headings: &[String],
    text: &str,
    options: &ChunkOptions,
    limit: usize,
    count: Count<'_>,
) -> Result<String> {
    let max = options.max_tokens.min(limit);
    let path = fit_path(path_text(title, headings, options.heading_path), max / 2, count)?;
    Ok(if path.is_empty() { text.to_owned() } else { format!("{path}\n{text}") })
}

#[derive(Clone, Copy)]
struct Room {
    max: usize,
    target: usize,
}

fn path_text(title: &str, headings: &[String], style: HeadingPath) -> String {
    let innermost = headings.last().map_or(title, String::as_str);
    match style {
        HeadingPath::None => String::new(),
        HeadingPath::Innermost => innermost.to_owned(),
        HeadingPath::Full => std::iter::once(title)
            .chain(headings.iter().map(String::as_str))
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" > "),
    }
}

/// A path that is over `max` tokens loses its outermost parts, then the end of its innermost one;
/// the chunk's own heading path keeps them all.
fn fit_path(path: String, max: usize, count: Count<'_>) -> Result<String> {
    let mut path = path;
    while count(&path)? > max {
        path = match path.split_once(" > ") {
            Some((_, inner)) => inner.to_owned(),
            None => {
                let words: Vec<&str> = path.split_whitespace().collect();
                let kept = words.len() / 2;
                if kept == 0 {
                    return Ok(String::new());
                }
                words[..kept].join(" ")
            }
        };
    }
    Ok(path)
}

/// Units gathered into chunks: in order, each within `max`, near `target`; what belongs together
/// (a list, a table, a listing) stays together where it fits.
fn pack(units: &[Unit], room: Room, overlap: usize) -> Vec<&[Unit]> {
    let max = room.max.saturating_sub(overlap).max(room.max / 2);
    let cost =
        |unit: &Unit, opens: bool| unit.tokens + if opens { unit.header_tokens } else { unit.gap };
    let total: usize = units.iter().map(|unit| unit.tokens).sum();
    // Chunks of about equal size read better than full ones and a rest.
    let parts = total.div_ceil(room.target).max(1);
    let target = total.div_ceil(parts);
    // Tokens from each unit to the end of its group.
    let mut left = vec![0; units.len()];
    for at in (0..units.len()).rev() {
        let goes_on = units
            .get(at + 1)
            .is_some_and(|next| next.group.is_some() && next.group == units[at].group);
        let after = if goes_on { left[at + 1] + units[at + 1].gap } else { 0 };
        left[at] = if units[at].group.is_some() { units[at].tokens + after } else { 0 };
    }
    let mut packed = Vec::new();
    let mut start = 0;
    let mut tokens = 0;
    for (at, unit) in units.iter().enumerate() {
        if at > start {
            let group = left[at];
            let opens_group = unit.group.is_some() && units[at - 1].group != unit.group;
            let in_group = unit.group.is_some() && units[at - 1].group == unit.group;
            // A whole that fits into one chunk, but not into what is left of this one, opens one.
            let better_apart = opens_group
                && group <= max
                && tokens + unit.gap + group > max
                && tokens * 2 >= target;
            let is_full = tokens + unit.gap + unit.tokens > max;
            let is_enough = tokens >= target && !(in_group && tokens + unit.gap + group <= max);
            let would_pass = tokens + unit.tokens > target
                && tokens + unit.tokens - target > target.saturating_sub(tokens)
                && !(in_group && tokens + unit.gap + group <= max);
            if is_full || is_enough || would_pass || better_apart {
                packed.push(&units[start..at]);
                start = at;
                tokens = 0;
            }
        }
        tokens += cost(unit, at == start);
    }
    if start < units.len() {
        packed.push(&units[start..]);
    }
    packed
}

/// The end of a text: as many whole sentences as fit `max` tokens.
fn tail(text: &str, max: usize, special: usize, count: Count<'_>) -> Result<String> {
    let ranges = sentences(text);
    let mut from = text.len();
    for range in ranges.iter().rev() {
        if count(text[range.start..].trim())?.saturating_sub(special) > max {
            break;
        }
        from = range.start;
    }
    Ok(text[from..].trim().to_owned())
}

/// The same article, heading path and text make the same id on every machine; equal texts of one
/// section are told apart by their order.
fn id(
    article: &ArticleMeta,
    path: &[String],
    text: &str,
    occurrences: &mut HashMap<[u8; 32], u32>,
) -> ChunkId {
    let mut hasher = Sha256::new();
    for part in [article.id.0.as_str()].into_iter().chain(path.iter().map(String::as_str)) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update([0xff]);
    hasher.update(text.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let occurrence = occurrences.entry(digest).or_default();
    let mut name = digest.to_vec();
    name.extend(occurrence.to_le_bytes());
    *occurrence += 1;
    ChunkId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, &name))
}

/// Whether a block is one of many that read as one whole; which.
fn group_of(kind: &BlockKind, block: usize) -> Option<(u8, usize)> {
    match kind {
        BlockKind::ListItem { list, .. } => Some((0, *list)),
        BlockKind::TableRow { table, .. } => Some((1, *table)),
        BlockKind::Code { .. } => Some((2, block)),
        BlockKind::Quote => Some((3, block)),
        BlockKind::Paragraph | BlockKind::Caption => None,
    }
}

#[cfg(test)]
mod tests;
