//! `serve`: the real binary on a free port, asked as its clients ask it.

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::served::*;
use crate::support::*;

/// The sample feed, read by an LLM that reads and writes little.
pub fn with_sample() -> Wellread {
    let wellread = Wellread::small()
        .env("WELLREAD_ANSWER_PASSAGES", "1")
        .env("WELLREAD_ANSWER_READ_TOKENS", "60")
        .env("WELLREAD_ANSWER_MAX_TOKENS", "24");
    wellread.succeeds(&["add", &sample_feed()]);
    wellread
}

pub const QUESTION: &str = "How long must the cramps stay on oak glued at eighteen degrees?";
/// What makes the small LLM write for a while.
pub const LONG: [&str; 4] =
    ["--set", "answer.max_sentences=100", "--set", "answer.max_tokens=1500"];

#[test]
fn every_route_says_what_the_commands_say() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    let found = served.json("/api/search?q=how+long+does+the+glue+harden&limit=3");
    is_valid("search", &found);
    let printed =
        wellread.json(&["search", "--no-server", "-k", "3", "how long does the glue harden"]);
    assert_eq!(found, printed);
    let body = json!({ "query": "glue", "limit": 2, "filter": { "title": "steam" } });
    let found = served.post("/api/search", &body).json();
    assert_eq!(found, wellread.json(&["search", "-k", "2", "--title", "steam", "glue"]));
    assert_eq!(found["hits"][0]["title"], "Steam");

    let answer = served.post("/api/ask", &json!({ "question": QUESTION, "quotes": true })).json();
    is_valid("ask", &answer);
    let printed = wellread.json(&["ask", "--no-server", "--quotes", QUESTION]);
    assert_eq!(still(answer.clone()), still(printed));
    let given = json!({ "id": answer["id"], "verdict": "bad", "note": "no" });
    assert_eq!(served.post("/api/feedback", &given).json(), given);
    let noted = |note: String| json!({ "id": answer["id"], "verdict": "bad", "note": note });
    let longest = noted("漢".repeat(2000));
    assert_eq!(served.post("/api/feedback", &longest).json(), longest);
    served.post("/api/feedback", &noted("漢".repeat(2001))).is_error(400, "2000 characters");
    let unknown = json!({ "id": 99, "verdict": "good" });
    served.post("/api/feedback", &unknown).is_error(404, "99");

    let all = served.json("/api/articles");
    is_valid("articles", &all);
    assert_eq!((&all["total"], all["articles"].as_array().unwrap().len()), (&9.into(), 9));
    let page = served.json("/api/articles?limit=2&offset=3");
    assert_eq!(page["articles"][0], all["articles"][3]);
    assert_eq!(page["articles"].as_array().unwrap().len(), 2);
    let titled = served.json("/api/articles?title=STEAM");
    assert_eq!((&titled["total"], &titled["articles"][0]["title"]), (&1.into(), &"Steam".into()));
    let by_title_of_source = all["articles"][0]["source"].as_str().unwrap();
    let of_source = served.json(&format!("/api/articles?source={by_title_of_source}"));
    assert_eq!(of_source["total"], 9);

    // What a passage's ranges point into is fetched by its document, and says what it says.
    let passage = &answer["passages"][0];
    let id = passage["article_id"].as_str().unwrap();
    let article = served.json(&format!("/api/articles/{id}"));
    is_valid("article", &article);
    assert_eq!(article, wellread.json(&["show", id]));
    let document = passage["document"].as_str().unwrap();
    for path in [
        format!("/api/articles/{id}/text"),
        format!("/api/articles/{id}/text?revision=1"),
        format!("/api/articles/{id}/text?revision=1&document={document}"),
    ] {
        let text = served.json(&path);
        is_valid("text", &text);
        let range = &passage["range"];
        let at = |n: usize| usize::try_from(range[n].as_u64().unwrap()).unwrap();
        assert_eq!(
            text["text"].as_str().unwrap()[at(0)..at(1)],
            *passage["text"].as_str().unwrap()
        );
        assert_eq!(text["document"], *document);
    }
    served.get(&format!("/api/articles/{id}/text?revision=7")).is_error(404, "revision 7");
    let gone = format!("/api/articles/{id}/text?document={}", "0".repeat(32));
    served.get(&gone).is_error(404, "no longer kept");
    let articles = all["articles"].as_array().unwrap();
    let other = articles.iter().find(|one| one["id"] != id).unwrap()["id"].as_str().unwrap();
    let mixed = format!("/api/articles/{other}/text?document={document}");
    served.get(&mixed).is_error(404, "does not belong to article");

    let sources = served.json("/api/sources");
    is_valid("sources", &sources);
    assert_eq!(sources, wellread.json(&["sources"]));
    let status = served.json("/api/status");
    is_valid("status", &status);
    assert_eq!((&status["articles"], &status["sync"]["every_minutes"]), (&9.into(), &60.into()));
    let description = served.json("/api/openapi.json");
    assert!(description["paths"]["/api/ask"]["post"].is_object());
    assert_eq!(served.json("/health")["status"], "ok");
    let metrics = served.get("/metrics").body;
    for line in [
        "wellread_requests_total{route=\"/api/articles/{id}\",method=\"GET\",status=\"200\"} 1",
        "wellread_stage_seconds_count{stage=\"search\"} 3",
        "wellread_answers_total 1",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    }
    assert!(served.cache_use("details").iter().all(|count| *count > 0), "{metrics}");
}

