//! Pages, Markdown and plain text: one article each. Pure.

use ego_tree::iter::Edge;
use scraper::{Html, Selector};

use super::subtitle::{line, subtitle};
use super::{Hint, Parsed, absolute, blank, date};
use crate::base::text::collapse;
use crate::base::{Content, ParsedArticle};

/// An HTML page as an article, and the feeds that it names.
pub(super) fn html(text: &str, hint: &Hint<'_>) -> Parsed {
    let page = Html::parse_document(text);
    let attribute = |selector: &str, name: &str| {
        let selector = Selector::parse(selector).ok()?;
        let value = page.select(&selector).next()?.value().attr(name)?;
        Some(collapse(value)).filter(|value| !value.is_empty())
    };
    let text_of = |selector: &str| {
        let selector = Selector::parse(selector).ok()?;
        let text: String = page.select(&selector).next()?.text().collect();
        Some(collapse(&text)).filter(|text| !text.is_empty())
    };
    let base = attribute("base[href]", "href")
        .and_then(|base| absolute(&base, hint.url))
        .or_else(|| hint.url.map(str::to_owned));
    let meta = |name: &str| {
        attribute(&format!("meta[property=\"{name}\"]"), "content")
            .or_else(|| attribute(&format!("meta[name=\"{name}\"]"), "content"))
    };
    let mut article = blank();
    article.title = meta("og:title")
        .or_else(|| text_of("h1"))
        .or_else(|| text_of("title"))
        .unwrap_or_else(|| file_title(hint));
    article.url = attribute("link[rel=\"canonical\"]", "href")
        .or_else(|| meta("og:url"))
        .and_then(|url| absolute(&url, base.as_deref()))
        .or_else(|| hint.url.map(str::to_owned));
    article.published = meta("article:published_time")
        .or_else(|| meta("date"))
        .or_else(|| attribute("time[datetime]", "datetime"))
        .and_then(|text| date::parse(&text));
    article.updated = meta("article:modified_time").and_then(|text| date::parse(&text));
    article.authors = meta("author").into_iter().collect();
    article.tags = meta("keywords")
        .map(|words| words.split(',').map(collapse).filter(|word| !word.is_empty()).collect())
        .unwrap_or_default();
    article.content = Content::Html(main_content(&page, text, base.as_deref()));
    article.subtitle = subtitle(meta("og:description").or_else(|| meta("description")), &article);
    let mut feeds = Vec::new();
    if let Ok(selector) = Selector::parse("link[rel~=\"alternate\"][href]") {
        for link in page.select(&selector) {
            let kind = link.value().attr("type").unwrap_or_default().to_ascii_lowercase();
            let is_feed = ["rss", "atom", "feed+json"].iter().any(|name| kind.contains(name));
            let href = link.value().attr("href").unwrap_or_default();
            // Comments have feeds too; nobody means them.
            if is_feed
                && !href.contains("/comments/")
                && let Some(url) = absolute(href, base.as_deref())
            {
                feeds.push(url);
            }
        }
    }
    Parsed::Page { article: Box::new(article), feeds }
}

/// Elements of a page at the most for which its main content is looked for.
const MAX_ELEMENTS: usize = 100_000;

/// Elements within elements at the most, as in browsers' parsers: its cost grows with the square.
const MAX_DEPTH: usize = 512;

/// Elements of a page that lie within each other at the most.
fn depth(page: &Html) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for edge in page.root_element().traverse() {
        match edge {
            Edge::Open(_) => depth += 1,
            Edge::Close(_) => depth -= 1,
        }
        most = most.max(depth);
    }
    most
}

/// A page's main content by Readability's scoring; where that finds none, what the page marks as
/// its content (its one `<article>`, else its `<main>`), else all of it.
fn main_content(page: &Html, text: &str, url: Option<&str>) -> String {
    let config = dom_smoothie::Config {
        keep_classes: true,
        max_elements_to_parse: MAX_ELEMENTS,
        ..dom_smoothie::Config::default()
    };
    if depth(page) <= MAX_DEPTH
        && let Ok(article) = dom_smoothie::Readability::new(text, url, Some(config))
            .and_then(|mut readability| readability.parse())
    {
        return article.content.to_string();
    }
    for name in ["article", "main", "[role=\"main\"]"] {
        let Ok(selector) = Selector::parse(name) else { continue };
        let mut found = page.select(&selector);
        if let (Some(one), None) = (found.next(), found.next()) {
            return one.html();
        }
    }
    text.to_owned()
}

