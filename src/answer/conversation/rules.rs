//! A follow-up as a question that stands alone, by rules. Pure.

use std::ops::Range;

use super::lead::{Lead, is_question, lead};
use super::replace::{appended, bare_wh, compound, fragment, going_on, instead, other, replaced};
use super::topic::{Topic, topic};
use super::words::{
    Stands, Word, is_aux, is_content, is_determiner, is_name, is_participle, is_plain_verb,
    is_preposition, is_wh, pronoun, shared, stem, stems, words,
};
use super::{Standalone, Turn};

/// Follow-ups are short: a longer question says what it is about.
const LONGEST: usize = 300;

/// Words of a question that asks for something by itself whatever pronouns it has.
const MOST_WORDS: usize = 25;

/// What a question means after these turns; `None` if it stands alone.
pub(super) fn read(asked: &str, turns: &[Turn]) -> Option<Standalone> {
    let last = turns.last()?;
    if asked.len() > LONGEST || words(asked).len() > MOST_WORDS {
        return None;
    }
    match lead(asked) {
        Lead::Change(rest) => Some(whole(sentence(rest))),
        Lead::NewSubject(subject, rest) => Some(whole(about_topic(subject, rest))),
        Lead::Return(subject, rest) => Some(returned(subject, rest, turns)),
        Lead::Correction(was, meant) => Some(corrected(was, meant, last, turns)),
        Lead::WhatAbout(rest) => {
            fragment(base(last), rest, false).or_else(|| Some(about(last, rest)))
        }
        Lead::Plain(joins, rest) => plain(rest, joins, asked, turns),
    }
}

/// A turn's question, by itself.
pub(super) fn base(turn: &Turn) -> &str {
    turn.standalone.as_deref().unwrap_or(&turn.question)
}

fn whole(text: String) -> Standalone {
    Standalone { text, is_whole: true }
}

fn open(text: String) -> Standalone {
    Standalone { text, is_whole: false }
}

/// A text that begins and ends as a sentence does.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let text: String = match letters.next() {
        // "ß" has no large letter of its own, nor has "µ".
        Some(first) if first.to_uppercase().flat_map(char::to_lowercase).eq([first]) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    };
    if text.ends_with(['?', '.', '!']) { text } else { text + "?" }
}

/// The question with what it is about before it.
fn about_topic(subject: &str, rest: &str) -> String {
    format!("About {subject}: {}", going_on(rest))
}

fn about(turn: &Turn, rest: &str) -> Standalone {
    match topic(base(turn)) {
        Some(topic) => open(about_topic(&topic.text, rest)),
        None => open(compound(base(turn), rest)),
    }
}

/// The turn that words speak of: the last one that shares any with its question, else with its answer.
fn turn_on<'a>(said: &str, turns: &'a [Turn]) -> Option<&'a Turn> {
    let said = stems(said);
    let best = |text: &dyn Fn(&Turn) -> String| {
        let scored = turns.iter().enumerate().map(|(at, turn)| (shared(&said, &text(turn)), at));
        scored.max().filter(|(score, _)| *score > 0).map(|(_, at)| &turns[at])
    };
    best(&|turn| base(turn).to_owned()).or_else(|| best(&|turn| turn.answer.clone()))
}

/// "Back to the ribs: what happens then?"
fn returned(subject: &str, rest: &str, turns: &[Turn]) -> Standalone {
    let found = turn_on(subject, turns);
    if rest.is_empty() {
        // Nothing is asked: what was asked there is meant.
        return whole(found.map_or(sentence(subject), |turn| base(turn).to_owned()));
    }
    let points = words(subject).first().is_some_and(|word| is_pointing(&word.low));
    let known = found.and_then(|turn| topic(base(turn)));
    match known {
        Some(topic) if points || covers(&topic, subject) => whole(about_topic(&topic.text, rest)),
        Some(topic) => whole(about_topic(&format!("{subject} ({})", topic.text), rest)),
        None => whole(about_topic(subject, rest)),
    }
}

