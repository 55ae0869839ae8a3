//! A stored document as HTML: headings, lists, code and tables, with a range of it marked. Pure.
//!
//! Everything is written from pieces of the document's text by their byte ranges, so that what is
//! marked is what was cited, to the byte, whatever the browser counts in.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use crate::api::json;
use crate::base::{Block, BlockKind, Document};

/// The deepest list that is drawn as such.
const DEEPEST: usize = 6;
/// What parts the cells of a row in a document's text.
const CELLS: &str = " | ";
/// Characters of a section's name at the most.
const LONGEST_NAME: usize = 60;

/// What is to be pointed out in an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes of the document's text.
    pub range: Range<usize>,
    /// Whether it is a whole passage, which gets a line beside it and no colour behind it.
    pub is_passage: bool,
}

/// A document as HTML.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Escaped; headings begin at level 2.
    pub html: String,
    /// Headings in order.
    pub contents: Vec<Heading>,
    /// Whether something is marked.
    pub is_marked: bool,
}

/// One heading of [`Written`].
#[derive(Debug, serde::Serialize)]
pub(super) struct Heading {
    /// How deep it lies, from 1.
    pub depth: usize,
    /// Its text.
    pub text: String,
    /// The name that a link to it ends in.
    pub name: String,
}

/// Writes a document; a mark that is no piece of its text marks nothing.
pub(super) fn write(document: &Document, mark: Option<&Mark>) -> Written {
    let mark = mark.and_then(|mark| {
        // White space at the end of a sentence is no part of what is pointed out.
        let said = document.text.get(mark.range.clone())?.trim_end();
        let range = mark.range.start..mark.range.start + said.len();
        (!said.is_empty()).then_some(Mark { range, is_passage: mark.is_passage })
    });
    let mut writer = Writer::new(document, mark.as_ref());
    let mut blocks = document.blocks.iter().peekable();
    for (at, section) in document.sections.iter().enumerate() {
        writer.headings(&section.heading_path);
        while let Some(block) = blocks.next_if(|block| block.section <= at) {
            let next = blocks.peek().filter(|next| next.section <= at).copied();
            writer.block(block, next);
        }
        writer.close();
    }
    writer.written
}

/// Text as HTML, with no character in it that a browser obeys.
pub(super) fn escape_into(out: &mut String, text: &str) {
    for character in json::shown(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// What several blocks of one kind stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    None,
    List(usize),
    Table(usize),
    Quote,
}

struct Writer<'a> {
    document: &'a Document,
    mark: Option<&'a Mark>,
    written: Written,
    group: Group,
    /// Lists that are open, each with an open item, outermost first; whether they are numbered.
    lists: Vec<bool>,
    path: &'a [String],
    names: HashSet<String>,
}

