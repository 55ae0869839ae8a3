//! What a sentence says, as far as words tell: content words, negation, figures, names. Pure.

use std::collections::{BTreeSet, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::document::terms;

/// Stemmed content words, as BM25 has them.
pub(super) fn terms(text: &str) -> HashSet<u32> {
    terms::query(text).indices.into_iter().collect()
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

/// What a list item says, without its number or bullet; `None` if the text is none.
pub fn list_item(text: &str) -> Option<&str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = match digits {
        0 => text.strip_prefix(['-', '*', '•'])?,
        1 | 2 => text[digits..].strip_prefix(['.', ')'])?,
        _ => return None,
    };
    rest.starts_with(' ').then(|| rest.trim_start()).filter(|item| !item.is_empty())
}

/// A sentence without its conditions (`if …,`), which it does not assert. One that begins it must
/// end with a comma: else nobody knows where what it asserts begins.
pub(super) fn without_conditions(text: &str) -> String {
    let mut kept = String::new();
    let mut in_condition = false;
    let mut rest = text;
    while let Some(piece) = rest.split_word_bounds().next() {
        let opens = matches!(piece.to_lowercase().as_str(), "if" | "unless");
        if opens && (kept.chars().any(char::is_alphanumeric) || rest.contains(',')) {
            in_condition = true;
        } else if piece.contains([',', ';', ':']) {
            in_condition = false;
        }
        if !in_condition {
            kept.push_str(piece);
        }
        rest = &rest[piece.len()..];
    }
    kept
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
/// `k`/`m`/`b` multiples, currencies, percentages, and numbers in words.
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
    found.extend(figures_in_words(text));
    found
}

/// Numbers in words, `two` to `ninety-nine` and their hundreds, thousands, millions and billions.
/// A lone `one` and `a hundred` seldom count.
fn figures_in_words(text: &str) -> Vec<(Figure, String)> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] =
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    const MULTIPLES: [(&str, u64); 4] =
        [("hundred", 100), ("thousand", 1_000), ("million", 1_000_000), ("billion", 1_000_000_000)];
    let words: Vec<String> = words(text).collect();
    let at_word = |at: usize| words.get(at).map(|word| word.to_lowercase()).unwrap_or_default();
    let small = |at: usize| SMALL.iter().position(|name| *name == at_word(at)).map(|n| n as u64);
    let multiple = |at: usize| {
        MULTIPLES.iter().find(|(name, _)| *name == at_word(at)).map(|(_, times)| *times)
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let start = at;
        let tens = TENS.iter().position(|name| *name == at_word(at)).map(|n| (n as u64 + 2) * 10);
        let mut value = match (tens, small(at)) {
            (Some(tens), _) => {
                let unit = small(at + 1).filter(|unit| (1..10).contains(unit));
                at += 1 + usize::from(unit.is_some());
                tens + unit.unwrap_or(0)
            }
            (None, Some(value)) if value > 1 || (value == 1 && multiple(at + 1).is_some()) => {
                at += 1;
                value
            }
            _ => {
                at += 1;
                continue;
            }
        };
        while let Some(times) = multiple(at) {
            value = value.saturating_mul(times);
            at += 1;
        }
        found.push((Figure { value: value.to_string(), unit: None }, words[start..at].join(" ")));
    }
    found
}

/// The days of months that a text gives as ordinals (`the fourteenth of June`, `June 14th`).
pub(super) fn days(text: &str) -> Vec<(Figure, String)> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let words: Vec<String> = words(text).map(|word| word.to_lowercase()).collect();
    let is_month = |at: usize| words.get(at).is_some_and(|word| MONTHS.contains(&word.as_str()));
    let each = ordinals_at(&words).into_iter();
    each.filter(|(start, end, _)| {
        let is_of = words.get(*end).is_some_and(|word| word == "of") && is_month(end + 1);
        let follows = start.checked_sub(1).is_some_and(is_month);
        is_of || follows || is_month(*end)
    })
    .map(|(start, end, figure)| (figure, words[start..end].join("-")))
    .collect()
}

/// The figures that a text gives as ordinals in words, `first` to `thirty-first`.
pub(super) fn ordinals(text: &str) -> Vec<Figure> {
    let words: Vec<String> = words(text).map(|word| word.to_lowercase()).collect();
    ordinals_at(&words).into_iter().map(|(.., figure)| figure).collect()
}

/// Each ordinal with the first of its words and the one behind it.
fn ordinals_at(words: &[String]) -> Vec<(usize, usize, Figure)> {
    const ORDINALS: [&str; 20] = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let value = match word.as_str() {
            "thirtieth" => Some(30),
            word => ORDINALS.iter().position(|name| *name == word).map(|n| n + 1),
        };
        let Some(value) = value else { continue };
        let tens = match at.checked_sub(1).and_then(|before| words.get(before)) {
            Some(before) if value < 10 && before == "twenty" => 20,
            Some(before) if value < 10 && before == "thirty" => 30,
            _ => 0,
        };
        let start = at - usize::from(tens > 0);
        found.push((start, at + 1, Figure { value: (value + tens).to_string(), unit: None }));
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
