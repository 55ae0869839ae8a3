//! A value of an answer's JSON against the passages: a few words, a figure or a date, without a
//! sentence around it. Pure.

use std::collections::HashSet;

use jiff::civil::Date;

use super::claim::{Figure, figures, is_negation, negated_terms, ordinals, terms, words};
use super::{
    Checker, Claim, Evidence, Finding, Missing, Prepared, PreparedSentence, Support, alone, cited,
    name_keys,
};

/// What values are about: the words of a question and of the names of members.
pub struct Subject(HashSet<u32>);

impl Subject {
    /// The subject of a question, and of the member that a value stands in.
    pub fn new(question: &str, names: &[&str]) -> Subject {
        let mut found = terms(question);
        for name in names {
            found.extend(terms(&as_words(name)));
        }
        Subject(found)
    }
}

/// A member's name as words: `dryingTime` and `drying_time` are `drying time`.
fn as_words(name: &str) -> String {
    let mut text = String::new();
    let mut before = ' ';
    for character in name.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            text.push(' ');
        }
        text.push(if matches!(character, '_' | '-' | '.') { ' ' } else { character });
        before = character;
    }
    text.to_lowercase()
}

/// A value's content.
struct Content {
    /// As it is compared: a date with its month in words.
    text: String,
    claim: Claim,
    /// Its content words, figures left aside.
    terms: HashSet<u32>,
    date: Option<Date>,
}

impl Content {
    fn new(value: &str) -> Content {
        let date = date(value);
        let text = date
            .map_or_else(|| value.trim().to_owned(), |date| date.strftime("%-d %B %Y").to_string());
        let is_word = |word: &String| figures(word).is_empty() && word != "one";
        let terms = terms(&words(&text).filter(is_word).collect::<Vec<_>>().join(" "));
        Content { claim: Claim::new(&text), text, terms, date }
    }

    fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.claim.figures.is_empty()
    }
}

/// The day that a value gives as `2025-03-01`, with a time or without.
fn date(value: &str) -> Option<Date> {
    let value = value.trim();
    let day = value.get(..10)?;
    let is_alone = value.len() == 10 || value[10..].starts_with(['T', 't', ' ']);
    day.parse().ok().filter(|_| is_alone && day.bytes().filter(|byte| *byte == b'-').count() == 2)
}

impl Checker<'_> {
    /// Which passages have a value, each in one place: all its figures and names, and nearly all its
    /// other words. A figure alone must stand where something of the subject does. A value is
    /// supported or not: there is no sentence that the LLM could be asked about.
    pub fn check_value(&self, value: &str, subject: &Subject) -> Support {
        let content = Content::new(value);
        let nothing = HashSet::new();
        let proper = self.alone.as_ref().unwrap_or(&nothing);
        let mut found = Vec::new();
        let mut nearest = None;
        for passage in &self.passages {
            match passage.has_value(&content, subject, self.options.coverage, proper) {
                Finding::Holds(evidence) | Finding::Unsure(evidence) => found.push(evidence),
                Finding::Fails(coverage, missing) => {
                    if nearest.as_ref().is_none_or(|(best, _)| coverage > *best) {
                        nearest = Some((coverage, missing));
                    }
                }
            }
        }
        if !found.is_empty() {
            return Support::Supported { evidence: cited(found, &Default::default()) };
        }
        Support::Unsupported { missing: nearest.map_or(Missing::Words, |(_, missing)| missing) }
    }
}

