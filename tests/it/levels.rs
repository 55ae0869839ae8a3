//! The order of the house: a module uses only modules of lower levels, and none uses another in a
//! circle; no more do the files and folders of a module. Read off the paths in the source.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// A file without its comments, each line where it was.
fn uncommented(source: &str) -> String {
    let lines = source.lines().map(|line| match line.trim_start().starts_with("//") {
        true => "",
        false => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that begin in this crate or near a file (`crate::…`, `super::…`, `self::…`), in `use`
/// and elsewhere, each with the number of its line. Of a list in braces each member is a path.
fn paths(code: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            // Within another word, in a macro, or within a path.
            if before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut paths = Vec::new();
            read_path(&code[at..], Vec::new(), &mut paths);
            found.extend(paths.into_iter().map(|path| (line, path)));
        }
    }
    found
}

/// Reads what goes on a path, branches and all, and gives the text after it.
fn read_path<'a>(
    mut text: &'a str,
    mut path: Vec<&'a str>,
    found: &mut Vec<Vec<&'a str>>,
) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut list) = text.strip_prefix('{') {
            loop {
                list = read_path(list, path.clone(), found);
                // Another name that a member is given is passed over.
                list = list.trim_start_matches(|c: char| c != ',' && c != '}');
                match list.strip_prefix(',') {
                    Some(rest) => list = rest,
                    None => return list.strip_prefix('}').unwrap_or(list),
                }
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        path.push(name);
        match rest.strip_prefix("::") {
            Some(rest) => text = rest,
            None => {
                found.push(path);
                return rest;
            }
        }
    }
}

/// What a path in a module means: names from the crate's root on.
fn meant(path: &[&str], module: &[String]) -> Vec<String> {
    let mut meant = module.to_vec();
    for name in path {
        match *name {
            "crate" => meant.clear(),
            "super" => drop(meant.pop()),
            "self" => {}
            name => meant.push(name.to_owned()),
        }
    }
    meant
}

#[test]
fn all_ways_to_name_another_file_are_seen() {
    let code = "use super::{a, b::{self, C as D}};\nuse super::super::e;\nself::f(crate::g::H::I);";
    let here = ["cli", "chat", "line"].map(str::to_owned);
    let seen = paths(code).into_iter().map(|(line, path)| (line, meant(&path, &here).join("/")));
    let seen: BTreeSet<(usize, String)> = seen.collect();
    let wanted = [
        (1, "cli/chat/a"),
        (1, "cli/chat/b"),
        (1, "cli/chat/b/C"),
        (2, "cli/e"),
        (3, "cli/chat/line/f"),
        (3, "g/H/I"),
    ];
    assert_eq!(seen, BTreeSet::from(wanted.map(|(line, path)| (line, path.to_owned()))));
}

/// The modules of this crate that a file names.
fn used(source: &str) -> BTreeSet<String> {
    let code = uncommented(source);
    let named = paths(&code).into_iter().filter(|(_, path)| path[0] == "crate");
    named
        .map(|(_, path)| path[1].to_owned())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
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

/// A file of the source.
struct Code {
    /// Below `src`.
    path: String,
    /// Names from the crate's root on.
    module: Vec<String>,
    /// Without comments and tests, each line where it was.
    text: String,
}

impl Code {
    /// The module of this crate that it is of; `None` for the crate's root.
    fn part(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// Its lines of a sort, each with its place.
    fn lines(&self, is_one: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = self.text.lines().zip(1..).filter(|(line, _)| is_one(line));
        lines.map(|(line, n)| format!("{}:{n}: {}", self.path, line.trim())).collect()
    }
}

/// All files of the source but those of tests, in their order.
fn code() -> Vec<Code> {
    let root = project("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    let code = found.iter().map(|file| {
        let path = file.strip_prefix(&root).unwrap();
        let names = path.with_extension("");
        let mut module: Vec<String> =
            names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        module.pop_if(|name| ["lib", "main", "mod"].contains(&name.as_str()));
        let source = std::fs::read_to_string(file).unwrap();
        let untested = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        Code { path: path.display().to_string(), module, text: uncommented(untested) }
    });
    code.filter(|file| !file.module.iter().any(|name| name.ends_with("tests"))).collect()
}

/// Of a folder, which of its files and folders uses which other, and the paths that show it.
type Uses = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The folders with what uses what in each. A name that a folder's `mod.rs` passes on is the
/// folder's own; a module within a file is not told from the file.
fn folders() -> BTreeMap<String, Uses> {
    let code = code();
    let modules: BTreeSet<&[String]> = code.iter().map(|file| file.module.as_slice()).collect();
    let mut folders = BTreeMap::<String, Uses>::new();
    for Code { path: file, module, text } in &code {
        for (line, path) in paths(text) {
            let other = meant(&path, module);
            let shared = module.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let is_beside = other.get(..=shared).is_some_and(|other| modules.contains(&other));
            if let Some(name) = module.get(shared)
                && is_beside
            {
                let uses = folders.entry(module[..shared].join("/")).or_default();
                let others = uses.entry(name.clone()).or_default();
                let shown = others.entry(other[shared].clone()).or_default();
                shown.push(format!("{file}:{line}: {}", path.join("::")));
            }
        }
    }
    folders
}

/// The shortest way from a file over those it uses back to itself.
fn circle<'a>(uses: &'a Uses, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in uses.get(way[way.len() - 1]).into_iter().flat_map(|others| others.keys()) {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back(way.iter().copied().chain([next.as_str()]).collect());
            }
        }
    }
    None
}

