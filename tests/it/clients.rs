//! The official clients of the protocols that assistants and chat programs speak, against the real
//! binary. They come from pip, in the versions named here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::*;
use crate::support::*;

/// What the clients need.
const PACKAGES: [&str; 3] = ["mcp==2.3.0", "jsonschema==4.26.0", "openai==3.57.0"];

/// How long a client may take.
const LIMIT: Duration = Duration::from_secs(180);

/// An article that would do harm if it were more than text.
const HOSTILE: &str = "A hostile lighthouse: the spy alert is &lt;script&gt;alert(1)&lt;/script&gt; \
     ![spy](http://evil.example/x.png) \u{202e}\u{1b}[31m and so on.";

/// A folder with the clients in it, installed once; `None` if pip can't, which fails the test where
/// everything is required.
fn clients() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let done = folder.join(PACKAGES.join(" "));
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients.lock");
    let lock = std::fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        let pip = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
            .arg(&folder)
            .args(PACKAGES)
            .status();
        if !pip.is_ok_and(|status| status.success()) {
            passed_over(&format!("{PACKAGES:?} can't be installed by pip"));
            return None;
        }
        std::fs::write(&done, "").unwrap();
    }
    Some(folder)
}

/// Runs a client, which must say "ok".
fn run_client(wellread: &Wellread, folder: &Path, script: &str, args: &[&str]) {
    let template = wellread.command(&[]);
    let mut child = Command::new("python3")
        .arg(project("tests/clients").join(script))
        .args(args)
        .env_clear()
        .envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .env("PYTHONPATH", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let out = ran(child.wait_with_output().unwrap());
            panic!("{script} {args:?} takes too long\n{}\n{}", out.stdout, out.stderr);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let out = ran(child.wait_with_output().unwrap());
    assert!(out.stdout.contains("ok"), "{script} {args:?}\n{}\n{}", out.stdout, out.stderr);
}

/// The sample and a hostile article, indexed.
fn filled() -> Wellread {
    let wellread = Wellread::small();
    let hostile = feed(&item(1, "Hostile", &format!("<p>{HOSTILE}</p>")));
    let hostile = wellread.file("hostile.xml", hostile);
    wellread.succeeds(&["add", &sample_feed(), &hostile]);
    wellread
}

/// What a server answers to a POST of JSON, with headers.
fn post(server: &Served, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
    let mut all = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    all.extend(headers);
    server.request(&format!("POST {path}"), &all, body.as_bytes())
}

#[test]
fn the_official_mcp_client_over_standard_streams() {
    let Some(folder) = clients() else { return };
    let wellread = filled();
    let binary = env!("CARGO_BIN_EXE_wellread");
    for mode in ["legacy", "2026-07-28"] {
        run_client(&wellread, &folder, "mcp_client.py", &[mode, "stdio", binary, "mcp"]);
    }
}

#[test]
fn the_official_mcp_client_over_http() {
    let Some(folder) = clients() else { return };
    let wellread = filled();
    let server = Served::start(&wellread, &[]);
    let url = format!("http://{}/mcp", server.address);
    for mode in ["legacy", "2026-07-28"] {
        run_client(&wellread, &folder, "mcp_client.py", &[mode, "http", &url]);
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let answer = post(&server, "/mcp", &[], list);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("list_articles"), "{}", answer.body);
    // A page of anybody's may not ask, and what headers say is what the body says.
    for origin in ["http://evil.example", "null"] {
        let answer = post(&server, "/mcp", &[("Origin", origin)], list);
        assert_eq!(answer.status, 403, "{}", answer.body);
    }
    let other = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call")];
    let answer = post(&server, "/mcp", &other, list);
    assert_eq!(answer.status, 400, "{}", answer.body);
}

/// The inspector that the protocol's makers debug servers with.
#[test]
fn the_mcp_inspector() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspector");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(project("tests/clients/package.json"), folder.join("package.json")).unwrap();
    let node = Command::new("node").arg("--version").output();
    let node = node.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    let version =
        node.ok().and_then(|node| node.trim_start_matches('v').split('.').next()?.parse().ok());
    if version.unwrap_or(0) < 20 {
        passed_over("the inspector needs Node 20");
        return;
    }
    if !installed_by_npm(&folder) {
        return;
    }
    let wellread = filled();
    let template = wellread.command(&[]);
    let inspect = |args: &[&str]| -> (Value, String) {
        let mut command = Command::new(folder.join("node_modules/.bin/mcp-inspector"));
        command.arg("--cli").args(args).env_clear();
        command.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let out = ran(command.output().expect("node runs"));
        assert_eq!(out.code, Some(0), "{args:?}\n{}\n{}", out.stdout, out.stderr);
        let json = serde_json::from_str(&out.stdout);
        (json.unwrap_or_else(|_| panic!("no JSON: {}", out.stdout)), out.stderr)
    };
    // It starts the program as it is told to by what users paste, without their variables.
    let hint = wellread.succeeds(&["--json", "mcp", "--install-hint"]);
    let hint = wellread.file("servers.json", hint);
    let server = Served::start(&wellread, &[]);
    let url = format!("http://{}/mcp", server.address);
    for server in [&["--config", &hint, "--server", "wellread"][..], &[&url]] {
        // It names what some assistants can't take of a schema.
        let (listed, remarks) =
            inspect(&[server, &["--method", "tools/list", "--strict"]].concat());
        assert!(!remarks.contains(": tool \""), "{remarks}");
        assert_eq!(listed["tools"].as_array().unwrap().len(), 6, "{listed:#}");
        let call = ["--method", "tools/call", "--tool-name", "search", "--tool-arg"];
        let (found, _) = inspect(&[server, &call, &["query=varnish", "limit=2"]].concat());
        let results = found["structuredContent"]["results"].as_array().unwrap();
        let first = results[0]["resource"].as_str().unwrap();
        let (read, _) =
            inspect(&[server, &["--method", "resources/read", "--uri", first]].concat());
        let text = read["contents"][0]["text"].as_str().unwrap();
        assert!(text.contains("varnish"), "{text}");
    }
}

