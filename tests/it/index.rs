//! The index as something to rely on: verified, repaired, kept, brought elsewhere, killed at any
//! instant and read all the while.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wellread::base::{ArticleId, Filter};
use wellread::index::edge::{EdgeOptions, EdgeStore};
use wellread::index::store::{Query, Select, Store};

use crate::contract::scanned;
use crate::support::*;

/// The folder of the live generation's shard.
pub fn shard(wellread: &Wellread) -> PathBuf {
    let index = wellread.data().join("index");
    let live = std::fs::read_to_string(index.join("current")).unwrap();
    index.join(live.trim()).join("shard")
}

pub fn hits(wellread: &Wellread, query: &str) -> serde_json::Value {
    wellread.json(&["search", "-k", "10", query])["hits"].clone()
}

#[test]
fn verify_finds_what_is_missing_foreign_or_wrong_and_repairs_it() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let before = hits(&wellread, "how long does the glue harden");
    let sound = wellread.json(&["index", "verify"]);
    assert_eq!(sound["damaged"], serde_json::json!([]));
    assert!(sound["chunks"].as_u64().unwrap() > 50 && sound["vectors"].as_u64().unwrap() > 50);

    let mut store = EdgeStore::open(&shard(&wellread)).unwrap();
    let points = scanned(&store, &Select::All);
    let articles: std::collections::BTreeSet<ArticleId> =
        points.iter().map(|point| point.article_id.clone()).collect();
    let mut articles = articles.into_iter();
    let (lost, turned) = (articles.next().unwrap(), articles.next().unwrap());
    assert!(store.delete(&lost).unwrap() > 1);
    // Another article's points where they have no business, and one with a vector of its own.
    let foreign = crate::contract::point(77, "foreign", "what nobody wrote", 384);
    store.upsert(&[foreign]).unwrap();
    let of_turned = scanned(&store, &Select::Article(turned.clone()));
    let mut wrong = crate::contract::point(1, &turned.0, "turned round", 384);
    for stored in &of_turned {
        wrong.chunk.id = stored.chunk_id;
        store.upsert(&[wrong.clone()]).unwrap();
    }
    store.flush().unwrap();
    drop(store);

    let ran = wellread.run(&["--json", "index", "verify"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(!found["missing"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(found["extra"].as_array().unwrap().len(), 1, "{found}");
    assert!(!found["wrong"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(found["damaged"].as_array().unwrap().len(), 3, "{found}");
    let text = wellread.run(&["index", "verify"]);
    assert!(text.stdout.contains("wellread index verify --repair"), "{}", text.stdout);

    let repaired = wellread.json(&["index", "verify", "--repair"]);
    assert_eq!(repaired["repaired"]["embedded"], 0, "{repaired}");
    assert_eq!(wellread.json(&["index", "verify"])["damaged"], serde_json::json!([]));
    assert_eq!(hits(&wellread, "how long does the glue harden"), before);

    // A segment that is cut short can't be opened at all.
    let mut cut = 0;
    for path in crate::read::files(&shard(&wellread).join("segments")) {
        let size = std::fs::metadata(&path).unwrap().len();
        if size > 0 {
            std::fs::File::options().write(true).open(&path).unwrap().set_len(size / 3).unwrap();
            cut += 1;
        }
    }
    assert!(cut > 3);
    wellread.fails(&["search", "glue"], "index");
    wellread.succeeds(&["index", "verify", "--repair"]);
    assert_eq!(hits(&wellread, "how long does the glue harden"), before);
}

#[test]
fn a_rebuild_that_finds_less_is_not_made_live() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let before = wellread.json(&["index", "status"])["live"].clone();
    // Golden questions ask for sections by their headings; without them fewer are found.
    let worse =
        ["index", "rebuild", "--set", "chunk.heading_path=none", "--set", "retrieval.rerank=0"];
    let stderr = wellread.fails(&worse, "not made live");
    assert!(stderr.contains("golden questions"), "{stderr}");
    assert_eq!(wellread.json(&["index", "status"])["live"], before);
    hits(&wellread, "glue");
    wellread.succeeds(&["index", "rebuild"]);
    let same = wellread.json(&["index", "status"])["live"].clone();
    assert_ne!(same, before);
    wellread.succeeds(&[&worse[..], &["--set", "index.tolerance=1"]].concat());
    assert_ne!(wellread.json(&["index", "status"])["live"], same);
}

#[test]
fn old_generations_go_when_they_are_pruned() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    for _ in 0..3 {
        wellread.succeeds(&["index", "rebuild"]);
    }
    let names = || -> Vec<String> {
        let status = wellread.json(&["index", "status"]);
        let all = status["generations"].as_array().unwrap().clone();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(), ["g000003", "g000004"]);
    let index = wellread.data().join("index");
    std::fs::create_dir(index.join("g000009.building")).unwrap();
    assert_eq!(wellread.json(&["index", "prune"])["removed"], serde_json::json!([]));
    assert!(!index.join("g000009.building").exists());
    assert_eq!(wellread.json(&["index", "prune", "--all"])["removed"][0], "g000003");
    assert_eq!(names(), ["g000004"]);
    wellread.fails(&["index", "rollback"], "no generation to go back to");
}

#[test]
fn many_machines_embed_and_one_takes_it_all_in() {
    let main = Wellread::small();
    let feed = sample_feed();
    main.succeeds(&["add", &feed]);
    let wanted = hits(&main, "how long does the glue harden");

    // A library that was read on one machine, copied to two that embed half of it each.
    let fresh = Wellread::small();
    read_without_index(&fresh, &feed);
    let files: Vec<String> = (1..=2)
        .map(|i| {
            let machine = Wellread::small();
            std::fs::create_dir_all(machine.data()).unwrap();
            let name = "library.sqlite";
            std::fs::copy(fresh.data().join(name), machine.data().join(name)).unwrap();
            let file = fresh.dir.path().join(format!("{i}.bin")).display().to_string();
            let made = machine.json(&["embed", "--shard", &format!("{i}/2"), &file]);
            assert!(made["embedded"].as_u64().unwrap() > 20, "{made}");
            // What is embedded is not embedded again.
            assert_eq!(
                machine.json(&["embed", "--shard", &format!("{i}/2"), &file])["embedded"],
                0
            );
            file
        })
        .collect();
    fresh.succeeds(&["embed", "--take", &files[0], &files[1]]);
    assert_eq!(fresh.json(&["index", "rebuild"])["embedded"], 0);
    // Vectors differ in their last bits by what they were embedded together with.
    let ids = |hits: &serde_json::Value| -> Vec<String> {
        let all = hits.as_array().unwrap().iter();
        all.map(|hit| hit["chunk_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&hits(&fresh, "how long does the glue harden")), ids(&wanted));
    let broken = fresh.file("broken.bin", &std::fs::read(&files[0]).unwrap()[..5000]);
    fresh.fails(&["embed", "--take", &broken], "not a complete file of vectors");
    fresh.fails(&["embed", &files[0]], "say what to do");
}

/// Reads a source into the library of a data folder, and makes no index.
fn read_without_index(wellread: &Wellread, source: &str) {
    use wellread::document::html;
    use wellread::engine::sync;
    use wellread::library;
    use wellread::source::fetch;
    std::fs::create_dir_all(wellread.data()).unwrap();
    let library = library::Library::open(&wellread.data().join("library.sqlite")).unwrap();
    let reading = sync::Reading {
        library: &library,
        fetch: &fetch::FetchOptions::default(),
        clean: &html::CleanOptions::default(),
        offline: true,
        events: &|_| {},
        cancel: &wellread::base::Cancel::default(),
    };
    sync::sync_source(&reading, &fetch::Source::parse(source).unwrap()).unwrap();
}

#[test]
fn a_newer_schema_is_refused_with_a_way_out() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let record = shard(&wellread).parent().unwrap().join("generation.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"schema\":2", "\"schema\":99")).unwrap();
    let stderr = wellread.fails(&["search", "glue"], "newer wellread");
    assert!(stderr.contains("index rebuild"), "{stderr}");
    std::fs::write(shard(&wellread).parent().unwrap().join("../current"), "g000777").unwrap();
    let stderr = wellread.fails(&["search", "glue"], "g000777");
    assert!(stderr.contains("index rebuild"), "{stderr}");
    wellread.succeeds(&["index", "rebuild"]);
    hits(&wellread, "glue");
}

/// What was written while the clock was decades ahead is read, changed, replaced and removed as if
/// it had been right: generations and revisions are counted, not timed.
#[test]
fn a_clock_that_was_set_back_changes_nothing() {
    let wellread = Wellread::small();
    let page = |words: &str| format!("# Note\n\nThe {words} tower of Selm is open to visitors.\n");
    let path = wellread.file("notes/note.md", page("old").as_bytes());
    let folder = Path::new(&path).parent().unwrap().display().to_string();
    wellread.succeeds(&["add", &folder]);
    wellread.succeeds(&["index", "rebuild"]);

    let ahead = std::time::SystemTime::now() + Duration::from_secs(40 * 365 * 86_400);
    let database = rusqlite::Connection::open(wellread.data().join("library.sqlite")).unwrap();
    let micros = 40 * 365 * 86_400 * 1_000_000_i64;
    for (table, column) in [
        ("sources", "added_at"),
        ("sources", "synced_at"),
        ("articles", "first_seen"),
        ("articles", "changed_at"),
        ("revisions", "seen_at"),
        ("memberships", "first_seen"),
        ("memberships", "last_seen"),
    ] {
        let sql = format!("UPDATE {table} SET {column} = {column} + {micros}");
        assert!(database.execute(&sql, []).unwrap() > 0, "{sql}");
    }
    drop(database);
    let live = shard(&wellread);
    let record = live.parent().unwrap().join("generation.json");
    let mut generation: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert!(generation["created"].is_string());
    generation["created"] = "2066-01-01T00:00:00Z".into();
    std::fs::write(&record, generation.to_string()).unwrap();
    for file in [&record, &live, &PathBuf::from(&path)] {
        std::fs::File::open(file).unwrap().set_modified(ahead).unwrap();
    }

    let text = |words: &str| {
        let found = hits(&wellread, "tower of Selm");
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert!(found[0]["text"].as_str().unwrap().contains(words), "{found}");
    };
    text("old");
    assert!(wellread.json(&["index", "status"])["generations"][1]["created"].is_string());
    wellread.succeeds(&["index", "status"]);
    std::fs::write(&path, page("new")).unwrap();
    let changed = wellread.json(&["sync"])["sources"][0]["changed"].clone();
    assert_eq!(changed.as_array().unwrap().len(), 1, "{changed}");
    text("new");
    wellread.succeeds(&["index", "verify"]);
    let before = wellread.json(&["index", "status"])["live"].clone();
    wellread.succeeds(&["index", "rebuild"]);
    assert_ne!(wellread.json(&["index", "status"])["live"], before);
    text("new");
    wellread.succeeds(&["index", "rollback"]);
    text("new");
    wellread.succeeds(&["index", "rebuild"]);
    wellread.succeeds(&["index", "prune", "--all"]);
    assert_eq!(wellread.json(&["index", "status"])["generations"].as_array().unwrap().len(), 1);
    text("new");
}

/// A large build is written in parts, which become one with a graph: every point is there and found,
/// and what is written later is, too.
#[test]
fn a_build_in_parts_holds_every_point_once() {
    const POINTS: u128 = 40_000;
    let dir = tempfile::tempdir().unwrap();
    let shape = wellread::index::store::Shape { dimensions: 384 };
    let mut store = EdgeStore::create(dir.path(), &shape, &EdgeOptions::default()).unwrap();
    let made = |n: u128| {
        let mut point =
            crate::contract::point(n, &format!("a{}", n / 10), &format!("plank number{n}"), 384);
        let mut random = fastrand::Rng::with_seed(n as u64);
        point.dense = (0..384).map(|_| random.f32() - 0.5).collect();
        point
    };
    for group in (0..POINTS).collect::<Vec<_>>().chunks(2_000) {
        let points: Vec<_> = group.iter().map(|n| made(*n)).collect();
        store.upsert(&points).unwrap();
    }
    store.flush().unwrap();
    let check = |store: &EdgeStore, n: u128| {
        let id = made(n).chunk.id;
        let found = store.search(&Query::Dense(made(n).dense), &Filter::default(), 3).unwrap();
        assert_eq!(found[0].chunk_id, id);
        let words = wellread::document::terms::query(&format!("number{n}"));
        let found = store.search(&Query::Sparse(words), &Filter::default(), 3).unwrap();
        assert_eq!((found.len(), found[0].chunk_id), (1, id));
    };
    assert_eq!(scanned(&store, &Select::All).len(), POINTS as usize);
    for n in [0, 1, 16_383, 16_384, 32_767, 32_768, 39_999] {
        check(&store, n);
    }
    store.upsert(&[made(POINTS), made(5)]).unwrap();
    assert_eq!(store.delete(&ArticleId("a7".into())).unwrap(), 10);
    store.flush().unwrap();
    drop(store);
    let store = EdgeStore::open_reader(dir.path()).unwrap();
    assert_eq!(scanned(&store, &Select::All).len(), POINTS as usize + 1 - 10);
    check(&store, POINTS);
    check(&store, 5);
    let config = std::fs::read_to_string(dir.path().join("edge_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["hnsw_config"]["m"], 16, "{config}");
}

/// What the first schemas wrote is read as long as there is wellread.
#[test]
fn a_data_folder_of_schema_1_is_read() {
    let wellread = Wellread::small();
    let kept = project("tests/data/backup_schema_1.zip").display().to_string();
    wellread.succeeds(&["index", "restore", &kept]);
    let found = hits(&wellread, "how long does the glue harden");
    assert!(found[0]["text"].as_str().unwrap().contains("four hours"), "{found}");
    let articles = wellread.json(&["articles"]);
    assert_eq!(articles["articles"].as_array().unwrap().len(), 2);
    // Its articles are read under any settings, cleaned so before or not.
    let id = articles["articles"][0]["id"].as_str().unwrap();
    let shown = wellread.json(&["show", id]);
    assert_ne!(shown["sections"], serde_json::json!([]));
    let other = wellread.json(&["show", id, "--set", "clean.boilerplate=false"]);
    assert_eq!(other["id"], shown["id"]);
}

#[test]
fn a_generation_of_schema_1_is_built_anew_and_nothing_is_embedded_for_it() {
    let wellread = Wellread::small();
    let kept = project("tests/data/backup_schema_1.zip").display().to_string();
    wellread.succeeds(&["index", "restore", &kept]);
    let before = wellread.json(&["index", "status"]);
    assert_eq!(before["generations"][0]["schema"], 1);
    let built = wellread.json(&["index", "rebuild"]);
    assert_eq!((&built["articles"], &built["embedded"]), (&2.into(), &0.into()), "{built}");
    let after = wellread.json(&["index", "status"]);
    let live = after["generations"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&live["id"], &live["schema"]), (&after["live"], &2.into()));
    assert_eq!(after["vectors"], before["vectors"]);
    assert_eq!(wellread.json(&["index", "verify"])["damaged"], serde_json::json!([]));
    let found = hits(&wellread, "how long does the glue harden");
    assert!(found[0]["text"].as_str().unwrap().contains("four hours"), "{found}");
}

/// Eight readers ask without a pause while ten generations are built.
#[test]
fn eight_readers_see_one_generation_or_the_next_and_nothing_between() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let query = "how long does the glue harden";
    let wanted = hits(&wellread, query);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        assert_eq!(hits(&wellread, query), wanted);
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..10 {
            wellread.succeeds(&["index", "rebuild", "--set", "index.golden_queries=0"]);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let asked: usize = readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
        println!("{asked} questions during ten rebuilds");
        assert!(asked >= 8);
    });
}

#[test]
fn writes_that_fail_leave_the_live_index_and_nothing_half() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let before = hits(&wellread, "how long does the glue harden");
    let live = wellread.json(&["index", "status"])["live"].clone();
    let backup = wellread.dir.path().join("kept.zip").display().to_string();
    let mut failed = 0;
    // Some fail at the first file, some at the last; with room enough they succeed.
    for kilobytes in [4, 16, 64, 256, 1024, 4096] {
        for args in [&["index", "rebuild"][..], &["index", "backup", &backup]] {
            let ran = run_with_small_files(&wellread, kilobytes, args);
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
            if ran.code != Some(0) {
                failed += 1;
                assert!(ran.stderr.contains("try:"), "{}", ran.stderr);
                assert!(!Path::new(&backup).exists());
            }
            let _ = std::fs::remove_file(&backup);
            assert_eq!(hits(&wellread, "how long does the glue harden"), before, "{args:?}");
            assert_eq!(wellread.json(&["index", "verify"])["damaged"], serde_json::json!([]));
        }
    }
    assert!(failed >= 6, "{failed}");
    // A folder that can't be written to at all: it is read as before.
    let after = wellread.json(&["index", "status"]);
    let last = |status: &serde_json::Value| {
        let generations = status["generations"].as_array().unwrap();
        generations.last().unwrap()["id"].clone()
    };
    assert_eq!(after["live"], last(&after));
    assert!(after["live"].as_str() >= live.as_str(), "{live} {after}");
    wellread.succeeds(&["index", "prune"]);
    assert_eq!(orphans(&wellread.data().join("index")), Vec::<PathBuf>::new());
}

/// Files and folders under one, whose names say that somebody was killed while making them.
fn orphans(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".building") || name.contains("tmp") || name.contains(".new")
        })
        .collect()
}

