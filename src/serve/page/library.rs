//! `/articles`, `/articles/{id}` and `/status`.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::ask::Facts;
use super::reader::{self, Mark};
use super::{Failure, Fields, view};
use crate::api::{ErrorShape, FilterWords};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, DocumentId};
use crate::library::{ArticlesPage, Library};
use crate::serve::State;
use crate::serve::asking::looking;

/// Articles of one page.
const PAGE: usize = 50;
/// Headings from which on an article has a list of them.
const CONTENTS: usize = 4;

type Asked<T> = std::result::Result<Query<T>, QueryRejection>;

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Usage, "the address can't be read").caused_by(error)
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    query: Asked<Fields>,
) -> std::result::Result<Response, Failure> {
    let fields = match query {
        Ok(Query(fields)) => fields,
        Err(error) => return Err(Failure(headers, unreadable(error))),
    };
    let made = looking(&state, move |kb, _| {
        let library = kb.existing_library()?;
        let facts = library.as_deref().map(Facts::of).transpose()?.unwrap_or_default();
        let found = library.as_deref().map_or(Ok(List::default()), |all| listed(all, &fields));
        let (list, error) = match found {
            Ok(list) => (list, None),
            Err(error) => (List::default(), Some(ErrorShape::new(&error).error)),
        };
        Ok(context! {
            here => "articles",
            filters => fields.filters(),
            fields => view::value(fields),
            facts => view::value(facts),
            list => view::value(list),
            error => error.map(view::value),
        })
    })
    .await;
    let values = made.map_err(|error| Failure(headers.clone(), error))?;
    Ok(view::page(&headers, "articles.html", values))
}

/// One page of the articles that pass, from 1.
#[derive(Debug, Default, Serialize)]
struct List {
    #[serde(flatten)]
    found: ArticlesPage,
    page: usize,
    pages: usize,
}

/// The articles that the fields ask for.
fn listed(library: &Library, fields: &Fields) -> Result<List> {
    let title = Some(fields.q.trim().to_owned()).filter(|title| !title.is_empty());
    let words = FilterWords { title, ..fields.filter() };
    let filter = words.understood(library)?;
    let page = fields.page.trim().parse().unwrap_or(1).max(1);
    let of = |page: usize| library.articles_page(&filter, (page - 1).saturating_mul(PAGE), PAGE);
    let mut found = of(page)?;
    let pages = found.total.div_ceil(PAGE).max(1);
    if page > pages {
        found = of(pages)?;
    }
    Ok(List { found, page: page.min(pages), pages })
}

/// What of an article is to be shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    revision: Option<String>,
    document: Option<String>,
    /// First byte and byte after the last of what is marked.
    from: Option<String>,
    to: Option<String>,
    /// `passage`: a whole passage is meant.
    r#as: Option<String>,
}

impl Wanted {
    fn mark(&self) -> Option<Mark> {
        let (from, to) = (self.from.as_ref()?.parse().ok()?, self.to.as_ref()?.parse().ok()?);
        Some(Mark { range: from..to, is_passage: self.r#as.as_deref() == Some("passage") })
    }
}

pub(super) async fn article(
    Extract(state): Extract<State>,
    path: std::result::Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    query: Asked<Wanted>,
) -> std::result::Result<Response, Failure> {
    let (id, wanted) = match (path, query) {
        (Ok(Path(id)), Ok(Query(wanted))) => (id, wanted),
        (Err(error), _) => return Err(Failure(headers, unreadable(error))),
        (_, Err(error)) => return Err(Failure(headers, unreadable(error))),
    };
    let made = looking(&state, move |kb, watch| {
        let none = || Error::new(ErrorKind::NotFound, "there is no such article");
        let id = ArticleId::read(&id).ok_or_else(none)?;
        let revision = wanted.revision.as_deref().and_then(|text| text.parse().ok());
        let document = wanted.document.clone().map(DocumentId);
        let found = match kb.article_text(&id, revision, document.as_ref(), watch) {
            // What was cited of a text that is no longer kept can't be shown; the article can.
            Err(error) if error.kind() == ErrorKind::NotFound && document.is_some() => {
                (kb.article_text(&id, None, None, watch)?, false)
            }
            other => (other?, true),
        };
        let (text, is_cited_text) = found;
        let mark = wanted.mark().filter(|_| is_cited_text);
        let written = reader::write(&text.document, mark.as_ref());
        let info = kb.filled_library()?.sources()?;
        let meta = &text.article.meta;
        let source = info
            .iter()
            .find(|info| info.id == meta.source)
            .and_then(|info| info.title.clone())
            .unwrap_or_else(|| meta.source.0.clone());
        let contents = (written.contents.len() >= CONTENTS).then_some(&written.contents);
        Ok(context! {
            here => "article",
            meta => view::value(meta),
            source,
            link => view::web_link(meta.url.as_deref()),
            revision => text.revision,
            newest => text.newest,
            extent => view::value(text.article.extent),
            html => Value::from_safe_string(written.html),
            contents => contents.map(view::value),
            is_marked => written.is_marked,
            is_lost => wanted.from.is_some() && !written.is_marked,
        })
    })
    .await;
    let values = made.map_err(|error| Failure(headers.clone(), error))?;
    Ok(view::page(&headers, "article.html", values))
}

pub(super) async fn status(
    Extract(state): Extract<State>,
    headers: HeaderMap,
) -> std::result::Result<Response, Failure> {
    let shared = State::clone(&state);
    let made = looking(&state, move |kb, _| {
        let sources = match kb.existing_library()? {
            Some(library) => library.sources()?,
            None => Vec::new(),
        };
        let shown: Vec<Value> = sources
            .iter()
            .map(|info| {
                let link = view::web_link(info.site.as_deref());
                context! { info => view::value(info.clone()), link }
            })
            .collect();
        let status = shared.status()?;
        Ok(context! { here => "status", sources => shown, status => view::value(status) })
    })
    .await;
    let values = made.map_err(|error| Failure(headers.clone(), error))?;
    Ok(view::page(&headers, "status.html", values))
}
