//! Blocks that repeat across a source's articles: learned from them all, left out of each. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CleanOptions;
use crate::domain::{Block, BlockKind, Document, Removed, Section, hex};

/// The fewest articles from which something can be learned.
const MIN_ARTICLES: usize = 5;
/// The most words of a block that may be boilerplate.
const MAX_WORDS: usize = 80;

/// What repeats across a source's articles: hashes of normalised block texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Repeated(pub BTreeSet<String>);

/// The blocks that stand in at least [`CleanOptions::repeated_share`] of the articles (and in three
/// or more), of five articles or more.
pub fn learn_repeated<'a>(
    documents: impl IntoIterator<Item = &'a Document>,
    options: &CleanOptions,
) -> Repeated {
    let mut articles = 0usize;
    let mut found: HashMap<String, usize> = HashMap::new();
    for document in documents {
        articles += 1;
        let keys: HashSet<String> = document
            .blocks
            .iter()
            .filter(|block| !matches!(block.kind, BlockKind::Code { .. } | BlockKind::TableRow { .. }))
            .filter_map(|block| key(&document.text[block.range.clone()]))
            .collect();
        for key in keys {
            *found.entry(key).or_default() += 1;
        }
    }
    if !options.repeated || articles < MIN_ARTICLES {
        return Repeated::default();
    }
    let enough = (articles as f64 * options.repeated_share).ceil().max(3.0);
    Repeated(
        found.into_iter().filter(|(_, count)| *count as f64 >= enough).map(|(key, _)| key).collect(),
    )
}

/// A document without the blocks that repeat; they stand in its list of what was removed.
pub fn remove_repeated(document: Document, repeated: &Repeated) -> Document {
    let repeats = |block: &Block| {
        key(&document.text[block.range.clone()]).is_some_and(|key| repeated.0.contains(&key))
    };
    if repeated.0.is_empty() || !document.blocks.iter().any(repeats) {
        return document;
    }
    let mut kept = Document { removed: document.removed.clone(), ..Document::default() };
    kept.sections = document
        .sections
        .iter()
        .map(|section| Section { range: 0..0, ..section.clone() })
        .collect();
    let mut end = 0;
    for block in &document.blocks {
        let text = &document.text[block.range.clone()];
        if repeats(block) {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            kept.removed.push(Removed { reason: "repeated".to_owned(), text });
            continue;
        }
        if !kept.blocks.is_empty() {
            let between = document.text[end..block.range.start].chars().filter(|c| *c == '\n');
            kept.text.push_str(if between.count() == 1 { "\n" } else { "\n\n" });
        }
        end = block.range.end;
        let start = kept.text.len();
        kept.text.push_str(text);
        let range = start..kept.text.len();
        let section = &mut kept.sections[block.section];
        if kept.blocks.last().is_none_or(|last| last.section != block.section) {
            section.range.start = range.start;
        }
        section.range.end = range.end;
        kept.blocks.push(Block { range, ..block.clone() });
    }
    let mut end = 0;
    for section in &mut kept.sections {
        if section.range.is_empty() {
            section.range = end..end;
        }
        end = section.range.end;
    }
    kept
}

/// The hash of a block's words without case, figures and punctuation; `None` for one that is too
/// short or too long to be boilerplate.
fn key(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.len() < 3 || words.len() > MAX_WORDS {
        return None;
    }
    Some(hex(&Sha256::digest(words.join(" "))[..8]))
}
