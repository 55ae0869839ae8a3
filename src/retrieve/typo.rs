//! A question's typing errors, mended from the words that the articles have. Pure.
//!
//! Only a word that no article has and that the embedder's vocabulary does not know as one is taken for
//! one, and only a word that is one edit away (Damerau, CACM 1964) and begins alike replaces it; of
//! several the one that most chunks have (`eval/attempts.md`).

use std::ops::{Range, RangeInclusive};

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::document::terms;
use crate::infer::Token;

/// How many letters a word has that is mended.
const LETTERS: RangeInclusive<usize> = 4..=32;

/// A word as it was typed, and as it is searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    /// As it was typed.
    pub typed: String,
    /// As it is searched for.
    pub meant: String,
}

/// The words of a question that are mended. `tokens` are the question's, as the embedder cuts it; `df`
/// tells in how many chunks a term is.
pub fn mend(question: &str, tokens: &[Token], df: &dyn Fn(u32) -> u32) -> Vec<Mended> {
    let mut mended: Vec<Mended> = Vec::new();
    for (at, word) in question.unicode_word_indices() {
        let range = at..at + word.len();
        if !may_be_wrong(word, &range, tokens, df) || mended.iter().any(|one| one.typed == word) {
            continue;
        }
        let lower = word.to_ascii_lowercase();
        let mut best: Option<(u32, String)> = None;
        for edit in edits(&lower) {
            let df = known(&edit, df);
            if df > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((df, edit));
            }
        }
        if let Some((_, meant)) = best {
            mended.push(Mended { typed: word.to_owned(), meant });
        }
    }
    mended
}

/// A question with its mended words in place of those that were typed.
pub fn apply(question: &str, mended: &[Mended]) -> String {
    let mut text = String::with_capacity(question.len());
    let mut end = 0;
    for (at, word) in question.unicode_word_indices() {
        if let Some(one) = mended.iter().find(|one| one.typed == word) {
            text.push_str(&question[end..at]);
            text.push_str(&one.meant);
            end = at + word.len();
        }
    }
    text.push_str(&question[end..]);
    text
}

fn may_be_wrong(
    word: &str,
    range: &Range<usize>,
    tokens: &[Token],
    df: &dyn Fn(u32) -> u32,
) -> bool {
    let pieces = tokens
        .iter()
        .filter(|token| range.start <= token.range.start && token.range.end <= range.end)
        .count();
    let terms = terms::of(word).ids;
    LETTERS.contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        // "GPTs" and "OAuth" are names, however rare.
        && !word[1..].bytes().any(|byte| byte.is_ascii_uppercase())
        && pieces > 1
        && !terms.is_empty()
        && terms.iter().all(|term| df(*term) == 0)
}

/// In how many chunks a word is; 0 of one that is no single term.
fn known(word: &str, df: &dyn Fn(u32) -> u32) -> u32 {
    match terms::of(word).ids[..] {
        [term] => df(term),
        _ => 0,
    }
}

/// The words that are one edit away from a word of ASCII letters and begin as it does: two neighbours
/// that have changed places, a letter too many, one too few, and a wrong one, in this order.
fn edits(word: &str) -> Vec<String> {
    let places = || (1..word.len()).map(|at| word.split_at(at));
    let letters = || 'a'..='z';
    let swapped = places().filter_map(|(head, tail)| {
        Some(format!("{head}{}{}{}", tail.get(1..2)?, &tail[..1], &tail[2..]))
    });
    let without = places().map(|(head, tail)| format!("{head}{}", &tail[1..]));
    let with = places()
        .chain([(word, "")])
        .flat_map(|(head, tail)| letters().map(move |letter| format!("{head}{letter}{tail}")));
    let changed = places().flat_map(|(head, tail)| {
        letters().map(move |letter| format!("{head}{letter}{}", &tail[1..]))
    });
    swapped.chain(without).chain(with).chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Each word cut in two, as an embedder does with words that it doesn't know.
    fn cut(question: &str) -> Vec<Token> {
        let token = |range: Range<usize>| Token { range, state: Vec::new() };
        question
            .unicode_word_indices()
            .flat_map(|(at, word)| {
                let half = at + word.floor_char_boundary(word.len() / 2);
                [token(at..half), token(half..at + word.len())]
            })
            .collect()
    }

    fn mended(question: &str, known: &[(&str, u32)]) -> String {
        let counts: HashMap<u32, u32> =
            known.iter().map(|(word, df)| (terms::of(word).ids[0], *df)).collect();
        let df = |term: u32| counts.get(&term).copied().unwrap_or(0);
        apply(question, &mend(question, &cut(question), &df))
    }

    #[test]
    fn one_edit_away_and_the_most_frequent() {
        let known = [("varnish", 3), ("varnishes", 3), ("rivets", 5), ("planking", 2)];
        let cases = [
            ("How is the vanish thinned?", "How is the varnish thinned?"),
            ("Who set the rivetts?", "Who set the rivets?"),
            ("Plakning or planking?", "planking or planking?"),
            ("What does varnich cost?", "What does varnish cost?"),
        ];
        for (question, wanted) in cases {
            assert_eq!(mended(question, &known), wanted);
        }
        assert_eq!(mended("a shipz b", &[("ship", 1), ("shipt", 9)]), "a shipt b");
    }

    #[test]
    fn what_may_be_meant_stays() {
        let known = [("varnish", 3), ("oaks", 2), ("tern", 4), ("model", 4)];
        // Known, too short, another beginning, two edits away, a figure, a name in capitals.
        for question in ["varnish", "oks", "barnish", "vrnsh", "tern2", "mOdel", "dérn"] {
            assert_eq!(mended(question, &known), question);
        }
        // A word that the embedder knows whole.
        let df = |_: u32| 0;
        let whole = [Token { range: 0..7, state: Vec::new() }];
        assert_eq!(mend("vanishe", &whole, &df), []);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_where_nothing_is_known(question in "\\PC{0,60}") {
            prop_assert_eq!(mended(&question, &[]), question.clone());
            // Nor do the words that are known change where they stand.
            let known = [("varnish", 3), ("rivets", 5)];
            let with = format!("{question} varnish rivets");
            prop_assert!(mended(&with, &known).ends_with(" varnish rivets"));
        }

        #[test]
        fn each_edit_is_one_edit(word in "[a-z]{4,9}") {
            for edit in edits(&word) {
                prop_assert!(strsim::damerau_levenshtein(&word, &edit) <= 1, "{word} {edit}");
                prop_assert_eq!(&edit[..1], &word[..1]);
            }
        }
    }
}
