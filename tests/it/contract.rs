//! One suite for each seam; every implementation passes it.

use std::ops::ControlFlow;

use wellread::base::error::ErrorKind;
use wellread::base::{
    ArticleId, ArticleMeta, Chunk, ChunkId, DocumentId, Filter, Point, SourceId, SparseVector,
};
use wellread::document::terms;
use wellread::index::edge::{EdgeOptions, EdgeStore};
use wellread::index::server::{Server, ServerOptions, ServerStore};
use wellread::index::store::Shape;
use wellread::index::store::{Query, Select, Store, Stored};
use wellread::infer::bert::{BertEmbedder, EmbedderFiles, EmbedderSpec};
use wellread::infer::llm::Llm;
use wellread::infer::schema::Schema;
use wellread::infer::{
    Embedder, Finish, Generator, Message, Prompt, Purpose, Role, Sampling, Written,
};
use wellread::models::{self, Choice, GeneratorFile, Resolver};

use crate::qdrant::QdrantServer;
use crate::support::models_cache;

fn cancel() -> wellread::base::Cancel {
    wellread::base::Cancel::default()
}

/// What the default embedder is loaded from.
pub fn minilm_files() -> (EmbedderSpec, EmbedderFiles) {
    let manifests = models::manifests(None).unwrap();
    let manifest = models::find(&manifests, "all-minilm-l6-v2").unwrap();
    let resolved =
        Resolver::new(models_cache(), false).resolve(manifest, &|_| {}, &cancel()).unwrap();
    let facts = manifest.embedder.clone().unwrap();
    let spec = EmbedderSpec {
        name: manifest.name.clone(),
        sha256: manifest.file("weights").unwrap().sha256.clone(),
        dimensions: facts.dimensions,
        max_tokens: facts.max_tokens,
        pooling: facts.pooling,
        query_prefix: facts.query_prefix,
        passage_prefix: facts.passage_prefix,
    };
    let path = |role| resolved.path(role).unwrap().to_owned();
    let files = EmbedderFiles {
        weights: path("weights"),
        tokenizer: path("tokenizer"),
        config: path("config"),
    };
    (spec, files)
}

pub fn minilm() -> BertEmbedder {
    let (spec, files) = minilm_files();
    BertEmbedder::load(spec, &files).unwrap()
}

pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What every embedder holds to.
pub fn embedder_contract(embedder: &dyn Embedder) {
    assert!(!embedder.fingerprint().0.is_empty());
    assert!(embedder.embed(&[], Purpose::Passage).unwrap().is_empty());
    let texts: Vec<String> =
        (0..21).map(|n| format!("Plank {n} {}", "is steamed for an hour. ".repeat(n))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder.embed(&texts, Purpose::Passage).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), embedder.dimensions());
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
        let alone = &embedder.embed(&[text], Purpose::Passage).unwrap()[0];
        assert!(cosine(vector, alone) > 0.9999, "{text} depends on its neighbours");
    }

    // Special tokens in a text are text, from the first call on.
    let count = |text: &str| embedder.count_tokens(text, Purpose::Passage).unwrap();
    for token in ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "<s>", "</s>", "<mask>"] {
        assert!(count(token) >= count("") + 3, "{token} is taken as more than text");
    }
    let vector = |text: &str| embedder.embed(&[text], Purpose::Query).unwrap().remove(0);
    let (spoiled, plain) = (vector("glue [SEP] varnish"), vector("glue [ SEP ] varnish"));
    assert!(cosine(&spoiled, &plain) > 0.9999);

    let long = "steam ".repeat(embedder.max_tokens() + 1);
    assert!(embedder.count_tokens(&long, Purpose::Passage).unwrap() > embedder.max_tokens());
    let error = embedder.embed(&["short", &long], Purpose::Query).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLong);
}

#[test]
fn minilm_holds_the_embedder_contract() {
    embedder_contract(&minilm());
}

