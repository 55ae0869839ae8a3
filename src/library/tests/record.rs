//! Recording and learning.

use super::*;

#[test]
fn recording_learns_and_cleans_at_once() {
    let home = Home::new();
    let clean = CleanOptions::default();
    home.read(FEED, &letters());
    let texts = home.texts(&clean);
    assert_eq!(texts["gamma alpha"], "Of gamma alpha.");
    // Kept as it is, under other settings, without touching these.
    let keep = CleanOptions { keep_sources: vec![FEED.to_owned()], ..CleanOptions::default() };
    home.ensure(&keep);
    assert!(home.texts(&keep)["gamma alpha"].contains("Thank you"));
    assert_eq!(home.texts(&clean), texts);
}

#[test]
fn what_fails_between_recording_and_learning_leaves_neither() {
    let home = Home::new();
    let clean = CleanOptions::default();
    home.read(FEED, &letters()[..2]);
    let (before, number) = (home.states(&clean), home.library.changes().unwrap());
    home.sqlite()
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON learned
             BEGIN SELECT RAISE(ABORT, 'the machine stopped'); END",
        )
        .unwrap();
    let items = letters();
    let found = SourceItems { title: Some("New"), site: None, items: &items };
    let source = SourceId(FEED.to_owned());
    let new = Cursor { etag: Some("newer".to_owned()), ..Cursor::default() };
    let error = home.library.record(&source, found, &new, &clean, at(9)).unwrap_err();
    assert!(error.chain().contains("the machine stopped"), "{}", error.chain());
    assert_eq!(home.library.article_count().unwrap(), 2);
    assert_eq!(home.library.cursor(&source).unwrap(), cursor());
    assert_eq!(home.states(&clean), before);
    assert_eq!(home.library.changes().unwrap(), number);
    home.sqlite().execute_batch("DROP TRIGGER broken").unwrap();
    home.library.record(&source, found, &new, &clean, at(9)).unwrap();
    assert_eq!(home.texts(&clean)["gamma alpha"], "Of gamma alpha.");
}

#[test]
fn a_learned_set_that_changes_touches_the_articles_that_it_is_about() {
    let home = Home::new();
    let clean = CleanOptions::default();
    let plain = |n| item(&letter(n), n, &format!("<p>Of {}.</p>", letter(n)));
    let mut items: Vec<Item> = (0..4).map(plain).collect();
    items.extend((4..6).map(|n| item(&letter(n), n, &format!("<p>Of {}.</p>{FOOTER}", letter(n)))));
    home.read(FEED, &items);
    assert!(home.texts(&clean)["epsilon alpha"].contains("Thank you"));
    let before = home.states(&clean);
    // With a third of seven, it repeats.
    home.read(FEED, &[item(&letter(6), 6, &format!("<p>Of {}.</p>{FOOTER}", letter(6)))]);
    let now = home.states(&clean);
    let texts = home.texts(&clean);
    assert!(texts.values().all(|text| !text.contains("Thank you")), "{texts:?}");
    let changed = before.iter().filter(|(id, state)| now[*id] != **state).count();
    assert_eq!(changed, 2);
    let pending = home.library.pending(&clean, &before).unwrap();
    assert_eq!((pending.articles.len(), pending.unchanged), (3, 4));
    // With three of eight, it does not.
    home.read(FEED, &[plain(7)]);
    assert_eq!(home.texts(&clean).values().filter(|text| text.contains("Thank you")).count(), 3);
}

#[test]
fn the_newest_articles_decide_what_repeats() {
    let home = Home::new();
    let clean = CleanOptions { repeated_share: 0.6, ..CleanOptions::default() };
    let old = "<p>This was the old closing of it all.</p>";
    let new = "<p>Here is the newer end of our letters.</p>";
    // Ids are hashes: neither order of ids nor of the feed has to do with days.
    let items: Vec<Item> = (0..500)
        .map(|n| {
            let closing = if n < 250 { old } else { new };
            let words = format!("{}x{}", letter(n % 81), "y".repeat((n / 81) as usize + 1));
            item(&format!("p{n}"), n, &format!("<p>On {words} itself.</p>{closing}"))
        })
        .collect();
    home.read_with(FEED, &items, &clean);
    let texts = home.texts(&clean);
    assert!(!texts["p499"].contains("newer end"), "{}", texts["p499"]);
    assert!(texts["p0"].contains("old closing"), "{}", texts["p0"]);
}

