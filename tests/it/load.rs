//! `serve` under load: floods, drafts, clients that say or read nothing, and its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::serve::{LONG, QUESTION, is_refused, with_sample};
use crate::served::*;
use crate::support::*;

#[test]
fn a_flood_of_searches_is_answered_and_one_of_questions_is_queued_or_refused() {
    let wellread = with_sample();
    let args = [&["--set", "serve.queue=1"][..], &LONG].concat();
    let served = Served::start(&wellread, &args);
    let wanted = served.json("/api/search?q=glue&limit=2");
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| assert_eq!(served.json("/api/search?q=glue&limit=2"), wanted));
        }
    });
    let body = json!({ "question": QUESTION }).to_string();
    let accept = [("Accept", "text/event-stream")];
    let first = served.send("POST /api/ask", &accept, body.as_bytes());
    served.wait_for_wanted(1);
    let second = served.send("POST /api/ask", &accept, body.as_bytes());
    served.wait_for_wanted(2);
    // One is written, one waits; for a third there is no room, and searches don't wait.
    let third = served.post("/api/ask", &json!({ "question": QUESTION }));
    third.is_error(503, "waiting");
    assert!(third.head.contains("retry-after: "), "{}", third.head);
    assert_eq!(served.json("/api/search?q=glue&limit=2"), wanted);
    // Those who go away make room.
    drop(first);
    drop(second);
    served.wait_for_wanted(0);
    let metrics = served.get("/metrics").body;
    assert!(metrics.contains("wellread_answers_refused_total 1\n"), "{metrics}");
}

/// Two hundred connections that ask again and again, by a tool that is made for it.
#[test]
fn two_hundred_clients_that_never_pause_are_all_answered() {
    let there = std::process::Command::new("wrk").arg("--version").output();
    if there.is_err() {
        passed_over("wrk is not installed");
        return;
    }
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    for path in ["/api/search?q=glue&limit=2", "/?q=glue&mode=search", "/health"] {
        let ran = std::process::Command::new("wrk")
            .args(["-t1", "-c200", "-d3s", "--timeout", "30s"])
            .arg(format!("http://{}{path}", served.address))
            .output()
            .expect("wrk runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{said}");
        for trouble in ["Non-2xx", "Socket errors"] {
            assert!(!said.contains(trouble), "{path}: {said}");
        }
        let asked = said.lines().find_map(|line| line.trim().split_once(" requests in "));
        let asked: u64 = asked.unwrap_or_else(|| panic!("{said}")).0.parse().unwrap();
        assert!(asked >= 200, "{path}: {said}");
    }
    served.wait_for_wanted(0);
    assert_eq!(served.json("/health")["status"], "ok");
}

/// What takes long keeps nobody else waiting.
#[test]
fn drafts_are_checked_while_others_search_and_look() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &[]);
    let sentence = |n: usize| format!("The boat number {n} was planked with larch in the spring. ");
    let draft = json!({ "text": (0..400).map(sentence).collect::<String>() }).to_string();
    let drafts: Vec<_> =
        (0..16).map(|_| served.send("POST /api/cite", &[], draft.as_bytes())).collect();
    std::thread::sleep(Duration::from_millis(300));
    served.json("/api/search?q=glue&limit=2");
    served.json("/api/status");
    served.json("/api/articles");
    assert_eq!(served.get("/articles").status, 200);
    let metrics = served.get("/metrics").body;
    assert!(!metrics.contains("route=\"/api/cite\""), "a draft was checked before: {metrics}");
    drop(drafts);
}

#[test]
fn who_says_or_reads_nothing_is_given_up() {
    let wellread = with_sample();
    let served = Served::start(&wellread, &["--set", "serve.patience_secs=1"]);
    // A head that never ends.
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: ").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200"), "it was answered");
    // A body that never comes.
    let said = [("Content-Length", "1000")];
    for path in ["/api/ask", "/v1/chat/completions"] {
        let stream = served.send(&format!("POST {path}"), &said, b"{");
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let start = Instant::now();
        is_refused(path, &Answered::read(stream), 408, "in time");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn told_to_stop_it_ends_what_is_being_said() {
    let wellread = with_sample();
    let mut served = Served::start(&wellread, &["--set", "serve.grace_secs=120"]);
    let socket = wellread.data().join("serve.sock");
    assert!(socket.exists());
    let body = json!({ "question": QUESTION }).to_string();
    let accept = [("Accept", "text/event-stream")];
    let stream = served.send("POST /api/ask", &accept, body.as_bytes());
    let mut late = TcpStream::connect(&served.address).unwrap();
    late.write_all(b"GET /health HTTP/1.1\r\nConnection: close\r\n").unwrap();
    served.wait_for_wanted(1);
    signal(&served.child, "TERM");
    std::thread::sleep(Duration::from_millis(500));
    // Whose request had begun is answered, too.
    late.write_all(format!("Host: {}\r\n\r\n", served.address).as_bytes()).unwrap();
    assert_eq!(Answered::read(late).json()["status"], "stopping");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    let events = Answered::read(stream).events();
    assert_eq!(events.last().unwrap().0, "done");
    assert!(!socket.exists());
    assert!(TcpStream::connect(&served.address).is_err());
    // Told twice it ends at once.
    let args = [&["--set", "serve.grace_secs=60"][..], &LONG].concat();
    let mut served = Served::start(&wellread, &args);
    let _stream = served.send("POST /api/ask", &accept, body.as_bytes());
    served.wait_for_wanted(1);
    signal(&served.child, "TERM");
    std::thread::sleep(Duration::from_millis(300));
    signal(&served.child, "TERM");
    let start = Instant::now();
    assert_eq!(served.child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(!socket.exists());
    // One that is killed leaves its socket behind, which is dead, and is replaced.
    let mut served = Served::start(&wellread, &[]);
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    assert!(socket.exists());
    assert!(wellread.run(&["search", "glue"]).stdout.contains("Keel"));
    let mut served = Served::start(&wellread, &[]);
    assert!(wellread.run(&["-v", "search", "glue"]).stderr.contains("running server"));
    assert_eq!(served.stop(), Some(0));
}