impl Prepared<'_> {
    fn has_value(
        &self,
        content: &Content,
        subject: &Subject,
        threshold: f32,
        proper: &HashSet<String>,
    ) -> Finding {
        let published = self.published.map(|at| at.strftime("%Y-%m-%d").to_string());
        if content.date.is_some_and(|date| published == Some(date.to_string())) {
            return self.sentences.first().map_or(Finding::Fails(0.0, Missing::Words), |first| {
                Finding::Holds(self.evidence(std::slice::from_ref(first), 1.0))
            });
        }
        if content.is_empty() {
            return self.verbatim(&content.text);
        }
        let claim = &content.claim;
        let about = name_keys(&self.about);
        let of_article: HashSet<Figure> =
            figures(&self.about).into_iter().map(|(figure, _)| figure).collect();
        let is_bare = content.terms.is_empty();
        let has_figure = |figure: &Figure, window: &[PreparedSentence<'_>]| {
            // A lone "one" seldom counts.
            figure.stands_in(&of_article)
                || figure.stands_in(&counted(window))
                || !is_bare && is_one(figure) && window.iter().any(PreparedSentence::says_one)
        };
        for (figure, shown) in &claim.figures {
            if !has_figure(figure, &self.sentences) {
                return Finding::Fails(0.0, Missing::Figure(shown.clone()));
            }
        }
        if let Some(name) = claim.names.iter().find(|name| !self.names.contains(*name)) {
            return Finding::Fails(0.0, Missing::Name(name.clone()));
        }
        let is_meant = |window: &[PreparedSentence<'_>]| {
            let keys: HashSet<String> =
                window.iter().flat_map(|sentence| name_keys(sentence.text)).collect();
            let has_name = |name: &String| keys.contains(name) || about.contains(name);
            let mut all = claim.figures.iter();
            all.all(|(figure, _)| has_figure(figure, window))
                && claim.names.iter().all(has_name)
                && (claim.negates || !denies(window, &content.terms))
        };
        let terms = if is_bare { &subject.0 } else { &content.terms };
        // The sentence that has a figure, rather than those beside it that have more of the subject.
        let single = self.best(terms, |window| window.len() == 1 && is_meant(window));
        let single = single.filter(|(coverage, _)| is_bare && *coverage > 0.0);
        let Some((coverage, window)) = single.or_else(|| self.best(terms, is_meant)) else {
            return Finding::Fails(0.0, Missing::Words);
        };
        let least = if is_bare { f32::MIN_POSITIVE } else { threshold.midpoint(1.0) };
        // Without a subject there is nothing to be near to.
        let is_enough = coverage >= least || is_bare && subject.0.is_empty();
        if !is_enough {
            let missing = if is_bare { Missing::Subject } else { Missing::Words };
            return Finding::Fails(coverage, missing);
        }
        if is_bare {
            return Finding::Holds(self.evidence(window, 1.0));
        }
        if claim.negates && !self.denies && !window.iter().any(|part| part.denies(claim)) {
            return Finding::Fails(coverage, Missing::Negation);
        }
        let each: Vec<&PreparedSentence<'_>> = window.iter().collect();
        let doubt = alone::doubt(&content.text, claim, self, &each, coverage.max(0.75), proper);
        match doubt {
            None => Finding::Holds(self.evidence(window, coverage)),
            Some(alone::Doubt::Fails(missing)) => Finding::Fails(coverage, missing),
            Some(alone::Doubt::Unsure) => Finding::Fails(coverage, Missing::Words),
        }
    }

    /// Where a text without content words stands word for word.
    fn verbatim(&self, text: &str) -> Finding {
        let plain = |text: &str| {
            let words: Vec<String> = words(text).map(|word| word.to_lowercase()).collect();
            format!(" {} ", words.join(" "))
        };
        let wanted = plain(text);
        if wanted.trim().is_empty() || words(text).any(|word| is_negation(&word)) {
            return Finding::Fails(0.0, Missing::Content);
        }
        let found = self.sentences.iter().find(|sentence| plain(sentence.text).contains(&wanted));
        found.map_or(Finding::Fails(0.0, Missing::Words), |sentence| {
            Finding::Holds(self.evidence(std::slice::from_ref(sentence), 1.0))
        })
    }

    fn evidence(&self, window: &[PreparedSentence<'_>], coverage: f32) -> Evidence {
        let start = window.first().map_or(0, |sentence| sentence.range.start);
        let end = window.last().map_or(0, |sentence| sentence.range.end);
        Evidence { n: self.n, range: self.offset + start..self.offset + end, coverage }
    }
}

