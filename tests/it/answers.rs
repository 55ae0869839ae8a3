//! From a feed to a cited answer, with the real models.

use crate::support::*;

#[test]
fn the_sample_feed_is_asked_and_the_second_time_nothing_is_embedded() {
    let wellread = Wellread::new();
    let feed = sample_feed();
    let question = "How long must the cramps stay on oak glued at eighteen degrees?";
    let first = wellread.run(&["-v", "ask", "--source", &feed, question]);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    assert!(first.stderr.contains("Embedding"), "{}", first.stderr);
    assert!(first.stdout.to_lowercase().contains("ten hours"), "{}", first.stdout);
    assert!(first.stdout.contains("[1]"), "{}", first.stdout);
    assert!(
        first.stdout.contains("A correction: the glue needs longer › What is right (2024-09-22) https://example.org/boatshed/correction-glue"),
        "{}",
        first.stdout
    );

    let second = wellread.run(&["-v", "--offline", "--json", "ask", "--source", &feed, question]);
    assert_eq!(second.code, Some(0), "{}{}", second.stdout, second.stderr);
    assert!(!second.stderr.contains("Embedding"), "{}", second.stderr);
    let answer: serde_json::Value = serde_json::from_str(&second.stdout).unwrap();
    is_valid("ask", &answer);
    assert_eq!(answer["status"], "answered");
    // Each citation points into the stored text, and what stands there says it.
    for sentence in answer["sentences"].as_array().unwrap() {
        let n = sentence["citations"][0].as_u64().unwrap();
        let passage = answer["passages"].as_array().unwrap().iter().find(|p| p["n"] == n).unwrap();
        let shown = wellread.json(&["show", passage["article_id"].as_str().unwrap()]);
        let text: String = shown["sections"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|section| section["heading_path"] == passage["heading_path"])
            .map(|section| section["text"].as_str().unwrap())
            .collect();
        assert!(text.contains(passage["text"].as_str().unwrap().trim()), "{text}");
    }

    // How quick the LLM is here is known now: where there is no time, it reads less.
    let hurried = wellread.json(&["ask", "--set", "answer.max_seconds=1", question]);
    assert_eq!(hurried["status"], "answered");
    let read = |answer: &serde_json::Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(read(&hurried) < read(&answer) / 4 * 3, "{} {}", read(&hurried), read(&answer));
}

/// Whether the articles answer is told by the nearest chunk's cosine, also where it ranks no hits.
#[test]
fn what_words_alone_find_is_answered_from() {
    const BY_WORDS: [&str; 2] = ["--set", "retrieval.fusion=bm25"];
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let search = [&["search", "-k", "100", "varnish"][..], &BY_WORDS].concat();
    let hits = wellread.json(&search)["hits"].clone();
    let hits = hits.as_array().unwrap();
    assert!(!hits.is_empty());
    for hit in hits {
        let scores = &hit["scores"];
        assert!(scores["sparse"].is_number() && scores["dense"].is_null(), "{hit:#}");
    }

    let question = "How long must the cramps stay on oak glued at eighteen degrees?";
    let ran = wellread.run(&[&["--json", "ask", question][..], &BY_WORDS].concat());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("ask", &answer);
    assert_eq!(answer["status"], "answered", "{answer:#}");
    let sentences = answer["sentences"].as_array().unwrap();
    assert!(!sentences.is_empty(), "{answer:#}");
    for sentence in sentences {
        assert!(!sentence["citations"].as_array().unwrap().is_empty(), "{answer:#}");
    }
}