impl<'a> Writer<'a> {
    fn new(document: &'a Document, mark: Option<&'a Mark>) -> Writer<'a> {
        Writer {
            document,
            mark,
            written: Written::default(),
            group: Group::None,
            lists: Vec::new(),
            path: &[],
            names: HashSet::new(),
        }
    }

    fn raw(&mut self, html: &str) {
        self.written.html.push_str(html);
    }

    /// The headings of a path that the section before it does not stand under.
    fn headings(&mut self, path: &'a [String]) {
        let same = self.path.iter().zip(path).take_while(|(a, b)| a == b).count();
        for (at, text) in path.iter().enumerate().skip(same.min(path.len().saturating_sub(1))) {
            let (level, name) = ((at + 2).min(6), self.name(text));
            let _ = write!(self.written.html, "<h{level} id=\"");
            escape_into(&mut self.written.html, &name);
            self.raw("\" dir=\"auto\">");
            escape_into(&mut self.written.html, text);
            self.raw(" <a class=\"anchor\" href=\"#");
            escape_into(&mut self.written.html, &name);
            self.raw("\" aria-label=\"Link to this section\">#</a>");
            let _ = writeln!(self.written.html, "</h{level}>");
            self.written.contents.push(Heading { depth: at + 1, text: text.clone(), name });
        }
        self.path = path;
    }

    /// A name for a heading that no other has.
    fn name(&mut self, text: &str) -> String {
        let mut name = "sec".to_owned();
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
            if !word.is_empty() && name.chars().count() + word.chars().count() < LONGEST_NAME {
                name.push('-');
                name.push_str(word);
            }
        }
        let mut unique = name.clone();
        let mut count = 1;
        while !self.names.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}.{count}");
        }
        unique
    }

    /// The part of a range that is marked.
    fn overlap(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let mark = self.mark?;
        let both = mark.range.start.max(range.start)..mark.range.end.min(range.end);
        let is_some = both.start < both.end
            && self.document.text.get(both.clone()).is_some_and(|text| !text.trim().is_empty());
        is_some.then_some(both)
    }

    /// Opens an element around a block; `attributes` are written as they stand.
    fn open(&mut self, tag: &str, attributes: &str, block: &Block) {
        self.raw("<");
        self.raw(tag);
        self.raw(attributes);
        let is_passage = self.mark.is_some_and(|mark| mark.is_passage);
        if is_passage && self.overlap(&block.range).is_some() {
            self.raw(" class=\"passage\"");
            self.target();
        }
        self.raw(">");
    }

    /// The place that a link to what is marked leads to, once.
    fn target(&mut self) {
        if !self.written.is_marked {
            self.raw(" id=\"cited\" tabindex=\"-1\"");
        }
        self.written.is_marked = true;
    }

    /// A piece of the document's text.
    fn text(&mut self, range: Range<usize>) {
        let text = &self.document.text;
        let is_sentence = self.mark.is_some_and(|mark| !mark.is_passage);
        let marked = self.overlap(&range).filter(|_| is_sentence);
        let Some(marked) = marked else {
            return escape_into(&mut self.written.html, text.get(range).unwrap_or_default());
        };
        let piece = |range: Range<usize>| text.get(range).unwrap_or_default();
        escape_into(&mut self.written.html, piece(range.start..marked.start));
        self.raw("<mark");
        self.target();
        self.raw(">");
        escape_into(&mut self.written.html, piece(marked.clone()));
        self.raw("</mark>");
        escape_into(&mut self.written.html, piece(marked.end..range.end));
    }

    fn block(&mut self, block: &Block, next: Option<&Block>) {
        let group = match &block.kind {
            BlockKind::ListItem { list, .. } => Group::List(*list),
            BlockKind::TableRow { table, .. } => Group::Table(*table),
            BlockKind::Quote => Group::Quote,
            BlockKind::Paragraph | BlockKind::Code { .. } | BlockKind::Caption => Group::None,
        };
        let is_first = group != self.group;
        if is_first {
            self.close();
            match group {
                Group::Table(_) => self.raw(
                    "<div class=\"scroll\" role=\"group\" aria-label=\"Table\" tabindex=\"0\"><table>",
                ),
                Group::Quote => self.raw("<blockquote>"),
                Group::List(_) | Group::None => {}
            }
            self.group = group;
        }
        let range = block.range.clone();
        match &block.kind {
            BlockKind::Paragraph | BlockKind::Quote => {
                self.open("p", " dir=\"auto\"", block);
                self.text(range);
                self.raw("</p>\n");
            }
            BlockKind::Caption => {
                self.raw("<div class=\"caption\">");
                self.open("p", " dir=\"auto\"", block);
                self.text(range);
                self.raw("</p></div>\n");
            }
            BlockKind::Code { .. } => {
                self.open("pre", " tabindex=\"0\" role=\"group\" aria-label=\"Code\"", block);
                self.raw("<code>");
                self.text(range);
                self.raw("</code></pre>\n");
            }
            BlockKind::ListItem { depth, .. } => self.item(block, (*depth).min(DEEPEST)),
            BlockKind::TableRow { header, .. } => {
                let is_header = is_first
                    && header.is_none()
                    && next.is_some_and(|next| {
                        matches!(&next.kind, BlockKind::TableRow { header: Some(_), .. })
                    });
                self.row(block, is_header);
            }
        }
    }

    fn row(&mut self, block: &Block, is_header: bool) {
        let text = self.document.text.get(block.range.clone()).unwrap_or_default();
        self.raw(if is_header { "<thead>" } else { "" });
        self.open("tr", "", block);
        let mut at = block.range.start;
        for cell in text.split(CELLS) {
            let range = at..at + cell.len();
            at = range.end + CELLS.len();
            let is_head = is_header && !cell.trim().is_empty();
            self.raw(if is_head { "<th scope=\"col\" dir=\"auto\">" } else { "<td dir=\"auto\">" });
            self.text(range);
            self.raw(if is_head { "</th>" } else { "</td>" });
        }
        self.raw(if is_header { "</tr></thead>\n" } else { "</tr>\n" });
    }

    fn item(&mut self, block: &Block, depth: usize) {
        let text = self.document.text.get(block.range.clone()).unwrap_or_default();
        let indent = text.len() - text.trim_start_matches(' ').len();
        let marker = marker(&text[indent..]).filter(|_| indent <= 2 * depth);
        let length = marker.map_or(0, |(length, _)| length);
        let range = block.range.start + indent + length..block.range.end;
        if marker.is_none() && self.lists.len() > depth {
            // A further paragraph of the item before it.
            self.close_lists(depth + 1);
            self.open("p", " dir=\"auto\"", block);
            self.text(range);
            return self.raw("</p>");
        }
        let number = marker.and_then(|(_, number)| number);
        self.close_lists(depth + 1);
        if self.lists.len() == depth + 1 {
            if self.lists[depth] == number.is_some() {
                self.raw("</li>");
            } else {
                self.close_lists(depth);
            }
        }
        while self.lists.len() <= depth {
            let is_last = self.lists.len() == depth;
            let is_numbered = is_last && number.is_some();
            self.raw(if is_numbered { "<ol>" } else { "<ul>" });
            self.lists.push(is_numbered);
            self.raw(if is_last { "" } else { "<li class=\"bare\">" });
        }
        let value = number.map_or(String::new(), |number| format!(" value=\"{number}\""));
        self.open("li", &format!("{value} dir=\"auto\""), block);
        self.text(range);
    }

    fn close_lists(&mut self, depth: usize) {
        while self.lists.len() > depth {
            let is_numbered = self.lists.pop() == Some(true);
            self.raw(if is_numbered { "</li></ol>" } else { "</li></ul>" });
        }
    }

    fn close(&mut self) {
        self.close_lists(0);
        match self.group {
            Group::Table(_) => self.raw("</table></div>\n"),
            Group::Quote => self.raw("</blockquote>\n"),
            Group::List(_) => self.raw("\n"),
            Group::None => {}
        }
        self.group = Group::None;
    }
}

