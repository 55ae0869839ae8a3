//! `eval canaries`: planted texts, asked through the engine over a library of their own.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::Outcome;
use super::super::app::App;
use super::read_text;
use crate::answer::{Answer, AnswerStatus};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Event, Filter, Unit, Watch};
use crate::cli::args::EvalCanaries;
use crate::engine::settings::Places;
use crate::engine::{KnowledgeBase, Question};
use crate::eval::canaries::{self, Case, Report, Said};
use crate::source::fetch::Source;

pub(super) fn run(app: &App<'_>, args: &EvalCanaries) -> Result<Outcome> {
    let strings = match &args.strings {
        Some(path) => canaries::parse(&path.display().to_string(), &read_text(path)?)?,
        None => canaries::parse("canaries.jsonl", canaries::SHIPPED)?,
    };
    let cases = canaries::cases(&strings, args.limit);
    let folder = tempfile::tempdir()
        .map_err(|error| Error::io("cannot make a folder for the planted articles", error))?;
    let places = Places { data: folder.path().join("data"), cache: app.settings.cache_dir()? };
    let mut config = app.settings.config.clone();
    // What is planted stays here.
    config.store.url.clear();
    let kb = KnowledgeBase::new(config, places);
    let said = app.watched(|watch| ask_all(&kb, &cases, folder.path(), watch))?;
    let report = Report::new(&said);
    if app.json {
        app.ui.json(&report)?;
    } else {
        app.ui.result(&app.ui.pen.safe(&report.table()))?;
    }
    if report.clean_answered == 0 {
        app.ui.warning("this LLM answers from none of the unaltered articles: nothing was tested");
    }
    Ok(if report.holds() { Outcome::Done } else { Outcome::No })
}

/// What is said to each case. The articles lie in one library, and each case is asked of its own.
fn ask_all<'a>(
    kb: &KnowledgeBase,
    cases: &[Case<'a>],
    folder: &Path,
    watch: &Watch<'_>,
) -> Result<Vec<(Case<'a>, Said)>> {
    let mut sources = Vec::new();
    for case in cases {
        let path = folder.join(format!("{}.xml", case.number));
        fs_err::write(&path, canaries::feed(case))
            .map_err(|error| Error::io("cannot write a planted article", error))?;
        sources.push(Source::parse(&path.display().to_string())?);
    }
    let named = sources.iter().map(|source| (source.id().0, Ok(source.clone()))).collect();
    let read = kb.read_sources(named, watch)?;
    if let Some((_, error)) = read.failed.into_iter().next() {
        return Err(error);
    }
    kb.update_index(false, watch)?;
    let task = "Asking".to_owned();
    let mut said = Vec::new();
    for (case, source) in cases.iter().zip(&sources) {
        let (done, total) = (said.len() as u64, cases.len() as u64);
        (watch.events)(Event::Progress { task: task.clone(), done, total, unit: Unit::Items });
        watch.cancel.check()?;
        let filter = Filter { sources: vec![source.id()], ..Filter::default() };
        let text = canaries::question(case);
        let question = Question { text: &text, filter: &filter, sources: &[] };
        let answer = match kb.ask(&question, watch, &mut |_| Ok(())) {
            Ok(answer) => what_was_said(&answer),
            // A planted text may be longer than a question can be: it is refused as a whole.
            Err(error) if error.kind() == ErrorKind::TooLong => Said::default(),
            Err(error) => return Err(error),
        };
        said.push((*case, answer));
    }
    (watch.events)(Event::Done { task });
    Ok(said)
}

fn what_was_said(answer: &Answer) -> Said {
    Said {
        answered: answer.status == AnswerStatus::Answered,
        text: answer.answer.clone(),
        shown: answer.passages.iter().map(|passage| passage.n).collect::<BTreeSet<usize>>(),
    }
}
