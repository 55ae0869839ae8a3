//! A few words put into an earlier question: "And SOAR?" Pure.

use std::ops::Range;

use super::Standalone;
use super::topic::{lowered, topic};
use super::words::{
    Word, is_aux, is_content, is_determiner, is_name, is_plural, is_preposition, is_wh, stem, words,
};

/// A text with other words in some places.
pub(super) fn replaced(text: &str, places: &[(Range<usize>, String)]) -> String {
    let mut places: Vec<_> = places.iter().collect();
    places.sort_by_key(|(range, _)| range.start);
    let (mut out, mut at) = (String::new(), 0);
    for (range, with) in places {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(with);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// A question without its mark.
pub(super) fn without_mark(text: &str) -> String {
    text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '?' | '.' | '!')).to_owned()
}

/// A text that goes on in a sentence.
pub(super) fn going_on(text: &str) -> String {
    words(text).first().map_or(text.to_owned(), |first| lowered(first, text))
}

/// Two questions as one: "Which region went down, and what had caused that?"
pub(super) fn compound(base: &str, rest: &str) -> String {
    let rest = without_mark(&going_on(rest));
    format!("{}, and {rest}?", without_mark(base))
}

/// A question with a few words more.
pub(super) fn appended(base: &str, rest: &str) -> String {
    format!("{} {}?", without_mark(base), without_mark(&going_on(rest)))
}

/// "Why?", "How many?", "Since when?"
pub(super) fn bare_wh(all: &[Word<'_>]) -> bool {
    all.len() <= 4
        && all.iter().take(2).any(|word| is_wh(&word.low))
        && !all
            .iter()
            .any(|word| is_content(&word.low) || super::words::pronoun(&word.low).is_some())
        && !all.iter().any(|word| is_determiner(&word.low) || is_aux(&word.low))
}

/// Whether a word is a number, in digits or in letters.
fn is_number(low: &str) -> bool {
    const TENS: &str = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred thousand";
    const ONES: &str = "two three four five six seven eight nine eleven twelve thirteen fourteen \
        fifteen sixteen seventeen eighteen nineteen";
    low.chars().any(|c| c.is_ascii_digit())
        || low.split('-').all(|part| {
            TENS.split(' ').chain(ONES.split_whitespace()).any(|one| one == part) || part == "one"
        }) && low != "one"
}

/// The words of `base` that a fragment stands in place of, replaced; `None` if none is found.
/// `begins` says that the fragment is all that was written, so that its first letter is large anyhow.
pub(super) fn fragment(base: &str, said: &str, begins: bool) -> Option<Standalone> {
    let said = without_mark(said);
    let new = words(&said);
    let old = words(base);
    let (first, _) = (new.first()?, old.first()?);
    let done = |text: String| Some(Standalone { text, is_whole: true });
    let put = |range, with: &str| replaced(base, &[(range, with.to_owned())]);
    if let Some(text) = ones(base, &said, &new, &old) {
        return done(text);
    }
    let content: Vec<&Word<'_>> = new.iter().filter(|word| is_content(&word.low)).collect();
    // A year has no other year to stand in place of unless there is one.
    if let Some(number) = new.iter().find(|word| is_number(&word.low))
        && let Some(of) = old.iter().rev().find(|word| is_number(&word.low))
    {
        return done(put(of.range.clone(), number.text));
    }
    if is_preposition(&first.low) {
        if let Some(at) = old.iter().rposition(|word| word.low == first.low && !word.ends) {
            let end = old[at + 1..]
                .iter()
                .position(|word| word.ends || is_aux(&word.low) || is_preposition(&word.low));
            let end = match end {
                Some(n) if is_preposition(&old[at + 1 + n].low) || is_aux(&old[at + 1 + n].low) => {
                    at + n
                }
                Some(n) => at + 1 + n,
                None => old.len() - 1,
            };
            if end > at {
                return done(put(old[at].range.start..old[end].range.end, &going_on(&said)));
            }
        }
        return done(appended(base, &said));
    }
    let is_named = |word: &Word<'_>| {
        let inner = word.text.chars().skip(1).any(char::is_uppercase);
        is_name(word.text) && (inner || !begins || word.range.start > 0)
    };
    let names = content.iter().filter(|word| is_named(word)).count();
    if names > 0 && names == content.len() {
        let all_of = |word: &Word<'_>| is_name(word.text) && is_content(&word.low);
        let end = old.iter().rposition(all_of).filter(|at| *at > 0);
        if let Some(end) = end {
            let from = old[..end].iter().rposition(|word| !all_of(word)).map_or(0, |at| at + 1);
            let range = old[from].range.start..old[end].range.end;
            let owns = |text: &str| text.ends_with("'s") || text.ends_with("’s");
            let mut with: String = said.get(content[0].range.start..)?.to_owned();
            if owns(&with) && !owns(&base[range.clone()]) {
                with.truncate(with.len() - if with.ends_with("’s") { "’s".len() } else { 2 });
            } else if owns(&base[range.clone()]) && !owns(&with) {
                with.push_str("'s");
            }
            return done(put(range, &with));
        }
    }
    subject(base, &said, &new)
}

