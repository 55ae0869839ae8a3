//! XML as a stream of elements with resolved names, whatever state it is in. Pure.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements within elements; what lies deeper is passed over.
const MAX_DEPTH: usize = 200;

/// An element's beginning.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// `prefix:local` in lower case, with the prefix that the namespace is known by; `local` alone
    /// for those of feeds themselves.
    pub name: String,
    /// As it was written.
    pub raw: String,
    /// Names in lower case, values with their references resolved.
    pub attributes: Vec<(String, String)>,
}

impl Start {
    /// The value of an attribute, its name without prefix and case.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name || key.rsplit_once(':').is_some_and(|(_, k)| k == name))
            .map(|(_, value)| value.as_str())
    }

    /// As it was written, to be put into a text.
    pub fn markup(&self) -> String {
        let mut out = format!("<{}", local(&self.raw));
        for (key, value) in self.attributes.iter().filter(|(key, _)| !key.starts_with("xmlns")) {
            out.push_str(&format!(
                " {key}=\"{}\"",
                value.replace('&', "&amp;").replace('"', "&quot;")
            ));
        }
        out.push('>');
        out
    }
}

/// What comes next.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Start(Start),
    /// The end of the innermost open element of this raw name.
    End(String),
    Text(String),
    Over,
}

/// A document that is read token by token.
pub(super) struct Document<'a> {
    reader: Reader<&'a [u8]>,
    /// Depth, prefix and known prefix of the namespaces that are declared.
    namespaces: Vec<(usize, String, String)>,
    depth: usize,
    /// An element without content has an end of its own.
    pending_end: Option<String>,
    over: bool,
    /// What was mended, by kind, with how often.
    pub mended: std::collections::BTreeMap<&'static str, usize>,
}

/// The name of a text's outermost element, without its prefix's meaning.
pub(super) fn root(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find('<')?..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = &comment[comment.find("-->")? + 3..];
        } else if rest.starts_with("<!") {
            rest = after_doctype(rest)?;
        } else if rest.starts_with("<?") {
            rest = &rest[rest.find("?>")? + 2..];
        } else {
            let name = &rest[1..];
            let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
            return Some(&name[..end]);
        }
    }
}

