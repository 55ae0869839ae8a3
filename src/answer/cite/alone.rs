//! What speaks against a sentence that was not written to answer a question, though its words stand
//! together in a passage: another figure, a name from elsewhere, what is denied there, an opposite.
//! Pure.

use std::collections::HashSet;

use super::claim::{Figure, figures, name_key, negated_terms, ordinals, terms, words};
use super::{Claim, Missing, Prepared, PreparedSentence};

/// Words of which one is said where the other is denied.
const OPPOSITES: [(&str, &str); 34] = [
    ("earlier", "later"),
    ("more", "less"),
    ("before", "after"),
    ("larger", "smaller"),
    ("bigger", "smaller"),
    ("wider", "smaller"),
    ("wider", "narrower"),
    ("longer", "shorter"),
    ("higher", "lower"),
    ("stronger", "weaker"),
    ("faster", "slower"),
    ("harder", "easier"),
    ("heavier", "lighter"),
    ("warmer", "colder"),
    ("older", "newer"),
    ("better", "worse"),
    ("best", "worst"),
    ("most", "least"),
    ("most", "few"),
    ("always", "sometimes"),
    ("increase", "decrease"),
    ("increases", "decreases"),
    ("rises", "falls"),
    ("fore", "after"),
    ("forward", "after"),
    ("port", "starboard"),
    ("left", "right"),
    ("inside", "outside"),
    ("first", "last"),
    ("above", "below"),
    ("minimum", "maximum"),
    ("enabled", "disabled"),
    ("possible", "impossible"),
    ("mutable", "immutable"),
];

/// Why a place that has a sentence's words does not tell.
pub(super) enum Doubt {
    /// It tells something else.
    Fails(Missing),
    /// It may be.
    Unsure,
}

/// Content words of a sentence up to which nearly all must stand in a place.
const FEW: usize = 3;

/// The share of so few that must.
const MOST: f32 = 0.75;

/// What speaks against a sentence in the place that has its words; `proper` are the names in all
/// passages.
pub(super) fn doubt(
    text: &str,
    claim: &Claim,
    passage: &Prepared<'_>,
    window: &[&PreparedSentence<'_>],
    coverage: f32,
    proper: &HashSet<String>,
) -> Option<Doubt> {
    let said: String = window.iter().map(|sentence| sentence.text).collect();
    if plain(&said).contains(plain(text).trim_end_matches('.')) {
        return None;
    }
    let all = format!("{} {said}", passage.about);
    let own = counted(text);
    let there = counted(&said);
    for (figure, unit) in &own {
        let mut of_unit = there.iter().filter(|(_, other)| other == unit).peekable();
        if of_unit.peek().is_some() && of_unit.all(|(other, _)| other != figure) {
            // "I had reckoned 140 kilos. It was 163."
            let is_bare = figures(&said).iter().any(|(other, _)| other == figure)
                && !there.iter().any(|(other, _)| other == figure);
            if is_bare {
                return Some(Doubt::Unsure);
            }
            let shown = claim.figures.iter().find(|(other, _)| other == figure);
            let shown = shown.map_or_else(String::new, |(_, shown)| shown.clone());
            return Some(Doubt::Fails(Missing::Figure(shown)));
        }
    }
    let mut have: HashSet<Figure> = figures(&all).into_iter().map(|(figure, _)| figure).collect();
    have.extend(ordinals(&all));
    let keys: HashSet<String> = words(&all).map(|word| name_key(&word)).collect();
    let first = words(text).next().filter(|word| word.starts_with(char::is_uppercase));
    let first = first.filter(|word| !terms(word).is_empty()).map(|word| name_key(&word));
    let is_unsure = claim.figures.iter().any(|(figure, _)| !figure.stands_in(&have))
        || claim.names.iter().any(|name| !keys.contains(name))
        || first.is_some_and(|name| proper.contains(&name) && !keys.contains(&name))
        || (claim.terms.len() <= FEW && coverage < MOST)
        || (!claim.negates
            && window
                .iter()
                .any(|sentence| !negated_terms(sentence.text).is_disjoint(&claim.terms)))
        || is_opposite(text, &said);
    is_unsure.then_some(Doubt::Unsure)
}

/// A text as it is compared word for word.
fn plain(text: &str) -> String {
    crate::base::text::collapse(&text.to_lowercase())
}

/// Whether one text has a word, and the other its opposite instead.
fn is_opposite(text: &str, other: &str) -> bool {
    let set = |text: &str| words(text).map(|word| word.to_lowercase()).collect::<HashSet<_>>();
    let (text, other) = (set(text), set(other));
    let turns = |a: &str, b: &str| {
        text.contains(a) && !text.contains(b) && other.contains(b) && !other.contains(a)
    };
    OPPOSITES.iter().any(|(a, b)| turns(a, b) || turns(b, a))
}

/// The figures of a text with the content word right behind each: what it counts.
fn counted(text: &str) -> Vec<(Figure, u32)> {
    let words: Vec<String> = words(text).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let start = at;
        while words.get(at).is_some_and(|word| !figures(word).is_empty()) {
            at += 1;
        }
        let Some(unit) = words.get(at) else { break };
        if start < at {
            let number = figures(&words[start..at].join(" "));
            let units = terms(unit);
            if let ([(figure, _)], Some(unit)) = (number.as_slice(), units.iter().next()) {
                found.push((figure.clone(), *unit));
            }
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_with_what_they_count() {
        let unit = |word: &str| *terms(word).iter().next().unwrap();
        let told: Vec<u32> =
            counted("Six people, 2,600 nails of 14, and twenty-five minutes; in 1987.")
                .into_iter()
                .map(|(_, unit)| unit)
                .collect();
        assert_eq!(told, [unit("people"), unit("nails"), unit("minutes")]);
    }

    #[test]
    fn opposites() {
        assert!(is_opposite("It is wider than the nail.", "It is smaller than its side."));
        assert!(!is_opposite("It is wider.", "It is wider, not smaller."));
        assert!(!is_opposite("It is oak.", "It is larch."));
    }
}
