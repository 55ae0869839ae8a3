//! A sentence against the passages: which of them support it, and where. Pure.
//!
//! The check is lexical and strict where small LLMs err: every figure and every name of a sentence
//! must stand in the passage that it is said to come from, most of its content words close
//! together there, and it may not turn a negation round. It doesn't prove entailment; it makes
//! invented figures, names and sources visible.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::bm25;
use crate::retrieve::Passage;

/// How strict the check is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupportOptions {
    /// The share of a sentence's content words that must stand within three neighbouring sentences
    /// of the passage (or its title and headings), 0 to 1.
    pub coverage: f32,
    /// Words of the question that a sentence repeats must stand in the passage, too.
    pub subject: bool,
}

impl Default for SupportOptions {
    fn default() -> Self {
        SupportOptions { coverage: 0.5, subject: false }
    }
}

/// What the check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// These places support the sentence, best first, at most one a passage.
    Supported {
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
    /// A word of the question that the sentence repeats stands nowhere in the passage: what is said
    /// there is said of something else.
    Subject(String),
    /// Too few of its words stand in the passage.
    Words,
    /// The sentence has no content of its own.
    Content,
}

/// A passage prepared for checking many sentences against it.
pub struct Checker<'a> {
    passages: Vec<Prepared<'a>>,
    /// Content words of the question as they are written, with their stems.
    asked: Vec<(u32, String)>,
    options: SupportOptions,
}

struct Prepared<'a> {
    n: usize,
    offset: usize,
    figures: HashSet<Figure>,
    names: HashSet<String>,
    context: HashSet<u32>,
    /// Whether its title or a heading negates: what stands under "When not to …" does too.
    denies: bool,
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
        let asked = words(question).filter(|word| !names_the_text(word)).flat_map(|word| {
            terms(&word).into_iter().map(move |term| (term, word.clone())).collect::<Vec<_>>()
        });
        Checker {
            passages: passages.iter().map(prepare).collect(),
            asked: asked.collect(),
            options,
        }
    }

    /// A word of question and sentence that a passage does not have.
    fn foreign(&self, claim: &Claim, passage: &Prepared<'_>) -> Option<String> {
        let has = |term: &u32| {
            passage.context.contains(term)
                || passage.sentences.iter().any(|sentence| sentence.terms.contains(term))
        };
        self.asked
            .iter()
            .find(|(term, _)| self.options.subject && claim.terms.contains(term) && !has(term))
            .map(|(_, word)| word.clone())
    }

    /// Which passages support a sentence. `[n]` marks in it say which passages its writer means:
    /// those are looked at first, but count only if they hold.
    pub fn check(&self, sentence: &str) -> Verdict {
        let (plain, claimed) = strip_marks(sentence);
        if declines(&plain) {
            return Verdict::Declines;
        }
        let claim = Claim::new(&plain);
        if claim.terms.is_empty() {
            return Verdict::Unsupported { missing: Missing::Content };
        }
        let mut found: Vec<Evidence> = Vec::new();
        let mut nearest: Option<(f32, Missing)> = None;
        for passage in &self.passages {
            match passage.supports(&claim, self.options.coverage) {
                Ok(evidence) => match self.foreign(&claim, passage) {
                    None => found.push(evidence),
                    Some(word) => nearest = Some((evidence.coverage, Missing::Subject(word))),
                },
                Err((coverage, missing)) => {
                    if nearest.as_ref().is_none_or(|(best, _)| coverage > *best) {
                        nearest = Some((coverage, missing));
                    }
                }
            }
        }
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
        if found.is_empty() {
            let missing = nearest.map_or(Missing::Words, |(_, missing)| missing);
            Verdict::Unsupported { missing }
        } else {
            Verdict::Supported { evidence: found }
        }
    }
}

/// A sentence's content.
struct Claim {
    terms: HashSet<u32>,
    figures: Vec<(Figure, String)>,
    names: Vec<String>,
    negated: HashSet<u32>,
    negates: bool,
}

impl Claim {
    fn new(text: &str) -> Claim {
        Claim {
            terms: terms(text),
            figures: figures(text),
            names: names(text),
            negated: negated_terms(text),
            negates: words(text).any(|word| is_negation(&word)),
        }
    }
}