/// Within a folder files and folders may use each other, but not in a circle.
#[test]
fn no_files_of_a_folder_use_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for (folder, uses) in &folders() {
        for name in uses.keys() {
            // One that begins with another name is told of there.
            if let Some(circle) = circle(uses, name)
                && circle.iter().all(|other| *other >= name.as_str())
            {
                let steps = circle.iter().zip(circle.iter().cycle().skip(1));
                let shown = steps.flat_map(|(from, to)| &uses[*from][*to]);
                let shown: String = shown.map(|path| format!("\n    {path}")).collect();
                circles.push(format!("src/{folder}: {} -> {name}{shown}", circle.join(" -> ")));
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
    let is_command = |line: &str| {
        line.match_indices("wellread ").any(|(at, name)| {
            let rest = &line[at + name.len()..];
            let word = rest.split(|c: char| !c.is_ascii_lowercase()).next();
            COMMANDS.contains(&word.unwrap_or_default())
        })
    };
    let code = code();
    let below = code.iter().filter(|file| file.part() != Some("cli"));
    let named: Vec<String> = below.flat_map(|file| file.lines(is_command)).collect();
    assert!(named.is_empty(), "{}", named.join("\n"));
}

/// What is below the doors knows no command line and no terminal, and prints nothing.
#[test]
fn only_the_doors_know_the_shell() {
    // Those of standard error end alike.
    const SHELL: [&str; 4] = ["clap::", "is_terminal", "print!(", "println!("];
    let is_shell = |line: &str| SHELL.iter().any(|word| line.contains(word));
    let code = code();
    let below = code.iter().filter(|file| file.part().is_some_and(|at| level(at) < level("serve")));
    let known: Vec<String> = below.flat_map(|file| file.lines(is_shell)).collect();
    assert!(known.is_empty(), "{}", known.join("\n"));
}

/// The environment is read where the settings are, and besides where a convention of others says so.
#[test]
fn the_environment_is_read_in_few_places() {
    const READERS: [&str; 8] = [
        "cli/chat/section.rs",       // PAGER
        "cli/config.rs",             // HOME and XDG_DATA_HOME
        "cli/mod.rs",                // the settings, WELLREAD_QDRANT_API_KEY, WELLREAD_CPU
        "cli/serve.rs",              // WELLREAD_TOKEN
        "cli/ui.rs",                 // NO_COLOR
        "compute/kernels/counts.rs", // what a test asks of itself under valgrind
        // HF_ENDPOINT, HF_TOKEN and HF_HOME, as all tools of the hub do; of the last hf-hub itself
        // reads more.
        "models/hub.rs",
        "models/mod.rs", // WELLREAD_CACHE and its like, for the benches too
    ];
    let readers: Vec<String> = code()
        .into_iter()
        .filter(|file| file.text.contains("env::var"))
        .map(|file| file.path)
        .collect();
    assert_eq!(readers, READERS);
}
