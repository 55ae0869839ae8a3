//! Text from articles where a reader's program lays it out as Markdown: it is read as what it is, and
//! is no heading, HTML, link or image of its own.

use std::fmt::Write as _;

use super::json::is_obeyed;
use crate::base::ArticleId;
use crate::base::http::is_web;

/// The scheme and place under which articles without a link of their own are known.
pub const ARTICLES: &str = "wellread://article/";

/// Where an article is to be found: its own link, if that leads to the web; else its name, which is
/// never empty and which wellread understands.
pub fn link(url: Option<&str>, id: &ArticleId) -> String {
    url.and_then(web_link).unwrap_or_else(|| format!("{ARTICLES}{id}"))
}

/// An article's own link as a link's destination can be written; `None` if it does not lead to the web.
pub fn web_link(url: &str) -> Option<String> {
    is_web(url).then(|| encoded(url))
}

/// A link without a character that could end it early.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for character in url.chars() {
        let is_plain = character.is_ascii_graphic()
            && !matches!(character, '(' | ')' | '<' | '>' | '\\' | '"' | '`' | '[' | ']' | '|');
        if is_plain {
            out.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Text as Markdown that reads as the text. What has no meaning there is as it was.
pub fn escaped(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

/// Text as the label of a link, which brackets and code would end.
pub fn label(text: &str) -> String {
    escaped(&text.replace('[', "(").replace(']', ")").replace('`', "'"))
}

fn line(text: &str) -> String {
    // White space before a line could make code of it.
    let text = text.trim_start();
    let code = has_closed_code(text);
    let mut out = String::with_capacity(text.len());
    if text.starts_with(['#', '>', '+', '=', '|', '-']) || text.starts_with("~~~") {
        out.push('\\');
    }
    for (at, character) in text.char_indices() {
        let rest = &text[at + character.len_utf8()..];
        let next = rest.chars().next().unwrap_or(' ');
        let is_meant = match character {
            // What comes after the text may begin with anything.
            '\\' => rest.is_empty() || next.is_ascii_punctuation(),
            '`' => !code,
            '<' => next.is_alphabetic() || matches!(next, '/' | '!' | '?'),
            ']' => matches!(next, '(' | '[' | ':'),
            // What looks like an address becomes a link by itself.
            ':' => rest.starts_with("//"),
            '.' => ends_in_www(&text[..at]),
            '&' => is_entity(rest),
            _ => false,
        };
        if is_obeyed(character) && character != '\t' {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            if is_meant {
                out.push('\\');
            }
            out.push(character);
        }
    }
    out
}

/// Whether a text ends as the beginning of an address: a full stop after it makes a link of it.
pub fn ends_in_www(text: &str) -> bool {
    let from = text.len().checked_sub(3);
    from.and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// Whether all code in a line ends in it: then it can stay.
fn has_closed_code(text: &str) -> bool {
    !text.contains("``") && text.matches('`').count().is_multiple_of(2)
}

fn is_entity(rest: &str) -> bool {
    let Some((name, _)) = rest.split_once(';') else { return false };
    let name = name.strip_prefix('#').unwrap_or(name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    /// What a reader's program would show of Markdown, and the links in it.
    fn shown(markdown: &str) -> (String, Vec<String>) {
        let (mut text, mut links) = (String::new(), Vec::new());
        for event in Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH) {
            match event {
                Event::Text(piece) | Event::Code(piece) => text.push_str(&piece),
                Event::SoftBreak | Event::HardBreak => text.push('\n'),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(dest_url.into_string());
                }
                Event::Html(piece) | Event::InlineHtml(piece) => {
                    links.push(format!("html {piece}"));
                }
                Event::Start(Tag::CodeBlock(_) | Tag::Heading { .. }) => {
                    links.push("a block".to_owned());
                }
                _ => {}
            }
        }
        (text, links)
    }

    #[test]
    fn what_an_article_brings_is_text() {
        for hostile in [
            "![spy](http://evil.example/x.png)",
            "a [click](javascript:alert(1)) b",
            "<img src=x onerror=alert(1)> and <script>alert(1)</script>",
            "[a]: http://evil.example",
            "[a][b] and ![c][d]",
            "# not a heading",
            "    not code",
            "&lt;b&gt; &#33; AT&T & co",
            "<http://evil.example> and <!-- gone -->",
            "a `b` c",
            "``` unclosed `",
        ] {
            let (text, links) = shown(&escaped(hostile));
            assert_eq!(links, Vec::<String>::new(), "{hostile} → {}", escaped(hostile));
            let plain = |text: &str| text.replace('`', "").trim().to_owned();
            assert_eq!(plain(&text), plain(hostile), "{}", escaped(hostile));
        }
        assert_eq!(escaped("see https://evil.example"), "see https\\://evil.example");
        assert_eq!(escaped("see www.evil.example"), "see www\\.evil.example");
        assert_eq!(escaped("\u{202e}\u{1b}[31m"), "\\u{202e}\\u{1b}[31m");
        let usual = "It costs $5 (or 4_000 at 50%), and `x < y` is 2 * 3: so!?";
        assert_eq!(escaped(usual), usual);
    }

    #[test]
    fn a_link_is_the_articles_own_or_its_name() {
        let id = ArticleId("00ff00ff00ff00ff".to_owned());
        let name = "wellread://article/00ff00ff00ff00ff";
        assert_eq!(link(Some("https://a.example/p(1) x"), &id), "https://a.example/p%281%29%20x");
        for none in [None, Some(""), Some("javascript:alert(1)"), Some("file:///etc/passwd")] {
            assert_eq!(link(none, &id), name);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_link_or_hides_a_mark(
            text in "[-a!\\[\\]()<>:/\\\\`&;#.w\n]{0,30}",
            after in "[a!\\[\\]()<>:/\\\\`]{0,9}",
        ) {
            let own = "https://own.example/";
            let (text, name, after) = (escaped(&text), label(&after), escaped(&after));
            let markdown = format!("{text} [1]({own}) {after} [{name}]({own})");
            let (_, links) = shown(&markdown);
            prop_assert_eq!(links, vec![own.to_owned(); 2], "{}", markdown);
        }
    }
}
