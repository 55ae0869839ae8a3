//! Passages → the sentences of them that the LLM reads. Pure.

use std::ops::Range;

use super::Passage;
use super::sentences::Scored;
use crate::base::error::Result;

/// By how much less a sentence beside a good one is worth: it tells what "it" and "they" are.
const NEIGHBOUR: f32 = 0.15;

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
/// those beside them. Passages of which nothing is left go, and their sentences with them; the others
/// are numbered anew.
///
/// `scored` are all sentences of the passages, `count` tells a text's tokens.
///
/// # Errors
/// If `count` fails.
pub fn cut(
    passages: &mut Vec<Passage>,
    scored: &mut Vec<Scored>,
    room: usize,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<()> {
    let mut found = Vec::new();
    for one in scored.iter() {
        let Some(passage) = passages.get(one.passage) else { continue };
        let tokens = count(&passage.text[one.range.clone()])?;
        found.push(Sentence { passage: one.passage, range: one.range.clone(), tokens, value: 0.0 });
    }
    if found.iter().map(|sentence| sentence.tokens).sum::<usize>() <= room {
        return Ok(());
    }
    let scores: Vec<f32> = scored.iter().map(Scored::score).collect();
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
    let mut kept = 0;
    let renumbered: Vec<Option<usize>> = passages
        .iter()
        .map(|passage| {
            let stays = !passage.shown.is_empty();
            kept += usize::from(stays);
            stays.then(|| kept - 1)
        })
        .collect();
    scored.retain_mut(|one| match renumbered.get(one.passage).copied().flatten() {
        Some(passage) => {
            one.passage = passage;
            true
        }
        None => false,
    });
    passages.retain(|passage| !passage.shown.is_empty());
    for (at, passage) in passages.iter_mut().enumerate() {
        passage.n = at + 1;
    }
    Ok(())
}

/// Gives each sentence its own score, or most of that of a better one beside it.
fn value(found: &mut [Sentence], scores: &[f32]) {
    for at in 0..found.len() {
        let own = scores.get(at).copied().unwrap_or(0.0);
        let beside = |other: Option<usize>| {
            let other = other.filter(|other| {
                found.get(*other).is_some_and(|other| other.passage == found[at].passage)
            });
            other.and_then(|other| scores.get(other)).map_or(f32::MIN, |score| score - NEIGHBOUR)
        };
        let value = own.max(beside(at.checked_sub(1))).max(beside(at.checked_add(1)));
        found[at].value = value;
    }
}

/// The sentences worth most that fit, in their order.
fn choose(found: &[Sentence], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*b].value.total_cmp(&found[*a].value).then(a.cmp(b)));
    let mut chosen = Vec::new();
    let mut used = 0;
    for at in order {
        if used + found[at].tokens <= room {
            used += found[at].tokens;
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::passages::tests::passage;
    use super::*;
    use crate::document::sentence::sentences;

    fn words(text: &str) -> Result<usize> {
        Ok(text.split_whitespace().count())
    }

    /// All sentences; those with "good" in them answer.
    fn good(passages: &[Passage]) -> Vec<Scored> {
        let each = |(at, passage): (usize, &Passage)| {
            let text = passage.text.clone();
            let one = move |range: Range<usize>| Scored {
                passage: at,
                cosine: if text[range.clone()].contains("good") { 1.0 } else { 0.1 },
                range,
                covered: 0.0,
                below: 0.0,
            };
            sentences(&passage.text).into_iter().map(one).collect::<Vec<_>>()
        };
        passages.iter().enumerate().flat_map(each).collect()
    }

    fn cut_good(passages: &mut Vec<Passage>, room: usize) {
        let mut scored = good(passages);
        cut(passages, &mut scored, room, &words).unwrap();
        assert_eq!(scored, good(passages));
    }

    fn read(passage: &Passage) -> Vec<&str> {
        passage.parts().map(str::trim).collect()
    }

    #[test]
    fn what_fits_is_read_whole() {
        let mut passages = vec![passage(1, 7, "One. Two good. Three.")];
        let before = passages.clone();
        cut_good(&mut passages, 4);
        assert_eq!(passages, before);
        assert_eq!(read(&passages[0]), ["One. Two good. Three."]);
    }

    #[test]
    fn the_best_sentences_and_those_beside_them_are_read() {
        let long = "Alpha one. Beta two. Gamma good. Delta four. Epsilon five. Zeta good.";
        let mut passages = vec![passage(1, 3, "Nothing here. Nor there."), passage(2, 50, long)];
        cut_good(&mut passages, 10);
        assert_eq!(passages.len(), 1);
        assert_eq!((passages[0].n, passages[0].text.as_str()), (1, long));
        assert_eq!(
            read(&passages[0]),
            ["Beta two. Gamma good. Delta four. Epsilon five. Zeta good."]
        );
        let mut passages = vec![passage(1, 50, long)];
        cut_good(&mut passages, 4);
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
            cut_good(&mut passages, room);
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
