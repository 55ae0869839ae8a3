//! The rows of the table in `docs/scale.md`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Bench;
use crate::child::{Ran, summary};
use crate::corpus;
use crate::qdrant::QdrantServer;
use crate::serve::{Seen, Site, Wire};

/// Feeds that are far away, and how far.
const FEEDS: usize = 100;
const AWAY: Duration = Duration::from_millis(300);

/// Articles whose texts are embedded.
const EMBEDDED: usize = 60;

type Row = fn(&mut Bench) -> Value;

/// Each row by its name.
pub const ROWS: [(&str, Row); 10] = [
    ("search", search),
    ("sync", sync),
    ("summaries", summaries),
    ("learn", learn),
    ("embed", embed),
    ("build", build),
    ("memory", memory),
    ("verify", verify),
    ("feeds", feeds),
    ("server", server),
];

/// From the start of a process to printed hits, and what it reads of the library for them.
fn search(bench: &mut Bench) -> Value {
    let data = bench.data();
    let asked: Vec<String> = (0..4 * bench.runs + 2).map(|n| corpus::question(n * 37)).collect();
    let mut runs: Vec<Ran> =
        asked.iter().map(|text| bench.program.run(&data, &["search", text, "--offline"])).collect();
    // The first two warm the page cache.
    runs.drain(..2);
    let mut found = summary(&runs);
    found["chunks"] = json!(bench.size(&data).1);
    found["peak_mb"] =
        json!(bench.program.watched(&data, &["search", &asked[0], "--offline"]).peak_mb);
    let read = bench.program.library_read(&data, &["search", &asked[0], "--offline"]);
    found["library_read_mb"] = json!(read.map(|bytes| bytes as f64 / 1e6));
    found
}

/// One new article in a feed of twenty; its vectors are known.
fn sync(bench: &mut Bench) -> Value {
    let data = bench.copy();
    let before = bench.size(&data);
    let one = |number: usize| {
        std::fs::write(bench.feed(), corpus::window(bench.articles + number)).unwrap();
        bench.program.watched(&data, &["sync", "--offline"])
    };
    let runs: Vec<Ran> = (0..bench.runs).map(one).collect();
    let after = bench.size(&data);
    assert_eq!(after.0 - before.0, bench.runs as u64, "each sync brings one article");
    let nothing: Vec<Ran> =
        (0..bench.runs).map(|_| bench.program.run(&data, &["sync", "--offline"])).collect();
    let mut found = summary(&runs);
    found["chunks"] = json!(before.1);
    found["nothing_new"] = summary(&nothing);
    found
}

/// A feed of summaries beside the library, each of which names a page that is not there; read into
/// the library, not indexed.
fn summaries(bench: &mut Bench) -> Value {
    let data = bench.copy();
    let site = Site::start("127.0.0.1", Duration::ZERO, &Arc::default());
    let read = |count: usize| {
        let path = format!("/{count}.xml");
        site.put(&path, corpus::summaries(&site.url(&format!("/pages-{count}")), count));
        let ran = bench.read_into(&data, &[&site.url(&path)]);
        (count.to_string(), summary(&[ran]))
    };
    Value::Object([125, 250, 500, 1000].into_iter().map(read).collect())
}

/// One new article in a source that has thousands: read, recorded, and what repeats learned; not
/// indexed.
fn learn(bench: &mut Bench) -> Value {
    let data = bench.copy();
    let feed = bench.feed().display().to_string();
    let one = |number: usize| {
        std::fs::write(&feed, corpus::window(bench.articles + number)).unwrap();
        bench.read_into(&data, &[&feed])
    };
    let runs: Vec<Ran> = (0..bench.runs).map(one).collect();
    let nothing: Vec<Ran> = (0..bench.runs).map(|_| bench.read_into(&data, &[&feed])).collect();
    let mut found = summary(&runs);
    found["nothing_new"] = summary(&nothing);
    found
}

