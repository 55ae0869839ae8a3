//! What an LLM writes, made fit to be read by somebody who has not seen what it read: white space,
//! marks, words about the passages. Pure.

use unicode_segmentation::UnicodeSegmentation;

use super::cite::list_item;
use crate::base::text::collapse;

/// What a list item begins with. They lose their numbers, for one that is dropped would leave a gap.
pub(super) const ITEM: &str = "- ";

/// A sentence as it is shown: white space collapsed, without words about the passages before what
/// they say or quotation marks that stand alone, first letter a capital (the LLM goes on from an
/// opening).
pub(super) fn tidy(sentence: &str) -> String {
    let text = collapse(sentence);
    let text = text.trim_start_matches([',', ':', ';', ' ']);
    let (item, text) = match list_item(text) {
        Some(text) => (ITEM, text),
        None => ("", text),
    };
    let text = without_echo(&balanced(without_preface(text)));
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => item.chars().chain(first.to_uppercase()).chain(characters).collect(),
        None => String::new(),
    }
}

/// What stands behind "The passages state that", "According to the passages," and the like.
fn without_preface(text: &str) -> &str {
    const WHO: [&str; 8] =
        ["passage", "passages", "article", "articles", "text", "author", "section", "post"];
    const SAYS: [&str; 28] = [
        "state",
        "states",
        "say",
        "says",
        "mention",
        "mentions",
        "suggest",
        "suggests",
        "indicate",
        "indicates",
        "explain",
        "explains",
        "note",
        "notes",
        "describe",
        "describes",
        "emphasize",
        "emphasizes",
        "highlight",
        "highlights",
        "claim",
        "claims",
        "show",
        "shows",
        "report",
        "reports",
        "tell",
        "tells",
    ];
    let mut words = text.split(' ').enumerate().peekable();
    let mut at = 0;
    let mut next = |wanted: &dyn Fn(&str) -> bool| match words.peek() {
        Some((_, word)) if wanted(&word.to_lowercase()) => {
            at += word.len() + 1;
            words.next();
            true
        }
        _ => false,
    };
    let is_last = |word: &str| word.strip_suffix(',').is_some_and(|word| WHO.contains(&word));
    let is_according = next(&|word| word == "according") && next(&|word| word == "to");
    let _ = next(&|word| matches!(word, "the" | "these" | "this"));
    let _ = next(&|word| matches!(word, "given" | "provided"));
    if is_according {
        let is_numbered = |word: &str| {
            word.strip_suffix(',')
                .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_preface = next(&is_last) || next(&|word| WHO.contains(&word)) && next(&is_numbered);
        return if is_preface { text.get(at..).unwrap_or(text) } else { text };
    }
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    // "In the article, it states that".
    let is_in = next(&|word| word == "in");
    if is_in {
        let _ = next(&|word| matches!(word, "the" | "this"));
        let is_told = next(&is_last)
            && next(&|word| word == "it")
            && next(&|word| SAYS.contains(&word))
            && next(&|word| word == "that");
        return if is_told { text.get(at..).unwrap_or(text) } else { text };
    }
    let is_preface = next(&|word| WHO.contains(&word)) && {
        let _ = next(&is_number);
        // "The text from passage 4 states".
        if next(&|word| matches!(word, "from" | "in" | "of")) {
            let _ = next(&|word| word == "the");
            let _ = next(&|word| WHO.contains(&word));
            let _ = next(&is_number);
        }
        let _ = next(&|word| word == "also");
        let ends = |word: &str| word.strip_suffix([',', ':']).is_some_and(|w| SAYS.contains(&w));
        next(&ends) || next(&|word| SAYS.contains(&word)) && next(&|word| word == "that")
    };
    if is_preface { text.get(at..).unwrap_or(text) } else { text }
}

/// A text that speaks of the passages, as the LLM calls them, by their numbers or all together, with
/// the articles in their place: its reader knows those.
pub(super) fn of_articles(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let core = |at: usize| {
        let word =
            words.get(at).map_or("", |word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        word.to_lowercase()
    };
    let is_number = |at: usize| {
        let word = core(at);
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_passage = |at: usize| matches!(core(at).as_str(), "passage" | "passages");
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if !is_passage(at) {
            found.push((*word).to_owned());
            at += 1;
            continue;
        }
        let (start, mut numbers) = (at, 0);
        loop {
            at += 1;
            let is_more = matches!(core(at).as_str(), "and" | "or")
                && (is_number(at + 1) || is_passage(at + 1) && is_number(at + 2));
            numbers += usize::from(is_number(at));
            if !(is_number(at) || is_more || numbers > 0 && is_passage(at) && is_number(at + 1)) {
                break;
            }
        }
        let many = numbers > 1 || core(start) == "passages";
        let opens = word.chars().take_while(|c| !c.is_alphanumeric());
        let closes = words[at - 1].chars().rev().take_while(|c| !c.is_alphanumeric());
        let closes: Vec<char> = closes.collect();
        const BEFORE: [&str; 7] = ["the", "this", "that", "these", "those", "given", "provided"];
        let has_article = start > 0 && BEFORE.contains(&core(start - 1).as_str());
        let name = match (start, numbers > 0 && !has_article, many) {
            (0, true, false) => "The article",
            (0, true, true) => "The articles",
            (0, false, false) => "Article",
            (0, false, true) => "Articles",
            (_, true, false) => "the article",
            (_, true, true) => "the articles",
            (_, false, false) => "article",
            (_, false, true) => "articles",
        };
        found.push(opens.chain(name.chars()).chain(closes.into_iter().rev()).collect());
    }
    found.join(" ")
}

/// Whether a text only says where something stands, in the words by which passages are shown to the
/// LLM: "the passage from "Hulls"", if that is what it means by the word, "Hulls, 2025-03-04."
pub(super) fn is_reference(text: &str, means_passages: bool) -> bool {
    let end = text.trim_end_matches(['.', ':', ' ']);
    let ends_in_date = end.rsplit_once(", ").is_some_and(|(_, last)| {
        last.len() == "2025-03-04".len() && last.parse::<jiff::civil::Date>().is_ok()
    });
    let low = text.to_lowercase();
    let is_from = low.contains("passage from ") || low.contains("passages from ");
    ends_in_date || means_passages && is_from
}

/// A sentence up to the clause that says a second time what it has said in the same words.
fn without_echo(text: &str) -> String {
    /// Words in a row that no sentence needs twice.
    const RUN: usize = 6;
    let words: Vec<(usize, String)> =
        text.unicode_word_indices().map(|(at, word)| (at, word.to_lowercase())).collect();
    let run = |at: usize| words.get(at..at + RUN);
    let is_same = |one: usize, other: usize| {
        let pairs = run(one).into_iter().flatten().zip(run(other).into_iter().flatten());
        run(other).is_some() && pairs.into_iter().all(|((_, a), (_, b))| a == b)
    };
    let again = (RUN..words.len()).find(|at| (0..=at - RUN).any(|before| is_same(before, *at)));
    let Some((start, _)) = again.and_then(|at| words.get(at)) else { return text.to_owned() };
    let before = &text[..*start];
    match before.rfind([',', ';', '—', '(']) {
        Some(end) if before[..end].unicode_words().count() >= RUN => {
            format!("{}.", before[..end].trim_end())
        }
        _ => text.to_owned(),
    }
}

/// Whether a sentence opens a list.
pub(super) fn opens_list(text: &str) -> bool {
    text.ends_with(':')
}

/// A text without quotation marks that open or close nothing.
fn balanced(text: &str) -> String {
    let straight = text.matches('"').count();
    let curly = text.matches('“').count() != text.matches('”').count();
    text.chars()
        .filter(|c| !(*c == '"' && straight % 2 == 1 || matches!(c, '“' | '”') && curly))
        .collect()
}

/// Whether a sentence ends in a word that something must follow.
pub(super) fn is_fragment(text: &str) -> bool {
    const OPEN: [&str; 11] =
        ["a", "an", "and", "as", "including", "into", "or", "such", "than", "the", "which"];
    /// Whole sentences may end in these, if they have said something before.
    const MOSTLY: [&str; 11] =
        ["are", "at", "by", "from", "is", "of", "on", "to", "was", "were", "with"];
    const SHORT: usize = 6;
    let end = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let Some(last) = end.rsplit(' ').next() else { return true };
    let is_broken_off = text.ends_with([',', ';']);
    let is_short = end.split(' ').count() < SHORT;
    (is_broken_off || text.ends_with('.')) && OPEN.contains(&last)
        || (is_broken_off || text.ends_with('.') && is_short) && MOSTLY.contains(&last)
        || text.ends_with(':') && !text.contains(' ')
}

/// Whether a sentence begins with a word whose meaning stands in the one before.
pub(super) fn leans(text: &str) -> bool {
    const LEANING: [&str; 19] = [
        "this",
        "these",
        "that",
        "those",
        "it",
        "its",
        "they",
        "their",
        "such",
        "he",
        "she",
        "his",
        "her",
        "both",
        "additionally",
        "moreover",
        "furthermore",
        "also",
        "instead",
    ];
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    LEANING.contains(&first.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_tidied() {
        assert_eq!(tidy(", the  hull\nis oak."), "The hull is oak.");
        assert_eq!(tidy("the passages state that the hull is oak."), "The hull is oak.");
        assert_eq!(tidy("the author also notes that it floats."), "It floats.");
        assert_eq!(tidy("the article states a price."), "The article states a price.");
        assert_eq!(tidy("Passage 4 says that it floats."), "It floats.");
        assert_eq!(tidy("Passage 1 shows that oak floats."), "Oak floats.");
        assert_eq!(tidy("the text from Passage 4 states, \"Oak floats.\""), "\"Oak floats.\"");
        assert_eq!(tidy("the text of the law says no."), "The text of the law says no.");
        assert_eq!(tidy("3. sand it"), "- Sand it");
        assert_eq!(tidy("he called it \"oak."), "He called it oak.");
        assert_eq!(tidy("he called it \"oak\"."), "He called it \"oak\".");
        assert_eq!(tidy("the “hull is oak."), "The hull is oak.");
        assert_eq!(tidy("According to the passage, oak floats."), "Oak floats.");
        assert_eq!(tidy("according to Passage 2, oak floats."), "Oak floats.");
        assert_eq!(tidy("According to Anna, oak floats."), "According to Anna, oak floats.");
        assert_eq!(tidy("In the article, it states that oak floats."), "Oak floats.");
        assert_eq!(tidy("In the article, oak floats."), "In the article, oak floats.");
    }

    #[test]
    fn where_something_stands_is_no_answer() {
        assert!(is_reference("It is told in the passage from Hulls, section 5.", true));
        assert!(!is_reference("The passage from Dover takes an hour.", false));
        assert!(is_reference("A hull (and its keel), 2025-03-04.", false));
        assert!(is_reference("From \"Hulls\", section \"Keels\", 2025-03-04:", false));
        assert!(!is_reference("It was laid on 2025-03-04.", false));
        assert!(!is_reference("The keel came first, 2025 or so.", false));
    }

    #[test]
    fn passages_are_called_articles() {
        for (said, shown) in [
            ("The passages also recommend oak.", "The articles also recommend oak."),
            ("The passages.", "The articles."),
            ("Passage 3 suggests using oak.", "The article suggests using oak."),
            ("Passages 1, 2 and 13 name oak.", "The articles name oak."),
            ("Passage 1 and Passage 3 both name oak.", "The articles both name oak."),
            ("It is oak, as the passage states that.", "It is oak, as the article states that."),
            ("It is oak (passage 2).", "It is oak (the article)."),
            ("This passage has 3 trees and 4 boats.", "This article has 3 trees and 4 boats."),
            ("Oak floats.", "Oak floats."),
            ("", ""),
        ] {
            assert_eq!(of_articles(said), shown);
        }
    }

    #[test]
    fn a_clause_that_says_the_same_again_goes() {
        let said = "The boat is slow because the crew of the club rows only on Sundays, which makes \
                    it clear that the crew of the club rows only on Sundays.";
        assert_eq!(
            tidy(said),
            "The boat is slow because the crew of the club rows only on Sundays."
        );
        let told = "The crew of the club rows on Sundays, and the crew of the pilot rows daily.";
        assert_eq!(tidy(told), told);
        assert_eq!(
            tidy("one two three four five six one two three four five six"),
            "One two \
            three four five six one two three four five six"
        );
    }

    #[test]
    fn what_breaks_off_is_a_fragment() {
        for said in ["Which is.", "The parts are and.", "It is made of,", "Goals:"] {
            assert!(is_fragment(said), "{said}");
        }
        for said in [
            "It is what it stands for.",
            "The goals were:",
            "Sand it",
            "The gauge tells you how wet the moor is.",
            "Larch is what the strakes are made of.",
        ] {
            assert!(!is_fragment(said), "{said}");
        }
    }

    #[test]
    fn what_leans_on_a_dropped_sentence_goes_with_it() {
        assert!(leans("These include checks.") && leans("It's slow.") && leans("They float."));
        assert!(!leans("Item one floats.") && !leans("Theseus sailed."));
    }
}