/// What follows a document type, whose own declarations stand in brackets.
fn after_doctype(text: &str) -> Option<&str> {
    let mut depth = 0i32;
    for (at, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            '>' if depth <= 0 => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The prefix that a namespace is known by here; `None` for one that is not known.
fn known(uri: &str) -> Option<&'static str> {
    let uri = uri.trim().trim_end_matches(['/', '#']).to_ascii_lowercase();
    let uri = uri.trim_start_matches("http://").trim_start_matches("https://");
    Some(match uri {
        "" => "",
        "www.w3.org/2005/atom" | "purl.org/atom/ns" | "purl.org/atom/app" => "atom",
        "purl.org/rss/1.0"
        | "my.netscape.com/rdf/simple/0.9"
        | "channel.netscape.com/rdf/simple/0.9"
        | "purl.org/net/rss1.1"
        | "backend.userland.com/rss2"
        | "backend.userland.com/rss"
        | "blogs.law.harvard.edu/tech/rss"
        | "backend.userland.com/rss091"
        | "purl.org/rss/2.0"
        | "my.netscape.com/rdf/simple/0.9.1"
        | "purl.org/rss/1.0/modules/rss091" => "",
        "purl.org/rss/1.0/modules/content" => "content",
        "purl.org/dc/elements/1.1" | "purl.org/dc/elements/1.0" => "dc",
        "purl.org/dc/terms" => "dcterms",
        "search.yahoo.com/mrss" => "media",
        "www.itunes.com/dtds/podcast-1.0.dtd" | "example.com/dtds/podcast-1.0.dtd" => "itunes",
        "www.w3.org/1999/02/22-rdf-syntax-ns" => "rdf",
        "www.w3.org/1999/xhtml" => "xhtml",
        _ => return None,
    })
}

impl<'a> Document<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        Document {
            reader,
            namespaces: Vec::new(),
            depth: 0,
            pending_end: None,
            over: false,
            mended: Default::default(),
        }
    }

    fn mend(&mut self, what: &'static str) {
        *self.mended.entry(what).or_default() += 1;
    }

    /// The next token; after the end always the end.
    pub fn next(&mut self) -> Token {
        if let Some(name) = self.pending_end.take() {
            self.leave();
            return Token::End(name);
        }
        while !self.over {
            let event = match self.reader.read_event() {
                Ok(event) => event.into_owned(),
                Err(_) => {
                    self.mend("broken markup");
                    self.over = true;
                    break;
                }
            };
            match event {
                Event::Start(start) => {
                    if let Some(start) = self.start(&start) {
                        return Token::Start(start);
                    }
                }
                Event::Empty(start) => {
                    if let Some(start) = self.start(&start) {
                        self.pending_end = Some(start.raw.clone());
                        return Token::Start(start);
                    }
                    self.leave();
                }
                Event::End(end) => {
                    let name = end.name().as_ref().trim().to_owned();
                    let deep = self.depth > MAX_DEPTH;
                    self.leave();
                    if !deep {
                        return Token::End(name);
                    }
                }
                Event::Text(text) => return Token::Text(text.to_string()),
                Event::CData(text) => return Token::Text(text.to_string()),
                Event::GeneralRef(name) => {
                    let name = name.to_string();
                    let text = reference(&name);
                    if text.is_none() {
                        self.mend("undeclared entities");
                    }
                    return Token::Text(text.unwrap_or_else(|| format!("&{name};")));
                }
                Event::Eof => self.over = true,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        Token::Over
    }

    fn leave(&mut self) {
        let depth = self.depth;
        self.namespaces.retain(|(at, ..)| *at < depth);
        self.depth = depth.saturating_sub(1);
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Option<Start> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.mend("elements nested too deep");
            return None;
        }
        let raw = start.name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes().with_checks(false).flatten().take(100) {
            let key = attribute.key.as_ref().to_ascii_lowercase();
            let value = unescape(&attribute.value);
            if let Some(prefix) = key.strip_prefix("xmlns") {
                let prefix = prefix.trim_start_matches(':').to_owned();
                // What is not known keeps the prefix that it was given.
                let known = known(&value).map_or_else(|| prefix.clone(), str::to_owned);
                self.namespaces.push((self.depth, prefix, known));
            }
            attributes.push((key, value));
        }
        let lower = raw.to_ascii_lowercase();
        let (prefix, local) = lower.split_once(':').unwrap_or(("", &lower));
        let found = self.namespaces.iter().rev().find(|(_, declared, _)| declared == prefix);
        let prefix = found.map_or(prefix, |(_, _, known)| known);
        let name = match prefix {
            "" | "atom" | "rss" | "a03" => local.to_owned(),
            prefix => format!("{prefix}:{local}"),
        };
        Some(Start { name, raw, attributes })
    }
}

/// The text that `&name;` stands for: XML's five, characters by number, HTML's. Entities that a
/// document declares for itself are not among them: they are never expanded.
fn reference(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        // Numbers of Windows-1252 are what their writers mean.
        if (0x80..=0x9f).contains(&code) {
            let byte = [u8::try_from(code).ok()?];
            return Some(encoding_rs::WINDOWS_1252.decode(&byte).0.into_owned());
        }
        return char::from_u32(code).filter(|c| *c != '\0').map(String::from);
    }
    let simple = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => "\u{a0}",
        _ => {
            if name.len() > 32 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return None;
            }
            let written = format!("&{name};");
            let html = scraper::Html::parse_fragment(&written);
            let text: String = html.root_element().text().collect();
            return (text != written).then_some(text);
        }
    };
    Some(simple.to_owned())
}

/// An attribute's value with its references resolved; what can't be stays.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest[..rest.floor_char_boundary(rest.len().min(40))].find(';');
        match end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            Some((text, end)) => {
                out.push_str(&text);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Text as markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
