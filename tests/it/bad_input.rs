//! Everything that can be wrong with what a user gives: one clear message with a way out, the right
//! exit code, no panic, and nothing stored is lost.

use std::io::Read;
use std::process::Stdio;

use crate::support::*;

const GOOD: &str = "<h2>Glue</h2><p>The glue needs four hours to harden in a warm shed.</p>";

/// A library with one article in it, made by the real binary.
fn with_one_article() -> Wellread {
    let wellread = Wellread::small();
    let feed = wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    wellread.succeeds(&["add", &feed]);
    wellread
}

#[track_caller]
fn still_there(wellread: &Wellread) {
    let found = wellread.json(&["search", "how long does glue harden"]);
    assert_eq!(found["hits"][0]["title"], "Gluing a joint");
}

#[test]
fn an_unknown_source_is_named() {
    let wellread = Wellread::new();
    wellread.fails(&["add", "no-such-file.xml"], "no-such-file.xml");
    wellread.fails(&["ask", "--source", "no-such-file.xml", "why?"], "no-such-file.xml");
    wellread.fails(&["add", "gopher://example.org/x"], "gopher");
    wellread.fails(&["sync", "never-added.xml"], "never-added.xml");
    wellread.fails(&["remove", "never-added.xml"], "never-added.xml");
    wellread.fails(&["show", "no such article"], "no such article");
}

#[test]
fn a_page_that_is_not_there_is_a_404() {
    let wellread = with_one_article();
    let server = serve(|_| http("404 Not Found", "", b"gone"));
    let url = format!("{server}/feed.xml");
    let stderr = wellread.fails(&["add", "--allow-private", &url], "404");
    assert!(stderr.contains(&url), "{stderr}");
    still_there(&wellread);
}

#[test]
fn a_private_address_is_refused_unless_allowed() {
    let wellread = Wellread::new();
    let server = serve(|_| http("200 OK", "", feed(&item(1, "Gluing a joint", GOOD)).as_bytes()));
    wellread.fails(&["add", &format!("{server}/feed.xml")], "private");
    wellread.succeeds(&["add", "--allow-private", &format!("{server}/feed.xml")]);
}