#[test]
fn the_official_openai_client() {
    let Some(folder) = clients() else { return };
    let wellread = filled();
    let vector = wellread.file("vector.json", own_vector("varnish").to_string());
    let server = Served::start(&wellread, &[]);
    run_client(
        &wellread,
        &folder,
        "openai_client.py",
        &[&format!("http://{}", server.address), &vector],
    );
    let body = json!({
        "model": "wellread",
        "messages": [{ "role": "user", "content": "what is the hostile lighthouse spy alert?" }],
    });
    let answer = post(&server, "/v1/chat/completions", &[], &body.to_string());
    assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    assert!(!answer.body.contains(['\u{202e}', '\u{1b}']));
    let body = answer.json();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    let unescaped = content.replace("\\<", "");
    assert!(!unescaped.contains("](http://evil") && !unescaped.contains("<script"), "{content}");
}

/// A text's vector, from the embedder itself.
fn own_vector(text: &str) -> Value {
    use wellread::base::{Cancel, Event, Watch};
    use wellread::engine::KnowledgeBase;
    use wellread::engine::settings::{Config, Places};
    use wellread::infer::Purpose;

    let folder = tempfile::tempdir().unwrap();
    let places = Places { data: folder.path().to_owned(), cache: models_cache() };
    let kb = KnowledgeBase::new(Config::default(), places);
    let watch = Watch { events: &|_: Event| {}, cancel: &Cancel::default() };
    let embedder = kb.embedder(&watch).unwrap();
    json!(embedder.embed(&[text], Purpose::Passage).unwrap().remove(0))
}

/// What `wellread mcp` writes for messages on standard input, one JSON value a line.
fn mcp(wellread: &Wellread, args: &[&str], messages: &[Value]) -> Vec<Value> {
    let mut child = wellread.spawn(args, Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    for message in messages {
        writeln!(stdin, "{message}").unwrap();
    }
    let requests = messages.iter().filter(|message| message.get("id").is_some()).count();
    let stdout = child.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let mut answers = Vec::new();
    while answers.iter().filter(|answer: &&Value| answer.get("id").is_some()).count() < requests {
        let line = lines.next().expect("an answer to each request").unwrap();
        answers.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    }
    drop(stdin);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, Vec::<String>::new());
    let out = ran(child.wait_with_output().unwrap());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    answers
}

fn handshake() -> Vec<Value> {
    let client = json!({ "name": "test", "version": "1" });
    vec![
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ]
}

fn called(id: u64, name: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": { "name": name, "arguments": arguments } })
}

