//! Generations as they follow each other: deltas, merges, rollbacks, servers, and readers all the
//! while. In this process, over an embedder that is quick and a library of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wellread::base::error::ErrorKind;
use wellread::base::{ArticleId, Cancel, Event, Filter};
use wellread::index::edge::EdgeOptions;
use wellread::index::server::ServerOptions;
use wellread::index::{Built, Index, Opened, Work};
use wellread::infer::Embedder;
use wellread::infer::details::DetailKind;

use crate::made_up::*;
use crate::qdrant::QdrantServer;

/// Wherever a chunk lies, in a base, a delta, or one of several shards of a server, it has one score.
#[test]
fn a_chunk_has_one_score_wherever_it_lies() {
    let (mut with_delta, mut merged) = (0, 0);
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (home, server) = (Home::new(), QdrantServer::start());
        let mut names = BTreeSet::new();
        for n in 0..40 {
            names.insert(format!("b{n}"));
            home.put(&format!("b{n}"), &Home::text(&mut random));
        }
        let index = home.index();
        for _ in 0..5 {
            home.update(&index);
            let opened = index.open_any().unwrap();
            let measured = is_bm25(&home, &opened);
            home.whole(&index);
            let generation = &opened.generation;
            if generation.delta_bytes == 0 {
                // What is merged is weighed anew where the average has moved by a twentieth.
                let moved = (generation.average_length - measured).abs() / measured;
                assert!(moved < 0.06, "{} {measured}", generation.average_length);
            }
            with_delta += usize::from(generation.delta_bytes > 0);
            merged += usize::from(generation.delta_bytes == 0 && generation.parent.is_some());
            let steps = random.usize(1..9);
            change(&home, &mut random, &mut names, steps);
        }
        home.update(&index);
        let parts = index.open_any().unwrap();

        // The same on a server, cut into shards.
        let on_server = home.on_server(&server, 3);
        let moved = home.work(|work| on_server.move_here(work, None)).unwrap();
        assert_eq!(moved.embedded, 0);
        let shards = server.shards(&format!("wellread-{}", moved.generation.unwrap()));
        assert!(shards.iter().all(|points| *points > 0), "{shards:?}");
        let sharded = on_server.open_any().unwrap();
        is_bm25(&home, &sharded);
        agree(&parts, &sharded);
        drop(parts);

        // Changed there, and brought back.
        let name = on_server.live_name().unwrap();
        change(&home, &mut random, &mut names, 6);
        home.update(&on_server);
        assert_ne!(on_server.live_name().unwrap(), name);
        home.whole(&on_server);
        let sharded = on_server.open_any().unwrap();
        is_bm25(&home, &sharded);
        home.work(|work| index.move_here(work, None)).unwrap();
        let back = index.open_any().unwrap();
        assert_eq!(back.generation.delta_bytes, 0);
        agree(&back, &sharded);

        // One that is built from nothing has an average of its own.
        home.work(|work| index.rebuild(work, None)).unwrap();
        let opened = index.open_any().unwrap();
        let measured = is_bm25(&home, &opened);
        assert!((opened.generation.average_length - measured).abs() <= 0.05 + 1e-9);
    }
    assert!(with_delta > 3 && merged > 1, "{with_delta} {merged}");
}

/// No search has to wait for the sentences of what it finds, if they were wanted.
#[test]
fn sentences_of_what_is_embedded_are_kept_if_they_are_wanted() {
    for sentences in [false, true] {
        let home = Home::new();
        home.put("a", "<p>The keel is oak. The mast is pine.</p>");
        let built = home.work(|work| home.index().update(&Work { sentences, ..*work })).unwrap();
        assert_eq!(built.embedded, 1);
        let text = "The keel is oak. The mast is pine.";
        let model = home.embedder.fingerprint();
        let known = home.library.cached_details(&model, DetailKind::Sentences, &[text]).unwrap();
        let parts = known[0].as_ref().map(|details| details.parts().count());
        assert_eq!(parts, sentences.then_some(2));
    }
}

/// The files under a folder by their names, with what tells files apart and their sizes.
#[cfg(unix)]
fn inodes(folder: &std::path::Path) -> BTreeMap<std::path::PathBuf, (u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            found.extend(inodes(&entry.path()));
        } else {
            found.insert(entry.path(), (meta.ino(), meta.len()));
        }
    }
    found
}

