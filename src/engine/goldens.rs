//! Questions made from the articles without an LLM: known-item queries from titles, headings and
//! the words by which one article links to another. A rebuilt index is asked them before it is made
//! live. Pure.

use std::collections::{HashMap, HashSet};

use scraper::{Html, Selector};

use crate::base::text::collapse;
use crate::base::{Content, Document, Hit};

/// An article that questions are made from.
pub struct GoldenArticle<'a> {
    /// Its link.
    pub url: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its body.
    pub content: &'a Content,
    /// Itself as wellread understands it.
    pub document: &'a Document,
}

/// A query with the one place that it is to find.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Golden {
    /// What is asked.
    pub query: String,
    /// The article's link.
    pub url: String,
    /// The heading of the section; `None`: the whole article is meant.
    pub heading: Option<String>,
}

impl Golden {
    /// Whether a hit is of the place that is meant.
    pub fn is_found_by(&self, hit: &Hit) -> bool {
        let innermost = hit.heading_path.last().map_or("", String::as_str);
        hit.article.url.as_ref() == Some(&self.url)
            && self.heading.as_ref().is_none_or(|heading| same_heading(heading, innermost))
    }
}

/// Headings are compared without case and by their words.
pub fn same_heading(a: &str, b: &str) -> bool {
    words(a) == words(b)
}

/// The fewest words of a query.
const MIN_WORDS: usize = 3;
/// The share of a query's words that may follow each other in the text that it is to find.
const MAX_COPIED: f64 = 0.8;

/// The questions of these articles, in their order; of equal queries for different places none is
/// kept, for they would have no one answer.
pub fn generate(articles: &[GoldenArticle<'_>]) -> Vec<Golden> {
    let mut made: Vec<Golden> = Vec::new();
    for article in articles {
        made.push(golden(article.title, article.url, None));
        for section in &article.document.sections {
            let Some(heading) = section.heading_path.last() else { continue };
            let text = &article.document.text[section.range.clone()];
            if !text.trim().is_empty() && !is_copy(heading, text) {
                made.push(golden(heading, article.url, Some(heading)));
            }
        }
        made.extend(anchors(article, articles));
    }
    let mut places: HashMap<String, HashSet<(String, Option<String>)>> = HashMap::new();
    for one in &made {
        let place = (one.url.clone(), one.heading.clone());
        places.entry(one.query.to_lowercase()).or_default().insert(place);
    }
    let mut taken = HashSet::new();
    made.into_iter()
        .filter(|one| words(&one.query).len() >= MIN_WORDS)
        .filter(|one| places.get(&one.query.to_lowercase()).is_some_and(|of| of.len() == 1))
        .filter(|one| taken.insert(one.query.to_lowercase()))
        .collect()
}

fn golden(query: &str, url: &str, heading: Option<&String>) -> Golden {
    Golden { query: query.to_owned(), url: url.to_owned(), heading: heading.cloned() }
}

/// The words of links from one article to another.
fn anchors(article: &GoldenArticle<'_>, all: &[GoldenArticle<'_>]) -> Vec<Golden> {
    let Content::Html(body) = article.content else { return Vec::new() };
    let Ok(selector) = Selector::parse("a[href]") else { return Vec::new() };
    let key = |url: &str| crate::library::url_key(url);
    let own = key(article.url);
    Html::parse_document(body)
        .select(&selector)
        .filter_map(|link| {
            let target = key(link.value().attr("href")?)?;
            let other = all.iter().find(|other| key(other.url).as_ref() == Some(&target))?;
            let text: String = link.text().collect::<Vec<_>>().join("");
            let text = collapse(&text);
            let is_query = own.as_ref() != Some(&target) && !text.starts_with("http");
            (is_query && !is_copy(&text, &other.document.text))
                .then(|| golden(&text, other.url, None))
        })
        .collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether a query stands in the text nearly word for word: finding it would show nothing.
fn is_copy(query: &str, text: &str) -> bool {
    let (query, text) = (words(query), words(text));
    if query.is_empty() {
        return true;
    }
    let mut longest = 0;
    for start in 0..text.len() {
        for from in 0..query.len() {
            let run = text[start..].iter().zip(&query[from..]).take_while(|(a, b)| a == b).count();
            longest = longest.max(run);
        }
    }
    longest as f64 > query.len() as f64 * MAX_COPIED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::html::{CleanOptions, document};

    #[test]
    fn headings_are_compared_by_their_words() {
        assert!(same_heading("2. Store your vectors", "2 store  your vectors!"));
        assert!(!same_heading("Store", "Store it"));
    }

    #[test]
    fn titles_headings_and_links_become_queries() {
        let bodies = [
            "<h2>How to bend a plank</h2><p>Steam it.</p><h2>Short one</h2><p>x</p>\
             <h2>Words that stand here</h2><p>The words that stand here again.</p>",
            "<p>See <a href='https://e.org/a?utm_source=x'>the piece on steaming wood</a>.</p>",
        ];
        let contents: Vec<Content> = bodies.iter().map(|b| Content::Html((*b).into())).collect();
        let documents: Vec<Document> =
            contents.iter().map(|c| document(c, &CleanOptions::default())).collect();
        let known = [
            GoldenArticle {
                url: "https://e.org/a",
                title: "Bending and steaming",
                content: &contents[0],
                document: &documents[0],
            },
            GoldenArticle {
                url: "https://e.org/b",
                title: "All about glue",
                content: &contents[1],
                document: &documents[1],
            },
        ];
        let made: Vec<String> = generate(&known)
            .into_iter()
            .map(|one| {
                let kind = if one.heading.is_some() { "heading" } else { "article" };
                format!("{kind} {} {:?}", one.query, one.heading)
            })
            .collect();
        insta::assert_debug_snapshot!(made);
    }
}
