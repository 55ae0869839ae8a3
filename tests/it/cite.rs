//! Drafts checked against the articles.

use serde_json::Value;

use crate::support::{Wellread, feed, is_valid, item, sample_feed};

const DRAFT: &str = "# The launch\n\nGunvor went down the slip at Brekkvik on 14 June 2025. [1] \
    It took 1,912 hours over twenty months.\n\nThe sail was cut by Eilif at Loft Nordlys. \
    Parliament abolished the tax on pesticides. Who paid for it?\n";

#[test]
fn each_sentence_of_a_draft_has_a_verdict_and_a_place() {
    let wellread = Wellread::new();
    let feed = sample_feed();
    let ran =
        wellread.run_with_input(&["--json", "cite", "-", "--source", &feed], DRAFT.as_bytes());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let checked: Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("cite", &checked);
    assert_eq!(checked["text"], DRAFT);
    let sentences = checked["sentences"].as_array().unwrap();
    let verdicts: Vec<(&str, &str)> = sentences
        .iter()
        .map(|one| (one["text"].as_str().unwrap(), one["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("The launch", "no_claim"),
            ("Gunvor went down the slip at Brekkvik on 14 June 2025. [1]", "supported"),
            ("It took 1,912 hours over twenty months.", "unsupported"),
            ("The sail was cut by Eilif at Loft Nordlys.", "supported"),
            ("Parliament abolished the tax on pesticides.", "unsupported"),
            ("Who paid for it?", "no_claim"),
        ]
    );
    let count = &checked["count"];
    assert_eq!([&count["supported"], &count["unsupported"], &count["no_claim"]], [2, 2, 2]);
    // The draft's bytes are the sentence, and the article's bytes the place's words.
    for one in sentences {
        let range = |of: &Value| of[0].as_u64().unwrap() as usize..of[1].as_u64().unwrap() as usize;
        assert_eq!(&DRAFT[range(&one["range"])], one["text"].as_str().unwrap());
        for place in one["places"].as_array().unwrap() {
            let id = place["article_id"].as_str().unwrap();
            let shown = wellread.json(&["show", id]);
            let holds = shown["sections"].as_array().unwrap().iter().any(|section| {
                let at = range(&section["range"]).start;
                let place_at = range(&place["range"]);
                let within = place_at.start.checked_sub(at).zip(place_at.end.checked_sub(at));
                within.is_some_and(|(start, end)| {
                    section["text"].as_str().unwrap().get(start..end) == place["text"].as_str()
                })
            });
            assert!(holds, "{place:#}");
        }
    }
    assert_eq!(sentences[2]["missing"]["missing"], "figure");
    assert_eq!(sentences[2]["missing"]["what"], "1,912");

    // As text, and with all of it supported.
    let ran = wellread.run_with_input(&["cite", "-"], DRAFT.as_bytes());
    assert_eq!(ran.code, Some(1));
    for part in [
        "✓ Gunvor went down the slip",
        "✗ It took 1,912 hours",
        "missing: the figure 1,912",
        "· The launch",
        "https://example.org/boatshed/launch",
        "2 of 4 sentences supported, 0 unsure, 2 not",
    ] {
        assert!(ran.stdout.contains(part), "{part} in {}", ran.stdout);
    }
    let all = wellread.succeeds(&["cite", "The sail was cut by Eilif at Loft Nordlys."]);
    assert!(all.contains("1 of 1 sentences supported"), "{all}");

    // A filter narrows where it is looked up.
    let ran = wellread.run(&[
        "cite",
        "--until",
        "2024-01-01",
        "The sail was cut by Eilif at Loft Nordlys.",
    ]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
}

#[test]
fn a_draft_that_cannot_be_checked_is_a_clear_error() {
    let wellread = Wellread::new();
    wellread.fails(&["cite", "It floats."], "there are no articles yet");
    wellread.succeeds(&["add", &sample_feed()]);
    wellread.fails(&["cite", " \n"], "the draft is empty");
    let many = "It is oak. ".repeat(501);
    wellread.fails(&["cite", &many], "501 sentences");
    wellread.run_with_input(&["cite", "-"], &b"x".repeat(300_000)).is_clear_error("300000 bytes");
    wellread.run_with_input(&["cite", "-"], b"\xff\xfe").is_clear_error("is not text");
    wellread.fails(&["cite", "It floats.", "--since", "soon"], "is not a date");
    // A sentence over the embedder's limit is looked up by its beginning.
    let long = format!("Gunvor leaks {}.", "and leaks ".repeat(2000));
    let ran = wellread.run(&["cite", &long]);
    assert!(ran.code == Some(0) || ran.code == Some(1), "{}", ran.stderr);
}

#[test]
fn article_text_is_shown_not_obeyed() {
    let wellread = Wellread::new();
    let text = "<p>The gauge\u{202e} is read at seven every morning by the miller.</p>";
    let file = wellread.file("feed.xml", feed(&item(1, "Gau\u{202e}ge", text)));
    let ran = wellread.run(&[
        "--json",
        "cite",
        "The gauge is read at seven by the miller.",
        "--source",
        &file,
    ]);
    assert!(!ran.stdout.contains('\u{202e}'), "{}", ran.stdout);
    let checked: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("cite", &checked);
    // It was found, and what a terminal would obey stands there as an escape.
    assert_eq!(checked["sentences"][0]["verdict"], "supported", "{checked:#}");
    assert!(ran.stdout.contains("\\u202e"), "{}", ran.stdout);
}
