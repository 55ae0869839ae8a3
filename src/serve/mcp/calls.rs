//! The tools that answer at once, and how results and errors are given.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Resource};
use serde::{Deserialize, Serialize};

use super::arguments::{alone, bounded, understood, with_filter};
use super::{resources, tools};
use crate::api::markdown::ARTICLES;
use crate::api::{ClaimsShape, FetchedShape, FilterWords, FoundShape, error_in_words, json};
use crate::base::ArticleId;
use crate::base::error::{Error, ErrorKind, Result};
use crate::engine::Question;
use crate::library::ArticlesPage;
use crate::retrieve::check_question;
use crate::serve::State;
use crate::serve::asking::{at_length, blocking, looking};

/// A result as structured content, and the same as the one text.
pub(super) fn structured(shape: &impl Serialize) -> Result<CallToolResult> {
    let text = json::line(shape)?;
    let value = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Bug, "the result can't be read back").caused_by(error)
    })?;
    let mut result = CallToolResult::structured(value);
    // Characters that a terminal obeys are written as escapes.
    result.content = vec![ContentBlock::text(text)];
    Ok(result)
}

/// Adds links to articles, each once, behind the text.
pub(super) fn linked<'a>(
    mut result: CallToolResult,
    articles: impl IntoIterator<Item = (&'a ArticleId, &'a str)>,
) -> CallToolResult {
    let mut seen: Vec<&ArticleId> = Vec::new();
    for (id, title) in articles {
        if !seen.contains(&id) {
            seen.push(id);
            let link = Resource::new(format!("{ARTICLES}{id}"), id.0.as_str())
                .with_title(title)
                .with_mime_type(resources::TYPE);
            result.content.push(ContentBlock::resource_link(link));
        }
    }
    result
}

/// An error as the caller reads it: what is wrong, and what to do next.
pub(super) fn failed(error: &Error) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(error_in_words(error))])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    limit: Option<usize>,
}

pub(super) async fn search(state: &State, arguments: JsonObject) -> Result<CallToolResult> {
    let (Search { query, limit }, words): (Search, FilterWords) = with_filter(arguments)?;
    let limit = bounded("limit", limit, tools::HITS)?;
    let shared = State::clone(state);
    blocking(state, move |kb, watch| {
        let text = check_question(&query)?;
        let filter = understood(kb, &words)?;
        let question = Question { text, filter: &filter, sources: &[] };
        let found = shared.search(&question, limit, watch)?;
        structured(&FoundShape::new(text, &found))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch {
    id: String,
}

pub(super) async fn fetch(state: &State, arguments: JsonObject) -> Result<CallToolResult> {
    let Fetch { id } = alone(arguments)?;
    let Some(id) = resources::article_id(&id) else {
        let id: String = id.chars().take(80).collect();
        return Err(Error::new(ErrorKind::NotFound, format!("\"{id}\" is no article's id"))
            .hint("search and list_articles give ids, of 16 hexadecimal digits"));
    };
    looking(state, move |kb, watch| {
        let text = kb.article_text(&id, None, None, watch).map_err(|error| {
            error.hint("search and list_articles give the ids of the articles that there are")
        })?;
        structured(&FetchedShape::new(&text))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    text: String,
}

pub(super) async fn check_claims(state: &State, arguments: JsonObject) -> Result<CallToolResult> {
    let (Draft { text }, words): (Draft, FilterWords) = with_filter(arguments)?;
    at_length(state, move |kb, watch| {
        let filter = understood(kb, &words)?;
        let claims = kb.check_claims(&text, &filter, watch)?;
        let result = structured(&ClaimsShape::new(&text, &claims))?;
        let supported = claims.iter().filter_map(|claim| match &claim.verdict {
            crate::answer::claims::Verdict::Supported(evidence) => {
                let n = evidence.first()?.n;
                claim.passages.iter().find(|passage| passage.n == n)
            }
            _ => None,
        });
        Ok(linked(result, supported.map(|passage| (&passage.article.id, &*passage.article.title))))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

pub(super) async fn list_articles(state: &State, arguments: JsonObject) -> Result<CallToolResult> {
    let (List { limit, offset }, words): (List, FilterWords) = with_filter(arguments)?;
    let limit = bounded("limit", limit, tools::PAGE)?;
    looking(state, move |kb, _| {
        let filter = understood(kb, &words)?;
        let page = match kb.existing_library()? {
            Some(library) => library.articles_page(&filter, offset, limit)?,
            None => ArticlesPage { offset, ..ArticlesPage::default() },
        };
        structured(&page)
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) async fn status(state: &State, arguments: JsonObject) -> Result<CallToolResult> {
    let Nothing {} = alone(arguments)?;
    let shared = State::clone(state);
    looking(state, move |_, _| structured(&shared.status()?)).await
}
