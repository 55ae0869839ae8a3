//! From a question understood and the library's articles to those that answer it.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{About, Fact, Named, Wanted};
use crate::base::{ArticleMeta, Filter};
use crate::document::terms;

/// The articles that answer a question about them, as indexes into those that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All that are meant, in the order in which they are shown; may be none.
    All {
        /// Which.
        articles: Vec<usize>,
        /// How many more may be meant, but have no date.
        undated: usize,
    },
    /// Those whose titles name the topic, and those that a search for it ranks highest, best first.
    Nearest(Vec<usize>),
    /// One for each topic, the first and the last, or the newest or oldest.
    These(Vec<usize>),
    /// The one beside another in its source.
    Neighbour {
        /// The one that the question names.
        of: usize,
        /// `None` if it is the source's first or last.
        article: Option<usize>,
    },
}

/// Picks the articles; `None` if the library can't tell, so that the question is better answered
/// from what the articles say.
///
/// `found` has for each topic of the question the articles that a search for it found, best first,
/// with scores from 0 up, such as that of the article's best chunk.
pub fn choose(
    about: &About,
    articles: &[ArticleMeta],
    found: &[Vec<(usize, f32)>],
) -> Option<Choice> {
    let passing: Vec<usize> = (0..articles.len())
        .filter(|&at| articles.get(at).is_some_and(|article| about.filter.accepts(article)))
        .collect();
    let topic = |n: usize| {
        let ranking = found.get(n).map_or(&[][..], Vec::as_slice);
        about.topics.get(n).map(|topic| Topic::new(topic, about.named, articles, &passing, ranking))
    };
    let choice = match about.what {
        Wanted::One => {
            let picked: Option<Vec<usize>> =
                (0..about.topics.len()).map(|n| topic(n)?.best()).collect();
            let picked = picked.filter(|picked| !picked.is_empty())?;
            let distinct: HashSet<usize> = picked.iter().copied().collect();
            let is_dated = |&at: &usize| articles.get(at).is_some_and(|a| a.published.is_some());
            let is_known = !about.facts.contains(&Fact::Date) || picked.iter().all(is_dated);
            (distinct.len() == picked.len() && is_known).then_some(Choice::These(picked))
        }
        Wanted::Before | Wanted::After => {
            // Whoever wrote the one that is named, its neighbour is by those who are.
            let anyones: Vec<usize> = (0..articles.len())
                .filter(|&at| {
                    let mut filter = about.filter.clone();
                    filter.authors.clear();
                    articles.get(at).is_some_and(|article| filter.accepts(article))
                })
                .collect();
            let ranking = found.first().map_or(&[][..], Vec::as_slice);
            let topic = about.topics.first()?;
            let of = Topic::new(topic, about.named, articles, &anyones, ranking).best()?;
            beside(of, about, articles)
        }
        Wanted::Count
        | Wanted::Authors
        | Wanted::Sources
        | Wanted::List
        | Wanted::Newest(_)
        | Wanted::Oldest(_)
        | Wanted::FirstAndLast => {
            let meant = match topic(0) {
                None => passing,
                Some(topic) => match about.what {
                    Wanted::Count => topic.whole,
                    Wanted::List | Wanted::Authors => {
                        let mut meant = topic.whole.clone();
                        let found = topic.found(NEAR, FOUND).into_iter();
                        meant.extend(found.filter(|at| !topic.whole.contains(at)));
                        if about.what == Wanted::List && meant.len() > topic.whole.len() {
                            return Some(Choice::Nearest(meant));
                        }
                        meant
                    }
                    _ if topic.whole.is_empty() => topic.found(NEAREST, FEW),
                    _ => topic.whole,
                },
            };
            if meant.is_empty() && !about.topics.is_empty() {
                return None;
            }
            several(about, articles, meant)
        }
    };
    choice.filter(|choice| tells_subtitles(about, articles, choice))
}

/// Whether the library can tell the subtitles of a choice, if they are asked for.
fn tells_subtitles(about: &About, articles: &[ArticleMeta], choice: &Choice) -> bool {
    let has = |&at: &usize| articles.get(at).is_some_and(|article| article.subtitle.is_some());
    !about.facts.contains(&Fact::Subtitle)
        || match choice {
            Choice::All { articles: all, .. } => all.is_empty() || all.iter().any(has),
            Choice::Nearest(these) => these.iter().any(has),
            Choice::These(these) => these.iter().all(has),
            Choice::Neighbour { article, .. } => article.as_ref().is_none_or(has),
        }
}

