use proptest::prelude::*;

use super::*;
use crate::base::{BlockKind, Document};

fn read(html: &str) -> Document {
    document(&Content::Html(html.to_owned()), &CleanOptions::default())
}

/// Each block with its section's path and kind, as a reader of a snapshot wants it.
fn outline(document: &Document) -> String {
    let mut out = String::new();
    let mut section = usize::MAX;
    for block in &document.blocks {
        if block.section != section {
            section = block.section;
            let path = &document.sections[section];
            out.push_str(&format!("# {} {}\n", path.level, path.heading_path.join(" > ")));
        }
        let kind = match &block.kind {
            BlockKind::Paragraph => "p".to_owned(),
            BlockKind::ListItem { depth, list } => format!("li{list}.{depth}"),
            BlockKind::Code { language } => format!("code {}", language.as_deref().unwrap_or("-")),
            BlockKind::TableRow { table, header } => {
                format!("row{table}{}", if header.is_some() { "" } else { " header" })
            }
            BlockKind::Quote => "quote".to_owned(),
            BlockKind::Caption => "caption".to_owned(),
        };
        out.push_str(&format!("{kind}: {:?}\n", &document.text[block.range.clone()]));
    }
    for removed in &document.removed {
        out.push_str(&format!("- {}: {}\n", removed.reason, removed.text));
    }
    out
}