impl Prepared<'_> {
    fn supports(&self, claim: &Claim, threshold: f32) -> Result<Evidence, (f32, Missing)> {
        const WINDOW: usize = 3;
        let mut best: Option<(f32, Range<usize>)> = None;
        for start in 0..self.sentences.len() {
            for end in start + 1..=(start + WINDOW).min(self.sentences.len()) {
                let window = &self.sentences[start..end];
                let covered = claim
                    .terms
                    .iter()
                    .filter(|term| {
                        self.context.contains(term)
                            || window.iter().any(|sentence| sentence.terms.contains(term))
                    })
                    .count();
                let coverage = covered as f32 / claim.terms.len() as f32;
                // Of equal windows the shortest is the place.
                let is_better = best.as_ref().is_none_or(|(score, range)| {
                    coverage > *score || (coverage == *score && end - start < range.len())
                });
                if is_better {
                    best = Some((coverage, start..end));
                }
            }
        }
        let Some((coverage, window)) = best else { return Err((0.0, Missing::Words)) };
        if let Some((_, shown)) =
            claim.figures.iter().find(|(figure, _)| !figure.stands_in(&self.figures))
        {
            return Err((coverage, Missing::Figure(shown.clone())));
        }
        if let Some(name) = claim.names.iter().find(|name| !self.names.contains(*name)) {
            return Err((coverage, Missing::Name(name.clone())));
        }
        if coverage < threshold {
            return Err((coverage, Missing::Words));
        }
        let window = &self.sentences[window];
        if self.contradicts(claim, window) {
            return Err((coverage, Missing::Negation));
        }
        let start = window.first().map_or(0, |sentence| sentence.range.start);
        let end = window.last().map_or(0, |sentence| sentence.range.end);
        Ok(Evidence { n: self.n, range: self.offset + start..self.offset + end, coverage })
    }

    /// Whether the window negates what the claim asserts, or the claim denies what the window
    /// nowhere denies.
    fn contradicts(&self, claim: &Claim, window: &[PreparedSentence<'_>]) -> bool {
        let window_negates =
            window.iter().any(|sentence| words(sentence.text).any(|word| is_negation(&word)));
        if claim.negates {
            return !window_negates && !self.denies;
        }
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
}

fn prepare(passage: &Passage) -> Prepared<'_> {
    let context = format!("{} {}", passage.article.title, passage.heading_path.join(" "));
    let date = passage.article.published.map(|at| at.strftime("%Y-%m-%d %B").to_string());
    let all = format!(
        "{} {} {} {}",
        context,
        passage.article.authors.join(" "),
        date.unwrap_or_default(),
        passage.text
    );
    let mut at = 0;
    let sentences = passage
        .text
        .split_sentence_bounds()
        .map(|text| {
            let range = at..at + text.len();
            at = range.end;
            PreparedSentence { range, text, terms: terms(text) }
        })
        .filter(|sentence| !sentence.text.trim().is_empty())
        .collect();
    Prepared {
        n: passage.n,
        offset: passage.range.start,
        figures: figures(&all).into_iter().map(|(figure, _)| figure).collect(),
        names: words(&all).map(|word| name_key(&word)).collect(),
        denies: words(&context).any(|word| is_negation(&word)),
        context: terms(&context),
        sentences,
    }
}

/// Stemmed content words, as BM25 has them.
fn terms(text: &str) -> HashSet<u32> {
    bm25::query(text).indices.into_iter().collect()
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(|word| word.replace('’', "'"))
}

fn is_negation(word: &str) -> bool {
    let word = word.to_lowercase();
    word.ends_with("n't")
        || matches!(
            word.as_str(),
            "not" | "no" | "never" | "none" | "neither" | "nor" | "cannot" | "without"
        )
}

/// Content words among the four words after a negation.
fn negated_terms(text: &str) -> HashSet<u32> {
    let words: Vec<String> = words(text).collect();
    let mut negated = HashSet::new();
    for (at, word) in words.iter().enumerate() {
        if is_negation(word) {
            negated.extend(terms(&words[at + 1..words.len().min(at + 5)].join(" ")));
        }
    }
    negated
}

/// A number with what it counts, as far as that decides its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Figure {
    value: String,
    unit: Option<FigureUnit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FigureUnit {
    Dollar,
    Euro,
    Pound,
    Percent,
}

