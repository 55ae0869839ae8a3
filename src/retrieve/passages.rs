//! Hits → passages, within a budget of the LLM's tokens. Pure but for the documents' look-up.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleId, ArticleMeta, Document, DocumentId, Hit};

/// What an answer may rest on: a chunk grown to its section, or as much of it as the budget allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Its number in prompt and answer, from 1.
    pub n: usize,
    /// Its article.
    pub article: ArticleMeta,
    /// The revision that it was read from.
    pub revision: u32,
    /// The stored document that `range` points into.
    pub document: DocumentId,
    /// Index into [`Document::sections`].
    pub section: usize,
    /// Outermost to innermost, the title not included.
    pub heading_path: Vec<String>,
    /// Bytes of the document's [`Document::text`].
    pub range: Range<usize>,
    /// The text of that range.
    pub text: String,
    /// Bytes of the document's text that the LLM reads, in order, within `range`.
    #[serde(default)]
    pub shown: Vec<Range<usize>>,
    /// The best score of the hits in it.
    pub score: f32,
}

impl Passage {
    /// The pieces of its text that the LLM reads.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.shown.iter().filter_map(|part| {
            let within = |at: usize| at.checked_sub(self.range.start);
            self.text.get(within(part.start)?..within(part.end)?)
        })
    }
}

/// Passages, and how much did not fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passages {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Hits that the budget left out.
    pub left_out: usize,
    /// Tokens of all passages' texts.
    pub tokens: usize,
}

/// Limits of the passages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassageBudget {
    /// Passages at the most.
    pub passages: usize,
    /// Tokens of all passages' texts, by the LLM's count.
    pub tokens: usize,
    /// Tokens of one passage: a longer section is shown as its best part.
    pub passage_tokens: usize,
}

