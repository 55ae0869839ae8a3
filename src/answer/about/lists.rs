//! The rules for several articles, and for the newest or oldest of several.

use super::known::{Known, SITES};
use super::limits::Limits;
use super::period;
use super::tail::Tail;
use super::words::{Cursor, Kind, Word, kind, number};
use super::{About, Fact, Wanted};

/// How many articles "the latest posts" are.
const LISTED: usize = 10;

/// Words up to "posts" and the kind of that, as far as they may name something.
pub(super) fn noun<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [Word], Kind, bool)> {
    const MOST: usize = 6;
    let start = *cursor;
    let at = cursor.rest.iter().take(MOST).position(|word| {
        !word.is_possessive() && !matches!(kind(word), None | Some((Kind::Sort, _)))
    })?;
    cursor.skip(at);
    let before = cursor.since(start);
    let (kind, is_plural) = kind(cursor.take()?)?;
    Some((before, kind, is_plural))
}

/// "How many posts went out in May 2026, and what are they called?"
pub(super) fn how_many(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    if !cursor.any(&["how many", "what is the number of", "the number of", "number of"]) {
        return None;
    }
    let mut limits = Limits::default();
    let (before, kind, is_plural) = noun(&mut cursor)?;
    limits.before_noun(before, known)?;
    limits.read(&mut cursor, known)?;
    let is_sure = kind == Kind::Sure || limits.is_named();
    let is_limited = limits.is_narrow() || limits.library;
    if !is_plural || !is_sure || !is_limited {
        return None;
    }
    limits.about(Wanted::Count, tail.facts.clone())
}

/// "Which is the newest of the research.swtch.com articles I have?"
pub(super) fn newest(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    let facts = tail.facts.clone();
    let asked = cursor.any(&["which", "what", "show me", "show", "give me", "list", "find"]);
    cursor.any(&["is", "are", "was", "were"]);
    if let Some(about) = superlative(cursor, facts.clone(), known) {
        return Some(about);
    }
    // "What is the latest Londonist post about?"
    let mut told = cursor;
    if asked && told.any_at_end(&["about"]) {
        return superlative(told, tail.with(&[Fact::Beginning]), known);
    }
    // "When did Ana last post?", "Which Londonist post is the oldest?"
    let mut limits = Limits::default();
    if cursor.phrase("when did") && limits.subject(&mut cursor, known).is_some() {
        let is_last = cursor.phrase("last");
        let writes = cursor.any(&["post", "write", "publish", "blog"]);
        cursor.any(&["something", "anything", "an article", "a post"]);
        return (is_last && writes && cursor.is_done())
            .then(|| limits.about(Wanted::Newest(1), tail.with(&[Fact::Date])))
            .flatten();
    }
    let mut named = cursor;
    if !asked && named.any(&["newest", "latest", "most recent"]) {
        // "Latest Londonist".
        limits.place = Some(known.place(named.rest, false)?);
        return limits.about(Wanted::Newest(LISTED), facts);
    }
    if !asked {
        return None;
    }
    cursor.any_at_end(&["of all", "of them all", "of them", "overall"]);
    let what = last_words(&mut cursor)?;
    let (before, kind, _) = noun(&mut cursor)?;
    limits.before_noun(before, known)?;
    limits.read(&mut cursor, known)?;
    (kind == Kind::Sure || limits.is_named()).then(|| limits.about(what, facts)).flatten()
}

fn last_words(cursor: &mut Cursor<'_>) -> Option<Wanted> {
    const ENDS: &[(&str, bool)] = &[
        ("newest", true),
        ("latest", true),
        ("most recent", true),
        ("most recently", true),
        ("last", true),
        ("oldest", false),
        ("earliest", false),
        ("first", false),
    ];
    let (_, is_newest) = ENDS.iter().find(|(end, _)| cursor.any_at_end(&[end]))?;
    cursor.any_at_end(&["the"]);
    let verbs = [
        "is",
        "was",
        "came out",
        "came",
        "comes",
        "was published",
        "was posted",
        "was put online",
        "went out",
        "went up",
        "appeared",
        "ran",
    ];
    let is_verb = cursor.any_at_end(&["was published", "was posted"]) || cursor.any_at_end(&verbs);
    let what = if *is_newest { Wanted::Newest(1) } else { Wanted::Oldest(1) };
    is_verb.then_some(what)
}

pub(super) fn superlative(
    cursor: Cursor<'_>,
    facts: Vec<Fact>,
    known: &Known<'_>,
) -> Option<About> {
    const NEW: &[&str] = &["newest", "latest", "most recent", "last", "very last"];
    const OLD: &[&str] = &["oldest", "earliest", "first", "very first"];
    let mut at = cursor;
    let mut limits = Limits::default();
    at.any(&["the title of", "the name of"]);
    if let Some((authors, count)) = known.author(at)
        && at.rest.get(..count)?.last()?.is_possessive()
    {
        limits.authors = authors;
        at.skip(count);
    }
    at.any(&["the", "my"]);
    let mut count = number(at.peek());
    if count.is_some() {
        at.skip(1);
    }
    let mut start = at;
    // "last month's posts" are those of a month.
    if period::read(&mut start, known.today).is_some() {
        return None;
    }
    let both = ["first and last", "first and the last", "oldest and newest", "oldest and latest"];
    let both_turned =
        ["earliest and latest", "last and first", "newest and oldest", "first and latest"];
    let is_plain = ["first", "last", "very"].contains(&at.peek());
    let mut what = if at.any(&both) || at.any(&both_turned) {
        Wanted::FirstAndLast
    } else if at.any(NEW) {
        Wanted::Newest(1)
    } else if at.any(OLD) {
        Wanted::Oldest(1)
    } else {
        return None;
    };
    if let (None, Some(after)) = (count, number(at.peek())) {
        count = Some(after);
        at.skip(1);
    }
    if at.phrase("of") {
        at.any(&["all the", "all my", "the", "my", "these", "all"]);
    }
    let (before, kind, is_plural) = noun(&mut at)?;
    let authors = std::mem::take(&mut limits.authors);
    limits.before_noun(before, known)?;
    if !authors.is_empty() {
        limits.authors = authors;
    }
    limits.read(&mut at, known)?;
    if kind != Kind::Sure && !limits.is_named() {
        return None;
    }
    // "The first post on Twitter" is no article, and "the last" seldom the newest.
    let is_about = cursor.rest.iter().any(|word| word.low == "about");
    if is_plain && what != Wanted::FirstAndLast && limits.topic.is_some() && !is_about {
        return None;
    }
    let is_of = cursor.rest.iter().any(|word| word.low == "of");
    if count.is_none() && is_plural && !is_of {
        count = Some(LISTED);
    }
    match &mut what {
        Wanted::Newest(n) | Wanted::Oldest(n) => *n = count.unwrap_or(1).max(1),
        _ => {}
    }
    limits.about(what, facts)
}

