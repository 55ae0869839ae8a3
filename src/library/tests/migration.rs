//! Files of older schemas.

use std::io::Read;

use super::*;

/// A file of schema 1, with an article whose body is long, one of two revisions, one of two
/// sources, and what may be empty.
fn schema_1(path: &std::path::Path) {
    let sqlite = Connection::open(path).unwrap();
    sqlite.execute_batch(include_str!("../schema_1.sql")).unwrap();
    let long = "<p>Long words of the yard.</p>".repeat(5000);
    sqlite
        .execute_batch(&format!(
            "PRAGMA application_id = 2003979330;
             PRAGMA user_version = 1;
             PRAGMA foreign_keys = ON;
             INSERT INTO sources VALUES
                 ('https://x.org/feed', 'url', 'X', 'https://x.org/', 1000000,
                  '{{\"etag\":\"e\",\"last_modified\":null}}', 2000000, NULL, NULL,
                  '[\"00112233aabbccdd\"]', '6'),
                 ('/y', 'folder', NULL, NULL, 1000001, NULL, NULL, 'broken', 5, NULL, NULL);
             INSERT INTO articles VALUES
                 ('aaaaaaaaaaaaaaaa', 2, 'https://x.org/a', 'A', '[\"Ann\"]', 5000000, NULL,
                  '[\"t\"]', 'https://x.org/feed', 1000000, 2000000),
                 ('bbbbbbbbbbbbbbbb', 1, NULL, 'B', '[]', NULL, 6000000, '[]', '/y', 1000000,
                  1000000);
             INSERT INTO revisions VALUES
                 ('aaaaaaaaaaaaaaaa', 1, 'A0', 'html', '{long}', 'h1', 'full', 1000000),
                 ('aaaaaaaaaaaaaaaa', 2, 'A', 'html', '<p>Short.</p>', 'h2', 'linked_page', 2000000),
                 ('bbbbbbbbbbbbbbbb', 1, 'B', 'text', ' \t\n', 'h3', 'summary', 1000000);
             INSERT INTO memberships VALUES
                 (1, 'https://x.org/feed', 'aaaaaaaaaaaaaaaa', 'g', 1000000, 2000000),
                 (5, '/y', 'aaaaaaaaaaaaaaaa', NULL, 1000000, 2000000),
                 (7, '/y', 'bbbbbbbbbbbbbbbb', NULL, 1000000, 2000000);
             INSERT INTO marks VALUES ('url x.org/a', 'aaaaaaaaaaaaaaaa');
             INSERT INTO vectors VALUES (x'01', 'f', x'0000803f');"
        ))
        .unwrap();
}

#[test]
fn schema_1_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.sqlite");
    schema_1(&path);
    let error = Library::open_read_only(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Library);
    assert!(error.to_string().contains("older schema 1"), "{error}");

    let library = Library::open(&path).unwrap();
    assert_eq!(library.check().unwrap(), [""; 0]);
    let sources = library.sources().unwrap();
    assert_eq!(sources.len(), 2);
    assert_eq!(sources[0].title.as_deref(), Some("X"));
    assert_eq!(sources[1].error.as_deref(), Some("broken"));
    let source = SourceId(FEED.to_owned());
    assert_eq!(library.cursor(&source).unwrap(), cursor());
    let a = ArticleId("aaaaaaaaaaaaaaaa".to_owned());
    let article = library.article(&a).unwrap().unwrap();
    assert_eq!(article.content, Content::Html("<p>Short.</p>".to_owned()));
    assert_eq!((article.revision, article.extent), (2, Extent::LinkedPage));
    assert_eq!(article.meta.authors, ["Ann"]);
    assert_eq!(article.meta.other_sources, [SourceId("/y".to_owned())]);
    let first = library.article_at(&a, 1).unwrap().unwrap();
    assert_eq!((first.content.raw().len(), &*first.meta.title), (5000 * 30, "A0"));
    let hashes: Vec<String> =
        library.revisions(&a).unwrap().into_iter().map(|revision| revision.hash).collect();
    assert_eq!(hashes, ["h1", "h2"]);
    assert_eq!(library.vector_count().unwrap(), 1);
    assert_eq!(library.article_by_url("https://x.org/a").unwrap().unwrap().meta.id, a);

    // Nothing is cleaned yet, and that is seen.
    let clean = CleanOptions::default();
    let pending = library.pending(&clean, &BTreeMap::new()).unwrap();
    assert_eq!(pending.articles.len(), 2);
    assert!(pending.articles.iter().all(|(_, state)| state.is_empty()));
    assert_eq!(library.article_document(&a, &clean).unwrap(), None);
    library.ensure_cleaned(&clean, &|_| {}, &Cancel::default()).unwrap();
    let (_, revision, document) = library.article_document(&a, &clean).unwrap().unwrap();
    assert_eq!(revision, 2);
    assert_eq!(library.document(&document).unwrap().text, "Short.");
    // An empty body is known as one: a summary with words takes its place.
    let (is_empty, there): (bool, i64) = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT is_empty, (SELECT sum(is_empty) FROM revisions) FROM revisions
             WHERE article_id LIKE 'b%'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(is_empty && there == 1);
}

