//! A tree of HTML → text, sections and blocks. Pure.

use ego_tree::NodeId;
use ego_tree::iter::Edge;
use scraper::{ElementRef, Html, Node};

use super::element::{collapse_lines, is_block, is_layout, language, says_something};
use super::notes::Notes;
use super::{CleanOptions, remove};
use crate::base::text::collapse;
use crate::base::{Block, BlockKind, Document, Removed, Section};

/// The document of a parsed body.
pub(super) fn build(html: &Html, options: &CleanOptions) -> Document {
    let mut builder = Builder::new(options);
    let notes = Notes::find(html, options);
    let mut skip: Option<NodeId> = None;
    for edge in html.tree.root().traverse() {
        match edge {
            Edge::Open(node) => {
                if skip.is_some() {
                    continue;
                }
                match node.value() {
                    Node::Text(text) => builder.text(text),
                    Node::Element(_) => {
                        let Some(element) = ElementRef::wrap(node) else { continue };
                        if let Some(reason) = remove::reason(element, options) {
                            builder.remove(reason, element);
                            skip = Some(node.id());
                        } else if notes.moved.contains(&node.id()) {
                            // It is read where its reference stands.
                            builder.flush_block(element);
                            skip = Some(node.id());
                        } else if let Some(note) = notes.at.get(&node.id()) {
                            builder.note(note);
                            skip = Some(node.id());
                        } else if notes.loose.contains(&node.id()) {
                            builder.remove("note", element);
                            skip = Some(node.id());
                        } else {
                            builder.open(element);
                        }
                    }
                    _ => {}
                }
            }
            Edge::Close(node) => {
                if let Some(skipped) = skip {
                    if skipped == node.id() {
                        skip = None;
                    }
                    continue;
                }
                if let Some(element) = ElementRef::wrap(node) {
                    builder.close(element);
                }
            }
        }
    }
    builder.finish()
}

/// The document of plain text: blank lines part paragraphs.
pub(super) fn plain(text: &str) -> Document {
    let options = CleanOptions::default();
    let mut builder = Builder::new(&options);
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            let text = std::mem::take(&mut paragraph);
            builder.push(BlockKind::Paragraph, collapse_lines(&text));
        } else {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    builder.finish()
}

/// A list that is open.
struct List {
    id: usize,
    /// The number of the next item, for ordered ones.
    next: Option<u64>,
}

/// A table that is open.
struct Table {
    id: usize,
    rows: usize,
    header: Option<String>,
    in_head: bool,
    cells: Vec<String>,
    all_headers: bool,
    /// It lays out a page: its cells are read as blocks.
    is_layout: bool,
}

struct Builder<'a> {
    options: &'a CleanOptions,
    document: Document,
    /// Level and text of the open headings, outermost first.
    path: Vec<(u8, String)>,
    /// Running text of the block that is being read.
    buffer: String,
    /// Characters of the buffer that stand in bold, white space left out.
    bold_characters: usize,
    bold: usize,
    heading: Option<u8>,
    pre: usize,
    language: Option<String>,
    quotes: usize,
    captions: usize,
    lists: Vec<List>,
    list_count: usize,
    /// The mark of a list item whose text has not begun.
    mark: Option<String>,
    /// How many list items are open.
    items: usize,
    tables: Vec<Table>,
    table_count: usize,
    /// A paragraph that may be a heading: what follows decides.
    bold_paragraph: Option<String>,
}

impl<'a> Builder<'a> {
    fn new(options: &'a CleanOptions) -> Self {
        let mut document = Document::default();
        document.sections.push(Section { heading_path: vec![], level: 0, range: 0..0 });
        Builder {
            options,
            document,
            path: Vec::new(),
            buffer: String::new(),
            bold_characters: 0,
            bold: 0,
            heading: None,
            pre: 0,
            language: None,
            quotes: 0,
            captions: 0,
            lists: Vec::new(),
            list_count: 0,
            mark: None,
            items: 0,
            tables: Vec::new(),
            table_count: 0,
            bold_paragraph: None,
        }
    }

