//! The library as its users see it, on files of its own.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::base::{ArticleId, Cancel, Content, DocumentId, Extent, ParsedArticle, SourceId};
use crate::document::html::CleanOptions;
use crate::source::fetch::{Cursor, SourceKind};

mod history;
mod migration;
mod record;

/// A library in a folder of its own.
pub(super) struct Home {
    pub library: Library,
    folder: tempfile::TempDir,
}

pub(super) const FEED: &str = "https://x.org/feed";

impl Home {
    pub fn new() -> Home {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(&folder.path().join("library.sqlite")).unwrap();
        Home { library, folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("library.sqlite")
    }

    /// The file as a stranger opens it.
    pub fn sqlite(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub fn read(&self, source: &str, items: &[Item]) -> Recorded {
        self.read_with(source, items, &CleanOptions::default())
    }

    pub fn read_with(&self, source: &str, items: &[Item], clean: &CleanOptions) -> Recorded {
        let source = SourceId(source.to_owned());
        self.library.add_source(&source, SourceKind::Url, at(0)).unwrap();
        let found = SourceItems { title: None, site: None, items };
        self.library.record(&source, found, &cursor(), clean, at(1)).unwrap()
    }

    /// Text of each article by title, as the library keeps it.
    pub fn texts(&self, clean: &CleanOptions) -> BTreeMap<String, String> {
        let all = self.library.articles(&Default::default()).unwrap();
        all.into_iter()
            .map(|info| {
                let found = self.library.article_document(&info.meta.id, clean).unwrap();
                let (meta, revision, document) = found.unwrap();
                assert_eq!((&meta, revision), (&info.meta, info.revision));
                (meta.title, self.library.document(&document).unwrap().text)
            })
            .collect()
    }

    pub fn states(&self, clean: &CleanOptions) -> BTreeMap<ArticleId, String> {
        let pending = self.library.pending(clean, &BTreeMap::new()).unwrap();
        assert!(pending.removed.is_empty());
        pending.articles.into_iter().collect()
    }

    pub fn ensure(&self, clean: &CleanOptions) {
        self.library.ensure_cleaned(clean, &|_| {}, &Cancel::default()).unwrap();
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn cursor() -> Cursor {
    Cursor { etag: Some("e".to_owned()), ..Cursor::default() }
}

/// An item with a GUID of its own, published so many days after 1970.
pub(super) fn item(name: &str, day: i64, html: &str) -> Item {
    Item {
        article: ParsedArticle {
            guid: Some(format!("https://x.org/{name}")),
            url: Some(format!("https://x.org/{name}")),
            title: name.to_owned(),
            subtitle: None,
            authors: vec![],
            published: Some(at(day * 86_400)),
            updated: None,
            tags: vec![],
            content: Content::Html(html.to_owned()),
            extent: Extent::Full,
        },
        place: None,
    }
}

pub(super) const FOOTER: &str = "<p>Thank you all for coming along this week.</p>";

/// Six letters with one footer.
pub(super) fn letters() -> Vec<Item> {
    (0..6).map(|n| item(&letter(n), n, &format!("<p>Of {}.</p>{FOOTER}", letter(n)))).collect()
}

pub(super) fn letter(n: i64) -> String {
    let letters = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"];
    let at = usize::try_from(n).unwrap();
    format!("{} {}", letters[at % 9], letters[at / 9])
}

#[test]
fn a_library_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Library>();
    let home = Home::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let home = &home;
            scope.spawn(move || {
                let source = format!("https://x.org/{thread}");
                for n in 0..10 {
                    let name = format!("{thread} {n}");
                    home.read(&source, &[item(&name, n, "<p>Text.</p>")]);
                    assert!(home.library.article_count().unwrap() > 0);
                }
            });
        }
    });
    assert_eq!(home.library.article_count().unwrap(), 40);
    let clean = CleanOptions::default();
    let states = home.states(&clean);
    assert_eq!(states.len(), 40);
    assert!(states.values().all(|state| state.len() == 32));
    assert_eq!(home.library.pending(&clean, &states).unwrap().unchanged, 40);
}

/// What asks, lists and syncs without news works without the bodies at all.
#[test]
fn nothing_but_reading_a_body_walks_bodies() {
    let home = Home::new();
    let clean = CleanOptions::default();
    home.read(FEED, &letters());
    let before = home.library.changes().unwrap();
    home.sqlite().execute_batch("DROP TABLE bodies").unwrap();
    assert_eq!(home.states(&clean).len(), 6);
    assert!(home.texts(&clean).values().all(|text| !text.contains("Thank you")));
    home.ensure(&clean);
    assert!(home.library.find_articles("alpha alpha").unwrap().len() == 1);
    let found = home.library.article_by_url("http://x.org/beta alpha?utm_source=a").unwrap();
    assert_eq!(found.unwrap().meta.title, "beta alpha");
    let again = home.read(FEED, &letters());
    assert_eq!((again.unchanged, again.added.len()), (6, 0));
    assert_eq!(home.library.changes().unwrap(), before);
    assert_eq!(
        home.library.revisions(home.states(&clean).keys().next().unwrap()).unwrap().len(),
        1
    );
}