impl PreparedSentence<'_> {
    fn says_one(&self) -> bool {
        words(self.text).any(|word| word.eq_ignore_ascii_case("one"))
    }
}

fn is_one(figure: &Figure) -> bool {
    figures("1").iter().any(|(one, _)| one == figure)
}

/// The figures in some sentences.
fn counted(window: &[PreparedSentence<'_>]) -> HashSet<Figure> {
    let each = window.iter().flat_map(|sentence| {
        let written = figures(sentence.text).into_iter().map(|(figure, _)| figure);
        written.chain(ordinals(sentence.text))
    });
    each.collect()
}

/// Whether all of some words are denied in some sentences.
fn denies(window: &[PreparedSentence<'_>], terms: &HashSet<u32>) -> bool {
    let is_denied =
        |sentence: &PreparedSentence<'_>| terms.is_subset(&negated_terms(sentence.text));
    !terms.is_empty() && window.iter().any(is_denied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::cite::SupportOptions;
    use crate::retrieve::{Passage, samples};

    const TEXT: &str = "The glue needs ten hours on oak at eighteen degrees. She has one mast. \
        Ida Holm drew the boat in 1987, and it was launched on 3 June 1991. It cost $2,600. \
        The keel is not of pine. About 1.5 million nails were made of copper, not of iron. \
        The rig was moved forward. Since then it is never painted.";

    fn supported(value: &str, asked: &str) -> Option<String> {
        let passage = Passage { range: 5..5 + TEXT.len(), ..samples::passage(3, TEXT) };
        let passages = [passage];
        let checker = Checker::alone(&passages, SupportOptions::default());
        match checker.check_value(value, &Subject::new(asked, &["launchDay"])) {
            Support::Supported { evidence } => {
                let place = &evidence[0];
                assert_eq!(place.n, 3);
                Some(TEXT[place.range.start - 5..place.range.end - 5].trim().to_owned())
            }
            _ => None,
        }
    }

    #[test]
    fn values_stand_in_one_place_in_another_form_too() {
        let at =
            |value: &str| supported(value, "How long does the glue of the boat need?").unwrap();
        assert_eq!(at("Ten hours"), "The glue needs ten hours on oak at eighteen degrees.");
        assert_eq!(at("10 hours"), at("ten hours"));
        assert_eq!(at("10"), at("ten hours"));
        assert!(at("2600").ends_with("It cost $2,600."));
        assert_eq!(at("1500000 nails"), at("1.5 million nails"));
        assert!(at("1991-06-03").contains("launched on 3 June 1991"));
        assert_eq!(at("1991-06-03T00:00:00Z"), at("3 June 1991"));
        assert_eq!(at("IDA HOLM"), at("Ida Holm"));
        assert_eq!(at("one mast"), "She has one mast.");
        assert_eq!(at("never painted"), "Since then it is never painted.");
        assert_eq!(at("she"), "She has one mast.");
        // The article's own day.
        let mut passage = samples::passage(1, TEXT);
        passage.article.published = "2025-03-04T05:06:07Z".parse().ok();
        let passages = [passage];
        let checker = Checker::alone(&passages, SupportOptions::default());
        let day = |value: &str| checker.check_value(value, &Subject::new("when?", &[]));
        assert!(matches!(day("2025-03-04"), Support::Supported { .. }));
        assert!(matches!(day("2025-03-05"), Support::Unsupported { .. }));
    }

    #[test]
    fn what_no_place_says_is_no_value() {
        let asked = "How long does the glue of the boat need?";
        for invented in [
            "eleven hours",
            "11",
            "10 days",
            "1991-06-04",
            "1987 nails",
            "Olof Holm",
            "Ida Berg",
            "pine",
            "iron",
            "mahogany",
            "never moved",
            "$10",
            "none",
            "?",
            "",
        ] {
            assert_eq!(supported(invented, asked), None, "{invented}");
        }
        // A figure where nothing asked for is spoken of.
        assert_eq!(supported("1500000", "How long does the glue need?"), None);
        assert!(supported("1500000", "How many nails are there?").is_some());
    }
}