/// "What did the author write about in December 2025?", "What's new?"
pub(super) fn what_did(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    let mut limits = Limits::default();
    let news = ["what is new", "anything new", "is there anything new", "any news", "whats new"];
    if cursor.any(&news) {
        let is_relative = cursor.is_done() || period::is_relative(cursor);
        limits.read(&mut cursor, known)?;
        let is_sound = limits.topic.is_none() && (is_relative || limits.place.is_some());
        let what = if limits.has_period() { Wanted::List } else { Wanted::Newest(LISTED) };
        return is_sound.then(|| limits.about(what, tail.facts.clone())).flatten();
    }
    let said = [
        "what was published",
        "what was posted",
        "what was written",
        "what has been published",
        "what has been posted",
        "what came out",
        "what went out",
        "what got published",
        "what were published",
        "did anything come out",
        "was anything published",
    ];
    if cursor.any(&said) {
        limits.published = true;
        limits.read(&mut cursor, known)?;
        return limits
            .is_narrow()
            .then(|| limits.about(Wanted::List, tail.facts.clone()))
            .flatten();
    }
    if !cursor.any(&["what did", "what has", "what have", "what all did"]) {
        return None;
    }
    limits.subject(&mut cursor, known)?;
    let writes = [
        "write about",
        "written about",
        "blog about",
        "blogged about",
        "post about",
        "publish",
        "published",
        "write",
        "written",
        "posted",
        "post",
        "put out",
    ];
    if !cursor.any(&writes) {
        return None;
    }
    limits.published = true;
    let mut end = cursor;
    if end.any(&["most recently", "last"]) && end.peek() != "on" && limits.is_named() {
        // "Last June" is a period.
        if period::read(&mut cursor.clone(), known.today).is_none() {
            limits.read(&mut end, known)?;
            return limits.about(Wanted::Newest(1), tail.facts.clone());
        }
    } else if end.any(&["first", "earliest"]) && limits.is_named() {
        limits.read(&mut end, known)?;
        return limits.about(Wanted::Oldest(1), tail.facts.clone());
    }
    limits.read(&mut cursor, known)?;
    limits.is_narrow().then(|| limits.about(Wanted::List, tail.facts.clone())).flatten()
}

/// "Which Londonist pieces did Laura Reynolds write?", "list everything published this spring"
pub(super) fn list(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    let told = [
        "list me",
        "list",
        "show me",
        "show",
        "give me",
        "get me",
        "find me",
        "find",
        "name",
        "i want to see",
        "i'd like to see",
        "print",
    ];
    let is_told = cursor.any(&told);
    let mine = ["do i have any", "do i have", "have i got any", "have i got", "do you have any"];
    let there = ["are there any", "are there", "is there any", "is there"];
    let asked = cursor.any(&["which", "what", "any"]) || cursor.any(&mine) || cursor.any(&there);
    cursor.any(&["are", "were"]);
    cursor.any(&["a list of"]);
    let mut limits = Limits::default();
    let mut all = cursor;
    if all.any(&["everything", "anything", "all that was", "whatever was"]) {
        limits.read(&mut all, known)?;
        let is_ours = limits.is_narrow()
            || limits.topic.is_some() && limits.library
            || limits.topic.is_none() && is_told;
        return is_ours.then(|| limits.about(Wanted::List, tail.facts.clone())).flatten();
    }
    let is_every = cursor.peek() == "every";
    cursor.any(&["all of the", "all the", "all my", "all", "every", "the titles of", "the", "my"]);
    cursor.any(&["titles of", "the"]);
    let (before, kind, is_plural) = noun(&mut cursor)?;
    limits.before_noun(before, known)?;
    if cursor.is_done() && !is_told && !limits.is_named() && !limits.has_period() {
        return None;
    }
    let is_bare = !is_told && !asked;
    cursor.any_at_end(&["called"]);
    limits.read(&mut cursor, known)?;
    let is_sure = kind == Kind::Sure || limits.is_named();
    // "Posts about boats": nothing else is asked.
    let is_bare = is_bare && !(kind == Kind::Sure && before.is_empty());
    let is_limited = limits.is_narrow()
        || (!is_bare && (limits.topic.is_some() || limits.library))
        || (is_told && before.iter().all(|word| !SITES.contains(&word.low.as_str())));
    let is_one_day = kind == Kind::Sure && limits.has_period() && asked;
    if !is_sure || !is_limited || !(is_plural || is_one_day || is_every) {
        return None;
    }
    limits.about(Wanted::List, tail.facts.clone())
}