/// Whether a topic has every word of a subject.
fn covers(topic: &Topic, subject: &str) -> bool {
    let wanted = stems(subject);
    let has = stems(&topic.text);
    !wanted.is_empty() && wanted.iter().all(|stem| has.contains(stem))
}

fn corrected(was: Option<&str>, meant: &str, last: &Turn, turns: &[Turn]) -> Standalone {
    if is_question(meant) && words(meant).len() > 2 {
        return plain(meant, false, meant, turns).unwrap_or_else(|| whole(sentence(meant)));
    }
    if let Some(was) = was
        && let Some(text) = instead(base(last), was, meant)
    {
        return whole(text);
    }
    if let Some(text) = other(base(last), meant) {
        return whole(text);
    }
    fragment(base(last), meant, false).unwrap_or_else(|| open(appended(base(last), meant)))
}

fn is_pointing(low: &str) -> bool {
    ["that", "this", "those", "these"].contains(&low)
}

/// A question without any sign before it.
fn plain(rest: &str, joins: bool, asked: &str, turns: &[Turn]) -> Option<Standalone> {
    let last = turns.last()?;
    let rest = said_before(rest);
    let all = words(rest);
    if all.is_empty() {
        return None;
    }
    if asks_for_more(&all) {
        let topic = topic(base(last))?;
        return Some(whole(format!("Tell me more about {}.", topic.text)));
    }
    if bare_wh(&all) {
        return Some(whole(compound(base(last), rest)));
    }
    let has_verb = all.iter().any(|word| is_wh(&word.low) || is_aux(&word.low));
    if !has_verb {
        let is_short = all.len() <= 3 && asked.trim_end().ends_with('?');
        let is_placed = is_preposition(&all[0].low) && asked.trim_end().ends_with('?');
        if all.len() <= 8 && (joins || is_short || is_placed) {
            return fragment(base(last), rest, rest.len() == asked.len())
                .or_else(|| Some(open(appended(base(last), rest))));
        }
    }
    if let Some(found) = ordinal(rest, &all, turns) {
        return Some(found);
    }
    let refers = referring(&all, turns);
    if refers.is_empty() {
        return None;
    }
    resolved(rest, &refers, turns)
}

/// A question without "you said" behind it.
fn said_before(text: &str) -> &str {
    let end = text.trim_end_matches(['?', ' ', '.']);
    for said in [", you said", ", you say", ", you mentioned", ", did you say"] {
        if let Some(kept) = end.strip_suffix(said) {
            return kept;
        }
    }
    text
}