/// Kills the process at random instants of everything that writes. `WELLREAD_TEST_KILLS` says how
/// often.
#[test]
fn killed_at_any_instant_nothing_is_lost_and_the_next_command_works() {
    let kills: usize =
        std::env::var("WELLREAD_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    let seed = 20250601;
    let mut random = fastrand::Rng::with_seed(seed);
    let wellread = Wellread::small();
    let temporary = wellread.dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let wellread = wellread.env("TMPDIR", &temporary.display().to_string());
    wellread.succeeds(&["add", &sample_feed()]);
    let vectors = || wellread.json(&["index", "status"])["vectors"].as_u64().unwrap();
    let articles = || wellread.json(&["articles"])["articles"].as_array().unwrap().len();
    let (mut acknowledged, mut kept, mut killed, mut post) = (articles(), vectors(), 0, 0);
    // How long each takes when nobody kills it.
    let mut lengths = [400u64; 5];
    let mut round = 0;
    while killed < kills {
        round += 1;
        let what = random.usize(0..5);
        let backup = wellread.dir.path().join(format!("backup-{round}.zip"));
        let path = wellread.dir.path().join("grows.xml");
        if what < 2 {
            // A new post, and an edit of an old one.
            post += 1;
            let items: String = (0..=post)
                .map(|n| {
                    let state = if n == post / 2 { post } else { 0 };
                    let text = format!("Plank {n} of state {state} is steamed. ").repeat(40);
                    let sections: String =
                        (0..6).map(|s| format!("<h2>Part {s}</h2><p>{text}</p>")).collect();
                    item(n, &format!("Post {n}"), &sections)
                })
                .collect();
            std::fs::write(&path, feed(&items)).unwrap();
        }
        let backup = backup.display().to_string();
        let path = path.display().to_string();
        let args: Vec<&str> = match what {
            0 | 1 => vec!["add", &path],
            2 => vec!["index", "rebuild"],
            3 => vec!["index", "prune", "--all"],
            _ => vec!["index", "backup", &backup],
        };
        let mut child = wellread.spawn(&args, std::process::Stdio::null());
        let start = Instant::now();
        std::thread::sleep(Duration::from_micros(random.u64(0..lengths[what] * 1_100)));
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        if ended {
            assert_eq!(output.status.code(), Some(0), "{}", ran(output).stderr);
            let length = u64::try_from(start.elapsed().as_millis()).unwrap();
            lengths[what] = (lengths[what] + length.max(50)) / 2;
        } else {
            killed += 1;
            lengths[what] = (lengths[what] + lengths[what] / 8).min(20_000);
        }
        // What was there is there, and answers.
        let found = hits(&wellread, "how long does the glue harden");
        assert_eq!(found.as_array().unwrap().len(), 10, "{args:?}");
        let verified = wellread.json(&["index", "verify"]);
        assert_eq!(verified["damaged"], serde_json::json!([]), "{args:?} {verified}");
        assert!(articles() >= acknowledged && vectors() >= kept, "{args:?}");
        (acknowledged, kept) = (articles(), vectors());
        // The next that writes finishes what was begun and leaves nothing lying about.
        if what < 2 {
            wellread.succeeds(&["add", &path]);
            assert_eq!(wellread.json(&["index", "verify"])["pending"], 0);
            acknowledged = articles();
            kept = vectors();
        }
        if killed % 8 == 7 || killed == kills {
            // Who is killed while making a temporary folder leaves one that nobody may touch at once.
            std::thread::sleep(Duration::from_secs(6));
            wellread.succeeds(&["index", "prune"]);
            let again = wellread.dir.path().join(format!("again-{round}.zip"));
            wellread.succeeds(&["index", "backup", &again.display().to_string()]);
            hits(&wellread, "steam");
            for folder in [&wellread.data(), &wellread.data().join("index"), &temporary] {
                assert_eq!(orphans(folder), Vec::<PathBuf>::new());
            }
            let left: Vec<PathBuf> = orphans(wellread.dir.path())
                .into_iter()
                .filter(|path| *path != temporary)
                .collect();
            assert_eq!(left, Vec::<PathBuf>::new());
        }
    }
    println!("{killed} kills, {acknowledged} articles, {kept} vectors, seed {seed}");
}
