//! Questions about the articles themselves, answered from the library without an LLM: what was
//! published when, by whom, how many, which came before, under which subtitle. Rules recognise them, and no other:
//! [`recognise`] → search for [`About::topics`] → [`choose`] → [`Choice::lines`]. Pure.

mod calendar;
mod choose;
mod groups;
mod known;
mod limits;
mod lists;
mod period;
mod refer;
mod rules;
mod say;
mod tail;
#[cfg(test)]
mod tests;
mod words;

use jiff::civil::Date;

use crate::base::{Filter, SourceId};

pub use choose::{Choice, choose};
pub use say::Line;

/// Which articles are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// How many there are.
    Count,
    /// All, oldest first.
    List,
    /// So many, newest first.
    Newest(usize),
    /// So many, oldest first.
    Oldest(usize),
    /// The oldest and the newest.
    FirstAndLast,
    /// For each topic the one that is on it.
    One,
    /// The one before the one on the topic, in the same source.
    Before,
    /// The one after the one on the topic, in the same source.
    After,
    /// Who wrote them, the most first.
    Authors,
    /// Where they are from, the most first.
    Sources,
}

/// What is asked of an article; the wording depends on it, and whether an article without it will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// When it was published.
    Date,
    /// Who wrote it.
    Author,
    /// What it is called.
    Title,
    /// What its subtitle is.
    Subtitle,
    /// What it says: its beginning, word for word.
    Beginning,
    /// Of several, which is the newest.
    Newest,
    /// Of several, which is the oldest.
    Oldest,
}

/// By which of an article's names a topic is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// Its title.
    #[default]
    Title,
    /// Its subtitle, which an article must have then.
    Subtitle,
}

/// A question about the articles themselves, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Which articles.
    pub what: Wanted,
    /// What of them, besides what `what` says.
    pub facts: Vec<Fact>,
    /// Dates, authors and sources that the question names; [`Filter::accepts`] takes them as they are.
    pub filter: Filter,
    /// The sources of `filter` in words: their titles, or hosts.
    pub place: Option<String>,
    /// What the sources of the library are called: their titles, or hosts.
    pub names: Vec<(SourceId, String)>,
    /// Words that say which articles, to be searched for. [`Wanted::One`] has one or more,
    /// `Before` and `After` one, the others at most one, which the articles must be on.
    pub topics: Vec<String>,
    /// What the topics are compared with, besides what a search for them finds.
    pub named: Named,
}

/// Whether a question has any word without which it can't be about the articles themselves: a quick
/// look, before the library is read.
pub fn may_be(question: &str) -> bool {
    const CUES: [&str; 38] = [
        "post",
        "article",
        "piece",
        "issue",
        "newsletter",
        "entr",
        "essay",
        "blog",
        "wrote",
        "writ",
        "publish",
        "new",
        "appear",
        "came out",
        "come out",
        "went out",
        "put online",
        "author",
        "latest",
        "oldest",
        "earliest",
        "recent",
        "dated",
        "episode",
        "screencast",
        "story",
        "stories",
        "review",
        "subtitle",
        "subheading",
        "everything",
        "anything",
        "announce",
        "feeds",
        "sources",
        "sites",
        "date of",
        "column",
    ];
    let question = question.to_lowercase();
    CUES.iter().any(|cue| question.contains(cue))
}

/// Understands a question about the articles themselves; `None` for any other, and when in doubt.
///
/// Authors are those of the library's articles; sources have their titles and the addresses of their
/// sites. A day is a day of UTC, as `today` should be.
pub fn recognise(
    question: &str,
    today: Date,
    authors: &[String],
    sources: &[(SourceId, String, Option<String>)],
) -> Option<About> {
    let words = words::words(question)?;
    let known = known::Known { today, authors, sources };
    let mut about = rules::read(&words, &known)?;
    about.names = known.names();
    Some(about)
}

impl About {
    /// Whether each of its topics is that of one article.
    pub fn asks_for_one(&self) -> bool {
        matches!(self.what, Wanted::One | Wanted::Before | Wanted::After)
    }

    /// Whether it asks what the articles say, too: how they begin.
    pub fn asks_what_it_says(&self) -> bool {
        self.facts.contains(&Fact::Beginning)
    }

    /// The filters as they are shown to the user: `2025-12-01 … 2025-12-31, source Londonist, author
    /// Laura Reynolds`; empty if there are none.
    pub fn filters(&self) -> String {
        say::filters(self)
    }
}
