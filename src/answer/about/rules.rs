//! The forms that questions about the articles have. Each rule reads a question to its end or not
//! at all: one word that it doesn't know makes it a question about what the articles say.

use super::groups::{authors, sources};
use super::known::Known;
use super::limits::Limits;
use super::lists::{how_many, list, newest, noun, superlative, what_did};
use super::refer::{Reference, reference, subtitle};
use super::tail::{Tail, tail};
use super::words::{Cursor, Kind, Word, is_telling, joined, kind};
use super::{About, Fact, Named, Wanted};

/// What is done with an article to make it known, at the end of a clause.
const APPEARS: &[&str] = &[
    "come out",
    "came out",
    "go out",
    "went out",
    "appear",
    "appeared",
    "go online",
    "go live",
    "go up",
    "get published",
    "get posted",
    "published",
    "posted",
    "put online",
    "put up",
    "written",
    "released",
    "run",
    "ran",
    "out",
];

pub(super) fn read(words: &[Word], known: &Known<'_>) -> Option<About> {
    let (words, tail) = tail(words);
    let mut cursor = Cursor::new(words);
    cursor.any(&["please", "hi", "hello", "so", "and"]);
    cursor.phrase(",");
    let polite = ["can you", "could you", "would you", "please", "i want to know", "do you know"];
    cursor.any(&polite);
    cursor.phrase("please");
    cursor.any(&["tell me"]);
    cursor.any_at_end(&[", please", "please"]);
    let rules: [Rule; 12] = [
        neighbour,
        announced,
        when,
        authors,
        sources,
        who,
        subtitle_of,
        how_many,
        newest,
        which_one,
        what_did,
        list,
    ];
    rules.iter().find_map(|rule| rule(cursor, &tail, known))
}

type Rule = fn(Cursor<'_>, &Tail, &Known<'_>) -> Option<About>;

fn one(references: Vec<Reference>, facts: Vec<Fact>, mut limits: Limits) -> Option<About> {
    let named = references.first().map(|reference| reference.named).unwrap_or_default();
    let mut topics = Vec::new();
    for reference in references {
        if reference.named != named {
            return None;
        }
        if !reference.authors.is_empty() {
            limits.authors = reference.authors;
        }
        limits.place = limits.place.or(reference.place);
        topics.push(reference.topic);
    }
    let mut about = limits.about(Wanted::One, facts)?;
    about.topics = topics;
    about.named = named;
    Some(about)
}

/// "Which post came out just before the one on setting up RAG?"
fn neighbour(cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    const BEFORE: &[&str] = &["before", "preceding", "precedes", "preceded"];
    const AFTER: &[&str] = &["after", "following", "follows", "followed", "to"];
    const LEFT: &[&str] = &[
        "which",
        "what",
        "is",
        "was",
        "the",
        "a",
        "come",
        "came",
        "comes",
        "out",
        "appeared",
        "appears",
        "went",
        "just",
        "right",
        "directly",
        "immediately",
        "shortly",
        "did",
        "author",
        "write",
        "publish",
        "post",
        "blogger",
        "ran",
        "put",
        "online",
        "one",
        "that",
        "published",
        "posted",
        "written",
        "blog",
        "next",
        "previous",
        "goes",
    ];
    let at = cursor.rest.iter().position(|word| {
        BEFORE.contains(&word.low.as_str()) || AFTER.contains(&word.low.as_str())
    })?;
    let (left, right) = cursor.rest.split_at(at);
    let (pivot, right) = right.split_first()?;
    let what = if BEFORE.contains(&pivot.low.as_str()) {
        Wanted::Before
    } else if pivot.low == "to" {
        let is = |name: &str| left.iter().any(|word| word.low == name);
        match (is("previous"), is("next")) {
            (true, false) => Wanted::Before,
            (false, true) => Wanted::After,
            _ => return None,
        }
    } else {
        Wanted::After
    };
    let mut limits = Limits::default();
    let mut has_noun = false;
    let mut left = left;
    if let Some(noun) = left.iter().position(|word| kind(word).is_some()) {
        let (before, after) = left.split_at(noun);
        let asked = before.iter().take_while(|word| LEFT.contains(&word.low.as_str())).count();
        let (_, named) = before.split_at(asked);
        limits.before_noun(named, known)?;
        if limits.topic.is_some() {
            return None;
        }
        has_noun = true;
        left = after.split_first()?.1;
    } else {
        // "What did Lambert publish right after …?"
        let mut asked = Cursor::new(left);
        if asked.phrase("what did") && limits.subject(&mut asked, known).is_some() {
            left = asked.rest;
        }
    }
    let is_left = left.iter().all(|word| LEFT.contains(&word.low.as_str()));
    let says = ["published", "posted", "publish", "came", "appeared", "write", "written", "post"];
    if !is_left || !(has_noun || left.iter().any(|word| says.contains(&word.low.as_str()))) {
        return None;
    }
    let reference = reference(right, known)
        .or_else(|| (has_noun || limits.is_named()).then(|| loose(right)).flatten())?;
    limits.place = limits.place.or(reference.place);
    let mut about = limits.about(what, tail.facts.clone())?;
    about.topics = vec![reference.topic];
    about.named = reference.named;
    Some(about)
}

