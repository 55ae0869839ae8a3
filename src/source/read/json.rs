//! JSON Feed 1 and 1.1. Pure.

use serde_json::Value;

use super::subtitle::{line, subtitle};
use super::{Hint, Parsed, absolute, blank, date, plain};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::base::{Content, Extent, ParsedArticle, ParsedSource};

/// Reads a JSON Feed.
///
/// # Errors
/// [`ErrorKind::Parse`] if it is no JSON, or none that is a feed.
pub(super) fn parse(text: &str, hint: &Hint<'_>) -> Result<Parsed> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Parse, format!("it looks like JSON, but is not valid ({error})"))
    })?;
    let Some(items) = value.get("items").and_then(Value::as_array) else {
        return Err(Error::new(
            ErrorKind::Parse,
            "it is JSON, but not a JSON Feed: it has no items",
        ));
    };
    let base = string(&value, "feed_url").or_else(|| hint.url.map(str::to_owned));
    let mut feed = ParsedSource {
        title: string(&value, "title").map(|text| collapse(&text)),
        url: string(&value, "home_page_url").and_then(|url| absolute(&url, base.as_deref())),
        next: string(&value, "next_url").and_then(|url| absolute(&url, base.as_deref())),
        ..ParsedSource::default()
    };
    let mut left_out = 0;
    for item in items {
        if item.is_object() {
            feed.articles.push(article(item, base.as_deref()));
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        feed.warnings.push(format!("{left_out} items are not objects and were left out"));
    }
    Ok(Parsed::Source(feed))
}

fn article(item: &Value, base: Option<&str>) -> ParsedArticle {
    let mut article = blank();
    // An id may be a number.
    article.guid = match item.get("id") {
        Some(Value::String(id)) => Some(id.trim().to_owned()).filter(|id| !id.is_empty()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    article.url = string(item, "url")
        .or_else(|| string(item, "external_url"))
        .and_then(|url| absolute(&url, base));
    article.title = string(item, "title").map(|text| plain(&text)).unwrap_or_default();
    let time = |key: &str| string(item, key).and_then(|text| date::parse(&text));
    article.published = time("date_published");
    article.updated = time("date_modified");
    let authors = item.get("authors").and_then(Value::as_array).cloned().unwrap_or_default();
    let names =
        authors.iter().chain(item.get("author")).filter_map(|author| string(author, "name"));
    for name in names.map(|name| collapse(&name)) {
        if !name.is_empty() && !article.authors.contains(&name) {
            article.authors.push(name);
        }
    }
    let tags = item.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    article.tags = tags.iter().filter_map(Value::as_str).map(collapse).collect();
    article.content = if let Some(html) = string(item, "content_html") {
        Content::Html(html)
    } else if let Some(text) = string(item, "content_text") {
        Content::Text(text)
    } else {
        article.extent = Extent::Summary;
        Content::Text(string(item, "summary").unwrap_or_default())
    };
    article.subtitle = subtitle(string(item, "summary").map(|text| line(&text)), &article);
    article
}

fn string(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}
