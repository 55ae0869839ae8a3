//! The sentences of passages that answer best, word for word. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::AnswerSentence;
use super::cite::{self, Evidence, list_item};
use super::reader::Place;
use super::tidy::leans;
use crate::base::text::collapse;
use crate::document::sentence::sentences;
use crate::retrieve::{Passage, Scored};

/// Quotes at the most.
const QUOTES: usize = 3;

/// By how much a quote may be worth less than the best.
const BELOW: f32 = 0.15;

/// Sentences that an LLM is to judge at the most.
const CANDIDATES: usize = 8;

/// And places besides.
const PLACES: usize = 2;

/// What a quote's score counts beside the LLM's log-odds.
const RETRIEVED: f32 = 2.0;

/// By how much a quote may then be worth less than the best.
const LESS: f32 = 0.5;

/// What counts besides for one that is to stand below what an LLM wrote: the share of that which it
/// says.
const SAME: f32 = 1.0;

/// The LLM's log-odds, at the least, for a quote to stand below what it wrote.
const EVIDENT: f32 = 0.0;

/// The share of a quote's content words, at the most, that what stands above it has.
const SAID: f32 = 0.7;

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
    /// It as a sentence of an answer.
    pub(super) fn as_sentence(&self) -> AnswerSentence {
        AnswerSentence {
            text: self.marked(),
            citations: vec![self.n],
            evidence: vec![Evidence { n: self.n, range: self.range.clone(), coverage: 1.0 }],
            signals: None,
        }
    }

    /// Its text between quotation marks, unless it stands between some already.
    pub(super) fn marked(&self) -> String {
        let has_marks = self.text.starts_with('“') && self.text.ends_with('”');
        if has_marks && self.text.matches('“').count() == 1 {
            return self.text.clone();
        }
        format!("“{}”", self.text)
    }
}

/// The sentences that may answer best, as far as retrieval tells, best first; none twice.
pub fn candidates(passages: &[Passage], scored: &[Scored]) -> Vec<Quote> {
    let mut order: Vec<&Scored> = scored.iter().collect();
    order.sort_by(|a, b| {
        let place = |one: &Scored| (one.passage, one.range.start);
        b.score().total_cmp(&a.score()).then(place(a).cmp(&place(b)))
    });
    let mut found: Vec<Quote> = Vec::new();
    for one in order {
        let Some(passage) = passages.get(one.passage) else { continue };
        if let Some(quote) = quote(passage, one.range.clone(), one.score()) {
            add(&mut found, quote);
        }
        if found.len() == CANDIDATES {
            break;
        }
    }
    found
}

/// The first of these, as long as they are worth nearly as much as the best.
pub fn best(candidates: &[Quote]) -> Vec<Quote> {
    let least = candidates.first().map_or(0.0, |best| best.score - BELOW);
    candidates.iter().take(QUOTES).take_while(|quote| quote.score >= least).cloned().collect()
}

/// The candidates with some places besides, given as numbers of passages and bytes of the article
/// revisions' texts, which are worth as much as the best; none twice, and none that only says what the
/// question says.
pub fn with_places(
    question: &str,
    candidates: &[Quote],
    places: &[Place],
    passages: &[Passage],
) -> Vec<Quote> {
    let most = candidates.first().map_or(0.0, |best| best.score);
    let at_places = places.iter().filter_map(|(n, range)| {
        let passage = passages.iter().find(|passage| passage.n == *n)?;
        let start = range.start.checked_sub(passage.range.start)?;
        let end = range.end.checked_sub(passage.range.start)?;
        quote(passage, start..end, most)
    });
    let mut found: Vec<Quote> = Vec::new();
    for quote in at_places.take(PLACES).chain(candidates.iter().cloned()) {
        if cite::adds_words(&quote.text, question) {
            add(&mut found, quote);
        }
    }
    found
}

/// A quote, and the LLM's log-odds that it answers by itself.
pub type Judged = (Quote, f32);

