//! A choice in plain English.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::calendar::MONTHS;
use super::words::NUMBERS;
use super::{About, Choice, Fact, Named, Wanted};
use crate::base::ArticleMeta;

/// How many articles a list shows.
const SHOWN: usize = 20;

/// How many articles of a group are cited.
const CITED: usize = 1;

/// A sentence of an answer, or an item of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As it is shown; items begin with `- `.
    pub text: String,
    /// The articles that it cites, as indexes into those that were chosen from.
    pub articles: Vec<usize>,
}

impl Choice {
    /// The answer: sentences, then the items of a list.
    pub fn lines(&self, about: &About, articles: &[ArticleMeta]) -> Vec<Line> {
        let say = Say { about, articles };
        match self {
            Choice::All { articles: all, undated } => match about.what {
                Wanted::Authors => say.authors_of(all),
                Wanted::Sources => say.sources_of(all),
                _ => say.all(all, *undated),
            },
            Choice::Nearest(these) => say.nearest(these),
            Choice::These(these) => say.these(these),
            Choice::Neighbour { of, article } => vec![say.beside(*of, *article)],
        }
    }
}

struct Say<'a> {
    about: &'a About,
    articles: &'a [ArticleMeta],
}

impl Say<'_> {
    fn title(&self, at: usize) -> String {
        let title = self.articles.get(at).map_or("", |article| article.title.trim());
        match title {
            "" => "an untitled post".to_owned(),
            title => quoted(title),
        }
    }

    /// Its subtitle, if the question is about that.
    fn subtitle(&self, at: usize) -> Option<String> {
        let About { named, facts, .. } = self.about;
        let is_asked = *named == Named::Subtitle || facts.contains(&Fact::Subtitle);
        let subtitle = self.articles.get(at)?.subtitle.as_deref().filter(|_| is_asked)?;
        Some(quoted(subtitle))
    }

    /// Its title, with its subtitle if the question is about that.
    fn name(&self, at: usize) -> String {
        match self.subtitle(at) {
            Some(subtitle) => format!("{} (subtitle: {subtitle})", self.title(at)),
            None => self.title(at),
        }
    }

    fn date(&self, at: usize) -> Option<String> {
        self.articles.get(at)?.published.and_then(date_of).map(written)
    }

    fn authors(&self, at: usize) -> String {
        self.articles.get(at).map_or_else(String::new, |article| listed(&article.authors, "and"))
    }

    /// "of Londonist by Ana Holm", each with a space before it.
    fn whose(&self) -> String {
        let mut text = String::new();
        if let Some(place) = &self.about.place {
            text += &format!(" of {place}");
        }
        if !self.about.filter.authors.is_empty() {
            text += &format!(" by {}", listed(&self.about.filter.authors, "or"));
        }
        text
    }

    /// "of Londonist by Ana Holm on “kubernetes”", each with a space before it.
    fn limits(&self) -> String {
        let mut text = self.whose();
        if let (Some(topic), false) = (self.about.topics.first(), self.about.asks_for_one()) {
            text += &format!(" on “{topic}”");
        }
        text
    }

    fn period(&self) -> Option<String> {
        let filter = &self.about.filter;
        in_words(filter.since.and_then(date_of), filter.until.and_then(date_of))
    }

    fn item(&self, at: usize) -> Line {
        let mut text = format!("- {}", self.title(at));
        if let Some(subtitle) = self.subtitle(at) {
            text += &format!(": {subtitle}");
        }
        let authors = self.authors(at);
        if self.about.facts.contains(&Fact::Author) && !authors.is_empty() {
            text += &format!(" by {authors}");
        }
        if let Some(date) = self.date(at) {
            text += &format!(" ({date})");
        }
        Line { text, articles: vec![at] }
    }

    fn all(&self, all: &[usize], undated: usize) -> Vec<Line> {
        let n = all.len();
        let shown = all.get(..SHOWN).unwrap_or(all);
        let limits = self.limits();
        let many = capital(&number(n));
        let (s, were) = if n == 1 { ("", "was") } else { ("s", "were") };
        let mut text = match self.period() {
            Some(period) => format!("{many} post{s}{limits} {were} published {period}."),
            None => {
                let there = if n == 1 { "is" } else { "are" };
                format!("There {there} {} post{s}{limits} in the library.", number(n))
            }
        };
        if undated > 0 {
            let has = if undated == 1 { "has" } else { "have" };
            text += &format!(" {} more {has} no date.", capital(&number(undated)));
        }
        let mut lines = vec![Line { text, articles: shown.to_vec() }];
        let is_end = |fact: &Fact| matches!(fact, Fact::Newest | Fact::Oldest);
        let dated: Vec<usize> = all.iter().copied().filter(|&at| self.date(at).is_some()).collect();
        for fact in self.about.facts.iter().filter(|_| dated.len() > 1) {
            match (fact, dated.as_slice()) {
                (Fact::Oldest, [first, ..]) => lines.push(self.named("The oldest is", *first)),
                (Fact::Newest, [.., last]) => lines.push(self.named("The newest is", *last)),
                _ => {}
            }
        }
        if self.about.what == Wanted::Count && self.about.facts.iter().all(is_end) {
            return lines;
        }
        lines.extend(shown.iter().map(|&at| self.item(at)));
        let left = n.saturating_sub(shown.len());
        if left > 0 {
            let text = format!("- and {} more", number(left));
            lines.push(Line { text, articles: Vec::new() });
        }
        lines
    }

    /// Those that a search finds nearest to the topic.
    fn nearest(&self, these: &[usize]) -> Vec<Line> {
        let topic = self.about.topics.first().map_or("", String::as_str);
        let mut limits = self.whose();
        if let Some(period) = self.period() {
            limits += &format!(" published {period}");
        }
        let lead = match these {
            [only] => {
                return vec![
                    self.named(&format!("The post{limits} nearest to “{topic}” is"), *only),
                ];
            }
            many => format!("The {} posts{limits} nearest to “{topic}” are:", number(many.len())),
        };
        let mut lines = vec![Line { text: lead, articles: Vec::new() }];
        lines.extend(these.iter().map(|&at| self.item(at)));
        lines
    }

    /// Who wrote some articles, the most first.
    fn authors_of(&self, all: &[usize]) -> Vec<Line> {
        let authors = |at: usize| self.articles.get(at).map_or(&[][..], |one| &one.authors[..]);
        let mut counts: Vec<(&str, Vec<usize>)> = Vec::new();
        for &at in all {
            for author in authors(at) {
                match counts.iter_mut().find(|(known, _)| known == author) {
                    Some((_, of)) => of.push(at),
                    None => counts.push((author, vec![at])),
                }
            }
        }
        let nobodys: Vec<usize> =
            all.iter().copied().filter(|&at| authors(at).is_empty()).collect();
        let n = counts.len();
        let many = if n == 0 { all.len() } else { all.len() - nobodys.len() };
        let posts = capital(&posts_in_words(many));
        let period = self.period().map(|period| format!(" published {period}")).unwrap_or_default();
        let text = match (n, many) {
            (0, 1) => format!("{posts}{}{period} names no author.", self.limits()),
            (0, _) => format!("{posts}{}{period} name no author.", self.limits()),
            (n, many) => {
                let was = if many == 1 { "was" } else { "were" };
                let s = if n == 1 { "" } else { "s" };
                format!(
                    "{posts}{}{period} {was} written by {} author{s}.",
                    self.limits(),
                    number(n)
                )
            }
        };
        let mut lines = self.grouped(text, counts, "author");
        if n > 0 && !nobodys.is_empty() {
            let text = format!("- no author given: {}", posts_in_words(nobodys.len()));
            lines.push(Line { text, articles: nobodys.into_iter().take(CITED).collect() });
        }
        lines
    }

    /// Where some articles are from, the most first.
    fn sources_of(&self, all: &[usize]) -> Vec<Line> {
        let mut counts: Vec<(&str, Vec<usize>)> = Vec::new();
        for (id, name) in &self.about.names {
            let is_of = |at: &usize| self.articles.get(*at).is_some_and(|one| one.source == *id);
            counts.push((name, all.iter().copied().filter(is_of).collect()));
        }
        let (is, s) = if counts.len() == 1 { ("is", "") } else { ("are", "s") };
        let text = format!("There {is} {} source{s} in the library.", number(counts.len()));
        self.grouped(text, counts, "source")
    }

    /// A sentence and its groups of articles, each with how many they are.
    fn grouped(&self, text: String, mut groups: Vec<(&str, Vec<usize>)>, what: &str) -> Vec<Line> {
        groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
        let mut lines = vec![Line { text, articles: Vec::new() }];
        lines.extend(groups.iter().take(SHOWN).map(|(name, of)| {
            // The newest are what one would look at.
            let articles = of.iter().rev().copied().take(CITED).collect();
            Line { text: format!("- {name}: {}", posts_in_words(of.len())), articles }
        }));
        let left = groups.len().saturating_sub(SHOWN);
        if left > 0 {
            let s = if left == 1 { "" } else { "s" };
            let text = format!("- and {} more {what}{s}", number(left));
            lines.push(Line { text, articles: Vec::new() });
        }
        lines
    }

    fn these(&self, these: &[usize]) -> Vec<Line> {
        let mut limits = self.limits();
        if let Some(period) = self.period() {
            limits += &format!(" published {period}");
        }
        let age = |is_new| if is_new { "newest" } else { "oldest" };
        match (self.about.what, these) {
            (Wanted::Newest(_) | Wanted::Oldest(_), [only]) => {
                let age = age(matches!(self.about.what, Wanted::Newest(_)));
                vec![self.named(&format!("The {age} post{limits} is"), *only)]
            }
            (Wanted::Newest(_) | Wanted::Oldest(_), many) => {
                let age = age(matches!(self.about.what, Wanted::Newest(_)));
                let shown = many.get(..SHOWN).unwrap_or(many);
                let count = number(many.len());
                let text = format!("These are the {count} {age} posts{limits}.");
                let mut lines = vec![Line { text, articles: shown.to_vec() }];
                lines.extend(shown.iter().map(|&at| self.item(at)));
                let left = many.len() - shown.len();
                if left > 0 {
                    let text = format!("- and {} more", number(left));
                    lines.push(Line { text, articles: Vec::new() });
                }
                lines
            }
            (Wanted::FirstAndLast, [first, last]) => vec![
                self.named(&format!("The first post{limits} is"), *first),
                self.named("The last is", *last),
            ],
            (Wanted::FirstAndLast, [only]) => {
                vec![self.named(&format!("The only post{limits} is"), *only)]
            }
            (
                Wanted::Count
                | Wanted::List
                | Wanted::Authors
                | Wanted::Sources
                | Wanted::FirstAndLast
                | Wanted::One
                | Wanted::Before
                | Wanted::After,
                many,
            ) => many.iter().map(|&at| self.one(at)).collect(),
        }
    }

    /// "The newest post is “X” of 12 May 2026."
    fn named(&self, lead: &str, at: usize) -> Line {
        let mut text = format!("{lead} {}", self.name(at));
        let authors = self.authors(at);
        if self.about.facts.contains(&Fact::Author) && !authors.is_empty() {
            text += &format!(" by {authors}");
        }
        if let Some(date) = self.date(at) {
            text += &format!(" of {date}");
        }
        Line { text: text + ".", articles: vec![at] }
    }

    /// "“X” was published on 17 December 2025 by Ana Holm."
    fn one(&self, at: usize) -> Line {
        if let (Some(subtitle), [Fact::Subtitle]) = (self.subtitle(at), &*self.about.facts) {
            let is_sentence = subtitle.trim_end_matches('”').ends_with(['.', '!', '?', '…']);
            let end = if is_sentence { "" } else { "." };
            let text = format!("The subtitle of {} is {subtitle}{end}", self.title(at));
            return Line { text, articles: vec![at] };
        }
        let title = capital(&self.name(at));
        let authors = self.authors(at);
        let by = if authors.is_empty() { String::new() } else { format!(" by {authors}") };
        let unknown = authors.is_empty() && self.about.facts.contains(&Fact::Author);
        let mut text = match self.date(at) {
            Some(date) => format!("{title} was published on {date}{by}."),
            None if by.is_empty() => format!("It is {title}."),
            None => format!("{title} was written{by}."),
        };
        if unknown {
            text += " Its author is not given.";
        }
        Line { text, articles: vec![at] }
    }

    fn beside(&self, of: usize, article: Option<usize>) -> Line {
        let before = self.about.what == Wanted::Before;
        let side = if before { "before" } else { "after" };
        let title = self.title(of);
        match article {
            Some(at) => {
                let mut line = self.named(&format!("The post {side} {title} is"), at);
                line.articles.push(of);
                line
            }
            None => {
                let text = format!("The library has no post {side} {title}.");
                Line { text, articles: vec![of] }
            }
        }
    }
}

