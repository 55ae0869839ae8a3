//! Questions made from the articles without an LLM: known-item queries from titles, headings and
//! the words by which one article links to another. Pure.

use std::collections::HashSet;

use scraper::{Html, Selector};

use super::set::{Gold, Question};
use crate::domain::{Content, Document};

/// An article that questions are made from.
pub struct Known<'a> {
    /// Its link.
    pub url: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its body.
    pub content: &'a Content,
    /// Itself as wellread understands it.
    pub document: &'a Document,
}

/// The fewest words of a query.
const MIN_WORDS: usize = 3;
/// The share of a query's words that may follow each other in the text that it is to find.
const MAX_COPIED: f64 = 0.8;

/// The questions of these articles, in their order; of equal queries for different places none is
/// kept, for they would have no one answer.
pub fn generate(articles: &[Known<'_>]) -> Vec<Question> {
    let mut made: Vec<(String, Gold)> = Vec::new();
    for article in articles {
        made.push((article.title.to_owned(), gold(article.url, None)));
        for section in &article.document.sections {
            let Some(heading) = section.heading_path.last() else { continue };
            let text = &article.document.text[section.range.clone()];
            if !text.trim().is_empty() && !is_copy(heading, text) {
                made.push((heading.clone(), gold(article.url, Some(heading))));
            }
        }
        made.extend(anchors(article, articles));
    }
    let mut seen: std::collections::HashMap<String, HashSet<Gold>> = Default::default();
    for (query, gold) in &made {
        seen.entry(query.to_lowercase()).or_default().insert(gold.clone());
    }
    let mut taken = HashSet::new();
    made.into_iter()
        .filter(|(query, _)| words(query).len() >= MIN_WORDS)
        .filter(|(query, _)| seen.get(&query.to_lowercase()).is_some_and(|of| of.len() == 1))
        .filter(|(query, _)| taken.insert(query.to_lowercase()))
        .enumerate()
        .map(|(at, (query, gold))| Question {
            id: format!("k{:04}", at + 1),
            question: query,
            kind: if gold.heading.is_some() { "heading" } else { "article" }.to_owned(),
            answerable: true,
            gold: vec![gold],
            facts: Vec::new(),
            any: Vec::new(),
            split: None,
            generated: true,
        })
        .collect()
}

fn gold(url: &str, heading: Option<&String>) -> Gold {
    Gold { url: Some(url.to_owned()), doc: None, heading: heading.cloned(), relevance: 1 }
}

/// The words of links from one article to another.
fn anchors(article: &Known<'_>, all: &[Known<'_>]) -> Vec<(String, Gold)> {
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
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_query = own.as_ref() != Some(&target) && !text.starts_with("http");
            (is_query && !is_copy(&text, &other.document.text))
                .then(|| (text, gold(other.url, None)))
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
    use crate::html::{CleanOptions, document};

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
            Known {
                url: "https://e.org/a",
                title: "Bending and steaming",
                content: &contents[0],
                document: &documents[0],
            },
            Known {
                url: "https://e.org/b",
                title: "All about glue",
                content: &contents[1],
                document: &documents[1],
            },
        ];
        let made: Vec<String> = generate(&known)
            .into_iter()
            .map(|q| format!("{} {} {:?}", q.kind, q.question, q.gold[0].heading))
            .collect();
        insta::assert_debug_snapshot!(made);
    }
}