#[test]
fn an_article_changes_its_state_with_what_is_known_of_it_and_its_text() {
    let home = Home::new();
    let clean = CleanOptions::default();
    let mut one = item("one", 1, "<p>Text.</p>");
    home.read(FEED, std::slice::from_ref(&one));
    let state = || home.states(&clean).into_values().next().unwrap();
    let mut seen = vec![state()];
    let mut number = home.library.changes().unwrap();
    let mut check = |is_new: bool| {
        let now = state();
        assert_eq!(!seen.contains(&now), is_new);
        let after = home.library.changes().unwrap();
        assert_eq!(after != number, is_new);
        seen.push(now);
        number = after;
    };
    home.read(FEED, std::slice::from_ref(&one));
    check(false);
    one.article.content = Content::Html("<p>Other text.</p>".to_owned());
    home.read(FEED, std::slice::from_ref(&one));
    check(true);
    one.article.tags.push("wood".to_owned());
    home.read(FEED, std::slice::from_ref(&one));
    check(true);
    one.article.title = "Two".to_owned();
    home.read(FEED, std::slice::from_ref(&one));
    check(true);
    home.read("https://y.org/feed", std::slice::from_ref(&one));
    check(true);
    home.library.remove_source(&SourceId(FEED.to_owned())).unwrap();
    home.ensure(&clean);
    check(true);
}

#[test]
fn a_subtitle_comes_with_the_next_reading_and_needs_no_revision() {
    let home = Home::new();
    let clean = CleanOptions::default();
    let mut one = item("one", 1, "<p>Text.</p>");
    home.read(FEED, std::slice::from_ref(&one));
    let (states, number) = (home.states(&clean), home.library.changes().unwrap());
    let mut read = |subtitle: Option<&str>| {
        one.article.subtitle = subtitle.map(str::to_owned);
        let recorded = home.read(FEED, std::slice::from_ref(&one));
        assert_eq!((recorded.changed.len(), recorded.unchanged), (0, 1));
        let info = home.library.articles(&Default::default()).unwrap().remove(0);
        let article = home.library.article(&info.meta.id).unwrap().unwrap();
        assert_eq!((info.revision, article.meta), (1, info.meta.clone()));
        info.meta.subtitle
    };
    assert_eq!(read(None), None);
    assert_eq!(read(Some("Of wood")).as_deref(), Some("Of wood"));
    assert_eq!(read(Some("Of oak")).as_deref(), Some("Of oak"));
    // A reading without one says nothing against it.
    assert_eq!(read(None).as_deref(), Some("Of oak"));
    // No index is made from it.
    assert_eq!(home.states(&clean), states);
    assert_eq!(home.library.changes().unwrap(), number);
    // One that is there from the start.
    let mut two = item("two", 2, "<p>Other text.</p>");
    two.article.subtitle = Some("Of ash".to_owned());
    home.read(FEED, &[two]);
    let newest = home.library.articles(&Default::default()).unwrap().remove(0);
    assert_eq!(newest.meta.subtitle.as_deref(), Some("Of ash"));
}

/// A title that can't be read is an error for whoever looks at all titles.
#[test]
fn a_look_up_by_url_looks_at_one_article() {
    let home = Home::new();
    home.read(FEED, &letters());
    home.sqlite()
        .execute("UPDATE articles SET title = CAST(x'ff' AS TEXT) WHERE title = 'beta alpha'", [])
        .unwrap();
    assert!(home.library.find_articles("https://x.org/zeta alpha").is_err());
    let found = home.library.article_by_url("https://x.org/zeta alpha").unwrap().unwrap();
    assert_eq!((&*found.meta.title, found.extent), ("zeta alpha", Extent::Full));
    assert_eq!(home.library.article_by_url("https://x.org/none").unwrap(), None);
    assert_eq!(home.library.article_by_url("zeta alpha").unwrap(), None);
}

