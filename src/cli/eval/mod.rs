//! `eval run | check | compare | judge | calibrate | canaries | claims | dialogues | from-feedback |
//! list | show | import | generate`.

mod canaries;
mod claims;
mod dialogues;
mod gate;
mod runs;
mod sets;

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::app::{App, filter, sources_of};
use super::args::{EvalCommand, EvalImport, EvalRun, FilterArgs};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Filter, Watch, files, hex};
use crate::engine::KnowledgeBase;
use crate::eval::run::{self, Bench, Folder, RunRecord};
use crate::eval::score::{HEADLINE, Summary};
use crate::eval::set::{self, Question, QuestionSet};
use crate::eval::{gold, report, stats};

use gate::Gate;

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
        EvalCommand::Canaries(args) => canaries::run(app, args),
        EvalCommand::FromFeedback(args) => sets::from_feedback(app, args),
        EvalCommand::Claims(args) => claims::run(app, args),
        EvalCommand::Dialogues(args) => dialogues::run(app, args),
        EvalCommand::Calibrate(args) => runs::calibrate(app, args),
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

/// What questions are asked of: an index of its own for the settings of the run, made from the
/// library, so that the live one stays as it is.
fn bench_of(app: &App<'_>, args: &FilterArgs, watch: &Watch<'_>) -> Result<KnowledgeBase> {
    let kb = app.kb()?;
    kb.library_with(&sources_of(args)?, watch)?;
    let kb = kb.beside(kb.evaluations().join(format!("index-{}", kb.fingerprint()?.short())));
    kb.update_index(false, watch)?;
    Ok(kb)
}

/// The questions that a run asks, in its folder.
const QUESTIONS: &str = "questions.jsonl";

fn eval_folder(app: &App<'_>) -> Result<PathBuf> {
    Ok(app.kb()?.evaluations())
}

fn runs_folder(app: &App<'_>) -> Result<PathBuf> {
    Ok(eval_folder(app)?.join("runs"))
}

fn run_set(app: &App<'_>, args: &EvalRun) -> Result<Outcome> {
    let set = read_set(&args.questions)?;
    let gate = args.gate.as_ref().map(|path| Gate::read(path, &set.name, args)).transpose()?;
    if !args.retrieval_only {
        app.kb()?.check_llm()?;
    }
    app.watched(|watch| run_with(app, args, &set, gate, watch))
}

fn run_with(
    app: &App<'_>,
    args: &EvalRun,
    set: &QuestionSet,
    gate: Option<Gate>,
    watch: &Watch<'_>,
) -> Result<Outcome> {
    let kb = bench_of(app, &args.filter, watch)?;
    let filter = filter(&args.filter)?;
    let (gold, problems) = gold::resolve(&kb, set, watch)?;
    refuse(set, &problems)?;
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
        return Err(Error::new(
            ErrorKind::Usage,
            format!("no question of {} was selected", set.name),
        )
        .hint("leave out --split, or name one that the set has"));
    }
    let manifest = record(app, args, set, &kb, &filter, questions.len())?;
    let mut folder = Folder::take(&runs_folder(app)?, &manifest, args.fresh)?;
    if let Some(path) = &folder.passed_over {
        app.ui.warning(&format!(
            "the unfinished run {} is from another build of wellread; starting a new one",
            path.display()
        ));
    }
    if !folder.done.is_empty() {
        app.ui.status(&format!("Resuming after {} questions", folder.done.len()));
    }
    let asked: Vec<&Question> = questions.iter().map(|(question, _)| *question).collect();
    files::write(&folder.path.join(QUESTIONS), sets::json_lines(&asked)?.as_bytes())?;
    let bench = Bench { kb: &kb, filter: &filter, answers: !args.retrieval_only, watch };
    let summary =
        run::run(&bench, &mut folder, &questions).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => {
                Error::interrupted().hint("the same command resumes it; --fresh starts over")
            }
            _ => error,
        })?;
    let page = report::html(
        &report::Run { manifest: &manifest, summary: &summary, results: &folder.done },
        None,
    )?;
    files::write(&folder.path.join("report.html"), page.as_bytes())?;
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
        format!("gold of {} is not in the library:\n  {}{more}", set.name, shown.join("\n  ")),
    )
    .hint("add the articles that the set was made for (--source), or correct these lines"))
}

fn record(
    app: &App<'_>,
    args: &EvalRun,
    set: &QuestionSet,
    kb: &KnowledgeBase,
    filter: &Filter,
    questions: usize,
) -> Result<RunRecord> {
    let config = &app.settings.config;
    let template = kb.template()?;
    let settings = serde_json::json!({
        "models": config.models,
        "clean": config.clean,
        "chunk": config.chunk,
        "retrieval": config.retrieval,
        "answer": if args.retrieval_only { None } else { Some(&config.answer) },
        "filter": filter,
    });
    let live = kb
        .index()
        .live()?
        .ok_or_else(|| Error::new(ErrorKind::Bug, "the evaluation's index is not there"))?;
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
    Ok(RunRecord {
        set: set.name.clone(),
        set_hash: set.hash.clone(),
        key: hex(&Sha256::digest(decides.to_string())[..8]),
        program: program()?,
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

/// The first 16 hexadecimal digits of the SHA-256 of the program that runs.
fn program() -> Result<String> {
    let cannot = |error| Error::io("cannot read the program's own file", error);
    let path = std::env::current_exe().map_err(cannot)?;
    let mut file = fs_err::File::open(path).map_err(cannot)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(cannot)? {
            0 => return Ok(hex(&hasher.finalize()[..8])),
            count => hasher.update(&block[..count]),
        }
    }
}

/// The commit that is checked out where the program runs. Nothing is asked that makes git run what a
/// folder's own configuration names.
fn git_state() -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "--short=10", "HEAD"])
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
