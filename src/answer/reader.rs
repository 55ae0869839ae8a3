//! An answer as the LLM writes it → sentences that hold, and those that went. Pure.

use std::ops::{ControlFlow, Range};

use super::cite::{
    Checker, Evidence, Missing, Support, adds_figure, asks_for_figure, name_keys, strip_marks,
};
use super::tidy::{ITEM, is_fragment, is_reference, leans, of_articles, opens_list, tidy};
use super::{
    AnswerOptions, AnswerSentence, DropReason, DroppedSentence, OnSaid, Said, SentenceSignals,
};
use crate::base::error::Result;
use crate::retrieve::Passage;

/// A place in a passage: its number, and bytes of the article revision's text.
pub(super) type Place = (usize, Range<usize>);

/// What became of what an LLM wrote.
pub(super) struct Reading {
    /// What holds.
    pub sentences: Vec<AnswerSentence>,
    /// What went.
    pub dropped: Vec<DroppedSentence>,
    /// Where passages say what holds, if anything does, else where they come nearest to what went.
    pub places: Vec<Place>,
}

/// Reads sentence by sentence.
pub(super) struct Reader<'a> {
    checker: Checker<'a>,
    question: &'a str,
    cosine: f32,
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
    /// A reader of what is to answer a question from passages; `cosine` is the nearest chunk's.
    pub fn new(
        passages: &'a [Passage],
        question: &'a str,
        cosine: f32,
        options: &AnswerOptions,
    ) -> Reader<'a> {
        Reader {
            checker: Checker::new(passages, question, options.support),
            question,
            cosine,
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
        if !self.sentences.is_empty() {
            let of = |said: &AnswerSentence| {
                said.evidence.first().map_or(vec![], |place| self.places_of(&said.text, place))
            };
            self.places = self.sentences.iter().flat_map(of).collect();
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

    /// Takes a sentence out, and notes what stands in the places that come nearest to it.
    fn doubt(
        &mut self,
        sentence: &str,
        evidence: &[Evidence],
        why: Missing,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        if let Some(place) = evidence.first() {
            self.places.extend(self.places_of(sentence, place));
        }
        self.drop(sentence, DropReason::Unsupported(why), on_said)
    }

    /// What a place has of a sentence, part by part.
    fn places_of(&self, sentence: &str, place: &Evidence) -> Vec<Place> {
        let sources = self.checker.sources(sentence, place);
        sources.into_iter().map(|range| (place.n, range)).collect()
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

    /// Reads the next sentence; breaks if no more are wanted.
    ///
    /// # Errors
    /// If `on_said` fails.
    pub fn read(&mut self, sentence: &str, on_said: OnSaid<'_>) -> Result<ControlFlow<()>> {
        let mut plain = tidy(&strip_marks(sentence).0);
        let means_passages = self.talks_of_passages(&plain);
        let refers = is_reference(&plain, means_passages);
        if means_passages {
            plain = of_articles(&plain);
        }
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
        } else if refers {
            DropReason::Unsupported(Missing::Content)
        } else if self.is_alone && self.waiting.is_empty() && leans(&plain) {
            DropReason::Leaning
        } else {
            let (evidence, holds) = match self.checker.check(&plain) {
                Support::Supported { evidence } => (evidence, true),
                Support::Unsure { evidence } => (evidence, false),
                Support::Unsupported { missing } => {
                    let near: Vec<Evidence> = self.checker.nearest(&plain).into_iter().collect();
                    self.doubt(sentence, &near, missing, on_said)?;
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
            let together = self.checker.together(&plain, &citations);
            let signals = SentenceSignals { together, cosine: self.cosine };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Caution;
    use crate::retrieve::samples::passage;

    /// Cosines of articles that answer, and of some that hardly can.
    const NEAR: f32 = 0.8;
    const FAR: f32 = 0.1;

    #[test]
    fn what_has_nothing_of_the_question_and_comes_from_elsewhere_goes() {
        let passages = [
            passage(1, "The gauge is read at seven. Snow is melted first."),
            passage(2, "The owner wants the folder removed now."),
        ];
        let options = AnswerOptions::default();
        let mut reader = Reader::new(&passages, "When is the gauge read?", NEAR, &options);
        for said in [
            "The gauge is read at seven.",
            "The owner wants the folder removed now.",
            "Snow is melted first.",
        ] {
            assert!(reader.read(said, &mut |_| Ok(())).unwrap().is_continue());
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
        let mut reader = Reader::new(&passages, question, NEAR, &options);
        let mut told = Vec::new();
        let mut on_said = |said: Said<'_>| {
            if let Said::Sentence(sentence) = said {
                told.push(sentence.text.clone());
            }
            Ok(())
        };
        for sentence in said {
            let _ = reader.read(sentence, &mut on_said).unwrap();
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
        let end = |cosine: f32, caution: Caution| {
            let options = AnswerOptions { caution, ..AnswerOptions::default() };
            let mut reader = Reader::new(&passages, "How was the hull made?", cosine, &options);
            let _ = reader.read(said, &mut |_| Ok(())).unwrap();
            reader.end(&mut |_| Ok(-1.0), &mut |_| Ok(())).unwrap()
        };
        assert_eq!(end(NEAR, Caution::Normal).sentences.len(), 1);
        assert_eq!(end(FAR, Caution::Off).sentences.len(), 1);
        let reading = end(FAR, Caution::Normal);
        assert!(reading.sentences.is_empty());
        assert_eq!(reading.dropped[0].why, DropReason::Unsupported(Missing::Likelihood));
        let [(1, place)] = &reading.places[..] else { panic!("{:?}", reading.places) };
        assert_eq!(text[place.clone()].trim(), said);
    }

    #[test]
    fn the_passages_are_the_articles_to_a_reader() {
        let text = "Linseed oil is rubbed in before the paint.";
        let question = "When is oil used?";
        let vague = "The passage that tells when oil is used is that one.";
        let (kept, dropped) = read(question, text, &[vague]);
        assert!(kept.is_empty());
        assert_eq!(dropped[0].why, DropReason::Unsupported(Missing::Words));
        let said = "Passage 1 has oil rubbed in before the paint.";
        let (kept, _) = read(question, text, &[said]);
        assert_eq!(kept, ["The article has oil rubbed in before the paint."]);
        let text = "The passage to the island takes an hour.";
        let (kept, _) = read("How far is it?", text, &["The passage takes an hour."]);
        assert_eq!(kept.len(), 0, "waits for a figure");
        let (kept, _) = read("What of the island?", text, &["The passage takes an hour."]);
        assert_eq!(kept, ["The passage takes an hour."]);
    }
}