/// A noun in place of the one that the question is about.
fn subject(base: &str, said: &str, new: &[Word<'_>]) -> Option<Standalone> {
    let topic = topic(base)?;
    let length = topic.text.len();
    let is_there = |at: &usize| {
        base.get(*at..at + length).is_some_and(|same| same.eq_ignore_ascii_case(&topic.text))
            && !base[at + length..].starts_with(char::is_alphanumeric)
    };
    let at = words(base).iter().map(|word| word.range.start).find(is_there)?;
    let inside = words(&topic.text);
    // Where the topic says of what it is, only its noun is another.
    let is_placed = new.iter().any(|word| is_preposition(&word.low));
    let length = inside
        .iter()
        .skip(1)
        .position(|word| is_preposition(&word.low))
        .filter(|_| !is_placed)
        .map_or(topic.text.len(), |at| inside[at].range.end);
    let first = new.first()?;
    let is_shouted = first.text.chars().skip(1).any(char::is_uppercase);
    let with = if is_shouted || first.text.chars().count() < 2 {
        said.to_owned()
    } else {
        let mut letters = said.chars();
        letters.next().map(|c| c.to_lowercase().chain(letters).collect::<String>())?
    };
    let text = replaced(base, &[(at..at + length, with)]);
    Some(Standalone { text, is_whole: true })
}

/// "And hosted ones?", "The one with Jupyter".
fn ones(base: &str, said: &str, new: &[Word<'_>], old: &[Word<'_>]) -> Option<String> {
    let at = new.iter().position(|word| ["one", "ones"].contains(&word.low.as_str()))?;
    // "Just the one plank."
    if new[at].low == "one" && new.get(at + 1).is_some_and(|next| is_content(&next.low)) {
        return None;
    }
    let wh = old.iter().position(|word| ["which", "what"].contains(&word.low.as_str()))?;
    let behind = &old[wh + 1..];
    // "Which vector databases are", "which project uses".
    let end = behind.iter().position(|word| is_aux(&word.low)).unwrap_or(1).max(1);
    let noun = behind.get(..end)?;
    let noun = base.get(noun.first()?.range.start..noun.last()?.range.end)?;
    let verb = if is_plural(noun) { "are" } else { "is" };
    if new[at].low == "one" && at <= 1 {
        return Some(format!("Which {noun} {verb} {}?", going_on(said)));
    }
    let said = replaced(said, &[(new[at].range.clone(), noun.to_owned())]);
    Some(format!("Which {} are there?", going_on(&said).trim_start_matches("the ")))
}

/// "Not that one, the other. Is it sound?": what is asked of the other.
pub(super) fn other(base: &str, meant: &str) -> Option<String> {
    let rest = meant.get("the other".len()..)?;
    if !meant.to_lowercase().starts_with("the other") || rest.starts_with(char::is_alphanumeric) {
        return None;
    }
    let topic = topic(base)?;
    let old = words(base);
    let noun = match old.iter().position(|word| ["which", "what"].contains(&word.low.as_str())) {
        Some(wh) if topic.asked => old.get(wh + 1)?.text,
        _ => return None,
    };
    let asked = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    let asked = asked.strip_prefix("one").unwrap_or(asked);
    let asked = asked.trim_start_matches(|c: char| !c.is_alphanumeric());
    let subject = format!("the other {noun}, not {}", topic.text);
    Some(match asked.is_empty() {
        true => format!("What about {subject}?"),
        false => format!("About {subject}: {}", going_on(asked)),
    })
}

/// What was meant in place of what was not.
pub(super) fn instead(base: &str, was: &str, meant: &str) -> Option<String> {
    let was: Vec<String> = words(was)
        .iter()
        .filter(|word| is_content(&word.low))
        .map(|word| stem(&word.low).to_owned())
        .collect();
    let old = words(base);
    let is_it = |word: &Word<'_>| was.iter().any(|one| one == stem(&word.low));
    let mut from = old.iter().position(is_it)?;
    let to = old.iter().rposition(is_it)?;
    while from > 0 {
        let before = &old[from - 1];
        if !(is_determiner(&before.low) || before.low.ends_with("'s")) {
            break;
        }
        from -= 1;
    }
    let range = old[from].range.start..old[to].range.end;
    Some(replaced(base, &[(range, without_mark(&going_on(meant)))]))
}
