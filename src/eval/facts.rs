//! Whether an answer states a fact: by its words, not by its meaning. Pure.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

/// Whether `text` holds `form` as whole words, white space, case, typographic marks and thousands
/// separators aside: "10" stands in "$10." and in "the 10th", not in "100", "2.10" or "10k". With `*`
/// at its end a form is the beginning of a word: "cach*" stands in "caching". An empty form stands
/// nowhere.
pub fn states(text: &str, form: &str) -> bool {
    let (form, is_beginning) = match form.trim().strip_suffix('*') {
        Some(beginning) => (beginning, true),
        None => (form.trim(), false),
    };
    let (text, form) = (normal(text), normal(form));
    let form = form.trim();
    if form.is_empty() {
        return false;
    }
    let bounds = bounds(&text);
    text.match_indices(form).any(|(start, _)| {
        let end = start + form.len();
        bounds.contains(&start) && (is_beginning || bounds.contains(&end))
    })
}

/// Where words begin and end, by Unicode's rules (figures with their decimals are words), and around
/// apostrophes and before the ending of an ordinal, so that "Owen" stands in "Owen's".
fn bounds(text: &str) -> HashSet<usize> {
    let mut bounds: HashSet<usize> = HashSet::from([text.len()]);
    for (start, word) in text.split_word_bound_indices() {
        bounds.insert(start);
        for (at, mark) in word.match_indices('\'') {
            bounds.extend([start + at, start + at + mark.len()]);
        }
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let is_ordinal = matches!(&word[digits.len()..], "st" | "nd" | "rd" | "th");
        if is_ordinal && digits.ends_with(|c: char| c.is_ascii_digit()) {
            bounds.insert(start + digits.len());
        }
    }
    bounds
}

/// Lower case, white space collapsed, typographic marks as on a keyboard, no separators in figures.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut last = ' ';
    let characters: Vec<char> = text.to_lowercase().chars().collect();
    for (at, character) in characters.iter().enumerate() {
        let is_digit = |at: usize| characters.get(at).is_some_and(char::is_ascii_digit);
        let plain = match character {
            '’' | '‘' => '\'',
            '“' | '”' => '"',
            '–' | '—' | '‑' => '-',
            ',' if at > 0 && is_digit(at - 1) && is_digit(at + 1) => continue,
            c if c.is_whitespace() => ' ',
            c => *c,
        };
        if plain != ' ' || last != ' ' {
            out.push(plain);
        }
        last = plain;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn facts_are_whole_words() {
        for (text, form) in [
            ("It took 10 hours.", "10 hours"),
            ("It cost $10.", "10"),
            ("It cost €10, no more.", "10"),
            ("(10)", "10"),
            ("10% of it", "10"),
            ("It cost 38,400 kroner.", "38400"),
            ("It cost 38400 kroner.", "38,400"),
            ("on November 18th, 2025", "november 18"),
            ("It takes 1.5 hours.", "1.5"),
            ("It is 1.5.", "1.5"),
            ("Marit Solvang’s boat", "solvang"),
            ("the  FOURTEENTH\nof June", "fourteenth of June"),
            ("in us-east-1.", "us-east-1"),
            ("published 2025-12-05", "2025-12"),
            ("by caching results", "cach*"),
            ("the tools", "tool*"),
            ("花了10天", "10"),
        ] {
            assert!(states(text, form), "{form:?} stands in {text:?}");
        }
        for (text, form) in [
            ("It took 100 hours.", "10"),
            ("It took 11.5 hours.", "1.5"),
            ("It took 1.55 hours.", "1.5"),
            ("version 1.5.2", "1.5"),
            ("It took 2.10 hours.", "10"),
            ("It cost 10,000.", "10"),
            ("It cost 10k.", "10"),
            ("in us-east-10", "us-east-1"),
            ("The tools are there.", "tool"),
            ("Scarcity", "car"),
            ("a thrust", "rust"),
            ("recaching", "cach*"),
            ("anything", ""),
            ("anything", "*"),
        ] {
            assert!(!states(text, form), "{form:?} does not stand in {text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_word_stands_in_a_text_of_words(words in proptest::collection::vec("[a-zäß0-9]{1,6}", 1..6), at in 0usize..6) {
            let word = &words[at % words.len()];
            prop_assert!(states(&words.join(" "), word));
            let joined = format!("x{word}x");
            prop_assert!(!states(&joined, word));
        }

        #[test]
        fn nothing_panics(text in any::<String>(), form in any::<String>()) {
            let _ = states(&text, &form);
        }
    }
}
