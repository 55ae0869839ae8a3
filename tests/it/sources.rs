//! Sources of every kind, as a user meets them: lists of feeds, pages that name a feed, archives in
//! pages, and what goes wrong while reading.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
    for said in ["closed the connection early", "can't be read", "answers 503"] {
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

/// A proxy that answers for the whole internet, and what it was asked for: what is public can't be
/// served on this machine otherwise. Addresses are checked before it is asked.
fn internet(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Wellread, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let proxy = serve(move |url| {
        log.lock().unwrap().push(url.to_owned());
        answer(url)
    });
    (Wellread::new().env("http_proxy", &proxy), asked)
}

type Asked = Arc<Mutex<Vec<String>>>;

#[test]
fn a_redirect_into_a_private_network_is_followed_and_refused() {
    let (wellread, asked) = internet(|url| {
        let to = if url.ends_with("/feed") { "http://8.8.8.8/" } else { "http://169.254.169.254/" };
        http("302 Found", &format!("Location: {to}\r\n"), b"")
    });
    let stderr = wellread.fails(&["add", "http://93.184.216.34/feed"], "private network");
    assert!(stderr.contains("http://169.254.169.254/ points"), "{stderr}");
    assert_eq!(*asked.lock().unwrap(), ["http://93.184.216.34/feed", "http://8.8.8.8/"]);
}

#[test]
fn an_address_that_embeds_a_private_one_is_private() {
    let (wellread, asked) = internet(|_| http("200 OK", "", feed("").as_bytes()));
    for host in [
        "[2002:7f00:1::]",
        "[2001:0:808:808::80ff:fffe]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "2130706433",
        "localhost",
    ] {
        wellread.fails(&["add", &format!("http://{host}/feed")], "private network");
    }
    assert!(asked.lock().unwrap().is_empty(), "{asked:?}");
    wellread.succeeds(&["add", "http://[2002:808:808::1]/feed"]);
}

#[test]
fn a_feed_on_the_network_causes_no_local_file_to_be_read() {
    const SECRET: &str = "the-combination-is-4711";
    let body = format!("<p>{SECRET}. {BODY}</p>");
    let wellread = Wellread::new();
    let private = wellread.file("private.xml", feed(&item(9, "Diary", &body)));
    // What looks like `http…` and is a path in the working folder.
    wellread.file("https/private.xml", feed(&item(8, "Diary", &body)));
    let folder = wellread.dir.path().display().to_string();
    let atom = "xmlns:atom=\"http://www.w3.org/2005/Atom\"";
    let server = serve(move |path| match path {
        "/next" => {
            let next = format!("<atom:link {atom} rel=\"next\" href=\"file://{private}\"/>");
            http("200 OK", "", feed(&(next + &item(1, "Keel", BODY))).as_bytes())
        }
        "/base" => {
            let next = format!(
                "<atom:link {atom} xml:base=\"file://{folder}/\" rel=\"next\" \
                 href=\"private.xml\"/>"
            );
            http("200 OK", "", feed(&(next + &item(2, "Ribs", BODY))).as_bytes())
        }
        "/path" => {
            let next = format!("<atom:link {atom} rel=\"next\" href=\"{private}?a=b://c\"/>");
            http("200 OK", "", feed(&(next + &item(3, "Planks", BODY))).as_bytes())
        }
        "/gopher" => {
            let next = format!("<atom:link {atom} rel=\"next\" href=\"gopher://x/1\"/>");
            http("200 OK", "", feed(&(next + &item(4, "Deck", BODY))).as_bytes())
        }
        "/json" => {
            let json = serde_json::json!({
                "version": "https://jsonfeed.org/version/1.1", "title": "Boats",
                "next_url": format!("file://{private}"),
                "items": [{ "id": "5", "title": "Mast", "content_html": BODY }],
            });
            http("200 OK", "", json.to_string().as_bytes())
        }
        "/page" => http(
            "200 OK",
            "Content-Type: text/html\r\n",
            format!(
                "<html><head><title>Sails</title><link rel=\"alternate\" \
                 type=\"application/rss+xml\" href=\"file://{private}\"></head><body><h1>Sails</h1>\
                 {BODY}</body></html>"
            )
            .as_bytes(),
        ),
        "/list" => http(
            "200 OK",
            "",
            format!(
                "<opml version=\"2.0\"><body><outline text=\"A\" xmlUrl=\"file://{private}\"/>\
                 <outline text=\"B\" xmlUrl=\"{private}\"/>\
                 <outline text=\"C\" xmlUrl=\"https/private.xml\"/>\
                 <outline text=\"D\" xmlUrl=\"/listed\"/></body></opml>"
            )
            .as_bytes(),
        ),
        "/listed" => http("200 OK", "", feed(&item(6, "Oars", BODY)).as_bytes()),
        "/summary" => {
            let item = format!(
                "<item><guid>7</guid><title>Rudder</title><link>file://{private}</link>\
                 <description>The beginning…</description></item>"
            );
            http("200 OK", "", feed(&item).as_bytes())
        }
        _ => http("404 Not Found", "", b""),
    });
    // What is not supported is a warning, and the rest of the source is read.
    for (path, title) in [
        ("/next", "Keel"),
        ("/base", "Ribs"),
        ("/gopher", "Deck"),
        ("/json", "Mast"),
        ("/page", "Sails"),
        ("/summary", "Rudder"),
    ] {
        let ran = wellread.run(&["add", "--allow-private", &format!("{server}{path}")]);
        assert_eq!(ran.code, Some(0), "{path}: {}", ran.stderr);
        assert!(ran.stderr.contains("not an http or https address"), "{path}: {}", ran.stderr);
        assert_eq!(wellread.json(&["articles", "--title", title])["articles"][0]["title"], title);
    }
    // Paths are resolved against the feed's own address.
    let ran = wellread.run(&["add", "--allow-private", &format!("{server}/path")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("answers 404"), "{}", ran.stderr);
    let ran = wellread.run(&["add", "--allow-private", &format!("{server}/list")]);
    assert!(ran.stderr.contains("1 of the listed feeds"), "{}", ran.stderr);
    assert_eq!(wellread.json(&["articles", "--title", "Oars"])["articles"][0]["title"], "Oars");

    let titles = wellread.json(&["articles"]).to_string();
    assert!(!titles.contains("Diary"), "{titles}");
    let found = wellread.json(&["search", SECRET])["hits"].to_string();
    assert!(!found.contains(SECRET), "{found}");
}

#[test]
fn a_redirect_to_a_local_file_is_refused() {
    const SECRET: &str = "the-combination-is-4711";
    let wellread = Wellread::new();
    let body = format!("<p>{SECRET}. {BODY}</p>");
    let private =
        format!("file://{}", wellread.file("private.xml", feed(&item(9, "Diary", &body))));
    let location = format!("Location: {private}\r\n");
    let server = serve(move |path| match path {
        "/feed" => http("302 Found", "Location: /moved\r\n", b""),
        "/moved" => http("301 Moved Permanently", &location, b""),
        _ => http("200 OK", "", feed(&item(1, "Keel", BODY)).as_bytes()),
    });
    wellread.succeeds(&["add", "--allow-private", &format!("{server}/other")]);
    for path in ["/feed", "/moved"] {
        let said =
            format!("{server}/moved redirects to {private}, which is not an http or https address");
        wellread.fails(&["add", "--allow-private", &format!("{server}{path}")], &said);
    }

    let articles = wellread.json(&["articles"])["articles"].clone();
    let titles: Vec<&str> =
        articles.as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Keel"]);
    let found = wellread.json(&["search", SECRET])["hits"].to_string();
    assert!(found.contains("Keel") && !found.contains(SECRET), "{found}");
    for name in ["library.sqlite", "library.sqlite-wal"] {
        let bytes = std::fs::read(wellread.data().join(name)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{name}");
    }
}

#[test]
fn a_feed_that_was_wrapped_in_a_page_is_read_as_the_feed() {
    let items: String = (1..=10).map(|n| item(n, &format!("Post {n}"), BODY)).collect();
    let page = format!("<html><body>{}</body></html>", feed(&items));
    let server = serve(move |_| {
        http("200 OK", "Content-Type: text/html; charset=utf-8\r\n", page.as_bytes())
    });
    let wellread = Wellread::new();
    let added = wellread.json(&["add", "--allow-private", &server]);
    assert_eq!(added["sources"][0]["added"].as_array().unwrap().len(), 10, "{added}");
    assert_eq!(added["sources"][0]["title"], "Test feed");
}

/// How many requests a server answers at the same time.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Load {
    fn slow(&self, milliseconds: u64) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(milliseconds));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[test]
fn a_hundred_feeds_each_far_away_are_read_beside_each_other() {
    let load = Arc::new(Load::default());
    let wellread = Wellread::new();
    let mut args = vec!["add".to_owned(), "--allow-private".to_owned()];
    for n in 0..100 {
        let load = Arc::clone(&load);
        args.push(serve(move |_| {
            load.slow(300);
            http("200 OK", "", feed(&item(n, &format!("Post {n}"), BODY)).as_bytes())
        }));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let added = wellread.json(&args);
    // They are told of in the order in which they were given.
    let read = added["sources"].as_array().unwrap();
    let ids: Vec<&str> = read.iter().map(|source| source["source"].as_str().unwrap()).collect();
    let given: Vec<String> = args[2..].iter().map(|url| format!("{url}/")).collect();
    assert_eq!(ids, given);
    assert!((9..=16).contains(&load.most()), "{} at a time", load.most());

    let start = Instant::now();
    let synced = wellread.json(&["sync", "--allow-private"]);
    let took = start.elapsed();
    assert_eq!(synced["sources"].as_array().unwrap().len(), 100);
    eprintln!("100 feeds, 300 ms away: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // The bound is a setting.
    load.most.store(0, Ordering::SeqCst);
    let few = [&args[1..12], &["--set", "fetch.concurrency=3"]].concat();
    wellread.succeeds(&[&["sync"], &few[..]].concat());
    assert_eq!(load.most(), 3);
}

#[test]
fn one_host_is_asked_one_thing_at_a_time_and_holds_up_no_other() {
    let (one, other) = (Arc::new(Load::default()), Arc::new(Load::default()));
    let (load, order) = (Arc::clone(&one), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&order);
    let busy = serve(move |path| {
        load.slow(50);
        log.lock().unwrap().push(path.to_owned());
        if path.starts_with("/p") {
            let page = format!(
                "<html><body><article><h1>Page</h1>{}</article></body></html>",
                BODY.repeat(5)
            );
            return http("200 OK", "Content-Type: text/html\r\n", page.as_bytes());
        }
        // Each has a summary whose whole lies on the same host.
        let n = path.trim_start_matches('/');
        let item = format!(
            "<item><guid>{n}</guid><title>Post {n}</title><link>/p{n}</link>\
             <description>The beginning…</description></item>"
        );
        http("200 OK", "", feed(&item).as_bytes())
    });
    let (load, log) = (Arc::clone(&other), Arc::clone(&order));
    let free = serve(move |path| {
        load.slow(50);
        log.lock().unwrap().push(path.to_owned());
        http("200 OK", "", feed(&item(1, "Free", BODY)).as_bytes())
    });
    let wellread = Wellread::new();
    let mut args = vec!["add".to_owned(), "--allow-private".to_owned()];
    args.extend((0..20).map(|n| format!("{busy}/{n}")));
    args.push(format!("{free}/free"));
    wellread.succeeds(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(one.most(), 1);
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 41);
    // It was the last of the sources, and waited for none of the others.
    assert!(order.iter().position(|path| path == "/free").unwrap() < 6, "{order:?}");
    let whole = wellread.json(&["articles"]);
    let extents = whole["articles"].as_array().unwrap().iter().map(|article| &article["extent"]);
    assert_eq!(extents.filter(|extent| **extent == "linked_page").count(), 20);
}

#[test]
fn linked_pages_of_different_hosts_are_read_beside_each_other() {
    let load = Arc::new(Load::default());
    let mut items = String::new();
    for n in 0..8 {
        let load = Arc::clone(&load);
        let host = serve(move |_| {
            load.slow(300);
            let page = format!("<html><body><h1>Page</h1>{}</body></html>", BODY.repeat(5));
            http("200 OK", "Content-Type: text/html\r\n", page.as_bytes())
        });
        items += &format!(
            "<item><guid>{n}</guid><title>Post {n}</title><link>{host}/p</link>\
             <description>The beginning…</description></item>"
        );
    }
    let server = serve(move |_| http("200 OK", "", feed(&items).as_bytes()));
    let wellread = Wellread::new();
    wellread.succeeds(&["add", "--allow-private", "--set", "fetch.concurrency=4", &server]);
    assert_eq!(load.most(), 4);
    let whole = wellread.json(&["articles"]).to_string();
    assert_eq!(whole.matches("linked_page").count(), 8);
}

#[test]
fn ctrl_c_stops_all_that_is_being_read_at_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let wellread = Wellread::new();
    let mut args = vec!["-v".to_owned(), "add".to_owned(), "--allow-private".to_owned()];
    for _ in 0..20 {
        let asked = Arc::clone(&asked);
        args.push(serve(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(60));
            Vec::new()
        }));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child = wellread.spawn(&args, Stdio::null());
    let start = Instant::now();
    while asked.load(Ordering::SeqCst) < 16 {
        assert!(start.elapsed() < Duration::from_secs(30), "{asked:?} asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let start = Instant::now();
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 16);
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

/// Runs the binary to its end; how it ended, and the most memory that it had, in MB.
#[cfg(target_os = "linux")]
fn run_measured(wellread: &Wellread, args: &[&str]) -> (Ran, u64) {
    let mut child = wellread.spawn(args, Stdio::null());
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:")) {
            peak = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (ran(child.wait_with_output().unwrap()), peak)
}

/// Files of 16 MB each, nearly all of it a comment, as many as `WELLREAD_TEST_LARGE_FILES` says
/// (200 take some minutes): the memory is the same however many there are.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_of_large_files_is_read_in_bounded_memory() {
    const WOODS: [&str; 11] = [
        "alder", "birch", "cedar", "ebony", "hazel", "holly", "larch", "maple", "rowan", "spruce",
        "willow",
    ];
    let files: usize = std::env::var("WELLREAD_TEST_LARGE_FILES")
        .map_or(40, |number| number.parse().expect("a number"));
    let wellread = Wellread::new();
    let filler = "Oak, ash and elm each bend in their own way. ".repeat(16_000_000 / 45);
    for n in 0..files {
        // No two are alike: what repeats would be left out.
        let text: Vec<&str> = (0..30).map(|m| WOODS[(n * 7 + m * m + n * m) % 11]).collect();
        let html = format!("<p>Post {n}: {}.</p><!-- {n} {filler} -->", text.join(" "));
        wellread.file(&format!("large/{n:03}.xml"), feed(&item(n, &format!("Post {n}"), &html)));
    }
    drop(filler);
    let (ran, peak) = run_measured(&wellread, &["add", "large"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(wellread.json(&["articles"])["articles"].as_array().unwrap().len(), files);
    eprintln!("{files} files of 16 MB: {peak} MB");
    // The articles alone have 640 MB.
    assert!(peak < 500, "{peak} MB");
}