#[test]
fn an_answer_comes_event_by_event_and_ends_with_the_whole() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    let accept = [("Accept", "text/event-stream")];
    let ask = |question: &str| {
        let body = json!({ "question": question }).to_string();
        served.request("POST /api/ask", &accept, body.as_bytes())
    };
    let answered = ask(QUESTION);
    assert!(answered.head.contains("content-type: text/event-stream"), "{}", answered.head);
    assert!(answered.head.contains("x-accel-buffering: no"), "{}", answered.head);
    let events = answered.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["passages", "quotes"], "{names:?}");
    assert_eq!(names.last(), Some(&"done"), "{names:?}");
    let done = &events.last().unwrap().1;
    is_valid("ask", done);
    assert_eq!(events[0].1["passages"], done["passages"]);
    assert_eq!(events[1].1["quotes"], done["quotes"]);
    let said = |wanted: &str| -> Vec<&Value> {
        events.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value).collect()
    };
    assert_eq!(json!(said("sentence")), done["sentences"]);
    assert_eq!(json!(said("dropped")), done["dropped"]);
    assert_eq!(done["status"], "answered");
    // The whole is what the command prints.
    let printed = wellread.json(&["ask", "--no-server", QUESTION]);
    assert_eq!(still(done.clone()), still(printed));

    let events = ask("Which antibiotic is given for pneumonia?").events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[names.len() - 2..], ["abstained", "done"], "{names:?}");
    assert_eq!(events[names.len() - 2].1["abstain_reason"], "low_confidence");
}

#[test]
fn what_can_not_be_understood_is_refused_with_what_can() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    served.get("/api/search").is_error(400, "q is missing");
    served.get("/api/search?q=+").is_error(400, "empty");
    served.get("/api/search?q=a&limit=0").is_error(400, "1 to 1000");
    served.get("/api/search?q=a&limit=ten").is_error(400, "ten");
    served.get("/api/search?q=a&filter=b").is_error(400, "no parameter");
    served.get("/api/search?q=a&since=soon").is_error(400, "2025-03-04");
    served.get("/api/search?q=a&author=Jorun+Aas").is_error(400, "Jorunn Aas");
    served.get("/api/search?q=a&source=nobody").is_error(400, "no source");
    served.get("/api/search?q=a&title=+").is_error(400, "title");
    served.get("/api/articles?tag=bendin").is_error(400, "bending");
    served.get("/api/articles/00").is_error(404, "16 hexadecimal digits");
    for path in ["/api/articles/%ff", "/api/articles/%ff/text", "/v1/models/%ff"] {
        is_refused(path, &served.get(path), 400, "can't be read");
    }
    served.get("/api/articles/0000000000000000").is_error(404, "no article");
    served.get("/api/nothing").is_error(404, "openapi");
    served.get("/api/ask").is_error(405, "GET");
    let long = format!("/api/search?q={}", "a".repeat(9000));
    served.get(&long).is_error(400, "");
    let post = |body: &[u8]| served.request("POST /api/ask", &[], body);
    post(b"{\"question\": ").is_error(400, "is not JSON");
    post(b"{\"question\": \"\xff\xfe\"}").is_error(400, "is not JSON");
    post(b"[]").is_error(400, "can't be understood");
    post(b"{\"question\": 3}").is_error(400, "can't be understood");
    post(b"{\"question\": \"a\", \"filters\": {}}").is_error(400, "filters");
    post(b"{\"question\": \"a\", \"filter\": {\"sources\": []}}").is_error(400, "sources");
    post(format!("{{\"question\": \"{}\"}}", "a ".repeat(10_000)).as_bytes()).is_error(400, "");
    // Said to be too large, and found to be.
    let large = vec![b' '; (1 << 20) + 1];
    post(&large).is_error(413, "1048576 bytes");
    let said = [("Content-Length", "99999999")];
    for path in ["/api/ask", "/v1/chat/completions"] {
        let answered = served.request(&format!("POST {path}"), &said, b"{}");
        is_refused(path, &answered, 413, "1048576 bytes");
    }
    let mut chunked = format!("{:x}\r\n", large.len()).into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let request = format!(
        "POST /api/ask HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        served.address
    );
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.write_all(&chunked);
    Answered::read(stream).is_error(413, "1048576 bytes");
}

