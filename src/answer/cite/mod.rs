//! A sentence against the passages: which of them support it, and where. Pure.
//!
//! The check is strict where small LLMs err: every figure and every name that a sentence adds to the
//! question must stand in the passage, most of what else it adds close together there, and it may not
//! turn a negation round. Where the words don't tell, it says so, and the LLM is asked. It doesn't
//! prove entailment; it makes invented figures, names and sources visible.

mod alone;
mod claim;
mod decline;
mod stream;
mod value;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::document::sentence::sentences;
use crate::retrieve::Passage;
use alone::Doubt;
pub use claim::list_item;
use claim::{
    Figure, figures, is_negation, name_key, names, names_the_text, negated_terms, ordinals, terms,
    without_conditions, words,
};
use decline::declines;
pub use stream::{Sentences, strip_marks};
pub use value::Subject;

/// How strict the check is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupportOptions {
    /// The share of a sentence's content words, those of the question left aside, that must stand
    /// within three neighbouring sentences of the passage (or its title and headings), 0 to 1.
    pub coverage: f32,
    /// Where words don't tell, how much likelier the LLM must find it that the passages say a sentence
    /// than that they don't, as the natural logarithm.
    pub odds: f32,
}

impl Default for SupportOptions {
    fn default() -> Self {
        SupportOptions { coverage: 0.5, odds: 0.0 }
    }
}

/// What the check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Support {
    /// These places support the sentence, best first, at most one a passage.
    Supported {
        /// Where.
        evidence: Vec<Evidence>,
    },
    /// These places may support it, best first: the words don't tell.
    Unsure {
        /// Where.
        evidence: Vec<Evidence>,
    },
    /// No passage supports it.
    Unsupported {
        /// What is missing, of the passage that came nearest.
        missing: Missing,
    },
    /// The sentence says that the passages don't answer.
    Declines,
}

/// A place in a passage that supports a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The passage's number.
    pub n: usize,
    /// Bytes of the article revision's text.
    pub range: Range<usize>,
    /// The share of the sentence's content words found there.
    pub coverage: f32,
}

/// Why a passage does not support a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", content = "what", rename_all = "snake_case")]
pub enum Missing {
    /// A figure that the passage does not have.
    Figure(String),
    /// A name that the passage does not have.
    Name(String),
    /// The passage says the opposite.
    Negation,
    /// The figure that the question asks for.
    FigureAsked,
    /// Any word of the question, in a sentence that comes from a passage which nothing else of the
    /// answer is from.
    Subject,
    /// The words don't tell, and the LLM does not find that the passages say it.
    Odds,
    /// How likely the LLM's words were, and how many of them stand in the passage, says that it may
    /// well not hold.
    Likelihood,
    /// Too few of its words stand in the passage.
    Words,
    /// The sentence has no content of its own.
    Content,
}

/// A passage prepared for checking many sentences against it.
pub struct Checker<'a> {
    passages: Vec<Prepared<'a>>,
    /// What the question says.
    asked: Claim,
    options: SupportOptions,
    /// The names in the passages, if sentences stand alone: were not written to answer a question.
    alone: Option<HashSet<String>>,
}

struct Prepared<'a> {
    n: usize,
    offset: usize,
    /// Title, headings, authors, month and year; the figures of a date are no facts.
    about: String,
    figures: HashSet<Figure>,
    names: HashSet<String>,
    context: HashSet<u32>,
    /// Whether its title or a heading negates: what stands under "When not to …" does too.
    denies: bool,
    published: Option<jiff::Timestamp>,
    sentences: Vec<PreparedSentence<'a>>,
}

struct PreparedSentence<'a> {
    range: Range<usize>,
    text: &'a str,
    terms: HashSet<u32>,
}

