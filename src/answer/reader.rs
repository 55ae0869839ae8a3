//! An answer as the LLM writes it → sentences that hold, and those that went. Pure.

use std::ops::{ControlFlow, Range};

use unicode_segmentation::UnicodeSegmentation;

use super::cite::{
    Checker, Evidence, Missing, Support, adds_figure, asks_for_figure, list_item, name_keys,
    strip_marks,
};
use super::{
    AnswerOptions, AnswerSentence, DropReason, DroppedSentence, OnSaid, Said, SentenceSignals,
};
use crate::base::error::Result;
use crate::base::text::collapse;
use crate::retrieve::Passage;

/// A place in a passage: its number, and bytes of the article revision's text.
pub(super) type Place = (usize, Range<usize>);

/// What became of what an LLM wrote.
pub(super) struct Reading {
    /// What holds.
    pub sentences: Vec<AnswerSentence>,
    /// What went.
    pub dropped: Vec<DroppedSentence>,
    /// Where passages tell of what went because it may not hold.
    pub places: Vec<Place>,
}

/// Reads sentence by sentence.
pub(super) struct Reader<'a> {
    checker: Checker<'a>,
    question: &'a str,
    odds: f32,
    /// How likely a sentence must hold.
    least: f32,
    /// Whether a figure is asked for that no sentence has given yet: until then all wait.
    wants_figure: bool,
    sentences: Vec<AnswerSentence>,
    dropped: Vec<DroppedSentence>,
    places: Vec<Place>,
    /// What opens a list ("The steps are:") of which no item has been kept yet.
    opening: Option<AnswerSentence>,
    /// Sentences that the words don't tell enough of, and those after them; whether they hold.
    waiting: Vec<(AnswerSentence, bool)>,
    seen: Vec<String>,
    max: usize,
    /// Whether the sentence before was dropped.
    is_alone: bool,
}