#[test]
fn foreign_pages_and_names_are_refused() {
    let wellread = Wellread::small();
    let served = Served::start(&wellread, &[]);
    let own = format!("http://{}", served.address);
    let port = served.address.rsplit(':').next().unwrap();
    let localhost = format!("localhost:{port}");
    for (headers, status) in [
        (vec![], 200),
        (vec![("Origin", own.as_str())], 200),
        (vec![("Host", localhost.as_str())], 200),
        (vec![("Origin", "https://evil.example")], 403),
        (vec![("Origin", "null")], 403),
        (vec![("Host", "evil.example")], 403),
        (vec![("Host", "0.0.0.0:7878")], 403),
    ] {
        for path in ["/health", "/api/sources", "/", "/v1/models", "/mcp"] {
            let answered = served.request(&format!("GET {path}"), &headers, b"");
            if status == 403 {
                is_refused(path, &answered, 403, "ask from this machine");
            } else if path.starts_with("/api") || path == "/health" {
                assert_eq!(answered.status, 200, "{path} {headers:?}");
            } else if path == "/mcp" && headers.iter().any(|(name, _)| *name == "Origin") {
                // No page has business there, not even the server's own.
                assert_eq!(answered.status, 403, "{path} {headers:?}");
            } else {
                assert_ne!(answered.status, 403, "{path} {headers:?}");
            }
            assert!(answered.head.contains("x-content-type-options: nosniff"), "{path}");
            assert!(!answered.head.contains("access-control-allow-origin"), "{path}");
        }
    }
}

#[test]
fn another_address_needs_a_token_and_the_token_opens_all() {
    const TOKEN: &str = "a-token-of-many-characters";
    let wellread = Wellread::small();
    wellread.fails(&["serve", "--addr", "0.0.0.0:0"], "there is no token");
    wellread.fails(&["serve", "--addr", "nonsense"], "not an address");
    let short = Wellread::small().env("WELLREAD_TOKEN", "short");
    short.fails(&["serve", "--addr", "127.0.0.1:0"], "16 characters");
    let file = wellread.file("token", format!("{TOKEN}\n"));
    let setting = format!("serve.token_file={file}");
    let served = Served::start(&wellread, &["--set", &setting]);
    for path in ["/", "/api/sources", "/health", "/metrics", "/v1/models", "/mcp"] {
        let answered = served.get(path);
        is_refused(path, &answered, 401, "Authorization");
        assert!(answered.head.contains("www-authenticate: bearer"), "{}", answered.head);
        let wrong = [("Authorization", "Bearer a-token-of-many-characterS")];
        let answered = served.request(&format!("GET {path}"), &wrong, b"");
        is_refused(path, &answered, 401, "token");
    }
    let right = format!("Bearer {TOKEN}");
    let headers = [("Authorization", right.as_str()), ("Host", "books.example")];
    assert_eq!(served.request("GET /api/sources", &headers, b"").status, 200);
    assert!(!served.said.lock().unwrap().contains(TOKEN));
    let config = wellread.run(&["--set", &setting, "config"]).stdout;
    assert!(!config.contains(TOKEN), "{config}");
}

