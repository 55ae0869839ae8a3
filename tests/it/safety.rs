//! What a folder, a feed or a question that somebody else made can't do.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;

/// A port that counts who connects to it.
fn counting_port() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (format!("http://{address}"), count)
}

#[test]
fn a_folders_own_settings_send_nothing_anywhere() {
    let wellread = Wellread::new();
    let (url, connections) = counting_port();
    let secret = wellread.file("secret", "do-not-send-this");
    wellread.file(
        "wellread.toml",
        format!(
            "offline = false\n[models]\nprompt = \"prompt.jinja\"\ngenerator = \"evil.gguf\"\n\
             [answer]\nmax_tokens = 77\n[fetch]\nallow_private = true\n\
             [store]\nurl = \"{url}\"\n[store.server]\napi_key_file = \"{secret}\"\n"
        ),
    );
    let ran = wellread.run(&["doctor"]);
    assert_eq!(connections.load(Ordering::SeqCst), 0, "{}", ran.stdout);
    for key in ["store.url", "store.server.api_key_file", "models.prompt", "fetch.allow_private"] {
        assert!(ran.stderr.contains(key), "{key}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);

    // What is ignored is said, with the reason; what may be set is.
    let said = wellread.succeeds(&["config"]);
    let line =
        said.lines().find(|line| line.starts_with("# ignored") && line.contains("store.url"));
    assert!(line.is_some_and(|line| line.contains(&url)), "{said}");
    let said = wellread.json(&["config"]);
    assert_eq!(said["store.url"]["value"], "");
    assert_eq!(said["store.url"]["ignored"]["value"], url.as_str());
    assert_eq!(said["store.url"]["ignored"]["origin"], "wellread.toml");
    assert!(said["store.url"]["ignored"]["why"].is_string());
    assert_eq!(said["answer.max_tokens"]["value"], 77);
    assert!(said["answer.max_tokens"]["ignored"].is_null());

    // The same is taken from the command line.
    let set = format!("store.url={url}");
    let said = wellread.json(&["--set", &set, "config"]);
    assert_eq!(said["store.url"]["value"], url.as_str());
}

#[test]
fn the_users_own_settings_are_read_and_the_folders_go_over_them() {
    let wellread = Wellread::new();
    let own = "[answer]\nmax_tokens = 11\npassages = 2\n[store.server]\nalias = \"mine\"\n";
    wellread.file(".config/wellread/wellread.toml", own);
    let said = wellread.json(&["config"]);
    assert_eq!(said["store.server.alias"]["value"], "mine");
    assert!(said["store.server.alias"]["ignored"].is_null());
    wellread.file(
        "wellread.toml",
        "[answer]\nmax_tokens = 22\n[store.server]\nalias = \"theirs\"\n[models]\ngenerator = \"smollm2-135m-instruct\"\n",
    );
    let said = wellread.json(&["config"]);
    assert_eq!(said["answer.max_tokens"]["value"], 22);
    assert_eq!(said["answer.max_tokens"]["origin"], "wellread.toml");
    assert_eq!(said["answer.passages"]["value"], 2);
    assert_eq!(said["store.server.alias"]["value"], "mine");
    assert_eq!(said["store.server.alias"]["ignored"]["value"], "theirs");
    assert_eq!(said["models.generator"]["value"], "smollm2-135m-instruct");
    // A file that is named is the only one, and may say everything.
    let said = wellread.json(&["--config", "wellread.toml", "config"]);
    assert_eq!(said["store.server.alias"]["value"], "theirs");
    assert_eq!(said["answer.passages"]["value"], 6);
}

/// `python3 -m pip` runs a `pip.py` of the working folder; a downloaded one may have it.
#[test]
fn a_folders_own_pip_is_not_run() {
    let wellread = Wellread::new();
    let mark = wellread.dir.path().join("was-run");
    let code = format!("open({:?}, 'w')\n", mark.display().to_string());
    for name in ["pip.py", "runpy.py", "pip/__main__.py"] {
        wellread.file(name, &code);
    }
    let ran = wellread.run(&["doctor"]);
    assert!(!mark.exists(), "{}", ran.stdout);
    assert!(ran.stdout.contains("pip "), "{}", ran.stdout);
}

#[test]
fn json_holds_no_character_that_a_terminal_obeys() {
    let wellread = Wellread::new();
    let title = "Gluing \u{202e}tnioj a\u{2066}\u{200f}\u{9b}31m\u{7f}";
    let body = "<h2>Glue\u{2028}</h2><p>The glue needs four hours\u{202d} to harden.\u{85}</p>";
    let feed = wellread.file("feed.xml", feed(&item(1, title, body)));
    wellread.succeeds(&["add", &feed]);
    for args in [
        &["--json", "search", "how long does glue harden"][..],
        &["--json", "articles"],
        &["--json", "show", "Gluing"],
        &["eval", "generate"],
    ] {
        let said = wellread.succeeds(args);
        let obeyed = said.chars().find(|character| {
            let direction = matches!(
                character,
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            );
            direction || (character.is_control() && *character != '\n')
        });
        assert_eq!(obeyed, None, "{args:?}: {said:?}");
        assert!(said.contains("\\u202e"), "{args:?}: {said}");
    }
    let found = wellread.json(&["search", "how long does glue harden"]);
    assert!(found["hits"][0]["title"].as_str().unwrap().contains('\u{202e}'));
}

/// A slice of the planted texts, with the small LLM: nothing is obeyed, nothing forged.
#[test]
fn planted_texts_are_not_obeyed() {
    let wellread = Wellread::small();
    let mut sets = vec![vec!["eval", "canaries", "--limit", "8"]];
    let others = shared("data/injection/strings.jsonl").map(|path| path.display().to_string());
    if let Some(others) = &others {
        sets.push(vec!["eval", "canaries", "--strings", others, "--limit", "8"]);
    }
    for args in sets {
        let said = wellread.json(&args);
        assert_eq!(said["cases"], 8);
        assert!(said["answered"].as_u64().unwrap() > 2, "{said:#}");
        for found in ["obeyed", "foreign_links", "forged_citations"] {
            assert_eq!(said[found], 0, "{said:#}");
        }
        assert_eq!(said["controls"], said["controls_answered"], "{said:#}");
    }
    // Nothing of it stays with the user.
    assert_eq!(wellread.json(&["sources"])["sources"].as_array().unwrap().len(), 0);
    let bad = wellread.file("bad.jsonl", "{\"id\": 1}\n");
    wellread.fails(&["eval", "canaries", "--strings", &bad], "line 1");
}
