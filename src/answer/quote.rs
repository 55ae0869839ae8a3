//! The sentences of passages that answer best, word for word. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cite::list_item;
use crate::base::text::collapse;
use crate::retrieve::{Passage, Scored};

/// Quotes at the most.
const QUOTES: usize = 3;

/// By how much a quote may be worth less than the best.
const BELOW: f32 = 0.15;

/// Words that a quote has at least: a heading or a label answers nothing.
const WORDS: usize = 4;

/// Characters of a quote at the most: a table or a listing can be one sentence.
const LONGEST: usize = 500;

/// A sentence of a passage as it stands there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The passage's number.
    pub n: usize,
    /// Word for word, white space collapsed.
    pub text: String,
    /// Bytes of the article revision's text.
    pub range: Range<usize>,
    /// What it is worth as an answer; comparable within one question.
    pub score: f32,
}

/// The sentences that answer best, best first; none twice.
pub fn quotes(passages: &[Passage], scored: &[Scored]) -> Vec<Quote> {
    let mut order: Vec<&Scored> = scored.iter().collect();
    order.sort_by(|a, b| {
        let place = |one: &Scored| (one.passage, one.range.start);
        b.score().total_cmp(&a.score()).then(place(a).cmp(&place(b)))
    });
    let mut quotes: Vec<Quote> = Vec::new();
    for one in order {
        let Some(passage) = passages.get(one.passage) else { continue };
        let Some(whole) = passage.text.get(one.range.clone()) else { continue };
        let said = whole.trim();
        // By itself an item needs no bullet.
        let said = list_item(said).unwrap_or(said);
        let text = collapse(said);
        let is_short = text.split(' ').count() < WORDS || text.ends_with([':', '?']);
        let is_said = quotes.iter().any(|quote| quote.text.to_lowercase() == text.to_lowercase());
        if is_short || is_said || text.chars().count() > LONGEST {
            continue;
        }
        if quotes.first().is_some_and(|best| one.score() < best.score - BELOW) {
            break;
        }
        let start = passage.range.start + one.range.start + whole.trim_end().len() - said.len();
        let range = start..start + said.len();
        quotes.push(Quote { n: passage.n, text, range, score: one.score() });
        if quotes.len() == QUOTES {
            break;
        }
    }
    quotes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieve::samples;

    fn passage(text: &str) -> Passage {
        Passage { range: 100..100 + text.len(), ..samples::passage(1, text) }
    }

    /// Quotes of sentences that end in a digit: tenths of their cosines.
    fn of(text: &str) -> Vec<(String, Range<usize>)> {
        let passages = [passage(text)];
        let mut at = 0;
        let scored: Vec<Scored> = text
            .split_inclusive(". ")
            .map(|said| {
                let range = at..at + said.len();
                at = range.end;
                let digit = said.chars().filter_map(|c| c.to_digit(10)).next().unwrap_or(0);
                let cosine = digit as f32 / 10.0;
                Scored { passage: 0, range, cosine, covered: 0.0, below: 0.0 }
            })
            .collect();
        quotes(&passages, &scored).into_iter().map(|quote| (quote.text, quote.range)).collect()
    }

    #[test]
    fn the_best_whole_sentences_come_first_and_none_twice() {
        let text = "The keel  is laid 8. Short one 9. The mast is next 9. The keel is laid 8. \
                    Far below the others 3.";
        let found = of(text);
        assert_eq!(found[0].0, "The mast is next 9.");
        assert_eq!(found[1], ("The keel is laid 8.".to_owned(), 100..120));
        assert_eq!(found.len(), 2);
        let item = of("- The keel is laid 8. ");
        assert_eq!(item, [("The keel is laid 8.".to_owned(), 102..121)]);
        assert!(of("").is_empty());
    }
}