#[cfg(unix)]
#[test]
fn what_one_article_changes_is_all_that_is_written() {
    let home = Home::new();
    let index = home.index();
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..60 {
        home.put(&format!("a{n}"), &Home::text(&mut random));
    }
    let folder = |built: Built| home.dir.path().join("index").join(built.generation.unwrap());
    let first = folder(home.update(&index));
    home.put("new", "<p>The glue hardens in four hours.</p>");
    let second = folder(home.update(&index));
    let one: BTreeSet<_> = inodes(&first).into_values().collect();
    let two = inodes(&second);
    assert!(one.len() > 20);
    let written: Vec<_> = two.iter().filter(|(_, inode)| !one.contains(inode)).collect();
    let names: BTreeSet<_> =
        written.iter().map(|(path, _)| path.strip_prefix(&second).unwrap().to_owned()).collect();
    let wanted = ["articles.json", "delta", "frequencies", "generation.json", "lock"];
    assert_eq!(names, wanted.iter().map(std::path::PathBuf::from).collect());
    assert!(written.iter().map(|(_, (_, bytes))| bytes).sum::<u64>() < 30_000);
    home.put("newer", "<p>The glue hardens in five hours.</p>");
    home.put("new", "<p>The glue hardens in six hours.</p>");
    let third = folder(home.update(&index));
    // Both append to one file, and each reads what is its own.
    let delta = |folder: &std::path::Path| inodes(folder)[&folder.join("delta")].0;
    assert_eq!(delta(&second), delta(&third));
    let texts = |index: &Index| -> Vec<String> {
        let opened = index.open_any().unwrap();
        let hits = opened.terms("glue hardens", &Filter::default(), 9).unwrap();
        hits.into_iter().map(|hit| hit.text).collect()
    };
    assert_eq!(texts(&index).len(), 2);
    home.whole(&index);

    // Back to the second, and on from there: the third's part of the file is not touched.
    let third_opened = index.open_any().unwrap();
    index.rollback().unwrap();
    assert_eq!(texts(&index), ["The glue hardens in four hours."]);
    home.remove("newer");
    home.put("new", "<p>The glue hardens in seven hours.</p>");
    let fourth = folder(home.update(&index));
    assert_ne!(delta(&fourth), delta(&second));
    assert_eq!(texts(&index), ["The glue hardens in seven hours."]);
    let hits = third_opened.terms("glue hardens", &Filter::default(), 9).unwrap();
    assert_eq!(hits.len(), 2);
    home.whole(&index);

    // What a killed writer left behind the record is nobody's.
    let path = fourth.join("delta");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"half a rec");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(texts(&index), ["The glue hardens in seven hours."]);
    home.put("more", "<p>The varnish dries.</p>");
    let fifth = folder(home.update(&index));
    assert_ne!(delta(&fifth), delta(&fourth));
    home.whole(&index);

    // A byte that the disk changed is found.
    let mut bytes = std::fs::read(fifth.join("delta")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(fifth.join("delta"), bytes).unwrap();
    assert_eq!(index.open_any().err().unwrap().kind(), ErrorKind::Index);
}

/// Reading a generation changes not a byte of its files, whatever the shard does when it is closed.
#[cfg(unix)]
#[test]
fn a_reader_changes_nothing_of_a_published_generation() {
    let home = Home::new();
    let index = home.index();
    let mut random = fastrand::Rng::with_seed(3);
    for n in 0..50 {
        home.put(&format!("a{n}"), &Home::text(&mut random));
    }
    home.update(&index);
    // With points in it that were deleted.
    for n in 0..20 {
        home.put(&format!("a{n}"), &Home::text(&mut random));
    }
    let built = home.update(&index);
    let folder = home.dir.path().join("index").join(built.generation.unwrap());
    let content = || -> BTreeMap<_, _> {
        inodes(&folder)
            .into_iter()
            .map(|(path, inode)| {
                let bytes = std::fs::read(&path).unwrap();
                (path, (inode, bytes))
            })
            .collect()
    };
    let before = content();
    for _ in 0..3 {
        let opened = index.open_any().unwrap();
        agree(&opened, &opened);
        drop(opened);
    }
    let after = content();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, was) in &before {
        assert!(was == &after[path], "{} was changed", path.display());
    }
}

