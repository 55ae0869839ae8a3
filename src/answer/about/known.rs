//! The names that the library knows: authors and sources, found in the words of a question.

use jiff::civil::Date;

use super::words::{Cursor, Word, joined};
use crate::base::SourceId;

pub(super) struct Known<'a> {
    pub today: Date,
    pub authors: &'a [String],
    pub sources: &'a [(SourceId, String, Option<String>)],
}

/// Sources that some words mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub sources: Vec<SourceId>,
    pub name: String,
}

/// Words that say that a source is named: after its name, or instead of one.
pub(super) const SITES: &[&str] =
    &["blog", "newsletter", "site", "website", "feed", "weblog", "magazine", "substack"];

/// Parts of hosts that name no source.
const HOSTS: &[&str] = &[
    "www",
    "com",
    "org",
    "net",
    "io",
    "co",
    "uk",
    "ai",
    "dev",
    "de",
    "eu",
    "me",
    "info",
    "blog",
    "blogs",
    "feeds",
    "feed",
    "news",
    "substack",
    "medium",
    "typepad",
    "wordpress",
    "blogspot",
    "github",
    "ghost",
    "localhost",
    "example",
    "home",
    "site",
    "pages",
];

const FILLERS: &[&str] =
    &["the", "a", "an", "of", "on", "by", "and", "in", "for", "to", "stories", "my"];

fn parts(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    Some(host.strip_prefix("www.").unwrap_or(host)).filter(|host| host.contains('.'))
}

/// What a source is called.
fn name(id: &SourceId, title: &str, site: Option<&str>) -> String {
    match title.trim() {
        "" => site.and_then(host).unwrap_or(&id.0).to_owned(),
        title => title.to_owned(),
    }
}

impl Known<'_> {
    /// What the sources are called.
    pub fn names(&self) -> Vec<(SourceId, String)> {
        let named = |(id, title, site): &(SourceId, String, Option<String>)| {
            (id.clone(), name(id, title, site.as_deref()))
        };
        self.sources.iter().map(named).collect()
    }

    /// The authors that the next words name, fully or in part, and how many words those are.
    pub fn author(&self, cursor: Cursor<'_>) -> Option<(Vec<String>, usize)> {
        const NO_NAMES: &[&str] =
            &["author", "authors", "staff", "team", "editor", "admin", "blog", "guest", "noreply"];
        (1..=4.min(cursor.rest.len())).rev().find_map(|count| {
            let words = cursor.rest.get(..count)?;
            let named: Vec<String> = words.iter().flat_map(|word| parts(word.bare())).collect();
            let is_name = |word: &String| {
                count > 1
                    || (word.chars().count() > 1
                        && !NO_NAMES.contains(&word.as_str())
                        && !FILLERS.contains(&word.as_str())
                        && !super::words::is_telling(word))
            };
            if named.is_empty() || !named.iter().all(is_name) {
                return None;
            }
            let is_meant = |author: &&String| {
                let has = parts(author);
                named.iter().all(|word| has.contains(word))
            };
            let found: Vec<String> = self.authors.iter().filter(is_meant).cloned().collect();
            (!found.is_empty()).then_some((found, count))
        })
    }

    /// The sources that some words name. `marked` says that a word such as "blog" shows them to be
    /// a source's name; else they must hold what tells it from others.
    pub fn place(&self, words: &[Word], marked: bool) -> Option<Place> {
        let mut words = words;
        while let [first, rest @ ..] = words
            && ["the", "my"].contains(&first.low.as_str())
        {
            words = rest;
        }
        let mut marked = marked;
        while let [rest @ .., last] = words
            && SITES.contains(&last.low.as_str())
            && !rest.is_empty()
        {
            (words, marked) = (rest, true);
        }
        let typed = words.iter().map(Word::bare).collect::<Vec<_>>().join(" ");
        if typed.is_empty() || words.iter().any(|word| word.quoted) {
            return None;
        }
        let meant: Vec<_> = self
            .sources
            .iter()
            .filter(|(id, title, site)| {
                is_source(&typed, marked, title, site.as_deref().unwrap_or(&id.0))
            })
            .collect();
        let (id, title, site) = meant.first()?;
        let name = name(id, title, site.as_deref());
        let name = if meant.len() > 1 && meant.iter().any(|one| one.1.trim() != title.trim()) {
            joined(words)
        } else {
            name
        };
        Some(Place { sources: meant.into_iter().map(|(id, ..)| id.clone()).collect(), name })
    }
}

fn is_source(typed: &str, marked: bool, title: &str, site: &str) -> bool {
    let host = host(site).map(str::to_lowercase);
    let address = typed.strip_prefix("www.").unwrap_or(typed);
    let is_below = |host: &str| {
        host == address || host.strip_suffix(address).is_some_and(|rest| rest.ends_with('.'))
    };
    if address.contains('.') && host.as_deref().is_some_and(is_below) {
        return true;
    }
    let mut title: Vec<String> = parts(title);
    title.retain(|word| !FILLERS.contains(&word.as_str()) && !SITES.contains(&word.as_str()));
    let labels: Vec<String> = host.iter().flat_map(|host| parts(host)).collect();
    let labels: Vec<&String> =
        labels.iter().filter(|label| !HOSTS.contains(&label.as_str())).collect();
    let named: Vec<String> = parts(typed);
    let named: Vec<&String> =
        named.iter().filter(|word| !FILLERS.contains(&word.as_str())).collect();
    if named.is_empty() {
        return false;
    }
    let initials: String = title.iter().filter_map(|word| word.chars().next()).collect();
    let whole = named.iter().map(|word| word.as_str()).collect::<String>();
    if labels.contains(&&whole) || (initials.chars().count() > 1 && initials == whole) {
        return true;
    }
    let is_in = |word: &&String| title.contains(word) || labels.contains(word);
    let is_telling = |word: &&String| title.first() == Some(*word) || labels.contains(word);
    named.iter().all(is_in) && (marked || named.iter().any(is_telling))
}
