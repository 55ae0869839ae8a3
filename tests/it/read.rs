//! Reading against feeds, expectations and pages that nobody on this project wrote.
//!
//! They lie in `../shared/data`; where that is not, these tests pass over it and say so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use wellread::base::{ParsedArticle, ParsedSource};
use wellread::document::html::text_of;
use wellread::source::read::{Hint, Parsed, parse};

use crate::support::{Wellread, feed as feed_of, http, project, serve, shared};

/// The files under a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What was read, as a feed: a page is one article.
pub fn feed(parsed: Parsed) -> ParsedSource {
    match parsed {
        Parsed::Source(source) => source,
        Parsed::Page { article, .. } => {
            ParsedSource { articles: vec![*article], ..ParsedSource::default() }
        }
        Parsed::Outlines(_) => ParsedSource::default(),
    }
}

/// Reads what may be a feed, and all that it holds.
pub fn read_all(bytes: &[u8]) {
    let hint = Hint { url: Some("https://example.org/feed"), ..Hint::default() };
    if let Ok(parsed) = parse(bytes, &hint) {
        for article in &feed(parsed).articles {
            kept(article);
        }
    }
}

/// `text` as a reader sees it: tags gone, white space collapsed.
pub fn seen(text: &str) -> String {
    if text.contains(['<', '&']) {
        text_of(text)
    } else {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The committed list: `file path…: reason` lines.
fn listed(name: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(project("tests/data").join(name)).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (what, reason) = line.split_once("  ").expect("what, two spaces, reason");
            (what.to_owned(), reason.trim().to_owned())
        })
        .collect()
}

/// Compares what fails with the committed list of what may, each with its reason.
pub fn as_listed(name: &str, failing: &BTreeMap<String, String>) {
    let listed = listed(name);
    let wanted: BTreeSet<_> = listed.keys().collect();
    let got: BTreeSet<_> = failing.keys().collect();
    let new: Vec<String> =
        got.difference(&wanted).map(|key| format!("{key}  {}", failing[*key])).collect();
    let gone: Vec<_> = wanted.difference(&got).collect();
    assert!(new.is_empty(), "{} fail that are not in {name}:\n{}", new.len(), new.join("\n"));
    assert!(gone.is_empty(), "these hold now; take them out of {name}: {gone:#?}");
}

/// Dates are kept to the second.
pub fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}

/// A link as URLs are compared.
pub fn normal(link: &str) -> String {
    url::Url::parse(link).map_or_else(|_| link.to_owned(), |url| url.to_string())
}

/// Words as they are counted, with how often each stands.
fn words(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *found.entry(word.to_lowercase()).or_default() += 1;
    }
    found
}

/// An article's kept text and headings; and what was removed from it.
fn kept(article: &ParsedArticle) -> (String, String) {
    let document = wellread::document::html::document(&article.content, &Default::default());
    let mut text = document.text;
    for section in &document.sections {
        text.push(' ');
        text.push_str(section.heading_path.last().map_or("", String::as_str));
    }
    let removed: Vec<String> = document.removed.into_iter().map(|removed| removed.text).collect();
    (text, removed.join(" "))
}