fn file_title(hint: &Hint<'_>) -> String {
    let name = hint.file_name.or(hint.url).unwrap_or("untitled");
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    collapse(&stem.replace(['-', '_'], " "))
}

/// Plain text; its title is its file's name.
pub(super) fn text(text: &str, hint: &Hint<'_>) -> Parsed {
    let article = ParsedArticle {
        title: file_title(hint),
        content: Content::Text(text.to_owned()),
        ..blank()
    };
    Parsed::Page { article: Box::new(article), feeds: Vec::new() }
}

/// Markdown, with its front matter (YAML's simple part, or TOML) if it has one.
pub(super) fn markdown(text: &str, hint: &Hint<'_>) -> Parsed {
    let (front, body) = front_matter(text);
    let get = |keys: &[&str]| {
        front.iter().find(|(key, _)| keys.contains(&key.as_str())).map(|(_, values)| values)
    };
    let first = |keys: &[&str]| {
        get(keys).and_then(|values| values.first()).filter(|value| !value.is_empty()).cloned()
    };
    let mut article = blank();
    article.title = first(&["title"])
        .or_else(|| {
            let heading = body.lines().find_map(|line| line.strip_prefix("# "))?;
            Some(collapse(heading.trim_end_matches('#')))
        })
        .unwrap_or_else(|| file_title(hint));
    article.published =
        first(&["date", "published", "pubdate", "created"]).and_then(|text| date::parse(&text));
    article.updated =
        first(&["updated", "modified", "lastmod"]).and_then(|text| date::parse(&text));
    article.authors = get(&["author", "authors"]).cloned().unwrap_or_default();
    article.tags = get(&["tags", "categories", "keywords"]).cloned().unwrap_or_default();
    article.url = first(&["url", "link", "canonical", "canonical_url"])
        .and_then(|url| absolute(&url, hint.url));
    article.guid = first(&["id", "guid"]);
    article.content = Content::Markdown(body.to_owned());
    let subtitles = [first(&["subtitle"]), first(&["description"])];
    article.subtitle = subtitle(subtitles.into_iter().flatten().map(|text| line(&text)), &article);
    Parsed::Page { article: Box::new(article), feeds: Vec::new() }
}

/// Keys in lower case with their values.
type Front = Vec<(String, Vec<String>)>;

fn front_matter(text: &str) -> (Front, &str) {
    for fence in ["---", "+++"] {
        let Some(rest) = text.strip_prefix(fence) else { continue };
        let Some(rest) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) else {
            continue;
        };
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == fence || (fence == "---" && line.trim_end() == "...") {
                let body = &rest[at + line.len()..];
                let front = if fence == "---" { yaml(&rest[..at]) } else { toml(&rest[..at]) };
                return (front, body);
            }
            at += line.len();
        }
    }
    (Vec::new(), text)
}

/// `key: value`, `key: [a, b]`, and `key:` with `- a` lines under it: what front matter is made of.
fn yaml(text: &str) -> Front {
    let mut found: Front = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        if let Some(item) = trimmed.strip_prefix("- ") {
            if let Some((_, values)) = found.last_mut() {
                values.push(unquote(item));
            }
            continue;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((key, value)) = trimmed.split_once(':') else { continue };
        let value = value.trim();
        let values = match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            Some(list) => list.split(',').map(unquote).filter(|item| !item.is_empty()).collect(),
            None if value.is_empty() => Vec::new(),
            None => vec![unquote(value)],
        };
        found.push((key.trim().to_lowercase(), values));
    }
    found
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return collapse(inner);
        }
    }
    collapse(text)
}

fn toml(text: &str) -> Front {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let show = |value: &toml::Value| match value {
        toml::Value::String(text) => collapse(text),
        other => other.to_string(),
    };
    table
        .iter()
        .map(|(key, value)| {
            let values = match value {
                toml::Value::Array(items) => items.iter().map(show).collect(),
                one => vec![show(one)],
            };
            (key.to_lowercase(), values)
        })
        .collect()
}
