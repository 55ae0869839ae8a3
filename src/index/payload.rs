//! What a store keeps beside a point's vectors, and how filters are put to it. Pure.
//!
//! Both stores speak Qdrant's JSON: a payload is an object, a filter has Qdrant's REST form.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{
    ArticleId, ArticleMeta, Chunk, ChunkId, DocumentId, Filter, Hit, Point, Scores, SourceId,
    SparseVector,
};
use crate::index::store::{Query, Stored};

/// The payload of a point. `Option`s and lists that are empty stay out of it.
#[derive(Debug, Deserialize, Serialize)]
struct Payload {
    article: ArticleId,
    revision: u32,
    /// The document that the range points into.
    document: DocumentId,
    /// Terms of the text that was embedded.
    length: usize,
    section: usize,
    ordinal: usize,
    start: usize,
    end: usize,
    text: String,
    title: String,
    /// The first is the source that the article was first read from.
    source: Vec<SourceId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heading_path: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    author: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tag: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<jiff::Timestamp>,
}

/// Fields that filters look at, with the schema of their index in Qdrant's REST form. They are
/// mapped from the disk: reading them whole would be most of the time of opening a store.
pub(super) fn indexes() -> [(&'static str, Value); 6] {
    let keyword = || json!({ "type": "keyword", "on_disk": true });
    let title = json!({ "type": "text", "tokenizer": "word", "lowercase": true, "on_disk": true });
    [
        ("article", keyword()),
        ("source", keyword()),
        ("author", keyword()),
        ("tag", keyword()),
        ("published", json!({ "type": "datetime", "on_disk": true })),
        ("title", title),
    ]
}

/// What is kept of a point beside its vectors.
pub(super) fn of(point: &Point) -> Value {
    let Point { chunk, article, revision, document, length, dense: _, sparse: _ } = point;
    let payload = Payload {
        article: article.id.clone(),
        revision: *revision,
        document: document.clone(),
        length: *length,
        section: chunk.section,
        ordinal: chunk.ordinal,
        start: chunk.range.start,
        end: chunk.range.end,
        text: chunk.text.clone(),
        title: article.title.clone(),
        source: std::iter::once(&article.source).chain(&article.other_sources).cloned().collect(),
        heading_path: chunk.heading_path.clone(),
        author: article.authors.clone(),
        tag: article.tags.clone(),
        url: article.url.clone(),
        published: article.published,
    };
    // A struct of strings, numbers and lists of them always becomes a JSON object.
    serde_json::to_value(payload).unwrap_or_default()
}

impl Payload {
    fn meta(&mut self) -> ArticleMeta {
        let mut sources = std::mem::take(&mut self.source).into_iter();
        ArticleMeta {
            id: self.article.clone(),
            source: sources.next().unwrap_or_else(|| SourceId(String::new())),
            other_sources: sources.collect(),
            url: self.url.take(),
            title: std::mem::take(&mut self.title),
            subtitle: None,
            authors: std::mem::take(&mut self.author),
            published: self.published,
            tags: std::mem::take(&mut self.tag),
        }
    }
}

/// The scores of a hit that one search found.
pub(super) fn scores(query: &Query, score: f32) -> Scores {
    match query {
        Query::Dense(_) => Scores { dense: Some(score), ..Scores::default() },
        Query::Sparse(_) => Scores { sparse: Some(score), ..Scores::default() },
    }
}

/// The hit that a payload is of.
///
/// # Errors
/// [`ErrorKind::Index`] if another program wrote it.
pub(super) fn hit(id: Uuid, score: f32, payload: Value, query: &Query) -> Result<Hit> {
    let mut payload: Payload = read(id, payload)?;
    Ok(Hit {
        chunk_id: ChunkId(id),
        article: payload.meta(),
        revision: payload.revision,
        document: payload.document,
        section: payload.section,
        ordinal: payload.ordinal,
        heading_path: payload.heading_path,
        range: payload.start..payload.end,
        text: payload.text,
        score,
        scores: scores(query, score),
    })
}

/// The point that a payload and its vectors are of. What was embedded is not kept: its chunk has no
/// `embedded_text` and no `tokens`.
///
/// # Errors
/// As [`hit`].
pub(super) fn point(
    id: Uuid,
    payload: Value,
    dense: Vec<f32>,
    sparse: SparseVector,
) -> Result<Point> {
    let mut payload: Payload = read(id, payload)?;
    Ok(Point {
        article: payload.meta(),
        revision: payload.revision,
        document: payload.document,
        length: payload.length,
        dense,
        sparse,
        chunk: Chunk {
            id: ChunkId(id),
            article_id: payload.article,
            section: payload.section,
            ordinal: payload.ordinal,
            heading_path: payload.heading_path,
            range: payload.start..payload.end,
            text: payload.text,
            embedded_text: String::new(),
            tokens: 0,
        },
    })
}

/// Fields that [`stored`] needs.
pub(super) const STORED: [&str; 2] = ["article", "revision"];

/// What a scan returns of a point.
///
/// # Errors
/// As [`hit`].
pub(super) fn stored(id: Uuid, payload: Value) -> Result<Stored> {
    #[derive(Deserialize)]
    struct Part {
        article: ArticleId,
        revision: u32,
    }
    let part: Part = read(id, payload)?;
    Ok(Stored { chunk_id: ChunkId(id), article_id: part.article, revision: part.revision })
}

fn read<T: serde::de::DeserializeOwned>(id: Uuid, payload: Value) -> Result<T> {
    serde_json::from_value(payload).map_err(|error| {
        Error::new(ErrorKind::Index, format!("point {id} of the index is not wellread's"))
            .caused_by(error)
            .step(Step::Rebuild)
    })
}

/// A filter in Qdrant's REST form; `None` if all pass.
pub(super) fn filter(filter: &Filter) -> Option<Value> {
    if filter.is_empty() {
        return None;
    }
    let mut must = Vec::new();
    let mut any = |key: &str, values: Vec<&str>| {
        if !values.is_empty() {
            must.push(json!({ "key": key, "match": { "any": values } }));
        }
    };
    any("source", filter.sources.iter().map(|source| source.0.as_str()).collect());
    any("author", filter.authors.iter().map(String::as_str).collect());
    any("tag", filter.tags.iter().map(String::as_str).collect());
    if filter.since.is_some() || filter.until.is_some() {
        let mut range = serde_json::Map::new();
        range.extend(filter.since.map(|since| ("gte".to_owned(), json!(since))));
        range.extend(filter.until.map(|until| ("lt".to_owned(), json!(until))));
        must.push(json!({ "key": "published", "range": range }));
    }
    if let Some(title) = &filter.title {
        must.push(json!({ "key": "title", "match": { "text": title } }));
    }
    Some(json!({ "must": must }))
}

/// The filter for the points of an article, in Qdrant's REST form.
pub(super) fn of_article(article: &ArticleId) -> Value {
    json!({ "must": [{ "key": "article", "match": { "value": article } }] })
}

/// The condition that a point is of one of some articles, in Qdrant's REST form.
pub(super) fn of_articles<'a>(articles: impl Iterator<Item = &'a ArticleId>) -> Value {
    json!({ "key": "article", "match": { "any": articles.collect::<Vec<_>>() } })
}
