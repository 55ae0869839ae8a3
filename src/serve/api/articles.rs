//! `/api/articles`: a list, one as wellread understands it, and the text that ranges point into.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::Response;

use super::{Failure, Query, filter_words, json};
use crate::api::{ArticleShape, SectionShape, TextShape};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, DocumentId};
use crate::serve::State;
use crate::serve::asking::looking;

/// Articles of a page where nothing else is said, and at the most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 1000;

pub(super) async fn list(
    Extract(state): Extract<State>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = Query::of(
        query.as_deref(),
        &["title", "source", "author", "tag", "since", "until", "limit", "offset"],
    )?;
    let words = filter_words(&query)?;
    let limit: usize = query.number("limit")?.unwrap_or(PAGE);
    let offset: usize = query.number("offset")?.unwrap_or(0);
    if limit == 0 || limit > MAX_PAGE {
        let error =
            Error::new(ErrorKind::Usage, format!("limit is {limit}; it can be 1 to {MAX_PAGE}"));
        return Err(Failure(error));
    }
    let page = looking(&state, move |kb, _| {
        let library = kb.filled_library()?;
        library.articles_page(&words.understood(&library)?, offset, limit)
    })
    .await?;
    Ok(json(&page))
}

pub(super) async fn one(
    Extract(state): Extract<State>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let id = article_id(path)?;
    Query::of(query.as_deref(), &[])?;
    let response = looking(&state, move |kb, _| {
        let none = || Error::new(ErrorKind::NotFound, format!("there is no article {id}"));
        let library = kb.filled_library()?;
        let article = library.article(&id)?.ok_or_else(none)?;
        let document = kb.document_of(&id)?.ok_or_else(none)?;
        let sections = 0..document.sections.len();
        Ok(json(&ArticleShape {
            article: &article.meta,
            revision: article.revision,
            revisions: &library.revisions(&id)?,
            extent: article.extent,
            sections: sections.map(|at| SectionShape::new(&document, at)).collect(),
            chunks: None,
            removed: None,
        }))
    })
    .await?;
    Ok(response)
}

pub(super) async fn text(
    Extract(state): Extract<State>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let id = article_id(path)?;
    let query = Query::of(query.as_deref(), &["revision", "document"])?;
    let revision: Option<u32> = query.number("revision")?;
    let no_document = || Error::new(ErrorKind::Usage, "document must be 32 hexadecimal digits");
    let document = query.one("document")?;
    let document =
        document.map(|name| DocumentId::read(&name).ok_or_else(no_document)).transpose()?;
    let text =
        looking(&state, move |kb, watch| kb.article_text(&id, revision, document.as_ref(), watch))
            .await?;
    Ok(json(&TextShape::new(
        &text.article,
        text.newest,
        text.id.as_ref(),
        text.revision,
        &text.document,
    )))
}

/// An article's id as a path names it.
fn article_id(path: Result<Path<String>, PathRejection>) -> Result<ArticleId> {
    let Path(text) = path.map_err(|rejection| {
        Error::new(ErrorKind::Usage, "the address can't be read").caused_by(rejection)
    })?;
    ArticleId::read(&text).ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        Error::new(ErrorKind::NotFound, format!("\"{text}\" is no article's id"))
            .hint("ids are 16 hexadecimal digits; the list of articles has them")
    })
}