#[test]
fn headings_stand_wherever_they_stand() {
    let text = outline(&read(
        "Before <b>all</b>.<h2>One <em>of</em> two</h2><p>A</p><blockquote><h4>Quoted</h4><p>B</p>\
         </blockquote><div><div><h3><a href=x>Linked</a></h3></div><p>C</p></div><h2>Empty</h2>\
         <h2>One of two</h2><p>D</p><h3></h3><p>E</p>",
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn footnotes_stand_at_their_place() {
    let text = outline(&read(
        "<p>The keel is oak<sup><a href=#fn1 id=fnref1 class=footnote-ref>1</a></sup>, sawn \
         green<a class=footnote-anchor id=footnote-anchor-2 href=#footnote-2>2</a>. See \
         <a href=#fn1>1</a> and <a href=#part>the part</a>.</p><ul><li>pine<a role=doc-noteref \
         href=#n3>[3]</a></ul><h2 id=part>Part</h2><p>End<sup><a href=#gone>4</a></sup></p>\
         <p>Cut.<a href=\"https://example.org/s\"><sup>5</sup></a> And <a href=\"https://example.org/s\">6</a>\
         x<sup>2</sup></p>\
         <section class=footnotes><ol><li id=fn1><p>From the <i>old</i> pier. \
         <a href=#fnref1>↩︎</a></p></ol></section>\
         <div class=footnote><a id=footnote-2 href=#footnote-anchor-2 class=footnote-number>2</a>\
         <div class=footnote-content><p>Within a week.</p><p>Or two.</p></div></div>\
         <p id=n3>3. Knotty.</p><p>After.</p>",
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn lists_code_tables_quotes_and_captions() {
    let text = outline(&read(
        "<ol start=3><li>three<ul><li>inner<li><p>two</p><p>paragraphs</p></ul><li>four</ol>\
         <pre><code class=\"language-rust\">fn main() {\n    x\n}\n</code></pre>\
         <table><thead><tr><th>Wood<th>Weight</thead><tr><td>Oak<td><b>700</b> kg</table>\
         <table><tr><td><p>layout</p><p>cells</p></table>\
         <blockquote>said <i>he</i><p>again</blockquote>\
         <figure><img alt=\"A plank in a steam box\"><figcaption>The box</figcaption></figure>\
         <img alt=\"IMG_1234.jpg\"><iframe src=\"https://video.example/1\"></iframe>a<br>b",
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_not_the_article_goes() {
    let text = outline(&read(
        "<p>Kept.</p><div class=\"subscription-widget-wrap\"><p>Join us</p><form><input></form></div>\
         <p class=\"button-wrapper\"><a class=\"button primary\">Share</a></p>\
         <p style=\"display: none\">ignore all</p><span aria-hidden=\"true\">x</span>\
         <p style=\"color:#fff\">white</p><p style=\"font-size:0px\">zero</p>\
         <div style=\"position:absolute; left:-9999px\">far</div><script>alert(1)</script>\
         <svg><title>icon</title></svg><div class=\"post shared\"><h2>Stays</h2><p>all of it</p></div>\
         <p style=\"color: white; background: navy\">Readable.</p>",
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn a_bold_paragraph_before_text_is_a_heading() {
    let text = outline(&read(
        "<h2>Real</h2><p><strong>Step one</strong></p><p>Cut.</p><p><b>Step</b> <b>two</b></p>\
         <ul><li>Glue.</li></ul><p><b>Never do this.</b></p><p><b>Last words</b></p><h2>Next</h2><p>x</p>",
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn markdown_and_text_are_read_alike() {
    let markdown = "Intro\n\n# One\n\n- a\n- b\n\n## Two\n\n| x | y |\n|---|---|\n| 1 | 2 |\n";
    let options = CleanOptions::default();
    insta::assert_snapshot!(outline(&document(&Content::Markdown(markdown.into()), &options)));
    let text = document(&Content::Text("one\nline\n\ntwo".into()), &options);
    assert_eq!(text.text, "one\nline\n\ntwo");
    assert_eq!(text.blocks.len(), 2);
}

#[test]
fn what_repeats_is_learned_and_removed() {
    let closing = "<p>That was letter number {} of the yard, until next week!</p>";
    let documents: Vec<Document> = (0..6)
        .map(|n| {
            let closing = closing.replace("{}", &n.to_string());
            read(&format!(
                "<h2>Part</h2><p>Text of its own, number {}.</p><ul><li>x</ul>{closing}",
                "abcdef".chars().nth(n).unwrap()
            ))
        })
        .collect();
    let options = CleanOptions::default();
    let keys: Vec<_> = documents.iter().map(block_keys).collect();
    let repeated = learn_repeated(&keys, &options);
    assert_eq!(repeated.0.len(), 1);
    let clean = remove_repeated(documents[2].clone(), &repeated);
    insta::assert_snapshot!(outline(&clean));
    assert_eq!(learn_repeated(&keys[..4], &options), Repeated::default());
}

#[test]
fn ten_thousand_levels_cost_no_stack() {
    let deep = format!("{}<p>deep</p>{}", "<div>".repeat(10_000), "</div>".repeat(10_000));
    assert_eq!(read(&deep).text, "deep");
    let lists = "<ul><li>".repeat(3_000) + "x";
    assert!(read(&lists).text.ends_with("- x"));
}

fn is_sound(document: &Document) -> Result<(), TestCaseError> {
    let mut end = 0;
    for block in &document.blocks {
        prop_assert!(block.range.start >= end && block.range.end > block.range.start);
        prop_assert!(document.text.get(block.range.clone()).is_some());
        let section = &document.sections[block.section];
        prop_assert!(
            section.range.start <= block.range.start && block.range.end <= section.range.end
        );
        prop_assert!(document.text[end..block.range.start].trim().is_empty());
        end = block.range.end;
    }
    prop_assert_eq!(end, document.text.len());
    for pair in document.sections.windows(2) {
        prop_assert!(pair[0].range.end <= pair[1].range.start);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_soup_gives_a_sound_document(
        pieces in proptest::collection::vec(prop_oneof![
            Just("<p>"), Just("</p>"), Just("<h2>"), Just("</h2>"), Just("<h3>"), Just("</h3>"), Just("<b>"),
            Just("</b>"), Just("<ul>"), Just("<li>"), Just("</ul>"), Just("<pre>"), Just("</pre>"), Just("<table>"),
            Just("<tr>"), Just("<td>"), Just("<th>"), Just("</table>"), Just("<blockquote>"), Just("</blockquote>"),
            Just("<br>"), Just("<div class=share>"), Just("</div>"), Just("word "), Just("a b c d"), Just("\n"),
            Just("<img alt='a b c'>"), Just("<hr>"), Just("é漢"), Just("&lt;"), Just("<!--"), Just("-->"),
        ], 0..60)
    ) {
        let document = read(&pieces.concat());
        is_sound(&document)?;
        let words: String = document.blocks.iter().map(|b| &document.text[b.range.clone()]).collect();
        prop_assert!(!words.contains("<p>"));
    }

    #[test]
    fn any_bytes_are_read(text in "\\PC{0,200}") {
        is_sound(&read(&text))?;
    }

    /// A set that knows more than an article has does the same to it: an article has to be cleaned
    /// again only if a key of its own entered or left the set.
    #[test]
    fn only_an_articles_own_keys_decide_what_of_it_goes(
        blocks in proptest::collection::vec((0..4usize, "[a-c]{1,2} [a-c]{1,2} [a-c]"), 0..12),
        others in proptest::collection::btree_set(any::<u64>(), 0..5),
        picked in any::<u16>(),
    ) {
        let tags = ["p", "h2", "li", "td"];
        let html: String =
            blocks.iter().map(|(tag, text)| format!("<{0}>{text}</{0}>", tags[*tag])).collect();
        let document = read(&html);
        let keys = block_keys(&document);
        let mut set = Repeated(others);
        let some = keys.iter().enumerate().filter(|(at, _)| picked >> (at % 16) & 1 == 1);
        set.0.extend(some.map(|(_, key)| *key));
        let clean = remove_repeated(document.clone(), &set);
        is_sound(&clean)?;
        prop_assert_eq!(&clean, &remove_repeated(document.clone(), &set.among(&keys)));
        prop_assert!(block_keys(&clean).is_disjoint(&set.0));
        let gone = clean.removed.len() - document.removed.len();
        prop_assert_eq!(clean.blocks.len() + gone, document.blocks.len());
        prop_assert_eq!(gone == 0, set.among(&keys).0.is_empty());
    }
}

#[test]
fn a_style_sheet_that_was_pasted_as_text_goes_and_a_comment_that_is_shown_stays() {
    let sheet = "@font-face { font-family: \"wf\"; } .ms-font-su { color: #333; } ".repeat(5);
    let html = format!(
        "<p>Book early.&lt;!--{sheet}--&gt; It fills up. Write &lt;!-- more --&gt; there.</p>"
    );
    let document = document(&Content::Html(html), &CleanOptions::default());
    assert_eq!(document.text, "Book early. It fills up. Write <!-- more --> there.");
    assert_eq!(document.removed[0].reason, "style sheet");
    assert!(document.removed[0].text.starts_with("@font-face"));
}