#[test]
fn minilm_agrees_with_sentence_transformers() {
    #[derive(serde::Deserialize)]
    struct Reference {
        texts: Vec<String>,
        vectors: Vec<Vec<f32>>,
    }
    let reference: Reference =
        serde_json::from_str(include_str!("../data/reference_vectors.json")).unwrap();
    let texts: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    let vectors = minilm().embed(&texts, Purpose::Passage).unwrap();
    for ((text, ours), theirs) in texts.iter().zip(&vectors).zip(&reference.vectors) {
        let cosine = cosine(ours, theirs);
        // Special tokens that an article writes are special there, and plain text here.
        let is_spoiled = text.contains("[SEP]");
        assert!(if is_spoiled { cosine < 0.9 } else { cosine >= 0.9999 }, "{cosine} for {text:?}");
    }
}

const CHAT_TOKENS: [&str; 6] =
    ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>", "</s>"];

/// What every LLM holds to.
pub fn generator_contract(generator: &mut dyn Generator) {
    // A chat token in what is said is text, before the first generation as after it: it is longer
    // than the one token that it looks like.
    let chat = CHAT_TOKENS.map(|token| generator.count_tokens(token).unwrap());
    assert!(chat.iter().all(|count| *count > 1), "{chat:?}");

    let sampling =
        Sampling { max_tokens: 24, temperature: 0.0, seed: 1, stop: vec![], schema: None };
    let prompt = |user: &str| Prompt {
        messages: vec![
            Message { role: Role::System, content: "You are brief.".into() },
            Message { role: Role::User, content: user.into() },
        ],
        opening: "The days of the week are Monday, Tuesday,".into(),
    };
    let question = prompt("Name the days of the week.");
    let mut pieces = String::new();
    let mut sum = 0.0;
    let mut keep = |piece: Written<'_>| {
        pieces.push_str(piece.text);
        sum += piece.log_probability.unwrap_or(0.0);
        ControlFlow::Continue(())
    };
    let first = generator.generate(&question, &sampling, &mut keep).unwrap();
    assert_eq!(pieces, first.text);
    assert!(sum < 0.0 && sum >= first.log_probability);
    assert!(first.text.contains("Wednesday"), "{}", first.text);
    assert!(!first.text.contains("days of the week are"), "the opening is not part of the output");
    assert!(first.completion_tokens <= 24 && first.prompt_tokens > 10);

    // Equal input gives equal output, whatever was said between.
    generator.generate(&prompt("Hello!"), &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
    let again =
        generator.generate(&question, &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(first, again);
    let warm = Sampling { temperature: 1.5, seed: 7, ..sampling.clone() };
    let sampled = |generator: &mut dyn Generator| {
        generator.generate(&question, &warm, &mut |_| ControlFlow::Continue(())).unwrap().text
    };
    assert_eq!(sampled(generator), sampled(generator));

    let stop = Sampling { stop: vec!["Thu".into()], ..sampling.clone() };
    let stopped = generator.generate(&question, &stop, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(stopped.finish, Finish::Stop);
    assert!(!stopped.text.contains("Thu") && stopped.text.contains("Wednesday"));

    let days = r#"{"type": "object", "properties": {"third": {"enum": ["Wednesday", "Friday"]}, "count": {"type": "integer", "maximum": 9}}, "required": ["third", "count"]}"#;
    let by_schema =
        Sampling { schema: Some(Schema::new("days", days).unwrap()), ..sampling.clone() };
    let asked = Prompt { opening: String::new(), ..prompt("Which is the third day of the week?") };
    let filled =
        generator.generate(&asked, &by_schema, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(filled.finish, Finish::Stop, "{}", filled.text);
    let filled: serde_json::Value = serde_json::from_str(&filled.text).unwrap();
    assert!(filled["third"].is_string() && filled["count"].as_i64().is_some_and(|n| n <= 9));
    let cut = Sampling { max_tokens: 2, ..by_schema };
    let cut = generator.generate(&asked, &cut, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((cut.finish, cut.completion_tokens), (Finish::Length, 2), "{}", cut.text);

    let broken = generator
        .generate(&question, &sampling, &mut |piece| {
            if piece.text.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert_eq!(broken.finish, Finish::Cancelled);

    assert_eq!(CHAT_TOKENS.map(|token| generator.count_tokens(token).unwrap()), chat);
    scores_contract(generator, &question, &sampling);
    let long = prompt(&"steam ".repeat(generator.context_tokens()));
    let error =
        generator.generate(&long, &sampling, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLong);
    let error = generator.score(&long, &[" Wednesday"], &mut go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLong);
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What an LLM would say is what it scores highest, and to be asked for scores changes nothing.
fn scores_contract(generator: &mut dyn Generator, question: &Prompt, sampling: &Sampling) {
    let generate = |generator: &mut dyn Generator| {
        generator.generate(question, sampling, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let before = generate(generator);
    let texts = [" Monday", " Wednesday", " steam", " Wednesday", "", " Wednesday, Thursday"];
    let scores = generator.score(question, &texts, &mut go_on).unwrap();
    assert!(scores.iter().all(|score| *score <= 0.0 && score.is_finite()), "{scores:?}");
    assert!(scores[1] > scores[0] && scores[1] > scores[2], "{scores:?}");
    assert!(scores[1].exp() + scores[0].exp() + scores[2].exp() <= 1.0, "{scores:?}");
    assert_eq!((scores[3], scores[4]), (scores[1], 0.0));
    assert!(scores[5] < scores[1], "{scores:?}");
    assert_eq!(generator.score(question, &[], &mut go_on).unwrap(), [0f64; 0]);
    assert_eq!(generate(generator), before);
}

/// The file of an LLM.
pub fn generator_file(name: &str) -> GeneratorFile {
    Resolver::new(models_cache(), false)
        .resolve_choice(
            &Choice::parse(name).unwrap(),
            &models::manifests(None).unwrap(),
            &|_| {},
            &cancel(),
        )
        .unwrap()
}

fn llm(name: &str) -> Llm {
    let file = generator_file(name);
    Llm::load(&file.path, &file.name, file.sha256.as_deref().unwrap_or_default(), None).unwrap()
}

#[test]
fn the_small_llm_holds_the_generator_contract() {
    generator_contract(&mut llm("smollm2-135m-instruct"));
}

#[test]
fn the_default_llm_holds_the_generator_contract() {
    generator_contract(&mut llm("qwen2.5-coder-1.5b-instruct"));
}

const DIMENSIONS: usize = 8;

/// A point whose vector depends on its number.
pub fn point(n: u128, article: &str, text: &str, dimensions: usize) -> Point {
    let mut dense: Vec<f32> = (0..dimensions).map(|at| ((n as usize + at) % 5) as f32).collect();
    dense[n as usize % dimensions] += 4.0;
    let length = cosine(&dense, &dense).sqrt();
    dense.iter_mut().for_each(|value| *value /= length);
    Point {
        chunk: Chunk {
            id: ChunkId(uuid::Uuid::from_u128(n)),
            article_id: ArticleId(article.into()),
            section: n as usize,
            ordinal: n as usize,
            heading_path: vec!["Part".into(), format!("Section {n}")],
            range: 10..10 + text.len(),
            text: text.into(),
            embedded_text: text.into(),
            tokens: 9,
        },
        article: ArticleMeta {
            id: ArticleId(article.into()),
            source: SourceId(format!("feed-{}", n % 2)),
            other_sources: if n == 4 { vec![SourceId("feed-9".into())] } else { vec![] },
            url: Some(format!("https://example.org/{article}")),
            title: format!("On Gluing {article}"),
            subtitle: None,
            authors: vec![if n < 3 { "Ida".into() } else { "Owen".into() }],
            published: (n != 5)
                .then(|| format!("2025-0{}-01T00:00:00Z", n % 9 + 1).parse().unwrap()),
            tags: vec!["boats".into(), format!("t{n}")],
        },
        revision: n as u32 + 1,
        document: DocumentId(format!("{n:032x}")),
        dense,
        sparse: terms::weights(&terms::of(text), 6.0),
        length: terms::of(text).length(),
    }
}

/// The points of a store, or of an article in it.
pub fn scanned(store: &dyn Store, select: &Select) -> Vec<Stored> {
    let mut found = Vec::new();
    let visit = &mut |stored| {
        found.push(stored);
        Ok(())
    };
    store.scan(select, visit).unwrap();
    found
}

/// What every store holds to; it must be empty at first.
fn store_contract(store: &mut dyn Store) {
    assert!(scanned(store, &Select::All).is_empty());
    let sparse = |text: &str| Query::Sparse(terms::query(text));
    let all = Filter::default();
    assert!(store.search(&sparse("glue"), &all, 5).unwrap().is_empty());
    let points = [
        point(1, "a", "the glue hardens in four hours", DIMENSIONS),
        point(2, "a", "varnish dries in two days", DIMENSIONS),
        point(3, "b", "steam the plank for an hour", DIMENSIONS),
        point(4, "b", "glue and glue again and more glue", DIMENSIONS),
        point(5, "c", "nothing to see", DIMENSIONS),
    ];
    store.upsert(&points).unwrap();
    store.upsert(&[]).unwrap();
    store.flush().unwrap();

    // What was put in comes out whole.
    let found = store.search(&Query::Dense(points[1].dense.clone()), &all, 5).unwrap();
    assert_eq!(found.len(), 5);
    let hit = &found[0];
    assert_eq!(hit.chunk_id, points[1].chunk.id);
    assert_eq!(hit.article, points[1].article);
    assert_eq!(
        (hit.revision, hit.section, hit.ordinal, hit.range.clone(), hit.text.as_str()),
        (3, 2, 2, points[1].chunk.range.clone(), points[1].chunk.text.as_str())
    );
    assert_eq!(hit.document, points[1].document);
    assert_eq!(hit.heading_path, points[1].chunk.heading_path);
    assert!((hit.score - 1.0).abs() < 1e-5 && hit.scores.dense == Some(hit.score));
    for hit in &found {
        let n = hit.chunk_id.0.as_u128() as usize;
        let wanted = cosine(&points[1].dense, &points[n - 1].dense);
        assert!((hit.score - wanted).abs() < 1e-4, "{} is not {wanted}", hit.score);
    }
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert_eq!(store.search(&Query::Dense(points[0].dense.clone()), &all, 2).unwrap().len(), 2);

    // BM25: weights are multiplied, and only what holds a term is found.
    let ids = |hits: Vec<wellread::base::Hit>| {
        hits.iter().map(|hit| hit.chunk_id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(ids(store.search(&sparse("glue"), &all, 5).unwrap()), [4, 1]);
    let mut weighed = terms::query("glue varnish");
    let rare = terms::query("varnish").indices[0];
    let at = weighed.indices.iter().position(|id| *id == rare).unwrap();
    weighed.values = vec![0.25; 2];
    weighed.values[at] = 2.0;
    let found = store.search(&Query::Sparse(weighed), &all, 5).unwrap();
    let in_it = |point: &Point, term: &str| {
        let id = terms::query(term).indices[0];
        let at = point.sparse.indices.iter().position(|index| *index == id);
        at.map_or(0.0, |at| point.sparse.values[at])
    };
    assert_eq!(ids(found.clone()), [2, 4, 1]);
    for hit in found {
        let point = &points[hit.chunk_id.0.as_u128() as usize - 1];
        let wanted = 2.0 * in_it(point, "varnish") + 0.25 * in_it(point, "glue");
        assert!((hit.score - wanted).abs() < 1e-5, "{} is not {wanted}", hit.score);
    }
    assert!(store.search(&sparse("unheard"), &all, 5).unwrap().is_empty());
    assert!(store.search(&Query::Sparse(SparseVector::default()), &all, 5).unwrap().is_empty());

    // Filters act inside the search: what they let through is found however far away it is.
    let only = |filter: Filter| {
        let mut found =
            ids(store.search(&Query::Dense(points[1].dense.clone()), &filter, 5).unwrap());
        found.sort_unstable();
        found
    };
    let date = |text: &str| Some(text.parse().unwrap());
    assert_eq!(only(Filter { since: date("2025-04-01T00:00:00Z"), ..all.clone() }), [3, 4]);
    assert_eq!(only(Filter { until: date("2025-04-01T00:00:00Z"), ..all.clone() }), [1, 2]);
    let sources = |names: &[&str]| Filter {
        sources: names.iter().map(|name| SourceId((*name).into())).collect(),
        ..Filter::default()
    };
    assert_eq!(only(sources(&["feed-0"])), [2, 4]);
    assert_eq!(only(sources(&["feed-9", "feed-1"])), [1, 3, 4, 5]);
    assert_eq!(only(Filter { authors: vec!["Ida".into()], ..all.clone() }), [1, 2]);
    assert_eq!(only(Filter { tags: vec!["t1".into(), "t5".into()], ..all.clone() }), [1, 5]);
    assert_eq!(only(Filter { title: Some("GLUING b".into()), ..all.clone() }), [3, 4]);
    assert_eq!(
        only(Filter { authors: vec!["Owen".into()], tags: vec!["t3".into()], ..all.clone() }),
        [3]
    );
    filters_agree(store, &points);

    // All of a point comes back, but for what was embedded.
    let mut read = Vec::new();
    let article = Select::Article(ArticleId("b".into()));
    let visit = &mut |point| {
        read.push(point);
        Ok(())
    };
    store.read(&article, visit).unwrap();
    let mut wanted = points[2..4].to_vec();
    for point in &mut wanted {
        point.chunk.embedded_text.clear();
        point.chunk.tokens = 0;
    }
    for (read, wanted) in read.iter_mut().zip(&mut wanted) {
        assert!(cosine(&read.dense, &wanted.dense) > 1.0 - 1e-5);
        read.dense.clear();
        wanted.dense.clear();
    }
    assert_eq!(read, wanted);

    // Equal scores are in the order of their ids, wherever the limit cuts.
    let twins: Vec<Point> = (20..30)
        .rev()
        .map(|n| Point { dense: points[0].dense.clone(), ..point(n, "twins", "twin", DIMENSIONS) })
        .collect();
    store.upsert(&twins).unwrap();
    let found = ids(store.search(&Query::Dense(points[0].dense.clone()), &all, 4).unwrap());
    assert_eq!(found, [1, 20, 21, 22]);
    assert_eq!(store.delete(&ArticleId("twins".into())).unwrap(), 10);

    // The same id again replaces; deleting takes an article's points and no others.
    let changed = point(1, "a", "the glue hardens in six hours", DIMENSIONS);
    store.upsert(&[changed]).unwrap();
    assert_eq!(scanned(store, &Select::All).len(), 5);
    assert_eq!(ids(store.search(&sparse("six"), &all, 5).unwrap()), [1]);
    assert!(store.search(&sparse("four"), &all, 5).unwrap().is_empty());
    assert_eq!(store.delete(&ArticleId("b".into())).unwrap(), 2);
    assert_eq!(store.delete(&ArticleId("b".into())).unwrap(), 0);
    store.flush().unwrap();
    let left = scanned(store, &Select::All);
    let left: Vec<_> =
        left.iter().map(|point| (point.chunk_id.0.as_u128(), point.revision)).collect();
    assert_eq!(left, [(1, 2), (2, 3), (5, 6)]);
    assert_eq!(scanned(store, &Select::Article(ArticleId("a".into()))).len(), 2);
    assert_eq!(ids(store.search(&sparse("glue"), &all, 5).unwrap()), [1]);
}

/// A store lets through what [`Filter::accepts`] accepts, whatever the filter.
fn filters_agree(store: &dyn Store, points: &[Point]) {
    let mut random = fastrand::Rng::with_seed(7);
    let titles = ["gluing", "ON", "Gluing A", "a on", "glu", "on, gluing: b!", "?", "", "on on c"];
    let dates = ["2025-03-01T00:00:00Z", "2025-04-01T00:00:00.0000004Z", "2025-02-28T23:59:59Z"];
    let mut passed = 0;
    for _ in 0..200 {
        let mut some = |all: &[&str]| -> Vec<String> {
            let count = random.usize(0..3).saturating_sub(1);
            (0..count).map(|_| all[random.usize(0..all.len())].to_owned()).collect()
        };
        let filter = Filter {
            since: some(&dates).first().map(|date| date.parse().unwrap()),
            until: some(&dates).first().map(|date| date.parse().unwrap()),
            sources: some(&["feed-0", "feed-1", "feed-9"]).into_iter().map(SourceId).collect(),
            authors: some(&["Ida", "Owen", "ida"]),
            tags: some(&["boats", "t1", "t4"]),
            title: some(&titles).pop(),
        };
        let query = Query::Dense(points[0].dense.clone());
        let mut found: Vec<u128> = store
            .search(&query, &filter, 10)
            .unwrap()
            .iter()
            .map(|hit| hit.chunk_id.0.as_u128())
            .collect();
        found.sort_unstable();
        let accepted = points.iter().filter(|point| filter.accepts(&point.article));
        let wanted: Vec<u128> = accepted.map(|point| point.chunk.id.0.as_u128()).collect();
        assert_eq!(found, wanted, "{filter:?}");
        passed += found.len();
    }
    assert!(passed > 100, "{passed}");
}

const SHAPE: Shape = Shape { dimensions: DIMENSIONS };

#[test]
fn the_embedded_store_holds_the_store_contract() {
    for quantization in [false, true] {
        embedded_contract(EdgeOptions { quantization });
    }
}

fn embedded_contract(options: EdgeOptions) {
    let dir = tempfile::tempdir().unwrap();
    let shard = dir.path().join("shard");
    let mut store = EdgeStore::create(&shard, &SHAPE, &options).unwrap();
    store_contract(&mut store);
    drop(store);

    // Durable; readable by several at once, beside each other; not made twice.
    assert!(EdgeStore::create(&shard, &SHAPE, &options).is_err());
    let readers: Vec<EdgeStore> = (0..3).map(|_| EdgeStore::open_reader(&shard).unwrap()).collect();
    for reader in &readers {
        assert_eq!(scanned(reader, &Select::All).len(), 3);
    }
    drop(readers);
    // A writer goes on where the last one ended.
    let mut store = EdgeStore::open(&shard).unwrap();
    store.upsert(&[point(1, "a", "changed by a second writer", DIMENSIONS)]).unwrap();
    store.flush().unwrap();
    drop(store);
    let reader = EdgeStore::open_reader(&shard).unwrap();
    let found =
        reader.search(&Query::Sparse(terms::query("second")), &Filter::default(), 5).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn a_folder_without_a_store_is_said_to_have_none() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(EdgeStore::open_reader(dir.path()).err().unwrap().kind(), ErrorKind::Index);
    assert_eq!(EdgeStore::open(&dir.path().join("no")).err().unwrap().kind(), ErrorKind::Index);
}

/// Against Qdrant's protocol over loopback, and the server that `WELLREAD_TEST_QDRANT_URL` names, if
/// it names one.
#[test]
fn a_server_holds_the_store_contract() {
    server_contract(&QdrantServer::start().url);
    if let Ok(url) = std::env::var("WELLREAD_TEST_QDRANT_URL") {
        server_contract(&url);
    }
}

fn server_contract(url: &str) {
    let alias = format!("wellread-test-{}", std::process::id());
    let options = ServerOptions { alias, ..ServerOptions::default() };
    let server = || Server::connect(url, &options).unwrap();
    let mut store = ServerStore::create(server(), "g000001", &SHAPE, "us").unwrap();
    store_contract(&mut store);
    assert!(ServerStore::create(server(), "g000001", &SHAPE, "us").is_err());
    assert!(ServerStore::open(server(), "g000001", &Shape { dimensions: 9 }).is_err());
    assert!(ServerStore::open(server(), "g000009", &SHAPE).is_err());
    assert_eq!(server().live().unwrap(), None);
    server().publish("g000001").unwrap();
    assert_eq!(server().live().unwrap(), Some(server().collection("g000001")));
    assert_eq!(server().generations("us").unwrap(), ["g000001"]);
    assert!(server().generations("them").unwrap().is_empty());
    assert!(server().clear("g000001", "them").is_err());
    server().clear("g000001", "us").unwrap();
    assert!(server().generations("us").unwrap().is_empty());
    server().delete("g000001").unwrap();
}

#[test]
fn a_server_that_is_not_there_is_named_within_seconds() {
    let options = ServerOptions { timeout_ms: 1000, retries: 1, ..ServerOptions::default() };
    let error = Server::connect("http://127.0.0.1:1", &options).unwrap().live().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{}", error.chain());
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