/// What an index compares of an article is as schema 4 wrote it, so none is indexed again.
#[test]
fn schema_4_gets_subtitles_and_keeps_its_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.sqlite");
    let mut one = item("one", 1, "<p>Text.</p>");
    let clean = CleanOptions::default();
    let source = SourceId(FEED.to_owned());
    let record = |item: &Item| {
        let library = Library::open(&path).unwrap();
        library.add_source(&source, SourceKind::Url, at(0)).unwrap();
        let items = std::slice::from_ref(item);
        let found = SourceItems { title: None, site: None, items };
        library.record(&source, found, &cursor(), &clean, at(1)).unwrap();
        let pending = library.pending(&clean, &BTreeMap::new()).unwrap().articles;
        let info = library.articles(&Default::default()).unwrap().remove(0);
        (pending[0].1.clone(), info.meta.subtitle)
    };
    let state = "953bf3d7dfeef6edfd2e29b14a2d964b";
    assert_eq!(record(&one), (state.to_owned(), None));
    Connection::open(&path)
        .unwrap()
        .execute_batch("ALTER TABLE articles DROP COLUMN subtitle; PRAGMA user_version = 4")
        .unwrap();
    let error = Library::open_read_only(&path).unwrap_err();
    assert!(error.to_string().contains("older schema 4"), "{error}");
    assert_eq!(record(&one), (state.to_owned(), None));
    one.article.subtitle = Some("Of wood".to_owned());
    assert_eq!(record(&one), (state.to_owned(), Some("Of wood".to_owned())));
}

/// A migration that is cut off leaves the file as it was.
#[test]
fn a_migration_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.sqlite");
    schema_1(&path);
    let sqlite = Connection::open(&path).unwrap();
    sqlite.execute_batch("CREATE TABLE cleanings (x)").unwrap();
    let error = Library::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Library);
    let bodies: i64 =
        sqlite.query_row("SELECT count(body) FROM revisions", [], |row| row.get(0)).unwrap();
    assert_eq!(bodies, 3);
    sqlite.execute_batch("DROP TABLE cleanings").unwrap();
    Library::open(&path).unwrap();
}

#[test]
fn the_backup_of_schema_1_opens_whole() {
    let folder = tempfile::tempdir().unwrap();
    let backup = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/backup_schema_1.zip");
    let mut zip = zip::ZipArchive::new(fs_err::File::open(backup).unwrap()).unwrap();
    let mut bytes = Vec::new();
    zip.by_name("library.sqlite").unwrap().read_to_end(&mut bytes).unwrap();
    let path = folder.path().join("library.sqlite");
    fs_err::write(&path, bytes).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let sqlite = Connection::open(&path).unwrap();
        let mut statement = sqlite.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values: Sql<Vec<_>> = (0..columns)
                .map(|at| row.get::<_, rusqlite::types::Value>(at).map(|v| format!("{v:?}")))
                .collect();
            values.map(|values| values.join("|"))
        });
        rows.unwrap().collect::<Sql<_>>().unwrap()
    };
    let kept = [
        "SELECT id, kind, title, site, added_at, cursor, synced_at, error FROM sources ORDER BY 1",
        "SELECT id, revision, url, title, authors, published, updated, tags, content_source,
             first_seen, changed_at FROM articles ORDER BY id",
        "SELECT article_id, revision, title, format, hash, extent, seen_at FROM revisions
         ORDER BY 1, 2",
        "SELECT seq, source_id, article_id, guid, first_seen, last_seen FROM memberships
         ORDER BY seq",
        "SELECT * FROM marks ORDER BY 1",
        "SELECT * FROM vectors ORDER BY 1, 2",
    ];
    let before: Vec<_> = kept.map(&rows).into();
    let bodies = rows("SELECT article_id, revision, body FROM revisions ORDER BY 1, 2");
    assert!(before.iter().all(|rows| !rows.is_empty()) && bodies.len() == 2);
    let library = Library::open(&path).unwrap();
    assert_eq!(kept.map(&rows).to_vec(), before);
    assert_eq!(rows("SELECT article_id, revision, body FROM bodies ORDER BY 1, 2"), bodies);
    // Each source carried its articles as they are now.
    assert_eq!(
        rows("SELECT article_id, url, hash FROM memberships ORDER BY seq"),
        rows(
            "SELECT a.id, a.url, r.hash FROM memberships m JOIN articles a ON a.id = m.article_id
             JOIN revisions r ON r.article_id = a.id AND r.revision = a.revision ORDER BY m.seq"
        )
    );
    let clean = CleanOptions::default();
    library.ensure_cleaned(&clean, &|_| {}, &Cancel::default()).unwrap();
    assert_eq!(library.pending(&clean, &BTreeMap::new()).unwrap().articles.len(), 2);
}