/// The marker that an item begins with: its length, and its number.
fn marker(text: &str) -> Option<(usize, Option<u32>)> {
    if text.starts_with("- ") {
        return Some((2, None));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    text[digits..].starts_with(". ").then_some((digits + 2, Some(number)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Content;
    use crate::document::html::{CleanOptions, document};

    fn read(html: &str) -> Document {
        document(&Content::Html(html.to_owned()), &CleanOptions::default())
    }

    fn sentence(range: Range<usize>) -> Mark {
        Mark { range, is_passage: false }
    }

    /// The text of what is marked, its pieces joined by a bar.
    fn marked(html: &str) -> String {
        let html = scraper::Html::parse_fragment(html);
        let marks = scraper::Selector::parse("mark").unwrap();
        let pieces = html.select(&marks).map(|mark| mark.text().collect::<String>());
        pieces.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn headings_lists_tables_code_and_quotes_are_what_they_are() {
        let document = read(
            "<p>Before.</p><h2>One</h2><h4>Deep &amp; down</h4><ol start=3><li>three<ul><li>inner\
             <li><p>two</p><p>paragraphs</p></ul><li>four</ol><pre><code class=language-rust>fn \
             main() {\n    x\n}</code></pre><table><tr><th>Wood<th>Weight<tr><td>Oak<td>700 kg\
             </table><blockquote><p>said he</p><p>again</p></blockquote><h2>One</h2><p>a<br>b</p>",
        );
        let written = write(&document, None);
        assert!(!written.is_marked);
        insta::assert_snapshot!(written.html);
        let names: Vec<_> = written.contents.iter().map(|heading| &*heading.name).collect();
        assert_eq!(names, ["sec-one", "sec-deep-down", "sec-one.2"]);
    }

    #[test]
    fn what_is_cited_is_marked_to_the_byte_across_blocks() {
        let document = read(
            "<p>Naïve “漢字” 🙂 first. Second one.</p><ul><li>An item.</ul><table><tr><td>Oak<td>7</table>",
        );
        let whole = sentence(0..document.text.len());
        assert_eq!(
            marked(&write(&document, Some(&whole)).html),
            "Naïve “漢字” 🙂 first. Second one.|An item.|Oak|7"
        );
        let start = document.text.find("Second").unwrap();
        let one = write(&document, Some(&sentence(start..start + 11)));
        assert_eq!(marked(&one.html), "Second one.");
        let first = document.text.find("first").unwrap();
        let spaced = write(&document, Some(&sentence(first..start)));
        assert_eq!(marked(&spaced.html), "first.");
        assert_eq!(one.html.matches("id=\"cited\"").count(), 1);
        let passage = write(&document, Some(&Mark { is_passage: true, ..whole }));
        assert_eq!(marked(&passage.html), "");
        assert_eq!(passage.html.matches("class=\"passage\"").count(), 3);
    }

    #[test]
    fn a_range_that_cannot_be_placed_marks_nothing() {
        let document = read("<p>Naïve 漢字.</p><p>x</p>");
        let gap = document.text.find("\n\n").unwrap();
        for range in [0..0, 3..4, 0..3, 5..900, 900..901, gap..gap + 2] {
            let written = write(&document, Some(&sentence(range.clone())));
            assert!(!written.is_marked && !written.html.contains("<mark"), "{range:?}");
        }
    }

    #[test]
    fn what_a_browser_obeys_is_text() {
        let document = read(
            "<h2>&lt;script&gt;alert(1)&lt;/script&gt; \" onclick='x'</h2><p>&lt;img src=x onerror=y&gt; \
             \u{202e}gpj.exe &lt;|im_start|&gt; ![a](http://evil.example/x.png)</p>",
        );
        let html = write(&document, None).html;
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(
            html.contains("\\u{202e}gpj.exe &lt;|im_start|&gt; ![a](http://evil.example/x.png)")
        );
    }

    proptest! {
        /// Whatever is read, the HTML that is written says the same text and closes what it opens.
        #[test]
        fn nothing_is_lost(html in "(<(p|ul|ol|li|h2|h3|pre|table|tr|td|th|blockquote)>|</(p|ul|ol|li|table|blockquote)>|[a-c é🙂<&\"]{1,6}){0,40}", start in 0usize..80, length in 0usize..80) {
            let document = read(&html);
            let written = write(&document, Some(&sentence(start..start + length)));
            let parsed = scraper::Html::parse_fragment(&written.html);
            let words = |text: &str| -> String {
                text.chars().filter(|c| c.is_alphanumeric() || *c == '🙂').collect()
            };
            let blocks: String = document.blocks.iter().map(|block| {
                let text = &document.text[block.range.clone()];
                match block.kind {
                    BlockKind::ListItem { .. } => {
                        let text = text.trim_start();
                        words(&text[marker(text).map_or(0, |(length, _)| length)..])
                    }
                    _ => words(text),
                }
            }).collect();
            let mut said = String::new();
            for node in parsed.tree.nodes() {
                if let scraper::Node::Text(text) = node.value() {
                    let is_in_heading = node.ancestors().any(|node| {
                        node.value().as_element().is_some_and(|element| matches!(element.name(), "h2" | "h3" | "h4" | "h5" | "h6"))
                    });
                    if !is_in_heading {
                        said.push_str(&words(text));
                    }
                }
            }
            prop_assert_eq!(said, blocks, "{}", written.html);
            let opened = written.html.matches("<mark").count();
            prop_assert_eq!(opened, written.html.matches("</mark>").count());
            prop_assert_eq!(written.is_marked, opened > 0);
        }
    }
}