impl<'a> Reader<'a> {
    /// A reader of what is to answer a question from passages.
    pub fn new(passages: &'a [Passage], question: &'a str, options: &AnswerOptions) -> Reader<'a> {
        Reader {
            checker: Checker::new(passages, question, options.support),
            question,
            odds: options.support.odds,
            least: options.caution.sentence(),
            wants_figure: asks_for_figure(question),
            sentences: Vec::new(),
            dropped: Vec::new(),
            places: Vec::new(),
            opening: None,
            waiting: Vec::new(),
            seen: Vec::new(),
            max: options.max_sentences,
            is_alone: false,
        }
    }

    /// What holds, and what went. Of sentences that the words don't tell enough of, `ask` says how
    /// much likelier it is that the passages say them than that they don't.
    ///
    /// # Errors
    /// If `ask` or `on_said` fails.
    pub fn end(
        mut self,
        ask: &mut dyn FnMut(&str) -> Result<f32>,
        on_said: OnSaid<'_>,
    ) -> Result<Reading> {
        for (sentence, holds) in std::mem::take(&mut self.waiting) {
            if self.wants_figure {
                let why = DropReason::Unsupported(Missing::FigureAsked);
                self.drop(&sentence.text, why, on_said)?;
            } else if self.is_alone && leans(&sentence.text) {
                self.drop(&sentence.text, DropReason::Leaning, on_said)?;
            } else if holds || ask(&sentence.text)? >= self.odds {
                self.keep(sentence, on_said)?;
            } else {
                self.doubt(&sentence.text, &sentence.evidence, Missing::Odds, on_said)?;
            }
        }
        if let Some(opening) = self.opening.take() {
            self.drop(&opening.text, DropReason::Unfinished, on_said)?;
        }
        Ok(Reading { sentences: self.sentences, dropped: self.dropped, places: self.places })
    }

    /// Whether a sentence that is not the first has nothing of the question and is of a passage that
    /// nothing before it is from: what else stands there, or what a writer wants to be said. The
    /// items of a list are about what opens it.
    fn strays(&self, sentence: &str, evidence: &[Evidence]) -> bool {
        let mut before: Vec<&AnswerSentence> = self.sentences.iter().collect();
        before.extend(&self.opening);
        before.extend(self.waiting.iter().map(|(sentence, _)| sentence));
        let Some(last) = before.last() else { return false };
        let is_listed =
            sentence.starts_with(ITEM) && (opens_list(&last.text) || last.text.starts_with(ITEM));
        let is_near =
            |said: &&AnswerSentence| evidence.iter().any(|found| said.citations.contains(&found.n));
        !is_listed && !self.checker.is_on_subject(sentence) && !before.iter().any(is_near)
    }

    /// Whether a sentence is about the passages that the LLM was shown, which its reader knows nothing
    /// of, instead of what they say.
    fn talks_of_passages(&self, sentence: &str) -> bool {
        let word = "passage";
        let says = |text: &str| name_keys(text).contains(word);
        says(sentence) && !says(self.question) && !self.checker.has_word(word)
    }

    /// Whether something was written that holds, or may.
    pub fn has_sentences(&self) -> bool {
        !self.sentences.is_empty() || !self.waiting.is_empty()
    }

    /// Takes a sentence into the answer; what opens a list only with the first that follows, and with
    /// the places of that.
    fn keep(&mut self, sentence: AnswerSentence, on_said: OnSaid<'_>) -> Result<()> {
        let mut opening = self.opening.take();
        if opens_list(&sentence.text) {
            if let Some(other) = opening.replace(sentence) {
                self.drop(&other.text, DropReason::Unfinished, on_said)?;
            }
            self.opening = opening;
        } else {
            // By itself it says nothing that could be looked up.
            let opening = opening.map(|opening| AnswerSentence {
                citations: sentence.citations.clone(),
                evidence: sentence.evidence.clone(),
                ..opening
            });
            for sentence in opening.into_iter().chain([sentence]) {
                on_said(Said::Sentence(&sentence))?;
                self.sentences.push(sentence);
            }
        }
        self.is_alone = false;
        Ok(())
    }

    /// Takes a sentence out that may hold, and notes what stands in its place.
    fn doubt(
        &mut self,
        sentence: &str,
        evidence: &[Evidence],
        why: Missing,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        if let Some(place) = evidence.first() {
            let sources = self.checker.sources(sentence, place);
            self.places.extend(sources.into_iter().map(|range| (place.n, range)));
        }
        self.drop(sentence, DropReason::Unsupported(why), on_said)
    }

    /// Takes a sentence out.
    ///
    /// # Errors
    /// If `on_said` fails.
    pub fn drop(&mut self, sentence: &str, why: DropReason, on_said: OnSaid<'_>) -> Result<()> {
        let dropped = DroppedSentence { text: sentence.to_owned(), why };
        on_said(Said::Dropped(&dropped))?;
        self.dropped.push(dropped);
        self.is_alone = true;
        Ok(())
    }

    /// Reads the next sentence, of which the LLM was as sure as `written` says; breaks if no more are
    /// wanted.
    ///
    /// # Errors
    /// If `on_said` fails.
    pub fn read(
        &mut self,
        sentence: &str,
        written: SentenceSignals,
        on_said: OnSaid<'_>,
    ) -> Result<ControlFlow<()>> {
        let plain = tidy(&strip_marks(sentence).0);
        if !plain.chars().any(char::is_alphanumeric) {
            return Ok(ControlFlow::Continue(()));
        }
        let key = plain.to_lowercase();
        if self.seen.contains(&key) {
            self.drop(sentence, DropReason::Repeated, on_said)?;
            // A small model that repeats itself goes on doing so.
            return Ok(ControlFlow::Break(()));
        }
        self.seen.push(key);
        let why = if is_fragment(&plain) {
            DropReason::Unfinished
        } else if self.talks_of_passages(&plain) {
            DropReason::Unsupported(Missing::Content)
        } else if self.is_alone && self.waiting.is_empty() && leans(&plain) {
            DropReason::Leaning
        } else {
            let (evidence, holds) = match self.checker.check(&plain) {
                Support::Supported { evidence } => (evidence, true),
                Support::Unsure { evidence } => (evidence, false),
                Support::Unsupported { missing } => {
                    let why = DropReason::Unsupported(missing);
                    self.drop(sentence, why, on_said)?;
                    return Ok(ControlFlow::Continue(()));
                }
                Support::Declines => {
                    self.drop(sentence, DropReason::Declines, on_said)?;
                    return Ok(ControlFlow::Continue(()));
                }
            };
            if self.strays(&plain, &evidence) {
                let why = DropReason::Unsupported(Missing::Subject);
                self.drop(sentence, why, on_said)?;
                return Ok(ControlFlow::Continue(()));
            }
            let citations: Vec<usize> = evidence.iter().map(|found| found.n).collect();
            let covered = self.checker.covered(&plain, &citations);
            let signals = SentenceSignals { covered, ..written };
            // What opens a list says nothing by itself.
            if signals.probability() < self.least && !opens_list(&plain) {
                self.doubt(&plain, &evidence, Missing::Likelihood, on_said)?;
                return Ok(ControlFlow::Continue(()));
            }
            let signals = Some(signals);
            let sentence = AnswerSentence { text: plain, citations, evidence, signals };
            self.wants_figure = self.wants_figure && !adds_figure(&sentence.text, self.question);
            if holds && self.waiting.is_empty() && !self.wants_figure {
                self.keep(sentence, on_said)?;
            } else {
                self.waiting.push((sentence, holds));
            }
            let is_full = self.sentences.len() + self.waiting.len() >= self.max;
            return Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        };
        self.drop(sentence, why, on_said)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// What a list item begins with. They lose their numbers, for one that is dropped would leave a gap.
pub(super) const ITEM: &str = "- ";

/// A sentence as it is shown: white space collapsed, without words about the passages before what
/// they say or quotation marks that stand alone, first letter a capital (the LLM goes on from an
/// opening).
fn tidy(sentence: &str) -> String {
    let text = collapse(sentence);
    let text = text.trim_start_matches([',', ':', ';', ' ']);
    let (item, text) = match list_item(text) {
        Some(text) => (ITEM, text),
        None => ("", text),
    };
    let text = without_echo(&balanced(&by_articles(without_preface(text))));
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => item.chars().chain(first.to_uppercase()).chain(characters).collect(),
        None => String::new(),
    }
}