#[test]
fn what_the_articles_do_not_say_is_declined() {
    let wellread = Wellread::new();
    let feed = sample_feed();
    let question = "Which antibiotic is given for pneumonia?";
    let ran = wellread.run(&["ask", "--source", &feed, question]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("The articles don't say"), "{}", ran.stdout);
    let ran = wellread.run(&["--json", "ask", "--source", &feed, question]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("ask", &answer);
    assert_eq!(
        (&answer["status"], &answer["abstain_reason"]),
        (&"abstained".into(), &"low_confidence".into())
    );
}

#[test]
fn a_question_about_a_subtitle_is_answered_from_the_library() {
    const BODY: &str = "<p>The keel lies on the blocks, and nothing more is to be read elsewhere.</p>\
                        <p>It was sawn in spring from one trunk, and it has dried since.</p>";
    let subtitled = |item: String, subtitle: &str| {
        item.replace("</item>", &format!("<description>{subtitle}</description></item>"))
    };
    let keel = item(1, "The keel in spring", BODY);
    let ribs = item(2, "Ribs at last", &BODY.replace("keel", "rib"));
    let mast = item(3, "A mast in review", "<p>I would not bet on the mast: it is of pine.</p>");
    let wellread = Wellread::new();
    let read =
        |items: String| wellread.succeeds(&["sync", &wellread.file("feed.xml", feed(&items))]);
    let bare = feed(&format!("{keel}{ribs}{mast}"));
    wellread.succeeds(&["add", &wellread.file("feed.xml", bare)]);
    let meta = |title: &str| wellread.json(&["show", title])["article"].clone();
    assert_eq!(meta("Ribs at last")["subtitle"], serde_json::Value::Null);

    // They come to articles that are there already, and nothing is indexed for that.
    let bet = "Three planks I&#8217;d bet my <i>oars</i> on";
    read(
        subtitled(keel, "The keel lies on the blocks, and nothing […]")
            + &subtitled(ribs, bet)
            + &mast,
    );
    let shown = wellread.json(&["show", "Ribs at last"]);
    is_valid("article", &shown);
    assert_eq!(shown["article"]["subtitle"], "Three planks I’d bet my oars on");
    assert_eq!(shown["revision"], 1);
    assert_eq!(meta("The keel in spring")["subtitle"], serde_json::Value::Null);
    let text = wellread.succeeds(&["show", "Ribs at last"]);
    assert_eq!(text.lines().nth(1), Some("Three planks I’d bet my oars on"), "{text}");

    let question = "Which post has the subtitle about betting oars, and when did it appear?";
    let answer = wellread.json(&["ask", question]);
    is_valid("ask", &answer);
    assert_eq!(
        answer["answer"],
        "“Ribs at last” (subtitle: “Three planks I’d bet my oars on”) was published on 3 April 2025. [1]"
    );
    assert_eq!(answer["passages"][0]["title"], "Ribs at last");
    assert_eq!(answer["usage"]["prompt_tokens"], 0, "no LLM is asked");
    assert_eq!(
        wellread.json(&["ask", "What is the subtitle of “Ribs at last”?"])["answer"],
        "The subtitle of “Ribs at last” is “Three planks I’d bet my oars on”. [1]"
    );
}

#[test]
fn a_source_that_names_no_site_is_known_by_where_its_articles_are() {
    let wellread = Wellread::small();
    let at = |host: &str, title: &str, item: String| {
        feed(&item)
            .replace("<link>https://example.org/</link>", "")
            .replace("https://example.org", host)
            .replace("Test feed", title)
    };
    let boats = item(1, "Gluing", "<p>The glue needs four hours.</p>");
    let boats = at("https://boats.example.net", "Of planks", boats);
    let tides = at("https://tides.example.net", "Of water", item(5, "Ebb", "<p>It falls.</p>"));
    wellread.succeeds(&["add", &wellread.file("boats.xml", boats)]);
    wellread.succeeds(&["add", &wellread.file("tides.xml", tides)]);
    let newest = |host: &str| {
        let question = format!("Which is the newest of the {host} articles I have?");
        wellread.json(&["ask", &question])["answer"].as_str().unwrap().to_owned()
    };
    let said = newest("boats.example.net");
    assert!(said.contains("“Gluing” of 2 April 2025"), "{said}");
    let said = newest("tides.example.net");
    assert!(said.contains("“Ebb” of 6 April 2025"), "{said}");
}

#[test]
fn who_writes_what_there_is_and_what_is_on_a_topic_come_from_the_library() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let asked = |question: &str| {
        let answer = wellread.json(&["ask", question]);
        is_valid("ask", &answer);
        assert_eq!(answer["usage"]["prompt_tokens"], 0, "no LLM is asked: {question}");
        answer["answer"].as_str().unwrap().to_owned()
    };
    let said = asked("Who are the authors?");
    assert_eq!(said, "Nine posts were written by one author.\n- Jorunn Aas: nine posts [1]");
    let said = asked("Which feeds do I have?");
    assert!(
        said.contains("one source") && said.contains("The Slow Boatshed: nine posts"),
        "{said}"
    );
    let said = asked("Which posts mention tar?");
    assert!(said.contains("“Tar, oil and varnish”"), "{said}");
    let said = asked("What is the newest post about?");
    assert!(
        said.starts_with("The newest post is “She floats” of 6 July 2025. [1]\n“She"),
        "{said}"
    );
    let said = asked("How many posts came out in the second half of 2024, and which is the last?");
    assert!(said.contains("posts were published from 1 July to 31 December 2024."), "{said}");
    assert!(said.contains("The newest is “"), "{said}");
    // No article has the word, so that none is listed.
    let none = wellread.run(&["--json", "ask", "--quotes", "Which posts mention zeppelins?"]);
    let none: serde_json::Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!(none["status"], "abstained", "{none}");
}

