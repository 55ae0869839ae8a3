//! The index on a Qdrant server, as a user meets it: moved there and back, with keys, and with a
//! server that fails.

use wellread::base::{Cancel, Event, Filter, Hit, Watch};
use wellread::engine::settings::{Config, Places};
use wellread::engine::{KnowledgeBase, Question};
use wellread::index::server::{Server, ServerOptions, ServerStore};
use wellread::index::store::Shape;

use crate::qdrant::QdrantServer;
use crate::support::*;

fn hits(wellread: &Wellread, query: &str) -> serde_json::Value {
    wellread.json(&["search", "-k", "10", query])["hits"].clone()
}

fn live(wellread: &Wellread) -> String {
    wellread.json(&["index", "status"])["live"].as_str().unwrap().to_owned()
}

/// The questions of a set.
fn questions(path: &str) -> Vec<String> {
    std::fs::read_to_string(project(path))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|question| question["question"].as_str().unwrap().to_owned())
        .collect()
}

/// The hits of questions as users get them, with the default settings but for where the index is.
fn found(wellread: &Wellread, server: Option<(&str, &str)>, questions: &[String]) -> Vec<Vec<Hit>> {
    let mut config = Config::default();
    if let Some((url, alias)) = server {
        config.store.url = url.to_owned();
        config.store.server.alias = alias.to_owned();
    }
    let places = Places { data: wellread.data(), cache: models_cache() };
    let kb = KnowledgeBase::new(config, places);
    let (events, cancel, filter) = (|_: Event| {}, Cancel::default(), Filter::default());
    let watch = Watch { events: &events, cancel: &cancel };
    let ask = |text: &String| {
        let question = Question { text, filter: &filter, sources: &[] };
        kb.search(&question, 10, &watch).unwrap().hits
    };
    questions.iter().map(ask).collect()
}

fn agree(embedded: &[Hit], server: &[Hit], question: &str) {
    let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.chunk_id).collect::<Vec<_>>();
    assert_eq!(ids(embedded), ids(server), "{question}");
    for (ours, theirs) in embedded.iter().zip(server) {
        assert!((ours.score - theirs.score).abs() < 1e-4, "{question}");
        assert_eq!((&ours.article, &ours.text), (&theirs.article, &theirs.text));
    }
}

#[test]
fn from_embedded_to_server_and_back_every_hit_is_kept() {
    let server = QdrantServer::start();
    let mut sets = vec![(sample_feed(), "eval/sample/questions.jsonl")];
    if let Some(feed) = shared("articles/feed.xml") {
        sets.push((feed.display().to_string(), "eval/grokking-tech-career.jsonl"));
    }
    for (n, (feed, set)) in sets.into_iter().enumerate() {
        let alias = format!("set-{n}");
        let wellread = Wellread::small().env("WELLREAD_STORE_SERVER_ALIAS", &alias);
        wellread.succeeds(&["add", &feed]);
        let before = hits(&wellread, "how long does it take");
        let questions = questions(set);
        assert!(questions.len() >= 30);
        let embedded = found(&wellread, None, &questions);

        let on_server = wellread
            .env("WELLREAD_STORE_URL", &server.url)
            .env("WELLREAD_STORE_SERVER_SHARDS", "4");
        let pushed = on_server.json(&["index", "push"]);
        assert_eq!(pushed["embedded"], 0, "{pushed}");
        assert_eq!(hits(&on_server, "how long does it take"), before);
        assert_eq!(on_server.json(&["index", "verify"])["damaged"], serde_json::json!([]));
        let id = live(&on_server);
        assert_eq!(server.alias(&alias), Some(format!("{alias}-{id}")));

        // All questions, by the embedded generation before it and by the server, with the default
        // settings but for the shards.
        assert!(server.shards(&format!("{alias}-{id}")).iter().all(|points| *points > 0));
        let on_it = found(&on_server, Some((&server.url, &alias)), &questions);
        for ((embedded, on_it), question) in embedded.iter().zip(&on_it).zip(&questions) {
            agree(embedded, on_it, question);
        }

        // Without its address the index is on a server that is not known: that is said.
        let back = on_server.without("WELLREAD_STORE_URL");
        let stderr = back.fails(&["search", "glue"], "is on the server");
        assert!(stderr.contains("wellread index pull"), "{stderr}");
        let pulled = back.json(&["index", "pull"]);
        assert_eq!(pulled["embedded"], 0, "{pulled}");
        assert_eq!(hits(&back, "how long does it take"), before);
    }
}

#[test]
fn one_line_of_configuration_moves_the_index_with_the_next_sync() {
    let server = QdrantServer::start();
    let wellread = Wellread::small();
    let path = wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs an hour.</p>")));
    wellread.succeeds(&["add", &path]);
    let wellread = wellread.env("WELLREAD_STORE_URL", &server.url);
    // Until then the embedded one answers.
    assert_eq!(hits(&wellread, "glue").as_array().unwrap().len(), 1);
    wellread.file(
        "feed.xml",
        feed(
            &(item(1, "Keel", "<p>The glue needs an hour.</p>")
                + &item(2, "Ribs", "<p>The ribs are steamed.</p>")),
        ),
    );
    wellread.succeeds(&["sync"]);
    assert_eq!(server.collections().len(), 1);
    assert_eq!(hits(&wellread, "ribs").as_array().unwrap().len(), 2);
    // An edit is written where it is, article by article.
    wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs two days.</p>")));
    wellread.succeeds(&["sync"]);
    assert_eq!(server.collections().len(), 1);
    assert!(hits(&wellread, "glue")[0]["text"].as_str().unwrap().contains("two days"));
    assert_eq!(wellread.json(&["index", "verify"])["damaged"], serde_json::json!([]));

    // A rebuild makes a collection of its own; rolling back switches the alias, too.
    let first = live(&wellread);
    wellread.succeeds(&["index", "rebuild"]);
    assert_eq!(server.alias("wellread"), Some(format!("wellread-{}", live(&wellread))));
    wellread.succeeds(&["index", "rollback"]);
    assert_eq!(server.alias("wellread"), Some(format!("wellread-{first}")));
    assert_eq!(hits(&wellread, "ribs").as_array().unwrap().len(), 2);
    wellread.succeeds(&["index", "prune", "--all"]);
    assert_eq!(server.collections(), [format!("wellread-{first}")]);
}

