//! Feeds as other readers have them: feedparser's and feed-rs's own expectations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use wellread::base::ParsedSource;
use wellread::source::read::{Hint, parse};

use crate::read::{as_listed, feed, files, json_lines, normal, seconds, seen};
use crate::support::shared;

fn instant(parts: &Value) -> Option<Timestamp> {
    let parts = &parts["time_tuple"];
    let part = |at: usize| parts.get(at)?.as_i64();
    let (y, m, d) = (part(0)?, part(1)?, part(2)?);
    let (h, min, s) = (part(3)?, part(4)?, part(5)?);
    format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}Z").parse().ok()
}

/// What wellread has for an expectation's path; `Err` where it keeps no such thing.
fn value(read: &Result<ParsedSource, String>, path: &[Value]) -> Result<Option<Value>, ()> {
    let names: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
    let text = |text: &str| Some(Value::String(text.to_owned()));
    if names == ["bozo"] {
        let is_mended = read.as_ref().map_or(true, |feed| !feed.warnings.is_empty());
        return Ok(Some(Value::Bool(is_mended)));
    }
    let Ok(source) = read else { return Ok(None) };
    let time = |time: Option<Timestamp>| time.map(|time| Value::String(time.to_string()));
    if names.first() == Some(&"feed") {
        return match &names[1..] {
            ["title"] | ["title_detail", "value"] => Ok(source.title.as_deref().and_then(text)),
            ["link"] => Ok(source.url.as_deref().and_then(text)),
            _ => Err(()),
        };
    }
    if names.first() != Some(&"entries") {
        return Err(());
    }
    let at = path[1].as_u64().and_then(|at| usize::try_from(at).ok()).ok_or(())?;
    let Some(article) = source.articles.get(at) else { return Ok(None) };
    let body = || text(&seen(article.content.raw()));
    match &names[1..] {
        ["title"] | ["title_detail", "value"] => Ok(text(&article.title)),
        ["link"] => Ok(article.url.as_deref().and_then(text)),
        ["id" | "guid"] => Ok(article.guid.as_deref().and_then(text)),
        ["author"] => Ok(article.authors.first().map(String::as_str).and_then(text)),
        ["description" | "summary"] | ["content" | "summary_detail", "value"] => Ok(body()),
        ["published_parsed" | "created_parsed" | "created" | "published"] => {
            Ok(time(article.published))
        }
        ["updated_parsed" | "updated"] => Ok(time(article.updated.or(article.published))),
        ["tags", "term"] => {
            let at = path[3].as_u64().and_then(|at| usize::try_from(at).ok()).ok_or(())?;
            Ok(article.tags.get(at).map(String::as_str).and_then(text))
        }
        _ => Err(()),
    }
}

fn holds(assert: &Value, got: Option<&Value>, path: &[Value]) -> bool {
    let wanted = &assert["value"];
    let last = path.last().and_then(Value::as_str).unwrap_or_default();
    let equal = || {
        let Some(got) = got else {
            return wanted.as_str().is_some_and(|text| seen(text).is_empty());
        };
        let got = got.as_str().unwrap_or_default();
        if last.ends_with("_parsed") {
            return instant(wanted).map(|time| time.to_string()).as_deref() == Some(got);
        }
        // The dates as text say the same as the parsed ones beside them.
        if matches!(last, "published" | "updated" | "created") {
            return !got.is_empty();
        }
        wanted.as_str().is_some_and(|wanted| {
            let wanted = if last == "link" { wanted.trim().to_owned() } else { seen(wanted) };
            wanted == got || assert["value"] == got || (last == "author" && wanted.contains(got))
        })
    };
    match assert["op"].as_str().unwrap_or_default() {
        "falsy" => got.is_none_or(|got| matches!(got, Value::Bool(false)) || got == ""),
        "truthy" => got.is_some_and(|got| !matches!(got, Value::Bool(false)) && got != ""),
        "absent" => got.is_none(),
        "eq" => equal(),
        "ne" => !equal(),
        _ => false,
    }
}