    fn text(&mut self, text: &str) {
        if self.bold > 0 {
            self.bold_characters += text.chars().filter(|c| !c.is_whitespace()).count();
        }
        if self.pre > 0 {
            self.buffer.push_str(text);
            return;
        }
        let (text, sheets) = remove::without_style_sheets(text);
        for sheet in sheets {
            self.removed("style sheet", &sheet);
        }
        // White space is collapsed as it comes: the buffer stays as small as the text.
        for character in text.chars() {
            if character.is_whitespace() && character != '\u{a0}' {
                if !self.buffer.is_empty() && !self.buffer.ends_with([' ', '\n']) {
                    self.buffer.push(' ');
                }
            } else {
                self.buffer.push(character);
            }
        }
    }

    /// A footnote where its reference stands.
    fn note(&mut self, text: &str) {
        self.space();
        self.text(&format!("(note: {text})"));
    }

    /// Ends the running block if an element that is passed over would have.
    fn flush_block(&mut self, element: ElementRef<'_>) {
        if is_block(element.value().name()) && !self.in_cell() {
            self.flush();
        }
    }

    fn remove(&mut self, reason: &str, element: ElementRef<'_>) {
        if is_block(element.value().name()) {
            self.flush();
        }
        if matches!(reason, "script" | "tracker") {
            return;
        }
        let text: String = element.text().collect::<Vec<_>>().join(" ");
        self.removed(reason, &text);
    }

    fn removed(&mut self, reason: &str, text: &str) {
        let text = collapse(text);
        if !text.is_empty() {
            self.document.removed.push(Removed { reason: reason.to_owned(), text });
        }
    }

    fn open(&mut self, element: ElementRef<'_>) {
        let name = element.value().name();
        if is_block(name) && !(self.in_cell() && name != "table") {
            self.flush();
        } else if is_block(name) {
            self.space();
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if !self.in_cell() => {
                self.heading = name.as_bytes().get(1).map(|digit| digit - b'0');
            }
            "b" | "strong" => self.bold += 1,
            "br" => {
                if self.pre > 0 || (self.heading.is_none() && !self.in_cell()) {
                    let kept = self.buffer.trim_end_matches(' ').len();
                    self.buffer.truncate(kept);
                    self.buffer.push('\n');
                } else {
                    self.space();
                }
            }
            "pre" => {
                self.pre += 1;
                self.language = language(element);
            }
            "code" if self.pre > 0 => {
                self.language = self.language.take().or_else(|| language(element));
            }
            "blockquote" => self.quotes += 1,
            "figcaption" | "caption" => self.captions += 1,
            "ul" | "ol" => {
                let start = element.attr("start").and_then(|start| start.trim().parse().ok());
                let next = (name == "ol").then(|| start.unwrap_or(1));
                // A list within a list is the same whole.
                let id = match self.lists.last() {
                    Some(outer) => outer.id,
                    None => {
                        self.list_count += 1;
                        self.list_count - 1
                    }
                };
                self.lists.push(List { id, next });
            }
            "li" => {
                self.items += 1;
                self.mark = Some(match self.lists.last_mut().and_then(|list| list.next.as_mut()) {
                    Some(next) => {
                        *next += 1;
                        format!("{}. ", *next - 1)
                    }
                    None => "- ".to_owned(),
                });
            }
            "table" => {
                let is_layout = self.in_cell() || is_layout(element);
                self.table_count += 1;
                self.tables.push(Table {
                    id: self.table_count - 1,
                    rows: 0,
                    header: None,
                    in_head: false,
                    cells: Vec::new(),
                    all_headers: true,
                    is_layout,
                });
            }
            "thead" => {
                if let Some(table) = self.tables.last_mut() {
                    table.in_head = true;
                }
            }
            "td" | "th" if self.in_cell() => {
                self.buffer.clear();
                if let Some(table) = self.tables.last_mut() {
                    table.all_headers &= name == "th";
                }
            }
            "img" => {
                if let Some(alt) = element.attr("alt").filter(|alt| says_something(alt)) {
                    let alt = alt.to_owned();
                    if self.in_cell() || self.heading.is_some() || self.mark.is_some() {
                        self.space();
                        self.text(&alt);
                    } else {
                        self.flush();
                        self.push(BlockKind::Caption, collapse_lines(&alt));
                    }
                }
            }
            "iframe" | "video" | "audio" | "embed" => {
                let source = element.attr("src").or_else(|| element.attr("data-src"));
                if let Some(source) = source.filter(|source| source.starts_with("http")) {
                    let source = source.to_owned();
                    self.flush();
                    self.push(BlockKind::Caption, source);
                }
            }
            "hr" => self.settle(),
            _ => {}
        }
    }

