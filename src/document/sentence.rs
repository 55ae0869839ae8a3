//! Where sentences end. Pure.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Abbreviations after which a full stop ends no sentence, in lower case without it.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "ca", "capt", "cf", "col", "dept", "dr", "e.g", "ed", "eds", "eq", "est",
    "fig", "figs", "gen", "gov", "hon", "i.e", "jr", "lt", "mr", "mrs", "ms", "mt", "no", "nos",
    "p", "pp", "prof", "ref", "rep", "rev", "sec", "sen", "sgt", "sr", "st", "viz", "vol", "vs",
];

/// The sentences of a text as byte ranges that tile it: each with the white space after it.
///
/// Unicode's sentence boundaries (UAX #29), joined again after an abbreviation, an initial and a
/// numbered-list mark; decimals, URLs and CJK full stops are right in UAX #29 as they are.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut joins = false;
    for piece in text.split_sentence_bounds() {
        let end = at + piece.len();
        match found.last_mut() {
            Some(last) if joins || piece.trim().is_empty() || goes_on(text, last, piece) => {
                last.end = end;
            }
            _ => found.push(at..end),
        }
        joins = ends_in_abbreviation(piece) || breaks_inside_a_word(piece);
        at = end;
    }
    found
}

/// A sentence does not begin with a small letter, unless a line does.
fn goes_on(text: &str, last: &Range<usize>, piece: &str) -> bool {
    piece.starts_with(char::is_lowercase) && !text[last.clone()].ends_with(['\n', '\r'])
}

/// A boundary with no white space after an ASCII mark stands in a URL or a name.
fn breaks_inside_a_word(piece: &str) -> bool {
    piece.ends_with(['.', '?', '!', '"', '\'', ')'])
}

/// Whether a text ends in a full stop that ends no sentence: of an abbreviation, of initials or of
/// the number of a list item that is all of it.
pub fn ends_in_abbreviation(piece: &str) -> bool {
    // A line break ends a sentence whatever stands before it.
    if piece.ends_with(['\n', '\r']) {
        return false;
    }
    let Some(body) = piece.trim_end().strip_suffix('.') else { return false };
    let word = body.rsplit(|c: char| c.is_whitespace() || "([\"'“‘".contains(c)).next();
    let Some(word) = word.filter(|word| !word.is_empty()) else { return false };
    let lower = word.to_lowercase();
    let is_initial = {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase) && letters.next().is_none() && word != "I"
    };
    let is_mark = body.trim_start() == word
        && word.len() <= 3
        && word.chars().all(|character| character.is_ascii_digit());
    // U.S., a.m., i.e.: single letters parted by full stops.
    let is_dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
    is_initial || is_mark || is_dotted || ABBREVIATIONS.binary_search(&lower.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| text[range].trim()).collect()
    }

    #[test]
    fn abbreviations_decimals_urls_and_cjk() {
        assert!(ABBREVIATIONS.is_sorted());
        assert_eq!(
            split("Dr. Holm paid 3.5 kr. He left. See https://a.example/b.c?d=1. Then e.g. Oak."),
            [
                "Dr. Holm paid 3.5 kr.",
                "He left.",
                "See https://a.example/b.c?d=1.",
                "Then e.g. Oak."
            ]
        );
        assert_eq!(split("船は木です。接着剤は四時間。"), ["船は木です。", "接着剤は四時間。"]);
        assert_eq!(
            split("J. Smith came. Why? \"No!\" he said."),
            ["J. Smith came.", "Why?", "\"No!\" he said."]
        );
        assert_eq!(split("1. Cut it. 2. Glue it."), ["1. Cut it.", "2. Glue it."]);
        assert_eq!(split("At 5 a.m. they rose. We slept."), ["At 5 a.m. they rose.", "We slept."]);
    }

    proptest! {
        #[test]
        fn sentences_tile_the_text(text in "(\\PC|\\n| |\\. |[A-Z]\\. ){0,60}") {
            let found = sentences(&text);
            let mut at = 0;
            for range in &found {
                prop_assert_eq!(range.start, at);
                prop_assert!(range.end > at);
                at = range.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