fn rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A thousand generations are published while eight threads ask: every question sees one of them
/// whole, and what nobody holds any more is released. In a process of its own, since memory and
/// open files are those of a process.
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_swaps_under_eight_readers_mix_nothing_and_leak_nothing() {
    const ALONE: &str = "WELLREAD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return swap_a_thousand_times();
    }
    let name = "generations::a_thousand_swaps_under_eight_readers_mix_nothing_and_leak_nothing";
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout)]
fn swap_a_thousand_times() {
    const SWAPS: usize = 1_000;
    let home = Home::new();
    let index = home.index();
    let mut random = fastrand::Rng::with_seed(5);
    for n in 0..60 {
        home.put(&format!("a{n}"), &Home::text(&mut random));
    }
    // Two articles that change together.
    let publish = |state: usize| {
        for name in ["left", "right"] {
            home.put(name, &format!("<p>The varnish of {name} is in state{state}x.</p>"));
        }
        home.update(&index);
    };
    publish(0);
    let (done, asked, seen) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut held: Option<(Option<String>, Opened)> = None;
                while !done.load(Ordering::Relaxed) {
                    let name = index.live_name().unwrap();
                    if held.as_ref().is_none_or(|(held, _)| *held != name) {
                        held = None;
                        assert!(held.is_none());
                        held = Some((name, index.open_any().unwrap()));
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                    let Some((_, opened)) = &held else { continue };
                    let hits = opened.terms("varnish", &Filter::default(), 5).unwrap();
                    let states: BTreeSet<&str> = hits
                        .iter()
                        .flat_map(|hit| hit.text.split_whitespace())
                        .filter(|word| word.starts_with("state"))
                        .collect();
                    assert_eq!((hits.len(), states.len()), (2, 1), "{states:?}");
                    let near = opened.dense(&vector("varnish", 0), &Filter::default(), 62).unwrap();
                    assert!(near.len() >= 60);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            });
        }
        let mut early = (0.0, 0);
        for swap in 1..=SWAPS {
            publish(swap);
            if swap == SWAPS / 10 {
                early = (rss(), files());
            }
        }
        let late = (rss(), files());
        done.store(true, Ordering::Relaxed);
        let (asked, seen) = (asked.load(Ordering::Relaxed), seen.load(Ordering::Relaxed));
        println!(
            "{seen} openings, {asked} questions; MB and files after a tenth {early:?}, at the end \
             {late:?}"
        );
        // Every thread may be opening or closing one as this is measured.
        assert!(late.0 < early.0 + 60.0, "{early:?} {late:?}");
        assert!(late.1 < early.1 + 200, "{early:?} {late:?}");
        assert!(seen > 200 && asked > seen);
    });
    let left = std::fs::read_dir(home.dir.path().join("index")).unwrap().flatten();
    let generations = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('g'));
    assert!(generations.count() <= 2 + 8);
}

#[test]
fn an_article_that_cannot_be_cut_is_left_out_by_name_and_the_rest_indexed() {
    let home = Home::new();
    let index = home.index();
    home.put("good", "<p>The glue hardens.</p>");
    home.put("bad", "<p>This is uncuttable.</p>");
    let built = home.update(&index);
    assert_eq!((built.articles, built.chunks), (2, 1));
    assert_eq!(built.left_out, ["\"On bad\": the tokenizer stumbles"]);
    // It is not tried again before it changes.
    home.put("other", "<p>The varnish dries.</p>");
    let built = home.update(&index);
    assert_eq!((built.articles, built.left_out.len()), (1, 0));
    home.whole(&index);
    home.put("bad", "<p>This is cut.</p>");
    assert_eq!(home.update(&index).chunks, 1);
    home.whole(&index);
    // One that was indexed and can't be cut any more leaves the index.
    home.put("good", "<p>The glue is uncuttable.</p>");
    assert_eq!(home.update(&index).left_out.len(), 1);
    let opened = index.open_any().unwrap();
    assert!(opened.terms("glue", &Filter::default(), 5).unwrap().is_empty());
    home.whole(&index);
}

