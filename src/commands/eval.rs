//! `eval run | check | compare | list | show | import | generate`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::app::{App, filter, sources_of};
use crate::answer::LazyGenerator;
use crate::cli::{
    EvalCheck, EvalCommand, EvalCompare, EvalGenerate, EvalImport, EvalRun, EvalShow, FilterArgs,
};
use crate::domain::{Events, Filter, SourceId, hex};
use crate::embed::BertEmbedder;
use crate::error::{Error, ErrorKind, Result};
use crate::eval::compare::{self, Verdict};
use crate::eval::run::{self, Bench, Folder, Manifest};
use crate::eval::score::{HEADLINE, Summary};
use crate::eval::set::{self, Question, QuestionSet};
use crate::eval::{beir, goldens, report, stats};
use crate::fetch::{Cursor, IMPORTED, Kind};
use crate::index::{self, Held, Index};
use crate::library::{Found, Item, Library};
use crate::prompt::Template;
use crate::seams::{Embedder, Store};
use crate::ui::styles;

pub(super) fn run(app: &App<'_>, command: &EvalCommand) -> Result<Outcome> {
    match command {
        EvalCommand::Run(args) => run_set(app, args),
        EvalCommand::Check(args) => check(app, args),
        EvalCommand::Compare(args) => compare_runs(app, args),
        EvalCommand::List => list(app),
        EvalCommand::Show(args) => show(app, args),
        EvalCommand::Import(EvalImport::Beir { folder, qrels, slice }) => {
            import(app, folder, qrels, *slice)
        }
        EvalCommand::Generate(args) => generate(app, args),
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

fn check(app: &App<'_>, args: &EvalCheck) -> Result<Outcome> {
    let set = read_set(&args.questions)?;
    let corpus = corpus(app, &args.filter)?;
    let template = app.template()?;
    let events = app.events();
    let bench = bench(app, &corpus, &template, &events, false);
    let (_, problems) = run::resolve(&bench, &set)?;
    refuse(&set, &problems)?;
    let count = set.questions.len();
    if app.json {
        app.ui.json(&serde_json::json!({ "set": set.name, "questions": count }))?;
    } else {
        app.ui.result(&format!(
            "{}: {count} questions, all gold stands in the library\n",
            set.name
        ))?;
    }
    Ok(Outcome::Done)
}

/// The folder of a run by its path or its name.
fn find_run(app: &App<'_>, name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(name);
    if path.join("run.json").is_file() {
        return Ok(path);
    }
    let path = runs_folder(app)?.join(name);
    if path.join("run.json").is_file() {
        return Ok(path);
    }
    Err(Error::new(ErrorKind::NotFound, format!("there is no run {name}"))
        .hint("`wellread eval list` shows the runs"))
}

fn complete(path: &Path) -> Result<Summary> {
    run::read_summary(path)?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("the run {} is not complete", path.display()))
            .hint("run the same command once more: it goes on where it was")
    })
}

fn compare_runs(app: &App<'_>, args: &EvalCompare) -> Result<Outcome> {
    let (a, b) = (find_run(app, &args.a)?, find_run(app, &args.b)?);
    let (summary_a, summary_b) = (complete(&a)?, complete(&b)?);
    let (manifest_a, manifest_b) = (run::read_manifest(&a)?, run::read_manifest(&b)?);
    if manifest_a.set_hash != manifest_b.set_hash {
        app.ui.warning("the two runs are of different sets; only questions of the same id count");
    }
    let (results_a, results_b) = (run::read_results(&a)?, run::read_results(&b)?);
    let rows = compare::compare(&results_a, &results_b);
    if rows.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the two runs have no question in common")
            .hint("compare runs of one set"));
    }
    if let Some(path) = &args.report {
        let a = report::Run { manifest: &manifest_a, summary: &summary_a, results: &results_a };
        let b = report::Run { manifest: &manifest_b, summary: &summary_b, results: &results_b };
        run::write_text(path, &report::html(&b, Some((&a, &rows)))?)?;
    }
    if app.json {
        app.ui.json(&serde_json::json!({ "metrics": rows, "seed": crate::eval::stats::SEED }))?;
    } else {
        app.ui.result(&compare::table(&rows))?;
    }
    let worse = rows.iter().any(|row| row.verdict == Verdict::Worse);
    Ok(if worse && args.fail_on_regression { Outcome::No } else { Outcome::Done })
}

fn list(app: &App<'_>) -> Result<Outcome> {
    let mut shown = Vec::new();
    let mut text = String::new();
    for path in run::list(&runs_folder(app)?)? {
        let (manifest, summary) = (run::read_manifest(&path)?, run::read_summary(&path)?);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let state = match &summary {
            Some(_) => "complete".to_owned(),
            None => format!("{} of {}", run::read_results(&path)?.len(), manifest.questions),
        };
        let kind = if manifest.answers { "answers" } else { "retrieval" };
        let title = app.ui.pen.paint(styles::TITLE, &name);
        text.push_str(&format!("{title}  {kind}  {} questions  {state}\n", manifest.questions));
        shown.push(serde_json::json!({ "name": name, "run": manifest, "state": state }));
    }
    if app.json {
        app.ui.json(&serde_json::json!({ "runs": shown }))?;
    } else {
        if shown.is_empty() {
            app.ui.warning("there are no runs yet: wellread eval run SET");
        }
        app.ui.result(&text)?;
    }
    Ok(Outcome::Done)
}

