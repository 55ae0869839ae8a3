//! The sentences of passages that answer best, word for word. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cite::{self, list_item};
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

impl Quote {
    /// Its text between quotation marks, unless it stands between some already.
    pub(super) fn marked(&self) -> String {
        let has_marks = self.text.starts_with('“') && self.text.ends_with('”');
        if has_marks && self.text.matches('“').count() == 1 {
            return self.text.clone();
        }
        format!("“{}”", self.text)
    }
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
        let Some(quote) = quote(passage, one.range.clone(), one.score()) else { continue };
        if is_said(&quotes, &quote) {
            continue;
        }
        if quotes.first().is_some_and(|best| one.score() < best.score - BELOW) {
            break;
        }
        quotes.push(quote);
        if quotes.len() == QUOTES {
            break;
        }
    }
    quotes
}

/// Some places, given as numbers of passages and bytes of the article revisions' texts, as quotes, and
/// with them the best of those that were chosen before, or all of these where there are no places; none
/// twice, and none that only says what the question says.
pub fn quotes_from(
    question: &str,
    places: &[(usize, Range<usize>)],
    passages: &[Passage],
    chosen: &[Quote],
) -> Vec<Quote> {
    let at_places = places.iter().filter_map(|(n, range)| {
        let passage = passages.iter().find(|passage| passage.n == *n)?;
        let start = range.start.checked_sub(passage.range.start)?;
        let end = range.end.checked_sub(passage.range.start)?;
        quote(passage, start..end, 0.0)
    });
    let mut quotes: Vec<Quote> = Vec::new();
    let is_new = |quotes: &[Quote], quote: &Quote| {
        !is_said(quotes, quote) && cite::adds_words(&quote.text, question)
    };
    for quote in at_places {
        if quotes.len() < QUOTES - 1 && is_new(&quotes, &quote) {
            quotes.push(quote);
        }
    }
    let more = if quotes.is_empty() { QUOTES } else { 1 };
    for quote in chosen.iter().take(more) {
        if is_new(&quotes, quote) {
            quotes.push(quote.clone());
        }
    }
    quotes
}

fn is_said(quotes: &[Quote], other: &Quote) -> bool {
    quotes.iter().any(|quote| quote.text.to_lowercase() == other.text.to_lowercase())
}

/// A part of a passage's text as a quote; `None` for what says nothing by itself, or is too long.
fn quote(passage: &Passage, part: Range<usize>, score: f32) -> Option<Quote> {
    let whole = passage.text.get(part.clone())?;
    let said = whole.trim();
    // By itself an item needs no bullet.
    let said = list_item(said).unwrap_or(said);
    let text = collapse(said);
    let is_short = text.split(' ').count() < WORDS || text.ends_with([':', '?']);
    if is_short || text.chars().count() > LONGEST {
        return None;
    }
    let start = passage.range.start + part.start + whole.trim_end().len() - said.len();
    Some(Quote { n: passage.n, text, range: start..start + said.len(), score })
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

    #[test]
    fn a_quote_has_one_pair_of_marks() {
        let marked =
            |text: &str| Quote { n: 1, text: text.into(), range: 0..1, score: 0.0 }.marked();
        assert_eq!(marked("Oak floats."), "“Oak floats.”");
        assert_eq!(marked("“Oak floats.”"), "“Oak floats.”");
        assert_eq!(marked("“Oak” or “ash”"), "““Oak” or “ash””");
    }

    #[test]
    fn places_come_before_what_was_chosen() {
        let passages = [passage("The keel is laid first. The mast is next. The sail is last.")];
        let chosen = [
            Quote { n: 1, text: "The sail is last.".into(), range: 142..159, score: 0.7 },
            Quote { n: 1, text: "The keel is laid first.".into(), range: 100..123, score: 0.6 },
        ];
        let asked = "Which comes next?";
        let found = quotes_from(asked, &[(1, 124..142), (2, 0..9), (1, 0..4)], &passages, &chosen);
        let found: Vec<(&str, Range<usize>)> =
            found.iter().map(|quote| (quote.text.as_str(), quote.range.clone())).collect();
        assert_eq!(found, [("The mast is next.", 124..141), ("The sail is last.", 142..159)]);
        assert_eq!(quotes_from(asked, &[], &passages, &chosen), chosen);
        let asked = "Is it true that the sail is last?";
        assert_eq!(quotes_from(asked, &[], &passages, &chosen), chosen[1..]);
    }
}