fn published(articles: &[ArticleMeta], at: usize) -> Option<Timestamp> {
    articles.get(at).and_then(|article| article.published)
}

fn several(about: &About, articles: &[ArticleMeta], meant: Vec<usize>) -> Option<Choice> {
    let (mut dated, undated): (Vec<usize>, Vec<usize>) =
        meant.into_iter().partition(|&at| published(articles, at).is_some());
    dated.sort_by_key(|&at| (published(articles, at), articles.get(at).map(|a| &a.id.0)));
    let some = |picked: Vec<usize>| (!picked.is_empty()).then_some(Choice::These(picked));
    match about.what {
        Wanted::Newest(n) => some(dated.into_iter().rev().take(n).collect()),
        Wanted::Oldest(n) => some(dated.into_iter().take(n).collect()),
        Wanted::FirstAndLast => {
            let mut picked: Vec<usize> = dated.first().into_iter().copied().collect();
            picked.extend(dated.last().filter(|last| Some(*last) != dated.first()));
            some(picked)
        }
        Wanted::Count
        | Wanted::List
        | Wanted::Authors
        | Wanted::Sources
        | Wanted::One
        | Wanted::Before
        | Wanted::After => {
            let has_period = about.filter.since.is_some() || about.filter.until.is_some();
            if !has_period {
                dated.extend(undated);
                return Some(Choice::All { articles: dated, undated: 0 });
            }
            let mut timeless = about.filter.clone();
            (timeless.since, timeless.until) = (None, None);
            let is_undated = |article: &&ArticleMeta| article.published.is_none();
            let undated = articles.iter().filter(is_undated).filter(|a| timeless.accepts(a));
            let undated = if about.topics.is_empty() { undated.count() } else { 0 };
            Some(Choice::All { articles: dated, undated })
        }
    }
}

fn beside(of: usize, about: &About, articles: &[ArticleMeta]) -> Option<Choice> {
    let named = articles.get(of)?;
    named.published?;
    let is_same_source = |article: &ArticleMeta| {
        let all = |one: &ArticleMeta| {
            std::iter::once(one.source.clone()).chain(one.other_sources.clone()).collect()
        };
        let (here, there): (HashSet<_>, HashSet<_>) = (all(named), all(article));
        !here.is_disjoint(&there)
    };
    let by_authors = Filter { authors: about.filter.authors.clone(), ..Filter::default() };
    let key = |at: usize| Some((published(articles, at)?, &articles.get(at)?.id.0));
    let this = key(of)?;
    let others = articles
        .iter()
        .enumerate()
        .filter(|(_, article)| is_same_source(article) && by_authors.accepts(article))
        .filter_map(|(at, _)| Some((key(at)?, at)));
    let article = if about.what == Wanted::Before {
        others.filter(|(key, _)| *key < this).max()
    } else {
        others.filter(|(key, _)| *key > this).min()
    };
    Some(Choice::Neighbour { of, article: article.map(|(_, at)| at) })
}

impl Named {
    /// This name of an article; empty if it has none.
    fn of(self, article: &ArticleMeta) -> &str {
        match self {
            Named::Title => &article.title,
            Named::Subtitle => article.subtitle.as_deref().unwrap_or_default(),
        }
    }

    /// The words by which it is compared. A subtitle is a sentence, more often retold than quoted.
    fn words(self, text: &str) -> HashSet<String> {
        match self {
            Named::Title => stems(text),
            Named::Subtitle => terms::of(text).ids.iter().map(u32::to_string).collect(),
        }
    }
}

/// How well articles fit a topic.
struct Topic {
    /// Index, score of the search over its best, share of the topic's weight that the name has.
    fits: Vec<(usize, f32, f32)>,
    /// Those whose name is the topic, or holds the whole of it.
    whole: Vec<usize>,
    named: Named,
}

/// The share of the best's score that articles have, at the least, which are listed as near to a
/// topic, and how many they are at the most.
const NEAR: f32 = 0.6;
const FOUND: usize = 10;

/// The same for those whose newest or oldest is asked for, which must be on it.
const NEAREST: f32 = 0.95;
const FEW: usize = 5;

/// Less of a lead than this is none.
const LEAD: f32 = 0.01;

/// The least share of a topic that a subtitle must have to be meant.
const SUBTITLE: f32 = 0.3;

/// What an article's text weighs beside its subtitle: enough to settle what subtitles leave open.
const TEXT: f32 = 0.1;