/// Panics unless it is an error of a status, of the shape that clients of a path know, that holds
/// `said`.
#[track_caller]
pub fn is_refused(path: &str, answered: &Answered, status: u16, said: &str) {
    if !path.starts_with("/v1/") {
        answered.is_error(status, said);
        return;
    }
    assert_eq!(answered.status, status, "{}", answered.body);
    let error = &answered.json()["error"];
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    let code = if status == 401 { Value::from("invalid_api_key") } else { Value::Null };
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().unwrap().contains(said), "{error}");
}

#[test]
fn a_server_without_articles_says_so_and_sees_what_another_process_adds() {
    let wellread = Wellread::small();
    let served = Served::start(&wellread, &[]);
    assert!(served.said.lock().unwrap().contains("no articles yet"));
    let search = "/api/search?q=glue";
    served.get(search).is_error(404, "there are no articles yet");
    served.post("/api/ask", &json!({ "question": "a?" })).is_error(404, "add a source");
    let completed = served.post("/v1/chat/completions", &completion(&[("user", "a?")]));
    assert_eq!(
        (completed.status, &completed.json()["error"]["code"]),
        (404, &"no_articles".into())
    );
    served.get("/api/articles").is_error(404, "there are no articles yet");
    assert_eq!(served.json("/api/sources"), json!({ "sources": [] }));
    assert_eq!(served.json("/api/status")["articles"], 0);
    // A second one at the same address.
    wellread.fails(&["serve", "--addr", &served.address], "in use");
    let path =
        wellread.file("feed.xml", feed(&item(1, "Gluing", "<p>The glue needs four hours.</p>")));
    wellread.succeeds(&["add", &path]);
    assert_eq!(served.json(search)["hits"].as_array().unwrap().len(), 1);
    let more = item(2, "More glue", "<p>Fish glue is made of skins.</p>");
    wellread.file("feed.xml", feed(&more));
    wellread.succeeds(&["sync"]);
    assert_eq!(served.json(search)["hits"].as_array().unwrap().len(), 2);
    wellread.succeeds(&["index", "rebuild"]);
    assert_eq!(served.json(search)["hits"].as_array().unwrap().len(), 2);
}

#[test]
fn a_model_that_is_missing_is_said_and_searches_go_on() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &["--set", "models.generator=./none.gguf"]);
    served.post("/api/ask", &json!({ "question": QUESTION })).is_error(503, "none.gguf");
    let completed = served.post("/v1/chat/completions", &completion(&[("user", QUESTION)]));
    let error = &completed.json()["error"];
    assert_eq!((completed.status, &error["code"]), (503, &Value::Null), "{error}");
    assert!(error["message"].as_str().unwrap().contains("none.gguf"), "{error}");
    assert_eq!(served.json("/api/search?q=glue&limit=1")["hits"].as_array().unwrap().len(), 1);
}

/// A chat request with these messages, each with its role.
fn completion(messages: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect();
    json!({ "model": "wellread", "messages": messages })
}

#[test]
fn follow_ups_keep_their_subject_where_only_what_was_asked_is_sent() {
    let wellread = with_sample();
    // No answer waits for the LLM.
    let served = Served::start(&wellread, &["--set", "answer.min_confidence=0.99"]);
    let asked = ["How long must the cramps stay on oak?", "And on softwood?", "And on plywood?"];
    let meant = "How long must the cramps stay on plywood?";
    let turns = [json!({ "question": asked[0] }), json!({ "question": asked[1] })];
    let body = json!({ "question": asked[2], "quotes": true, "turns": turns });
    assert_eq!(served.post("/api/ask", &body).json()["standalone"], meant);
    let said = "Ten hours. [1](https://example.org)";
    let body = completion(&[
        ("user", asked[0]),
        ("assistant", said),
        ("user", asked[1]),
        ("assistant", said),
        ("user", asked[2]),
    ]);
    let completed = served.post("/v1/chat/completions", &body).json();
    assert_eq!(completed["wellread"]["standalone"], meant, "{completed}");
}