fn posts_in_words(n: usize) -> String {
    format!("{} post{}", number(n), if n == 1 { "" } else { "s" })
}

fn quoted(name: &str) -> String {
    format!("“{}”", name.replace('“', "‘").replace('”', "’"))
}

fn number(n: usize) -> String {
    NUMBERS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}

/// "A, B and C".
fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [some @ .., end] => format!("{} {last} {end}", some.join(", ")),
    }
}

fn date_of(at: Timestamp) -> Option<Date> {
    Some(at.to_zoned_datetime(TimeZone::UTC).date())
}

fn month(date: Date) -> &'static str {
    let at = usize::try_from(date.month() - 1).unwrap_or(0);
    MONTHS.get(at).copied().unwrap_or("")
}

fn written(date: Date) -> String {
    format!("{} {} {}", date.day(), month(date), date.year())
}

/// A period as an adverb: "in May 2026", "on 7 April 2014", "since 1 March 2026".
fn in_words(since: Option<Date>, until: Option<Date>) -> Option<String> {
    let last = |until: Date| until.checked_sub(1.day()).ok();
    match (since, until) {
        (None, None) => None,
        (Some(since), None) => Some(format!("since {}", written(since))),
        (None, Some(until)) => Some(format!("before {}", written(until))),
        (Some(since), Some(until)) => {
            let end = last(until)?;
            let is_from = |month: i8| since.day() == 1 && (month == 0 || since.month() == month);
            Some(if since == end {
                format!("on {}", written(since))
            } else if is_from(0) && end == since.last_of_month() {
                format!("in {} {}", month(since), since.year())
            } else if is_from(1) && end == since.last_of_year() {
                format!("in {}", since.year())
            } else if since.year() == end.year() {
                let day = format!("{} {}", since.day(), month(since));
                format!("from {day} to {}", written(end))
            } else {
                format!("from {} to {}", written(since), written(end))
            })
        }
    }
}

pub(super) fn filters(about: &About) -> String {
    let since = about.filter.since.and_then(date_of);
    let last = about.filter.until.and_then(date_of).and_then(|date| date.checked_sub(1.day()).ok());
    let mut parts = Vec::new();
    match (since, last) {
        (None, None) => {}
        (Some(since), Some(last)) if since == last => parts.push(since.to_string()),
        (Some(since), Some(last)) => parts.push(format!("{since} … {last}")),
        (Some(since), None) => parts.push(format!("{since} …")),
        (None, Some(last)) => parts.push(format!("… {last}")),
    }
    if let Some(place) = &about.place {
        parts.push(format!("source {place}"));
    }
    if !about.filter.authors.is_empty() {
        parts.push(format!("author {}", listed(&about.filter.authors, "or")));
    }
    parts.join(", ")
}