#[test]
fn real_feeds_lose_nothing() {
    let Some(golden) = shared("data/realfeeds/golden_feedparser.json") else { return };
    let golden_values: Value = serde_json::from_slice(&std::fs::read(&golden).unwrap()).unwrap();
    let mut failing = BTreeMap::new();
    for (name, wanted) in golden_values.as_object().unwrap() {
        let bytes = std::fs::read(golden.with_file_name(name)).unwrap();
        let articles = feed(parse(&bytes, &Hint::default()).unwrap()).articles;
        let entries = wanted["entries"].as_array().unwrap();
        assert_eq!(articles.len(), entries.len(), "{name}");
        let (mut all, mut lost) = (0usize, 0usize);
        let mut what_lost = BTreeMap::new();
        for (at, (entry, article)) in entries.iter().zip(&articles).enumerate() {
            let mut check = |what: &str, holds: bool, shown: String| {
                if !holds {
                    failing.insert(format!("{name} {at} {what}"), shown);
                }
            };
            let title = entry["title"].as_str().map(seen).unwrap_or_default();
            check("title", title == article.title, format!("{title:?} {:?}", article.title));
            let link = entry["link"].as_str().map(normal);
            let url = article.url.as_deref().map(normal);
            // A relative link leads nowhere where the feed's own address is unknown.
            let is_relative = link.as_ref().is_some_and(|link| link.starts_with('/'));
            let same = match &url {
                Some(url) => link.is_some_and(|link| url.ends_with(&link)),
                None => is_relative || link.is_none(),
            };
            check("link", same, format!("{} {url:?}", entry["link"]));
            let date =
                entry["published_utc"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            check(
                "date",
                seconds(date) == seconds(article.published),
                format!("{date:?} {:?}", article.published),
            );
            let (text, removed) = kept(article);
            let (mut text, mut removed) = (words(&text), words(&removed));
            for (word, count) in words(&without_sheets(&extracted(article.content.raw()))) {
                all += count;
                let take = |from: &mut BTreeMap<String, usize>, count: usize| {
                    let have = from.get(&word).copied().unwrap_or(0).min(count);
                    from.entry(word.clone()).and_modify(|n| *n -= have);
                    count - have
                };
                let rest = take(&mut text, count);
                let gone = take(&mut removed, rest);
                lost += gone;
                if gone > 0 {
                    what_lost.insert(word, gone);
                }
            }
        }
        let share = 1.0 - lost as f64 / all.max(1) as f64;
        eprintln!(
            "{name}: {} articles, {:.2} % of {all} words kept",
            articles.len(),
            100.0 * share
        );
        assert!(share >= 0.97, "{name}: {share}: {what_lost:?}");
    }
    as_listed("realfeeds_failing.txt", &failing);
}

/// A text without the style sheets that an editor has pasted into it as comments.
fn without_sheets(text: &str) -> String {
    let mut kept = String::new();
    for (at, piece) in text.split("<!--").enumerate() {
        match piece.split_once("-->") {
            Some((sheet, rest)) if at > 0 && sheet.contains('{') => kept.push_str(rest),
            _ => kept.push_str(piece),
        }
        kept.push(' ');
    }
    kept
}

/// The text of a body without any sense for what it says: all but scripts and the like, parted at
/// the elements that part words on a page.
fn extracted(html: &str) -> String {
    use ego_tree::iter::Edge;
    let page = scraper::Html::parse_document(html);
    let is_inline = |name: &str| {
        ["a", "b", "i", "em", "strong", "span", "code", "sup", "sub", "font", "u", "small"]
            .contains(&name)
    };
    let mut out = String::new();
    let mut skip = None;
    for edge in page.tree.root().traverse() {
        let (Edge::Open(node) | Edge::Close(node)) = edge;
        let name = node.value().as_element().map(scraper::node::Element::name);
        if skip.is_none() && matches!(name, Some("script" | "style" | "iframe" | "noscript")) {
            skip = Some(node.id());
        } else if skip == Some(node.id()) {
            skip = None;
        } else if skip.is_none() {
            if name.is_some_and(|name| !is_inline(name)) {
                out.push(' ');
            }
            if let (Edge::Open(_), Some(text)) = (edge, node.value().as_text()) {
                out.push_str(text);
            }
        }
    }
    out
}

#[test]
fn rss_and_atom_of_one_blog_give_the_same_articles() {
    for blog in ["hugo_cowboy", "blogger_cornucopia"] {
        let Some(rss) = shared(&format!("data/realfeeds/{blog}_rss.xml")) else { return };
        let atom = rss.with_file_name(format!("{blog}_atom.xml"));
        let [rss, atom] = [rss, atom].map(|path| {
            let articles =
                feed(parse(&std::fs::read(path).unwrap(), &Hint::default()).unwrap()).articles;
            articles
                .iter()
                .map(|article| {
                    let (text, _) = kept(article);
                    // One of the two was made on its author's machine.
                    let url = article.url.as_deref().and_then(|url| url::Url::parse(url).ok());
                    let url = url.map(|url| url.path().to_owned());
                    (article.title.clone(), url, article.published, words(&text))
                })
                .collect::<Vec<_>>()
        });
        assert_eq!(rss.len(), atom.len());
        for (a, b) in rss.iter().zip(&atom) {
            assert_eq!((&a.0, &a.1, a.2), (&b.0, &b.1, b.2), "{blog}");
            // One has a list of other posts behind some.
            let all: usize = b.3.values().sum();
            let both: usize =
                b.3.iter().map(|(word, n)| a.3.get(word).copied().unwrap_or(0).min(*n)).sum();
            assert!(both * 100 >= all * 99, "{blog}: {}: {both} of {all} words", a.0);
        }
    }
}

#[test]
fn no_feed_hangs_or_panics_whole_or_cut() {
    let Some(root) = shared("data/feeds") else { return };
    let mut count = 0;
    for path in files(&root) {
        let bytes = std::fs::read(&path).unwrap();
        let hint = Hint { url: Some("https://example.org/feed"), ..Hint::default() };
        let start = Instant::now();
        read_all(&bytes);
        assert!(start.elapsed() < Duration::from_secs(2), "{}", path.display());
        // Small files at each byte, larger ones here and there.
        let step = (bytes.len() / 200).max(1);
        for end in (0..bytes.len()).step_by(step) {
            let _ = parse(&bytes[..end], &hint);
        }
        count += 1;
    }
    assert!(count > 2_000, "{count} files");
}

/// Runs of four words, with how often each stands; of a shorter text the whole.
fn shingles(text: &str) -> BTreeMap<Vec<&str>, usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let mut found = BTreeMap::new();
    for run in words.windows(4.min(words.len()).max(1)) {
        *found.entry(run.to_vec()).or_default() += 1;
    }
    found
}

