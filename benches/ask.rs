//! From the shell to the first sentence: the program as a process of its own, beside others.
//!
//! ```console
//! $ cargo bench --bench ask -- --source FEED --set eval/grokking-tech-career.jsonl [--questions 30]
//!       [--binary ../old/wellread]… [--warm] [-- --set answer.read_tokens=300]
//! ```
//!
//! `--warm` asks this build once more, while its `serve` runs. Each question goes to each program in
//! turn, page cache warm; a program has a data folder of its own, which is filled first. What stands
//! behind `--` is given to this build's program alone. Questions that one of them declines are left out
//! of the ratios.
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

struct Program {
    name: String,
    binary: PathBuf,
    data: PathBuf,
    more: Vec<String>,
    server: Option<Child>,
}

/// Seconds to the first byte of an answer and to its end; nothing if it was declined.
type Took = Option<(f64, f64)>;

impl Program {
    fn ask(&self, source: Option<&str>, question: &str) -> Took {
        let start = Instant::now();
        let mut child = Command::new(&self.binary)
            .arg("--data")
            .arg(&self.data)
            .arg("ask")
            .args(source.map(|source| ["--source", source]).into_iter().flatten())
            .args(&self.more)
            .arg(question)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut first = [0];
        let is_there = out.read(&mut first).unwrap() > 0;
        let to_first = start.elapsed().as_secs_f64();
        out.read_to_end(&mut Vec::new()).unwrap();
        let is_answered = child.wait().unwrap().success();
        (is_there && is_answered).then(|| (to_first, start.elapsed().as_secs_f64()))
    }

    /// Starts a server over what it has; `ask` finds it by the data folder.
    fn serve(&mut self) {
        let mut server = Command::new(&self.binary)
            .arg("--data")
            .arg(&self.data)
            .args(["serve", "--addr", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It says where it listens once it does.
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("http://")), "the server did not start");
        std::thread::spawn(move || said.for_each(drop));
        self.server = Some(server);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (mut source, mut set, mut most) = (String::new(), String::new(), 30);
    let mut programs = vec![env!("CARGO_BIN_EXE_wellread").to_owned()];
    let (mut more, mut is_warm) = (Vec::new(), false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value");
        match arg.as_str() {
            "--source" => source = value(),
            "--set" => set = value(),
            "--questions" => most = value().parse().unwrap(),
            "--binary" => programs.push(value()),
            "--warm" => is_warm = true,
            "--" => more.extend(args.by_ref()),
            other => panic!("{other} is not known"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    if is_warm {
        programs.push(programs[0].clone());
    }
    let last = programs.len() - 1;
    let mut programs: Vec<Program> = programs
        .into_iter()
        .enumerate()
        .map(|(n, binary)| {
            let is_warm = is_warm && n == last;
            Program {
                name: if is_warm { format!("{binary}, warm") } else { binary.clone() },
                binary: binary.into(),
                data: folder.path().join(n.to_string()),
                more: if n == 0 || is_warm { more.clone() } else { Vec::new() },
                server: None,
            }
        })
        .collect();
    let questions: Vec<String> = std::fs::read_to_string(&set)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|question| question["answerable"] == true)
        .map(|question| question["question"].as_str().unwrap().to_owned())
        .take(most)
        .collect();
    for program in &programs {
        program.ask(Some(&source), "What is this about?");
    }
    if is_warm {
        programs[last].serve();
        programs[last].ask(None, "What is this about?");
    }
    let mut took: Vec<Vec<Took>> = vec![Vec::new(); programs.len()];
    for question in &questions {
        for (program, took) in programs.iter().zip(&mut took) {
            let source = program.server.is_none().then_some(source.as_str());
            took.push(program.ask(source, question));
            eprintln!("{} {:?} {question}", program.name, took.last());
        }
    }
    for (program, took) in programs.iter().zip(&took) {
        let answered: Vec<(f64, f64)> = took.iter().flatten().copied().collect();
        let first = median(answered.iter().map(|took| took.0));
        let whole = median(answered.iter().map(|took| took.1));
        println!(
            "{}: {} of {} answered; first sentence {first:.2} s, whole answer {whole:.2} s (medians)",
            program.name,
            answered.len(),
            questions.len()
        );
    }
    for (program, other) in programs.iter().zip(&took).skip(1) {
        let both = || took[0].iter().zip(other).filter_map(|(ours, other)| (*ours).zip(*other));
        println!(
            "{} takes {:.2} times as long to the first sentence, {:.2} to the end (medians of {})",
            program.name,
            median(both().map(|(ours, other)| other.0 / ours.0)),
            median(both().map(|(ours, other)| other.1 / ours.1)),
            both().count()
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
