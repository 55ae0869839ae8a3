//! RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, WordPress exports, OPML. Pure.

mod draft;

use super::xml::{self, Document, Start, Token};
use super::{Hint, Outline, Outlines, Parsed, absolute, plain};
use crate::base::ParsedSource;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::http::is_web;
use crate::base::text::collapse;
use draft::{Draft, in_item, title};

/// An element that is open.
struct Open {
    start: Start,
    /// Its text, or its markup.
    text: String,
    base: Option<String>,
    /// How its text is to be read.
    kind: TextKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TextKind {
    /// Text in which tags may have been written (RSS, Atom `html`).
    Html,
    /// Text in which a `<` is a `<` (Atom `text`).
    Plain,
    /// Elements that are its content (Atom `xhtml`).
    Markup,
    /// Base64 of text in which tags may have been written (Atom's other media types).
    Base64,
}

/// What is read of a source while it is read.
struct Walk<'a> {
    stack: Vec<Open>,
    feed: ParsedSource,
    feed_link: u8,
    /// Where the feed says that it lies.
    itself: Option<String>,
    draft: Option<Draft>,
    /// The depth of the item that is open.
    item_depth: usize,
    hint: &'a Hint<'a>,
}

/// Reads a feed.
///
/// # Errors
/// [`ErrorKind::Parse`] if it is none.
pub(super) fn parse(text: &str, hint: &Hint<'_>) -> Result<Parsed> {
    let mut document = Document::new(text);
    let mut walk = Walk {
        stack: Vec::new(),
        feed: ParsedSource::default(),
        feed_link: 0,
        itself: None,
        draft: None,
        item_depth: 0,
        hint,
    };
    let mut is_feed = false;
    let mut unclosed = 0;
    loop {
        match document.next() {
            Token::Start(start) => {
                is_feed |= walk.stack.len() < 3
                    && matches!(
                        start.name.as_str(),
                        "rss" | "feed" | "rdf:rdf" | "channel" | "item" | "entry"
                    );
                walk.open(start);
            }
            Token::End(name) => walk.close(&name),
            Token::Text(text) => walk.text(&text),
            Token::Over => break,
        }
    }
    while let Some(open) = walk.stack.last() {
        let name = open.start.raw.clone();
        unclosed += 1;
        walk.close(&name);
    }
    if !is_feed {
        return Err(Error::new(ErrorKind::Parse, "it is XML, but not a feed"));
    }
    let mut feed = walk.feed;
    for (what, count) in &document.mended {
        feed.warnings.push(format!("{count} × {what}"));
    }
    if unclosed > 0 {
        feed.warnings.push("it ends before it is complete; what is there was read".to_owned());
    }
    Ok(Parsed::Source(feed))
}

/// Fields whose text is kept; everything else inside of them is part of it.
fn is_field(name: &str) -> bool {
    matches!(
        name,
        "title"
            | "link"
            | "guid"
            | "id"
            | "pubdate"
            | "published"
            | "issued"
            | "created"
            | "updated"
            | "modified"
            | "lastbuilddate"
            | "description"
            | "summary"
            | "content"
            | "subtitle"
            | "tagline"
            | "name"
            | "category"
            | "body"
            | "fullitem"
            | "copyright"
            | "url"
            | "comments"
            | "content:encoded"
            | "xhtml:body"
            | "xhtml:div"
            | "dc:title"
            | "dc:creator"
            | "dc:author"
            | "dc:date"
            | "dc:subject"
            | "dc:description"
            | "dc:identifier"
            | "dcterms:issued"
            | "dcterms:created"
            | "dcterms:modified"
            | "dcterms:published"
            | "itunes:author"
            | "itunes:summary"
            | "itunes:subtitle"
            | "media:description"
            | "media:title"
            | "wp:post_type"
            | "excerpt:encoded"
            | "content:items"
    )
}

