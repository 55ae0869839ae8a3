//! Questions about the articles themselves, answered from the library.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::KnowledgeBase;
use super::ask::Question;
use super::snapshot::Snapshot;
use crate::answer::about::{self, About};
use crate::answer::{Answer, listed};
use crate::base::error::Result;
use crate::base::text::collapse;
use crate::base::{ArticleMeta, Filter, Hit};
use crate::document::{sentence::sentences, terms};
use crate::infer::Embedder;
use crate::library::Library;
use crate::retrieve::{Passage, Retrieved, covered};

/// Bytes of an article's beginning that are shown of one that is cited as a whole.
const BEGINNING: usize = 400;

/// The share of a topic's words, by their rarity, that an article on it has, 0 to 1.
const ON: f32 = 0.5;

/// Hits of a topic that say which article is meant, and which are on it: one article may have many.
const HITS: usize = 20;
const HITS_OF_ALL: usize = 100;

impl KnowledgeBase {
    /// The answer to a question about the articles themselves; `None` if it is not one, or the
    /// library can't tell.
    pub(super) fn about(
        &self,
        question: &Question<'_>,
        library: &Library,
        snapshot: &Snapshot,
        embedder: &dyn Embedder,
        start: Instant,
    ) -> Result<Option<Answer>> {
        // Looking at all articles is for the questions that may need it.
        if !about::may_be(question.text) {
            return Ok(None);
        }
        let articles: Vec<ArticleMeta> =
            library.articles(question.filter)?.into_iter().map(|info| info.meta).collect();
        let authors: BTreeSet<&String> =
            articles.iter().flat_map(|article| &article.authors).collect();
        let authors: Vec<String> = authors.into_iter().cloned().collect();
        let sources: Vec<_> = library
            .sources()?
            .into_iter()
            .map(|source| {
                // A feed that names no site is where its articles are.
                let is_of = |article: &&ArticleMeta| article.source == source.id;
                let link = || articles.iter().find(is_of).and_then(|article| article.url.clone());
                let site = source.site.clone().or_else(link);
                (source.id, source.title.unwrap_or_default(), site)
            })
            .collect();
        let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
        let Some(about) = about::recognise(question.text, today, &authors, &sources) else {
            return Ok(None);
        };
        let places: HashMap<_, _> =
            articles.iter().enumerate().map(|(at, article)| (&article.id, at)).collect();
        let mut found = Vec::new();
        for topic in &about.topics {
            let filter = narrowed(question.filter, &about);
            let place = (snapshot.index(), library, embedder);
            let hits = if about.asks_for_one() { HITS } else { HITS_OF_ALL };
            let retrieved = self.find(topic, &filter, place, hits)?;
            let mut ranking: Vec<(usize, f32)> = Vec::new();
            // An article that has few of a topic's words is not on it, if several are asked for.
            let is_on = |hit: &&Hit| about.asks_for_one() || has_of(hit, &retrieved) >= ON;
            for hit in retrieved.hits.iter().filter(is_on) {
                let Some(at) = places.get(&hit.article.id) else { continue };
                if ranking.iter().all(|(known, _)| known != at) {
                    ranking.push((*at, hit.score.max(0.0)));
                }
            }
            found.push(ranking);
        }
        let Some(choice) = about::choose(&about, &articles, &found) else { return Ok(None) };
        let lines = choice.lines(&about, &articles);
        let mut passages: Vec<Passage> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        for at in lines.iter().flat_map(|line| &line.articles) {
            if numbers.contains_key(at) {
                continue;
            }
            let Some(article) = articles.get(*at) else { continue };
            let n = passages.len() + 1;
            if let Some(passage) = self.beginning(n, article, library, snapshot)? {
                numbers.insert(*at, n);
                passages.push(passage);
            }
        }
        let mut cited: Vec<(String, Vec<usize>)> = Vec::new();
        for line in lines {
            let of = line.articles.iter().filter_map(|at| numbers.get(at).copied());
            let of: Vec<usize> = of.collect();
            // What is asked for besides stands under the article that it is of.
            let begins = match of[..] {
                [n] if about.asks_what_it_says() => passages.get(n - 1).map(opening),
                _ => None,
            };
            cited.push((line.text, of.clone()));
            cited.extend(begins.filter(|text| !text.is_empty()).map(|text| (text, of)));
        }
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Some(listed(cited, passages, about.filters(), ms)))
    }

    /// How an article begins, as a passage.
    fn beginning(
        &self,
        n: usize,
        article: &ArticleMeta,
        library: &Library,
        snapshot: &Snapshot,
    ) -> Result<Option<Passage>> {
        let Some((meta, revision, id)) =
            library.article_document(&article.id, &self.config().clean)?
        else {
            return Ok(None);
        };
        let document = snapshot.document(&id)?;
        let ranges = || document.blocks.iter().map(|block| &block.range);
        let first = ranges().next().cloned().unwrap_or_default();
        // As many paragraphs as there is room for.
        let room = first.start + BEGINNING;
        let last = ranges().map(|range| range.end).take_while(|end| *end <= room).last();
        let end = document.text.floor_char_boundary(last.unwrap_or(first.end.min(room)));
        let range = first.start..end;
        Ok(Some(Passage {
            n,
            article: meta,
            revision,
            document: id,
            section: 0,
            heading_path: Vec::new(),
            text: document.text[range.clone()].to_owned(),
            shown: vec![range.clone()],
            range,
            score: 1.0,
        }))
    }
}

/// The share of what was searched for that a hit has, by how rare the words are; 0 if no article has
/// any of them.
fn has_of(hit: &Hit, retrieved: &Retrieved) -> f32 {
    if retrieved.terms.indices.is_empty() {
        return 0.0;
    }
    let text = format!("{}\n{}\n{}", hit.article.title, hit.heading_path.join("\n"), hit.text);
    covered(retrieved, &terms::of(&text).ids)
}

/// A passage's first sentences, word for word, between quotation marks; empty if it has no text.
fn opening(passage: &Passage) -> String {
    /// Characters that tell what an article is about.
    const ENOUGH: usize = 160;
    let is_enough =
        |end: &usize| passage.text.get(..*end).is_some_and(|text| text.chars().count() >= ENOUGH);
    let ends = || sentences(&passage.text).into_iter().map(|range| range.end);
    let end = ends().find(is_enough).unwrap_or(passage.text.len());
    match collapse(passage.text.get(..end).unwrap_or_default()) {
        text if text.is_empty() => text,
        text => format!("“{text}”"),
    }
}

/// A filter with what the question itself says of the articles' sources and authors; its period is
/// applied when articles are chosen, for a neighbour may lie outside of it.
fn narrowed(filter: &Filter, about: &About) -> Filter {
    let mut filter = filter.clone();
    if filter.sources.is_empty() {
        filter.sources.clone_from(&about.filter.sources);
    }
    if filter.authors.is_empty() {
        filter.authors.clone_from(&about.filter.authors);
    }
    filter
}
