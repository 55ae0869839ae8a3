//! An answer as Markdown: links to the articles, and no other markup that comes from them. Pure.

use std::fmt::Write as _;

use crate::answer::{AbstainReason, Answer, AnswerSentence, AnswerStatus};
use crate::api::markdown::{ends_in_www, web_link};
use crate::base::text::collapse;
use crate::retrieve::Passage;

/// What a list item of an answer begins with.
const ITEM: &str = "- ";

/// An answer with its sources under it.
pub(super) fn answer(answer: &Answer) -> String {
    let mut out = String::new();
    if answer.status == AnswerStatus::Abstained {
        let why = AbstainReason::in_words(answer.abstain_reason);
        let _ = writeln!(out, "**The articles don't say** ({why}).");
        if !answer.passages.is_empty() {
            out.push_str("\nNearest sections:\n\n");
            for passage in &answer.passages {
                let _ = writeln!(out, "- {}", source(passage));
            }
        }
        return out;
    }
    let mut before: Option<&AnswerSentence> = None;
    for sentence in &answer.sentences {
        let item = sentence.text.strip_prefix(ITEM);
        let was_item = before.is_some_and(|before| before.text.starts_with(ITEM));
        let quotes = [before, Some(sentence)].into_iter().flatten();
        let is_quote = quotes.into_iter().any(|one| one.text.starts_with('“'));
        out.push_str(match (before, item) {
            (None, _) => "",
            (Some(_), Some(_)) if was_item => "\n",
            (Some(_), None) if !was_item && !is_quote => " ",
            (Some(_), _) => "\n\n",
        });
        let begins = before.is_none() || item.is_some() || was_item || is_quote;
        if item.is_some() {
            out.push_str(ITEM);
        }
        out.push_str(&escaped(item.unwrap_or(&sentence.text), begins));
        for n in &sentence.citations {
            let url = answer.passages.iter().find(|one| one.n == *n).and_then(link);
            let _ = match url {
                Some(url) => write!(out, " [\\[{n}\\]]({url})"),
                None => write!(out, " \\[{n}\\]"),
            };
        }
        before = Some(sentence);
    }
    out.push_str("\n\n");
    if let Some(why) = answer.quoted_why() {
        let _ = writeln!(out, "{why}\n");
    }
    if !answer.filters.is_empty() {
        let _ = writeln!(out, "Filters: {}\n", escaped(&answer.filters, false));
    }
    let is_cited = |passage: &&Passage| {
        answer.sentences.iter().any(|sentence| sentence.citations.contains(&passage.n))
    };
    for passage in answer.passages.iter().filter(is_cited) {
        let _ = writeln!(out, "- \\[{}\\] {}", passage.n, source(passage));
    }
    out
}

/// `[Title › Heading](https://…), 2025-03-04`.
fn source(passage: &Passage) -> String {
    let mut name = escaped(&passage.article.title, true);
    for heading in &passage.heading_path {
        let _ = write!(name, " › {}", escaped(heading, false));
    }
    if let Some(url) = link(passage) {
        name = format!("[{name}]({url})");
    }
    if let Some(at) = passage.article.published {
        let _ = write!(name, ", {}", at.strftime("%Y-%m-%d"));
    }
    name
}

/// The article's own link, if it leads to the web.
fn link(passage: &Passage) -> Option<String> {
    let url = web_link(passage.article.url.as_ref()?)?;
    Some(url.replace('&', "&amp;"))
}

/// Text of which nothing is markup, on one line; `begins` where it stands at a line's beginning. More is
/// escaped than by [`crate::api::markdown::escaped`], whose text is also read as it is.
fn escaped(text: &str, begins: bool) -> String {
    let text = collapse(text);
    let mut out = String::with_capacity(text.len() + 8);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (at, character) in text.char_indices() {
        let before = &text[..at];
        let is_mark = matches!(
            character,
            '\\' | '`'
                | '*'
                | '_'
                | '['
                | ']'
                | '<'
                | '>'
                | '#'
                | '|'
                | '~'
                | '!'
                | '&'
                | '$'
                | '^'
                | '@'
        );
        let opens_line = begins
            && (at == 0 && matches!(character, '-' | '+' | '=' | ':')
                || at == digits && digits > 0 && matches!(character, '.' | ')'));
        // Some readers make links of bare addresses.
        let is_address = character == ':' && text[at..].starts_with("://")
            || character == '.' && ends_in_www(before);
        if is_mark || opens_line || is_address {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;
    use crate::answer::listed;
    use crate::base::ArticleMeta;
    use crate::base::samples::article;
    use crate::retrieve::samples;

    fn passage(n: usize, url: &str, title: &str) -> Passage {
        Passage {
            article: ArticleMeta {
                url: Some(url.into()),
                published: "2025-03-04T05:06:07Z".parse().ok(),
                ..article(title)
            },
            heading_path: vec!["# Drying *coats*".into()],
            ..samples::passage(n, "text")
        }
    }

    fn markdown(lines: &[(&str, usize)], passages: Vec<Passage>) -> String {
        let lines = lines.iter().map(|(text, n)| ((*text).to_owned(), vec![*n])).collect();
        answer(&listed(lines, passages, String::new(), 0))
    }

    #[test]
    fn sentences_link_to_their_sources() {
        let passages = vec![passage(1, "https://a.example/p?a=1&b=(2)", "Varnish")];
        let lines =
            [("It took two days.", 1), ("- one coat", 1), ("- two coats", 1), ("2. It held.", 1)];
        let link = "https://a.example/p?a=1&amp;b=%282%29";
        assert_eq!(
            markdown(&lines, passages),
            format!(
                "It took two days. [\\[1\\]]({link})\n\n- one coat [\\[1\\]]({link})\n\
                 - two coats [\\[1\\]]({link})\n\n2\\. It held. [\\[1\\]]({link})\n\n\
                 - \\[1\\] [Varnish › \\# Drying \\*coats\\*]({link}), 2025-03-04\n"
            )
        );
    }

    #[test]
    fn quotes_have_paragraphs_of_their_own() {
        let passages = vec![passage(1, "https://a.example/p", "Varnish")];
        let text =
            markdown(&[("It took days.", 1), ("“Two days.”", 1), ("“A coat.”", 1)], passages);
        let link = " [\\[1\\]](https://a.example/p)\n\n";
        assert!(
            text.starts_with(&format!("It took days.{link}“Two days.”{link}“A coat.”{link}")),
            "{text}"
        );
    }

    #[test]
    fn nothing_of_an_article_is_markup() {
        let hostile = "![x](https://evil.example/i.png) <img src=https://evil.example> \
                       [y](javascript:alert(1)) **b** `c` | d | &lt; # e https://evil.example www.evil.example";
        let mut passages = vec![passage(1, "javascript:alert(1)", hostile)];
        passages.push(passage(2, "https://a.example/](https://evil.example)", hostile));
        let text = markdown(&[(hostile, 1), (&format!("- {hostile}"), 2)], passages);
        let mut shown = String::new();
        for event in Parser::new_ext(&text, Options::all()) {
            match event {
                Event::Start(Tag::Link { dest_url, .. }) => {
                    assert!(dest_url.starts_with("https://a.example/"), "{dest_url} in {text}");
                }
                Event::Text(text) => shown.push_str(&text),
                Event::Start(Tag::Paragraph | Tag::List(_) | Tag::Item) | Event::End(_) => {}
                other => panic!("{other:?} in {text}"),
            }
        }
        assert_eq!(shown.matches(hostile).count(), 4, "{shown}");
        assert!(!text.contains(" https://evil") && !text.contains("www.evil"));
    }
}
