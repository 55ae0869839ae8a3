//! `ask` and `search`.

use std::io::Read;

use super::Outcome;
use super::app::{App, filter, sources_of};
use crate::answer::{self, AnswerSentence, LazyGenerator, Parts, Status};
use crate::cli::{Ask, Search};
use crate::error::{Error, ErrorKind, Result};
use crate::index;
use crate::output::{self, AskJson, SearchJson};
use crate::retrieve::{self, MAX_QUESTION_BYTES};
use crate::seams::{Embedder, Generator, Store};

/// The most hits that can be asked for.
const MAX_LIMIT: usize = 1000;

/// What a question is asked of.
struct Asked {
    library: crate::library::Library,
    embedder: crate::embed::BertEmbedder,
    store: Box<dyn Store>,
    _held: index::Held,
}

fn prepare(app: &App<'_>, sources: &[crate::fetch::Source]) -> Result<Asked> {
    let library = app.library_with(sources)?;
    let embedder = app.embedder()?;
    let index = app.index()?;
    // Without an index yet there is nothing to ask: it is made from what the library has.
    if !sources.is_empty() || index.live()?.is_none() {
        app.update_index(&library, &embedder, false)?;
    }
    let config = &app.settings.config;
    let wanted = index::fingerprint(&embedder.fingerprint(), &config.chunk, &config.clean);
    let (store, held) = index.open(&wanted)?;
    app.warn_of_pending(&library)?;
    app.cancel.check()?;
    Ok(Asked { library, embedder, store, _held: held })
}

pub(super) fn ask(app: &App<'_>, args: &Ask) -> Result<Outcome> {
    let question = question(&args.question)?;
    let question = retrieve::check_question(&question)?.to_owned();
    let filter = filter(&args.filter)?;
    let sources = sources_of(&args.filter)?;
    let template = app.template()?;
    app.check_llm()?;
    let asked = prepare(app, &sources)?;
    let config = &app.settings.config;
    let mut model = config.models.generator.clone();
    let mut document = |id: &crate::domain::ArticleId, revision: u32| {
        index::document(&asked.library, id, revision, &config.clean)
    };
    let mut generator = LazyGenerator::new(|| {
        let llm = app.llm()?;
        if let Some(name) = llm.fingerprint().0.get("generator") {
            model.clone_from(name);
        }
        Ok(Box::new(llm))
    });
    let parts = Parts {
        store: asked.store.as_ref(),
        embedder: &asked.embedder,
        document: &mut document,
        generator: &mut generator,
        template: &template,
    };
    let mut before: Option<AnswerSentence> = None;
    let answer = answer::answer(
        parts,
        &question,
        &filter,
        &config.retrieval,
        &config.answer,
        app.cancel,
        &mut |sentence| {
            if app.json {
                return Ok(());
            }
            let separator = answer::separator(before.as_ref(), sentence);
            before = Some(sentence.clone());
            app.ui.clear();
            app.ui.result(&format!("{separator}{}", output::sentence(app.ui.pen, sentence)))
        },
    );
    if before.is_some() {
        app.ui.result("\n")?;
    }
    let answer = answer?;
    drop(generator);
    if app.json {
        app.ui.json(&AskJson::new(&question, &model, &answer))?;
    } else {
        let pen = app.ui.pen;
        let mut rest = match answer.status {
            Status::Answered => format!("\n{}", output::sources(pen, &answer)),
            Status::Abstained => output::abstention(pen, &answer),
        };
        if args.explain {
            rest.push_str(&output::explanation(pen, &answer));
        }
        app.ui.result(&rest)?;
        if answer.usage.hits_left_out > 0 {
            app.ui.status(&format!(
                "{} further hits did not fit the LLM's context (answer.context_tokens)",
                answer.usage.hits_left_out
            ));
        }
    }
    Ok(match answer.status {
        Status::Answered => Outcome::Done,
        Status::Abstained => Outcome::No,
    })
}

pub(super) fn search(app: &App<'_>, args: &Search) -> Result<Outcome> {
    let query = question(&args.query)?;
    let query = retrieve::check_question(&query)?;
    if args.limit == 0 || args.limit > MAX_LIMIT {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("-k is {}; it can be 1 to {MAX_LIMIT}", args.limit),
        )
        .hint("wellread search -k 10 …"));
    }
    let filter = filter(&args.filter)?;
    let asked = prepare(app, &sources_of(&args.filter)?)?;
    let hits = retrieve::search(
        asked.store.as_ref(),
        &asked.embedder,
        query,
        &filter,
        &app.settings.config.retrieval,
        args.limit,
    )?;
    if app.json {
        app.ui.json(&SearchJson::new(query, &hits))?;
    } else {
        app.ui.result(&output::hits(app.ui.pen, &hits))?;
    }
    Ok(Outcome::Done)
}

/// The question itself, or what standard input says for `-`. No more is read than can be asked.
fn question(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(16 * MAX_QUESTION_BYTES as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("cannot read the question from standard input", error))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::new(ErrorKind::Usage, "the question on standard input is not text")
            .caused_by(error)
            .hint("give it in UTF-8")
    })
}
