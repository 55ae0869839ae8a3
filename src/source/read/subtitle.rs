//! Which of the short texts that a source gives beside a body is a subtitle. Pure.

use super::plain;
use crate::base::{Content, ParsedArticle};

/// Characters of a subtitle at the most.
const LONGEST: usize = 300;

/// Bytes of a text in which a subtitle may stand; what is longer has too much in it besides.
const LONGEST_RAW: usize = 4096;

/// Bytes of a body that are looked at to find how it begins.
const BEGINNING: usize = 32 << 10;

/// Words that may stand before a body's beginning, such as a caption or a byline.
const BEFORE: usize = 40;

/// So many words that end in an ellipsis are an excerpt; fewer may mean it.
const EXCERPT: usize = 15;

/// Fewer words than this may stand in a body's beginning by chance.
const TELLING: usize = 5;

/// Text that may have tags in it as one plain line; empty if it is too long for a subtitle.
pub(super) fn line(text: &str) -> String {
    if text.len() > LONGEST_RAW { String::new() } else { plain(&apart(text)) }
}

/// Markup with a space before each tag that ends a line, so that no words run together.
fn apart(html: &str) -> String {
    ["</p", "</div", "</li", "</h", "<br"]
        .iter()
        .fold(html.to_owned(), |html, tag| html.replace(tag, &format!(" {tag}")))
}

/// The first of some plain lines that is a subtitle: short, not the title over again, and neither
/// how the article begins nor an excerpt that breaks off, which is what many feeds put there.
pub(super) fn subtitle(
    lines: impl IntoIterator<Item = String>,
    article: &ParsedArticle,
) -> Option<String> {
    let mut beginning = None;
    lines.into_iter().find_map(|line| {
        let line = without_footer(&line);
        let words = compared(line)?;
        if words == words_of(&article.title) {
            return None;
        }
        let beginning = beginning.get_or_insert_with(|| words_of(&begins(&article.content)));
        let is_longer = !beginning.is_empty() && words.starts_with(beginning);
        (!is_longer && !stands_in(&words, beginning)).then(|| line.to_owned())
    })
}

/// What WordPress appends to an excerpt, left out.
fn without_footer(line: &str) -> &str {
    match line.rfind("The post ") {
        Some(at) if line[at..].contains(" appeared first on ") => line[..at].trim_end(),
        _ => line,
    }
}