impl<'a> Checker<'a> {
    /// Prepares passages, and the question that they are to answer.
    pub fn new(passages: &'a [Passage], question: &str, options: SupportOptions) -> Checker<'a> {
        Checker {
            passages: passages.iter().map(prepare).collect(),
            asked: Claim::new(question),
            options,
            alone: None,
        }
    }

    /// Prepares passages for sentences that nobody asked for: all that one says must stand in one
    /// place, its figures and names too, and what else that place says may not speak against it.
    pub fn alone(passages: &'a [Passage], options: SupportOptions) -> Checker<'a> {
        let texts = passages.iter().flat_map(|passage| names(&everything(passage)));
        Checker { alone: Some(texts.collect()), ..Checker::new(passages, "", options) }
    }

    /// Whether a sentence has a content word of the question.
    pub fn is_on_subject(&self, sentence: &str) -> bool {
        !terms(sentence).is_disjoint(&self.asked.terms)
    }

    /// Whether a passage has a word, in the form in which names are compared.
    pub fn has_word(&self, key: &str) -> bool {
        self.passages.iter().any(|passage| passage.names.contains(key))
    }

    /// The share of a sentence's content words, those of the question too, that the sentence of some
    /// passages has which has most of them, 0 to 1.
    pub fn together(&self, sentence: &str, numbers: &[usize]) -> f32 {
        let terms = terms(sentence);
        let passages = self.passages.iter().filter(|passage| numbers.contains(&passage.n));
        let counts = passages
            .flat_map(|passage| &passage.sentences)
            .map(|part| part.terms.intersection(&terms).count());
        counts.max().unwrap_or(0) as f32 / terms.len().max(1) as f32
    }

    /// The place that has most of what a sentence says beyond the question, whether it holds or not;
    /// `None` if none has much of it.
    pub fn nearest(&self, sentence: &str) -> Option<Evidence> {
        /// The share that is much.
        const MUCH: f32 = 0.3;
        let said = terms(sentence);
        let added: HashSet<u32> = said.difference(&self.asked.terms).copied().collect();
        let terms = if added.len() > 1 { &added } else { &said };
        let places = self.passages.iter().filter_map(|passage| {
            let (coverage, window) = passage.best(terms, |_| true)?;
            (coverage >= MUCH).then(|| passage.place(window, coverage))
        });
        places.reduce(|best, place| if place.coverage > best.coverage { place } else { best })
    }

    /// What to read of a place in a passage in a sentence's stead, in the order of the text: all of
    /// it if that is short, else the sentences that have most of what it says beyond the question.
    /// Bytes of the article revision's text.
    pub fn sources(&self, sentence: &str, place: &Evidence) -> Vec<Range<usize>> {
        /// Characters that are read at a glance.
        const SHORT: usize = 320;
        let Some(passage) = self.passages.iter().find(|passage| passage.n == place.n) else {
            return Vec::new();
        };
        let range_of = |part: &PreparedSentence<'_>| {
            passage.offset + part.range.start..passage.offset + part.range.end
        };
        let is_there = |part: &&PreparedSentence<'_>| {
            let range = range_of(part);
            place.range.start <= range.start && range.end <= place.range.end
        };
        let parts: Vec<&PreparedSentence<'_>> = passage.sentences.iter().filter(is_there).collect();
        let all: String = parts.iter().map(|part| part.text).collect();
        if all.chars().count() <= SHORT && !all.trim().contains('\n') {
            return vec![place.range.clone()];
        }
        let said = terms(sentence);
        let added: HashSet<u32> = said.difference(&self.asked.terms).copied().collect();
        let terms = if added.is_empty() { &said } else { &added };
        let count = |part: &PreparedSentence<'_>| part.terms.intersection(terms).count();
        let most = parts.iter().map(|part| count(part)).max().unwrap_or(0);
        parts.into_iter().filter(|part| count(part) * 2 >= most).map(range_of).collect()
    }