impl Walk<'_> {
    fn base(&self) -> Option<&str> {
        self.stack.last().and_then(|open| open.base.as_deref()).or(self.hint.url)
    }

    fn open(&mut self, start: Start) {
        // Inside of a field, an element is part of its text.
        if let Some(field) = self.stack.iter_mut().find(|open| is_field(&open.start.name)) {
            let markup = start.markup();
            if field.kind == TextKind::Plain {
                field.kind = TextKind::Html;
            }
            field.text.push_str(&markup);
            let base = field.base.clone();
            // It is only kept to find its end.
            let start = Start { name: String::new(), raw: start.raw, attributes: Vec::new() };
            self.stack.push(Open { start, text: String::new(), base, kind: TextKind::Markup });
            return;
        }
        let base = match start.attribute("base") {
            Some(base) => absolute(base, self.base()).or_else(|| self.base().map(str::to_owned)),
            None => self.base().map(str::to_owned),
        };
        if matches!(start.name.as_str(), "item" | "entry") && self.draft.is_none() {
            let mut draft = Draft::new();
            if let Some(about) = start.attribute("about") {
                draft.article.guid = Some(about.trim().to_owned()).filter(|id| !id.is_empty());
            }
            self.draft = Some(draft);
            self.item_depth = self.stack.len();
        }
        let is_atom_text =
            matches!(start.name.as_str(), "title" | "summary" | "content" | "subtitle" | "tagline")
                && start.attribute("type").is_some();
        let kind = match start.attribute("type").map(str::to_ascii_lowercase).as_deref() {
            Some("text" | "text/plain") if is_atom_text => TextKind::Plain,
            Some("xhtml" | "application/xhtml+xml") if is_atom_text => TextKind::Markup,
            _ if start.attribute("mode") == Some("xml") => TextKind::Markup,
            _ if start.attribute("mode") == Some("base64") => TextKind::Base64,
            Some(kind) if is_atom_text && is_encoded(kind) => TextKind::Base64,
            _ if matches!(start.name.as_str(), "xhtml:body" | "xhtml:div") => TextKind::Markup,
            _ => TextKind::Html,
        };
        if start.name == "link" {
            self.link_element(&start, base.as_deref());
        }
        if start.name == "category"
            && let Some(draft) = &mut self.draft
        {
            let tag = start.attribute("term").or_else(|| start.attribute("label"));
            draft.article.tags.extend(tag.map(collapse).filter(|tag| !tag.is_empty()));
        }
        self.stack.push(Open { start, text: String::new(), base, kind });
    }

    /// A link that is an element of its own, as in Atom.
    fn link_element(&mut self, start: &Start, base: Option<&str>) {
        let Some(url) = start.attribute("href").and_then(|href| absolute(href, base)) else {
            return;
        };
        let rel = start.attribute("rel").unwrap_or("alternate").to_ascii_lowercase();
        let rel = rel.rsplit('/').next().unwrap_or_default();
        let is_html = start.attribute("type").is_none_or(|kind| kind.contains("html"));
        let rank = match rel {
            "alternate" if is_html => 3,
            "alternate" => 2,
            _ => 0,
        };
        if self.draft.is_none() && rel == "self" && self.itself.is_none() {
            self.itself = Some(url.clone());
        }
        match &mut self.draft {
            Some(draft) if rank > draft.link => {
                draft.link = rank;
                draft.article.url = Some(url);
            }
            Some(_) => {}
            None if rank > self.feed_link => {
                self.feed_link = rank;
                self.feed.url = Some(url);
            }
            None if matches!(rel, "next" | "prev-archive") && self.feed.next.is_none() => {
                self.feed.next = Some(url);
            }
            None => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(field) = self.stack.iter_mut().find(|open| is_field(&open.start.name)) {
            if field.kind == TextKind::Markup {
                field.text.push_str(&xml::escape(text));
            } else {
                field.text.push_str(text);
            }
        } else if let Some(open) = self.stack.last_mut() {
            open.text.push_str(text);
        }
    }

    fn close(&mut self, name: &str) {
        // An end without a beginning is passed over; one of an outer element ends the inner ones.
        let Some(at) = self.stack.iter().rposition(|open| open.start.raw == name).or_else(|| {
            self.stack.iter().rposition(|open| open.start.raw.eq_ignore_ascii_case(name))
        }) else {
            return;
        };
        // Inside of an item, nothing but its own end ends it.
        if self.draft.is_some()
            && at < self.item_depth
            && !matches!(name, "channel" | "rss" | "feed")
        {
            return;
        }
        while self.stack.len() > at {
            let Some(open) = self.stack.pop() else { break };
            if open.start.name.is_empty() {
                if let Some(field) = self.stack.iter_mut().find(|open| is_field(&open.start.name)) {
                    field.text.push_str(&format!("</{}>", xml::local(&open.start.raw)));
                }
                continue;
            }
            self.end(open);
        }
    }

    fn end(&mut self, open: Open) {
        let name = open.start.name.as_str();
        let parent = self.stack.last().map(|open| open.start.name.clone()).unwrap_or_default();
        if matches!(name, "item" | "entry") && self.stack.len() == self.item_depth {
            if let Some(draft) = self.draft.take() {
                // An export holds pages, menus and attachments too.
                if draft.post_type.as_deref().is_none_or(|kind| matches!(kind, "post" | "page")) {
                    self.feed.articles.push(draft.finish());
                }
            }
            return;
        }
        let decoded = (open.kind == TextKind::Base64).then(|| from_base64(&open.text)).flatten();
        let text = decoded.as_deref().unwrap_or(&open.text).trim();
        match &mut self.draft {
            Some(draft) => in_item(draft, &open, name, &parent, text),
            None => self.in_feed(&open, name, &parent, text),
        }
    }

    fn in_feed(&mut self, open: &Open, name: &str, parent: &str, text: &str) {
        if !matches!(parent, "channel" | "feed" | "rss" | "rdf:rdf") || text.is_empty() {
            return;
        }
        match name {
            "title" => self.feed.title = Some(title(open, text)).filter(|t| !t.is_empty()),
            "dc:title" if self.feed.title.is_none() => {
                self.feed.title = Some(plain(text)).filter(|t| !t.is_empty());
            }
            "link" if self.feed_link < 2 => {
                if let Some(url) = absolute(text, open.base.as_deref()) {
                    self.feed_link = 2;
                    self.feed.url = Some(url);
                }
            }
            _ => {}
        }
    }
}

