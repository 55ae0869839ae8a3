//! `eval check | import | generate | from-feedback`: what is done with question sets.

use std::path::Path;

use jiff::Timestamp;

use super::super::Outcome;
use super::super::app::{App, filter, sources_of};
use super::{bench_of, read_set, read_text, refuse};
use crate::api::json;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, SourceId, files};
use crate::cli::args::{EvalCheck, EvalFromFeedback, EvalGenerate};
use crate::eval::set::Question;
use crate::eval::{beir, feedback, gold};
use crate::library::{Item, Rating, SourceItems};
use crate::source::fetch::{Cursor, IMPORTED, SourceKind};

pub(super) fn check(app: &App<'_>, args: &EvalCheck) -> Result<Outcome> {
    let set = read_set(&args.questions)?;
    let (_, problems) = app.watched(|watch| {
        let kb = bench_of(app, &args.filter, watch)?;
        gold::resolve(&kb, &set, watch)
    })?;
    refuse(&set, &problems)?;
    let count = set.questions.len();
    if app.json {
        app.ui.json(&serde_json::json!({ "set": set.name, "questions": count }))?;
    } else {
        app.ui.result(&format!("{}: {count} questions, all gold is in the library\n", set.name))?;
    }
    Ok(Outcome::Done)
}

pub(super) fn import(
    app: &App<'_>,
    folder: &Path,
    qrels: &str,
    slice: Option<usize>,
) -> Result<Outcome> {
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
    let kb = app.kb()?;
    let library = kb.library()?;
    let now = Timestamp::now();
    library.add_source(&id, SourceKind::Import, now)?;
    let items: Vec<Item> =
        articles.into_iter().map(|article| Item { article, place: None }).collect();
    let found = SourceItems { title: Some(&name), site: None, items: &items };
    let recorded =
        library.record(&id, found, &Cursor::default(), &app.settings.config.clean, now)?;
    app.ui.status(&format!(
        "{id}: {} new articles, {} changed, {} questions",
        recorded.added.len(),
        recorded.changed.len(),
        questions.len()
    ));
    write_questions(app, &questions)
}

fn write_questions(app: &App<'_>, questions: &[Question]) -> Result<Outcome> {
    app.ui.result(&json_lines(questions)?)?;
    Ok(Outcome::Done)
}

pub(super) fn json_lines(values: &[impl serde::Serialize]) -> Result<String> {
    let mut text = String::new();
    for value in values {
        text.push_str(&json::line(value)?);
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn generate(app: &App<'_>, args: &EvalGenerate) -> Result<Outcome> {
    let (sources, filter) = (sources_of(&args.filter)?, filter(&args.filter)?);
    let made = app.watched(|watch| {
        let kb = app.kb()?;
        kb.library_with(&sources, watch)?;
        kb.goldens(&filter, usize::MAX, watch)
    })?;
    let questions: Vec<Question> =
        made.into_iter().enumerate().map(|(at, one)| Question::generated(at + 1, one)).collect();
    if questions.is_empty() {
        app.ui.warning("nothing to make questions from: no article has a link and a title");
    }
    write_questions(app, &questions)
}

/// Makes questions from the answers that were called good or bad.
pub(super) fn from_feedback(app: &App<'_>, args: &EvalFromFeedback) -> Result<Outcome> {
    let library = app.kb()?.filled_library()?;
    let all = library.feedback()?;
    if all.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "no answer has been called good or bad yet")
            .hint("ask something, then: wellread feedback good"));
    }
    let guid = |id: &ArticleId| library.guid_of(id);
    let questions: Vec<Question> =
        all.iter().map(|one| feedback::question(one, &guid)).collect::<Result<_>>()?;
    let Some(path) = &args.output else { return write_questions(app, &questions) };
    files::write_new(path, json_lines(&questions)?.as_bytes())?;
    let open = questions.iter().filter(|question| question.kind == Rating::Bad.as_str()).count();
    app.ui.status(&format!(
        "{} questions in {}, {open} of them to be completed",
        questions.len(),
        path.display()
    ));
    Ok(Outcome::Done)
}