/// What comes before or after a post is another: "the report from the shipyard".
fn loose(words: &[Word]) -> Option<Reference> {
    const MOST: usize = 8;
    let mut cursor = Cursor::new(words);
    let is_one = cursor.any(&["the", "that"]) && (1..=MOST).contains(&cursor.rest.len());
    let says_more = cursor.rest.iter().any(|word| is_telling(&word.low));
    (is_one && !says_more).then(|| titled(joined(cursor.rest)))
}

/// What asks for days.
const DAYS: [&str; 18] = [
    "when",
    "from when",
    "on which day",
    "on which days",
    "on what day",
    "on what days",
    "on what date",
    "on what dates",
    "on which date",
    "on which dates",
    "what day",
    "what date",
    "which day",
    "which date",
    "in which month",
    "in what month",
    "in which year",
    "in what year",
];

/// "On which days did the harbour blog announce the new crane and its price?"
fn announced(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    const MOST: usize = 8;
    let verbs = [
        "announce",
        "write about",
        "blog about",
        "post about",
        "report on",
        "write up",
        "publish the post on",
        "publish",
        "present",
        "introduce",
    ];
    let mut limits = Limits::default();
    let is_asked = cursor.any(&DAYS) && cursor.phrase("did");
    if !is_asked || limits.subject(&mut cursor, known).is_none() || !limits.is_named() {
        return None;
    }
    cursor.phrase("first");
    if !cursor.any(&verbs) {
        return None;
    }
    let parts = cursor.rest.split(|word| matches!(word.low.as_str(), "," | "and"));
    let topic = |part: &[Word]| {
        let mut part = Cursor::new(part);
        part.any(&["the", "its", "their", "his", "her", "a", "an"]);
        let is_sound = (1..=MOST).contains(&part.rest.len())
            && !part.rest.iter().any(|word| is_telling(&word.low));
        is_sound.then(|| titled(joined(part.rest)))
    };
    let topics: Option<Vec<Reference>> = parts.filter(|part| !part.is_empty()).map(topic).collect();
    one(topics.filter(|topics| !topics.is_empty())?, tail.with(&[Fact::Date]), limits)
}

/// "When did the screencast on Pike's editor come out, and when the one with the Go talk?"
fn when(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    let lead = cursor;
    let dates = [
        "what is the date of",
        "what was the date of",
        "what is the publication date of",
        "what was the publication date of",
    ];
    if cursor.any(&dates) {
        let found = reference(cursor.rest, known)?;
        return one(vec![found], tail.with(&[Fact::Date]), Limits::default());
    }
    if !cursor.any(&DAYS) {
        return None;
    }
    let is_from = lead.peek() == "from";
    let facts = tail.with(&[Fact::Date]);
    let mut appears = is_from;
    let mut parts = Vec::new();
    let mut limits = Limits::default();
    for part in clauses(cursor.rest) {
        let mut part = Cursor::new(part);
        let is = part.any(&["is", "are"]);
        let told =
            ["was published", "was posted", "was written", "came out", "went out", "appeared"];
        let is_told = part.any_at_end(&told);
        if !is && !is_told && !part.any(&["did", "was", "were"]) && parts.is_empty() {
            return None;
        }
        appears |= is_told;
        part.any_at_end(&["first"]);
        if let Some(at) =
            part.rest.iter().rposition(|word| ["on", "in"].contains(&word.low.as_str()))
            && let (before, [_, named @ ..]) = part.rest.split_at(at)
            && let mut before = Cursor::new(before)
            && before.any_at_end(APPEARS)
            && let Some(place) = known.place(named, false)
        {
            limits.place = Some(place);
            (part, appears) = (before, true);
        }
        appears |= part.any_at_end(APPEARS) || (is && part.any_at_end(&["from", "dated"]));
        parts.push(part);
    }
    if !appears {
        return None;
    }
    if let [only] = parts.as_slice()
        && limits.place.is_none()
        && let Some(about) = superlative(*only, facts.clone(), known)
    {
        return Some(about);
    }
    let found = parts.iter().map(|part| reference(part.rest, known)).collect::<Option<Vec<_>>>()?;
    one(found, facts, limits)
}