#[test]
fn the_main_content_of_pages_is_found() {
    let Some(truth) = shared("data/html/scrapinghub/ground-truth.json") else { return };
    let pages: Value = serde_json::from_slice(&std::fs::read(&truth).unwrap()).unwrap();
    let pages = pages.as_object().unwrap();
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for (id, page) in pages {
        let packed =
            std::fs::File::open(truth.with_file_name("html").join(format!("{id}.html.gz")));
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed.unwrap()).read_to_end(&mut bytes).unwrap();
        let hint =
            Hint { url: page["url"].as_str(), content_type: Some("text/html"), file_name: None };
        let Ok(Parsed::Page { article, .. }) = parse(&bytes, &hint) else { panic!("{id}") };
        let wanted = page["articleBody"].as_str().unwrap();
        ours.push(overlap(wanted, &kept(&article).0));
        plain.push(overlap(wanted, &extracted(&String::from_utf8_lossy(&bytes))));
    }
    let (precision, recall, f1) = mean(&ours);
    let (_, _, of_plain_text) = mean(&plain);
    eprintln!(
        "main content of {} pages: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}; \
         plain text: F1 {of_plain_text:.3}",
        pages.len()
    );
    assert!(f1 >= 0.93, "{f1}");
}

/// Precision and recall of the runs of four words of a text, as the article-extraction benchmark
/// has them.
fn overlap(wanted: &str, got: &str) -> (f64, f64) {
    let (wanted, got) = (shingles(wanted), shingles(got));
    let both: usize =
        wanted.iter().map(|(run, n)| got.get(run).copied().unwrap_or(0).min(*n)).sum();
    let share = |all: usize| if all == 0 { 1.0 } else { both as f64 / all as f64 };
    (share(got.values().sum()), share(wanted.values().sum()))
}

/// Mean precision, mean recall, and the F1 of both.
fn mean(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let count = pairs.len() as f64;
    let precision = pairs.iter().map(|pair| pair.0).sum::<f64>() / count;
    let recall = pairs.iter().map(|pair| pair.1).sum::<f64>() / count;
    (precision, recall, 2.0 * precision * recall / (precision + recall))
}

/// A zip archive of these files.
/// An archive of files.
pub fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const POSTS: &str = "post_id,post_date,is_published,email_sent_at,type,audience,title,subtitle\n\
    101.steam,2025-03-04T07:00:00.000Z,true,,newsletter,everyone,\"Steam, and what it bends\",An hour & its inch\n\
    102.draft,,false,,newsletter,everyone,Not yet,\n\
    103.gone,2025-03-11T07:00:00.000Z,true,,newsletter,everyone,Gone,\n";

#[test]
fn a_substack_export_is_read() {
    let zip = zip_of(&[
        ("posts.csv", POSTS.as_bytes()),
        (
            "posts/101.steam.html",
            "<h2>The box</h2><p>An hour for each inch – no less.</p>".as_bytes(),
        ),
        ("../../etc/passwd", b"root"),
    ]);
    let Parsed::Source(source) = parse(&zip, &Hint::default()).unwrap() else { panic!() };
    assert_eq!(source.articles.len(), 1);
    let article = &source.articles[0];
    assert_eq!(article.title, "Steam, and what it bends");
    assert_eq!(article.subtitle.as_deref(), Some("An hour & its inch"));
    assert_eq!(article.guid.as_deref(), Some("101.steam"));
    assert_eq!(article.published.unwrap().to_string(), "2025-03-04T07:00:00Z");
    assert!(article.content.raw().contains("no less"));
    assert_eq!(source.warnings.len(), 2, "{:?}", source.warnings);
}

