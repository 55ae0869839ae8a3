//! Hits → passages. Pure but for the documents' look-up.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleMeta, Document, DocumentId, Hit};

/// What an answer may rest on: a chunk, or several that follow each other in one section.
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
        self.shown.iter().filter_map(|part| self.within(part))
    }

    /// The text of a range of its document; `None` if that is not within the passage.
    pub fn within(&self, range: &Range<usize>) -> Option<&str> {
        let at = |at: usize| at.checked_sub(self.range.start);
        self.text.get(at(range.start)?..at(range.end)?)
    }
}

/// Hits as passages, in the order of their best hits; those that follow each other in one section are
/// one passage.
///
/// # Errors
/// If a document can't be had or is not what the index was made from.
pub fn join(
    hits: &[Hit],
    document: &dyn Fn(&DocumentId) -> Result<Document>,
) -> Result<Vec<Passage>> {
    let mut documents: HashMap<DocumentId, Document> = HashMap::new();
    // Each passage with the place of its best hit.
    let mut passages: Vec<(usize, Passage)> = Vec::new();
    for (rank, hit) in hits.iter().enumerate() {
        if !documents.contains_key(&hit.document) {
            documents.insert(hit.document.clone(), document(&hit.document)?);
        }
        let Some(document) = documents.get(&hit.document) else { continue };
        check(document, hit)?;
        let (mut rank, mut range, mut score) = (rank, hit.range.clone(), hit.score);
        // What lies on either side becomes part of it.
        passages.retain(|(other_rank, other)| {
            let is_beside = other.document == hit.document
                && other.section == hit.section
                && touches(&document.text, &other.range, &range);
            if is_beside {
                range = range.start.min(other.range.start)..range.end.max(other.range.end);
                rank = rank.min(*other_rank);
                score = score.max(other.score);
            }
            !is_beside
        });
        let text = document.text.get(range.clone()).ok_or_else(|| stale(hit))?;
        let passage = Passage {
            n: 0,
            article: hit.article.clone(),
            revision: hit.revision,
            document: hit.document.clone(),
            section: hit.section,
            heading_path: hit.heading_path.clone(),
            text: text.to_owned(),
            shown: vec![range.clone()],
            range,
            score,
        };
        passages.push((rank, passage));
    }
    passages.sort_by_key(|(rank, _)| *rank);
    let numbered = passages.into_iter().zip(1..);
    Ok(numbered.map(|((_, passage), n)| Passage { n, ..passage }).collect())
}

/// How many hits the LLM reads nothing of.
pub fn unread(hits: &[Hit], passages: &[Passage]) -> usize {
    let is_read = |hit: &&Hit| {
        let in_it = |part: &Range<usize>| part.start < hit.range.end && hit.range.start < part.end;
        passages
            .iter()
            .any(|passage| passage.document == hit.document && passage.shown.iter().any(in_it))
    };
    hits.len() - hits.iter().filter(is_read).count()
}

/// Whether nothing but white space lies between two ranges.
fn touches(text: &str, a: &Range<usize>, b: &Range<usize>) -> bool {
    let (first, second) = if a.start <= b.start { (a, b) } else { (b, a) };
    match text.get(first.end..second.start) {
        Some(between) => between.trim().is_empty(),
        None => first.end >= second.start,
    }
}

/// An error if a hit's range is not the hit's text.
fn check(document: &Document, hit: &Hit) -> Result<()> {
    let own = document.text.get(hit.range.clone()).ok_or_else(|| stale(hit))?;
    let own = own.trim_end();
    // A chunk's text is that of its range, behind the header of its table if it repeats one.
    let is_its = match hit.text.strip_suffix(own) {
        Some("") => true,
        Some(header) => header.find('\n') == Some(header.len() - 1),
        None => false,
    };
    if is_its && !own.is_empty() && hit.section < document.sections.len() {
        Ok(())
    } else {
        Err(stale(hit))
    }
}

fn stale(hit: &Hit) -> Error {
    Error::new(
        ErrorKind::Index,
        format!(
            "bytes {}–{} of document {} (\"{}\") are not the text that was indexed",
            hit.range.start, hit.range.end, hit.document, hit.article.title
        ),
    )
    .step(Step::Rebuild)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::samples::article;
    use crate::base::{Block, BlockKind, Section};
    use crate::retrieve::samples;

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
            article: article("Boats"),
            document: DocumentId("d0c".into()),
            ordinal: block,
            heading_path: vec!["Only".into()],
            text: document.text[range.clone()].to_owned(),
            range,
            ..samples::hit(block as u128)
        }
    }

    #[test]
    fn hits_that_the_llm_reads_nothing_of_are_counted() {
        let document = document(&["keel", "mast", "sail"]);
        let hits = [0, 1, 2].map(|block| hit(&document, block));
        let mut passages = joined(&document, &hits).unwrap();
        assert_eq!((passages.len(), unread(&hits, &passages)), (1, 0));
        passages[0].shown[0] = 7..9;
        assert_eq!(unread(&hits, &passages), 2);
        assert_eq!(unread(&hits, &[]), 3);
    }

    fn joined(document: &Document, hits: &[Hit]) -> Result<Vec<Passage>> {
        join(hits, &|_| Ok(document.clone()))
    }

    #[test]
    fn chunks_that_follow_each_other_are_one_passage_at_the_best_of_their_places() {
        let document = document(&["keel", "mast", "sail", "oar", "rudder", "anchor"]);
        let hits = [5, 0, 2, 1].map(|block| hit(&document, block));
        let passages = joined(&document, &hits).unwrap();
        let shown: Vec<(usize, &str)> =
            passages.iter().map(|passage| (passage.n, passage.text.as_str())).collect();
        assert_eq!(shown, [(1, "anchor"), (2, "keel\n\nmast\n\nsail")]);
        assert_eq!(passages[1].shown, [passages[1].range.clone()]);
    }

    #[test]
    fn a_range_that_is_not_the_hits_text_is_an_error_that_names_it() {
        let indexed = document(&["keel", "mast"]);
        let other = document(&["oars", "hull"]);
        let error = joined(&other, &[hit(&indexed, 1)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Index);
        for part in ["6–10", "d0c", "Boats"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let shorter = document(&["keel"]);
        assert!(joined(&shorter, &[hit(&indexed, 1)]).is_err());
        // Neither nothing nor a part of it is the hit's text.
        for range in [6..6, 7..10, 6..9] {
            let part = Hit { range, ..hit(&indexed, 1) };
            assert!(joined(&indexed, &[part]).is_err());
        }
        let in_a_table = Hit { text: "Part\nmast".into(), ..hit(&indexed, 1) };
        assert!(joined(&indexed, &[in_a_table]).is_ok());
    }
}
