//! `eval check | import | generate`: what is done with question sets.

use std::path::Path;

use jiff::Timestamp;

use super::super::Outcome;
use super::super::app::{App, filter, sources_of};
use super::{bench, corpus, read_set, read_text, refuse};
use crate::cli::{EvalCheck, EvalGenerate};
use crate::domain::{Filter, SourceId};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::set::Question;
use crate::eval::{beir, goldens, run, stats};
use crate::fetch::{Cursor, IMPORTED, Kind};
use crate::index;
use crate::library::{Found, Item, Library};

pub(super) fn check(app: &App<'_>, args: &EvalCheck) -> Result<Outcome> {
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
    app.ui.result(&json_lines(questions)?)?;
    Ok(Outcome::Done)
}

pub(super) fn json_lines(values: &[impl serde::Serialize]) -> Result<String> {
    let mut text = String::new();
    for value in values {
        let line = serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn generate(app: &App<'_>, args: &EvalGenerate) -> Result<Outcome> {
    let library = app.library_with(&sources_of(&args.filter)?)?;
    let questions = goldens_of(app, &library, &filter(&args.filter)?, usize::MAX)?;
    if questions.is_empty() {
        app.ui.warning("nothing to make questions from: no article has a link and a title");
    }
    write_questions(app, &questions)
}

/// Questions made from the articles that pass a filter, from `most` of them at the most.
pub(in crate::commands) fn goldens_of(
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
