//! Blocks that repeat across a source's articles: learned from them all, left out of each. Pure.
//!
//! A block that could be boilerplate has a key, the hash of its words. What repeats is learned from
//! keys alone, so no article is parsed again for it.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::CleanOptions;
use crate::base::text::collapse;
use crate::base::{Block, BlockKind, Document, Removed, Section};

/// The fewest articles from which something can be learned.
const MIN_ARTICLES: usize = 5;
/// The most words of a block that may be boilerplate.
const MAX_WORDS: usize = 80;

/// What repeats across a source's articles: the keys of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeated(pub BTreeSet<u64>);

impl Repeated {
    /// Those of an article's keys that repeat; they decide what of it is left out.
    pub fn among(&self, keys: &BTreeSet<u64>) -> Repeated {
        Repeated(keys.intersection(&self.0).copied().collect())
    }
}

/// The keys of the blocks that could be boilerplate.
pub fn block_keys(document: &Document) -> BTreeSet<u64> {
    document.blocks.iter().filter_map(|block| key(document, block)).collect()
}

/// The keys that stand in at least [`CleanOptions::repeated_share`] of the articles (and in three
/// or more), of five articles or more. Takes the keys of each article.
pub fn learn_repeated<'a>(
    articles: impl IntoIterator<Item = &'a BTreeSet<u64>>,
    options: &CleanOptions,
) -> Repeated {
    let mut count = 0usize;
    let mut found: HashMap<u64, usize> = HashMap::new();
    for keys in articles {
        count += 1;
        for key in keys {
            *found.entry(*key).or_default() += 1;
        }
    }
    if !options.repeated || count < MIN_ARTICLES {
        return Repeated::default();
    }
    let enough = (count as f64 * options.repeated_share).ceil().max(3.0);
    Repeated(
        found
            .into_iter()
            .filter(|(_, count)| *count as f64 >= enough)
            .map(|(key, _)| key)
            .collect(),
    )
}

/// A document without the blocks that repeat; they stand in its list of what was removed.
pub fn remove_repeated(document: Document, repeated: &Repeated) -> Document {
    let repeats =
        |block: &Block| key(&document, block).is_some_and(|key| repeated.0.contains(&key));
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
            let text = collapse(text);
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
/// short or too long to be boilerplate, and for code and tables.
fn key(document: &Document, block: &Block) -> Option<u64> {
    if matches!(block.kind, BlockKind::Code { .. } | BlockKind::TableRow { .. }) {
        return None;
    }
    let text = &document.text[block.range.clone()];
    let mut words = 0;
    let mut hasher = Sha256::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        words += 1;
        if words > MAX_WORDS {
            return None;
        }
        hasher.update(word.to_lowercase());
        hasher.update(" ");
    }
    let hash = hasher.finalize();
    let first = hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (words >= 3).then_some(first)
}
