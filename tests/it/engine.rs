//! The engine behind every door: one view a question, whatever others do meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use wellread::answer::{AnswerOptions, declines_early};
use wellread::base::error::{ErrorKind, Result};
use wellread::base::{Cancel, Event, Filter, Hit, Warning, Watch};
use wellread::engine::settings::{Config, Places};
use wellread::engine::{KnowledgeBase, Question};
use wellread::retrieve::Fusion;
use wellread::source::fetch::Source;

use crate::support::{Wellread, feed, item, models_cache, project, sample_feed};

fn knowledge_base(wellread: &Wellread, config: Config) -> KnowledgeBase {
    KnowledgeBase::new(config, Places { data: wellread.data(), cache: models_cache() })
}

fn watched<T>(call: impl FnOnce(&Watch<'_>) -> Result<T>) -> Result<T> {
    let (events, cancel) = (|_: Event| {}, Cancel::default());
    call(&Watch { events: &events, cancel: &cancel })
}

fn is_shared_by_threads<T: Send + Sync>(_: &T) {}

/// A feed of six articles that close with the same line, which is learned to repeat, and of which
/// the first says `said`.
fn articles(said: &str, closing: &str) -> String {
    let body = |n: usize| {
        let own = match n {
            1 => said.to_owned(),
            _ => format!("Plank number {n} was planed by hand until it was quite smooth."),
        };
        format!("<h2>Part {n}</h2><p>{own}</p><p>{closing}</p>")
    };
    feed(&(1..=6).map(|n| item(n, &format!("Article {n}"), &body(n))).collect::<String>())
}

#[test]
fn a_question_keeps_its_articles_while_another_process_syncs_learns_and_prunes() {
    let wellread = Wellread::new();
    let closing = "Write to the harbour office about a berth for the winter.";
    let path = wellread.file(
        "feed.xml",
        articles("The keel was laid in the old shed on the third of May.", closing),
    );
    wellread.succeeds(&["add", &path]);
    let kb = knowledge_base(&wellread, Config::default());
    is_shared_by_threads(&kb);
    let library = kb.filled_library().unwrap();
    let held = kb.snapshot(&library).unwrap();
    let ask = |limit: usize| {
        let filter = Filter::default();
        let question = Question { text: "Where was the keel laid?", filter: &filter, sources: &[] };
        watched(|watch| kb.search(&question, limit, watch)).unwrap().hits
    };
    let before = ask(1).remove(0);
    let document = held.document(&before.document).unwrap();
    assert!(before.text.ends_with(document.text[before.range.clone()].trim_end()));
    assert!(!document.text.contains("harbour office"), "what repeats was not learned");

    // Another process: the article changes, what repeats changes, and old generations go.
    let path = wellread.file(
        "feed.xml",
        articles(
            "The keel was laid in the new yard by the canal.",
            "Bring your own gloves and boots.",
        ),
    );
    wellread.succeeds(&["sync"]);
    wellread.succeeds(&["sync", &path]);
    wellread.succeeds(&["index", "rebuild"]);
    wellread.succeeds(&["index", "prune", "--all"]);

    // The question that is under way still cites what it found.
    assert_eq!(held.document(&before.document).unwrap(), document);
    let same = held.index().dense(&[1.0; 384], &Filter::default(), 1).unwrap();
    assert_eq!(same[0].revision, 1);
    // The next one sees the new articles, and their documents are there.
    let after = ask(1).remove(0);
    assert!(after.text.contains("new yard"), "{}", after.text);
    assert_eq!(after.revision, 2);
    let snapshot = kb.snapshot(&library).unwrap();
    let now = snapshot.document(&after.document).unwrap();
    assert!(now.text.contains("new yard") && !now.text.contains("gloves"));

    // Once nobody holds the old generation, what only it named can go.
    drop(held);
    wellread.succeeds(&["index", "prune", "--all"]);
    let gone = snapshot.document(&before.document).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.to_string().contains(&before.document.0), "{gone}");
}