    /// Which passages support a sentence. `[n]` marks in it say which passages its writer means:
    /// those are looked at first, but count only if they hold.
    pub fn check(&self, sentence: &str) -> Support {
        let (plain, claimed) = strip_marks(sentence);
        if declines(&plain) {
            return Support::Declines;
        }
        let plain = list_item(&plain).unwrap_or(&plain);
        let mut claim = Claim::new(plain);
        if self.alone.is_some() {
            claim.figures.extend(claim::days(plain));
        }
        if claim.terms.is_empty() {
            return Support::Unsupported { missing: Missing::Content };
        }
        let (mut found, mut unsure): (Vec<Evidence>, Vec<Evidence>) = Default::default();
        let mut nearest: Option<(f32, Missing)> = None;
        for passage in &self.passages {
            let mut finding = passage.supports(&claim, &self.asked, self.options.coverage);
            if let Some(proper) = &self.alone {
                finding = passage.alone(plain, &claim, finding, proper);
            }
            match finding {
                Finding::Holds(evidence) => found.push(evidence),
                Finding::Unsure(evidence) => unsure.push(evidence),
                Finding::Fails(coverage, missing) => {
                    if nearest.as_ref().is_none_or(|(best, _)| coverage > *best) {
                        nearest = Some((coverage, missing));
                    }
                }
            }
        }
        if !found.is_empty() {
            return Support::Supported { evidence: cited(found, &claimed) };
        }
        // Where the nearest passage says the opposite, one that says less doesn't help.
        let nearer = |coverage: f32| unsure.iter().all(|evidence| evidence.coverage < coverage);
        let is_denied = matches!(nearest, Some((coverage, Missing::Negation)) if nearer(coverage));
        if !unsure.is_empty() && !is_denied {
            return Support::Unsure { evidence: cited(unsure, &claimed) };
        }
        let missing = nearest.map_or(Missing::Words, |(_, missing)| missing);
        Support::Unsupported { missing }
    }
}

/// The places that are cited of those that were found, best first.
fn cited(mut found: Vec<Evidence>, claimed: &BTreeSet<usize>) -> Vec<Evidence> {
    found.sort_by(|a, b| {
        let is_claimed = |evidence: &Evidence| claimed.contains(&evidence.n);
        is_claimed(b)
            .cmp(&is_claimed(a))
            .then(b.coverage.total_cmp(&a.coverage))
            .then(a.n.cmp(&b.n))
    });
    // Of the others only one that says as much as the best is worth a number of its own.
    let best = found.first().map_or(0.0, |evidence| evidence.coverage);
    let first = found.first().map(|evidence| evidence.n);
    found.retain(|evidence| {
        claimed.contains(&evidence.n)
            || Some(evidence.n) == first
            || (claimed.is_empty() && evidence.coverage > best)
    });
    found
}

/// What a passage says of a sentence.
enum Finding {
    Holds(Evidence),
    Unsure(Evidence),
    /// With the share of its words that are there, and what is missing.
    Fails(f32, Missing),
}

/// A sentence's content.
struct Claim {
    terms: HashSet<u32>,
    figures: Vec<(Figure, String)>,
    names: Vec<String>,
    /// All words, in the form in which names are compared.
    words: HashSet<String>,
    negated: HashSet<u32>,
    negates: bool,
}

impl Claim {
    fn new(text: &str) -> Claim {
        let asserted = without_conditions(text);
        Claim {
            terms: terms(text),
            figures: figures(text),
            names: names(text),
            words: name_keys(text),
            negated: negated_terms(&asserted),
            negates: words(&asserted).any(|word| is_negation(&word)),
        }
    }
}

