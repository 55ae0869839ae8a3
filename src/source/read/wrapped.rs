//! A feed that a server or a browser put into an HTML page → the feed. Pure.

use std::borrow::Cow;

use super::{Hint, Parsed, feed, xml};

/// How far into a page its feed begins at the latest; styles and scripts may stand before it.
const MAX_BEFORE: usize = 64 << 10;

/// The feed that a page is nothing but the wrapping of: no text is to be seen before it. It stands
/// there as elements, or as the text of a `<pre>`.
pub(super) fn parse(text: &str, hint: &Hint<'_>) -> Option<Parsed> {
    if let Some(at) = begins(text, &["rss", "feed", "rdf:rdf"])
        && is_blank(&text[..at])
        && let Some(parsed) = whole(&mended(&text[at..]), hint)
    {
        return Some(parsed);
    }
    let at = begins(text, &["pre"])?;
    let start = at + text[at..].find('>')? + 1;
    let end = start + text[start..].find("</pre")?;
    let after = end + text[end..].find('>')? + 1;
    if !is_blank(&text[..at]) || !is_blank(&text[after..]) {
        return None;
    }
    let shown = xml::unescape(&text[start..end]);
    let shown = shown.trim_start();
    let is_markup =
        shown.starts_with("<?xml") || begins(shown, &["rss", "feed", "rdf:rdf"]) == Some(0);
    is_markup.then(|| whole(shown, hint)).flatten()
}

/// A feed that has anything in it.
fn whole(text: &str, hint: &Hint<'_>) -> Option<Parsed> {
    match feed::parse(text, hint).ok()? {
        Parsed::Source(source) if !source.articles.is_empty() || source.title.is_some() => {
            Some(Parsed::Source(source))
        }
        Parsed::Source(_) | Parsed::Outlines(_) | Parsed::Page { .. } => None,
    }
}

/// Where the first element of one of these names begins.
fn begins(text: &str, names: &[&str]) -> Option<usize> {
    let head = &text[..text.floor_char_boundary(text.len().min(MAX_BEFORE))];
    head.match_indices('<').map(|(at, _)| at).find(|at| {
        let rest = &head.as_bytes()[at + 1..];
        names.iter().any(|name| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                && rest.get(name.len()).is_some_and(|c| c.is_ascii_whitespace() || *c == b'>')
        })
    })
}

/// Whether markup shows no text: tags, comments, and what is never shown.
fn is_blank(markup: &str) -> bool {
    let mut rest = markup.trim_start();
    while let Some(tag) = rest.strip_prefix('<') {
        let after = if tag.starts_with("!--") {
            tag.find("-->").map(|end| &tag[end + 3..])
        } else {
            let name: String =
                tag.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
            let name = name.to_ascii_lowercase();
            let is_hidden = matches!(&*name, "title" | "style" | "script");
            let close = format!("</{name}");
            let from = if is_hidden { find_ignoring_case(tag, &close) } else { Some(0) };
            from.and_then(|from| Some(&tag[from + tag[from..].find('>')? + 1..]))
        };
        match after {
            Some(after) => rest = after.trim_start(),
            None => return false,
        }
    }
    rest.is_empty()
}

fn find_ignoring_case(text: &str, what: &str) -> Option<usize> {
    text.as_bytes()
        .windows(what.len())
        .position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

/// What writing XML as HTML does to a feed, undone: `<link>` has no end there, and CDATA is a
/// comment.
fn mended(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains("<!--[CDATA[") {
        text = text.replace("<!--[CDATA[", "<![CDATA[").replace("]]-->", "]]>").into();
    }
    if text.contains("</link>") || !text.contains("<link") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 1024);
    let mut rest = &*text;
    while let Some(at) = rest.find("<link") {
        let Some(end) = rest[at..].find('>').map(|end| at + end + 1) else { break };
        let value = rest[end..].split('<').next().unwrap_or_default();
        let is_empty = rest[at..end].contains("href") || value.trim().is_empty();
        out.push_str(&rest[..at]);
        if is_empty {
            out.push_str(&rest[at..end]);
        } else {
            out.push_str("<link>");
            out.push_str(value);
            out.push_str("</link>");
        }
        rest = &rest[if is_empty { end } else { end + value.len() }..];
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ParsedSource;

    const FEED: &str = "<rss version=\"2.0\"><channel><title>Boats</title>\
        <link>https://example.org/</link>\
        <item><title>Keel</title><link>https://example.org/keel</link><guid>k</guid>\
        <description>The keel lies on the blocks.</description></item>\
        <item><title>Ribs &amp; planks</title><link>https://example.org/ribs</link>\
        <description><![CDATA[The ribs are steamed.]]></description></item></channel></rss>";

    fn read(page: &str) -> Option<ParsedSource> {
        match parse(page, &Hint::default())? {
            Parsed::Source(source) => Some(source),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn is_the_feed(page: &str) {
        let source = read(page).unwrap_or_else(|| panic!("not read as a feed: {page}"));
        assert_eq!(source.title.as_deref(), Some("Boats"));
        let titles: Vec<_> = source.articles.iter().map(|a| &*a.title).collect();
        assert_eq!(titles, ["Keel", "Ribs & planks"]);
        assert_eq!(source.articles[1].url.as_deref(), Some("https://example.org/ribs"));
        assert!(source.articles[1].content.raw().contains("steamed"), "{source:?}");
    }

    #[test]
    fn a_feed_in_a_page_is_the_feed() {
        is_the_feed(&format!("<html><body>{FEED}</body></html>"));
        is_the_feed(&format!(
            "<!DOCTYPE html>\n<html><head><title>feed.xml</title><style>p > a {{}}</style>\
             <script>if (1 < 2) {{}}</script></head><body>\n<!--?xml version=\"1.0\"?-->\
             <div id=\"viewer\">{FEED}</div><div>This XML file has no style.</div></body></html>"
        ));
    }

    #[test]
    fn a_feed_that_was_written_as_html_is_the_feed() {
        let html =
            FEED.replace("</link>", "").replace("<![CDATA[", "<!--[CDATA[").replace("]]>", "]]-->");
        is_the_feed(&format!("<html><body>{html}</body></html>"));
        is_the_feed(&format!("<html><body>{}</body></html>", html.replace("<link>", "<link/>")));
    }

    #[test]
    fn a_feed_that_a_browser_shows_as_text_is_the_feed() {
        let shown = xml::escape(FEED);
        is_the_feed(&format!(
            "<html><head></head><body><pre style=\"white-space: pre-wrap\">&lt;?xml \
             version=\"1.0\"?&gt;\n{shown}</pre></body></html>"
        ));
    }

    #[test]
    fn a_page_about_feeds_is_a_page() {
        let shown = xml::escape(FEED);
        for page in [
            format!("<html><body><h1>How a feed looks</h1><pre>{shown}</pre></body></html>"),
            format!("<html><body><pre>{shown}</pre><p>That is how.</p></body></html>"),
            format!("<html><body><p>Look:</p>{FEED}</body></html>"),
            format!("<html><body><!-- {FEED} --><p>Nothing.</p></body></html>"),
            "<html><body><pre>&lt;rss is a word</pre></body></html>".to_owned(),
            "<html><body><rss></rss><p>Text</p></body></html>".to_owned(),
        ] {
            assert_eq!(read(&page), None, "{page}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_page_makes_it_panic(text in "(<|>|/|rss|pre|!--|--|link|é|feed| |title|CDATA|\\[|\\])*") {
            let _ = parse(&text, &Hint::default());
        }
    }
}
