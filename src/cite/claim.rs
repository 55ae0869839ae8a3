//! What a sentence says, as far as words tell: content words, negation, figures, names. Pure.

use std::collections::{BTreeSet, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::bm25;

/// Stemmed content words, as BM25 has them.
pub(super) fn terms(text: &str) -> HashSet<u32> {
    bm25::query(text).indices.into_iter().collect()
}

pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(|word| word.replace('’', "'"))
}

pub(super) fn is_negation(word: &str) -> bool {
    let word = word.to_lowercase();
    word.ends_with("n't")
        || matches!(
            word.as_str(),
            "not" | "no" | "never" | "none" | "neither" | "nor" | "cannot" | "without"
        )
}

/// Content words among the four words after a negation.
pub(super) fn negated_terms(text: &str) -> HashSet<u32> {
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
pub(super) struct Figure {
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
    pub(super) fn stands_in(&self, figures: &HashSet<Figure>) -> bool {
        figures.contains(self)
            || (self.unit.is_none() && figures.iter().any(|figure| figure.value == self.value))
    }
}

/// The figures of a text with how they are written: digits with thousands separators and decimals,
/// `k`/`m`/`b` multiples, currencies, percentages, and the words for two to twelve.
pub(super) fn figures(text: &str) -> Vec<(Figure, String)> {
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
pub(super) fn names(text: &str) -> Vec<String> {
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
pub(super) fn name_key(word: &str) -> String {
    let word = word.to_lowercase().replace('’', "'");
    let word = word.strip_suffix("'s").unwrap_or(&word);
    match word.strip_suffix('s') {
        Some(stem) if stem.chars().count() > 2 => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether a word of a question stands for the articles or their writer, who seldom name themselves.
pub(super) fn names_the_text(word: &str) -> bool {
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
pub(super) fn declines(text: &str) -> bool {
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
