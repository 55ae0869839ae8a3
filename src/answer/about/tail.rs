//! What is asked besides, at the end of a question.

use super::Fact;
use super::words::{Cursor, Word};

/// What is asked besides, after "and": "and when was it put online".
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub facts: Vec<Fact>,
    /// It says that what was written or published is meant, not merely "and when".
    pub is_clear: bool,
}

impl Tail {
    pub fn with(&self, facts: &[Fact]) -> Vec<Fact> {
        let mut all = facts.to_vec();
        all.extend(self.facts.iter().filter(|fact| !facts.contains(fact)));
        all
    }
}

/// A question without what is asked besides.
pub(super) fn tail(words: &[Word]) -> (&[Word], Tail) {
    let is_break = |word: &Word| matches!(word.low.as_str(), "," | "and");
    let breaks = words.iter().enumerate().filter(|(_, word)| is_break(word));
    for (at, _) in breaks {
        let (main, rest) = words.split_at(at);
        let mut tail = Tail::default();
        let mut clauses = rest.split(is_break).filter(|clause| !clause.is_empty());
        if clauses.all(|clause| fact(clause, &mut tail)) && !tail.facts.is_empty() {
            return (main, tail);
        }
    }
    (words, Tail::default())
}

/// "which one is the latest".
fn end(mut at: Cursor<'_>) -> Option<Fact> {
    let asked = ["which one of them", "which of them", "which one", "which", "what"];
    let is_asked = at.any(&asked) && at.any(&["is", "was", "came out", "came"]);
    at.any(&["the"]);
    let found = if at.any(&["newest", "latest", "most recent", "last"]) {
        Fact::Newest
    } else if at.any(&["oldest", "earliest", "first"]) {
        Fact::Oldest
    } else {
        return None;
    };
    at.any(&["one of them", "of them", "one", "of these"]);
    (is_asked && at.is_done()).then_some(found)
}

/// "what are they about".
fn subject(mut at: Cursor<'_>) -> Option<Fact> {
    let is_asked = at.any(&["what are they", "what is it", "what are these", "what is that"]);
    (is_asked && at.phrase("about") && at.is_done()).then_some(Fact::Beginning)
}

fn fact(clause: &[Word], tail: &mut Tail) -> bool {
    const CLEAR: &[&str] = &[
        "run",
        "appear",
        "come",
        "came",
        "out",
        "published",
        "posted",
        "online",
        "written",
        "write",
        "wrote",
        "called",
        "titled",
        "title",
        "titles",
        "from",
        "author",
        "headline",
        "dated",
        "subtitle",
        "subtitles",
        "subtitled",
        "subheading",
    ];
    const OTHER: &[&str] = &[
        "did", "was", "were", "is", "are", "it", "that", "they", "them", "the", "its", "their",
        "put", "go", "went", "live", "up", "of", "by", "posts", "post", "article", "articles",
        "please", "one", "ones", "this", "in",
    ];
    let mut at = Cursor::new(clause);
    at.any(&["also", "tell me", "say"]);
    if let Some(found) = end(at).or_else(|| subject(at)) {
        tail.is_clear = true;
        if !tail.facts.contains(&found) {
            tail.facts.push(found);
        }
        return true;
    }
    let found = if at.any(&["from when", "since when", "when"]) {
        tail.is_clear |= clause.first().is_some_and(|word| word.low == "from");
        Fact::Date
    } else if at.any(&["on what", "on which", "in what", "in which", "from what", "what", "which"])
    {
        match at.peek() {
            "day" | "date" | "month" | "year" => Fact::Date,
            "title" | "titles" | "is" | "are" | "was" | "were" => Fact::Title,
            "" | "ones" | "one" if clause.first().is_some_and(|word| word.low == "which") => {
                Fact::Title
            }
            _ => return false,
        }
    } else if at.any(&["how many"]) {
        at.any(&["are there", "were there", "is that", "are they"]);
        Fact::Title
    } else if at.any(&["how", "list", "name"]) {
        if !at.rest.iter().any(|word| ["called", "titled", "them"].contains(&word.low.as_str())) {
            return false;
        }
        Fact::Title
    } else if at.any(&["who", "by whom", "by who", "whose"]) {
        Fact::Author
    } else {
        return false;
    };
    let mut rest = at.rest;
    if found == Fact::Date
        && let [first, after @ ..] = rest
        && ["day", "date", "month", "year"].contains(&first.low.as_str())
    {
        rest = after;
    }
    let is_author = rest.iter().any(|word| ["author", "wrote"].contains(&word.low.as_str()));
    let is_clear = |word: &Word| CLEAR.contains(&word.low.as_str());
    let is_other = |word: &Word| OTHER.contains(&word.low.as_str());
    if !rest.iter().all(|word| is_clear(word) || is_other(word)) {
        return false;
    }
    tail.is_clear |= rest.iter().any(is_clear);
    let is_subtitle =
        rest.iter().any(|word| word.low.starts_with("subtitle") || word.low == "subheading");
    let found = match found {
        Fact::Title if is_author => Fact::Author,
        Fact::Title if is_subtitle => Fact::Subtitle,
        found => found,
    };
    if !tail.facts.contains(&found) {
        tail.facts.push(found);
    }
    true
}
