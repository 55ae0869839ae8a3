//! The order of the house: a module uses only modules of lower levels, and none uses another in a
//! circle. Read off the `crate::` paths of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::project;

/// The modules in the order in which data flows, with their levels (README, *The map*).
const LEVELS: [(&str, u32); 15] = [
    ("base", 0),
    ("compute", 1),
    ("document", 1),
    ("models", 1),
    ("source", 2),
    ("infer", 2),
    ("library", 3),
    ("index", 4),
    ("retrieve", 5),
    ("answer", 6),
    ("engine", 7),
    ("eval", 8),
    ("api", 8),
    ("serve", 9),
    ("cli", 10),
];

fn level(module: &str) -> u32 {
    LEVELS
        .iter()
        .find(|(name, _)| *name == module)
        .unwrap_or_else(|| panic!("{module} has no level: give it one here and in the README"))
        .1
}

/// The modules of this crate that a file names: `crate::a::…`, and `crate::{a::…, b::…}`.
fn used(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(list) => found.extend(list.split(',').map(|part| name(part.trim()))),
                None => {
                    found.insert(name(rest));
                }
            }
        }
    }
    found.remove("");
    found
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Which module uses which, with a file that shows it.
fn uses() -> BTreeMap<(String, String), String> {
    let root = project("src");
    let mut uses = BTreeMap::new();
    for (module, _) in LEVELS {
        let mut found = Vec::new();
        files(&root.join(module), &mut found);
        for file in found {
            let shown = file.strip_prefix(&root).unwrap().display().to_string();
            for other in used(&std::fs::read_to_string(&file).unwrap()) {
                if other != module {
                    uses.insert((module.to_owned(), other), shown.clone());
                }
            }
        }
    }
    uses
}

#[test]
fn a_module_uses_only_lower_levels() {
    let climbing: Vec<String> = uses()
        .iter()
        .filter(|((module, other), _)| level(other) >= level(module))
        .map(|((module, other), file)| format!("{file}: {module} uses {other}"))
        .collect();
    assert!(climbing.is_empty(), "{}", climbing.join("\n"));
}

#[test]
fn every_folder_of_the_source_has_a_level_and_a_root() {
    let root = project("src");
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            level(&name);
            assert!(path.join("mod.rs").is_file(), "src/{name} has no mod.rs");
        }
    }
    let told = std::fs::read_to_string(root.join("lib.rs")).unwrap();
    let order: Vec<u32> = told
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(level))
        .collect();
    assert!(order.is_sorted(), "lib.rs does not name the modules in their order");
    assert_eq!(order.len(), LEVELS.len());
}

/// Within a module files may use each other, but not in a circle.
#[test]
fn no_two_files_of_a_module_use_each_other() {
    let root = project("src");
    let mut circles = Vec::new();
    for (module, _) in LEVELS {
        let mut found = Vec::new();
        files(&root.join(module), &mut found);
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let uses: BTreeMap<(String, String), BTreeSet<String>> = found
            .iter()
            .filter(|path| name(path) != "mod" && !name(path).ends_with("tests"))
            .map(|path| {
                let source = std::fs::read_to_string(path).unwrap();
                let others = source
                    .lines()
                    .filter_map(|line| line.trim_start().strip_prefix("use super::"))
                    .map(|rest| {
                        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
                    })
                    .collect();
                let folder = path.parent().unwrap().display().to_string();
                ((folder, name(path)), others)
            })
            .collect();
        for ((folder, file), others) in &uses {
            for other in others {
                let back = uses.get(&(folder.clone(), other.clone()));
                if back.is_some_and(|back| back.contains(file)) && file < other {
                    circles.push(format!("{folder}: {file} and {other}"));
                }
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// What a user should do next is said by the door that knows the user: nothing below names a
/// command of the shell.
#[test]
fn only_the_doors_name_commands() {
    const COMMANDS: [&str; 13] = [
        "add", "articles", "ask", "config", "doctor", "embed", "eval", "index", "models", "remove",
        "search", "show", "sync",
    ];
    let root = project("src");
    let mut named = Vec::new();
    for (module, _) in LEVELS.iter().filter(|(module, _)| *module != "cli") {
        let mut found = Vec::new();
        files(&root.join(module), &mut found);
        for path in found.iter().filter(|path| !path.to_string_lossy().contains("tests")) {
            let source = std::fs::read_to_string(path).unwrap();
            let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let is_named = line.match_indices("wellread ").any(|(at, name)| {
                    let rest = &line[at + name.len()..];
                    let word = rest.split(|c: char| !c.is_ascii_lowercase()).next();
                    COMMANDS.contains(&word.unwrap_or_default())
                });
                if is_named {
                    named.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}