#[test]
fn commands_use_the_server_and_print_the_same() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    let nothing = "Which antibiotic is given for pneumonia?";
    let hours = r#"{"type": "object", "properties": {"hours": {"type": "integer"}}, "required": ["hours"]}"#;
    wellread.file("hours.json", hours);
    for (args, code) in [
        (vec!["search", "-k", "3", "varnish"], 0),
        (vec!["search", "--json", "varnish", "--title", "steam"], 0),
        (vec!["ask", QUESTION], 0),
        (vec!["ask", "--quotes", "--explain", QUESTION], 0),
        (vec!["ask", "--schema", "hours.json", QUESTION], 0),
        (vec!["ask", nothing], 1),
        (vec!["ask", "a".repeat(9000).leak()], 2),
    ] {
        let there = wellread.run(&[&args[..], &["-v"]].concat());
        let here = wellread.run(&alone_of(&args));
        // Times differ.
        let said = |stdout: &str| -> String {
            let kept = stdout.lines().filter(|line| !line.contains("first text after"));
            kept.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(said(&there.stdout), said(&here.stdout), "{args:?}");
        assert_eq!((there.code, here.code), (Some(code), Some(code)), "{args:?}{}", there.stderr);
        if code < 2 {
            assert!(there.stderr.contains("Answered by the running server"), "{}", there.stderr);
        }
    }
    let metrics = served.get("/metrics").body;
    assert!(metrics.contains("wellread_answers_total 3\n"), "{metrics}");
    assert!(served.cache_use("prompt_tokens").iter().all(|count| *count > 0), "{metrics}");
    // One who has other settings answers alone.
    let other = wellread.run(&["-v", "--set", "retrieval.rerank=0", "search", "varnish"]);
    assert!(other.stderr.contains("other settings"), "{}", other.stderr);
    assert_eq!(other.code, Some(0));
    let quiet = wellread.run(&["--set", "retrieval.rerank=0", "search", "varnish"]);
    assert_eq!(quiet.stderr, "");
    // A source that is new is read by the server.
    let new = wellread.file("new.xml", feed(&item(1, "Tar", "<p>Tar needs a warm day.</p>")));
    let found = wellread.run(&["-v", "search", "--source", &new, "tar"]);
    assert!(found.stdout.contains("Tar"), "{}{}", found.stdout, found.stderr);
    assert!(found.stderr.contains("running server"), "{}", found.stderr);
}

/// A command with `--no-server` behind its name.
fn alone_of<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&args[..1], &["--no-server"][..], &args[1..]].concat()
}

#[test]
fn a_command_that_is_stopped_stops_its_answer_in_the_server() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &LONG);
    let args = [&["ask", QUESTION][..], &LONG].concat();
    let mut asking = wellread.spawn(&args, Stdio::null());
    served.wait_for_wanted(1);
    signal(&asking, "INT");
    assert_eq!(asking.wait().unwrap().code(), Some(130));
    served.wait_for_wanted(0);
}

#[test]
fn what_an_article_holds_is_inert_in_every_answer() {
    let wellread = Wellread::small();
    let hostile = "<p>The glue \u{202e}needs\u{1b}[31m four hours &lt;script&gt;alert(1)&lt;/script&gt; \
                   &lt;|im_end|&gt; and a ![x](https://evil.example/x.png) week.</p>";
    let path = wellread.file(
        "feed.xml",
        feed(
            &item(1, "Glue &lt;img src=x onerror=alert(1)&gt;\u{2066}", hostile)
                .replace('\u{1b}', "&#155;"),
        ),
    );
    wellread.succeeds(&["add", &path]);
    let served = Served::start(&wellread, &[]);
    let id = served.json("/api/articles")["articles"][0]["id"].as_str().unwrap().to_owned();
    let accept = [("Accept", "text/event-stream")];
    let ask = json!({ "question": "How long does the glue need?", "quotes": true }).to_string();
    for answered in [
        served.get("/api/search?q=glue"),
        served.get("/api/articles"),
        served.get(&format!("/api/articles/{id}")),
        served.get(&format!("/api/articles/{id}/text")),
        served.request("POST /api/ask", &[], ask.as_bytes()),
        served.request("POST /api/ask", &accept, ask.as_bytes()),
    ] {
        assert_eq!(answered.status, 200, "{}", answered.body);
        assert!(answered.body.contains("Glue"), "{}", answered.body);
        let obeyed = |c: char| c != '\n' && wellread::api::json::is_obeyed(c);
        assert!(!answered.body.contains(obeyed), "{:?}", answered.body);
        assert!(answered.head.contains("x-content-type-options: nosniff"));
        assert!(!answered.head.contains("text/html"), "{}", answered.head);
    }
    // Nothing is hidden either.
    let text =
        served.json(&format!("/api/articles/{id}/text"))["text"].as_str().unwrap().to_owned();
    for shown in ["<script>alert(1)</script>", "<|im_end|>", "\u{202e}needs"] {
        assert!(text.contains(shown), "{shown} is not in {text:?}");
    }
}

