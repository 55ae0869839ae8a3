//! Loopback servers: feeds that answer late, and a wire whose bytes are counted.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A web server: paths that it knows, and how long each answer takes.
pub struct Site {
    pub address: SocketAddr,
    pages: Arc<Mutex<HashMap<String, String>>>,
    seen: Arc<Seen>,
}

/// How many requests were in work at once, over all sites that share it.
#[derive(Default)]
pub struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
    requests: AtomicUsize,
}

impl Seen {
    /// Requests since this was last asked, and the most of them at once.
    pub fn take(&self) -> (usize, usize) {
        (self.requests.swap(0, Ordering::Relaxed), self.most.swap(0, Ordering::Relaxed))
    }
}

impl Site {
    /// A server at a port of its own of this loopback address.
    pub fn start(host: &str, delay: Duration, seen: &Arc<Seen>) -> Site {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site { address, pages: Arc::default(), seen: Arc::clone(seen) };
        let (pages, seen) = (Arc::clone(&site.pages), Arc::clone(&site.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (pages, seen) = (Arc::clone(&pages), Arc::clone(&seen));
                std::thread::spawn(move || answer(stream, delay, &pages, &seen));
            }
        });
        site
    }

    pub fn put(&self, path: &str, page: String) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Answers the requests of a connection until it is closed.
fn answer(
    mut stream: TcpStream,
    delay: Duration,
    pages: &Mutex<HashMap<String, String>>,
    seen: &Seen,
) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&bytes).to_lowercase();
        let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
        bytes.clear();
        let now = seen.now.fetch_add(1, Ordering::Relaxed) + 1;
        seen.most.fetch_max(now, Ordering::Relaxed);
        seen.requests.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(delay);
        let page = pages.lock().unwrap().get(&path).cloned();
        let answer = match page {
            Some(_) if head.contains("if-none-match:") => {
                "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_owned()
            }
            Some(page) => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/rss+xml\r\netag: \"1\"\r\n\
                 content-length: {}\r\n\r\n{page}",
                page.len()
            ),
            None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        };
        seen.now.fetch_sub(1, Ordering::Relaxed);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A wire to a server.
pub struct Wire {
    pub address: SocketAddr,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Wire {
    pub fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Wire { address, sent: Arc::default(), received: Arc::default() };
        let (sent, received) = (Arc::clone(&wire.sent), Arc::clone(&wire.received));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(server).unwrap();
                pass_on(near.try_clone().unwrap(), far.try_clone().unwrap(), &sent);
                pass_on(far, near, &received);
            }
        });
        wire
    }

    /// Megabytes to the server and from it since this was last asked.
    pub fn take(&self) -> (f64, f64) {
        let taken = |count: &AtomicU64| count.swap(0, Ordering::Relaxed) as f64 / 1e6;
        (taken(&self.sent), taken(&self.received))
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, count: &Arc<AtomicU64>) {
    let count = Arc::clone(count);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
            count.fetch_add(read as u64, Ordering::Relaxed);
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
