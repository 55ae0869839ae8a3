//! What a change costs, and what a question does: the real program as a process of its own, over a
//! library of 3,000 articles of 60 kB in 100 thousand chunks, the page cache warm.
//!
//! ```console
//! $ cargo bench --bench costs                                  # all rows
//! $ cargo bench --bench costs -- search sync --articles 300    # two of them, at 10,000 chunks
//! $ cargo bench --bench costs -- search --binary ../old/wellread
//! ```
//!
//! The corpus is made in a folder of the machine's temporary one (`--folder` names another), once
//! for each binary; it can be deleted at any time. Its sections are drawn from 5,000 texts, so that no
//! row embeds what it brings. Each row is a line of JSON: `written_mb`
//! is what the process asked to write, `dirtied_mb` also what it wrote through maps, in pages.
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod child;
mod corpus;
#[path = "../../tests/it/qdrant/mod.rs"]
#[allow(dead_code)]
mod qdrant;
mod rows;
mod serve;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use child::{Program, Ran};

/// Articles that are read at once while a library is filled.
const READ: usize = 1_000;

/// What is measured, and on what.
pub struct Bench {
    pub program: Program,
    pub articles: usize,
    /// Times that what can be repeated is.
    pub runs: usize,
    /// This binary's folder.
    home: PathBuf,
}

impl Bench {
    /// The data folder of a library and an index of the corpus; made if it is not there.
    pub fn data(&self) -> PathBuf {
        let data = self.home.join(format!("data-{}", self.articles));
        let ready = self.home.join(format!("ready-{}", self.articles));
        if ready.exists() {
            return data;
        }
        let _ = std::fs::remove_dir_all(&data);
        eprintln!("making a library of {} articles in {}", self.articles, data.display());
        for first in (0..self.articles).step_by(READ) {
            let range = first..(first + READ).min(self.articles);
            std::fs::write(self.feed(), corpus::letters(range)).unwrap();
            self.read_into(&data, &[&self.feed().display().to_string()]);
        }
        eprintln!("building its index");
        self.build(&data);
        std::fs::write(ready, "").unwrap();
        data
    }

    /// A copy of [`Bench::data`] that a row may change.
    pub fn copy(&self) -> PathBuf {
        let copy = self.scratch("changed");
        let status = Command::new("cp").arg("-a").arg(self.data()).arg(&copy).status().unwrap();
        assert!(status.success(), "cp");
        // What was copied is not to be written out while something is measured.
        assert!(Command::new("sync").status().unwrap().success(), "sync");
        copy
    }

    /// A folder of this run that is not there; removed in the end.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let folder = self.home.join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    /// The feed that the library follows.
    pub fn feed(&self) -> PathBuf {
        self.home.join(format!("feed-{}.xml", self.articles))
    }

    /// Reads sources into a library without indexing them: what `eval generate` does first. It then
    /// finds no article of that year to make questions from.
    pub fn read_into(&self, data: &Path, sources: &[&str]) -> Ran {
        let mut args = vec!["eval", "generate", "--since", "2999-01-01"];
        args.extend(["--set", "fetch.allow_private=true"]);
        args.extend(sources.iter().flat_map(|source| ["--source", source]));
        self.program.watched(data, &args)
    }

    pub fn build(&self, data: &Path) -> Ran {
        self.program.watched(data, &["index", "rebuild", "--set", "index.golden_queries=0"])
    }

    /// Articles and chunks of a live generation.
    pub fn size(&self, data: &Path) -> (u64, u64) {
        let said = self.program.run(data, &["index", "status", "--json"]).stdout;
        let status: Value = serde_json::from_str(&said).unwrap();
        let generations = status["generations"].as_array().unwrap();
        let live = generations.iter().find(|one| one["id"] == status["live"]).unwrap();
        (live["articles"].as_u64().unwrap(), live["chunks"].as_u64().unwrap())
    }
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The value behind a flag, taken out of the arguments.
fn flag(args: &mut Vec<String>, name: &str) -> Option<String> {
    let at = args.iter().position(|arg| arg == name)?;
    assert!(at + 1 < args.len(), "{name} needs a value");
    args.remove(at);
    Some(args.remove(at))
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let binary = flag(&mut args, "--binary").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_wellread")),
        |path| std::path::absolute(path).unwrap(),
    );
    let folder = flag(&mut args, "--folder")
        .map_or_else(|| std::env::temp_dir().join("wellread-costs"), PathBuf::from);
    let articles = flag(&mut args, "--articles").map_or(3_000, |count| count.parse().unwrap());
    let runs = flag(&mut args, "--runs").map_or(5, |count| count.parse().unwrap());
    let bytes = std::fs::read(&binary).unwrap();
    let hash = wellread::base::hex(&Sha256::digest(&bytes)[..6]);
    drop(bytes);
    let home = folder.join(&hash);
    std::fs::create_dir_all(&home).unwrap();
    let program = Program { binary, folder: home.clone(), env: Vec::new() };
    let mut bench = Bench { program, articles, runs, home };
    let known: Vec<&str> = rows::ROWS.iter().map(|(name, _)| *name).collect();
    if let Some(other) = args.iter().find(|arg| !known.contains(&arg.as_str())) {
        eprintln!("there is no row {other:?}; there are {}", known.join(", "));
        std::process::exit(2);
    }
    for (name, row) in rows::ROWS {
        if !args.is_empty() && !args.iter().any(|arg| arg == name) {
            continue;
        }
        let before = load();
        let found = row(&mut bench);
        let line = json!({
            "row": name, "binary": hash, "articles": bench.articles, "found": found,
            "load": [before, load()],
        });
        println!("{line}");
        for name in ["changed", "large", "feeds"] {
            bench.scratch(name);
        }
    }
}
