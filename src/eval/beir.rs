//! BEIR's layout (Thakur et al., NeurIPS 2021): `corpus.jsonl`, `queries.jsonl`, `qrels/*.tsv` →
//! articles and a question set. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::set::{Gold, Question};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::base::{Content, Extent, ParsedArticle};

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    #[serde(default)]
    answerable: Option<bool>,
    #[serde(default)]
    answers: Vec<String>,
}

fn lines<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                Error::new(ErrorKind::Parse, format!("{name}, line {}: {error}", at + 1))
                    .hint("give a folder in BEIR's layout")
            })
        })
        .collect()
}

/// The corpus as articles, each document's id as its GUID.
///
/// # Errors
/// [`ErrorKind::Parse`] with the line that is malformed.
pub fn corpus(text: &str) -> Result<Vec<ParsedArticle>> {
    let documents: Vec<Document> = lines("corpus.jsonl", text)?;
    Ok(documents
        .into_iter()
        .map(|document| ParsedArticle {
            guid: Some(document.id),
            url: None,
            title: collapse(&document.title),
            subtitle: None,
            authors: Vec::new(),
            published: None,
            updated: None,
            tags: Vec::new(),
            content: Content::Text(document.text),
            extent: Extent::Full,
        })
        .collect())
}

/// The queries as questions. One without a judgement is left out unless it is marked as
/// unanswerable.
///
/// # Errors
/// [`ErrorKind::Parse`] with the line that is malformed.
pub fn questions(queries: &str, qrels: &str) -> Result<Vec<Question>> {
    let mut gold: BTreeMap<&str, Vec<Gold>> = BTreeMap::new();
    for (at, line) in qrels.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let [query, document, score] = fields[..] else {
            return Err(Error::new(
                ErrorKind::Parse,
                format!("qrels, line {} has {} fields, not 3", at + 1, fields.len()),
            )
            .hint("they are query-id, corpus-id and score, separated by tabs"));
        };
        let Ok(grade) = score.parse::<u32>() else {
            // The header.
            if at == 0 {
                continue;
            }
            return Err(Error::new(
                ErrorKind::Parse,
                format!("qrels, line {}: {score} is not a score", at + 1),
            ));
        };
        if grade > 0 {
            gold.entry(query).or_default().push(Gold {
                url: None,
                doc: Some(document.to_owned()),
                heading: None,
                relevance: grade,
            });
        }
    }
    let all: Vec<Query> = lines("queries.jsonl", queries)?;
    Ok(all
        .into_iter()
        .filter_map(|query| {
            let answerable = query.answerable.unwrap_or(true);
            let gold = gold.remove(query.id.as_str()).unwrap_or_default();
            if answerable && gold.is_empty() {
                return None;
            }
            let kind = if answerable { "answerable" } else { "unanswerable" };
            // A short answer is a fact to be found; a long one is one way among many to say it.
            let is_short = |text: &String| text.split_whitespace().count() <= 6;
            let any: Vec<String> = query.answers.into_iter().filter(is_short).collect();
            Some(Question {
                id: query.id,
                question: query.text,
                kind: kind.to_owned(),
                answerable,
                gold: if answerable { gold } else { Vec::new() },
                facts: Vec::new(),
                any: if answerable { any } else { Vec::new() },
                split: None,
                note: None,
                generated: false,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_becomes_articles_and_questions() {
        let articles =
            corpus("{\"_id\": \"d1\", \"title\": \" A  b\", \"text\": \"c\"}\n").unwrap();
        assert_eq!((articles[0].guid.as_deref(), &*articles[0].title), (Some("d1"), "A b"));
        let queries = "{\"_id\":\"q1\",\"text\":\"x?\"}\n{\"_id\":\"q2\",\"text\":\"y?\"}\n\
                       {\"_id\":\"q3\",\"text\":\"z?\",\"answerable\":false}\n";
        let set = questions(queries, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td9\t0\n").unwrap();
        assert_eq!(set.iter().map(|q| &*q.id).collect::<Vec<_>>(), ["q1", "q3"]);
        assert_eq!(set[0].gold[0].relevance, 2);
        assert!(questions(queries, "a b c\nd\n").is_err());
        assert!(corpus("{}").unwrap_err().to_string().contains("line 1"));
    }
}
