//! Passages → the sentences of them that the LLM reads. Pure but for the scores.

use std::ops::Range;

use super::Passage;
use crate::base::error::Result;
use crate::document::sentence::sentences;
use crate::document::terms;
use crate::infer::{Embedder, Purpose};

/// What a sentence beside a good one is worth of it: it tells what "it" and "they" are.
const NEIGHBOUR: f32 = 0.8;

/// What the share of the question's terms that a sentence has counts beside its cosine, 0 to 1.
const TERMS: f32 = 0.3;

/// Bytes of a sentence that are scored: a table or a listing can be one.
const SCORED: usize = 600;

/// A sentence of a passage.
struct Sentence {
    /// Index of its passage.
    passage: usize,
    /// Bytes of the passage's text.
    range: Range<usize>,
    tokens: usize,
    value: f32,
}

/// Chooses what the LLM reads of passages, at most `room` tokens of them: the best sentences and
/// those beside them. Passages of which nothing is left go, the others are numbered anew; returns how
/// many went.
///
/// `score` tells how well each of some texts answers, `count` a text's tokens.
///
/// # Errors
/// If `score` or `count` fails.
pub fn cut(
    passages: &mut Vec<Passage>,
    room: usize,
    score: &dyn Fn(&[&str]) -> Result<Vec<f32>>,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<usize> {
    let mut found = Vec::new();
    for (at, passage) in passages.iter().enumerate() {
        for range in sentences(&passage.text) {
            let tokens = count(&passage.text[range.clone()])?;
            found.push(Sentence { passage: at, range, tokens, value: 0.0 });
        }
    }
    if found.iter().map(|sentence| sentence.tokens).sum::<usize>() <= room {
        return Ok(0);
    }
    let texts: Vec<&str> =
        found.iter().map(|one| passages[one.passage].text[one.range.clone()].trim()).collect();
    let scores = score(&texts)?;
    value(&mut found, &scores);
    let chosen = choose(&found, room);
    for passage in passages.iter_mut() {
        passage.shown.clear();
    }
    for at in chosen {
        let Sentence { passage, range, .. } = &found[at];
        let passage = &mut passages[*passage];
        let range = passage.range.start + range.start..passage.range.start + range.end;
        match passage.shown.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => passage.shown.push(range),
        }
    }
    let before = passages.len();
    passages.retain(|passage| !passage.shown.is_empty());
    for (at, passage) in passages.iter_mut().enumerate() {
        passage.n = at + 1;
    }
    Ok(before - passages.len())
}

/// Gives each sentence its own score, or most of that of a better one beside it.
fn value(found: &mut [Sentence], scores: &[f32]) {
    for at in 0..found.len() {
        let own = scores.get(at).copied().unwrap_or(0.0);
        let beside = |other: Option<usize>| {
            let other = other.filter(|other| {
                found.get(*other).is_some_and(|other| other.passage == found[at].passage)
            });
            other.and_then(|other| scores.get(other)).map_or(f32::MIN, |score| score * NEIGHBOUR)
        };
        let value = own.max(beside(at.checked_sub(1))).max(beside(at.checked_add(1)));
        found[at].value = value;
    }
}