#[test]
fn a_failing_source_does_not_keep_the_others_from_being_read() {
    let wellread = Wellread::new();
    let good = wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    let bad = wellread.file("bad.xml", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0>\0");
    let ran = wellread.run(&["add", &bad, &good]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("bad.xml"), "{}", ran.stderr);
    still_there(&wellread);
}

#[test]
fn what_is_not_a_feed_is_said_to_be_none() {
    let wellread = with_one_article();
    let xml = wellread.file("other.xml", "<?xml version=\"1.0\"?><invoice><sum>3</sum></invoice>");
    wellread.fails(&["add", &xml], "other.xml");
    let binary: Vec<u8> = (0..=255u8).cycle().take(10_000).collect();
    let binary = wellread.file("program.bin", binary);
    wellread.fails(&["add", &binary], "program.bin");
    still_there(&wellread);
}

#[test]
fn an_entity_bomb_neither_expands_nor_hangs() {
    let wellread = with_one_article();
    let mut bomb = String::from("<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY a0 \"ha\">");
    for n in 1..40 {
        bomb.push_str(&format!("<!ENTITY a{n} \"&a{};&a{};\">", n - 1, n - 1));
    }
    bomb.push_str("]><rss version=\"2.0\"><channel><title>B</title><item><title>Bomb &a39;</title><description>&a39;</description></item></channel></rss>");
    let path = wellread.file("bomb.xml", bomb);
    let ran = wellread.run(&["add", &path]);
    assert!(matches!(ran.code, Some(0 | 2)), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"));
    let size = std::fs::metadata(wellread.data().join("library.sqlite")).unwrap().len();
    assert!(size < 5_000_000, "{size}");
    still_there(&wellread);
}

#[test]
fn an_empty_feed_is_read_with_a_warning() {
    let wellread = Wellread::new();
    let path = wellread.file("empty.xml", feed(""));
    let ran = wellread.run(&["add", &path]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning:"), "{}", ran.stderr);
    let nothing = wellread.file("nothing.xml", "");
    wellread.fails(&["add", &nothing], "nothing.xml");
}

#[test]
fn a_feed_without_dates_or_guids_is_read_once() {
    let wellread = Wellread::new();
    let items = "<item><title>One</title><description>The first text of the feed.</description></item>\
                 <item><title>Two</title><description>The second text of the feed.</description></item>";
    let path = wellread.file("bare.xml", feed(items));
    wellread.succeeds(&["add", &path]);
    wellread.succeeds(&["sync"]);
    let articles = wellread.json(&["articles"]);
    assert_eq!(articles["articles"].as_array().unwrap().len(), 2);
    let found = wellread.json(&["search", "second text"]);
    assert_eq!(found["hits"][0]["published"], serde_json::Value::Null);
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let wellread = Wellread::new();
    let folder = wellread.dir.path().join("locked");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("note.md"), "# Note\n\nText.").unwrap();
    as_nobody(
        &wellread,
        &folder,
        0o000,
        |wellread| {
            wellread.is_clear_error("locked");
        },
        &["add", "locked"],
    );
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let wellread = Wellread::new();
    let data = wellread.data();
    std::fs::create_dir(&data).unwrap();
    wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    as_nobody(&wellread, &data, 0o555, |ran| ran.is_clear_error("data"), &["add", "good.xml"]);
}

#[test]
fn a_read_only_cache_serves_what_is_in_it_and_says_so_otherwise() {
    const LLM: &str = "smollm2-135m-instruct";
    let wellread = Wellread::new();
    wellread.succeeds(&["models", "fetch", "all-minilm-l6-v2", LLM]);
    let (empty, full) = (wellread.dir.path().join("empty"), wellread.dir.path().join("full"));
    std::fs::create_dir(&empty).unwrap();
    let model = full.join("all-minilm-l6-v2");
    copy_folder(&models_cache().join("all-minilm-l6-v2"), &model);
    wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    let wellread = wellread.env("WELLREAD_CACHE", &empty.display().to_string());
    as_nobody(&wellread, &empty, 0o555, |ran| ran.is_clear_error("cache"), &["add", "good.xml"]);

    let wellread = wellread.env("WELLREAD_CACHE", &full.display().to_string());
    let served = |ran: &Ran| assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    set_mode(&model, 0o555);
    as_nobody(&wellread, &full, 0o555, served, &["--offline", "add", "good.xml"]);
    as_nobody(
        &wellread,
        &full,
        0o555,
        served,
        &["--offline", "search", "how long does glue harden"],
    );

    // The LLM answers without what it would keep there: its weights as they are computed with, and
    // the beginning of its prompts.
    let llm = full.join(LLM);
    copy_folder(&models_cache().join(LLM), &llm);
    set_mode(&llm, 0o555);
    let answered = |ran: &Ran| {
        let Ran { code, stdout, stderr } = ran;
        assert!(matches!(code, Some(0 | 1)), "{code:?} {stdout}{stderr}");
        assert!(!stdout.is_empty(), "{stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("error:"), "{stderr}");
        for said in ["packed weights can't be kept as", "cannot keep the beginnings of prompts"] {
            let is_said = |line: &str| line.starts_with("warning:") && line.contains(said);
            assert!(stderr.lines().any(is_said), "{said:?} in: {stderr}");
        }
        assert_eq!(stderr.matches("each start takes longer").count(), 2, "{stderr}");
    };
    as_nobody(
        &wellread,
        &full,
        0o555,
        answered,
        &["--offline", "ask", "--model", LLM, "How long does the glue need to harden?"],
    );
    let mut kept: Vec<_> =
        std::fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["all-minilm-l6-v2", LLM]);
    set_mode(&model, 0o755);
    set_mode(&llm, 0o755);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the binary as a user that owns nothing, with `locked` at `mode` (a test may run as root,
/// whom no mode stops).
fn as_nobody(
    wellread: &Wellread,
    locked: &std::path::Path,
    mode: u32,
    check: impl Fn(&Ran),
    args: &[&str],
) {
    use std::os::unix::process::CommandExt;
    let root = wellread.dir.path();
    // SAFETY-free way to know who runs: a file made here belongs to them.
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(root).unwrap()) == 0;
    let binary = root.join("wellread-copy");
    std::fs::copy(env!("CARGO_BIN_EXE_wellread"), &binary).unwrap();
    set_mode(root, 0o777);
    set_mode(locked, mode);
    let template = wellread.command(args);
    let mut command = std::process::Command::new(&binary);
    command.env_clear().args(args).current_dir(root).stdin(Stdio::null());
    command.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let ran = ran(command.output().unwrap());
    set_mode(locked, 0o755);
    check(&ran);
}

#[test]
fn a_missing_model_is_named_with_the_command_that_fetches_it() {
    let wellread = Wellread::new();
    let cache = wellread.dir.path().join("cache").display().to_string();
    let wellread = wellread.env("WELLREAD_CACHE", &cache);
    let feed = wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    let stderr = wellread.fails(&["--offline", "add", &feed], "all-minilm-l6-v2");
    assert!(stderr.contains("models fetch"), "{stderr}");
    wellread.fails(&["ask", "--model", "no-such-model", "why?"], "no-such-model");
    let missing = wellread.dir.path().join("none.gguf").display().to_string();
    wellread.fails(&["ask", "--source", &feed, "--model", &missing, "why?"], "none.gguf");
}

#[test]
fn a_corrupt_model_is_named() {
    let wellread = with_one_article();
    for (name, bytes) in [
        ("text.gguf", b"this is not a model".to_vec()),
        ("empty.gguf", vec![]),
        (
            "header.gguf",
            b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f"
                .to_vec(),
        ),
    ] {
        let path = wellread.file(name, bytes);
        wellread.fails(&["ask", "--model", &path, "How long does the glue need to harden?"], name);
    }
    still_there(&wellread);
}

#[test]
fn a_model_of_the_cache_that_was_changed_is_fetched_again_or_named() {
    let wellread = Wellread::new();
    let cache = wellread.dir.path().join("cache");
    copy_folder(&models_cache().join("all-minilm-l6-v2"), &cache.join("all-minilm-l6-v2"));
    let weights = cache.join("all-minilm-l6-v2").join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let wellread = wellread.env("WELLREAD_CACHE", &cache.display().to_string());
    let feed = wellread.file("good.xml", feed(&item(1, "Gluing a joint", GOOD)));
    wellread.fails(&["--offline", "add", &feed], "model.safetensors");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn an_index_made_otherwise_is_refused_with_the_command_that_helps() {
    let wellread = with_one_article();
    let other = ["--set", "chunk.target_tokens=64"];
    let stderr = wellread.fails(&[&other[..], &["search", "glue"]].concat(), "target_tokens");
    assert!(stderr.contains("wellread index rebuild"), "{stderr}");
    still_there(&wellread);
    wellread.succeeds(&[&other[..], &["index", "rebuild"]].concat());
    wellread.succeeds(&[&other[..], &["search", "glue"]].concat());

    // Back to the first settings, in one go with reading.
    let path = wellread.file("feed.xml", feed(&item(7, "Oak", "<p>Oak is sawn green.</p>")));
    wellread.fails(&["add", &path], "target_tokens");
    wellread.succeeds(&["add", "--rebuild", &path]);
    still_there(&wellread);
}

#[test]
fn a_broken_library_is_named_and_left_alone() {
    let wellread = Wellread::new();
    std::fs::create_dir(wellread.data()).unwrap();
    let path = wellread.data().join("library.sqlite");
    std::fs::write(&path, "not a database at all, but long enough to look at ".repeat(50)).unwrap();
    let before = std::fs::read(&path).unwrap();
    wellread.fails(&["sources"], "library.sqlite");
    wellread.fails(&["search", "glue"], "library.sqlite");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn an_index_that_is_gone_or_foreign_is_rebuilt_by_the_command_it_names() {
    let wellread = with_one_article();
    let index = wellread.data().join("index");
    std::fs::remove_dir_all(&index).unwrap();
    wellread.succeeds(&["index", "rebuild"]);
    still_there(&wellread);
    for entry in std::fs::read_dir(&index).unwrap().flatten() {
        if entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path()).unwrap();
            std::fs::create_dir(entry.path()).unwrap();
            std::fs::write(entry.path().join("holiday.txt"), "a photo list").unwrap();
        }
    }
    let stderr = wellread.fails(&["search", "glue"], "index");
    assert!(stderr.contains("wellread index rebuild"), "{stderr}");
    wellread.succeeds(&["index", "rebuild"]);
    still_there(&wellread);
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let wellread = with_one_article();
    let text = "<p>Oak, ash and elm each bend in their own way under steam. </p>".repeat(40_000);
    wellread.file("large.xml", feed(&item(2, "A long text on steaming", &text)));
    let ran = run_with_small_files(&wellread, 1024, &["add", "large.xml"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(ran.stderr.contains("try:"), "{}", ran.stderr);
    still_there(&wellread);
}

#[test]
fn a_post_of_50_mb_is_left_out_and_named() {
    let wellread = with_one_article();
    let paragraph = "<p>Steam the plank for an hour an inch, then bend it while it is hot.</p>";
    let text = paragraph.repeat(50_000_000 / paragraph.len());
    let path = wellread.file("huge.xml", feed(&item(2, "Everything about steam", &text)));
    // It is left out and named; the rest of the feed is read.
    let stderr = wellread.fails(&["add", &path], "Everything about steam");
    assert!(stderr.contains("fetch.max_article_bytes"), "{stderr}");
    still_there(&wellread);
    // Over the limit on files it is not even read to its end.
    wellread.fails(&["--set", "fetch.max_bytes=1000000", "add", &path], "huge.xml has more than");
    still_there(&wellread);
}

#[test]
fn ctrl_c_while_embedding_keeps_what_is_done() {
    let wellread = with_one_article();
    let text = "<p>Steam the plank for an hour an inch, then bend it while it is hot. It cools in the jig overnight.</p>";
    let items: String = (2..200)
        .map(|n| item(n, &format!("Steam {n}"), &format!("<p>Number {n}.</p>{}", text.repeat(20))))
        .collect();
    let path = wellread.file("many.xml", feed(&items));
    let mut child = wellread.spawn(&["-v", "add", &path], Stdio::null());
    wait_for(&mut child, "Embedding");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    still_there(&wellread);
}

#[test]
fn ctrl_c_while_answering_ends_with_130() {
    let wellread = with_one_article();
    let mut child = wellread.spawn(
        &["-v", "ask", "--max-tokens", "2000", "How long does the glue need to harden?"],
        Stdio::null(),
    );
    wait_for(&mut child, "Loading");
    signal(&child, "INT");
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130)), "{code:?}");
    still_there(&wellread);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let wellread = with_one_article();
    for args in [&["search", "glue"][..], &["config"], &["completions", "bash"], &["articles"]] {
        let mut child = wellread.spawn(args, Stdio::null());
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}: {stderr}");
        assert_eq!(stderr, "", "{args:?}");
    }
}

#[test]
fn a_full_standard_output_is_an_error() {
    let wellread = Wellread::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = ran(wellread.command(&["config"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
}

#[test]
fn without_home_the_message_says_where_to_put_things() {
    let wellread = Wellread::new().without("HOME").without("WELLREAD_DATA");
    let stderr = wellread.fails(&["sources"], "home folder");
    assert!(stderr.contains("WELLREAD_DATA"), "{stderr}");
    let wellread = Wellread::new().without("HOME").without("WELLREAD_CACHE");
    let stderr = wellread.fails(&["models", "list"], "home folder");
    assert!(stderr.contains("WELLREAD_CACHE"), "{stderr}");
}

#[test]
fn an_empty_and_an_endless_question_are_refused() {
    let wellread = with_one_article();
    wellread.fails(&["ask", ""], "question is empty");
    wellread.fails(&["ask", "  "], "question is empty");
    wellread.fails(&["search", ""], "question is empty");
    let long = "why ".repeat(25_000) + "?";
    wellread.fails(&["ask", &long], "100001 bytes");
    let ran = wellread.run_with_input(&["ask", "-"], long.as_bytes());
    ran.is_clear_error("the question has");
    // Short enough for the command line, too long for the embedder: said, not cut.
    wellread.fails(&["ask", &"why ".repeat(1_000)], "tokens");
}

#[test]
fn a_question_to_an_empty_library_says_what_to_do() {
    let wellread = Wellread::new();
    let stderr = wellread.fails(&["ask", "why?"], "no articles");
    assert!(stderr.contains("wellread add"), "{stderr}");
}

#[test]
fn a_date_that_is_none_is_named() {
    let wellread = Wellread::new();
    wellread.fails(&["search", "--since", "yesterday-ish", "glue"], "yesterday-ish");
}

#[test]
fn wrong_settings_are_named() {
    let wellread = Wellread::new();
    wellread.fails(&["--set", "answer.max_token=3", "config"], "answer.max_token");
    wellread.fails(&["--set", "answer.max_tokens=many", "config"], "many");
    let file = wellread.file("w.toml", "[answer\n");
    wellread.fails(&["--config", &file, "config"], "w.toml");
    wellread.fails(&["--config", "none.toml", "config"], "none.toml");
}
