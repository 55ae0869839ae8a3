//! `eval run | check | compare | judge | list | show | import | generate`.

mod runs;
mod sets;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::app::{App, filter, sources_of};
use crate::answer::LazyGenerator;
use crate::cli::{EvalCommand, EvalImport, EvalRun, FilterArgs};
use crate::domain::{Events, Filter, hex};
use crate::embed::BertEmbedder;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::run::{self, Bench, Folder, Manifest};
use crate::eval::score::{HEADLINE, Summary};
use crate::eval::set::{self, Question, QuestionSet};
use crate::eval::{report, stats};
use crate::index::{self, Held, Index};
use crate::library::Library;
use crate::prompt::Template;
use crate::seams::{Embedder, Store};

pub(super) use sets::goldens_of;

pub(super) fn run(app: &App<'_>, command: &EvalCommand) -> Result<Outcome> {
    match command {
        EvalCommand::Run(args) => run_set(app, args),
        EvalCommand::Check(args) => sets::check(app, args),
        EvalCommand::Judge(args) => runs::judge(app, args),
        EvalCommand::Compare(args) => runs::compare(app, args),
        EvalCommand::List => runs::list(app),
        EvalCommand::Show(args) => runs::show(app, args),
        EvalCommand::Import(EvalImport::Beir { folder, qrels, slice }) => {
            sets::import(app, folder, qrels, *slice)
        }
        EvalCommand::Generate(args) => sets::generate(app, args),
    }
}

fn read_text(path: &Path) -> Result<String> {
    fs_err::read_to_string(path)
        .map_err(|error| Error::io("cannot read the file", error).hint("check the path"))
}

fn read_set(path: &Path) -> Result<QuestionSet> {
    let name = path.file_stem().map_or("set".into(), |stem| stem.to_string_lossy());
    set::parse(&name, &read_text(path)?)
}

/// Everything that questions are asked of: an index of its own for the settings of the run, made
/// from the library, so that the live one stays as it is.
struct Corpus {
    library: Library,
    embedder: BertEmbedder,
    store: Box<dyn Store>,
    filter: Filter,
    held: Held,
}

fn corpus(app: &App<'_>, args: &FilterArgs) -> Result<Corpus> {
    let library = app.library_with(&sources_of(args)?)?;
    let embedder = app.embedder()?;
    let config = &app.settings.config;
    let wanted = index::fingerprint(&embedder.fingerprint(), &config.chunk, &config.clean);
    let folder = eval_folder(app)?.join(format!("index-{}", wanted.short()));
    let index = Index::new(folder, None, config.store.embedded.clone());
    app.with_work(&library, &embedder, |work| index.update(work))?;
    let (store, held) = index.open(&wanted)?;
    Ok(Corpus { library, embedder, store, filter: filter(args)?, held })
}

/// What questions are asked of, and how.
fn bench<'a>(
    app: &'a App<'_>,
    corpus: &'a Corpus,
    template: &'a Template,
    events: Events<'a>,
    answers: bool,
) -> Bench<'a> {
    let config = &app.settings.config;
    Bench {
        library: &corpus.library,
        embedder: &corpus.embedder,
        store: corpus.store.as_ref(),
        retrieval: &config.retrieval,
        answer: answers.then_some(&config.answer),
        clean: &config.clean,
        chunk: &config.chunk,
        template,
        min_confidence: config.answer.min_confidence,
        filter: &corpus.filter,
        events,
        cancel: app.cancel,
    }
}

/// The questions that a run asks, in its folder.
const QUESTIONS: &str = "questions.jsonl";

fn eval_folder(app: &App<'_>) -> Result<PathBuf> {
    Ok(app.settings.data_dir()?.join("eval"))
}

fn runs_folder(app: &App<'_>) -> Result<PathBuf> {
    Ok(eval_folder(app)?.join("runs"))
}

fn run_set(app: &App<'_>, args: &EvalRun) -> Result<Outcome> {
    let set = read_set(&args.questions)?;
    let gate = args.gate.as_ref().map(|path| Thresholds::read(path, &set.name)).transpose()?;
    let template = app.template()?;
    if !args.retrieval_only {
        app.check_llm()?;
    }
    let corpus = corpus(app, &args.filter)?;
    let events = app.events();
    let bench = bench(app, &corpus, &template, &events, !args.retrieval_only);
    let (gold, problems) = run::resolve(&bench, &set)?;
    refuse(&set, &problems)?;
    let is_wanted = |question: &Question| {
        args.split.as_ref().is_none_or(|split| question.split.as_ref() == Some(split))
    };
    let mut questions: Vec<_> = set
        .questions
        .iter()
        .zip(gold)
        .map(|((_, question), gold)| (question, gold))
        .filter(|(question, _)| is_wanted(question))
        .take(args.limit.unwrap_or(usize::MAX))
        .collect();
    if let Some(sample) = args.sample {
        questions = stats::sample(questions, sample);
    }
    if questions.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("no question of {} is meant", set.name))
            .hint("leave out --split, or name one that the set has"));
    }
    let manifest = manifest(app, args, &set, &corpus, &template, questions.len())?;
    let mut folder = Folder::take(&runs_folder(app)?, &manifest, args.fresh)?;
    if !folder.done.is_empty() {
        app.ui.status(&format!("Going on after {} questions", folder.done.len()));
    }
    let asked: Vec<&Question> = questions.iter().map(|(question, _)| *question).collect();
    run::write_text(&folder.path.join(QUESTIONS), &sets::json_lines(&asked)?)?;
    let mut generator = LazyGenerator::new(|| Ok(Box::new(app.llm()?)));
    let summary = run::run(&bench, &mut folder, &questions, &mut generator).map_err(|error| {
        match error.kind() {
            ErrorKind::Interrupted => Error::interrupted()
                .hint("the same command goes on where it was; --fresh begins anew"),
            _ => error,
        }
    })?;
    let page = report::html(
        &report::Run { manifest: &manifest, summary: &summary, results: &folder.done },
        None,
    )?;
    run::write_text(&folder.path.join("report.html"), &page)?;
    let missed = gate.map(|gate| gate.missed(&summary)).unwrap_or_default();
    if app.json {
        app.ui.json(&serde_json::json!({
            "run": folder.path, "summary": summary, "missed": missed,
        }))?;
    } else {
        let mut text = table(&summary, "all");
        text.push_str(&format!("\n{}\n", folder.path.display()));
        app.ui.result(&text)?;
        for line in &missed {
            app.ui.warning(line);
        }
    }
    Ok(if missed.is_empty() { Outcome::Done } else { Outcome::No })
}

