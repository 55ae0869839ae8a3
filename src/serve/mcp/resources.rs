//! Articles as resources.

use rmcp::ErrorData;
use rmcp::model::{
    Annotations, ListResourcesResult, MetaObject, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};
use serde_json::json;

use crate::api::markdown::ARTICLES;
use crate::api::{FetchedShape, error_in_words};
use crate::base::error::{Error, ErrorKind};
use crate::base::{ArticleId, Filter};
use crate::library::{ArticleInfo, ArticlesPage};
use crate::serve::State;
use crate::serve::asking::looking;

/// What an article's text is: nothing in it is to be laid out, as images and links would be.
pub(super) const TYPE: &str = "text/plain";

/// Articles of a page of the list.
const PAGE: usize = 100;

/// The article that an id or a resource's name means.
pub(super) fn article_id(text: &str) -> Option<ArticleId> {
    let text = text.trim();
    ArticleId::read(text.strip_prefix(ARTICLES).unwrap_or(text))
}

/// How articles are named.
pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{ARTICLES}{{id}}"), "article")
        .with_title("An article")
        .with_description("All that is kept of an article's text, with its headings")
        .with_mime_type(TYPE)
}

/// A page of the articles, newest first.
pub(super) async fn list(
    state: &State,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let start: usize = match &cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| ErrorData::invalid_params("the cursor is none of this list", None))?,
    };
    let page = looking(state, move |kb, _| match kb.existing_library()? {
        Some(library) => library.articles_page(&Filter::default(), start, PAGE),
        None => Ok(ArticlesPage::default()),
    })
    .await
    .map_err(|error| internal(&error))?;
    let resources = page.articles.iter().map(resource).collect();
    let mut list = ListResourcesResult::with_all_items(resources);
    let next = start.saturating_add(PAGE);
    list.next_cursor = (next < page.total).then(|| next.to_string());
    Ok(list)
}

fn resource(info: &ArticleInfo) -> Resource {
    let id = &info.meta.id;
    let mut annotations = Annotations::default();
    annotations.last_modified = Some(info.changed_at.to_string());
    Resource::new(format!("{ARTICLES}{id}"), id.0.as_str())
        .with_title(&*info.meta.title)
        .with_mime_type(TYPE)
        .with_annotations(annotations)
}

/// An article's text.
pub(super) async fn read(state: &State, uri: String) -> Result<ReadResourceResult, ErrorData> {
    let shown: String = uri.chars().take(120).collect();
    // Clients of 2026-07-28 get -32602, older ones the code that they know for it.
    let unknown = || {
        let message = format!("there is no resource {shown}");
        ErrorData::resource_not_found(message, Some(json!({ "uri": shown })))
    };
    if !uri.starts_with(ARTICLES) {
        return Err(unknown());
    }
    let id = article_id(&uri).ok_or_else(unknown)?;
    let read = looking(state, move |kb, watch| {
        let text = kb.article_text(&id, None, None, watch)?;
        let modified = text.article.meta.id.clone();
        let library = kb.filled_library()?;
        let changed = library.revisions(&modified)?.last().map(|revision| revision.seen_at);
        let shape = FetchedShape::new(&text);
        let mut meta = MetaObject::new();
        meta.insert("title".to_owned(), json!(shape.title));
        meta.insert("url".to_owned(), json!(shape.url));
        meta.insert("lastModified".to_owned(), json!(changed));
        Ok((shape.text, meta))
    })
    .await;
    match read {
        Ok((text, meta)) => {
            let contents = ResourceContents::text(text, uri).with_mime_type(TYPE).with_meta(meta);
            Ok(ReadResourceResult::new(vec![contents]))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown()),
        Err(error) => Err(internal(&error)),
    }
}

fn internal(error: &Error) -> ErrorData {
    ErrorData::internal_error(error_in_words(error), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_is_meant_by_its_id_or_its_name() {
        let id = Some(ArticleId("00ff00ff00ff00ff".to_owned()));
        assert_eq!(article_id(" 00FF00ff00ff00ff"), id);
        assert_eq!(article_id("wellread://article/00ff00ff00ff00ff"), id);
        for other in ["", "00ff", "wellread://article/../../etc/passwd", "00ff00ff00ff00fé"] {
            assert_eq!(article_id(other), None);
        }
    }
}