#[test]
fn feedparsers_expectations_hold() {
    let Some(list) = shared("data/feeds/feedparser_expectations.jsonl") else { return };
    let root = list.with_file_name("feedparser").join("tests");
    let mut failing = BTreeMap::new();
    let (mut count, mut not_kept) = (0usize, 0usize);
    for case in json_lines(&list) {
        let is_core = case["core"].as_bool() == Some(true);
        if !is_core || case["suite"] == "wellformed/sanitize" {
            continue;
        }
        let file = case["file"].as_str().unwrap();
        let headers = &case["http_headers"];
        let header = |wanted: &str| {
            let (_, value) =
                headers.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            value.as_str()
        };
        let hint = Hint {
            url: header("Content-Location").or(Some("http://127.0.0.1:8097/feed")),
            content_type: header("Content-Type"),
            file_name: None,
        };
        let bytes = std::fs::read(root.join(file)).unwrap();
        let read = parse(&bytes, &hint).map(feed).map_err(|error| error.to_string());
        for assert in case["asserts"].as_array().into_iter().flatten() {
            let path = assert["path"].as_array().unwrap();
            let shown: Vec<String> = path
                .iter()
                .map(|part| part.as_str().map_or(part.to_string(), str::to_owned))
                .collect();
            let key = format!("{file} {}", shown.join("."));
            match value(&read, path) {
                // Languages, types, schemes, a feed's subtitle: the core is title, link, id, dates,
                // content.
                Err(()) => not_kept += 1,
                Ok(got) => {
                    count += 1;
                    if !holds(assert, got.as_ref(), path) {
                        let why = match &read {
                            Err(error) => error.clone(),
                            Ok(feed) => feed.warnings.join("; "),
                        };
                        failing.insert(
                            key,
                            format!(
                                "got {got:?}, wanted {} {} ({why})",
                                assert["op"], assert["value"]
                            ),
                        );
                    }
                }
            }
        }
    }
    let share = 1.0 - failing.len() as f64 / count as f64;
    eprintln!(
        "{} of {count} assertions on core fields hold: {:.1} %; {not_kept} are on other fields",
        count - failing.len(),
        100.0 * share
    );
    as_listed("feedparser_failing.txt", &failing);
    assert!(share >= 0.95, "{share}");
}

#[test]
fn feed_rs_fixtures_are_read_alike() {
    let Some(root) = shared("data/feeds/feed-rs/fixture") else { return };
    let mut failing = BTreeMap::new();
    let mut count = 0usize;
    for path in files(&root) {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let Some(stem) = name.strip_suffix(".serde.json") else { continue };
        let Some(source) = ["xml", "json"]
            .map(|e| root.join(format!("{stem}.{e}")))
            .into_iter()
            .find(|p| p.exists())
        else {
            continue;
        };
        let wanted: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let read = parse(&std::fs::read(&source).unwrap(), &Hint::default());
        let articles = read.map(|parsed| feed(parsed).articles).unwrap_or_default();
        let entries = wanted["entries"].as_array().unwrap();
        let mut check = |what: String, holds: bool, shown: String| {
            count += 1;
            if !holds {
                failing.insert(format!("{stem} {what}"), shown);
            }
        };
        check(
            "entries".to_owned(),
            articles.len() == entries.len(),
            format!("{} of {}", articles.len(), entries.len()),
        );
        for (at, (entry, article)) in entries.iter().zip(&articles).enumerate() {
            let title = entry["title"]["content"].as_str().map(seen).unwrap_or_default();
            check(
                format!("{at} title"),
                title == seen(&article.title),
                format!("{title:?} {:?}", article.title),
            );
            let links: Vec<&str> = entry["links"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|link| link["href"].as_str())
                .collect();
            let same_link = match &article.url {
                Some(url) => links.iter().any(|link| normal(link) == normal(url)),
                None => links.is_empty(),
            };
            check(format!("{at} link"), same_link, format!("{links:?} {:?}", article.url));
            // An entry without an id (`rdf:about` is none there) is given the hash of its link.
            let is_hash = entry["id"]
                .as_str()
                .is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
            if let Some(guid) = article.guid.as_ref().filter(|_| !is_hash) {
                check(format!("{at} id"), entry["id"] == **guid, format!("{} {guid}", entry["id"]));
            }
            let time =
                |name: &str| entry[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let published = time("published").or(time("updated"));
            check(
                format!("{at} published"),
                seconds(published) == seconds(article.published),
                format!("{published:?} {:?}", article.published),
            );
        }
    }
    let share = 1.0 - failing.len() as f64 / count as f64;
    eprintln!(
        "{} of {count} fields are as feed-rs has them: {:.1} %",
        count - failing.len(),
        100.0 * share
    );
    as_listed("feed_rs_failing.txt", &failing);
    assert!(share >= 0.97, "{share}");
}