#[test]
fn sources_are_read_again_and_what_fails_is_told() {
    use wellread::base::{Cancel, Filter, Watch};
    use wellread::engine::settings::{Config, Places};
    use wellread::engine::{KnowledgeBase, Question};
    use wellread::serve::{Shared, syncing};

    let wellread = Wellread::small();
    let path =
        wellread.file("feed.xml", feed(&item(1, "Gluing", "<p>The glue needs four hours.</p>")));
    let gone = wellread.file("gone.xml", feed(&item(7, "Tar", "<p>Tar is black.</p>")));
    wellread.succeeds(&["add", &path, &gone]);
    let places = Places { data: wellread.data(), cache: models_cache() };
    let state = Shared::new(KnowledgeBase::new(Config::default(), places));
    let more = item(2, "More", "<p>Fish glue is made of skins.</p>");
    wellread.file("feed.xml", feed(&more));
    std::fs::remove_file(&gone).unwrap();
    syncing::read(&state, &Cancel::default());
    let status = state.sync_status();
    assert_eq!((status.running, status.added, status.failures.len()), (false, 1, 1), "{status:?}");
    assert!(status.failures[0].contains("gone.xml"), "{status:?}");
    assert!(status.last.is_some());
    let (filter, cancel) = (Filter::default(), Cancel::default());
    let watch = Watch { events: &|_| {}, cancel: &cancel };
    let question = Question { text: "fish glue", filter: &filter, sources: &[] };
    let found = state.kb.search(&question, 5, &watch).unwrap();
    assert_eq!(found.hits[0].article.title, "More");

    // What was read is told, too, where it can't be indexed.
    let mut config = Config::default();
    config.models.embedder = "none-such".to_owned();
    let places = Places { data: wellread.data(), cache: models_cache() };
    let state = Shared::new(KnowledgeBase::new(config, places));
    wellread.file("feed.xml", feed(&item(3, "Still more", "<p>Bone glue is made of bones.</p>")));
    syncing::read(&state, &Cancel::default());
    let status = state.sync_status();
    assert_eq!((status.added, status.failures.len()), (1, 2), "{status:?}");
    assert!(status.failures[1].contains("the index: no model is called"), "{status:?}");
}

/// schemathesis makes requests from the description, good ones and bad ones, and holds each answer
/// to it; no request brings the server to fail.
#[test]
fn the_description_holds_for_requests_that_nobody_thought_of() {
    const VERSION: &str = "4.32.5";
    let venv =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schemathesis-{VERSION}"));
    let program = venv.join("bin/st");
    if !program.is_file() {
        let made = std::process::Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        let installed = made.is_ok_and(|status| status.success())
            && std::process::Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", &format!("schemathesis=={VERSION}")])
                .status()
                .is_ok_and(|status| status.success());
        if !installed {
            let _ = std::fs::remove_dir_all(&venv);
            passed_over("schemathesis can't be installed by pip");
            return;
        }
    }
    let wellread = with_sample();
    // What it asks is about nothing: no answer waits for the LLM.
    let served = Served::start(&wellread, &["--set", "answer.min_confidence=0.99"]);
    let output = std::process::Command::new(&program)
        .current_dir(wellread.dir.path())
        .args(["run", &format!("http://{}/api/openapi.json", served.address)])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "15", "--max-time", "60", "--seed", "7", "--no-color"])
        .args(["--generation-database", "none", "--suppress-health-check", "all"])
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("passed") || said.contains("No issues found"), "{said}");
}

/// What schemathesis looks at.
const CHECKS: &str = "not_a_server_error,content_type_conformance,response_schema_conformance,\
                      status_code_conformance";