#[test]
fn a_collection_gets_what_the_settings_say() {
    let server = QdrantServer::start();
    let wellread = Wellread::small().env("WELLREAD_STORE_URL", &server.url);
    let path = wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs an hour.</p>")));
    wellread.succeeds(&[
        "add",
        "--set",
        "store.server.shards=3",
        "--set",
        "store.server.replicas=2",
        "--set",
        "store.server.write_consistency=2",
        "--set",
        "store.server.quantization=true",
        "--set",
        "store.server.hnsw_m=32",
        &path,
    ]);
    let made = server.created(&server.collections()[0]);
    assert_eq!((made.shard_number, made.replication_factor), (Some(3), Some(2)));
    assert_eq!(made.write_consistency_factor, Some(2));
    assert_eq!(made.hnsw_config.unwrap().m, Some(32));
    assert!(made.quantization_config.is_some());
}

#[test]
fn a_key_is_asked_for_taken_from_a_file_and_never_shown() {
    let server = QdrantServer::with_key(Some("s3cret-key"));
    let wellread = Wellread::small().env("WELLREAD_STORE_URL", &server.url);
    let path = wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs an hour.</p>")));
    let stderr = wellread.fails(&["add", &path], "API key");
    assert!(stderr.contains("WELLREAD_QDRANT_API_KEY"), "{stderr}");
    let wellread = wellread.env("WELLREAD_QDRANT_API_KEY", "wr0ng-key");
    let stderr = wellread.fails(&["-v", "add", &path], "API key");
    assert!(!stderr.contains("wr0ng"), "{stderr}");
    let wellread = wellread.env("WELLREAD_QDRANT_API_KEY", "s3cret-key");
    wellread.succeeds(&["sync"]);
    for args in [&["config"][..], &["doctor"], &["index", "status", "--json"]] {
        let ran = wellread.run(args);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("s3cret"), "{args:?}");
    }
    let file = wellread.file("key", "s3cret-key\n");
    let wellread = wellread
        .without("WELLREAD_QDRANT_API_KEY")
        .env("WELLREAD_STORE_SERVER_API_KEY_FILE", &file);
    assert_eq!(hits(&wellread, "glue").as_array().unwrap().len(), 1);
}

#[test]
fn a_server_that_stumbles_is_tried_again_and_one_that_dies_leaves_the_old_index() {
    let server = QdrantServer::start();
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let before = hits(&wellread, "glue");
    let wellread = wellread
        .env("WELLREAD_STORE_URL", &server.url)
        .env("WELLREAD_STORE_SERVER_BATCH", "10")
        .env("WELLREAD_STORE_SERVER_RETRIES", "2");
    // Some refusals in a row are borne (the client tries again once by itself).
    server.fail(3, 4);
    wellread.succeeds(&["index", "push"]);
    assert_eq!(hits(&wellread, "glue"), before);

    // More are not: the generation that is live stays so, and nothing is left of the new one
    // after the next.
    server.fail(3, 1000);
    let stderr = wellread.fails(&["index", "rebuild"], "cannot write points");
    assert!(stderr.contains("Unavailable"), "{stderr}");
    assert_eq!(hits(&wellread, "glue"), before);
    assert_eq!(server.collections().len(), 2);
    server.fail(0, 0);
    wellread.succeeds(&["index", "rebuild"]);
    assert_eq!(hits(&wellread, "glue"), before);
    assert_eq!(server.collections().len(), 2, "{:?}", server.collections());

    // Gone altogether: named, within seconds.
    drop(server);
    wellread.fails(&["search", "glue"], "the Qdrant server at");
}

#[test]
fn a_collection_of_another_shape_is_refused() {
    let server = QdrantServer::start();
    let wellread = Wellread::small().env("WELLREAD_STORE_URL", &server.url);
    let path = wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs an hour.</p>")));
    wellread.succeeds(&["add", &path]);
    let options = ServerOptions::default();
    let connect = || Server::connect(&server.url, &options).unwrap();
    connect().delete(&live(&wellread)).unwrap();
    let stderr = wellread.fails(&["search", "glue"], "collection");
    assert!(stderr.contains("wellread index rebuild"), "{stderr}");
    ServerStore::create(connect(), &live(&wellread), &Shape { dimensions: 8 }, "x").unwrap();
    let stderr = wellread.fails(&["search", "glue"], "does not fit this model");
    assert!(stderr.contains("wellread index rebuild"), "{stderr}");
    // Somebody else's collection where the next one is to be: theirs stays.
    let next = format!("g{:06}", live(&wellread)[1..].parse::<u64>().unwrap() + 1);
    ServerStore::create(connect(), &next, &Shape { dimensions: 8 }, "x").unwrap();
    let stderr = wellread.fails(&["index", "rebuild"], "belongs to another library");
    assert!(stderr.contains("store.server.alias"), "{stderr}");
    connect().delete(&next).unwrap();
    wellread.succeeds(&["index", "rebuild"]);
    assert_eq!(hits(&wellread, "glue").as_array().unwrap().len(), 1);
}
