//! The rules for who writes, and for what the library has sources of.

use super::known::{Known, SITES};
use super::limits::Limits;
use super::lists::noun;
use super::tail::Tail;
use super::words::{Cursor, Kind, joined, kind};
use super::{About, Wanted};

/// "Who writes for Londonist?", "Which authors do I have?", "Who writes the posts on boats?"
pub(super) fn authors(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    if !tail.facts.is_empty() {
        return None;
    }
    let mut limits = Limits::default();
    let facts = Vec::new();
    if cursor.any(&["who writes for", "who wrote for", "who blogs for", "who writes on"])
        || cursor.any(&["who blogs on", "who writes in", "who posts on"])
    {
        limits.writes_for(&mut cursor, known)?;
        limits.read(&mut cursor, known)?;
        return (limits.place.is_some() || limits.library)
            .then(|| limits.about(Wanted::Authors, facts))
            .flatten();
    }
    let mut most = cursor;
    if most.any(&["who wrote the most", "who writes the most", "who has written the most"]) {
        noun(&mut most)?;
        limits.read(&mut most, known)?;
        return limits.about(Wanted::Authors, facts);
    }
    let mut named = cursor;
    named.any(&["who are", "which are", "list", "show me", "show", "which", "what"]);
    named.any(&["all", "all the", "the", "my"]);
    if named.any(&["authors", "writers", "bloggers"]) {
        let is_plain = named.is_done() && cursor.peek() != "what";
        named.any(&["of", "at", "on", "who write for", "that write for", "write for"]);
        if named.is_done() {
            return is_plain.then(|| limits.about(Wanted::Authors, facts)).flatten();
        }
        let _ = limits.writes_for(&mut named, known);
        limits.read(&mut named, known)?;
        return (limits.place.is_some() || limits.library)
            .then(|| limits.about(Wanted::Authors, facts))
            .flatten();
    }
    if !cursor.any(&["who writes the", "who writes", "who usually writes the"]) {
        return None;
    }
    // "The round-ups of harbours on Londonist": a sort of text is one of the library's in a source.
    let is_sort = cursor.rest.first().and_then(kind).is_some_and(|(sort, _)| sort == Kind::Sort);
    if is_sort {
        let at =
            cursor.rest.iter().rposition(|word| ["on", "in", "at", "for"].contains(&&*word.low))?;
        let (topic, place) = cursor.rest.split_at(at);
        limits.place = Some(known.place(place.get(1..)?, false)?);
        let mut topic = Cursor::new(topic);
        topic.skip(1);
        topic.any(&["of", "on", "about", "with", "to"]);
        limits.topic = Some(joined(topic.rest)).filter(|topic| !topic.is_empty());
        return limits.about(Wanted::Authors, facts);
    }
    let (before, sure, is_plural) = noun(&mut cursor)?;
    limits.before_noun(before, known)?;
    limits.read(&mut cursor, known)?;
    let is_meant = is_plural && (sure == Kind::Sure || limits.is_named());
    (is_meant && (limits.topic.is_some() || limits.is_narrow() || limits.library))
        .then(|| limits.about(Wanted::Authors, facts))
        .flatten()
}

/// "Which feeds do I have?", "How many blogs are in the library?"
pub(super) fn sources(mut cursor: Cursor<'_>, tail: &Tail, known: &Known<'_>) -> Option<About> {
    const MINE: &[&str] = &[
        "do i follow",
        "do i read",
        "am i subscribed to",
        "have i subscribed to",
        "have i added",
        "did i add",
        "are in here",
        "are here",
        "are indexed",
        "are known",
    ];
    if !tail.facts.is_empty() {
        return None;
    }
    let is_told = cursor.any(&["list", "show me", "show"]);
    let asked = cursor.any(&["how many", "which", "what", "what are"]);
    let is_mine = cursor.any(&["all my", "my", "all the", "the", "all"]);
    let word = cursor.take()?;
    let singular = word.low.strip_suffix('s')?;
    if singular != "source" && !SITES.contains(&singular) || !(is_told || asked) {
        return None;
    }
    let mut limits = Limits::default();
    let is_here = cursor.any(MINE) || (limits.read(&mut cursor, known).is_some() && limits.library);
    let is_meant = cursor.is_done() && (is_here || is_told && is_mine);
    (is_meant && !limits.is_narrow() && limits.topic.is_none())
        .then(|| Limits::default().about(Wanted::Sources, Vec::new()))
        .flatten()
}
