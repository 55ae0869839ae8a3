//! RSS and Atom.
use super::Hint;
use crate::domain::{Content, ParsedArticle, ParsedSource};
use crate::error::{Error, ErrorKind, Result};
use quick_xml::Reader;
use quick_xml::events::Event;

fn empty() -> ParsedArticle {
    ParsedArticle {
        guid: None,
        url: None,
        title: String::new(),
        authors: vec![],
        published: None,
        updated: None,
        tags: vec![],
        content: Content::Html(String::new()),
        summary_only: true,
    }
}

pub(super) fn parse(text: &str, _hint: &Hint<'_>) -> Result<ParsedSource> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut feed = ParsedSource::default();
    let mut path: Vec<String> = vec![];
    let mut item: Option<ParsedArticle> = None;
    let mut buffer = String::new();
    let mut known = false;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(Event::Start(start)) => {
                let name = start.name().as_ref().to_lowercase();
                if matches!(name.as_str(), "rss" | "feed" | "rdf:rdf") {
                    known = true;
                }
                if matches!(name.as_str(), "item" | "entry") {
                    item = Some(empty());
                }
                buffer.clear();
                path.push(name);
            }
            Ok(Event::Empty(start)) => {
                let name = start.name().as_ref().to_owned();
                if name == "link"
                    && let (Some(item), Ok(Some(href))) =
                        (&mut item, start.try_get_attribute("href"))
                {
                    item.url.get_or_insert(href.value.into_owned());
                }
            }
            Ok(Event::Text(text)) => buffer.push_str(&text),
            Ok(Event::CData(text)) => buffer.push_str(&text),
            Ok(Event::GeneralRef(name)) => {
                let name = name.to_string();
                if let Ok(text) = quick_xml::escape::unescape(&format!("&{name};")) {
                    buffer.push_str(&text);
                }
            }
            Ok(Event::End(_)) => {
                let name = path.pop().unwrap_or_default();
                let text = std::mem::take(&mut buffer);
                let text = text.trim();
                if let Some(item) = &mut item {
                    match name.as_str() {
                        "title" => item.title = crate::html::text_of(text),
                        "link" if !text.is_empty() => item.url = Some(text.to_owned()),
                        "guid" | "id" => item.guid = Some(text.to_owned()),
                        "pubdate" | "published" | "dc:date" => {
                            item.published = super::date::parse(text)
                        }
                        "updated" => item.updated = super::date::parse(text),
                        "dc:creator" | "name" => item.authors.push(text.to_owned()),
                        "category" => item.tags.push(text.to_owned()),
                        "description" | "summary" if item.summary_only => {
                            item.content = Content::Html(text.to_owned())
                        }
                        "content:encoded" | "content" => {
                            item.content = Content::Html(text.to_owned());
                            item.summary_only = false;
                        }
                        _ => {}
                    }
                } else if path.len() == 2 || path.len() == 1 {
                    match name.as_str() {
                        "title" => feed.title = Some(text.to_owned()),
                        "link" if !text.is_empty() => feed.url = Some(text.to_owned()),
                        _ => {}
                    }
                }
                if matches!(name.as_str(), "item" | "entry") {
                    feed.articles.extend(item.take());
                }
            }
            _ => {}
        }
    }
    if !known {
        return Err(Error::new(ErrorKind::Parse, "it is XML, but no feed"));
    }
    Ok(feed)
}