#[test]
fn known_vectors_of_another_embedder_are_found_out_even_beside_new_ones() {
    let home = Home::new();
    let index = home.index();
    for n in 0..5 {
        home.put(&format!("a{n}"), &format!("<p>The glue of plank{n} hardens.</p>"));
    }
    home.update(&index);
    let live = index.live_name().unwrap();
    home.embedder.is_other.store(true, Ordering::Relaxed);
    home.put("new", "<p>The varnish dries.</p>");
    let error = home.work(|work| index.rebuild(work, None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Library, "{}", error.chain());
    assert_eq!(index.live_name().unwrap(), live);
}

#[test]
fn an_update_that_finds_nothing_new_looks_once() {
    let home = Home::new();
    let index = home.index();
    home.put("a", "<p>The glue hardens.</p>");
    let first = home.update(&index);
    let generation = index.live().unwrap().unwrap();
    assert_eq!(generation.library_changes, Some(home.library.changes().unwrap()));
    // Recorded as it was: what the library counts may move, what the index holds does not.
    home.put("a", "<p>The glue hardens.</p>");
    let again = home.update(&index);
    assert_eq!(again, Built { generation: first.generation.clone(), ..Built::default() });
    let generation = index.live().unwrap().unwrap();
    assert_eq!(generation.library_changes, Some(home.library.changes().unwrap()));

    // Every document that an answer may point to is named, of all generations.
    let one = index.documents().unwrap();
    assert_eq!(one.len(), 1);
    home.put("a", "<p>The glue hardens in an hour.</p>");
    home.update(&index);
    let both = index.documents().unwrap();
    assert!(both.len() == 2 && both.is_superset(&one));
}

/// A server's update that is killed while it writes an article leaves what the next update mends,
/// whatever became of the article.
#[test]
fn a_killed_update_on_a_server_is_healed_by_the_next() {
    let server = QdrantServer::start();
    for writes in 0..4 {
        let home = Home::new();
        let alias = format!("kill-{writes}");
        let options = ServerOptions { alias, retries: 0, ..ServerOptions::default() };
        let place = Some((server.url.clone(), options));
        let index = Index::new(home.dir.path().join("index"), place, EdgeOptions::default());
        let long = |words: &str| format!("<p>{}</p>", format!("The {words} hardens. ").repeat(40));
        home.put("kept", &long("varnish"));
        home.put("edited", &long("glue"));
        home.put("dropped", &long("paint"));
        home.update(&index);
        home.whole(&index);

        // Edited, new and gone, and cut off at some write.
        home.put("edited", &long("resin"));
        home.put("new", &long("lacquer"));
        home.remove("dropped");
        server.fail(writes, 1_000);
        assert!(home.work(|work| index.update(work)).is_err());
        server.fail(0, 0);
        // The edited one changes again, to less; the new one is removed; the other comes back.
        home.put("edited", "<p>The tar hardens.</p>");
        home.remove("new");
        home.put("dropped", "<p>The pitch hardens.</p>");
        home.update(&index);
        home.whole(&index);
        let opened = index.open_any().unwrap();
        is_bm25(&home, &opened);
        let found = |word: &str| opened.terms(word, &Filter::default(), 9).unwrap().len();
        assert_eq!(["glue", "resin", "lacquer", "paint"].map(found), [0; 4]);
        assert_eq!(["tar", "pitch"].map(found), [1; 2]);
        assert!(found("varnish") > 1);
    }
}

/// A scan of a server asks for what is compared, and not for whole payloads.
#[test]
fn a_scan_of_a_server_asks_for_what_is_compared() {
    let (home, server) = (Home::new(), QdrantServer::start());
    let index = home.on_server(&server, 2);
    home.put("a", "<p>The glue hardens.</p>");
    home.update(&index);
    server.scanned();
    home.whole(&index);
    let asked = server.scanned();
    let fields = Some(vec!["article".to_owned(), "revision".to_owned()]);
    assert!(!asked.is_empty() && asked.iter().all(|one| *one == fields), "{asked:?}");
}

#[test]
fn a_damaged_article_is_repaired_and_counted_as_before() {
    let (home, server) = (Home::new(), QdrantServer::start());
    let mut random = fastrand::Rng::with_seed(9);
    for n in 0..30 {
        home.put(&format!("a{n}"), &Home::text(&mut random));
    }
    for index in [home.index(), home.on_server(&server, 1)] {
        home.work(|work| index.rebuild(work, None)).unwrap();
        let articles = index.articles(&index.live().unwrap().unwrap()).unwrap();
        let mut damaged: BTreeSet<ArticleId> = articles.keys().take(2).cloned().collect();
        damaged.insert(ArticleId("foreign".into()));
        home.work(|work| index.repair(work, &damaged)).unwrap();
        home.whole(&index);
        is_bm25(&home, &index.open_any().unwrap());
        let held = index.articles(&index.live().unwrap().unwrap()).unwrap();
        assert_eq!(held.keys().collect::<Vec<_>>(), articles.keys().collect::<Vec<_>>());
    }
}

#[test]
fn an_older_generation_is_built_anew_and_that_is_said() {
    let home = Home::new();
    let index = home.index();
    home.put("a", "<p>The glue hardens.</p>");
    home.update(&index);
    let live = index.live().unwrap().unwrap();
    let record = home.dir.path().join("index").join(&live.id).join("generation.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"schema\":2", "\"schema\":1")).unwrap();
    let error = index.open_any().err().unwrap();
    assert!(error.to_string().contains("an older wellread made the index"), "{error}");
    let said = std::sync::Mutex::new(Vec::new());
    let embedded = home.embedder.embedded.load(Ordering::Relaxed);
    let built = index
        .update(&Work {
            library: &home.library,
            embedder: &home.embedder,
            chunk: &home.chunk,
            clean: &home.clean,
            sentences: false,
            events: &|event| {
                if let Event::Status(line) = event {
                    said.lock().unwrap().push(line);
                }
            },
            cancel: &Cancel::default(),
        })
        .unwrap();
    assert_eq!((built.chunks, built.embedded), (1, 0));
    // The sample that is compared is all that was embedded.
    assert!(home.embedder.embedded.load(Ordering::Relaxed) <= embedded + 1);
    let said = said.into_inner().unwrap();
    assert!(said.iter().any(|line| line.contains("older wellread")), "{said:?}");
    home.whole(&index);
}