#[test]
fn an_export_without_its_pages_says_so() {
    let error = parse(&zip_of(&[("posts.csv", POSTS.as_bytes())]), &Hint::default()).unwrap_err();
    assert!(error.to_string().contains("2 posts, and none has its HTML file"), "{error}");
    let error = parse(&zip_of(&[("image.png", b"x")]), &Hint::default()).unwrap_err();
    assert!(error.to_string().contains("without an article"), "{error}");
    let mut cut = zip_of(&[("a.html", b"<p>a")]);
    cut.truncate(20);
    assert!(parse(&cut, &Hint::default()).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn a_zip_bomb_is_refused_within_its_limit() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("posts/1.html", zip::write::SimpleFileOptions::default()).unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..80 {
        zip.write_all(&zeros).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    assert!(zip.len() < 1 << 20);
    let error = parse(&zip, &Hint::default()).unwrap_err();
    assert!(error.to_string().contains("too large unpacked"), "{error}");
}

#[test]
fn an_archive_of_files_is_read_file_by_file() {
    let zip = zip_of(&[
        ("notes/one.md", b"---\ntitle: One\n---\nFirst."),
        ("notes/two.html", b"<title>Two</title><p>Second.</p>"),
        ("notes/inner.xml", &zip_of(&[("x.html", b"x")])),
        ("__MACOSX/notes/one.md", b"junk"),
    ]);
    let Parsed::Source(source) = parse(&zip, &Hint::default()).unwrap() else { panic!() };
    let titles: Vec<&str> = source.articles.iter().map(|article| &*article.title).collect();
    assert_eq!(titles, ["One", "Two"]);
    assert!(source.warnings[0].contains("an archive within the archive"));
}

#[test]
fn a_summary_is_completed_from_its_page_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let address = serve(|path| {
        if path == "/feed" {
            let item = "<item><guid>a</guid><link>/p/a</link><title>Whole</title>\
                        <description>The beginning…</description></item>";
            return http(
                "200 OK",
                "Content-Type: application/rss+xml\r\n",
                feed_of(item).as_bytes(),
            );
        }
        PAGES.fetch_add(1, Ordering::SeqCst);
        let body = "<p>A plank that was steamed for an hour bends over the knee, and one that was \
                    not does not, as every apprentice finds out by breaking one.</p>"
            .repeat(6);
        let page = format!(
            "<html><title>Whole</title><body><nav><a href=/>Home</a></nav><article><h1>Whole</h1>\
             {body}</article><footer>All rights reserved</footer></body></html>"
        );
        http("200 OK", "Content-Type: text/html\r\n", page.as_bytes())
    });
    let wellread = Wellread::new();
    let source = format!("{address}/feed");
    wellread.succeeds(&["add", "--allow-private", &source]);
    let shown = wellread.json(&["show", "Whole"]);
    assert_eq!(shown["extent"], "linked_page");
    let text = shown["sections"].to_string();
    assert!(text.contains("every apprentice") && !text.contains("rights reserved"), "{text}");
    // The summary in the feed is no edit of it, and the page is not fetched again.
    let synced = wellread.json(&["sync", "--allow-private"]);
    assert_eq!(synced["sources"][0]["changed"], serde_json::json!([]));
    assert_eq!(PAGES.load(Ordering::SeqCst), 1);
}

#[test]
fn the_real_feeds_headings_stand_at_their_levels() {
    let Some(path) = shared("articles/feed.xml") else { return };
    let articles = feed(parse(&std::fs::read(path).unwrap(), &Hint::default()).unwrap()).articles;
    assert_eq!(articles.len(), 20);
    let clean = Default::default();
    let documents: Vec<_> = articles
        .iter()
        .map(|article| wellread::document::html::document(&article.content, &clean))
        .collect();
    let keys: Vec<_> = documents.iter().map(wellread::document::html::block_keys).collect();
    let repeated = wellread::document::html::learn_repeated(&keys, &clean);
    let selector = scraper::Selector::parse("h1, h2, h3, h4, h5, h6").unwrap();
    for (article, document) in articles.iter().zip(documents) {
        let page = scraper::Html::parse_document(article.content.raw());
        let written: Vec<(u8, String)> = page
            .select(&selector)
            .map(|heading| (heading.value().name().as_bytes()[1] - b'0', heading.text().collect()))
            .map(|(level, text): (u8, String)| (level, seen(&text)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let removed: Vec<_> = document.removed.iter().map(|removed| removed.text.clone()).collect();
        let read: Vec<(u8, String)> = document
            .sections
            .iter()
            .filter(|section| section.level > 0)
            .map(|section| (section.level, section.heading_path.last().unwrap().clone()))
            .collect();
        let lost: Vec<_> = written
            .iter()
            .filter(|heading| !read.contains(heading))
            .filter(|(_, text)| !removed.iter().any(|removed| removed.contains(text)))
            .collect();
        assert!(lost.is_empty(), "{}: {lost:?}", article.title);
        let by_level = |level: u8| read.iter().filter(|heading| heading.0 == level).count();
        let made = read.iter().filter(|heading| !written.contains(heading)).count();
        let levels: Vec<String> = (1..=6).map(|level| by_level(level).to_string()).collect();
        eprintln!("{} | {} | {made}", article.title, levels.join(" | "));
        let kept =
            wellread::document::html::remove_repeated(document, &repeated).text.to_lowercase();
        for boilerplate in [
            "subscribe now",
            "share this post",
            "leave a comment",
            "upgrade to paid",
            "thanks for reading",
            "type your email",
            "start writing",
        ] {
            assert!(!kept.contains(boilerplate), "{}: {boilerplate}", article.title);
        }
    }
}

#[test]
fn a_hundred_thousand_items_and_ten_thousand_levels_are_read_in_bounds() {
    let start = Instant::now();
    let items: String = (0..100_001)
        .map(|n| format!("<item><guid>{n}</guid><title>Item {n}</title></item>"))
        .collect();
    let source = feed(parse(feed_of(&items).as_bytes(), &Hint::default()).unwrap());
    assert_eq!(source.articles.len(), 100_000);
    assert!(source.warnings[0].contains("100001 articles"), "{:?}", source.warnings);
    let deep = format!("{}{}{}", "<a>".repeat(10_000), "text", "</a>".repeat(10_000));
    let source = feed(
        parse(
            feed_of(&format!("<item><description>{deep}</description></item>")).as_bytes(),
            &Hint::default(),
        )
        .unwrap(),
    );
    assert_eq!(source.articles.len(), 1);
    assert!(source.warnings.iter().any(|warning| warning.contains("too deep")));
    let page = format!("<html><body>{}deep</body></html>", "<div>".repeat(10_000));
    let Ok(Parsed::Page { article, .. }) = parse(page.as_bytes(), &Hint::default()) else {
        panic!()
    };
    kept(&article);
    // A bound that only a cost that grows out of hand exceeds, on whatever machine.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn redirects_in_a_circle_end() {
    let server = serve(|path| {
        let next = if path == "/a" { "/b" } else { "/a" };
        http("302 Found", &format!("Location: {next}\r\n"), b"")
    });
    let wellread = Wellread::new();
    wellread.fails(&["add", "--allow-private", &format!("{server}/a")], "redirects more than");
}

#[test]
fn a_server_that_asks_for_patience_is_told_of_and_an_unchanged_feed_is_not_sent_again() {
    let busy = serve(|_| http("429 Too Many Requests", "Retry-After: 120\r\n", b""));
    let wellread = Wellread::new();
    let stderr = wellread.fails(&["add", "--allow-private", &busy], "429");
    assert!(stderr.contains("120"), "{stderr}");

    // The server sees no headers here: it answers 304 to the second request.
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let body = "<item><guid>a</guid><title>One</title><description>Words of a post that is short \
                but whole, with nothing more to read elsewhere.</description></item>";
    let server = serve(move |_| match ASKED.fetch_add(1, Ordering::SeqCst) {
        0 => http(
            "200 OK",
            "ETag: \"1\"\r\nContent-Type: application/rss+xml\r\n",
            feed_of(body).as_bytes(),
        ),
        _ => http("304 Not Modified", "", b""),
    });
    wellread.succeeds(&["add", "--allow-private", &server]);
    let synced = wellread.json(&["sync", "--allow-private", &server]);
    assert_eq!(synced["sources"][0]["not_modified"], true);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        start in proptest::sample::select(vec!["", "<rss><channel><item>", "<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><entry>", "{\"items\":[{", "<html>", "PK\x03\x04", "---\n"]),
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "[<>/&;a-z\"'= !\\[\\]\\-?:#x0-9]{0,120}",
    ) {
        let all = [start.as_bytes(), text.as_bytes(), &bytes].concat();
        if let Ok(parsed) = parse(&all, &Hint::default()) {
            for article in &feed(parsed).articles {
                kept(article);
            }
        }
    }
}