impl Figure {
    fn stands_in(&self, figures: &HashSet<Figure>) -> bool {
        figures.contains(self)
            || (self.unit.is_none() && figures.iter().any(|figure| figure.value == self.value))
    }
}

/// The figures of a text with how they are written: digits with thousands separators and decimals,
/// `k`/`m`/`b` multiples, currencies, percentages, and the words for two to twelve.
fn figures(text: &str) -> Vec<(Figure, String)> {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        if !characters[at].1.is_ascii_digit() {
            at += 1;
            continue;
        }
        // A digit inside a word belongs to a name such as B2B or GPT-4o.
        let inside = at > 0 && characters[at - 1].1.is_alphabetic();
        let start = at;
        let mut value = String::new();
        while at < characters.len() {
            let character = characters[at].1;
            let digit_follows = characters.get(at + 1).is_some_and(|next| next.1.is_ascii_digit());
            if character.is_ascii_digit() || (character == '.' && digit_follows) {
                value.push(character);
            } else if !(character == ',' && digit_follows) {
                break;
            }
            at += 1;
        }
        if inside {
            continue;
        }
        let rest: String = characters[at..].iter().take(12).map(|(_, c)| *c).collect();
        let lower = rest.to_lowercase();
        let before = characters[..start].iter().rev().map(|(_, c)| *c).find(|c| *c != ' ');
        let multiple = match lower.chars().next() {
            Some('k') if !second_is_letter(&lower) => Some(3),
            Some('m') if !second_is_letter(&lower) => Some(6),
            Some('b') if !second_is_letter(&lower) => Some(9),
            _ if lower.starts_with(" thousand") => Some(3),
            _ if lower.starts_with(" million") => Some(6),
            _ if lower.starts_with(" billion") => Some(9),
            _ => None,
        };
        if let Some(zeros) = multiple {
            value = shift_decimal(&value, zeros);
        }
        let after = lower.trim_start();
        let unit = if before == Some('$') || after.starts_with("dollar") || after.starts_with("usd")
        {
            Some(FigureUnit::Dollar)
        } else if before == Some('€') || after.starts_with('€') || after.starts_with("euro") {
            Some(FigureUnit::Euro)
        } else if before == Some('£') || after.starts_with("pound") {
            Some(FigureUnit::Pound)
        } else if after.starts_with('%')
            || after.starts_with("percent")
            || after.starts_with("per cent")
        {
            Some(FigureUnit::Percent)
        } else {
            None
        };
        let end = characters.get(at).map_or(text.len(), |(byte, _)| *byte);
        let shown = text[characters[start].0..end].to_owned();
        found.push((Figure { value: trim_zeros(&value), unit }, shown));
    }
    const WORDS: [&str; 11] = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    for word in words(text) {
        if let Some(value) = WORDS.iter().position(|name| word.eq_ignore_ascii_case(name)) {
            found.push((Figure { value: (value + 2).to_string(), unit: None }, word));
        }
    }
    found
}

fn second_is_letter(text: &str) -> bool {
    text.chars().nth(1).is_some_and(char::is_alphanumeric)
}

/// `1.5` shifted by 3 is `1500`.
fn shift_decimal(value: &str, zeros: usize) -> String {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let padded = format!("{fraction:0<zeros$}");
    let (moved, left) = padded.split_at(zeros);
    if left.is_empty() { format!("{whole}{moved}") } else { format!("{whole}{moved}.{left}") }
}

fn trim_zeros(value: &str) -> String {
    let value =
        if value.contains('.') { value.trim_end_matches('0').trim_end_matches('.') } else { value };
    let trimmed = value.trim_start_matches('0');
    match trimmed.chars().next() {
        None => "0".to_owned(),
        Some('.') => format!("0{trimmed}"),
        Some(_) => trimmed.to_owned(),
    }
}

