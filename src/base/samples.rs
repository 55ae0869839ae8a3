//! What tests need one of, whichever it is.

use super::{ArticleId, ArticleMeta, SourceId};

/// An article with a title and nothing else.
pub fn article(title: &str) -> ArticleMeta {
    ArticleMeta {
        id: ArticleId("a".into()),
        source: SourceId("s".into()),
        other_sources: vec![],
        url: None,
        title: title.into(),
        subtitle: None,
        authors: vec![],
        published: None,
        tags: vec![],
    }
}
