//! `eval compare | judge | list | show`: what is done with runs.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::Outcome;
use super::super::app::App;
use super::{QUESTIONS, eval_folder, read_text, runs_folder, table};
use crate::answer::{FEATURES, Signals};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{files, hex};
use crate::cli::args::{EvalCalibrate, EvalCompare, EvalJudge, EvalShow};
use crate::cli::ui::styles;
use crate::eval::compare::{self, Change};
use crate::eval::score::QuestionResult;
use crate::eval::score::Summary;
use crate::eval::set::Question;
use crate::eval::{calibrate, judge, report, run, sentences, stats};

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
            .hint("run the same command again to resume it")
    })
}

pub(super) fn compare(app: &App<'_>, args: &EvalCompare) -> Result<Outcome> {
    let (a, b) = (find_run(app, &args.a)?, find_run(app, &args.b)?);
    let (summary_a, summary_b) = (complete(&a)?, complete(&b)?);
    let (manifest_a, manifest_b) = (run::read_manifest(&a)?, run::read_manifest(&b)?);
    if manifest_a.set_hash != manifest_b.set_hash {
        app.ui.warning("the two runs are of different sets; only questions of the same id count");
    }
    let (results_a, results_b) = (run::read_results(&a)?, run::read_results(&b)?);
    let rows = compare::compare(&results_a, &results_b);
    if rows.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the two runs have no questions in common")
            .hint("compare runs of one set"));
    }
    if let Some(path) = &args.report {
        let a = report::Run { manifest: &manifest_a, summary: &summary_a, results: &results_a };
        let b = report::Run { manifest: &manifest_b, summary: &summary_b, results: &results_b };
        files::write(path, report::html(&b, Some((&a, &rows)))?.as_bytes())?;
    }
    if app.json {
        app.ui.json(&serde_json::json!({ "metrics": rows, "seed": stats::SEED }))?;
    } else {
        app.ui.result(&compare::table(&rows))?;
    }
    let worse = rows.iter().any(|row| row.verdict == Change::Worse);
    Ok(if worse && args.fail_on_regression { Outcome::No } else { Outcome::Done })
}

pub(super) fn calibrate(app: &App<'_>, args: &EvalCalibrate) -> Result<Outcome> {
    let results = |name: &String| -> Result<Vec<QuestionResult>> {
        let path = find_run(app, name)?;
        complete(&path)?;
        run::read_results(&path)
    };
    let called = |name: &String| match Path::new(name).file_name() {
        Some(folder) => folder.to_string_lossy().into_owned(),
        None => name.clone(),
    };
    if let Some(path) = &args.sentences {
        let verdicts = sentences::parse(&read_text(path)?)?;
        let read =
            |name: &String| Ok((called(name), sentences::sentences(&results(name)?, &verdicts)));
        let runs = args.runs.iter().map(read).collect::<Result<Vec<_>>>()?;
        let tests = args.test.iter().map(read).collect::<Result<Vec<_>>>()?;
        let found = sentences::report(&runs, &tests);
        if app.json {
            app.ui.json(&found)?;
        } else {
            app.ui.result(&sentences::table(&found))?;
        }
        return Ok(Outcome::Done);
    }
    let read = |name: &String| Ok(calibrate::examples(&results(name)?));
    let runs = args.runs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let tests = args.test.iter().map(|name| Ok((called(name), read(name)?)));
    let tests = tests.collect::<Result<Vec<_>>>()?;
    let used: Vec<usize> = (0..FEATURES)
        .filter(|at| args.signals.iter().any(|name| name == Signals::NAMES[*at]))
        .collect();
    let found = calibrate::calibrate(&runs, &tests, &used);
    if found.questions[0] == 0 {
        return Err(Error::new(ErrorKind::Usage, "no question of these runs was put to the LLM")
            .hint("calibrate runs with answers: wellread eval run SET --set answer.caution=off"));
    }
    if app.json {
        app.ui.json(&found)?;
    } else {
        app.ui.result(&calibrate::table(&found))?;
    }
    Ok(Outcome::Done)
}

pub(super) fn judge(app: &App<'_>, args: &EvalJudge) -> Result<Outcome> {
    let path = find_run(app, &args.run)?;
    complete(&path)?;
    let questions: Vec<Question> = run::read_lines(&path.join(QUESTIONS))?;
    let results = run::read_results(&path)?;
    let cases = judge::cases(&questions, &results);
    if cases.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("{} has nothing to judge", path.display()))
            .hint("a judge compares answers with the facts of their questions: judge a run with answers, of a set with facts"));
    }
    let template = judge::template()?;
    let (sample, labels) = judge::labelled()?;
    let by_facts = judge::by_facts(&cases, &results);
    let judged = app.watched(|watch| {
        app.kb()?.with_llm(args.model.as_deref(), watch, |llm| {
            let model = llm.fingerprint();
            // Verdicts of another judge, or of another prompt, are another file.
            let key = hex(&Sha256::digest(format!("{} {}", model.short(), template.hash()))[..4]);
            let known = format!("{key}-{}.jsonl", judge::sample_hash());
            let known = eval_folder(app)?.join("judges").join(known);
            watch.status("Judging answers that a person has judged");
            let of_people = judge::judge(&template, &sample, llm, &known, watch)?;
            watch.status("Judging the run's answers");
            let file = path.join(format!("judge-{key}.jsonl"));
            let of_run = judge::judge(&template, &cases, llm, &file, watch)?;
            Ok((model, of_people, of_run, file))
        })
    });
    let (model, of_people, verdicts, file) = judged?;
    let with_people = judge::agreement(&of_people, &labels);
    let judged = judge::Judged::new(&template, model, with_people, &verdicts, &by_facts);
    if app.json {
        app.ui.json(&serde_json::json!({ "run": path, "verdicts": file, "judged": judged }))?;
    } else {
        app.ui.result(&format!("{}\n{}\n", judged.table(), file.display()))?;
    }
    if judged.is_no_better_than_chance() {
        app.ui.warning(
            "this judge does no better than chance on answers that a person has judged; ignore its verdicts",
        );
    }
    Ok(Outcome::Done)
}

pub(super) fn list(app: &App<'_>) -> Result<Outcome> {
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

pub(super) fn show(app: &App<'_>, args: &EvalShow) -> Result<Outcome> {
    let path = find_run(app, &args.run)?;
    let summary = complete(&path)?;
    if let Some(folder) = &args.trec {
        let results = run::read_results(&path)?;
        let (run, qrels) = run::trec(&results);
        fs_err::create_dir_all(folder)
            .map_err(|error| Error::io("cannot make the folder", error))?;
        files::write(&folder.join("run.trec"), run.as_bytes())?;
        files::write(&folder.join("qrels.trec"), qrels.as_bytes())?;
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