/// Whether Atom has the content of this media type in base64 (RFC 4287, 4.1.3.3).
fn is_encoded(media_type: &str) -> bool {
    let is_xml = media_type.ends_with("+xml") || media_type.ends_with("/xml");
    media_type.contains('/') && !media_type.starts_with("text/") && !is_xml
}

fn from_base64(text: &str) -> Option<String> {
    use base64::Engine;
    let packed: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    String::from_utf8(bytes).ok()
}

/// The feeds that an OPML file lists, wherever they stand in it. What is not on the network is left
/// out: a list may come from anywhere, and has no say in what is read of this machine.
pub(super) fn outlines(text: &str, hint: &Hint<'_>) -> Parsed {
    let mut document = Document::new(text);
    let mut found = Outlines::default();
    let mut left_out: Vec<String> = Vec::new();
    loop {
        match document.next() {
            Token::Start(start) if start.name == "outline" => {
                let link = ["xmlurl", "url"].iter().find_map(|name| start.attribute(name));
                let Some(link) = link.map(str::trim).filter(|link| !link.is_empty()) else {
                    continue;
                };
                let url = absolute(link, hint.url).filter(|url| is_web(url));
                let Some(url) = url else {
                    left_out.push(link.to_owned());
                    continue;
                };
                let title = start.attribute("title").or_else(|| start.attribute("text"));
                found.feeds.push(Outline { title: title.map(plain), url });
            }
            Token::Over => break,
            Token::Start(_) | Token::End(_) | Token::Text(_) => {}
        }
    }
    if let Some(first) = left_out.first() {
        found.warnings.push(format!(
            "{} of the listed feeds are not http or https addresses and were left out, as: {first}",
            left_out.len()
        ));
    }
    Parsed::Outlines(found)
}