fn show(app: &App<'_>, args: &EvalShow) -> Result<Outcome> {
    let path = find_run(app, &args.run)?;
    let summary = complete(&path)?;
    if let Some(folder) = &args.trec {
        let results = run::read_results(&path)?;
        let (run, qrels) = run::trec(&results);
        fs_err::create_dir_all(folder)
            .map_err(|error| Error::io("cannot make the folder", error))?;
        run::write_text(&folder.join("run.trec"), &run)?;
        run::write_text(&folder.join("qrels.trec"), &qrels)?;
    }
    if app.json {
        let manifest = run::read_manifest(&path)?;
        app.ui.json(&serde_json::json!({ "run": manifest, "summary": summary }))?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    let mut groups: Vec<&String> = summary.groups.keys().collect();
    groups.sort_by_key(|group| (*group != "all", (*group).clone()));
    for group in groups {
        let body = table(&summary, group);
        let body = body.split_once('\n').map_or("", |(_, rest)| rest);
        let lines: Vec<&str> = body.lines().filter(|line| !line.starts_with("AURC")).collect();
        text.push_str(&format!(
            "{}\n{}\n\n",
            app.ui.pen.paint(styles::TITLE, group),
            lines.join("\n")
        ));
    }
    text.push_str(&format!("{}\n", path.join("report.html").display()));
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

fn import(app: &App<'_>, folder: &Path, qrels: &str, slice: Option<usize>) -> Result<Outcome> {
    let mut articles = beir::corpus(&read_text(&folder.join("corpus.jsonl"))?)?;
    let queries = read_text(&folder.join("queries.jsonl"))?;
    let judged = read_text(&folder.join("qrels").join(format!("{qrels}.tsv")))?;
    let mut questions = beir::questions(&queries, &judged)?;
    if let Some(slice) = slice {
        questions.truncate(slice);
        let gold: std::collections::HashSet<&String> = questions
            .iter()
            .flat_map(|question| question.gold.iter().filter_map(|gold| gold.doc.as_ref()))
            .collect();
        let (wanted, others): (Vec<_>, Vec<_>) = articles
            .into_iter()
            .partition(|article| article.guid.as_ref().is_some_and(|id| gold.contains(id)));
        let others = others.into_iter().take(wanted.len());
        articles = wanted.iter().cloned().chain(others).collect();
    }
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = match absolute.file_name().map(|name| name.to_string_lossy().into_owned()) {
        // The data sets lie in folders that are all called so.
        Some(name) if name == "beir" => absolute
            .parent()
            .and_then(Path::file_name)
            .map_or(name, |parent| parent.to_string_lossy().into_owned()),
        Some(name) => name,
        None => "import".to_owned(),
    };
    let id = SourceId(format!("{IMPORTED}{name}"));
    let library = app.library()?;
    let now = Timestamp::now();
    library.add_source(&id, Kind::Import, now)?;
    let items: Vec<Item> =
        articles.into_iter().map(|article| Item { article, place: None }).collect();
    let found = Found { title: Some(&name), site: None, items: &items };
    let recorded = library.record(&id, found, &Cursor::default(), now)?;
    app.ui.status(&format!(
        "{id}: {} new articles, {} changed, {} questions",
        recorded.added.len(),
        recorded.changed.len(),
        questions.len()
    ));
    write_questions(app, &questions)
}

fn write_questions(app: &App<'_>, questions: &[Question]) -> Result<Outcome> {
    let mut text = String::new();
    for question in questions {
        let line = serde_json::to_string(question)
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
        text.push_str(&line);
        text.push('\n');
    }
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

fn generate(app: &App<'_>, args: &EvalGenerate) -> Result<Outcome> {
    let library = app.library_with(&sources_of(&args.filter)?)?;
    let questions = goldens_of(app, &library, &filter(&args.filter)?, usize::MAX)?;
    if questions.is_empty() {
        app.ui.warning("nothing to make questions from: no article has a link and a title");
    }
    write_questions(app, &questions)
}

/// Questions made from the articles that pass a filter, from `most` of them at the most.
pub(super) fn goldens_of(
    app: &App<'_>,
    library: &Library,
    filter: &Filter,
    most: usize,
) -> Result<Vec<Question>> {
    let mut all = Vec::new();
    let infos = library.articles(filter)?;
    for info in stats::sample(infos, most) {
        app.cancel.check()?;
        let Some(article) = library.article(&info.meta.id)? else { continue };
        let document =
            index::document(library, &info.meta.id, article.revision, &app.settings.config.clean)?;
        all.push((article, document));
    }
    let known: Vec<goldens::Known<'_>> = all
        .iter()
        .filter_map(|(article, document)| {
            Some(goldens::Known {
                url: article.meta.url.as_deref()?,
                title: &article.meta.title,
                content: &article.content,
                document,
            })
        })
        .collect();
    Ok(goldens::generate(&known))
}