/// Parts of "when … and when …".
fn clauses(words: &[Word]) -> Vec<&[Word]> {
    let passed = |rest: &[Word]| {
        let mut next = Cursor::new(rest);
        if next.any(&[", and when", "and when", ", when"]) {
            return Some(rest.len() - next.rest.len());
        }
        let is_next = next.any(&[", and", "and"]) && next.clone().phrase("the one");
        is_next.then(|| rest.len() - next.rest.len())
    };
    let next = (0..words.len()).find_map(|at| Some((at, passed(words.get(at..)?)?)));
    let Some((at, passed)) = next else { return vec![words] };
    let mut parts = vec![words.get(..at).unwrap_or_default()];
    parts.extend(clauses(words.get(at + passed..).unwrap_or_default()));
    parts
}

/// "Who wrote up the results of the Lineage summer poll, and when?"
fn who(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    let facts = tail.with(&[Fact::Author]);
    if cursor.any(&["who is the author of", "who was the author of", "who's the author of"]) {
        return one(vec![reference(cursor.rest, known)?], facts, Limits::default());
    }
    if cursor.any(&["who is", "who was", "by whom was", "by whom is"]) {
        let by = cursor.any_at_end(&["written by", "by", "written", "published by"]);
        let found = by.then(|| reference(cursor.rest, known)).flatten()?;
        return one(vec![found], facts, Limits::default());
    }
    if !cursor.any(&["who", "which author", "which writer", "which blogger"]) {
        return None;
    }
    let mut strict = cursor;
    if strict.any(&["wrote", "authored", "published", "posted", "penned", "did"]) {
        if let Some(about) = superlative(strict, facts.clone(), known) {
            return Some(about);
        }
        if let Some(found) = reference(strict.rest, known) {
            return one(vec![found], facts, Limits::default());
        }
    }
    let wrote = cursor.any(&["wrote about", "wrote up", "blogged about", "posted about"]);
    let covered = cursor.any(&["reviewed", "covered", "reported on", "reported from"]);
    let asked = tail.facts.contains(&Fact::Date) && (wrote || (covered && tail.is_clear));
    if !asked || cursor.rest.len() > 12 || cursor.is_done() {
        return None;
    }
    let topic = joined(cursor.rest);
    one(vec![titled(topic)], facts, Limits::default())
}

/// An article of this topic, whosoever's.
fn titled(topic: String) -> Reference {
    Reference { topic, named: Named::Title, authors: Vec::new(), place: None }
}

/// "What is the subtitle of the post on RAG?"
fn subtitle_of(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    cursor.any(&["what is", "what was", "which is", "show me", "give me", "show"]);
    if !cursor.any(&["the subtitle of", "the subheading of"]) {
        return None;
    }
    let facts = tail.with(&[Fact::Subtitle]);
    if let Some(about) = superlative(cursor, facts.clone(), known) {
        return Some(about);
    }
    one(vec![reference(cursor.rest, known)?], facts, Limits::default())
}

/// "Which post has the subtitle about betting NVIDIA stock, and on what date did it appear?"
fn which_one(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    if !cursor.any(&["which", "what", "find the", "find"]) {
        return None;
    }
    let mut limits = Limits::default();
    let (before, kind, is_plural) = noun(&mut cursor)?;
    limits.before_noun(before, known)?;
    if is_plural || limits.topic.is_some() || (kind != Kind::Sure && !limits.is_named()) {
        return None;
    }
    let has = ["has the", "bears the", "carries the", "had the", "is under the", "with the"];
    let is_subtitled = subtitle(&mut cursor, &has);
    let is_titled = is_subtitled
        || cursor.any(&has) && cursor.any(&["title", "headline"])
        || cursor.any(&["is titled", "is called", "is headed"]);
    cursor.any(&["about", "on", "that says", "saying", "with"]);
    let is_asked = is_titled || (tail.is_clear && !tail.facts.is_empty());
    let is_long = cursor.rest.len() > 14;
    let first = cursor.peek();
    if !is_asked
        || is_long
        || cursor.is_done()
        || (!is_titled && is_telling(first) && first != "is")
    {
        return None;
    }
    cursor.any(&["is about", "is on", "deals with", "talks about"]);
    if cursor.is_done() {
        return None;
    }
    let mut found = titled(joined(cursor.rest));
    if is_subtitled {
        found.named = Named::Subtitle;
    }
    one(vec![found], tail.with(&[Fact::Title]), limits)
}