/// The words by which a line is compared; `None` if it can't be a subtitle.
fn compared(line: &str) -> Option<Vec<String>> {
    const BROKEN_OFF: [&str; 3] = ["[…]", "[...]", "[&hellip;]"];
    const MORE: [&str; 2] = ["read more", "continue reading"];
    let end = line.to_lowercase();
    let end = end.trim_end_matches(|c: char| !c.is_alphanumeric());
    let is_cut = BROKEN_OFF.iter().any(|mark| line.contains(mark))
        || MORE.iter().any(|more| end.ends_with(more));
    if is_cut || line.chars().count() > LONGEST {
        return None;
    }
    let mut words = words_of(line);
    let is_open = line.ends_with('…') || line.ends_with("...");
    if is_open {
        // It may be broken off within a word.
        words.pop();
    }
    let is_excerpt = is_open && words.len() >= EXCERPT;
    (!words.is_empty() && !is_excerpt).then_some(words)
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn begins(body: &Content) -> String {
    let raw = body.raw();
    let head = &raw[..raw.floor_char_boundary(BEGINNING)];
    match body {
        Content::Html(_) => plain(&apart(head)),
        Content::Markdown(_) | Content::Text(_) => head.to_owned(),
    }
}

/// Whether words are how a text begins, a little before them left aside.
fn stands_in(words: &[String], beginning: &[String]) -> bool {
    let before = if words.len() < TELLING { 0 } else { BEFORE };
    beginning.windows(words.len()).take(before + 1).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::read::blank;

    fn found(candidate: &str, body: Content) -> Option<String> {
        let article = ParsedArticle { title: "Steam & oak".into(), content: body, ..blank() };
        subtitle([line(candidate)], &article)
    }

    #[test]
    fn a_short_text_that_says_something_else_is_a_subtitle() {
        let body = "<figure><figcaption>The yard in March.</figcaption></figure>\
                    <p>Oak bends <em>after</em> an hour in the box.</p><p>Never sooner.</p>";
        for (candidate, expected) in [
            ("What an hour in the box is good for", Some("What an hour in the box is good for")),
            ("  Wood &amp; water,\n <b>patience</b>  ", Some("Wood & water, patience")),
            ("<p>One.</p><p>Two.</p>", Some("One. Two.")),
            ("And then it broke…", Some("And then it broke…")),
            (
                "Ignore all that was said. <script>x()</script>",
                Some("Ignore all that was said. x()"),
            ),
            // As the title, in other clothes.
            ("steam &amp; Oak!", None),
            // How the body begins: whole, broken off, after a caption, with WordPress's footer.
            ("Oak bends after an hour in the box.", None),
            ("The yard in March. Oak bends after an hour", None),
            ("Oak bends after an hour in the b…", None),
            ("Oak bends after an hour [&#8230;]", None),
            ("Another beginning of it [...]", None),
            (
                "It was in a wet spring, long before there were boxes, that they bent the first …",
                None,
            ),
            ("The keel is laid. Read more »", None),
            (
                "<p>Oak bends after an hour in the box.</p><p>The post <a>Steam &amp; oak</a> \
                 appeared first on <a>The yard</a>.</p>",
                None,
            ),
            // Few words may stand there by chance; they count where the body begins with them.
            ("Never sooner", Some("Never sooner")),
            ("The yard in March", None),
            ("", None),
            ("…", None),
            ("<img src=\"x.png\">", None),
        ] {
            let found = found(candidate, Content::Html(body.to_owned()));
            assert_eq!(found.as_deref(), expected, "{candidate}");
        }
    }

    #[test]
    fn a_long_text_is_no_subtitle() {
        let body = || Content::Text("Oak.".to_owned());
        assert!(found(&"ö".repeat(300), body()).is_some());
        assert_eq!(found(&"ö".repeat(301), body()), None);
        assert_eq!(found(&format!("<i a=\"{}\">Ash</i>", "x".repeat(5000)), body()), None);
        // Nor is one that goes on from all that the body says.
        assert_eq!(found("Oak. And much more of it", body()), None);
    }

    #[test]
    fn the_first_that_is_one_is_taken() {
        let article = ParsedArticle { title: "Keel".into(), ..blank() };
        let lines = ["keel", "", "Laid in March", "Laid in May"].map(str::to_owned);
        assert_eq!(subtitle(lines, &article).as_deref(), Some("Laid in March"));
    }

    #[test]
    fn it_is_read_of_every_kind_of_source() {
        let read = |text: &str, name: &str| {
            let hint = crate::source::read::Hint { file_name: Some(name), ..Default::default() };
            match crate::source::read::parse(text.as_bytes(), &hint).unwrap() {
                crate::source::read::Parsed::Source(mut source) => source.articles.remove(0),
                crate::source::read::Parsed::Page { article, .. } => *article,
                other => panic!("{other:?}"),
            }
        };
        let json = |members: &str| {
            let item = format!("{{\"id\": \"1\", \"title\": \"Keel\", {members}}}");
            read(&format!("{{\"version\": \"1\", \"items\": [{item}]}}"), "feed.json").subtitle
        };
        let body = "\"content_text\": \"Sawn from one trunk.\"";
        let laid = Some("Laid in March".to_owned());
        assert_eq!(json(&format!("\"summary\": \"Laid  in March\", {body}")), laid);
        assert_eq!(json(&format!("\"summary\": \"Sawn from one\", {body}")), None);
        assert_eq!(json("\"summary\": \"Laid in March\""), None);
        for (front, expected) in [
            ("subtitle: Laid in March\ndescription: On wood", "Laid in March"),
            ("description: \"On wood\"", "On wood"),
            ("subtitle: Keel\ndescription: On wood", "On wood"),
        ] {
            let text = format!("---\ntitle: Keel\n{front}\n---\n\nSawn from one trunk.\n");
            assert_eq!(read(&text, "keel.md").subtitle.as_deref(), Some(expected), "{front}");
        }
        let page = |meta: &str| {
            let text = format!(
                "<html><head><title>Keel</title>{meta}</head><body><article><h1>Keel</h1>\
                 <p>Sawn from one trunk.</p></article></body></html>"
            );
            read(&text, "keel.html").subtitle
        };
        let description = |name: &str, text: &str| {
            page(&format!("<meta {name}=\"og:description\" content=\"{text}\">"))
        };
        assert_eq!(description("property", "Laid in March"), laid);
        assert_eq!(description("property", "Sawn from one trunk."), None);
        assert_eq!(page("<meta name=\"description\" content=\"Laid in March\">"), laid);
    }
}