/// The sentences worth most that fit, in their order; none that is worth less than nothing.
fn choose(found: &[Sentence], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*b].value.total_cmp(&found[*a].value).then(a.cmp(b)));
    let mut chosen = Vec::new();
    let mut used = 0;
    for at in order {
        if used + found[at].tokens <= room && found[at].value >= 0.0 {
            used += found[at].tokens;
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// How well texts answer a question, as [`cut`] wants it: the cosine of text and question, and a
/// part for the share of the question's terms that the text has.
///
/// # Errors
/// If the embedder fails.
pub fn score(embedder: &dyn Embedder, question: &str, texts: &[&str]) -> Result<Vec<f32>> {
    let asked = embedder.embed(&[question], Purpose::Query)?.pop().unwrap_or_default();
    let heads = texts.iter().map(|text| head(embedder, text)).collect::<Result<Vec<&str>>>()?;
    let vectors = embedder.embed(&heads, Purpose::Passage)?;
    let wanted = terms::of(question).ids;
    let scores = vectors.iter().zip(texts).map(|(vector, text)| {
        let cosine: f32 = vector.iter().zip(&asked).map(|(a, b)| a * b).sum();
        let has = terms::of(text).ids;
        let shared = wanted.iter().filter(|term| has.contains(term)).count();
        cosine + TERMS * shared as f32 / wanted.len().max(1) as f32
    });
    Ok(scores.collect())
}

/// As much of a text's beginning as the embedder takes and is scored.
fn head<'a>(embedder: &dyn Embedder, text: &'a str) -> Result<&'a str> {
    let mut head = &text[..text.floor_char_boundary(SCORED)];
    while embedder.count_tokens(head, Purpose::Passage)? > embedder.max_tokens() {
        head = &head[..head.floor_char_boundary(head.len() / 2)];
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::passages::tests::passage;
    use super::*;

    fn words(text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    /// Sentences with "good" in them answer.
    fn good(texts: &[&str]) -> Result<Vec<f32>> {
        Ok(texts.iter().map(|text| if text.contains("good") { 1.0 } else { 0.1 }).collect())
    }

    fn read(passage: &Passage) -> Vec<&str> {
        passage.parts().map(str::trim).collect()
    }

    #[test]
    fn what_fits_is_read_whole() {
        let mut passages = vec![passage(1, 7, "One. Two good. Three.")];
        let before = passages.clone();
        assert_eq!(cut(&mut passages, 4, &good, &words).unwrap(), 0);
        assert_eq!(passages, before);
        assert_eq!(read(&passages[0]), ["One. Two good. Three."]);
    }

    #[test]
    fn the_best_sentences_and_those_beside_them_are_read() {
        let long = "Alpha one. Beta two. Gamma good. Delta four. Epsilon five. Zeta good.";
        let mut passages = vec![passage(1, 3, "Nothing here. Nor there."), passage(2, 50, long)];
        assert_eq!(cut(&mut passages, 10, &good, &words).unwrap(), 1);
        assert_eq!(passages.len(), 1);
        assert_eq!((passages[0].n, passages[0].text.as_str()), (1, long));
        assert_eq!(
            read(&passages[0]),
            ["Beta two. Gamma good. Delta four. Epsilon five. Zeta good."]
        );
        let mut passages = vec![passage(1, 50, long)];
        cut(&mut passages, 4, &good, &words).unwrap();
        assert_eq!(read(&passages[0]), ["Gamma good.", "Zeta good."]);
        assert_eq!(passages[0].shown[0].start, 50 + long.find("Gamma").unwrap());
    }

    proptest! {
        #[test]
        fn no_more_is_read_than_fits(
            texts in prop::collection::vec("([A-Z][a-z]{1,6}( good)?\\. ){1,6}", 1..5),
            room in 0usize..30
        ) {
            let mut passages: Vec<Passage> =
                texts.iter().enumerate().map(|(n, text)| passage(n + 1, n * 100, text)).collect();
            let before = passages.clone();
            let gone = cut(&mut passages, room, &good, &words).unwrap();
            prop_assert_eq!(gone + passages.len(), before.len());
            let read: usize = passages.iter().flat_map(Passage::parts).map(|part| words(part).unwrap()).sum();
            prop_assert!(read <= room);
            for (at, passage) in passages.iter().enumerate() {
                prop_assert_eq!(passage.n, at + 1);
                prop_assert!(passage.shown.windows(2).all(|pair| pair[0].end < pair[1].start));
                let inside = |part: &Range<usize>| {
                    passage.range.start <= part.start && part.end <= passage.range.end
                };
                prop_assert!(passage.shown.iter().all(inside) && !passage.shown.is_empty());
            }
        }
    }
}
