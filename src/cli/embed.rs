//! `embed`: a share of the chunks → a file of vectors, and such files → the library.

use std::path::Path;

use super::Outcome;
use super::app::App;
use super::args::Embed;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(app: &App<'_>, args: &Embed) -> Result<Outcome> {
    match (args.shard, &args.files[..]) {
        (None, files) if args.take => {
            let taken = app.watched(|watch| app.kb()?.take_vectors(files, watch))?;
            if app.json {
                app.ui.json(&serde_json::json!({ "taken": taken }))?;
            } else {
                app.ui.result(&format!("Imported {taken} vectors\n"))?;
            }
            Ok(Outcome::Done)
        }
        (Some(shard), [file]) => share(app, shard, file),
        _ => Err(Error::new(ErrorKind::Usage, "say what to do with these files")
            .hint("wellread embed --shard I/N FILE, or wellread embed --take FILE…")),
    }
}

fn share(app: &App<'_>, (which, of): (u32, u32), file: &Path) -> Result<Outcome> {
    let shared = app.watched(|watch| app.kb()?.embed_share(which, of, watch))?;
    crate::base::files::write(file, &shared.file)?;
    if app.json {
        app.ui.json(&serde_json::json!({
            "vectors": shared.vectors, "embedded": shared.embedded, "file": file,
        }))?;
    } else {
        app.ui.result(&format!(
            "{}: {} vectors, {} of them embedded now\n",
            file.display(),
            shared.vectors,
            shared.embedded
        ))?;
    }
    Ok(Outcome::Done)
}