/// The query plan is asked, so that no statement forgets its index.
#[test]
fn no_statement_walks_what_it_could_look_up() {
    let home = Home::new();
    home.read(FEED, &letters());
    let sqlite = home.sqlite();
    let plan = |sql: &str, values: &[Option<&str>]| -> Vec<String> {
        let mut statement = sqlite.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = rusqlite::params_from_iter(values);
        let rows = statement.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Sql<_>>().unwrap()
    };
    assert_eq!(
        plan(indexed::STATES, &[Some("c")]),
        ["SEARCH cleaned USING COVERING INDEX cleaned_states (cleaning=?)"]
    );
    // One item of a feed costs nothing that grows with the library or with its source.
    assert_eq!(
        plan(ensure::KNOWN, &[Some("hash"), Some("c")]),
        [
            "SEARCH r USING INDEX revisions_by_hash (hash=?)",
            "SEARCH c USING INDEX sqlite_autoindex_cleaned_1 (cleaning=? AND article_id=?)"
        ]
    );
    for guid in [Some("guid"), None] {
        assert_eq!(
            plan(finder::AS_IT_WAS, &[Some("hash"), Some(FEED), guid]),
            ["SEARCH memberships USING INDEX memberships_by_hash (hash=? AND source_id=?)"]
        );
    }
}

#[test]
fn what_nobody_names_is_pruned_and_nothing_else() {
    let home = Home::new();
    let clean = CleanOptions::default();
    home.read(FEED, &letters());
    let old: Vec<DocumentId> = home
        .states(&clean)
        .keys()
        .map(|id| home.library.article_document(id, &clean).unwrap().unwrap().2)
        .collect();
    home.library.remove_source(&SourceId(FEED.to_owned())).unwrap();
    home.read("https://y.org/feed", &[item("other", 1, "<p>Other.</p>")]);
    let keep: HashSet<DocumentId> = old[..2].iter().cloned().collect();
    let kept = home.library.documents_kept().unwrap();
    assert_eq!(home.library.prune_documents(&keep).unwrap(), kept - 3);
    assert_eq!(home.library.documents_kept().unwrap(), 3);
    assert!(home.library.document(&old[0]).is_ok());
    let error = home.library.document(&old[2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&old[2].0), "{error}");
    assert_eq!(home.texts(&clean)["other"], "Other.");
}

