//! What narrows the articles that are asked for: period, author, source, topic.

use jiff::civil::Date;

use super::known::{Known, Place, SITES};
use super::period::{self, Period};
use super::words::{Cursor, Word, is_telling, joined};
use super::{About, Fact, Named, Wanted};
use crate::base::Filter;

#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    since: Option<Date>,
    until: Option<Date>,
    pub authors: Vec<String>,
    pub place: Option<Place>,
    pub topic: Option<String>,
    /// It is said that they are those of the library, or that they are the author's.
    pub library: bool,
    /// They were said to be published: after that, "on" is about a place or a day.
    pub published: bool,
}

const PUBLISHED: &[&str] = &[
    "published",
    "posted",
    "written",
    "dated",
    "appeared",
    "appear",
    "came out",
    "come out",
    "went out",
    "go out",
    "put online",
    "put out",
    "ran",
    "run",
    "went live",
    "went up",
];
const LIBRARY: &[&str] = &[
    "do i have in the library",
    "do i have",
    "i have",
    "have i got",
    "i've got",
    "i saved",
    "are there",
    "there are",
    "are in the library",
    "are in my library",
    "in the library",
    "in my library",
    "in the knowledge base",
    "on the blog",
    "of the blog",
    "on this blog",
    "on the site",
    "in the newsletter",
    "of the newsletter",
    "in this newsletter",
    "in my feeds",
    "in the feed",
    "in my articles",
    "in the articles",
    "among my articles",
    "here",
    "are you aware of",
    "do you have",
    "do you know",
];
const FILLERS: &[&str] = &[
    "that were",
    "that was",
    "which were",
    "that have been",
    "have been",
    "has been",
    "that",
    "were",
    "was",
    "are",
    "is",
    "so far",
    "in total",
    "altogether",
    "in all",
    "overall",
    "ever",
    "everything",
    "exactly",
    "just",
    ",",
    "and",
];
/// What stands before a topic.
const TOPICS: &[&str] = &[
    "on",
    "about",
    "regarding",
    "concerning",
    "covering",
    "to do with",
    "mention",
    "mentioning",
    "talk about",
    "talking about",
    "deal with",
    "dealing with",
    "discuss",
    "discussing",
    "cover",
];
const SUBJECTS: &[&str] = &[
    "the author",
    "the authors",
    "the blogger",
    "the writer",
    "the blog",
    "the newsletter",
    "this author",
    "this blog",
    "this newsletter",
];
const WRITES: &[&str] = &[
    "write about",
    "wrote about",
    "blog about",
    "write",
    "wrote",
    "written",
    "publish",
    "published",
    "posted",
    "post",
    "put out",
    "have",
    "blog",
    "release",
    "contribute",
];

impl Limits {
    pub fn is_narrow(&self) -> bool {
        self.has_period() || self.is_named()
    }

    /// Whether an author or a source of the library is named.
    pub fn is_named(&self) -> bool {
        !self.authors.is_empty() || self.place.is_some()
    }

