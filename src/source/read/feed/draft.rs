//! An item of a feed, element by element → an article. Pure.

use super::{Open, TextKind};
use crate::base::text::collapse;
use crate::base::{Content, Extent, ParsedArticle};
use crate::source::read::subtitle::{line, subtitle};
use crate::source::read::{absolute, blank, date, plain};

/// An article on its way, with the candidates for what it will be.
pub(super) struct Draft {
    pub(super) article: ParsedArticle,
    /// Rank and body; the highest rank wins, of equal ones the longer.
    body: Option<(u8, Content)>,
    /// Rank and plain text of what may be the subtitle.
    asides: Vec<(u8, String)>,
    permalink: Option<String>,
    /// Rank of the link; a better one replaces it.
    pub(super) link: u8,
    /// Rank of the title.
    title: u8,
    /// An author's name, while one is read.
    author: Option<String>,
    /// A date that does not say what it is the date of.
    date: Option<jiff::Timestamp>,
    pub(super) post_type: Option<String>,
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft {
            article: blank(),
            body: None,
            asides: Vec::new(),
            permalink: None,
            link: 0,
            title: 0,
            author: None,
            date: None,
            post_type: None,
        }
    }

    fn offer(&mut self, rank: u8, content: Content) {
        if content.raw().trim().is_empty() {
            return;
        }
        let better = match &self.body {
            None => true,
            Some((old, body)) => {
                rank > *old || (rank == *old && content.raw().len() > body.raw().len())
            }
        };
        if better {
            self.body = Some((rank, content));
        }
    }

    /// Takes a short text in, which may be the body, or else the subtitle.
    fn offer_short(&mut self, rank: u8, open: &Open, content: Content) {
        let is_plain = open.kind == TextKind::Plain;
        let text = if is_plain { collapse(content.raw()) } else { line(content.raw()) };
        self.asides.push((rank, text));
        self.offer(rank, content);
    }

    pub(super) fn finish(mut self) -> ParsedArticle {
        let mut article = self.article;
        if self.link == 0 {
            article.url = self.permalink.take();
        }
        article.published = article.published.or(self.date);
        if let Some((rank, content)) = self.body {
            if rank < FULL && is_summary(content.raw()) {
                article.extent = Extent::Summary;
            }
            article.content = content;
        }
        self.asides.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        article.subtitle = subtitle(self.asides.into_iter().map(|(_, text)| text), &article);
        article.authors.dedup();
        article.tags.retain(|tag| !tag.is_empty());
        let mut seen = std::collections::HashSet::new();
        article.tags.retain(|tag| seen.insert(tag.clone()));
        article
    }
}

/// The rank of a body that is said to be the whole.
const FULL: u8 = 3;

/// Whether a description is only that: short, without paragraphs, or broken off.
fn is_summary(body: &str) -> bool {
    let text = plain(body);
    let is_cut = ["…", "...", "[…]", "[...]", "[&hellip;]", "Read more", "Continue reading"]
        .iter()
        .any(|end| text.trim_end().ends_with(end));
    is_cut || (text.len() < 600 && body.matches("<p").count() < 2)
}

pub(super) fn title(open: &Open, text: &str) -> String {
    if open.kind == TextKind::Plain { collapse(text) } else { plain(text) }
}

fn content(open: &Open, text: &str) -> Content {
    if open.kind == TextKind::Plain {
        Content::Text(text.to_owned())
    } else {
        Content::Html(text.to_owned())
    }
}

