//! What an element and its text are, by themselves. Pure.

use crate::base::text::collapse;
use scraper::ElementRef;

/// Whether an element stands on lines of its own.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "html"
            | "iframe"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}

/// A table that holds headings, lists of paragraphs or other tables, or one cell a row, lays out.
pub(super) fn is_layout(table: ElementRef<'_>) -> bool {
    let mut widest = 0;
    let mut cells = 0;
    for element in table.descendent_elements().skip(1) {
        match element.value().name() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "pre" | "blockquote" => {
                return true;
            }
            "tr" => cells = 0,
            "td" | "th" => {
                cells += 1;
                widest = widest.max(cells);
            }
            _ => {}
        }
    }
    widest < 2
}

pub(super) fn language(element: ElementRef<'_>) -> Option<String> {
    let of_attribute = ["data-lang", "data-language", "lang"]
        .iter()
        .find_map(|name| element.attr(name))
        .filter(|name| !name.trim().is_empty());
    let of_class = || {
        element.value().classes().find_map(|class| {
            ["language-", "lang-", "highlight-source-", "brush:"]
                .iter()
                .find_map(|prefix| class.strip_prefix(prefix))
        })
    };
    of_attribute.or_else(of_class).map(|name| name.trim().to_ascii_lowercase())
}

/// Whether an alternative text says something: some words, not a file's name.
pub(super) fn says_something(alt: &str) -> bool {
    let words = alt.split_whitespace().count();
    let is_file = !alt.contains(' ') || alt.starts_with("http") || alt.starts_with("Screenshot ");
    words >= 3 && !is_file
}

/// Lines trimmed, runs of spaces and empty lines collapsed.
pub(super) fn collapse_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = collapse(line);
        if line.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&line);
    }
    out
}