impl Prepared<'_> {
    fn supports(&self, claim: &Claim, asked: &Claim, threshold: f32) -> Finding {
        let added: HashSet<u32> = claim.terms.difference(&asked.terms).copied().collect();
        // A sentence that says little more than the question is looked at as a whole.
        let says_more = added.len() > 1;
        let terms = if says_more { &added } else { &claim.terms };
        let Some((coverage, window)) = self.best(terms, |_| true) else {
            return Finding::Fails(0.0, Missing::Words);
        };
        // What the question says of figures and names is no invention, but no evidence either.
        let mut is_foreign = false;
        for (figure, shown) in &claim.figures {
            if figure.stands_in(&self.figures) {
                continue;
            }
            if asked.figures.iter().all(|(other, _)| other != figure) {
                return Finding::Fails(coverage, Missing::Figure(shown.clone()));
            }
            is_foreign = true;
        }
        for name in claim.names.iter().filter(|name| !self.names.contains(*name)) {
            // "Stanford University" to "Which university …?".
            if !asked.words.contains(name) {
                return Finding::Fails(coverage, Missing::Name(name.clone()));
            }
            is_foreign = true;
        }
        let least = if says_more { threshold } else { threshold.midpoint(1.0) };
        if coverage < threshold / 2.0 {
            return Finding::Fails(coverage, Missing::Words);
        }
        let found = if !claim.negates {
            Some((coverage, window)).filter(|(_, window)| !contradicts(claim, window))
        } else if self.denies || window.iter().any(PreparedSentence::negates) {
            Some((coverage, window))
        } else {
            // A denial may rest on another place, if it is the same that is denied there.
            self.best(terms, |window| window.iter().any(|sentence| sentence.denies(claim)))
                .filter(|(coverage, _)| *coverage >= threshold)
        };
        let Some((coverage, window)) = found else {
            // What it denies is said there, or nothing of the kind: that is for the LLM to say.
            let has = |term: &u32| window.iter().any(|sentence| sentence.terms.contains(term));
            return if !claim.negates || claim.negated.iter().all(has) {
                Finding::Fails(coverage, Missing::Negation)
            } else {
                Finding::Unsure(self.place(window, coverage))
            };
        };
        let evidence = self.place(window, coverage);
        if coverage >= least && !is_foreign {
            Finding::Holds(evidence)
        } else {
            Finding::Unsure(evidence)
        }
    }

    /// What is left of a finding where nothing was asked.
    fn alone(
        &self,
        text: &str,
        claim: &Claim,
        finding: Finding,
        proper: &HashSet<String>,
    ) -> Finding {
        match finding {
            Finding::Holds(evidence) => {
                let at = |byte: usize| self.offset + byte;
                let window: Vec<&PreparedSentence<'_>> = self
                    .sentences
                    .iter()
                    .filter(|sentence| {
                        evidence.range.start <= at(sentence.range.start)
                            && at(sentence.range.end) <= evidence.range.end
                    })
                    .collect();
                match alone::doubt(text, claim, self, &window, evidence.coverage, proper) {
                    None => Finding::Holds(evidence),
                    Some(Doubt::Unsure) => Finding::Unsure(evidence),
                    Some(Doubt::Fails(missing)) => Finding::Fails(evidence.coverage, missing),
                }
            }
            // What is denied nowhere is not said to be otherwise.
            Finding::Fails(_, Missing::Negation) if claim.negates => {
                let found = self.best(&claim.terms, |_| true);
                found.map_or(Finding::Fails(0.0, Missing::Words), |(coverage, window)| {
                    Finding::Unsure(self.place(window, coverage))
                })
            }
            other => other,
        }
    }

    /// Neighbouring sentences as a place that has so much of a sentence.
    fn place(&self, window: &[PreparedSentence<'_>], coverage: f32) -> Evidence {
        let start = window.first().map_or(0, |sentence| sentence.range.start);
        let end = window.last().map_or(0, |sentence| sentence.range.end);
        Evidence { n: self.n, range: self.offset + start..self.offset + end, coverage }
    }

    /// The neighbouring sentences that have most of some content words, of those that may be
    /// meant, with the share that they have.
    fn best(
        &self,
        terms: &HashSet<u32>,
        is_meant: impl Fn(&[PreparedSentence<'_>]) -> bool,
    ) -> Option<(f32, &[PreparedSentence<'_>])> {
        const WINDOW: usize = 3;
        let mut best: Option<(f32, &[PreparedSentence<'_>])> = None;
        for start in 0..self.sentences.len() {
            for end in start + 1..=(start + WINDOW).min(self.sentences.len()) {
                let window = &self.sentences[start..end];
                if !is_meant(window) {
                    continue;
                }
                let covered = terms
                    .iter()
                    .filter(|term| {
                        self.context.contains(term)
                            || window.iter().any(|sentence| sentence.terms.contains(term))
                    })
                    .count();
                let coverage = covered as f32 / terms.len() as f32;
                // Of equal windows the shortest is the place.
                let is_better = best.is_none_or(|(score, other)| {
                    coverage > score || (coverage == score && window.len() < other.len())
                });
                if is_better {
                    best = Some((coverage, window));
                }
            }
        }
        best
    }
}

impl PreparedSentence<'_> {
    fn negates(&self) -> bool {
        words(self.text).any(|word| is_negation(&word))
    }

    /// Whether it negates some of what a claim does.
    fn denies(&self, claim: &Claim) -> bool {
        !negated_terms(self.text).is_disjoint(&claim.negated)
    }
}

/// Whether a window negates what the claim asserts.
fn contradicts(claim: &Claim, window: &[PreparedSentence<'_>]) -> bool {
    window.iter().any(|sentence| {
        let negated = negated_terms(sentence.text);
        // The negated words are what the claim asserts, and it is this sentence that it is from.
        let asserted = negated.intersection(&claim.terms).count();
        let own = sentence.terms.intersection(&claim.terms).count();
        !negated.is_empty()
            && asserted * 2 > negated.len()
            && own * 2 > claim.terms.len()
            && claim.negated.is_empty()
    })
}

/// Title, headings, authors, date and text of a passage.
pub(super) fn everything(passage: &Passage) -> String {
    format!("{} {}", about(passage, "%Y-%m-%d %B"), passage.text)
}

/// Title, headings, authors and date of a passage, that in a format.
fn about(passage: &Passage, date: &str) -> String {
    let date = passage.article.published.map(|at| at.strftime(date).to_string());
    format!(
        "{} {} {} {}",
        passage.article.title,
        passage.heading_path.join(" "),
        passage.article.authors.join(" "),
        date.unwrap_or_default(),
    )
}

/// Whether a question asks for a figure, so that what has none is no answer.
pub(super) fn asks_for_figure(question: &str) -> bool {
    let words: Vec<String> = words(question).map(|word| word.to_lowercase()).collect();
    words.windows(2).any(|pair| match [pair[0].as_str(), pair[1].as_str()] {
        ["how", "many" | "long" | "old" | "tall" | "far"] | ["what", "percentage" | "percent"] => {
            true
        }
        ["pass" | "success" | "failure" | "error", "rate"] => true,
        ["how", "much"] => words.iter().any(|word| word == "cost" || word == "costs"),
        _ => false,
    })
}

/// Whether a text has a content word that a question does not have.
pub(super) fn adds_words(text: &str, question: &str) -> bool {
    !terms(text).is_subset(&terms(question))
}

/// The share of a text's content words that another text has, 0 to 1.
pub(super) fn share_said(text: &str, other: &str) -> f32 {
    let (all, said) = (terms(text), terms(other));
    all.intersection(&said).count() as f32 / all.len().max(1) as f32
}

/// Whether a text has a figure that a question does not have.
pub(super) fn adds_figure(text: &str, question: &str) -> bool {
    let asked = figures(question);
    figures(text).iter().any(|(figure, _)| asked.iter().all(|(other, _)| other != figure))
}

/// What a text says beyond a question that a right answer has to say too: its figures as they are
/// written, and its names, those without their endings and with `*` there.
pub fn particulars(text: &str, question: &str) -> Vec<String> {
    let asked = figures(question);
    let mut found: Vec<String> = figures(text)
        .into_iter()
        .filter(|(figure, _)| asked.iter().all(|(other, _)| other != figure))
        .map(|(_, shown)| shown)
        .collect();
    let known = name_keys(question);
    found.extend(names(text).into_iter().filter(|name| !known.contains(name)).map(|n| n + "*"));
    found
}

/// The names in a question, in the form in which they are compared.
pub(super) fn asked_names(question: &str) -> Vec<String> {
    names(question).into_iter().filter(|name| !names_the_text(name)).collect()
}

/// All words of a text in the form in which names are compared.
pub(super) fn name_keys(text: &str) -> HashSet<String> {
    words(text).map(|word| name_key(&word)).collect()
}

fn prepare(passage: &Passage) -> Prepared<'_> {
    let context = format!("{} {}", passage.article.title, passage.heading_path.join(" "));
    let all = everything(passage);
    let mut figures: HashSet<Figure> =
        figures(&all).into_iter().map(|(figure, _)| figure).collect();
    figures.extend(ordinals(&all));
    let sentences = sentences(&passage.text)
        .into_iter()
        .map(|range| {
            let text = &passage.text[range.clone()];
            PreparedSentence { range, text, terms: terms(text) }
        })
        .filter(|sentence| !sentence.text.trim().is_empty())
        .collect();
    Prepared {
        n: passage.n,
        offset: passage.range.start,
        about: about(passage, "%B %Y"),
        figures,
        names: name_keys(&all),
        denies: words(&context).any(|word| is_negation(&word)),
        context: terms(&context),
        published: passage.article.published,
        sentences,
    }
}

#[cfg(test)]
mod tests;