/// Hits grown to their sections, best first, until the budget is used; hits of one section become
/// one passage. A section over `passage_tokens` is shown as the hit and as many of its neighbouring
/// blocks as fit; its hits outside of that count as left out.
///
/// # Errors
/// If a document can't be had or is not what the index was made from, or the tokenizer fails.
pub fn grow(
    hits: &[Hit],
    budget: &PassageBudget,
    document: &dyn Fn(&DocumentId) -> Result<Document>,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Passages> {
    let mut documents: HashMap<DocumentId, Document> = HashMap::new();
    // What is shown of each section that has been looked at: nothing, if it did not fit.
    let mut shown: HashMap<(ArticleId, usize), Option<Range<usize>>> = HashMap::new();
    let mut grown = Passages::default();
    for hit in hits {
        let place = (hit.article.id.clone(), hit.section);
        if let Some(range) = shown.get(&place) {
            let is_shown = range
                .as_ref()
                .is_some_and(|range| range.start <= hit.range.start && hit.range.end <= range.end);
            grown.left_out += usize::from(!is_shown);
            continue;
        }
        if grown.passages.len() >= budget.passages || grown.tokens >= budget.tokens {
            shown.insert(place, None);
            grown.left_out += 1;
            continue;
        }
        if !documents.contains_key(&hit.document) {
            documents.insert(hit.document.clone(), document(&hit.document)?);
        }
        let Some(document) = documents.get(&hit.document) else { continue };
        let room = budget.passage_tokens.min(budget.tokens - grown.tokens);
        let Some((range, tokens)) = window(document, hit, room, count)? else {
            shown.insert(place, None);
            grown.left_out += 1;
            continue;
        };
        shown.insert(place, Some(range.clone()));
        grown.tokens += tokens;
        grown.passages.push(Passage {
            n: grown.passages.len() + 1,
            article: hit.article.clone(),
            revision: hit.revision,
            document: hit.document.clone(),
            section: hit.section,
            heading_path: hit.heading_path.clone(),
            text: document.text[range.clone()].to_owned(),
            shown: vec![range.clone()],
            range,
            score: hit.score,
        });
    }
    Ok(grown)
}

/// The widest range around a hit, within its section and `room` tokens, on block borders; `None`
/// if not even the hit's own chunk fits.
fn window(
    document: &Document,
    hit: &Hit,
    room: usize,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Option<(Range<usize>, usize)>> {
    let text_of = |range: &Range<usize>| document.text.get(range.clone());
    let stale = || {
        Error::new(
            ErrorKind::Index,
            format!(
                "bytes {}–{} of document {} (\"{}\") are not the text that was indexed",
                hit.range.start, hit.range.end, hit.document, hit.article.title
            ),
        )
        .step(Step::Rebuild)
    };
    // A chunk's text is that of its range, behind the header of its table if it repeats one.
    let own = text_of(&hit.range).ok_or_else(stale)?;
    if !hit.text.ends_with(own.trim_end()) {
        return Err(stale());
    }
    let section = document.sections.get(hit.section).ok_or_else(stale)?.range.clone();
    let tokens = count(text_of(&section).ok_or_else(stale)?)?;
    if tokens <= room {
        return Ok(Some((section, tokens)));
    }
    let mut range = hit.range.clone();
    let mut tokens = count(text_of(&range).ok_or_else(stale)?)?;
    if tokens > room {
        return Ok(None);
    }
    let blocks: Vec<&Range<usize>> = document
        .blocks
        .iter()
        .filter(|block| block.section == hit.section)
        .map(|block| &block.range)
        .collect();
    loop {
        let after = blocks.iter().find(|block| block.end > range.end).map(|b| range.start..b.end);
        let before =
            blocks.iter().rev().find(|block| block.start < range.start).map(|b| b.start..range.end);
        let mut widened = false;
        for wider in [after, before].into_iter().flatten() {
            let wider = wider.start.min(range.start)..wider.end.max(range.end);
            let wider_tokens = count(text_of(&wider).ok_or_else(stale)?)?;
            if wider_tokens <= room {
                (range, tokens, widened) = (wider, wider_tokens, true);
            }
        }
        if !widened {
            return Ok(Some((range, tokens)));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{Block, BlockKind, ChunkId, Scores, Section, SourceId};

    /// A passage that stands at a byte of its document.
    pub(in crate::retrieve) fn passage(n: usize, at: usize, text: &str) -> Passage {
        let range = at..at + text.len();
        Passage {
            n,
            article: hit(&document(&["word"]), 0).article,
            revision: 1,
            document: DocumentId("d0c".into()),
            section: 0,
            heading_path: vec![],
            text: text.to_owned(),
            shown: vec![range.clone()],
            range,
            score: 1.0,
        }
    }

    /// One section of paragraphs of a word each.
    fn document(words: &[&str]) -> Document {
        let mut document = Document::default();
        for word in words {
            if !document.text.is_empty() {
                document.text.push_str("\n\n");
            }
            let start = document.text.len();
            document.text.push_str(word);
            document.blocks.push(Block {
                kind: BlockKind::Paragraph,
                section: 0,
                range: start..document.text.len(),
            });
        }
        document.sections.push(Section {
            heading_path: vec!["Only".into()],
            level: 2,
            range: 0..document.text.len(),
        });
        document
    }

    fn hit(document: &Document, block: usize) -> Hit {
        let range = document.blocks[block].range.clone();
        Hit {
            chunk_id: ChunkId(uuid::Uuid::from_u128(block as u128)),
            article: ArticleMeta {
                id: ArticleId("a".into()),
                source: SourceId("s".into()),
                other_sources: vec![],
                url: None,
                title: "Boats".into(),
                authors: vec![],
                published: None,
                tags: vec![],
            },
            revision: 1,
            document: DocumentId("d0c".into()),
            section: 0,
            ordinal: block,
            heading_path: vec!["Only".into()],
            text: document.text[range.clone()].to_owned(),
            range,
            score: 1.0,
            scores: Scores::default(),
        }
    }

    fn words(text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    fn grown(document: &Document, hits: &[Hit], passage_tokens: usize) -> Result<Passages> {
        let budget = PassageBudget { passages: 4, tokens: 100, passage_tokens };
        grow(hits, &budget, &|_| Ok(document.clone()), &words)
    }

    #[test]
    fn hits_outside_of_what_is_shown_of_their_section_count_as_left_out() {
        let document = document(&["keel", "mast", "sail", "oar", "rudder", "anchor"]);
        let hits = [hit(&document, 1), hit(&document, 2), hit(&document, 5)];
        let whole = grown(&document, &hits, 50).unwrap();
        assert_eq!((whole.passages.len(), whole.left_out), (1, 0));
        let cut = grown(&document, &hits, 3).unwrap();
        assert_eq!(cut.passages[0].text, "keel\n\nmast\n\nsail");
        assert_eq!((cut.passages.len(), cut.left_out), (1, 1));
    }

    #[test]
    fn a_range_that_is_not_the_hits_text_is_an_error_that_names_it() {
        let indexed = document(&["keel", "mast"]);
        let other = document(&["oars", "hull"]);
        let error = grown(&other, &[hit(&indexed, 1)], 50).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Index);
        for part in ["6–10", "d0c", "Boats"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let shorter = document(&["keel"]);
        assert!(grown(&shorter, &[hit(&indexed, 1)], 50).is_err());
    }
}