#[test]
fn an_assistant_is_given_what_there_is_when_time_is_up() {
    let wellread = filled();
    let mut messages = handshake();
    messages.push(called(1, "ask", json!({ "question": "How long does a coat of varnish dry?" })));
    let args = ["mcp", "--set", "serve.mcp_secs=0"];
    let answers = mcp(&wellread, &args, &messages);
    let result = &answers[1]["result"];
    assert_eq!(result["isError"], false, "{result:#}");
    let content = &result["structuredContent"];
    assert_eq!(content["partial"], true);
    assert_eq!(content["quoted"], true);
    assert!(content["note"].as_str().unwrap().starts_with("time was up after 0 seconds"));
    assert!(content["sentences"][0]["text"].as_str().unwrap().starts_with('“'));
}

#[test]
fn without_articles_each_tool_says_so() {
    let wellread = Wellread::small();
    let mut messages = handshake();
    messages.push(called(1, "search", json!({ "query": "varnish" })));
    messages.push(called(2, "list_articles", json!({})));
    messages.push(called(3, "status", json!({})));
    messages.push(called(4, "ask", json!({ "question": "why?" })));
    messages.push(called(5, "check_claims", json!({ "text": "It took two days." })));
    let answers = mcp(&wellread, &["mcp"], &messages);
    let of = |id: u64| &answers.iter().find(|answer| answer["id"] == id).unwrap()["result"];
    for id in [1, 4, 5] {
        assert_eq!(of(id)["isError"], true);
        let said = of(id)["content"][0]["text"].as_str().unwrap();
        assert_eq!(said, "there are no articles yet; add a source", "{id}");
    }
    assert_eq!(of(2)["structuredContent"]["total"], 0);
    assert_eq!(of(3)["structuredContent"]["articles"], 0);
}

#[test]
fn what_is_not_the_protocol_ends_with_an_error_and_silence_with_none() {
    let wellread = Wellread::small();
    let silent = wellread.run_with_input(&["mcp"], b"");
    assert_eq!((silent.code, silent.stdout.as_str()), (Some(0), ""), "{}", silent.stderr);
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"status"}}"#;
    let other = wellread.run_with_input(&["mcp"], format!("{request}\n").as_bytes());
    assert!(other.code == Some(0) || other.code == Some(2), "{}", other.stderr);
    assert!(!other.stderr.contains("panicked"), "{}", other.stderr);
}

#[test]
fn the_install_hint_names_this_program_and_its_folder() {
    let wellread = Wellread::small();
    let hint = wellread.succeeds(&["mcp", "--install-hint"]);
    for client in ["Claude Code", "VS Code", "Claude Desktop", "Cursor"] {
        assert!(hint.contains(client), "{hint}");
    }
    let hint = wellread.json(&["mcp", "--install-hint"]);
    let server = &hint["mcpServers"]["wellread"];
    assert_eq!(server["command"], env!("CARGO_BIN_EXE_wellread"));
    let args: Vec<&str> =
        server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let data = wellread.data().display().to_string();
    assert_eq!(args[..3], ["mcp", "--data", &data]);
    // So is all that was chosen otherwise than in the user's own file.
    assert!(args.contains(&"models.generator=smollm2-135m-instruct"), "{args:?}");
    wellread.file("wellread.toml", "[answer]\nhits = 7\n");
    wellread.file("prompt.jinja", "{{ question }}");
    let chosen = ["--set", "models.prompt=prompt.jinja", "--offline"];
    let hint = wellread.json(&[&["mcp", "--install-hint"][..], &chosen].concat());
    let args = hint["mcpServers"]["wellread"]["args"].as_array().unwrap();
    let prompt = wellread.dir.path().join("prompt.jinja").display().to_string();
    for one in ["answer.hits=7", "offline=true", &format!("models.prompt={prompt}")] {
        assert!(args.iter().any(|arg| arg == one), "{one} is not in {args:?}");
    }
    // What depends on the folder is named from wherever it comes.
    let file = wellread.file("own.toml", "[models]\nprompt = \"prompt.jinja\"\n");
    let hint = wellread.json(&["mcp", "--install-hint", "--config", "own.toml"]);
    let args = hint["mcpServers"]["wellread"]["args"].as_array().unwrap();
    assert_eq!(args[3..5], ["--config", &file]);
    assert!(args.iter().any(|arg| *arg == format!("models.prompt={prompt}")), "{args:?}");
    assert!(!args.iter().any(|arg| arg == "answer.hits=7"), "{args:?}");
}