/// Takes an element of an item in.
pub(super) fn in_item(draft: &mut Draft, open: &Open, name: &str, parent: &str, text: &str) {
    let is_direct = matches!(parent, "item" | "entry");
    let article = &mut draft.article;
    match name {
        "title" | "dc:title" | "media:title" if is_direct => {
            let rank = match name {
                "title" => 3,
                "dc:title" => 2,
                _ => 1,
            };
            let text = title(open, text);
            if rank > draft.title && !text.is_empty() {
                draft.title = rank;
                article.title = text;
            }
        }
        "link" if is_direct && draft.link < 2 => {
            if let Some(url) = absolute(text, open.base.as_deref()) {
                draft.link = 2;
                article.url = Some(url);
            }
        }
        "guid" | "id" if is_direct && !text.is_empty() => {
            article.guid = Some(text.to_owned());
            let is_link = name == "guid"
                && !open
                    .start
                    .attribute("ispermalink")
                    .is_some_and(|v| v.eq_ignore_ascii_case("false"));
            if is_link && (text.starts_with("http://") || text.starts_with("https://")) {
                draft.permalink = Some(text.to_owned());
            }
        }
        "pubdate" | "published" | "issued" | "dcterms:issued" | "dcterms:published"
            if is_direct =>
        {
            article.published = date::parse(text).or(article.published);
        }
        "created" | "dcterms:created" if is_direct => draft.date = draft.date.or(date::parse(text)),
        "dc:date" if is_direct => draft.date = date::parse(text).or(draft.date),
        "updated" | "modified" | "dcterms:modified" | "lastbuilddate" if is_direct => {
            article.updated = date::parse(text).or(article.updated);
        }
        "name" if matches!(parent, "author" | "contributor") => {
            draft.author = Some(collapse(text)).filter(|_| parent == "author");
        }
        "author" => {
            let name = draft.author.take().unwrap_or_else(|| person(text));
            if !name.is_empty() {
                article.authors.push(name);
            }
        }
        "dc:creator" | "dc:author" if is_direct => {
            let name = plain(text);
            if !name.is_empty() && !article.authors.contains(&name) {
                article.authors.push(name);
            }
        }
        "itunes:author" if is_direct && article.authors.is_empty() => {
            article.authors.extend(Some(plain(text)).filter(|name| !name.is_empty()));
        }
        "category" | "dc:subject" if is_direct => {
            let tag = plain(text);
            if !tag.is_empty() {
                article.tags.push(tag);
            }
        }
        "content:encoded" => draft.offer(FULL + 1, Content::Html(text.to_owned())),
        "content" if is_direct => draft.offer(FULL + 1, content(open, text)),
        "xhtml:body" | "body" | "fullitem" | "xhtml:div" if is_direct => {
            draft.offer(FULL, Content::Html(text.to_owned()));
        }
        "description" | "summary" if is_direct => {
            draft.offer_short(2, open, content(open, text));
        }
        "dc:description" | "excerpt:encoded" | "itunes:summary" if is_direct => {
            draft.offer_short(1, open, Content::Html(text.to_owned()));
        }
        "itunes:subtitle" if is_direct => {
            draft.offer_short(0, open, Content::Html(text.to_owned()));
        }
        // What is said of a picture or a film is no subtitle of the text.
        "media:description" | "itunes:subtitle" => {
            draft.offer(0, Content::Html(text.to_owned()));
        }
        "wp:post_type" => draft.post_type = Some(text.to_owned()),
        _ => {}
    }
}

/// The name in RSS's `mail@host (Name)` or `Name <mail@host>`.
fn person(text: &str) -> String {
    let text = plain(text);
    if let Some((before, rest)) = text.split_once('(')
        && before.contains('@')
        && let Some((name, _)) = rest.split_once(')')
    {
        return name.trim().to_owned();
    }
    match text.split_once('<') {
        Some((name, _)) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use crate::source::read::{Hint, Parsed, parse};

    const BODY: &str = "<content:encoded><![CDATA[<h2>The box</h2><p>Oak bends after an hour, and \
                        never sooner than that.</p>]]></content:encoded>";

    /// The subtitle of an item of this markup, and its body.
    fn read(item: &str) -> (Option<String>, String) {
        let feed = format!(
            "<rss><channel><title>Yard</title><item><title>Steam</title>{item}</item></channel></rss>"
        );
        match parse(feed.as_bytes(), &Hint::default()) {
            Ok(Parsed::Source(mut source)) => {
                let article = source.articles.remove(0);
                (article.subtitle, article.content.raw().to_owned())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stands_beside_the_body_is_the_subtitle() {
        for (beside, expected) in [
            ("<description>What patience is for</description>", Some("What patience is for")),
            (
                "<description><![CDATA[<p>Wood &amp; <b>water</b></p>]]></description>",
                Some("Wood & water"),
            ),
            ("<summary type=\"text\">If 1 &lt; 2, bend</summary>", Some("If 1 < 2, bend")),
            ("<itunes:subtitle>Aloud</itunes:subtitle>", Some("Aloud")),
            ("<excerpt:encoded>In brief</excerpt:encoded>", Some("In brief")),
            // The best of several that is one.
            (
                "<itunes:subtitle>Aloud</itunes:subtitle><description>In print</description>",
                Some("In print"),
            ),
            (
                "<description>steam</description><itunes:subtitle>Aloud</itunes:subtitle>",
                Some("Aloud"),
            ),
            (
                "<description>Oak bends after an hour, and […]</description>\
                 <itunes:subtitle>Aloud</itunes:subtitle>",
                Some("Aloud"),
            ),
            // A picture's words are not the article's.
            ("<media:content><media:description>A box</media:description></media:content>", None),
            ("<description>Oak bends after an hour</description>", None),
            ("<description></description>", None),
        ] {
            // Wherever they stand.
            for item in [format!("{beside}{BODY}"), format!("{BODY}{beside}")] {
                let (subtitle, body) = read(&item);
                assert_eq!(subtitle.as_deref(), expected, "{beside}");
                assert!(body.contains("never sooner"), "{body}");
            }
        }
    }

    #[test]
    fn what_is_the_body_is_no_subtitle() {
        let (subtitle, body) = read("<description>What patience is for</description>");
        assert_eq!((subtitle, body.as_str()), (None, "What patience is for"));
        let (subtitle, _) = read(
            "<description>What patience is for, and rain</description>\
             <itunes:summary>What patience is for</itunes:summary>\
             <itunes:subtitle>Aloud</itunes:subtitle>",
        );
        assert_eq!(subtitle.as_deref(), Some("Aloud"));
    }
}