#[test]
fn a_topic_alone_is_answered_by_what_names_it() {
    let wellread = Wellread::small();
    let feed = sample_feed();
    let args = ["--source", &feed, "--set", "answer.caution=high", "tar"];
    let answer = wellread.json(&[&["ask"][..], &args].concat());
    is_valid("ask", &answer);
    assert_eq!(answer["status"], "answered");
    let text = answer["answer"].as_str().unwrap();
    assert!(text.to_lowercase().contains("tar"), "{text}");
    assert_ne!(answer["sentences"][0]["citations"], serde_json::json!([]));
}

#[test]
fn search_finds_sections_and_filters_inside_the_search() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let found = wellread.json(&["search", "-k", "5", "how long does the glue harden"]);
    is_valid("search", &found);
    assert_eq!(found["hits"].as_array().unwrap().len(), 5);
    let titles = |args: &[&str]| {
        wellread.json(args)["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["title"].as_str().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let one = ["Steam".to_owned()].into();
    assert_eq!(titles(&["search", "--title", "STEAM", "glue"]), one);
    assert_eq!(titles(&["search", "--tag", "bending", "glue"]), one);
    assert_eq!(
        titles(&["search", "--since", "2025-05-01", "glue"]),
        ["She floats".to_owned()].into()
    );
    assert_eq!(
        titles(&["search", "--until", "2023-12-01", "glue"]),
        ["A boat for the long shed".to_owned()].into()
    );
    assert_eq!(titles(&["search", "-k", "100", "--author", "Jorunn Aas", "glue"]).len(), 9);
    let late = ["search", "--since", "2030-01-01", "glue"];
    is_valid("search", &wellread.json(&late));
    assert!(titles(&late).is_empty());
}

#[test]
fn a_filter_that_nothing_can_pass_is_an_error_that_names_what_is_near() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    for command in [&["search", "glue"][..], &["ask", "glue?"], &["cite", "Glue."], &["chat"]] {
        let said = wellread.fails(
            &[command, &["--author", "Jorun Aas"]].concat(),
            "there is no author \"Jorun Aas\"",
        );
        assert!(said.contains("did you mean \"Jorunn Aas\"?"), "{said}");
    }
    wellread.fails(&["search", "--tag", "none", "glue"], "there is no tag \"none\"");
    wellread.fails(&["search", "--title", " ", "glue"], "title is blank");
    let day = "2025-05-01";
    let never = ["search", "--since", day, "--until", day, "glue"];
    wellread.fails(&never, "nothing can be both");
    // What a new source has is known once it is read.
    let tar = item(1, "Tar", "<p>Tar needs a warm day.</p>")
        .replace("</item>", "<category>tarring</category></item>");
    let new = wellread.file("new.xml", feed(&tar));
    let found = wellread.json(&["search", "--source", &new, "--tag", "tarring", "tar"]);
    assert_eq!(found["hits"][0]["title"], "Tar");
    let wrong = ["search", "--source", &new, "--tag", "tarrin", "tar"];
    assert!(wellread.fails(&wrong, "there is no tag").contains("tarring"));
}

#[test]
fn a_word_that_no_article_has_is_taken_for_a_typing_error() {
    let wellread = Wellread::new();
    wellread.succeeds(&["add", &sample_feed()]);
    let ran = wellread.run(&["--json", "search", "-k", "3", "how is the varnich thinned"]);
    assert!(
        ran.stderr.contains("no article has the word “varnich”; searched for “varnish”"),
        "{}",
        ran.stderr
    );
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    is_valid("search", &found);
    assert_eq!(found["mended"], serde_json::json!([{"typed": "varnich", "meant": "varnish"}]));
    let meant = wellread.json(&["search", "-k", "3", "how is the varnish thinned"]);
    assert_eq!(found["hits"], meant["hits"]);
    let as_typed = ["search", "--set", "retrieval.mend=false", "how is the varnich thinned"];
    assert_eq!(wellread.json(&as_typed)["mended"], serde_json::json!([]));
}

#[test]
fn a_larger_llm_is_asked_where_the_first_gives_no_answer() {
    let wellread = Wellread::small();
    let feed = sample_feed();
    let ask = |larger: &str| {
        let larger = format!("answer.escalate={larger}");
        let question = "What did the hull weigh?";
        let args = ["--json", "ask", "--source", &feed, "--set", "answer.caution=high"];
        wellread.run(&[&args[..], &["--set", &larger, question]].concat())
    };
    let answer: serde_json::Value = serde_json::from_str(&ask("").stdout).unwrap();
    assert_eq!((&answer["status"], &answer["escalated"]), (&"abstained".into(), &().into()));
    let answer: serde_json::Value =
        serde_json::from_str(&ask("qwen2.5-coder-1.5b-instruct").stdout).unwrap();
    is_valid("ask", &answer);
    assert_eq!(answer["escalated"], true);
    let model = answer["model"].as_str().unwrap();
    assert!(model.starts_with("Qwen") || model.starts_with("qwen"), "{model}");
    ask("none-such").is_clear_error("none-such");
}