/// The names in a sentence, in the form in which they are compared: capitalised words that don't
/// begin it, and words with a capital or a digit inside.
fn names(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut opens = true;
    for piece in text.split_word_bounds() {
        if piece.chars().any(char::is_alphanumeric) {
            let capitalised = piece.chars().next().is_some_and(char::is_uppercase);
            let inner = piece.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit())
                && piece.chars().any(char::is_alphabetic);
            if (inner || (capitalised && !opens)) && piece != "I" && !piece.starts_with("I'") {
                found.insert(name_key(piece));
            }
            opens = false;
        } else if piece.contains(['.', '!', '?', ':', '"', '“', '(', '\n']) {
            opens = true;
        }
    }
    found.into_iter().collect()
}

/// A word without case, possessive and plural.
fn name_key(word: &str) -> String {
    let word = word.to_lowercase().replace('’', "'");
    let word = word.strip_suffix("'s").unwrap_or(&word);
    match word.strip_suffix('s') {
        Some(stem) if stem.chars().count() > 2 => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether a word of a question stands for the articles or their writer, who seldom name themselves.
fn names_the_text(word: &str) -> bool {
    const WORDS: [&str; 10] = [
        "author",
        "writer",
        "article",
        "post",
        "blog",
        "newsletter",
        "passage",
        "text",
        "issue",
        "say",
    ];
    let word = word.to_lowercase();
    WORDS.contains(&word.trim_end_matches("'s").trim_end_matches('s'))
}

/// Whether a sentence says that the passages don't answer.
fn declines(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    let about_text = [
        "passage",
        "article",
        "text",
        "provided",
        "information",
        "author",
        "mention",
        "there is",
        "it is",
    ]
    .iter()
    .any(|word| text.contains(word));
    let says_not = [
        "not mention",
        "n't mention",
        "no mention",
        "not say",
        "n't say",
        "not state",
        "n't state",
        "not specif",
        "n't specif",
        "not provide",
        "n't provide",
        "no information",
        "no specific information",
        "not contain",
        "n't contain",
        "not explicitly",
        "n't explicitly",
        "not answer",
        "n't answer",
        "not discuss",
        "n't discuss",
        "not include information",
        "not given",
        "not directly",
        "no direct",
        "not clear from",
        "not stated",
        "unclear from",
        "not address",
        "n't address",
        "no details",
        "not disclose",
    ]
    .iter()
    .any(|phrase| text.contains(phrase));
    about_text && says_not
}

/// A sentence without its `[n]` marks (also `[1, 2]` and `[1][2]`), and the numbers in them.
pub fn strip_marks(sentence: &str) -> (String, BTreeSet<usize>) {
    let mut plain = String::with_capacity(sentence.len());
    let mut numbers = BTreeSet::new();
    let mut rest = sentence;
    while let Some(open) = rest.find('[') {
        let (before, tail) = rest.split_at(open);
        let inside = tail[1..].split(']').next().unwrap_or_default();
        let parsed: Option<Vec<usize>> = inside
            .split([',', ';', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| part.trim_start_matches("Passage").trim().parse().ok())
            .collect();
        let closed = tail.len() > inside.len() + 1;
        match parsed {
            Some(found) if closed && !found.is_empty() => {
                plain.push_str(before.trim_end_matches(' '));
                numbers.extend(found);
                rest = &tail[inside.len() + 2..];
            }
            _ => {
                plain.push_str(before);
                plain.push('[');
                rest = &tail[1..];
            }
        }
    }
    plain.push_str(rest);
    (plain.trim().to_owned(), numbers)
}

/// Cuts a stream of text into sentences, a list item being one; marks after a full stop belong to
/// the sentence before them.
#[derive(Debug, Default)]
pub struct Sentences {
    pending: String,
}

impl Sentences {
    /// Takes more text; the sentences that are complete now.
    pub fn push(&mut self, text: &str) -> Vec<String> {
        self.pending.push_str(text);
        let mut complete = Vec::new();
        while let Some(end) = first_end(&self.pending) {
            let sentence: String = self.pending.drain(..end).collect();
            if !sentence.trim().is_empty() {
                complete.push(sentence.trim().to_owned());
            }
        }
        complete
    }

    /// What is left at the end of the stream, if it is more than white space.
    pub fn finish(self) -> Option<String> {
        let rest = self.pending.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    }
}

/// The byte after the first sentence of `text`, if it is certain that it ends there.
fn first_end(text: &str) -> Option<usize> {
    const ABBREVIATIONS: [&str; 16] = [
        "e.g", "i.e", "etc", "vs", "mr", "mrs", "ms", "dr", "prof", "st", "no", "fig", "approx",
        "inc", "cf", "al",
    ];
    let bytes = text.as_bytes();
    for (at, character) in text.char_indices() {
        let after = at + character.len_utf8();
        match character {
            '\n' if !text[..at].trim().is_empty() => return Some(after),
            '。' | '！' | '？' => return Some(after),
            '.' | '!' | '?' => {
                let mut end = after;
                while end < bytes.len() && matches!(bytes[end], b'"' | b')' | b'\'' | b'*') {
                    end += 1;
                }
                // Marks may follow, with or without a space.
                loop {
                    let tail = &text[end..];
                    let spaces = tail.len() - tail.trim_start_matches(' ').len();
                    let tail = &tail[spaces..];
                    match tail.starts_with('[').then(|| tail.find(']')) {
                        Some(Some(close)) => end += spaces + close + 1,
                        Some(None) => return None,
                        None => break,
                    }
                }
                let next: Vec<char> = text[end..].chars().take(2).collect();
                let word = text[..at]
                    .rsplit(|c: char| c.is_whitespace() || c == '(')
                    .next()
                    .unwrap_or_default()
                    .to_lowercase();
                let abbreviation = character == '.'
                    && (ABBREVIATIONS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()))
                        || ABBREVIATIONS.contains(&word.as_str())
                        // "1." opens a list item; "J." is an initial.
                        || (text[..at].trim().chars().all(|c| c.is_ascii_digit()))
                        || (word.chars().count() == 1 && word.chars().all(char::is_alphabetic)));
                match next.as_slice() {
                    _ if abbreviation => {}
                    ['\n', ..] => return Some(end),
                    [' ', following] if !following.is_lowercase() && *following != '[' => {
                        return Some(end);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ArticleId, ArticleMeta, SourceId};

    fn passage(n: usize, text: &str) -> Passage {
        Passage {
            n,
            article: ArticleMeta {
                id: ArticleId("a".into()),
                source: SourceId("s".into()),
                other_sources: vec![],
                url: None,
                title: "Varnishing a hull".into(),
                authors: vec!["Ida Holm".into()],
                published: None,
                tags: vec![],
            },
            revision: 1,
            heading_path: vec!["Coats".into()],
            range: 100..100 + text.len(),
            text: text.into(),
            score: 1.0,
        }
    }

    fn passages() -> Vec<Passage> {
        vec![
            passage(
                1,
                "We put on six coats of Epifanes varnish. Each coat dried for 48 hours at 18 °C. \
                 Do not sand the first coat. The tin cost €42.",
            ),
            passage(2, "The engine took 1,500 euros and two weekends. Owen rebuilt the pump."),
        ]
    }

    fn verdict(sentence: &str) -> Verdict {
        Checker::new(&passages(), "", SupportOptions::default()).check(sentence)
    }

    fn cited(sentence: &str) -> Vec<usize> {
        match verdict(sentence) {
            Verdict::Supported { evidence } => evidence.iter().map(|found| found.n).collect(),
            Verdict::Unsupported { .. } | Verdict::Declines => vec![],
        }
    }

    #[test]
    fn a_sentence_cites_the_passage_that_says_it() {
        assert_eq!(cited("Each coat of varnish dries for 48 hours."), [1]);
        assert_eq!(cited("Owen rebuilt the pump [2]."), [2]);
        assert_eq!(cited("The engine cost 1500 euros."), [2]);
    }

    #[test]
    fn a_wrong_mark_is_put_right() {
        assert_eq!(cited("Owen rebuilt the pump [1]."), [2]);
    }

    #[test]
    fn an_invented_figure_name_or_negation_is_not_supported() {
        let missing = |sentence: &str| match verdict(sentence) {
            Verdict::Unsupported { missing } => missing,
            other => panic!("{sentence}: {other:?}"),
        };
        assert_eq!(missing("Each coat dried for 24 hours at 18 °C."), Missing::Figure("24".into()));
        assert_eq!(missing("The tin of varnish cost $42."), Missing::Figure("42".into()));
        assert_eq!(
            missing("They put on six coats of Lefant varnish."),
            Missing::Name("lefant".into())
        );
        assert_eq!(missing("Sand the first coat."), Missing::Negation);
        assert_eq!(
            missing("Each coat did not dry for 48 hours at 18 °C.").clone(),
            Missing::Negation
        );
        assert_eq!(missing("Mast rigging needs careful annual inspection."), Missing::Words);
    }

    #[test]
    fn what_stands_under_a_heading_that_negates_is_negated() {
        let mut passages = passages();
        passages[0].heading_path = vec!["When NOT to varnish".to_owned()];
        passages[0].text = "The wood is wet.".to_owned();
        let checker = Checker::new(&passages, "", SupportOptions::default());
        let verdict = checker.check("Varnish should not be used when the wood is wet.");
        assert!(matches!(verdict, Verdict::Supported { .. }), "{verdict:?}");
    }

    #[test]
    fn what_is_said_of_something_else_is_no_answer() {
        let passages = passages();
        let question = "How long does the author dry each coat of epoxy?";
        let options = SupportOptions { subject: true, ..SupportOptions::default() };
        let checker = Checker::new(&passages, question, options);
        assert_eq!(
            checker.check("Each coat of epoxy dries for 48 hours."),
            Verdict::Unsupported { missing: Missing::Subject("epoxy".into()) }
        );
        assert!(matches!(
            checker.check("The author dries each coat for 48 hours."),
            Verdict::Supported { .. }
        ));
    }

    #[test]
    fn declining_is_recognised() {
        assert_eq!(verdict("the passages do not mention a price."), Verdict::Declines);
        assert_eq!(verdict("There is no mention of a subscription."), Verdict::Declines);
        assert_ne!(verdict("Do not sand the first coat."), Verdict::Declines);
    }

    #[test]
    fn evidence_is_a_range_of_the_article() {
        let Verdict::Supported { evidence } = verdict("Owen rebuilt the pump.") else { panic!() };
        let passages = passages();
        let at = evidence[0].range.start - 100..evidence[0].range.end - 100;
        assert_eq!(passages[1].text[at].trim(), "Owen rebuilt the pump.");
    }

    #[test]
    fn figures_are_compared_by_value_and_unit() {
        let of = |text: &str| figures(text).into_iter().map(|(f, _)| f).collect::<Vec<_>>();
        assert_eq!(of("1,500"), of("1.5k"));
        assert_eq!(of("2 million"), of("2000000"));
        assert_eq!(of("10 percent"), of("10%"));
        assert_eq!(of("five"), of("5"));
        assert_ne!(of("$10"), of("10%"));
        assert!(of("a B2B firm").is_empty());
    }

    #[test]
    fn sentences_are_cut_where_they_end() {
        let mut cutter = Sentences::default();
        let mut found = cutter.push("It took 3.5 hours, e.g. for Dr. Holm. [1] The next");
        found.extend(cutter.push(" one [2]. \n- an item\n1. First do it.\nEnd"));
        found.extend(cutter.finish());
        assert_eq!(
            found,
            [
                "It took 3.5 hours, e.g. for Dr. Holm. [1]",
                "The next one [2].",
                "- an item",
                "1. First do it.",
                "End"
            ]
        );
    }

    #[test]
    fn marks_are_taken_out() {
        let (plain, numbers) = strip_marks("So it is [1, 3][2]. See array[i].");
        assert_eq!(plain, "So it is. See array[i].");
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_evidence_stays_in_its_passage(sentence in "\\PC{0,80}", text in "\\PC{0,200}") {
            let passages = [passage(1, &text)];
            if let Verdict::Supported { evidence } =
                Checker::new(&passages, "", SupportOptions::default()).check(&sentence)
            {
                for found in evidence {
                    prop_assert!(text.get(found.range.start - 100..found.range.end - 100).is_some());
                }
            }
        }

        #[test]
        fn sentences_keep_every_word(text in "[a-zA-Z0-9 .!?\\[\\]\n]{0,200}", cut in 0usize..200) {
            let cut = cut.min(text.len());
            let mut cutter = Sentences::default();
            let mut found = cutter.push(&text[..cut]);
            found.extend(cutter.push(&text[cut..]));
            found.extend(cutter.finish());
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(squeeze(&found.join(" ")), squeeze(&text));
        }
    }
}