/// Between the search and the reading of what was found: where a typing error is told.
#[test]
fn a_question_reads_the_documents_of_the_generation_that_it_searched() {
    let wellread = Wellread::new();
    let before = "The keel was laid in the old shed on the third of May.";
    let path = wellread.file("feed.xml", articles(before, "Mind the tide."));
    wellread.succeeds(&["add", &path]);
    let kb = knowledge_base(&wellread, Config::default());
    let told = AtomicUsize::new(0);
    let events = |event: Event| {
        let Event::Warning(Warning::Mended { .. }) = event else { return };
        told.fetch_add(1, Ordering::SeqCst);
        wellread.file(
            "feed.xml",
            articles("The keel was laid in the new yard by the canal.", "Bring gloves."),
        );
        for args in [&["sync", &path][..], &["index", "rebuild"], &["index", "prune", "--all"]] {
            wellread.succeeds(args);
        }
    };
    let (filter, cancel) = (Filter::default(), Cancel::default());
    let question = Question { text: "Where was the keeel laid?", filter: &filter, sources: &[] };
    let watch = Watch { events: &events, cancel: &cancel };
    let answer = kb.quote(&question, &watch).unwrap();
    assert_eq!(
        told.load(Ordering::SeqCst),
        1,
        "no typing error was told, so nothing happened in between"
    );
    assert!(answer.sentences.iter().any(|sentence| sentence.text.contains("old shed")));
    assert!(answer.passages.iter().all(|passage| passage.revision == 1));
    // The next question sees the new generation.
    let question = Question { text: "Where was the keel laid?", ..question };
    let answer = watched(|watch| kb.quote(&question, watch)).unwrap();
    assert!(answer.sentences.iter().any(|sentence| sentence.text.contains("new yard")));
}

/// What repeats is removed from an article; what was indexed before that was learned still stands in
/// the document that it was cut from.
#[test]
fn a_learned_set_that_changes_after_the_build_changes_no_citation() {
    let wellread = Wellread::new();
    let line = "The keel was laid in the old shed on the third of May.";
    let path = wellread.file("feed.xml", articles(line, "Mind the tide."));
    wellread.succeeds(&["add", &path]);
    let kb = knowledge_base(&wellread, Config::default());
    // The line comes to repeat: it is read and learned, and not yet indexed.
    let more = (7..=18).map(|n| {
        item(n, &format!("Article {n}"), &format!("<p>Oar {n} is of ash.</p><p>{line}</p>"))
    });
    let items = articles(line, "Mind the tide.");
    let items = items.replace("</channel></rss>", &(more.collect::<String>() + "</channel></rss>"));
    wellread.file("feed.xml", items);
    let report =
        watched(|watch| kb.read_sources(vec![(path.clone(), Source::parse(&path))], watch));
    assert!(report.unwrap().failed.is_empty());
    let shown = wellread.succeeds(&["show", "Article 1"]);
    assert!(!shown.contains("old shed"), "what repeats was not learned: {shown}");

    let filter = Filter::default();
    let question = Question { text: "Where was the keel laid?", filter: &filter, sources: &[] };
    let answer = watched(|watch| kb.quote(&question, watch)).unwrap();
    let passage = &answer.passages[0];
    assert!(passage.text.contains("old shed"), "{answer:?}");
    let snapshot = kb.snapshot(&kb.filled_library().unwrap()).unwrap();
    let document = snapshot.document(&passage.document).unwrap();
    assert_eq!(document.text[passage.range.clone()], passage.text);
}

#[test]
fn a_question_reads_no_body() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let library = rusqlite::Connection::open(wellread.data().join("library.sqlite")).unwrap();
    assert!(library.execute("DELETE FROM bodies", []).unwrap() > 0);
    drop(library);
    let question = "How long must the cramps stay on oak glued at eighteen degrees?";
    assert!(wellread.succeeds(&["search", question]).contains("ten hours"));
    assert!(wellread.succeeds(&["ask", "--quotes", question]).contains("ten hours"));
    let asked = wellread.run(&["ask", question]);
    assert!(matches!(asked.code, Some(0 | 1)), "{}", asked.stderr);
}