#[test]
fn the_real_feed_says_what_chunk_size_and_not_what_it_costs() {
    let Some(feed) = shared("articles/feed.xml") else { return };
    let feed = feed.display().to_string();
    let wellread = Wellread::new();
    let question = "What chunk size does the author recommend for RAG?";
    let ran = wellread.run(&["--json", "ask", "--source", &feed, question]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = answer["answer"].as_str().unwrap();
    assert!(text.contains("300") && text.contains("500"), "{text}");
    let n = &answer["sentences"][0]["citations"][0];
    let cited = answer["passages"].as_array().unwrap().iter().find(|p| p["n"] == *n).unwrap();
    assert_eq!(cited["title"], "5 steps for your first RAG setup");
    assert_eq!(cited["heading_path"], serde_json::json!(["RAG best practices"]));

    let ran = wellread.run(&[
        "--json",
        "ask",
        "--source",
        &feed,
        "What does the subscription cost in dollars?",
    ]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn an_edited_article_is_indexed_again_and_a_removed_source_is_gone() {
    let wellread = Wellread::small();
    let path = wellread.file(
        "feed.xml",
        feed(
            &(item(1, "Gluing", "<p>The glue needs four hours.</p>")
                + &item(2, "Varnish", "<p>Each coat dries for two days.</p>")),
        ),
    );
    wellread.succeeds(&["add", &path]);
    wellread.file(
        "feed.xml",
        feed(&item(1, "Gluing", "<p>The glue needs ten hours, not as long as before.</p>")),
    );
    wellread.succeeds(&["sync"]);
    let found = wellread.json(&["search", "how long does glue take"]);
    let texts: Vec<&str> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect();
    assert!(texts[0].contains("ten hours"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("four hours")), "{texts:?}");
    // Leaving the feed is not deletion.
    assert!(texts.iter().any(|text| text.contains("two days")), "{texts:?}");
    assert_eq!(found["hits"][0]["revision"], 2);
    let articles = wellread.json(&["articles"]);
    assert_eq!(articles["articles"].as_array().unwrap().len(), 2);

    wellread.succeeds(&["remove", &path]);
    let found = wellread.json(&["--json", "articles"]);
    assert!(found["articles"].as_array().unwrap().is_empty());
    let status = wellread.json(&["index", "status"]);
    assert_eq!(status["pending"], 0);
}

#[test]
fn a_generation_can_be_gone_back_to_and_rebuilding_embeds_nothing() {
    let wellread = Wellread::small();
    let path =
        wellread.file("feed.xml", feed(&item(1, "Gluing", "<p>The glue needs four hours.</p>")));
    wellread.succeeds(&["add", &path]);
    let built = wellread.json(&["index", "rebuild"]);
    assert_eq!((&built["embedded"], &built["chunks"]), (&0.into(), &1.into()));
    assert_eq!(wellread.json(&["index", "status"])["live"], "g000002");
    wellread.succeeds(&["index", "rollback"]);
    assert_eq!(wellread.json(&["index", "status"])["live"], "g000001");
    assert_eq!(wellread.json(&["search", "glue"])["hits"].as_array().unwrap().len(), 1);
    wellread.fails(&["index", "rollback"], "first");
    wellread.succeeds(&["doctor"]);
}

#[test]
fn several_read_while_one_rebuilds() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let wanted = wellread.json(&["search", "-k", "3", "varnish"])["hits"].clone();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..4 {
                wellread.succeeds(&["index", "rebuild"]);
            }
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..8 {
                        assert_eq!(
                            wellread.json(&["search", "-k", "3", "varnish"])["hits"],
                            wanted
                        );
                    }
                })
            })
            .collect();
        writer.join().expect("the writer");
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
    });
}

#[test]
fn help_is_as_it_was_looked_at() {
    let wellread = Wellread::new();
    insta::assert_snapshot!("help", wellread.succeeds(&["--help"]));
    insta::assert_snapshot!("help_ask", wellread.succeeds(&["ask", "--help"]));
    insta::assert_snapshot!("help_index", wellread.succeeds(&["index", "--help"]));
    let filters = vec![
        (r"(?m)^(cache|data) .*$", "$1 = [folder]"),
        (r"wellread/[\d.]+ ", "wellread/[version] "),
    ];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!("config", wellread.succeeds(&["config"]));
    });
}

#[test]
fn the_example_of_machine_use_works() {
    let wellread = Wellread::new();
    let script = wellread.succeeds(&["completions", "bash"]);
    assert!(script.contains("_wellread"), "{script}");
    let config = wellread.env("WELLREAD_ANSWER_MAX_TOKENS", "77").json(&["config"]);
    assert_eq!(config["answer.max_tokens"]["value"], 77);
    assert_eq!(config["answer.max_tokens"]["origin"], "WELLREAD_ANSWER_MAX_TOKENS");
}
