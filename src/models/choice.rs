//! What a user may name as the LLM.

use std::fmt;
use std::path::PathBuf;

use super::manifest;
use crate::base::error::{Error, ErrorKind, Result, Step};

/// Which LLM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A model of `wellread models list`, by name.
    Manifest(String),
    /// A GGUF file.
    Path(PathBuf),
    /// A GGUF file at the hub, in no manifest.
    Hub {
        /// `owner/name`.
        repository: String,
        /// Where in it.
        path: String,
        /// Branch, tag or commit; `main` if none is given.
        revision: Option<String>,
    },
}

impl Choice {
    /// Reads `name`, `path/to/file.gguf` or `hub:owner/repository/path/file.gguf[@revision]`. A text
    /// with a path separator or the ending `.gguf` is a path.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is empty, or begins with `hub:` and is not of that form.
    pub fn parse(text: &str) -> Result<Choice> {
        if text.trim().is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the name of the model is empty")
                .step(Step::ListModels));
        }
        if let Some(rest) = text.strip_prefix("hub:") {
            return hub(rest).ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("{text:?} names no GGUF file at the hub"))
                    .hint("write it as hub:owner/repository/file.gguf, or with @revision after it")
            });
        }
        let is_path = text.contains('/')
            || text.contains(std::path::MAIN_SEPARATOR)
            || text.to_ascii_lowercase().ends_with(".gguf");
        Ok(if is_path { Choice::Path(text.into()) } else { Choice::Manifest(text.to_owned()) })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Manifest(name) => f.write_str(name),
            Choice::Path(path) => write!(f, "{}", path.display()),
            Choice::Hub { repository, path, revision } => {
                write!(f, "hub:{repository}/{path}")?;
                revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
            }
        }
    }
}

fn hub(text: &str) -> Option<Choice> {
    let (file, revision) = match text.split_once('@') {
        Some((file, revision)) => (file, Some(revision)),
        None => (text, None),
    };
    let mut parts = file.splitn(3, '/');
    let repository = format!("{}/{}", parts.next()?, parts.next()?);
    let path = parts.next()?;
    let good = manifest::is_repository(&repository)
        && manifest::is_path(path)
        && path.to_ascii_lowercase().ends_with(".gguf")
        && revision.is_none_or(manifest::is_revision);
    good.then(|| Choice::Hub {
        repository,
        path: path.to_owned(),
        revision: revision.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_hub_files_are_told_apart() {
        let hub = |repository: &str, path: &str, revision: Option<&str>| Choice::Hub {
            repository: repository.into(),
            path: path.into(),
            revision: revision.map(str::to_owned),
        };
        for (text, choice) in [
            ("smollm2-135m-instruct", Choice::Manifest("smollm2-135m-instruct".into())),
            ("none.gguf", Choice::Path("none.gguf".into())),
            ("./model", Choice::Path("./model".into())),
            ("/a b/ü.GGUF", Choice::Path("/a b/ü.GGUF".into())),
            ("hub:o/r/f.gguf", hub("o/r", "f.gguf", None)),
            ("hub:o/r/q4/f.gguf@refs/pr/1", hub("o/r", "q4/f.gguf", Some("refs/pr/1"))),
        ] {
            let parsed = Choice::parse(text).unwrap();
            assert_eq!(parsed, choice);
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn a_hub_file_that_is_none_is_refused() {
        for text in [
            "",
            " ",
            "hub:",
            "hub:o/r",
            "hub:o/r/",
            "hub:o/r/f.bin",
            "hub:o/../f.gguf",
            "hub:o/r/../../f.gguf",
            "hub:/r/x/f.gguf",
            "hub:o/r/f.gguf@",
            "hub:o/r/f.gguf@../x",
            "hub:o/r/a//f.gguf",
            "hub:o/r/%2e%2e/f.gguf",
            "hub:o/r/f.gguf?x=.gguf",
        ] {
            let error = Choice::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(!error.steps().is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_no_hub_path_leaves_its_folder(text in "(hub:)?[a./@\\\\~ü-]{0,24}(gguf)?") {
            if let Ok(Choice::Hub { repository, path, revision }) = Choice::parse(&text) {
                let parts = [repository, path, revision.unwrap_or_default()].join("/");
                proptest::prop_assert!(!parts.split('/').any(|part| part == ".." || part == "."));
            }
        }
    }
}
