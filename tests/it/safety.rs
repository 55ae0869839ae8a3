//! What a folder, a feed or a question that somebody else made can't do.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

/// A port that counts who connects to it.
fn counting_port() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Before the other side can know of it.
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (format!("http://{address}"), count)
}

#[test]
fn a_folders_own_settings_send_nothing_anywhere() {
    let wellread = Wellread::new().without("WELLREAD_DATA").without("WELLREAD_CACHE");
    let (url, connections) = counting_port();
    let secret = wellread.file("secret", "do-not-send-this");
    // The user's own file forbids the network.
    wellread.file(".config/wellread/wellread.toml", "offline = true\n");
    let shipped = std::fs::read_to_string(project("models/smollm2-135m-instruct.toml")).unwrap();
    let other = shipped.replace("name = \"smollm2-135m-instruct\"", "name = \"evil-llm\"");
    wellread.file("evil-models/evil.toml", other);
    wellread.file("evil.gguf", "GGUF");
    wellread.file(
        "wellread.toml",
        format!(
            "offline = false\ndata = \"evil-data\"\ncache = \"evil-cache\"\n\
             [models]\nprompt = \"prompt.jinja\"\ngenerator = \"evil.gguf\"\n\
             manifests = \"evil-models\"\n\
             [answer]\nmax_tokens = 77\n[fetch]\nallow_private = true\n\
             [store]\nurl = \"{url}\"\n[store.server]\napi_key_file = \"{secret}\"\n"
        ),
    );
    let ignored = [
        ("cache", json!("evil-cache"), json!("")),
        ("data", json!("evil-data"), json!("")),
        ("fetch.allow_private", json!(true), json!(false)),
        ("models.generator", json!("evil.gguf"), json!("qwen2.5-coder-1.5b-instruct")),
        ("models.manifests", json!("evil-models"), json!("")),
        ("models.prompt", json!("prompt.jinja"), json!("")),
        ("offline", json!(false), json!(true)),
        ("store.server.api_key_file", json!(secret), json!("")),
        ("store.url", json!(url), json!("")),
    ];
    let ran = wellread.run(&["doctor"]);
    assert_eq!(connections.load(Ordering::SeqCst), 0, "{}", ran.stdout);
    for (key, ..) in &ignored {
        assert!(ran.stderr.contains(key), "{key}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
    // Neither its folders nor its model are looked at.
    assert!(ran.stdout.contains("LLM: qwen2.5-coder-1.5b-instruct"), "{}", ran.stdout);
    assert!(ran.stdout.contains(".local/share/wellread"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("evil"), "{}", ran.stdout);

    // What is ignored is said, with the reason; what may be set is.
    let text = wellread.succeeds(&["config"]);
    let said = wellread.json(&["config"]);
    for (key, theirs, own) in &ignored {
        let begin = format!("# ignored in wellread.toml: {key} = {theirs} (");
        assert!(text.lines().any(|line| line.starts_with(&begin)), "{begin:?} in: {text}");
        let said = &said[key];
        assert_eq!(said["value"], *own, "{key}");
        assert_ne!(said["origin"], "wellread.toml", "{key}");
        assert_eq!(said["ignored"]["value"], *theirs, "{key}");
        assert_eq!(said["ignored"]["origin"], "wellread.toml", "{key}");
        assert!(said["ignored"]["why"].is_string(), "{key}");
    }
    assert_eq!(said["answer.max_tokens"]["value"], 77);
    assert!(said["answer.max_tokens"]["ignored"].is_null());

    // The same is taken from the command line.
    let set = format!("store.url={url}");
    let said = wellread.json(&["--set", &set, "config"]);
    assert_eq!(said["store.url"]["value"], url.as_str());
    let models = |set: &[&str]| wellread.json(&[set, &["models", "list"]].concat()).to_string();
    assert!(!models(&[]).contains("evil"));
    assert!(models(&["--set", "models.manifests=evil-models"]).contains("evil-llm"));

    // The network stays forbidden, and articles are kept in the user's own folder.
    let wellread = wellread.env("WELLREAD_CACHE", &models_cache().display().to_string());
    let address = format!("{url}/feed");
    wellread.fails(&["add", "--allow-private", &address], "--offline forbids the network");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let path = wellread.file("feed.xml", feed(&item(1, "Glue", "<p>It needs four hours.</p>")));
    wellread.succeeds(&["--set", "offline=false", "add", &path]);
    let there = |name: &str| wellread.dir.path().join(name).exists();
    assert!(there(".local/share/wellread/library.sqlite"));
    assert!(!there("evil-data") && !there("evil-cache"));
}

#[test]
fn an_api_key_is_not_sent_without_encryption() {
    let (here, connections) = counting_port();
    // This machine by an address that is not the loopback's: as far away as any other.
    let here = here.replace("127.0.0.1", "0.0.0.0");
    let with_key = |url: &str| {
        Wellread::new()
            .env("WELLREAD_STORE_URL", url)
            .env("WELLREAD_QDRANT_API_KEY", "s3cret-key")
            .env("WELLREAD_STORE_SERVER_RETRIES", "0")
    };
    for url in ["http://192.0.2.1:6334", here.as_str()] {
        let wellread = with_key(url);
        let said = format!("the API key would go to {url} without encryption");
        let path = wellread.file("feed.xml", feed(&item(1, "Glue", "<p>It needs an hour.</p>")));
        let stderr = wellread.fails(&["add", &path], &said);
        assert!(stderr.contains("store.server.allow_plain_http=true"), "{stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
        // Nothing is waited for.
        let start = Instant::now();
        let Ran { code, stdout, stderr } = wellread.run(&["doctor"]);
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        assert_eq!(code, Some(2), "{stdout}{stderr}");
        assert!(stdout.contains(&said), "{stdout}");
        assert!(!stdout.contains("s3cret") && !stderr.contains("s3cret"), "{stdout}{stderr}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    // With leave it is: the port was there to be connected to.
    let allowed = with_key(&here).env("WELLREAD_STORE_SERVER_ALLOW_PLAIN_HTTP", "true");
    let ran = allowed.run(&["doctor"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(connections.load(Ordering::SeqCst) > 0, "{}", ran.stdout);
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
        // Harmless texts where the LLM sees them are among the cases, and keep nothing from being
        // answered.
        assert!(said["controls"].as_u64().unwrap() > 0, "{said:#}");
        assert_eq!(said["controls"], said["controls_answered"], "{said:#}");
    }
    // Nothing of it stays with the user.
    assert_eq!(wellread.json(&["sources"])["sources"].as_array().unwrap().len(), 0);
    let bad = wellread.file("bad.jsonl", "{\"id\": 1}\n");
    wellread.fails(&["eval", "canaries", "--strings", &bad], "line 1");
}
