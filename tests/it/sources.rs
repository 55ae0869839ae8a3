//! Sources of every kind, as a user meets them: lists of feeds, pages that name a feed, archives in
//! pages, and what goes wrong while reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;

/// Words enough not to be taken for a summary.
const BODY: &str = "<p>The keel lies on the blocks, and nothing more is to be read elsewhere. It \
                    was sawn in spring from one trunk, and it has dried under the roof since.</p>";

#[test]
fn a_list_of_feeds_adds_each_of_them() {
    let server = serve(|path| match path {
        "/a.xml" => http("200 OK", "", feed(&item(1, "Keel", BODY)).as_bytes()),
        "/b.xml" => http("200 OK", "", feed(&item(2, "Ribs", BODY)).as_bytes()),
        _ => http("404 Not Found", "", b""),
    });
    let wellread = Wellread::new();
    let list = wellread.file(
        "feeds.opml",
        format!(
            "<opml version=\"2.0\"><body><outline text=\"Boats\">\
             <outline type=\"rss\" text=\"A\" xmlUrl=\"{server}/a.xml\"/>\
             <outline type=\"rss\" text=\"B\" xmlUrl=\"{server}/b.xml\"/>\
             <outline type=\"rss\" text=\"C\" xmlUrl=\"{server}/gone.xml\"/>\
             </outline></body></opml>"
        ),
    );
    let ran = wellread.run(&["add", "--allow-private", &list]);
    // One of them is gone: that is said, and the others are there.
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("/gone.xml answers 404"), "{}", ran.stderr);
    let sources = wellread.json(&["sources"]);
    let names: Vec<&str> = sources["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, [format!("{server}/a.xml"), format!("{server}/b.xml")]);
}

#[test]
fn a_page_that_names_its_feed_is_read_by_it_and_again_when_that_changes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve_requests(move |request| match request.split(' ').nth(1).unwrap() {
        "/" if request.to_lowercase().contains("if-none-match") => {
            http("304 Not Modified", "", b"")
        }
        "/" => http(
            "200 OK",
            "ETag: \"page\"\r\nContent-Type: text/html\r\n",
            b"<html><head><title>Blog</title><link rel=\"alternate\" \
                  type=\"application/rss+xml\" href=\"/feed.xml\"></head><body>Hello</body></html>",
        ),
        "/feed.xml" => {
            let mut items = item(1, "Keel", BODY);
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                items += &item(2, "Ribs", BODY);
            }
            http("200 OK", "Content-Type: application/rss+xml\r\n", feed(&items).as_bytes())
        }
        _ => http("404 Not Found", "", b""),
    });
    let wellread = Wellread::new();
    let page = format!("{server}/");
    let added = wellread.json(&["add", "--allow-private", &page]);
    assert_eq!(added["sources"][0]["feed"], format!("{server}/feed.xml"), "{added}");
    // The page is as it was, its feed is not.
    let synced = wellread.json(&["sync", "--allow-private", &page]);
    assert_eq!(synced["sources"][0]["added"].as_array().unwrap().len(), 1, "{synced}");
    assert_eq!(wellread.json(&["articles"])["articles"].as_array().unwrap().len(), 2);
}

#[test]
fn older_pages_of_a_feed_are_followed_to_a_limit() {
    let server = serve(|path| {
        let n: usize = path.trim_start_matches("/p").parse().unwrap_or(1);
        let next = format!(
            "<atom:link xmlns:atom=\"http://www.w3.org/2005/Atom\" rel=\"next\" href=\"/p{}\"/>",
            n + 1
        );
        http("200 OK", "", feed(&(next + &item(n, &format!("Post {n}"), BODY))).as_bytes())
    });
    let wellread = Wellread::new();
    let source = format!("{server}/p1");
    let ran = wellread.run(&["add", "--allow-private", "--set", "fetch.max_pages=5", &source]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("older pages were left out after 5"), "{}", ran.stderr);
    assert_eq!(wellread.json(&["articles"])["articles"].as_array().unwrap().len(), 5);
}

#[test]
fn a_feed_that_breaks_off_or_turns_into_something_else_keeps_its_cursor_and_articles() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve_requests(move |request| {
        let whole = feed(&item(1, "Keel", BODY));
        let is_conditional = request.contains("\"one\"");
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => http("200 OK", "ETag: \"one\"\r\n", whole.as_bytes()),
            // It says that more is to come than comes.
            1 => {
                let mut cut = http("200 OK", "ETag: \"two\"\r\n", whole.as_bytes());
                cut.truncate(cut.len() - 40);
                cut
            }
            // A login page in its place, and no words to tell it by but its form.
            2 => http("200 OK", "ETag: \"three\"\r\n", &[0, 159, 146, 150, 0, 1, 2]),
            3 => http("503 Service Unavailable", "Retry-After: 60\r\n", b""),
            _ if is_conditional => http("304 Not Modified", "", b""),
            _ => http("500 Internal Server Error", "", b"the first cursor was lost"),
        }
    });
    let wellread = Wellread::new();
    wellread.succeeds(&["add", "--allow-private", &server]);
    for said in ["broke off", "can't be read", "answers 503"] {
        wellread.fails(&["sync", "--allow-private", &server], said);
        assert_eq!(wellread.json(&["articles"])["articles"].as_array().unwrap().len(), 1);
    }
    let synced = wellread.json(&["sync", "--allow-private", &server]);
    assert_eq!(synced["sources"][0]["not_modified"], true, "{synced}");
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[test]
fn two_hundred_megabytes_are_refused_before_they_are_read() {
    let wellread = Wellread::new();
    let path = wellread.file("huge.xml", "<rss>");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    wellread.fails(&["add", &path], "fetch.max_bytes");
    // A server that says so is not read at all; one that doesn't is left as soon as it is too much.
    let server = serve(|path| {
        let answer = if path == "/said" {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n<rss>", 200 << 20)
        } else {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "<rss> ".repeat(400_000))
        };
        answer.into_bytes()
    });
    for path in ["/said", "/unsaid"] {
        wellread.fails(
            &[
                "add",
                "--allow-private",
                "--set",
                "fetch.max_bytes=2000000",
                &format!("{server}{path}"),
            ],
            "fetch.max_bytes",
        );
    }
}

/// The most memory that a process had, in MB.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

/// Reads all feeds in a process of its own, and says there how much memory that took.
#[cfg(target_os = "linux")]
#[test]
fn reading_any_feed_takes_under_200_mb() {
    const INSIDE: &str = "WELLREAD_TEST_INSIDE";
    let Some(root) = shared("data/feeds") else { return };
    if std::env::var_os(INSIDE).is_some() {
        for path in crate::read::files(&root) {
            let bytes = std::fs::read(&path).unwrap();
            crate::read::read_all(&bytes);
        }
        println!("peak memory: {} MB", peak_memory());
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sources::reading_any_feed_takes_under_200_mb", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("peak memory: ")).expect("a figure");
    println!("{line}");
    let figure = line.split("peak memory: ").nth(1).unwrap().trim_end_matches(" MB");
    assert!(figure.parse::<u64>().unwrap() < 200, "{line}");
}
