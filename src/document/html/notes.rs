//! Footnotes: which note belongs to which reference. Pure.
//!
//! A reference is a link whose text is a mark (`1`, `[2]`, `*`), raised or called a footnote's; its
//! note is the block of the page that the link points to. Substack, Markdown, Pandoc,
//! WordPress and DPUB-ARIA (`doc-noteref`) all write them so.

use std::collections::{HashMap, HashSet};

use ego_tree::NodeId;
use scraper::{ElementRef, Html};

use super::CleanOptions;
use super::remove;

/// Characters of a note that is still read where its reference stands.
const LONGEST: usize = 2_000;
/// Elements of a note.
const MOST: usize = 500;

/// The notes of a page.
#[derive(Default)]
pub(super) struct Notes {
    /// The text of the note that each reference stands for.
    pub at: HashMap<NodeId, String>,
    /// The blocks that the notes were taken from.
    pub moved: HashSet<NodeId>,
    /// References that lead to no note here, such as a raised number that links to another site:
    /// without a note their marks say nothing, and part sentences wrongly ("seniority.1 And").
    pub loose: HashSet<NodeId>,
}

impl Notes {
    /// The notes of a parsed body; a note that several references point to goes to the first.
    pub(super) fn find(html: &Html, options: &CleanOptions) -> Notes {
        let mut notes = Notes::default();
        let mut targets: HashMap<&str, ElementRef<'_>> = HashMap::new();
        let mut references = Vec::new();
        for element in html.root_element().descendent_elements() {
            for name in [element.attr("id"), element.attr("name")].into_iter().flatten() {
                targets.entry(name).or_insert(element);
            }
            if element.value().name() == "a"
                && let Some(href) = element.attr("href")
                && is_reference(element)
            {
                references.push((element, href.strip_prefix('#')));
            }
        }
        for (reference, to) in references {
            let target = to.and_then(|to| targets.get(to));
            let Some(note) = target.and_then(|target| note_of(*target)) else {
                if target.is_none() {
                    notes.loose.insert(reference.id());
                }
                continue;
            };
            let holds_reference =
                reference.ancestors().any(|ancestor| notes.moved.contains(&ancestor.id()))
                    || reference.ancestors().any(|ancestor| ancestor.id() == note.id());
            if holds_reference || notes.moved.contains(&note.id()) {
                continue;
            }
            let text = text_of(note, options);
            if !text.is_empty() && text.len() <= LONGEST {
                notes.at.insert(reference.id(), text);
                notes.moved.insert(note.id());
            }
        }
        notes
    }
}

/// Whether a text is no more than a note's mark.
fn is_mark(text: &str) -> bool {
    let mark = text.trim().trim_matches(['[', ']', '(', ')', '^']);
    let is_number = !mark.is_empty() && mark.len() <= 3 && mark.bytes().all(|b| b.is_ascii_digit());
    is_number || matches!(mark, "*" | "**" | "***" | "†" | "‡" | "a" | "b" | "c")
}

fn is_reference(link: ElementRef<'_>) -> bool {
    let text: String = link.text().collect();
    if !is_mark(&text) {
        return false;
    }
    let is_raised = link.ancestors().take(2).filter_map(ElementRef::wrap).any(is_sup)
        || link.descendent_elements().any(is_sup);
    let is_said = link.attr("role") == Some("doc-noteref")
        || link.attr("rel") == Some("footnote")
        || link.value().classes().any(|class| {
            let class = class.to_ascii_lowercase();
            class.contains("footnote") && !class.contains("number") && !class.contains("back")
                || class.contains("fnref")
                || class.contains("noteref")
        });
    is_raised || is_said
}

fn is_sup(element: ElementRef<'_>) -> bool {
    element.value().name() == "sup"
}

/// The block of a note: what the link points to, or the block around it.
fn note_of(target: ElementRef<'_>) -> Option<ElementRef<'_>> {
    let called = |element: &ElementRef<'_>| {
        element.value().classes().any(|class| matches!(class, "footnote" | "footnote-definition"))
    };
    let mut around = std::iter::once(target).chain(target.ancestors().filter_map(ElementRef::wrap));
    let block = around
        .clone()
        .take(4)
        .find(called)
        .or_else(|| {
            around.find(|element| {
                matches!(element.value().name(), "li" | "p" | "aside" | "dd" | "div" | "section")
            })
        })
        .filter(|block| !matches!(block.value().name(), "body" | "html" | "article" | "main"))?;
    // What holds headings is a part of the page and no note.
    let is_part = block.descendent_elements().enumerate().any(|(at, inner)| {
        let name = inner.value().name();
        at > MOST || matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "pre")
    });
    (!is_part).then_some(block)
}

/// A note's text on one line, without its mark and its way back.
fn text_of(note: ElementRef<'_>, options: &CleanOptions) -> String {
    let mut words: Vec<&str> = Vec::new();
    for text in note.descendants().filter_map(|node| Some((node, node.value().as_text()?))) {
        let (node, text) = text;
        let inside = node.ancestors().take_while(|ancestor| ancestor.id() != note.id());
        let is_kept = inside.filter_map(ElementRef::wrap).all(|element| {
            let leads_back = element.value().name() == "a"
                && element.attr("href").is_some_and(|href| href.starts_with('#'));
            !leads_back && remove::reason(element, options).is_none()
        });
        if is_kept {
            words.extend(text.split_whitespace());
        }
    }
    words.retain(|word| !matches!(*word, "↩" | "↩︎" | "^" | "↑"));
    let text = words.join(" ");
    // A mark that is written out, as in "1. From the old pier."
    match text.split_once(' ') {
        Some((mark, rest)) if is_mark(mark.trim_end_matches(['.', ':'])) => rest.trim().to_owned(),
        _ => text,
    }
}
