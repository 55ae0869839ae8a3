//! A value of an answer's JSON against the passages: a few words, a figure or a date, without a
//! sentence around it. Pure.

use std::collections::HashSet;

use jiff::civil::Date;

use super::claim::{Figure, figures, is_negation, ordinals, terms, words};
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
    /// other words. A figure alone must stand where something of the subject does. It is supported or
    /// not: there is no sentence that the LLM could be asked about.
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
        for (figure, shown) in &claim.figures {
            if !self.has_figure(figure, &of_article, &self.sentences) {
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
            all.all(|(figure, _)| self.has_figure(figure, &of_article, window))
                && claim.names.iter().all(has_name)
        };
        let is_bare = content.terms.is_empty();
        let terms = if is_bare { &subject.0 } else { &content.terms };
        let Some((coverage, window)) = self.best(terms, is_meant) else {
            return Finding::Fails(0.0, Missing::Words);
        };
        let least = if is_bare { f32::MIN_POSITIVE } else { threshold.midpoint(1.0) };
        // Without a subject there is nothing to be near to.
        let is_enough = coverage >= least || is_bare && subject.0.is_empty();
        if !is_enough {
            let missing = if is_bare { Missing::Subject } else { Missing::Words };
            return Finding::Fails(coverage, missing);
        }
        if claim.negates && !self.denies && !window.iter().any(PreparedSentence::negates) {
            return Finding::Fails(coverage, Missing::Negation);
        }
        let each: Vec<&PreparedSentence<'_>> = window.iter().collect();
        let doubt = alone::doubt(&content.text, claim, self, &each, coverage.max(0.75), proper);
        match doubt {
            _ if is_bare => Finding::Holds(self.evidence(window, 1.0)),
            None => Finding::Holds(self.evidence(window, coverage)),
            Some(alone::Doubt::Fails(missing)) => Finding::Fails(coverage, missing),
            Some(alone::Doubt::Unsure) => Finding::Fails(coverage, Missing::Words),
        }
    }

    /// Whether sentences have a figure, or the article's title, headings or date do.
    fn has_figure(
        &self,
        figure: &Figure,
        of_article: &HashSet<Figure>,
        window: &[PreparedSentence<'_>],
    ) -> bool {
        let mut have = of_article.clone();
        for sentence in window {
            have.extend(figures(sentence.text).into_iter().map(|(figure, _)| figure));
            have.extend(ordinals(sentence.text));
        }
        let is_one = || figures("1").iter().any(|(one, _)| one == figure);
        let says_one = |sentence: &PreparedSentence<'_>| {
            words(sentence.text).any(|word| word.eq_ignore_ascii_case("one"))
        };
        figure.stands_in(&have) || is_one() && window.iter().any(says_one)
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