fn refuse(set: &QuestionSet, problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = problems.iter().take(20).map(String::as_str).collect();
    let more = match problems.len() - shown.len() {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    Err(Error::new(
        ErrorKind::NotFound,
        format!(
            "gold of {} does not stand in the library:\n  {}{more}",
            set.name,
            shown.join("\n  ")
        ),
    )
    .hint("add the articles that the set was made for (--source), or correct these lines"))
}

fn manifest(
    app: &App<'_>,
    args: &EvalRun,
    set: &QuestionSet,
    corpus: &Corpus,
    template: &crate::prompt::Template,
    questions: usize,
) -> Result<Manifest> {
    let config = &app.settings.config;
    let settings = serde_json::json!({
        "models": config.models,
        "clean": config.clean,
        "chunk": config.chunk,
        "retrieval": config.retrieval,
        "answer": if args.retrieval_only { None } else { Some(&config.answer) },
        "filter": corpus.filter,
    });
    let live = &corpus.held.generation;
    let decides = serde_json::json!([
        set.hash,
        settings,
        live.fingerprint,
        [live.articles, live.chunks],
        template.hash(),
        args.split,
        [Some(questions), args.limit, args.sample],
        args.retrieval_only,
        config.answer.min_confidence,
    ]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(Manifest {
        set: set.name.clone(),
        set_hash: set.hash.clone(),
        key: hex(&Sha256::digest(decides.to_string())[..8]),
        answers: !args.retrieval_only,
        split: args.split.clone(),
        questions,
        settings,
        index: live.fingerprint.clone(),
        corpus: [live.articles, live.chunks],
        prompt_hash: template.hash().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git: git_state(),
        machine: format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH),
        started: Timestamp::now(),
    })
}

/// The commit that is checked out where the program runs, `+` where files differ from it.
fn git_state() -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty=+", "--abbrev=10"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn table(summary: &Summary, group: &str) -> String {
    let mut text = format!(
        "{} questions{}\n",
        summary.questions,
        if summary.failed > 0 { format!(", {} failed", summary.failed) } else { String::new() }
    );
    let Some(metrics) = summary.groups.get(group) else { return text };
    for name in HEADLINE {
        if let Some(of) = metrics.get(name) {
            text.push_str(&format!(
                "{name:<22} {:>6.3}  [{:.3}, {:.3}]  n={}\n",
                of.mean, of.low, of.high, of.n
            ));
        }
    }
    text.push_str(&format!("{:<22} {:>6.3}\n", "AURC", summary.aurc));
    text
}

/// `eval/thresholds.toml`: for each set, what a metric must reach (of costs: stay under).
#[derive(Deserialize)]
struct Thresholds(std::collections::BTreeMap<String, f64>);

impl Thresholds {
    fn read(path: &Path, set: &str) -> Result<Thresholds> {
        let wrong = |why: String| {
            Error::new(ErrorKind::Config, format!("{}: {why}", path.display()))
                .hint("give each set a table of metrics: [sample] \"section hit@5\" = 0.8")
        };
        let mut sets: std::collections::BTreeMap<String, Thresholds> =
            toml::from_str(&read_text(path)?).map_err(|error| wrong(error.to_string()))?;
        sets.remove(set).ok_or_else(|| wrong(format!("it has no table [{set}]")))
    }

    fn missed(&self, summary: &Summary) -> Vec<String> {
        let all = summary.groups.get("all");
        let mut missed: Vec<String> = self
            .0
            .iter()
            .filter_map(|(metric, wanted)| {
                let Some(of) = all.and_then(|all| all.get(metric)) else {
                    return Some(format!("{metric} was not measured; {wanted} is wanted"));
                };
                let is_cost = crate::eval::score::is_cost(metric);
                let holds = if is_cost { of.mean <= *wanted } else { of.mean >= *wanted };
                let side = if is_cost { "at most" } else { "at least" };
                (!holds).then(|| format!("{metric} is {:.3}; {side} {wanted} is wanted", of.mean))
            })
            .collect();
        if summary.failed > 0 {
            missed.push(format!("{} questions failed", summary.failed));
        }
        missed
    }
}
