//! `embed`: a share of the chunks → a file of vectors, and such files → the library.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use super::app::App;
use crate::cli::Embed;
use crate::domain::{Event, Filter, Unit};
use crate::error::{Error, ErrorKind, Result};
use crate::library::{shard_of, to_file};
use crate::seams::{Embedder, Purpose};

/// Texts that are embedded between two looks at Ctrl-C.
const BATCH: usize = 32;

pub(super) fn run(app: &App<'_>, args: &Embed) -> Result<Outcome> {
    match (args.shard, &args.files[..]) {
        (None, files) if args.take => {
            let library = app.filled_library()?;
            let model = app.embedder()?.fingerprint();
            let mut taken = 0;
            for file in files {
                app.cancel.check()?;
                taken += library.take_vectors(file, &model)?;
            }
            if app.json {
                app.ui.json(&serde_json::json!({ "taken": taken }))?;
            } else {
                app.ui.result(&format!("Took in {taken} vectors\n"))?;
            }
            Ok(Outcome::Done)
        }
        (Some(shard), [file]) => share(app, shard, file),
        _ => Err(Error::new(ErrorKind::Usage, "what is to be done with these files is not said")
            .hint("wellread embed --shard I/N FILE, or wellread embed --take FILE…")),
    }
}

fn share(app: &App<'_>, (which, of): (u32, u32), file: &std::path::Path) -> Result<Outcome> {
    let library = app.filled_library()?;
    let embedder = app.embedder()?;
    let model = embedder.fingerprint();
    let mut texts = BTreeSet::new();
    app.with_work(&library, &embedder, |work| {
        for info in library.articles(&Filter::default())? {
            app.cancel.check()?;
            let all = work.texts(&info.meta.id)?;
            texts.extend(all.into_iter().filter(|text| shard_of(text, of) == which));
        }
        Ok(())
    })?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut vectors: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let mut missing = Vec::new();
    for (text, known) in texts.iter().zip(library.cached_vectors(&model, &texts)?) {
        match known {
            Some(vector) => drop(vectors.insert(text, vector)),
            None => missing.push(*text),
        }
    }
    // Like lengths go together.
    missing.sort_by_key(|text| text.len());
    for (at, batch) in missing.chunks(BATCH).enumerate() {
        app.cancel.check()?;
        app.ui.event(Event::Progress {
            task: "Embedding chunks".to_owned(),
            done: (at * BATCH) as u64,
            total: missing.len() as u64,
            unit: Unit::Items,
        });
        let new = embedder.embed(batch, Purpose::Passage)?;
        // A share that is broken off goes on where it was.
        library.cache_vectors(&model, batch.iter().copied().zip(new.iter().map(Vec::as_slice)))?;
        vectors.extend(batch.iter().copied().zip(new));
    }
    app.ui.event(Event::Done { task: "Embedding chunks".to_owned() });
    crate::eval::run::write(file, &to_file(&model, &vectors)?)?;
    if app.json {
        app.ui.json(&serde_json::json!({
            "vectors": vectors.len(), "embedded": missing.len(), "file": file,
        }))?;
    } else {
        app.ui.result(&format!(
            "{}: {} vectors, {} of them embedded now\n",
            file.display(),
            vectors.len(),
            missing.len()
        ))?;
    }
    Ok(Outcome::Done)
}
