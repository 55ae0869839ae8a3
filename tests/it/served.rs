//! A running server of the real binary, and what it answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::*;

/// A running server.
pub struct Served {
    pub child: Child,
    pub address: String,
    /// What it has said on its stderr.
    pub said: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Served {
    pub fn start(wellread: &Wellread, args: &[&str]) -> Served {
        let mut all = vec!["serve", "--addr", "127.0.0.1:0"];
        all.extend(args);
        let mut child = wellread.spawn(&all, Stdio::null());
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(stderr).lines();
        let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let note = |line: &str, said: &std::sync::Mutex<String>| {
            said.lock().unwrap().push_str(&format!("{line}\n"));
        };
        let address = loop {
            let line = lines.next().expect("it says where it listens").expect("text");
            note(&line, &said);
            if let Some((_, rest)) = line.split_once("serves http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        let noted = std::sync::Arc::clone(&said);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| note(&line, &noted))
        });
        Served { child, address, said }
    }

    /// Sends a request; the connection with nothing of the answer read.
    pub fn send(&self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let mut request = format!("{head} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Length") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A server that refuses early closes early.
        let _ = stream.write_all(&bytes);
        stream
    }

    pub fn request(&self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        Answered::read(self.send(head, headers, body))
    }

    pub fn get(&self, path: &str) -> Answered {
        self.request(&format!("GET {path}"), &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answered {
        self.request(&format!("POST {path}"), &[], body.to_string().as_bytes())
    }

    /// The value that a path gives.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answered = self.get(path);
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        answered.json()
    }

    pub fn wanted(&self) -> u64 {
        self.json("/health")["answers_wanted"].as_u64().unwrap()
    }

    /// How often what was wanted was in a cache, and how often not.
    #[track_caller]
    pub fn cache_use(&self, cache: &str) -> [u64; 2] {
        let metrics = self.get("/metrics").body;
        ["hits", "misses"].map(|used| {
            let name = format!("wellread_cache_{used}_total{{cache=\"{cache}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            count.unwrap_or_else(|| panic!("no {name} in {metrics}"))
        })
    }

    /// Waits until so many answers are wanted.
    #[track_caller]
    pub fn wait_for_wanted(&self, wanted: u64) {
        let start = Instant::now();
        while self.wanted() != wanted {
            assert!(start.elapsed() < Duration::from_secs(60), "{} are wanted", self.wanted());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Ends it by SIGTERM; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered.
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answered {
    pub fn read(mut stream: TcpStream) -> Answered {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let at = at.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
        let mut body = bytes.split_off(at + 4);
        if head.contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answered { status, head, body: String::from_utf8(body).expect("UTF-8") }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Its events, by name and value.
    pub fn events(&self) -> Vec<(String, Value)> {
        let events = self.body.split("\n\n").filter_map(|event| {
            let part = |name: &str| {
                event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            Some((part("event")?.to_owned(), serde_json::from_str(part("data")?).unwrap()))
        });
        events.collect()
    }

    /// Panics unless it is an error of a status, of the API's shape, that holds `said`.
    #[track_caller]
    pub fn is_error(&self, status: u16, said: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        let error = self.json();
        is_valid("error", &error);
        assert!(error.to_string().contains(said), "{said:?} is not in {error}");
        error
    }
}

pub fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}

/// An answer without what differs between two of the same question.
pub fn still(mut answer: Value) -> Value {
    answer["timings"] = Value::Null;
    answer["id"] = Value::Null;
    answer
}
