//! Settings: defaults, then the user's own `wellread.toml`, then the working folder's as far as it
//! may, then `WELLREAD_…`, then flags; each value knows where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::trust;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::nearest;
use crate::engine::settings::Config;

/// Where a value comes from, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Built in.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag => f.write_str("command line"),
        }
    }
}

/// A value of the working folder's file that is not taken from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ignored {
    /// The key, dotted.
    pub key: String,
    /// What the file says.
    pub value: Value,
    /// The file.
    pub file: PathBuf,
    /// Why it may not say it.
    pub why: &'static str,
}

/// The effective settings and where each value comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The values.
    pub config: Config,
    /// The same as `key → (value, origin)`, keys dotted.
    pub origins: BTreeMap<String, (Value, Origin)>,
    /// What the working folder's file says and may not.
    pub ignored: Vec<Ignored>,
    /// The file of `--config`.
    pub file: Option<PathBuf>,
}

impl Settings {
    /// Puts the layers together. `file` is `--config`; without it the user's own `wellread.toml`, of
    /// the platform's configuration folder, is read if it is there, and over it that of the working
    /// folder, which may not set everything ([`Settings::ignored`]). `flags` are dotted keys and
    /// values, the last one holding; `environment` is asked for each key's variable
    /// (`answer.max_tokens` is `WELLREAD_ANSWER_MAX_TOKENS`).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a file can't be read or isn't TOML, a key is unknown (with the
    /// nearest known one), or a value is of the wrong type.
    pub fn load(
        file: Option<&Path>,
        flags: &[(String, String)],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Settings> {
        let mut values = BTreeMap::new();
        flatten("", &defaults()?, &mut |key, value| {
            values.insert(key, (value.clone(), Origin::Default));
        });
        let mut ignored = Vec::new();
        match file {
            Some(path) => {
                for (key, value) in read(path)? {
                    set(&mut values, &key, value, Origin::File(path.to_owned()))?;
                }
            }
            None => {
                let own = platform_file().filter(|path| path.is_file());
                if let Some(path) = &own {
                    for (key, value) in read(path)? {
                        set(&mut values, &key, value, Origin::File(path.clone()))?;
                    }
                }
                let folders = PathBuf::from(FILE);
                if folders.is_file() && !is_same(&folders, own.as_deref()) {
                    take_of_folder(&folders, &mut values, &mut ignored)?;
                }
            }
        }
        let keys: Vec<String> = values.keys().cloned().collect();
        for key in keys {
            let name = variable(&key);
            if let Some(text) = environment(&name) {
                let value = typed(&values[&key].0, &text, &key, &name)?;
                set(&mut values, &key, value, Origin::Environment(name))?;
            }
        }
        for (key, text) in flags {
            let old = values.get(key).map(|(value, _)| value.clone());
            let value = match old {
                Some(old) => typed(&old, text, key, "--set")?,
                None => Value::String(text.clone()),
            };
            set(&mut values, key, value, Origin::Flag)?;
        }
        let config = Config::deserialize(Value::Table(nest(&values))).map_err(|error| {
            Error::new(ErrorKind::Config, "a setting is wrong")
                .caused_by(error)
                .hint("`wellread config` shows each value and where it comes from")
        })?;
        Ok(Settings { config, origins: values, ignored, file: file.map(Path::to_owned) })
    }

    /// One line on what was ignored, and where it can be set instead; `None` if nothing was.
    pub fn ignored_in_short(&self) -> Option<String> {
        let file = &self.ignored.first()?.file;
        let keys: Vec<&str> = self.ignored.iter().map(|one| one.key.as_str()).collect();
        let own = platform_file().map_or_else(String::new, |path| format!("{}, ", path.display()));
        Some(format!(
            "{} in the working folder may not set {}; ignored (set it in {own}in a file of --config, \
             by WELLREAD_… or a flag; `wellread config` says why)",
            file.display(),
            keys.join(", ")
        ))
    }

    /// The folder of library and index.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if none is set and the platform's can't be found.
    pub fn data_dir(&self) -> Result<PathBuf> {
        if !self.config.data.is_empty() {
            return Ok(PathBuf::from(&self.config.data));
        }
        let homeless = || {
            Error::new(
                ErrorKind::Config,
                "the home folder can't be found, so there is no place for the library",
            )
            .hint("set HOME, or say where: WELLREAD_DATA=/some/folder")
        };
        // The user database is not asked for a home folder: a process without HOME is one that
        // should be told where to write.
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if cfg!(unix) && !is_set("HOME") && !is_set("XDG_DATA_HOME") {
            return Err(homeless());
        }
        let base = etcetera::choose_base_strategy().map_err(|error| homeless().caused_by(error))?;
        Ok(base.data_dir().join("wellread"))
    }

    /// The folder of the models.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if none is set and the platform's can't be found.
    pub fn cache_dir(&self) -> Result<PathBuf> {
        if !self.config.cache.is_empty() {
            return Ok(PathBuf::from(&self.config.cache));
        }
        crate::models::default_cache()
    }
}

/// What the files are called.
const FILE: &str = "wellread.toml";

/// The user's own file, there or not.
pub fn platform_file() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.config_dir().join("wellread").join(FILE))
}

fn is_same(a: &Path, b: Option<&Path>) -> bool {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    b.is_some_and(|b| real(a).is_some() && real(a) == real(b))
}

/// A file's keys, dotted, and their values.
fn read(path: &Path) -> Result<Vec<(String, Value)>> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Error::io("cannot read the configuration", error)
            .hint("give another file with --config, or none")
    })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Error::new(ErrorKind::Config, format!("{} is not TOML", path.display()))
            .caused_by(error)
            .hint("`wellread config` shows what can be set")
    })?;
    let mut found = Vec::new();
    flatten("", &table, &mut |key, value| found.push((key, value.clone())));
    Ok(found)
}