/// Items that share a GUID and, if one is given, a link.
fn under_one_guid(url: Option<&str>, texts: &[(&str, &str)]) -> Vec<Item> {
    texts
        .iter()
        .map(|(title, text)| {
            let mut item = item("shared", 1, &format!("<p>{text}</p>"));
            item.article.title = (*title).to_owned();
            item.article.url = url.map(str::to_owned);
            item
        })
        .collect()
}

#[test]
fn two_items_of_one_guid_with_different_texts_are_two_articles() {
    for url in [None, Some("https://x.org/shared")] {
        let home = Home::new();
        let clean = CleanOptions::default();
        let titles = || home.texts(&clean).into_iter().collect::<Vec<_>>();
        let pair = |title: &str, text: &str| (title.to_owned(), text.to_owned());
        // The first is alone, then the second stands before it.
        home.read(FEED, &under_one_guid(url, &[("A", "One.")]));
        let first = home.states(&clean).into_keys().next().unwrap();
        let both = under_one_guid(url, &[("B", "Two."), ("A", "One.")]);
        let recorded = home.read(FEED, &both);
        assert_eq!((recorded.added.len(), recorded.unchanged, recorded.duplicates), (1, 1, 0));
        assert!(recorded.changed.is_empty());
        assert!(recorded.warnings[0].contains("x.org/shared\" stands on 2"), "{recorded:?}");
        let second = recorded.added[0].clone();
        assert_eq!(titles(), [pair("A", "One."), pair("B", "Two.")]);
        // Read again, in any order, they are the same.
        let turned = under_one_guid(url, &[("A", "One."), ("B", "Two."), ("B", "Two.")]);
        let recorded = home.read(FEED, &turned);
        assert_eq!((recorded.unchanged, recorded.duplicates), (2, 1));
        // An edit is a revision of the one that has the title.
        let edited = under_one_guid(url, &[("A", "One."), ("B", "Two and more.")]);
        assert_eq!(home.read(FEED, &edited).changed, std::slice::from_ref(&second));
        // Alone again, each is what it was, and edited, too.
        let recorded = home.read(FEED, &under_one_guid(url, &[("B", "Two and more.")]));
        assert_eq!((recorded.unchanged, recorded.added.len()), (1, 0));
        let recorded = home.read(FEED, &under_one_guid(url, &[("A", "One, in the end.")]));
        assert_eq!(recorded.changed, std::slice::from_ref(&first));
        let recorded = home.read(FEED, &under_one_guid(url, &[("B", "Three.")]));
        assert_eq!(recorded.changed, [second]);
        assert_eq!(titles(), [pair("A", "One, in the end."), pair("B", "Three.")]);
        // What can't be told is an article of its own: nothing is overwritten.
        let recorded = home.read(FEED, &under_one_guid(url, &[("C", "Four.")]));
        assert_eq!(recorded.added.len(), 1);
        assert_eq!(titles().len(), 3);
    }
}

/// A feed that gave a GUID twice, then to one, then gives it up: what it is read for the second
/// time is what it was the first time.
#[test]
fn a_feed_that_drops_its_guids_brings_nothing_twice() {
    let home = Home::new();
    let items = |of: &[(Option<&str>, Option<&str>, &str, &str)]| -> Vec<Item> {
        let all = of.iter().map(|(guid, link, title, text)| {
            let mut item = item("x", 1, &format!("<p>{text}</p>"));
            item.article.guid = guid.map(str::to_owned);
            item.article.url = link.map(str::to_owned);
            item.article.title = (*title).to_owned();
            item
        });
        all.collect()
    };
    let guid = Some("g2");
    let reads = [
        items(&[(guid, None, "A", "One."), (guid, Some("https://x.org/1"), "A", "One.")]),
        items(&[(guid, None, "A", "One.")]),
        items(&[
            (None, Some("https://x.org/2"), "A", "Two."),
            (None, Some("https://x.org/2"), "A", "One."),
        ]),
        items(&[(guid, None, "A", "One.")]),
    ];
    for read in reads {
        home.read(FEED, &read);
        let again = home.read(FEED, &read);
        assert_eq!((again.added.len(), again.changed.len()), (0, 0), "{read:?}");
    }
}

