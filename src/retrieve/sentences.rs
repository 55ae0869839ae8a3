//! Passages → their sentences, each with how well it answers. Pure.

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::late::QuestionTokens;
use super::{Passage, Retrieved};
use crate::base::Hit;
use crate::document::sentence::sentences;
use crate::document::terms;
use crate::infer::details::Details;

/// What the share of the question's terms that a sentence has counts beside its cosine, 0 to 1.
const TERMS: f32 = 0.3;

/// What it counts by how much its chunk's score is below the best.
const CHUNK: f32 = 2.0;

/// A sentence of a passage, with what it is worth as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Index of its passage.
    pub passage: usize,
    /// Bytes of the passage's text, with the white space after it.
    pub range: Range<usize>,
    /// Cosine of sentence and question, −1 to 1.
    pub cosine: f32,
    /// The share of the question's terms that it has, by their inverse document frequencies, 0 to 1.
    pub covered: f32,
    /// By how much its chunk's score is below that of the best, 0 or less.
    pub below: f32,
}

impl Scored {
    /// What ranks it among the others.
    pub fn score(&self) -> f32 {
        self.cosine + TERMS * self.covered + CHUNK * self.below
    }
}

/// The sentences of the passages that were made of some hits, in their order, scored against the
/// question. `seen` are the hits' sentences.
pub fn score(
    hits: &[Hit],
    seen: &[Arc<Details>],
    asked: &QuestionTokens,
    retrieved: &Retrieved,
    passages: &[Passage],
) -> Vec<Scored> {
    let best = hits.iter().map(|hit| hit.score).fold(f32::NEG_INFINITY, f32::max);
    let mut found = Vec::new();
    for (hit, details) in hits.iter().zip(seen) {
        let holds = |passage: &Passage| {
            passage.document == hit.document
                && passage.range.start <= hit.range.start
                && hit.range.end <= passage.range.end
        };
        let Some(at) = passages.iter().position(holds) else { continue };
        let passage = &passages[at];
        let start = hit.range.start - passage.range.start;
        let end = hit.range.end - passage.range.start;
        // A table's header, repeated before its rows, is none of the passage's.
        let own = passage.text.get(start..end).map_or("", str::trim_end);
        let header = hit.text.len().saturating_sub(own.len());
        for (range, cosine) in asked.sentences(details) {
            let Some(from) = range.start.checked_sub(header) else { continue };
            let range = start + from..start + range.end - header;
            let Some(text) = passage.text.get(range.clone()) else { continue };
            let covered = covered(retrieved, &terms::of(text).ids);
            let below = hit.score - best;
            found.push(Scored { passage: at, range, cosine, covered, below });
        }
    }
    found.sort_by_key(|one| (one.passage, one.range.start));
    fill_gaps(passages, &mut found);
    found
}

/// Each sentence goes on to where the next one begins, so that nothing is between them.
fn fill_gaps(passages: &[Passage], found: &mut [Scored]) {
    for at in 0..found.len() {
        let next = found.get(at + 1).filter(|next| next.passage == found[at].passage);
        let end = next
            .map(|next| next.range.start)
            .or_else(|| passages.get(found[at].passage).map(|passage| passage.text.len()));
        if let Some(end) = end {
            found[at].range.end = end;
        }
        if at == 0 || found[at - 1].passage != found[at].passage {
            found[at].range.start = 0;
        }
    }
}

/// The share of a question's terms, by their inverse document frequencies, that are among `has`
/// (ascending), 0 to 1; 1 of a question without terms.
pub fn covered(retrieved: &Retrieved, has: &[u32]) -> f32 {
    let terms = &retrieved.terms;
    let all: f32 = terms.values.iter().sum();
    let pairs = terms.indices.iter().zip(&terms.values);
    let there: f32 =
        pairs.filter(|(term, _)| has.binary_search(term).is_ok()).map(|(_, idf)| idf).sum();
    if all > 0.0 { there / all } else { 1.0 }
}

/// The sentence of a hit's text that has most of the question's terms, of equals the first, as bytes of
/// that text without the white space around it; `None` if none has any.
pub fn matching(text: &str, retrieved: &Retrieved) -> Option<Range<usize>> {
    let mut best: Option<(f32, Range<usize>)> = None;
    for range in sentences(text) {
        let covered = covered(retrieved, &terms::of(&text[range.clone()]).ids);
        if covered > best.as_ref().map_or(0.0, |(most, _)| *most) {
            best = Some((covered, range));
        }
    }
    best.map(|(_, range)| {
        let said = &text[range.clone()];
        let start = range.start + (said.len() - said.trim_start().len());
        start..start + said.trim().len()
    })
}

/// The words of a text that are terms of the question, whatever their endings, as bytes of it.
pub fn matching_words(text: &str, retrieved: &Retrieved) -> Vec<Range<usize>> {
    let is_asked = |word: &str| {
        terms::of(word).ids.iter().any(|term| retrieved.terms.indices.binary_search(term).is_ok())
    };
    text.unicode_word_indices()
        .filter(|(_, word)| is_asked(word))
        .map(|(at, word)| at..at + word.len())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(question: &str) -> Retrieved {
        Retrieved { terms: terms::query(question), ..Retrieved::default() }
    }

    #[test]
    fn the_sentence_with_most_of_the_terms_and_its_words() {
        let asked = asked("how long does varnish dry?");
        let text = "Varnish the hull.  It dried for two long days in the varnishing shed. Dry!";
        let range = matching(text, &asked).unwrap();
        let sentence = &text[range];
        assert_eq!(sentence, "It dried for two long days in the varnishing shed.");
        let words: Vec<&str> =
            matching_words(sentence, &asked).into_iter().map(|word| &sentence[word]).collect();
        assert_eq!(words, ["dried", "long", "varnishing"]);
        assert_eq!(matching("Nothing of the kind.", &asked), None);
    }

    #[test]
    fn rare_terms_count_more() {
        let mut asked = asked("varnish keel");
        let keel = terms::query("keel").indices[0];
        for (term, idf) in asked.terms.indices.clone().iter().zip(&mut asked.terms.values) {
            *idf = if *term == keel { 3.0 } else { 1.0 };
        }
        assert_eq!(covered(&asked, &[keel]), 0.75);
        assert_eq!(covered(&Retrieved::default(), &[]), 1.0);
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_text(text in "(\\PC|varnish|\\. ){0,40}", question in "(\\PC|varnish){0,9}") {
            let asked = asked(&question);
            if let Some(range) = matching(&text, &asked) {
                prop_assert!(!text[range].trim().is_empty());
            }
            for word in matching_words(&text, &asked) {
                prop_assert!(!text[word].is_empty());
            }
        }
    }
}