#[test]
fn the_first_ten_hits_are_the_same_for_every_limit() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let set = std::fs::read_to_string(project("eval/sample/questions.jsonl")).unwrap();
    for fusion in [Fusion::Zscore, Fusion::Rrf, Fusion::Dense, Fusion::Bm25] {
        let mut config = Config::default();
        config.retrieval.fusion = fusion;
        // Fewer than the sample has, so that larger limits go beyond them.
        config.retrieval.candidates = 12;
        let kb = knowledge_base(&wellread, config);
        for line in set.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let filter = Filter::default();
            let text = line["question"].as_str().unwrap();
            let question = Question { text, filter: &filter, sources: &[] };
            let ask = |limit| watched(|watch| kb.search(&question, limit, watch)).unwrap().hits;
            let ten = ask(10);
            for limit in [1, 5, 13, 40, 500] {
                let hits = ask(limit);
                let both = limit.min(ten.len());
                assert_eq!(hits[..both.min(hits.len())], ten[..both], "{fusion:?} {limit} {text}");
                assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            }
        }
    }
}

#[test]
fn whether_the_articles_answer_does_not_depend_on_how_hits_are_fused() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let filter = Filter::default();
    let text = "How long must the cramps stay on oak glued at eighteen degrees?";
    let question = Question { text, filter: &filter, sources: &[] };
    let mut cosines = Vec::new();
    for fusion in [Fusion::Zscore, Fusion::Rrf, Fusion::Dense, Fusion::Bm25] {
        let mut config = Config::default();
        config.retrieval.fusion = fusion;
        let kb = knowledge_base(&wellread, config);
        let retrieved = watched(|watch| kb.search(&question, 12, watch)).unwrap();
        assert_eq!(declines_early(&retrieved, &AnswerOptions::default()), None, "{fusion:?}");
        cosines.push(retrieved.best_cosine.unwrap());
    }
    assert!(cosines.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-6), "{cosines:?}");
}

/// A feed of six articles that all name one wood.
fn of_wood(wood: &str) -> String {
    let boats = ["Alma", "Bris", "Cato", "Dora", "Embla", "Freya"];
    let mast = |(n, boat): (usize, &&str)| {
        item(n + 1, boat, &format!("<p>The mast of the {boat} is made of {wood}.</p>"))
    };
    feed(&boats.iter().enumerate().map(mast).collect::<String>())
}

#[test]
fn many_threads_ask_one_knowledge_base_while_generations_come_and_go() {
    const SWAPS: usize = 40;
    let woods = ["spruce", "larch"];
    let wellread = Wellread::new();
    let path = wellread.file("feed.xml", of_wood(woods[0]));
    wellread.succeeds(&["add", &path]);
    let kb = knowledge_base(&wellread, Config::default());
    let ask = || {
        let filter = Filter::default();
        let text = "What is the mast made of?";
        let question = Question { text, filter: &filter, sources: &[] };
        watched(|watch| kb.search(&question, 6, watch)).unwrap().hits
    };
    let wood = |hits: &[Hit]| {
        let found = woods.map(|wood| hits.iter().filter(|hit| hit.text.contains(wood)).count());
        assert!(found == [6, 0] || found == [0, 6], "two generations in one answer: {found:?}");
        woods[usize::from(found[0] == 0)]
    };
    let stop = Cancel::default();
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.is_raised() {
                    seen.lock().unwrap().insert(wood(&ask()));
                }
            });
        }
        for n in 1..=SWAPS {
            wellread.file("feed.xml", of_wood(woods[n % 2]));
            let source = Source::parse(&path);
            watched(|watch| {
                kb.read_sources(vec![(path.clone(), source)], watch)?;
                if n % 8 == 0 { kb.rebuild_index(watch) } else { kb.update_index(false, watch) }
            })
            .unwrap();
            assert_eq!(wood(&ask()), woods[n % 2], "after swap {n}");
        }
        stop.raise();
    });
    assert_eq!(seen.into_inner().unwrap().len(), 2, "the readers saw one generation only");
    // Those that nobody holds any more are gone: one is live, and one is kept to go back to.
    watched(|watch| kb.prune(true, watch)).unwrap();
    let left = std::fs::read_dir(wellread.data().join("index")).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('g')).count();
    assert!(left <= 2, "{left} generations are left");
}