/// Of quotes that an LLM has judged those that answer best, best first. Where a figure is asked for,
/// one that has none is no answer.
pub fn chosen(question: &str, mut judged: Vec<Judged>) -> Vec<Quote> {
    if cite::asks_for_figure(question) {
        judged.retain(|(quote, _)| cite::adds_figure(&quote.text, question));
    }
    judged.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let least = judged.first().map_or(0.0, |best| worth(best) - LESS);
    let near = judged.into_iter().take_while(|one| worth(one) >= least);
    near.take(QUOTES).map(|(quote, _)| quote).collect()
}

/// The one of judged quotes that answers best and says most of what an LLM wrote, to stand below that:
/// of the passages that it is from, as others are seldom about the same. `None` if none answers well
/// enough, or the best says little that isn't said.
pub fn evidence(sentences: &[AnswerSentence], judged: Vec<Judged>) -> Option<Quote> {
    let is_cited = |quote: &Quote| sentences.iter().any(|one| one.citations.contains(&quote.n));
    let near = judged.into_iter().filter(|(quote, odds)| *odds >= EVIDENT && is_cited(quote));
    let said: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    let said = said.join(" ");
    let worth = |one: &Judged| worth(one) + SAME * cite::share_said(&said, &one.0.text);
    let (quote, _) = near.max_by(|a, b| worth(a).total_cmp(&worth(b)))?;
    (cite::share_said(&quote.text, &said) <= SAID).then_some(quote)
}

/// What ranks a quote that was judged among the others.
fn worth((quote, odds): &Judged) -> f32 {
    RETRIEVED * quote.score + odds
}

/// Adds a quote, unless one says the same; those that are part of it go into it.
fn add(quotes: &mut Vec<Quote>, other: Quote) {
    let has = |whole: &Quote, part: &Quote| {
        whole.n == part.n
            && whole.range.start <= part.range.start
            && part.range.end <= whole.range.end
            || whole.text.to_lowercase() == part.text.to_lowercase()
    };
    if quotes.iter().any(|quote| has(quote, &other)) {
        return;
    }
    let Some(first) = quotes.iter().position(|quote| has(&other, quote)) else {
        quotes.push(other);
        return;
    };
    let score = quotes[first].score;
    quotes.retain(|quote| !has(&other, quote));
    quotes.insert(first, Quote { score, ..other });
}

/// A part of a passage's text as a quote, with the sentence before if it leans on that; `None` for
/// what says nothing by itself, or is too long.
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
    let start = part.start + whole.trim_end().len() - said.len();
    let end = start + said.len();
    let at =
        |range: Range<usize>| passage.range.start + range.start..passage.range.start + range.end;
    if leans(&text)
        && let Some(before) = before(&passage.text, start)
    {
        let text = collapse(passage.text.get(before..end)?);
        if text.chars().count() <= LONGEST {
            return Some(Quote { n: passage.n, text, range: at(before..end), score });
        }
    }
    Some(Quote { n: passage.n, text, range: at(start..end), score })
}