#[test]
fn settings_that_were_left_behind_keep_nothing() {
    let home = Home::new();
    home.read(FEED, &letters());
    let with = |share: f64| CleanOptions { repeated_share: share, ..CleanOptions::default() };
    for share in [0.1, 0.2, 0.3, 0.5] {
        home.ensure(&with(share));
    }
    let rows = || -> i64 {
        home.sqlite().query_row("SELECT count(*) FROM cleaned", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(), 5 * 6);
    home.library.prune_documents(&HashSet::new()).unwrap();
    assert_eq!(rows(), 3 * 6);
    home.ensure(&with(0.1));
    assert_eq!(home.texts(&with(0.1)).len(), 6);
}

#[test]
fn stored_values_that_are_not_valid_are_errors_that_name_them() {
    let clean = CleanOptions::default();
    let damages = [
        ("UPDATE sources SET cursor = '{\"etag\": 5'", "cursor of the source https://x.org/feed"),
        ("UPDATE articles SET authors = '[1'", "authors of the article"),
        ("UPDATE articles SET tags = 'x'", "tags of the article"),
        ("UPDATE articles SET published = 9223372036854775807", "published of the article"),
        ("UPDATE revisions SET extent = 'half'", "extent of the article"),
        ("UPDATE revisions SET format = 'pdf'", "format of the article"),
        ("UPDATE documents SET data = x'00'", "data of the document"),
        ("UPDATE documents SET data = (SELECT max(data) FROM documents)", "data of the document"),
        ("UPDATE learned SET keys = x'0000000000000000'", "keys of the learned set of"),
        ("UPDATE cleaned SET keys = x'00'", "keys of the article"),
        ("DELETE FROM memberships", "source_id of the article"),
    ];
    for (damage, named) in damages {
        let home = Home::new();
        home.read(FEED, &letters());
        home.sqlite().execute_batch(damage).unwrap();
        let library = &home.library;
        let look = || -> Result<()> {
            library.cursor(&SourceId(FEED.to_owned()))?;
            for info in library.articles(&Default::default())? {
                library.article(&info.meta.id)?;
                if let Some((.., document)) = library.article_document(&info.meta.id, &clean)? {
                    library.document(&document)?;
                }
            }
            let more = [item("more", 9, "<p>More.</p>")];
            let found = SourceItems { title: None, site: None, items: &more };
            let source = SourceId(FEED.to_owned());
            library.record(&source, found, &cursor(), &clean, at(2)).map(|_| ())
        };
        let error = look().expect_err(damage);
        assert_eq!(error.kind(), ErrorKind::Library, "{damage}: {}", error.chain());
        assert!(error.to_string().contains(named), "{damage}: {error}");
        assert!(!error.steps().is_empty());
    }
}

#[test]
fn a_library_for_reading_is_not_written_and_says_so() {
    let home = Home::new();
    let clean = CleanOptions::default();
    home.read(FEED, &letters());
    let library = Library::open_read_only(&home.path()).unwrap();
    library.ensure_cleaned(&clean, &|_| {}, &Cancel::default()).unwrap();
    assert_eq!(library.pending(&clean, &home.states(&clean)).unwrap().unchanged, 6);
    let other = CleanOptions { boilerplate: false, ..CleanOptions::default() };
    let pending = library.pending(&other, &home.states(&clean)).unwrap();
    assert_eq!(pending.articles.len(), 6);
    // One look at an article is to be had all the same.
    let id = home.states(&clean).into_keys().next().unwrap();
    assert_eq!(library.article_document(&id, &other).unwrap(), None);
    let seen = library.document_now(&id, None, &other).unwrap().unwrap();
    assert!(seen.text.starts_with("Of "), "{}", seen.text);
    let error = library.ensure_cleaned(&other, &|_| {}, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("reading only"), "{error}");
}

#[test]
fn copies_that_went_different_ways_are_at_different_numbers() {
    let home = Home::new();
    home.read(FEED, &letters());
    let copy = home.path().with_file_name("copy.sqlite");
    home.library.snapshot(&copy).unwrap();
    let copy = Library::open(&copy).unwrap();
    assert_eq!(copy.changes().unwrap(), home.library.changes().unwrap());
    let before = copy.changes().unwrap();
    for (library, name) in [(&copy, "one"), (&home.library, "two")] {
        let items = [item(name, 7, "<p>New.</p>")];
        let found = SourceItems { title: None, site: None, items: &items };
        let clean = CleanOptions::default();
        library.record(&SourceId(FEED.to_owned()), found, &cursor(), &clean, at(3)).unwrap();
        assert!(library.changes().unwrap() > before);
    }
    assert_ne!(copy.changes().unwrap(), home.library.changes().unwrap());
}

/// What a feed may do between two reads.
#[derive(Clone, Debug)]
enum Step {
    Read { first: i64, count: i64, edited: bool, footer: bool, other_source: bool },
    Remove,
    Other,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..20i64, 1..9i64, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(first, count, edited, footer, other_source)| {
                Step::Read { first, count, edited, footer, other_source }
            }
        ),
        1 => Just(Step::Remove),
        1 => Just(Step::Other),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However the library came to hold what it holds: its documents and states are those of a
    /// look at all of it from nothing.
    #[test]
    fn step_by_step_is_the_same_as_all_at_once(steps in proptest::collection::vec(step(), 1..12)) {
        let home = Home::new();
        let clean = CleanOptions::default();
        let other = CleanOptions { boilerplate: false, ..CleanOptions::default() };
        for step in steps {
            match step {
                Step::Read { first, count, edited, footer, other_source } => {
                    let items: Vec<Item> = (first..first + count).map(|n| {
                        let edit = if edited { " again" } else { "" };
                        let footer = if footer { FOOTER } else { "" };
                        item(&letter(n), n, &format!("<p>Of {}{edit}.</p>{footer}", letter(n)))
                    }).collect();
                    let source = if other_source { "https://y.org/feed" } else { FEED };
                    home.read(source, &items);
                }
                Step::Remove => {
                    let _ = home.library.remove_source(&SourceId(FEED.to_owned()));
                }
                Step::Other => home.ensure(&other),
            }
            if home.library.article_count().unwrap() > 0 {
                let before = home.library.changes().unwrap();
                home.ensure(&clean);
                let now = home.states(&clean);
                prop_assert!(now.values().all(|state| !state.is_empty()));
                let texts = home.texts(&clean);
                home.sqlite().execute_batch(
                    "DELETE FROM cleaned; DELETE FROM learned; DELETE FROM cleanings;"
                ).unwrap();
                home.ensure(&clean);
                prop_assert_eq!(home.texts(&clean), texts);
                prop_assert_eq!(home.states(&clean), now);
                prop_assert!(home.library.changes().unwrap() > before);
            }
        }
    }
}