/// Texts of chunks, none of which is known.
fn embed(bench: &mut Bench) -> Value {
    let data = bench.scratch("large");
    let feed = bench.home.join("pool.xml");
    std::fs::write(&feed, corpus::letters(0..EMBEDDED)).unwrap();
    bench.read_into(&data, &[&feed.display().to_string()]);
    let file = bench.home.join("embedded.bin").display().to_string();
    let ran = bench.program.watched(&data, &["embed", "--shard", "1/1", &file, "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    let texts = said["embedded"].as_u64().unwrap();
    let mut found = summary(std::slice::from_ref(&ran));
    found["texts"] = json!(texts);
    found["texts_per_s"] = json!((texts as f64 / ran.wall_ms * 1e4).round() / 10.0);
    found["texts_per_cpu_s"] = json!((texts as f64 / ran.cpu_ms * 1e4).round() / 10.0);
    found
}

/// The whole index from the library, every vector known.
fn build(bench: &mut Bench) -> Value {
    let data = bench.copy();
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let ran = bench.build(&data);
    let chunks = bench.size(&data).1;
    let mut found = summary(std::slice::from_ref(&ran));
    found["chunks"] = json!(chunks);
    found["chunks_per_s"] = json!((chunks as f64 / ran.wall_ms * 1e3).round());
    found["index_mb"] = json!(disk(&data.join("index")));
    found
}

/// Large articles: mostly markup, and as much text as the corpus has in a hundred.
fn memory(bench: &mut Bench) -> Value {
    let mut found = json!({});
    for (name, count, sections, bytes) in
        [("markup", 200, 33, 16_000_000), ("text", 100, 1_000, 1_000_000)]
    {
        let data = bench.scratch("large");
        let mut reads = Vec::new();
        for article in 0..count {
            // Each is a source of its own, as what a source repeats is learned from all of it.
            let file = bench.home.join(format!("large-{article}.xml"));
            std::fs::write(&file, corpus::large(article + 1, sections, bytes)).unwrap();
            reads.push(bench.read_into(&data, &[&file.display().to_string()]));
            std::fs::remove_file(&file).unwrap();
        }
        let built = bench.build(&data);
        found[name] = json!({
            "articles": count, "article_mb": bytes as f64 / 1e6, "chunks": bench.size(&data).1,
            "read": summary(&reads), "build": summary(&[built]),
        });
        std::fs::remove_dir_all(&data).unwrap();
    }
    found
}

fn verify(bench: &mut Bench) -> Value {
    let data = bench.data();
    let ran = bench.program.watched(&data, &["index", "verify", "--offline"]);
    let mut found = summary(&[ran]);
    found["chunks"] = json!(bench.size(&data).1);
    found
}

/// Feeds far away, each on a host of its own: read for the first time, then read again with nothing
/// new.
fn feeds(bench: &mut Bench) -> Value {
    let data = bench.scratch("feeds");
    let seen = Arc::new(Seen::default());
    let sites: Vec<Site> = (0..FEEDS)
        .map(|n| {
            let site = Site::start(&format!("127.0.1.{}", n + 1), AWAY, &seen);
            site.put("/feed.xml", corpus::short(n));
            site
        })
        .collect();
    let urls: Vec<String> = sites.iter().map(|site| site.url("/feed.xml")).collect();
    let mut args = vec!["add", "--allow-private"];
    args.extend(urls.iter().map(String::as_str));
    let added = bench.program.watched(&data, &args);
    let at_once = |ran: &[Ran]| {
        let (requests, most) = seen.take();
        let mut found = summary(ran);
        found["requests"] = json!(requests);
        found["at_once"] = json!(most);
        found
    };
    let added = at_once(&[added]);
    let again: Vec<Ran> = (0..bench.runs.min(3))
        .map(|_| bench.program.watched(&data, &["sync", "--allow-private"]))
        .collect();
    json!({ "add": added, "sync": at_once(&again) })
}

/// What goes over the wire to a Qdrant server (the double of the tests), in megabytes.
fn server(bench: &mut Bench) -> Value {
    let data = bench.copy();
    let server = QdrantServer::start();
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    let wire = Wire::to(address);
    let url = format!("http://{}", wire.address);
    bench.program.env = vec![("WELLREAD_STORE_URL".to_owned(), url)];
    let mut found = json!({});
    let said = |name: &str, ran: Ran, found: &mut Value| {
        let (sent, received) = wire.take();
        found[name] = json!({ "sent_mb": sent, "received_mb": received, "run": summary(&[ran]) });
    };
    let pushed =
        bench.program.watched(&data, &["index", "push", "--set", "index.golden_queries=0"]);
    said("push", pushed, &mut found);
    let verified = bench.program.watched(&data, &["index", "verify"]);
    said("verify", verified, &mut found);
    std::fs::write(bench.feed(), corpus::window(bench.articles)).unwrap();
    let synced = bench.program.watched(&data, &["sync"]);
    said("sync_of_one", synced, &mut found);
    found["chunks"] = json!(bench.size(&data).1);
    bench.program.env.clear();
    found
}

/// Megabytes of a folder's files, those linked twice counted once.
fn disk(folder: &Path) -> f64 {
    let said = std::process::Command::new("du").args(["-sk"]).arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
}