/// Where the sentence begins that ends before a byte of a text, in the same paragraph.
fn before(text: &str, end: usize) -> Option<usize> {
    let text = text.get(..end)?.trim_end_matches([' ', '\t']);
    let Range { start: at, end } = sentences(text).pop()?;
    let last = &text[at..end];
    let sentence = last.trim_start();
    let sentence = list_item(sentence).unwrap_or(sentence);
    let is_sentence = !last.contains('\n') && sentence.split(' ').count() >= WORDS;
    is_sentence.then_some(at + last.len() - sentence.len())
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
        let candidates = candidates(&passages, &scored);
        best(&candidates).into_iter().map(|quote| (quote.text, quote.range)).collect()
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
    fn a_quote_that_leans_has_the_sentence_before() {
        let text = "Larch is soft. The sail is cut from old flax. It is sewn twice 9.";
        let found = of(text);
        assert_eq!(found[0].0, "The sail is cut from old flax. It is sewn twice 9.");
        assert_eq!(found[0].1, 115..165);
        // What stands in another paragraph is about something else.
        let apart = of("The sail is cut from old flax. \nIt is sewn twice 9.");
        assert_eq!(apart[0].0, "It is sewn twice 9.");
        assert_eq!(of("It is sewn twice 9.")[0].1, 100..119);
        let listed = of("- The sail is cut from old flax. It is sewn twice 9.");
        assert_eq!(listed[0].0, "The sail is cut from old flax. It is sewn twice 9.");
        let both = of("The sail is cut from old flax 9. It is sewn twice 8.");
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].0, "The sail is cut from old flax 9. It is sewn twice 8.");
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
    fn places_count_as_much_as_the_best_candidate() {
        let passages = [passage("The keel is laid first. The mast is next. The sail is last.")];
        let known = [
            Quote { n: 1, text: "The sail is last.".into(), range: 142..159, score: 0.7 },
            Quote { n: 1, text: "The keel is laid first.".into(), range: 100..123, score: 0.6 },
        ];
        let places = [(1, 124..142), (2, 0..9), (1, 0..4)];
        let found = with_places("Which comes next?", &known, &places, &passages);
        let found: Vec<(&str, Range<usize>, f32)> =
            found.iter().map(|one| (one.text.as_str(), one.range.clone(), one.score)).collect();
        assert_eq!(found[0], ("The mast is next.", 124..141, 0.7));
        assert_eq!(
            found[1..].iter().map(|one| one.0).collect::<Vec<_>>(),
            ["The sail is last.", "The keel is laid first."]
        );
        let asked = "Is it true that the sail is last?";
        assert_eq!(with_places(asked, &known, &[], &passages), known[1..]);
    }

    /// Quotes of three sentences with scores and an LLM's log-odds.
    fn chosen_of(question: &str, judged: [(f32, f32); 3]) -> Vec<String> {
        let texts = ["The keel is oak.", "It weighs 163 kilograms.", "The sail is red."];
        let quote = |(text, (score, odds)): (&str, (f32, f32))| {
            (Quote { n: 1, text: text.into(), range: 0..1, score }, odds)
        };
        let judged = texts.into_iter().zip(judged).map(quote).collect();
        chosen(question, judged).into_iter().map(|quote| quote.text).collect()
    }

    #[test]
    fn what_the_llm_says_of_quotes_orders_them() {
        let asked = "What is the boat like?";
        let odds = [(0.5, -0.5), (0.4, 1.5), (0.3, -2.0)];
        assert_eq!(chosen_of(asked, odds), ["It weighs 163 kilograms."]);
        let near = [(0.5, 0.8), (0.4, 1.5), (0.3, -2.0)];
        assert_eq!(chosen_of(asked, near), ["It weighs 163 kilograms.", "The keel is oak."]);
        let alike = [(0.5, 0.0), (0.4, 0.0), (0.45, 0.0)];
        let order = ["The keel is oak.", "The sail is red.", "It weighs 163 kilograms."];
        assert_eq!(chosen_of(asked, alike), order);
        assert_eq!(chosen_of("How many kilograms does it weigh?", alike), order[2..]);
    }

    #[test]
    fn what_stands_below_an_answer_answers_and_says_more() {
        let said = |text: &str| AnswerSentence {
            text: text.into(),
            citations: vec![1],
            evidence: vec![],
            signals: None,
        };
        let quote = |text: &str, score: f32, odds: f32| {
            (Quote { n: 1, text: text.into(), range: 0..1, score }, odds)
        };
        let of = |above: &str, judged: Vec<Judged>| {
            evidence(&[said(above)], judged).map(|quote| quote.text)
        };
        let weight = quote("The hull weighs 163 kilograms without its mast.", 0.4, 0.6);
        let keel = quote("The keel is oak.", 0.5, 0.1);
        let both = || vec![keel.clone(), weight.clone()];
        assert_eq!(of("It is heavy.", both()), Some(weight.0.text.clone()));
        // It says the same.
        assert_eq!(of("The hull weighs 163 kilograms without the mast.", both()), None);
        assert_eq!(of("It is heavy.", vec![quote("The keel is oak.", 0.9, -0.1)]), None);
        assert_eq!(of("It is heavy.", vec![]), None);
        let (mut elsewhere, odds) = weight;
        elsewhere.n = 2;
        assert_eq!(
            of("It is heavy.", vec![(elsewhere, odds), keel]),
            Some("The keel is oak.".into())
        );
    }
}