/// Takes from the working folder's file what it may set; what says the same as before is neither
/// taken nor ignored.
fn take_of_folder(
    path: &Path,
    values: &mut BTreeMap<String, (Value, Origin)>,
    ignored: &mut Vec<Ignored>,
) -> Result<()> {
    for (key, value) in read(path)? {
        let before = values.get(&key).cloned();
        set(values, &key, value.clone(), Origin::File(path.to_owned()))?;
        let Some(before) = before.filter(|(old, _)| values[&key].0 != *old) else { continue };
        if let Some(why) = trust::refusal(&key, &value) {
            values.insert(key.clone(), before);
            ignored.push(Ignored { key, value, file: path.to_owned(), why });
        }
    }
    Ok(())
}

/// The environment variable of a key.
pub fn variable(key: &str) -> String {
    format!("WELLREAD_{}", key.to_uppercase().replace('.', "_"))
}

fn defaults() -> Result<Table> {
    Table::try_from(Config::default()).map_err(|error| {
        Error::new(ErrorKind::Bug, "the default settings can't be written").caused_by(error)
    })
}

fn flatten(prefix: &str, table: &Table, each: &mut dyn FnMut(String, &Value)) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, each),
            leaf => each(key, leaf),
        }
    }
}

fn nest(values: &BTreeMap<String, (Value, Origin)>) -> Table {
    fn put(table: &mut Table, key: &str, value: &Value) {
        match key.split_once('.') {
            None => {
                table.insert(key.to_owned(), value.clone());
            }
            Some((head, rest)) => {
                let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(inner) = inner {
                    put(inner, rest, value);
                }
            }
        }
    }
    let mut root = Table::new();
    for (key, (value, _)) in values {
        put(&mut root, key, value);
    }
    root
}

fn set(
    values: &mut BTreeMap<String, (Value, Origin)>,
    key: &str,
    value: Value,
    origin: Origin,
) -> Result<()> {
    let Some((old, _)) = values.get(key) else {
        let known = values.keys().map(String::as_str);
        let hint = match nearest(key, known, 1 + key.len() / 3) {
            Some(known) => format!("did you mean {known}? `wellread config` lists all"),
            None => "`wellread config` lists all that can be set".to_owned(),
        };
        return Err(Error::new(
            ErrorKind::Config,
            format!("there is no setting {key} (from {origin})"),
        )
        .hint(hint));
    };
    let value = match (old, value) {
        (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
        (_, value) => value,
    };
    if !old.same_type(&value) {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "{key} must be of type {}, not {} (from {origin})",
                old.type_str(),
                value.type_str()
            ),
        )
        .hint(format!("the default is {old}")));
    }
    values.insert(key.to_owned(), (value, origin));
    Ok(())
}

/// `text` as a value of the same type as `like`.
fn typed(like: &Value, text: &str, key: &str, place: &str) -> Result<Value> {
    let wrong = || {
        Error::new(
            ErrorKind::Config,
            format!("{key} must be of type {}, not \"{text}\" (from {place})", like.type_str()),
        )
        .hint(format!("the default is {like}"))
    };
    Ok(match like {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| wrong())?),
        Value::Float(_) => Value::Float(text.trim().parse().map_err(|_| wrong())?),
        Value::Boolean(_) => Value::Boolean(match text.trim() {
            "true" | "1" | "yes" => true,
            "false" | "0" | "no" | "" => false,
            _ => return Err(wrong()),
        }),
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        ),
        Value::Datetime(_) | Value::Table(_) => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.toml");
        fs_err::write(&path, file).unwrap();
        let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        Settings::load(Some(&path), &flags, &|name| {
            environment.get(name).map(|value| (*value).to_owned())
        })
    }

    #[test]
    fn later_layers_win_and_say_where_they_come_from() {
        let file = "offline = true\n[answer]\nmax_tokens = 1\npassages = 2\nseed = 3\n";
        let settings = load(
            &[("answer.max_tokens", "7")],
            &[("WELLREAD_ANSWER_MAX_TOKENS", "5"), ("WELLREAD_ANSWER_PASSAGES", "6")],
            file,
        )
        .unwrap();
        assert_eq!(settings.config.answer.max_tokens, 7);
        assert_eq!(settings.config.answer.passages, 6);
        assert_eq!(settings.config.answer.seed, 3);
        assert!(settings.config.offline);
        assert_eq!(settings.origins["answer.max_tokens"].1, Origin::Flag);
        assert_eq!(
            settings.origins["answer.passages"].1,
            Origin::Environment("WELLREAD_ANSWER_PASSAGES".into())
        );
        assert!(matches!(settings.origins["answer.seed"].1, Origin::File(_)));
        assert_eq!(settings.origins["answer.hits"].1, Origin::Default);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_name_key_and_place() {
        let error = load(&[], &[], "[answer]\nmax_token = 1\n").unwrap_err();
        assert!(error.to_string().contains("answer.max_token"), "{error}");
        assert!(format!("{:?}", error.steps()).contains("answer.max_tokens"));
        let error = load(&[], &[("WELLREAD_ANSWER_SEED", "x")], "").unwrap_err();
        assert!(error.to_string().contains("WELLREAD_ANSWER_SEED"), "{error}");
        assert_eq!(load(&[], &[], "a = = 1").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(load(&[], &[], "offline = 3").unwrap_err().kind(), ErrorKind::Config);
    }
}