    pub fn has_period(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Reads words that end with the cursor; `None` if there is any that limits nothing.
    pub fn read(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        while !cursor.is_done() {
            self.one(cursor, known)?;
        }
        Some(())
    }

    fn one(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        if let Some(period) = period::read(cursor, known.today) {
            return self.narrow(period);
        }
        if cursor.any(&["by", "from the pen of"]) {
            return self.subject(cursor, known);
        }
        let before = *cursor;
        if cursor.any(&["did", "has", "have", "does"]) {
            if self.subject(cursor, known).is_some() {
                let has = before.peek() != "did";
                if cursor.any(WRITES) || (has && cursor.phrase("got")) {
                    self.library = true;
                    return Some(());
                }
            }
            *cursor = before;
        }
        if cursor.any(LIBRARY) {
            self.library = true;
            return Some(());
        }
        if cursor.any(PUBLISHED) {
            self.published = true;
            return Some(());
        }
        if cursor.any(&["on", "in", "from", "at", "of", "for"])
            && self.place(cursor, known).is_some()
        {
            return Some(());
        }
        *cursor = before;
        if !self.published && cursor.any(TOPICS) {
            return self.topic(cursor, known);
        }
        if cursor.any(FILLERS) { Some(()) } else { None }
    }

    fn narrow(&mut self, period: Period) -> Option<()> {
        let meets = |has: &mut Option<Date>, new: Option<Date>| {
            let is_free = has.is_none() || new.is_none();
            *has = has.or(new);
            is_free
        };
        let since = meets(&mut self.since, period.since);
        (since && meets(&mut self.until, period.until)).then_some(())
    }

    /// Someone who writes: nobody in particular, an author or a source.
    pub fn subject(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        if let Some((authors, count)) = known.author(*cursor) {
            cursor.skip(count);
            self.authors = authors;
            return Some(());
        }
        let before = *cursor;
        if cursor.any(SUBJECTS) && !SITES.contains(&cursor.peek()) {
            self.library = true;
            return Some(());
        }
        *cursor = before;
        self.place(cursor, known)
    }

    /// Somewhere that is written for: a source before an author of that name.
    pub fn writes_for(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        self.place(cursor, known).or_else(|| self.subject(cursor, known))
    }

    /// The longest run of words that names a source.
    fn place(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        let (place, count) = (1..=6.min(cursor.rest.len())).rev().find_map(|count| {
            let words = cursor.rest.get(..count)?;
            Some((known.place(words, false)?, count))
        })?;
        cursor.skip(count);
        self.place = Some(place);
        Some(())
    }

    /// What the articles are on: all words up to another limit.
    fn topic(&mut self, cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<()> {
        const MOST: usize = 8;
        let start = *cursor;
        while !cursor.is_done() {
            let mut next = *cursor;
            let is_limit = period::read(&mut next, known.today).is_some()
                || next.any(LIBRARY)
                || next.any(PUBLISHED)
                || (next.peek() == "by"
                    && known.author(Cursor::new(next.rest.get(1..)?)).is_some())
                || (matches!(next.peek(), "on" | "in" | "from" | "did" | "were" | "was" | "have")
                    && Limits::default().one(&mut next.clone(), known).is_some());
            if is_limit {
                break;
            }
            cursor.skip(1);
        }
        let words = cursor.since(start);
        let is_sound = !words.is_empty()
            && words.len() <= MOST
            && !words.iter().any(|word| is_telling(&word.low) || word.low == "by");
        if self.topic.is_some() || !is_sound {
            return None;
        }
        self.topic = Some(joined(words));
        Some(())
    }

    /// Words before "posts": "AWS", "Ana Holm's", "kubernetes".
    pub fn before_noun(&mut self, words: &[Word], known: &Known<'_>) -> Option<()> {
        const EMPTY: &[&str] =
            &["the", "all", "any", "every", "new", "blog", "other", "of", "my", "those", "these"];
        let mut words = words;
        while let [first, rest @ ..] = words
            && EMPTY.contains(&first.low.as_str())
        {
            words = rest;
        }
        if let Some((authors, count)) = known.author(Cursor::new(words))
            && words.get(..count).and_then(<[Word]>::last).is_some_and(Word::is_possessive)
        {
            self.authors = authors;
            words = words.get(count..)?;
        }
        let mut cursor = Cursor::new(words);
        if let Some(period) = period::read(&mut cursor, known.today) {
            self.narrow(period)?;
            words = cursor.rest;
        }
        if let [rest @ .., last] = words
            && last.low == "blog"
            && known.place(words, true).is_none()
        {
            words = rest;
        }
        if words.is_empty() {
            return Some(());
        }
        self.place = known.place(words, false);
        if self.place.is_some() {
            return Some(());
        }
        let is_topic = words.len() <= 3
            && !words.iter().any(|word| is_telling(&word.low) || word.quoted)
            && !words.iter().any(Word::is_possessive)
            && !words
                .iter()
                .any(|word| ["the", "of", "a", "an", "to"].contains(&word.low.as_str()));
        self.topic = is_topic.then(|| joined(words));
        self.topic.as_ref().map(|_| ())
    }

    pub fn about(self, what: Wanted, facts: Vec<Fact>) -> Option<About> {
        let (since, until) = Period { since: self.since, until: self.until }.moments()?;
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return None;
        }
        let (sources, place) = match self.place {
            Some(place) => (place.sources, Some(place.name)),
            None => (Vec::new(), None),
        };
        let filter = Filter { since, until, authors: self.authors, sources, ..Filter::default() };
        let topics = self.topic.into_iter().collect();
        let names = Vec::new();
        Some(About { what, facts, filter, place, names, topics, named: Named::Title })
    }
}
