//! Words that refer to one article: "the one on setting up RAG", "the Cloudflare post".

use super::Named;
use super::known::{Known, Place};
use super::words::{Cursor, Kind, Word, is_telling, joined, kind};

/// One article that is referred to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    pub topic: String,
    /// Which of the article's names that is.
    pub named: Named,
    /// Whose it is said to be.
    pub authors: Vec<String>,
    /// Where it is said to be.
    pub place: Option<Place>,
}

/// What all of some words refer to, if that is one article.
pub(super) fn reference(words: &[Word], known: &Known<'_>) -> Option<Reference> {
    const MOST: usize = 14;
    let mut cursor = Cursor::new(words);
    let mut authors = Vec::new();
    if let Some((found, count)) = known.author(cursor)
        && words.get(..count)?.last()?.is_possessive()
    {
        authors = found;
        cursor.skip(count);
    } else if !cursor.any(&["the", "that"]) && !words.iter().any(|word| word.quoted) {
        return None;
    }
    if cursor.rest.len() > MOST {
        return None;
    }
    cursor.any(&["author's", "blog"]);
    let place = place(&mut cursor, known);
    let start = cursor;
    cursor.phrase("blog");
    if let [quoted] = cursor.rest
        && quoted.quoted
    {
        let topic = quoted.text.clone();
        return Some(Reference { topic, named: Named::Title, authors, place });
    }
    if let Some(topic) = subtitled(cursor) {
        return Some(Reference { topic, named: Named::Subtitle, authors, place });
    }
    let topic = after_kind(cursor, start).or_else(|| before_kind(start.rest))?;
    Some(Reference { topic, named: Named::Title, authors, place })
}

/// "post with the subtitle about oak", "one subtitled “Oak”".
fn subtitled(mut cursor: Cursor<'_>) -> Option<String> {
    let noun = cursor.take()?;
    let is_one = noun.low == "one" || matches!(kind(noun), Some((_, false)));
    let is_subtitled = is_one && subtitle(&mut cursor, &["with the", "that has the", "under the"]);
    (is_subtitled && !cursor.is_done()).then(|| joined(cursor.rest))
}

/// Passes what says that a subtitle follows: "subtitled", or one of some phrases and "subtitle".
pub(super) fn subtitle(cursor: &mut Cursor<'_>, has: &[&str]) -> bool {
    let mut next = *cursor;
    let is_named = next.any(&["subtitled", "is subtitled", "that is subtitled"])
        || (next.any(has) && next.any(&["subtitle", "subheading"]));
    if is_named {
        next.any(&["about", "on", "that says", "saying", "with"]);
        *cursor = next;
    }
    is_named
}

/// The source in "Londonist piece on …"; "Cloudflare post" alone is on Cloudflare.
fn place(cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<Place> {
    let (place, count) = (1..=4.min(cursor.rest.len())).rev().find_map(|count| {
        let (named, rest) = cursor.rest.split_at(count);
        let [noun, _, ..] = rest else { return None };
        kind(noun)?;
        Some((known.place(named, false)?, count))
    })?;
    cursor.skip(count);
    Some(place)
}

/// "post on kubernetes", "goodbye to Ai2": of the second sort the whole is the topic.
fn after_kind(mut cursor: Cursor<'_>, start: Cursor<'_>) -> Option<String> {
    const LINKS: &[&str] = &[
        "on",
        "about",
        "with",
        "titled",
        "called",
        "entitled",
        "named",
        "regarding",
        "covering",
        "concerning",
        "describing",
        "explaining",
        "announcing",
    ];
    // "The article that …" may be anybody's.
    const MORE_LINKS: &[&str] = &["of", "where", "in which", "to", "from", "that"];
    let noun = cursor.take()?;
    let found = match noun.low.as_str() {
        "one" => Kind::Sure,
        _ => match kind(noun)? {
            (kind, false) => kind,
            (_, true) => return None,
        },
    };
    if let [quoted] = cursor.rest
        && quoted.quoted
    {
        return Some(quoted.text.clone());
    }
    if found == Kind::Sort {
        let is_of = ["on", "about", "with", "of", "to"].contains(&cursor.peek());
        let is_by = cursor.rest.iter().any(|word| word.low == "by");
        return (is_of && !is_by && cursor.rest.len() > 1).then(|| joined(start.rest));
    }
    let is_ours = ["one", "post", "blogpost", "write-up"].contains(&noun.low.as_str());
    if !(cursor.any(LINKS) || (is_ours && cursor.any(MORE_LINKS))) || cursor.is_done() {
        return None;
    }
    Some(joined(cursor.rest))
}

/// "Cloudflare one", "RAG post".
fn before_kind(words: &[Word]) -> Option<String> {
    const ENDS: &[&str] = &[
        "first", "last", "next", "latest", "newest", "oldest", "earliest", "previous", "second",
        "third", "new", "only", "other", "same", "big", "small", "old", "whole",
    ];
    const MOST: usize = 6;
    let (last, topic) = words.split_last()?;
    let is_one = last.low == "one" || matches!(kind(last), Some((Kind::Sure, false)));
    let topic = match topic {
        [rest @ .., blog] if blog.low == "blog" => rest,
        topic => topic,
    };
    let is_end = topic.first().is_none_or(|word| ENDS.contains(&word.low.as_str()));
    let is_sound = topic.len() <= MOST && !topic.iter().any(|word| is_telling(&word.low));
    (is_one && is_sound && !is_end).then(|| joined(topic))
}