fn asks_for_more(all: &[Word<'_>]) -> bool {
    let text: Vec<&str> = all.iter().map(|word| word.low.as_str()).collect();
    let text = text.join(" ");
    [
        "tell me more",
        "more",
        "more details",
        "more detail",
        "go on",
        "explain",
        "elaborate",
        "in more detail",
        "can you elaborate",
        "could you elaborate",
        "explain that",
        "explain it",
        "explain this",
        "tell me more about it",
        "tell me more about that",
        "tell me more about this",
        "say more",
        "anything else",
        "what else",
        "can you explain",
        "can you explain that",
    ]
    .contains(&text.as_str())
}

/// "in place of the former".
fn ordinal(rest: &str, all: &[Word<'_>], turns: &[Turn]) -> Option<Standalone> {
    let at = all.iter().position(|word| ["former", "latter"].contains(&word.low.as_str()))?;
    let before = at.checked_sub(1)?;
    let is_alone = all.get(at + 1).is_none_or(|next| !is_content(&next.low) || all[at].ends);
    if all[before].low != "the" || !is_alone {
        return None;
    }
    let back = if all[at].low == "latter" { 1 } else { 2 };
    let turn = turns.len().checked_sub(back).map_or(turns.first(), |at| turns.get(at))?;
    let topic = topic(base(turn))?;
    let range = all[before].range.start..all[at].range.end;
    let text = replaced(rest, &[(range, topic.text.clone())]);
    // The question that it comes from says what is meant by it.
    Some(open(compound(base(turn), &text)))
}

/// What a word refers to.
#[derive(Clone, Debug, PartialEq)]
enum Refers {
    Pronoun(Stands, bool),
    /// What was said as a whole: "do that".
    Event,
    /// "in there".
    Place,
    /// "that round", with its noun.
    Pointing(String),
}

type Reference = (Range<usize>, Refers);

/// The words that refer to something outside of the question.
fn referring(all: &[Word<'_>], turns: &[Turn]) -> Vec<Reference> {
    let mut found = Vec::new();
    for (at, word) in all.iter().enumerate() {
        let next = all.get(at + 1).filter(|_| !word.ends);
        if let Some((stands, owns)) = pronoun(&word.low) {
            if is_outside(all, at, stands) && !(stands == Stands::Thing && is_empty_it(all, at)) {
                found.push((word.range.clone(), Refers::Pronoun(stands, owns)));
            }
        } else if word.low == "there"
            && at > 0
            && is_preposition(&all[at - 1].low)
            && at + 1 == all.len()
        {
            found.push((word.range.clone(), Refers::Place));
        } else if word.low == "one"
            && at > 0
            && is_plain_verb(&all[at - 1].low)
            && next
                .is_none_or(|next| !is_content(&next.low) && next.low != "of" && next.low != "to")
        {
            found.push((word.range.clone(), Refers::Pronoun(Stands::Thing, false)));
        } else if is_pointing(&word.low) {
            let noun = next.filter(|next| is_content(&next.low));
            let is_known = |noun: &str| {
                let noun = [stem(noun).to_owned()];
                turns
                    .iter()
                    .any(|turn| shared(&noun, base(turn)) + shared(&noun, &turn.question) > 0)
            };
            match noun {
                Some(noun) if is_known(&noun.low) => {
                    let end = noun.range.end;
                    found.push((word.range.start..end, Refers::Pointing(noun.low.clone())));
                }
                Some(noun)
                    if !is_plain_verb(&noun.low)
                        || all[..at].iter().any(|before| is_content(&before.low)) => {}
                _ if next.is_some_and(|next| next.low == "one" || next.low == "ones") => {
                    let end = next.map_or(word.range.end, |next| next.range.end);
                    if is_outside(all, at, Stands::Thing) {
                        found.push((word.range.start..end, Refers::Pronoun(Stands::Thing, false)));
                    }
                }
                _ if next.is_some_and(|next| is_aux(&next.low)) && at > 0 => {}
                _ if next.is_some_and(|next| {
                    pronoun(&next.low).is_some()
                        || is_determiner(&next.low)
                        || !(is_preposition(&next.low)
                            || is_plain_verb(&next.low)
                            || is_aux(&next.low)
                            || ["and", "or", "so"].contains(&next.low.as_str()))
                }) => {}
                _ if is_outside(all, at, Stands::Thing) => {
                    let stands = match word.low.as_str() {
                        "those" | "these" => Refers::Pronoun(Stands::Several, false),
                        _ => Refers::Event,
                    };
                    found.push((word.range.clone(), stands));
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether nothing before a pronoun in the question can be what it stands for.
fn is_outside(all: &[Word<'_>], at: usize, stands: Stands) -> bool {
    let before = &all[..at];
    let content: Vec<&Word<'_>> = before.iter().filter(|word| is_content(&word.low)).collect();
    if content.is_empty() {
        return true;
    }
    // What another pronoun does that comes from outside: "did she buy it".
    let of_pronoun = before.iter().position(|word| pronoun(&word.low).is_some());
    if let Some(first) = of_pronoun
        && is_outside(all, first, stands)
        && !before[first..]
            .iter()
            .any(|word| is_determiner(&word.low) && pronoun(&word.low).is_none())
        && stands != Stands::Person
    {
        return true;
    }
    let wh = before.iter().position(|word| is_wh(&word.low));
    // "The money, what was it in the end".
    if wh.is_some_and(|wh| before[..wh].iter().any(|word| is_content(&word.low))) {
        return false;
    }
    // "Which model does it run on", "which number in them is wrong".
    let previous = &all[at - 1];
    if let Some(wh) = wh
        && (is_aux(&previous.low) || is_preposition(&previous.low))
        && before[wh + 1..at - 1].iter().all(|word| {
            !is_aux(&word.low) && !is_determiner(&word.low) && !is_preposition(&word.low)
        })
        && ["which", "what", "how", "whose"].contains(&before[wh].low.as_str())
    {
        return true;
    }
    // "What stopped it", "what joins those to the keel", "what burned down because of them".
    if let Some(wh) = wh
        && ["what", "who"].contains(&before[wh].low.as_str())
        && content.len() == 1
        && !is_aux(before.get(wh + 1).map_or("", |word| &word.low))
        && !before.iter().any(|word| is_determiner(&word.low))
    {
        return true;
    }
    // "What had caused that", "what was wrong with its old one": nothing that could be it.
    if wh.is_some()
        && content.iter().all(|word| is_participle(&word.low) || is_plain_verb(&word.low))
        && !before.iter().any(|word| is_determiner(&word.low))
    {
        return true;
    }
    // "Why do people get angry when it jumps".
    stands == Stands::Thing
        && content[0].low == "people"
        && ["when", "if", "because", "whenever"].contains(&previous.low.as_str())
        && !before.iter().any(|word| is_determiner(&word.low) || is_preposition(&word.low))
}

/// Whether "it" stands for nothing: "is it wise to wait", "how long does it take to dry".
fn is_empty_it(all: &[Word<'_>], at: usize) -> bool {
    let behind = &all[at + 1..];
    let to =
        behind.iter().position(|word| ["to", "that", "when", "if"].contains(&word.low.as_str()));
    let says = |from: usize| behind[from..].iter().any(|word| is_content(&word.low));
    let is_said = to.is_some_and(|to| to > 0 && to <= 4 && says(to + 1));
    let takes = ["take", "takes", "mean", "get", "rain", "snow"];
    let is_taken = behind.first().is_some_and(|word| takes.contains(&word.low.as_str()));
    let is_long = behind.iter().skip(1).filter(|word| is_content(&word.low)).count() > 0;
    is_said || (is_taken && is_long)
}

/// The name of the person whom a turn tells of.
fn person(turn: &Turn) -> Option<String> {
    let asks_who =
        words(base(turn)).iter().any(|word| ["who", "whom", "whose"].contains(&word.low.as_str()));
    let text = if asks_who { &turn.answer } else { base(turn) };
    let all = words(text);
    let is_one = |word: &Word<'_>| {
        is_name(word.text)
            && word.text.chars().next().is_some_and(char::is_uppercase)
            && word
                .text
                .chars()
                .skip(1)
                .all(|c| c.is_lowercase() || c == '\'' || c == '’' || c == '-')
            && is_content(&word.low)
    };
    let at =
        all.windows(2).position(|pair| is_one(&pair[0]) && is_one(&pair[1]) && !pair[0].ends)?;
    let [first, second] = [&all[at], &all[at + 1]];
    let text = text.get(first.range.start..second.range.end)?;
    Some(text.trim_end_matches("'s").trim_end_matches("’s").to_owned())
}

/// The question with what its words refer to in their places.
fn resolved(rest: &str, refers: &[Reference], turns: &[Turn]) -> Option<Standalone> {
    let turn = source(rest, refers, turns);
    let named = turns.iter().rev().find_map(person);
    let topic = topic(base(turn));
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    let (mut missing, mut is_event, mut is_unsure) = (false, false, false);
    for (range, refers) in refers {
        let with = match refers {
            Refers::Event => {
                is_event = true;
                continue;
            }
            Refers::Pronoun(Stands::Person, owns) => match &named {
                Some(name) => Some(possessive(name, *owns)),
                None => {
                    is_unsure = true;
                    continue;
                }
            },
            Refers::Pronoun(stands, owns) => topic.as_ref().and_then(|topic| {
                let several = *stands == Stands::Several;
                is_unsure |= topic.asked;
                let is_short = topic.text.split(' ').count() <= 3;
                (topic.several == several && (!owns || (is_short && !topic.asked)))
                    .then(|| possessive(&topic.text, *owns))
            }),
            Refers::Place => topic.as_ref().map(|topic| topic.text.clone()),
            Refers::Pointing(noun) => topic
                .as_ref()
                .filter(|topic| shared(&[stem(noun).to_owned()], &topic.text) > 0)
                .map(|topic| topic.text.clone()),
        };
        match with {
            // Once said in full, it is referred to.
            Some(with) if places.iter().all(|(_, before)| *before != with) => {
                places.push((range.clone(), with))
            }
            Some(_) => {}
            None => {
                // "How did they turn it over?": whoever it is.
                missing |= !matches!(refers, Refers::Pronoun(Stands::Several, false));
            }
        }
    }
    let text = replaced(rest, &places);
    if is_event {
        return Some(Standalone { text: compound(base(turn), &text), is_whole: !is_unsure });
    }
    if missing || places.is_empty() {
        let are_persons =
            refers.iter().all(|(_, refers)| matches!(refers, Refers::Pronoun(Stands::Person, _)));
        // Nobody was spoken of who could be meant.
        if are_persons && !turns.iter().any(|turn| names_any(&turn.answer)) {
            return None;
        }
        // "How do they keep the air moist in there": whoever it is.
        let are_several = refers
            .iter()
            .all(|(_, refers)| matches!(refers, Refers::Pronoun(Stands::Several, false)));
        let could_be = topic.as_ref().is_none_or(|topic| {
            topic.several || words(&topic.text).iter().any(|word| is_name(word.text))
        });
        if are_several && !could_be && stems(rest).len() > 2 {
            return None;
        }
        return Some(open(match topic {
            Some(topic) => about_topic(&topic.text, &text),
            None => compound(base(turn), rest),
        }));
    }
    Some(Standalone { text: sentence(&text), is_whole: !is_unsure })
}

/// Whether a text has a name within a sentence.
fn names_any(text: &str) -> bool {
    let all = words(text);
    all.windows(2).any(|pair| !pair[0].ends && is_name(pair[1].text) && is_content(&pair[1].low))
}

/// The turn that a question follows up on: the last, unless its own words are of an earlier one.
fn source<'a>(rest: &str, refers: &[Reference], turns: &'a [Turn]) -> &'a Turn {
    let own = stems(rest);
    let last = &turns[turns.len() - 1];
    for (_, refers) in refers {
        if let Refers::Pointing(noun) = refers {
            return turn_on(noun, turns).unwrap_or(last);
        }
    }
    let asked = |turn: &Turn| shared(&own, &format!("{} {}", base(turn), turn.question));
    let told = |turn: &Turn| shared(&own, &turn.answer);
    if asked(last) > 0 || told(last) > 0 {
        return last;
    }
    for score in [&asked as &dyn Fn(&Turn) -> usize, &told] {
        let scored = turns.iter().enumerate().map(|(at, turn)| (score(turn), at));
        if let Some((_, at)) = scored.max().filter(|(score, _)| *score > 0) {
            return &turns[at];
        }
    }
    last
}

fn possessive(text: &str, owns: bool) -> String {
    match owns {
        true if text.ends_with('s') => format!("{text}'"),
        true => format!("{text}'s"),
        false => text.to_owned(),
    }
}