impl Topic {
    fn new(
        topic: &str,
        named: Named,
        articles: &[ArticleMeta],
        passing: &[usize],
        ranking: &[(usize, f32)],
    ) -> Topic {
        let names: Vec<HashSet<String>> =
            articles.iter().map(|article| named.words(named.of(article))).collect();
        let weights: Vec<(String, f32)> = named
            .words(topic)
            .into_iter()
            .map(|word| {
                let with = names.iter().filter(|name| name.contains(&word)).count();
                let weight = (count(articles.len() + 1) / (count(with) + 0.5)).ln_1p();
                (word, weight)
            })
            .collect();
        let all: f32 = weights.iter().map(|(_, weight)| weight).sum();
        let plain = normal(topic);
        let scores = || ranking.iter().filter(|(at, score)| passing.contains(at) && *score > 0.0);
        let top = scores().map(|(_, score)| *score).fold(0.0, f32::max);
        let mut fits = Vec::new();
        let (mut same, mut whole) = (Vec::new(), Vec::new());
        for &at in passing {
            let (Some(has), Some(article)) = (names.get(at), articles.get(at)) else { continue };
            let share: f32 = weights
                .iter()
                .filter(|(word, _)| has.contains(word))
                .map(|(_, weight)| weight)
                .sum();
            let overlap = if all > 0.0 { share / all } else { 0.0 };
            let score = scores().find(|(found, _)| *found == at).map_or(0.0, |(_, s)| s / top);
            if !plain.is_empty() && normal(named.of(article)) == plain {
                same.push(at);
            } else if !weights.is_empty() && weights.iter().all(|(word, _)| has.contains(word)) {
                whole.push(at);
            }
            let is_fit = match named {
                Named::Title => score > 0.0 || overlap > 0.0,
                Named::Subtitle => overlap >= SUBTITLE,
            };
            if is_fit {
                fits.push((at, score, overlap));
            }
        }
        Topic { fits, whole: if same.is_empty() { whole } else { same }, named }
    }

    /// The one article on it.
    fn best(&self) -> Option<usize> {
        if let [only] = self.whole.as_slice() {
            return Some(*only);
        }
        let mut fits: Vec<(f32, usize)> = self
            .fits
            .iter()
            .filter(|(_, score, overlap)| match self.named {
                Named::Title => *score > 0.0 || *overlap > 0.6,
                Named::Subtitle => true,
            })
            .map(|(at, score, overlap)| match self.named {
                Named::Title => (score + overlap, *at),
                Named::Subtitle => (overlap + TEXT * score, *at),
            })
            .collect();
        fits.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        match fits.as_slice() {
            [] => None,
            [(_, only)] => Some(*only),
            [(first, at), (second, _), ..] => (first - second >= LEAD).then_some(*at),
        }
    }

    /// The first `most` that a search ranks at least at the share `near` of its best, best first.
    fn found(&self, near: f32, most: usize) -> Vec<usize> {
        let mut found: Vec<(f32, usize)> =
            self.fits.iter().map(|(at, score, _)| (*score, *at)).collect();
        found.retain(|(score, _)| *score >= near);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.into_iter().take(most).map(|(_, at)| at).collect()
    }
}

fn count(n: usize) -> f32 {
    u16::try_from(n).map_or(f32::from(u16::MAX), f32::from)
}

/// A title for comparison.
fn normal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The words of a text that say something, endings of plurals and possessives cut off.
fn stems(text: &str) -> HashSet<String> {
    const STOP: &[&str] = &[
        "the", "a", "an", "of", "on", "in", "to", "for", "and", "or", "with", "about", "is", "are",
        "was", "were", "be", "it", "its", "this", "that", "from", "by", "at", "as", "how", "what",
        "why", "your", "my", "our", "up", "their", "his", "her", "you", "i", "post", "article",
    ];
    text.to_lowercase()
        .replace('’', "'")
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\''))
        .map(|word| word.strip_suffix("'s").unwrap_or(word))
        .filter(|word| !word.is_empty() && !STOP.contains(word))
        .map(|word| match word.strip_suffix("ies") {
            Some(stem) if stem.len() > 2 => format!("{stem}y"),
            _ if word.len() > 3 && !word.ends_with("ss") && !word.ends_with("us") => {
                word.strip_suffix('s').unwrap_or(word).to_owned()
            }
            _ => word.to_owned(),
        })
        .collect()
}