#[test]
fn a_feed_that_gives_all_items_one_guid_goes_by_link() {
    let home = Home::new();
    let items = |names: &[&str]| -> Vec<Item> {
        let all = names.iter().map(|name| {
            let mut item = item(name, 1, "<p>Photo.</p>");
            item.article.guid = Some("1".to_owned());
            item.article.title = "Photo".to_owned();
            item
        });
        all.collect()
    };
    assert_eq!(home.read(FEED, &items(&["a", "b"])).added.len(), 2);
    assert_eq!(home.read(FEED, &items(&["a", "b", "c"])).added.len(), 1);
    assert_eq!(home.read(FEED, &items(&["d"])).added.len(), 1);
    assert_eq!(home.read(FEED, &items(&["d"])).unchanged, 1);
    assert_eq!(home.read(FEED, &items(&["b"])).unchanged, 1);
    assert_eq!(home.library.article_count().unwrap(), 4);
}

proptest! {
    /// Whatever a feed does with GUIDs, links and texts: every text that it ever had is kept, what
    /// it has now is found at newest revisions, and read again it brings nothing new.
    #[test]
    fn no_text_is_lost(
        reads in proptest::collection::vec(
            proptest::collection::vec((0..3u8, 0..3u8, 0..3u8, 0..4u8), 0..5), 1..6)
    ) {
        let home = Home::new();
        for read in reads {
            let items: Vec<Item> = read.iter().map(|(guid, link, title, text)| {
                let mut item = item("x", 1, &format!("<p>Text {text}.</p>"));
                item.article.guid = (*guid > 0).then(|| format!("g{guid}"));
                item.article.url = (*link > 0).then(|| format!("https://x.org/{link}"));
                item.article.title = format!("T{title}");
                item
            }).collect();
            home.read(FEED, &items);
            let sqlite = home.sqlite();
            for item in &items {
                let hash = identity::content_hash(&item.article.title, &item.article.content);
                let kept: bool = sqlite.query_row(
                    "SELECT EXISTS (SELECT 1 FROM articles a JOIN revisions r
                         ON r.article_id = a.id AND r.revision = a.revision WHERE r.hash = ?1)",
                    [&hash], |row| row.get(0)).unwrap();
                prop_assert!(kept, "{} {}", item.article.title, item.article.content.raw());
            }
            let again = home.read(FEED, &items);
            let brings_nothing = again.added.is_empty() && again.changed.is_empty();
            prop_assert!(brings_nothing, "{:?}", again);
        }
    }
}

#[test]
fn parts_of_a_source_are_told_apart_as_its_whole_is() {
    let home = Home::new();
    let clean = CleanOptions::default();
    let source = SourceId("/notes".to_owned());
    home.library.add_source(&source, SourceKind::Folder, at(0)).unwrap();
    let file = |place: &str, text: &str| Item {
        article: ParsedArticle {
            title: "Note".to_owned(),
            content: Content::Text(text.to_owned()),
            ..item("", 0, "").article
        },
        place: Some(place.to_owned()),
    };
    let read = |parts: [Item; 2]| {
        let mut claimed = Claimed::default();
        for item in parts {
            let item =
                Item { article: ParsedArticle { guid: None, url: None, ..item.article }, ..item };
            let found = SourceItems { title: None, site: None, items: &[item] };
            let cursor = Cursor::default();
            home.library.record_part(&source, found, &cursor, &clean, at(1), &mut claimed).unwrap();
        }
        let all = home.library.articles(&Default::default()).unwrap();
        let mut texts: Vec<String> = all
            .iter()
            .map(|info| home.library.article(&info.meta.id).unwrap().unwrap())
            .map(|article| article.content.raw().to_owned())
            .collect();
        texts.sort();
        texts
    };
    // Two files that are the same are one article, until one of them changes.
    assert_eq!(read([file("a.txt", "Oak."), file("b.txt", "Oak.")]), ["Oak."]);
    assert_eq!(read([file("a.txt", "Oak."), file("b.txt", "Ash.")]), ["Ash.", "Oak."]);
    assert_eq!(read([file("a.txt", "Oak."), file("b.txt", "Elm.")]), ["Elm.", "Oak."]);
}