    fn close(&mut self, element: ElementRef<'_>) {
        let name = element.value().name();
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if self.heading.is_some() => {
                let text = collapse(&std::mem::take(&mut self.buffer));
                let level = self.heading.take().unwrap_or(2);
                self.bold_characters = 0;
                self.settle();
                if !text.is_empty() {
                    self.begin_section(level, text);
                }
            }
            "b" | "strong" => self.bold = self.bold.saturating_sub(1),
            "p" if !self.in_cell() => self.paragraph(),
            "pre" => {
                if self.pre == 1 {
                    let text = std::mem::take(&mut self.buffer);
                    let language = self.language.take();
                    self.pre = 0;
                    self.bold_characters = 0;
                    if self.in_cell() {
                        self.buffer = text;
                    } else {
                        let text = text.trim_matches(['\n', '\r']).trim_end().to_owned();
                        self.push(BlockKind::Code { language }, text);
                    }
                } else {
                    self.pre = self.pre.saturating_sub(1);
                }
            }
            "blockquote" => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
            }
            "figcaption" | "caption" => {
                self.flush();
                self.captions = self.captions.saturating_sub(1);
            }
            "ul" | "ol" => {
                self.flush();
                self.lists.pop();
            }
            "li" => {
                self.flush();
                self.mark = None;
                self.items = self.items.saturating_sub(1);
            }
            "td" | "th" if self.in_cell() => {
                let cell = collapse(&std::mem::take(&mut self.buffer));
                self.bold_characters = 0;
                if let Some(table) = self.tables.last_mut() {
                    table.cells.push(cell);
                }
            }
            "tr" if self.in_cell() => self.row(),
            "thead" => {
                if let Some(table) = self.tables.last_mut() {
                    table.in_head = false;
                }
            }
            "table" => {
                self.flush();
                self.tables.pop();
            }
            _ if is_block(name) && !self.in_cell() => self.flush(),
            _ if is_block(name) => self.space(),
            _ => {}
        }
    }

    fn in_cell(&self) -> bool {
        self.tables.last().is_some_and(|table| !table.is_layout)
    }

    fn space(&mut self) {
        if !self.buffer.is_empty() && !self.buffer.ends_with([' ', '\n']) {
            self.buffer.push(' ');
        }
    }

    fn row(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        let cells = std::mem::take(&mut table.cells);
        let all_headers = std::mem::replace(&mut table.all_headers, true);
        if cells.iter().all(String::is_empty) {
            return;
        }
        let text = cells.join(" | ");
        let is_header =
            table.header.is_none() && (table.in_head || (all_headers && table.rows == 0));
        let header = if is_header { None } else { table.header.clone() };
        table.rows += 1;
        if is_header {
            table.header = Some(text.clone());
        }
        let kind = BlockKind::TableRow { table: table.id, header };
        self.push(kind, text);
    }

    /// The end of a `<p>`: all bold and short, it may be a heading.
    fn paragraph(&mut self) {
        let visible = self.buffer.chars().filter(|c| !c.is_whitespace()).count();
        let text = collapse_lines(&self.buffer);
        let may_be_heading = self.options.bold_headings
            && visible > 0
            && self.bold_characters == visible
            && self.items == 0
            && self.quotes == 0
            && self.captions == 0
            && self.tables.is_empty()
            && !text.contains('\n')
            && text.split_whitespace().count() <= 12
            && !text.ends_with(['.', ',', ';', ':', '!', '…']);
        if may_be_heading {
            self.buffer.clear();
            self.bold_characters = 0;
            self.settle();
            self.bold_paragraph = Some(text);
        } else {
            self.flush();
        }
    }

    /// A waiting bold paragraph that nothing follows was no heading.
    fn settle(&mut self) {
        if let Some(text) = self.bold_paragraph.take() {
            self.write(BlockKind::Paragraph, text);
        }
    }

    fn begin_section(&mut self, level: u8, text: String) {
        while self.path.last().is_some_and(|(open, _)| *open >= level) {
            self.path.pop();
        }
        self.path.push((level, text));
        let at = self.document.text.len();
        self.document.sections.push(Section {
            heading_path: self.path.iter().map(|(_, text)| text.clone()).collect(),
            level: level.min(6),
            range: at..at,
        });
    }

    /// Ends the block that is being read.
    fn flush(&mut self) {
        if self.heading.is_some() || self.pre > 0 {
            return;
        }
        let raw = std::mem::take(&mut self.buffer);
        self.bold_characters = 0;
        let text = collapse_lines(&raw);
        if text.is_empty() {
            return;
        }
        let kind = if self.captions > 0 {
            BlockKind::Caption
        } else if self.items > 0 && !self.lists.is_empty() {
            let depth = self.lists.len() - 1;
            BlockKind::ListItem { depth, list: self.lists[depth].id }
        } else if self.quotes > 0 {
            BlockKind::Quote
        } else {
            BlockKind::Paragraph
        };
        let text = match (&kind, self.mark.take()) {
            (BlockKind::ListItem { depth, .. }, Some(mark)) => {
                format!("{}{mark}{text}", "  ".repeat(*depth))
            }
            (BlockKind::ListItem { depth, .. }, None) => {
                format!("{}{text}", "  ".repeat(depth + 1))
            }
            _ => text,
        };
        self.push(kind, text);
    }

    fn push(&mut self, kind: BlockKind, text: String) {
        if text.trim().is_empty() {
            return;
        }
        let is_running = matches!(kind, BlockKind::Paragraph | BlockKind::Quote);
        if is_running && self.options.boilerplate && remove::is_call_to_action(&text) {
            self.removed("call to action", &text);
            return;
        }
        if let Some(heading) = self.bold_paragraph.take() {
            // Text follows: it was a heading, one below the last real one.
            if matches!(kind, BlockKind::Caption) {
                self.write(BlockKind::Paragraph, heading);
            } else {
                self.begin_section(BOLD_LEVEL, heading);
            }
        }
        self.write(kind, text);
    }

    fn write(&mut self, kind: BlockKind, text: String) {
        let document = &mut self.document;
        if let Some(last) = document.blocks.last() {
            let same = match (&last.kind, &kind) {
                (BlockKind::ListItem { list: a, .. }, BlockKind::ListItem { list: b, .. }) => {
                    a == b
                }
                (BlockKind::TableRow { table: a, .. }, BlockKind::TableRow { table: b, .. }) => {
                    a == b
                }
                _ => false,
            };
            document.text.push_str(if same { "\n" } else { "\n\n" });
        }
        let start = document.text.len();
        document.text.push_str(&text);
        let end = document.text.len();
        let section = document.sections.len() - 1;
        if document.blocks.last().is_none_or(|last| last.section != section) {
            document.sections[section].range.start = start;
        }
        document.sections[section].range.end = end;
        document.blocks.push(Block { kind, section, range: start..end });
    }

    fn finish(mut self) -> Document {
        self.heading = None;
        self.pre = 0;
        self.flush();
        self.settle();
        drop_empty_first(&mut self.document);
        self.document
    }
}

/// Sections without text stay (their headings are in the paths below them), but for the one before
/// the first heading.
fn drop_empty_first(document: &mut Document) {
    if document.sections.len() > 1 && document.blocks.first().is_none_or(|block| block.section > 0)
    {
        document.sections.remove(0);
        for block in &mut document.blocks {
            block.section -= 1;
        }
    }
    // An empty section lies where the text before it ends.
    let mut end = 0;
    for section in &mut document.sections {
        if section.range.is_empty() {
            section.range = end..end;
        }
        end = section.range.end;
    }
}

/// The level of a heading that is a bold paragraph: below all real ones.
const BOLD_LEVEL: u8 = 7;
