//! The engine behind every door: one view a question, whatever others do meanwhile.

use wellread::answer::{AnswerOptions, declines_early};
use wellread::base::error::{ErrorKind, Result};
use wellread::base::{Cancel, Event, Filter, Watch};
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

#[test]
fn many_threads_ask_one_knowledge_base_while_it_is_brought_up_to_date() {
    let wellread = Wellread::new();
    let text = |n: usize| format!("The mast of boat {n} is made of spruce.");
    let path = wellread.file("feed.xml", articles(&text(0), "Mind the tide."));
    wellread.succeeds(&["add", &path]);
    let kb = knowledge_base(&wellread, Config::default());
    let stop = Cancel::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.is_raised() {
                    let filter = Filter::default();
                    let question = Question {
                        text: "What is the mast made of?",
                        filter: &filter,
                        sources: &[],
                    };
                    let hits = watched(|watch| kb.search(&question, 5, watch)).unwrap().hits;
                    assert!(hits[0].text.contains("spruce"), "{}", hits[0].text);
                }
            });
        }
        for n in 1..6 {
            wellread.file("feed.xml", articles(&text(n), "Mind the tide."));
            let source = Source::parse(&path);
            watched(|watch| {
                kb.read_sources(vec![(path.clone(), source)], watch)?;
                kb.update_index(false, watch)
            })
            .unwrap();
        }
        stop.raise();
    });
    let filter = Filter::default();
    let question = Question { text: "What is the mast made of?", filter: &filter, sources: &[] };
    let hits = watched(|watch| kb.search(&question, 1, watch)).unwrap().hits;
    assert!(hits[0].text.contains("boat 5"), "{}", hits[0].text);
}