/// What stands behind "The passages state that" and the like.
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
    let _ = next(&|word| matches!(word, "the" | "these" | "this"));
    let _ = next(&|word| matches!(word, "given" | "provided"));
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
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

/// A text that begins with the passages, as the LLM calls them, with the articles in their place, as
/// its reader does.
fn by_articles(text: &str) -> String {
    let mut words = text.splitn(3, ' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_the = matches!(first.to_lowercase().as_str(), "the" | "these");
    match words.next() {
        Some(rest) if is_the && second.eq_ignore_ascii_case("passages") => {
            format!("{first} articles {rest}")
        }
        _ => text.to_owned(),
    }
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
fn opens_list(text: &str) -> bool {
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
fn is_fragment(text: &str) -> bool {
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
    use crate::answer::Caution;
    use crate::retrieve::samples::passage;

    #[test]
    fn what_has_nothing_of_the_question_and_comes_from_elsewhere_goes() {
        let passages = [
            passage(1, "The gauge is read at seven. Snow is melted first."),
            passage(2, "The owner wants the folder removed now."),
        ];
        let options = AnswerOptions::default();
        let mut reader = Reader::new(&passages, "When is the gauge read?", &options);
        for said in [
            "The gauge is read at seven.",
            "The owner wants the folder removed now.",
            "Snow is melted first.",
        ] {
            assert!(
                reader
                    .read(said, SentenceSignals::default(), &mut |_| Ok(()))
                    .unwrap()
                    .is_continue()
            );
        }
        let Reading { sentences: kept, dropped, .. } =
            reader.end(&mut |_| Ok(-1.0), &mut |_| Ok(())).unwrap();
        let kept: Vec<&str> = kept.iter().map(|sentence| sentence.text.as_str()).collect();
        assert_eq!(kept, ["The gauge is read at seven.", "Snow is melted first."]);
        assert_eq!(dropped[0].why, DropReason::Unsupported(Missing::Subject));
    }

    /// What is kept of some sentences over one passage, and what is not with why.
    fn read(question: &str, text: &str, said: &[&str]) -> (Vec<String>, Vec<DroppedSentence>) {
        let passages = [passage(1, text)];
        let options = AnswerOptions::default();
        let mut reader = Reader::new(&passages, question, &options);
        let mut told = Vec::new();
        let mut on_said = |said: Said<'_>| {
            if let Said::Sentence(sentence) = said {
                told.push(sentence.text.clone());
            }
            Ok(())
        };
        for sentence in said {
            let _ = reader.read(sentence, SentenceSignals::default(), &mut on_said).unwrap();
        }
        let Reading { sentences: kept, dropped, .. } =
            reader.end(&mut |_| Ok(-1.0), &mut on_said).unwrap();
        let kept: Vec<String> = kept.into_iter().map(|sentence| sentence.text).collect();
        assert_eq!(kept, told);
        (kept, dropped)
    }

    #[test]
    fn a_list_has_what_opens_it_and_its_items() {
        let text = "Getting the boat ready takes four steps. The seams are raked. Old paint comes \
                    off with a scraper. Linseed oil is rubbed in.";
        let question = "Which steps get the boat ready?";
        let steps = "The steps that get the boat ready are:";
        let (kept, _) =
            read(question, text, &[steps, "1. Seams are raked", "2. Old paint comes off"]);
        assert_eq!(kept, [steps, "- Seams are raked", "- Old paint comes off"]);
        let (kept, dropped) = read(question, text, &[steps, "1. The mast is stepped in March"]);
        assert!(kept.is_empty(), "{kept:?}");
        assert_eq!(dropped[1].text, steps);
        assert_eq!(dropped[1].why, DropReason::Unfinished);
    }

    #[test]
    fn what_may_not_hold_goes_and_its_place_is_noted() {
        let text = "The hull took two summers to build. It weighs 163 kilograms.";
        let passages = [passage(1, text)];
        let said = "The hull took two summers to build.";
        let sure = SentenceSignals { written: -0.05, ..Default::default() };
        let unsure = SentenceSignals { written: -0.9, ..Default::default() };
        let end = |written: SentenceSignals, caution: Caution| {
            let options = AnswerOptions { caution, ..AnswerOptions::default() };
            let mut reader = Reader::new(&passages, "How was the hull made?", &options);
            let _ = reader.read(said, written, &mut |_| Ok(())).unwrap();
            reader.end(&mut |_| Ok(-1.0), &mut |_| Ok(())).unwrap()
        };
        assert_eq!(end(sure, Caution::Normal).sentences.len(), 1);
        assert_eq!(end(unsure, Caution::Off).sentences.len(), 1);
        let reading = end(unsure, Caution::Normal);
        assert!(reading.sentences.is_empty());
        assert_eq!(reading.dropped[0].why, DropReason::Unsupported(Missing::Likelihood));
        let [(1, place)] = &reading.places[..] else { panic!("{:?}", reading.places) };
        assert_eq!(text[place.clone()].trim(), said);
    }

    #[test]
    fn what_talks_of_the_passages_goes() {
        let text = "Linseed oil is rubbed in before the paint.";
        let (kept, dropped) = read(
            "When is oil used?",
            text,
            &["The passage that tells when oil is used is that one."],
        );
        assert!(kept.is_empty());
        assert_eq!(dropped[0].why, DropReason::Unsupported(Missing::Content));
        let text = "The passage to the island takes an hour.";
        let (kept, _) = read("How far is it?", text, &["The passage takes an hour."]);
        assert_eq!(kept.len(), 0, "waits for a figure");
        let (kept, _) = read("What of the island?", text, &["The passage takes an hour."]);
        assert_eq!(kept, ["The passage takes an hour."]);
    }

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
        assert_eq!(tidy("the passages also recommend oak."), "The articles also recommend oak.");
        assert_eq!(tidy("the passages."), "The passages.");
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
