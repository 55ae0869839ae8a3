//! `add`, `sync`, `remove`, `sources`, `articles`, `show`.

use serde::Serialize;

use super::Outcome;
use super::app::{App, filter};
use crate::chunk;
use crate::cli::{Add, Articles, Remove, Show, SyncArgs};
use crate::domain::{ArticleId, Document, Extent, Filter};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{Kind, Source};
use crate::index;
use crate::library::Library;
use crate::output::{self, one_line};
use crate::seams::{Embedder, Purpose};
use crate::sync::Synced;
use crate::ui::styles;

/// Feeds that are followed from one list.
const MAX_LISTED: usize = 1000;

/// Reads several sources; what fails is reported, and the rest goes on.
struct Batch<'a, 'b> {
    app: &'a App<'b>,
    library: Library,
    done: Vec<Synced>,
    failed: Vec<(String, Error)>,
}

impl<'a, 'b> Batch<'a, 'b> {
    fn new(app: &'a App<'b>) -> Result<Self> {
        Ok(Batch { app, library: app.library()?, done: Vec::new(), failed: Vec::new() })
    }

    fn read(&mut self, name: &str, source: Result<Source>) -> Result<()> {
        match source.and_then(|source| self.app.sync(&self.library, &source)) {
            Ok(synced) => self.done.push(synced),
            // A stop, and a library or disk that fails, concern all that would follow.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Interrupted
                        | ErrorKind::Library
                        | ErrorKind::DiskFull
                        | ErrorKind::Locked
                ) =>
            {
                return Err(error);
            }
            Err(error) => self.failed.push((name.to_owned(), error)),
        }
        Ok(())
    }

    /// Feeds that were listed by what was read (OPML), each once.
    fn read_lists(&mut self) -> Result<()> {
        let mut listed: Vec<String> =
            self.done.iter().flat_map(|synced| synced.lists.clone()).collect();
        listed.sort();
        listed.dedup();
        if listed.len() > MAX_LISTED {
            self.app.ui.warning(&format!(
                "{} feeds are listed; the first {MAX_LISTED} are read",
                listed.len()
            ));
        }
        for name in listed.iter().take(MAX_LISTED) {
            self.app.cancel.check()?;
            self.read(name, Source::parse(name))?;
        }
        Ok(())
    }

    /// Indexes what was read and reports. One failure alone is the command's error.
    fn finish(mut self, rebuild: bool) -> Result<Outcome> {
        let left_out = self.done.iter().any(|synced| !synced.left_out.is_empty());
        if self.done.is_empty() && self.failed.len() == 1 && !self.app.json {
            let (_, error) = self.failed.remove(0);
            return Err(error);
        }
        for (_, error) in &self.failed {
            self.app.ui.error(error);
        }
        for synced in &self.done {
            for line in &synced.left_out {
                let error = Error::new(
                    ErrorKind::TooLarge,
                    format!("left out of {}: {line}", synced.source),
                )
                .hint("raise the limit with --set, or leave it out; everything else was read");
                self.app.ui.error(&error);
            }
        }
        if !self.done.is_empty() {
            let embedder = self.app.embedder()?;
            self.app.update_index(&self.library, &embedder, rebuild)?;
        }
        if self.app.json {
            #[derive(Serialize)]
            struct Json<'a> {
                sources: &'a [Synced],
                failed: Vec<serde_json::Value>,
            }
            let failed = self.failed.iter().map(
                |(source, error)| serde_json::json!({ "source": source, "error": error.chain() }),
            );
            self.app.ui.json(&Json { sources: &self.done, failed: failed.collect() })?;
        } else {
            let mut text = String::new();
            for synced in self.done.iter().filter(|synced| synced.lists.is_empty()) {
                text.push_str(&self.line(synced)?);
            }
            self.app.ui.result(&text)?;
        }
        Ok(if self.failed.is_empty() && !left_out { Outcome::Done } else { Outcome::Failed })
    }

    fn line(&self, synced: &Synced) -> Result<String> {
        let pen = self.app.ui.pen;
        let name = pen.paint(styles::TITLE, &pen.safe(&synced.source.0));
        if synced.not_modified {
            return Ok(format!("{name}: unchanged\n"));
        }
        let recorded = &synced.recorded;
        let all = self.library.source(&synced.source)?.map_or(0, |info| info.articles);
        let mut text = format!(
            "{name}: {} new, {} changed, {all} articles in all",
            recorded.added.len(),
            recorded.changed.len()
        );
        if recorded.duplicates > 0 {
            text.push_str(&format!(", {} items twice", recorded.duplicates));
        }
        text.push('\n');
        Ok(text)
    }
}

pub(super) fn add(app: &App<'_>, args: &Add) -> Result<Outcome> {
    let mut batch = Batch::new(app)?;
    for name in &args.sources {
        app.cancel.check()?;
        batch.read(name, Source::parse(name))?;
    }
    batch.read_lists()?;
    batch.finish(args.rebuild)
}

pub(super) fn sync(app: &App<'_>, args: &SyncArgs) -> Result<Outcome> {
    let mut batch = Batch::new(app)?;
    let known = batch.library.sources()?;
    if args.sources.is_empty() {
        for info in known.iter().filter(|info| !matches!(info.kind, Kind::Stdin | Kind::Import)) {
            app.cancel.check()?;
            batch.read(&info.id.0, Source::of_name(&info.id.0))?;
        }
        if known.is_empty() {
            app.ui.warning("there are no sources yet; add one: wellread add FEED");
            return Ok(Outcome::Done);
        }
    }
    for name in &args.sources {
        app.cancel.check()?;
        let source = Source::of_name(name).and_then(|source| {
            let is_known = known.iter().any(|info| info.id == source.id());
            if is_known { Ok(source) } else { Err(unknown(name)) }
        });
        batch.read(name, source)?;
    }
    batch.finish(args.rebuild)
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{name} is not among the sources"))
        .hint("`wellread sources` lists them; `wellread add` adds one")
}

pub(super) fn remove(app: &App<'_>, args: &Remove) -> Result<Outcome> {
    let library = app.existing_library()?.ok_or_else(|| unknown(&args.sources[0]))?;
    let ids = args
        .sources
        .iter()
        .map(|name| {
            let id = Source::of_name(name)?.id();
            if library.source(&id)?.is_some() { Ok(id) } else { Err(unknown(name)) }
        })
        .collect::<Result<Vec<_>>>()?;
    let mut removed = Vec::new();
    for id in ids {
        let gone = library.remove_source(&id)?;
        removed.push((id, gone));
    }
    if app.index()?.live()?.is_some() {
        let embedder = app.embedder()?;
        app.update_index(&library, &embedder, false)?;
    }
    if app.json {
        let list: Vec<_> = removed
            .iter()
            .map(|(id, gone)| serde_json::json!({ "source": id, "removed": gone.removed, "kept": gone.kept }))
            .collect();
        app.ui.json(&serde_json::json!({ "sources": list }))?;
    } else {
        let mut text = String::new();
        for (id, gone) in &removed {
            text.push_str(&format!(
                "{}: removed with {} articles{}\n",
                app.ui.pen.safe(&id.0),
                gone.removed.len(),
                match gone.kept {
                    0 => String::new(),
                    kept => format!("; {kept} stay, other sources have them"),
                }
            ));
        }
        app.ui.result(&text)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn list(app: &App<'_>) -> Result<Outcome> {
    let sources = match app.existing_library()? {
        Some(library) => library.sources()?,
        None => Vec::new(),
    };
    if app.json {
        app.ui.json(&serde_json::json!({ "sources": sources }))?;
        return Ok(Outcome::Done);
    }
    if sources.is_empty() {
        app.ui.warning("there are no sources yet; add one: wellread add FEED");
    }
    let pen = app.ui.pen;
    let mut text = String::new();
    for info in &sources {
        let name = pen.paint(styles::TITLE, &pen.safe(&info.id.0));
        let when = info
            .synced_at
            .map_or("never".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        text.push_str(&format!("{name}  {} articles, read {when}", info.articles));
        if let Some(title) = &info.title {
            text.push_str(&format!("  {}", pen.safe(&one_line(title))));
        }
        if let Some(error) = &info.error {
            let failed = format!("last try failed: {}", pen.safe(error));
            text.push_str(&format!("\n  {}", pen.paint(styles::WARNING, &failed)));
        }
        text.push('\n');
    }
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

pub(super) fn articles(app: &App<'_>, args: &Articles) -> Result<Outcome> {
    let filter = filter(&args.filter)?;
    let articles = match app.existing_library()? {
        Some(library) => library.articles(&filter)?,
        None => Vec::new(),
    };
    if app.json {
        app.ui.json(&serde_json::json!({ "articles": articles }))?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = String::new();
    for info in &articles {
        let date = info
            .meta
            .published
            .map_or("          ".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
        let id = pen.paint(styles::ASIDE, &info.meta.id.0);
        text.push_str(&format!("{id}  {date}  {}", pen.safe(&one_line(&info.meta.title))));
        let extent = match info.extent {
            Extent::Summary => "  (summary only)",
            Extent::LinkedPage => "  (from the linked page)",
            Extent::Full => "",
        };
        text.push_str(&pen.paint(styles::ASIDE, extent));
        if info.revision > 1 {
            let revision = format!("  (revision {})", info.revision);
            text.push_str(&pen.paint(styles::ASIDE, &revision));
        }
        text.push('\n');
    }
    if articles.is_empty() {
        app.ui.warning("there are no such articles");
    }
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

/// The one article that a user means.
fn find(library: &Library, text: &str) -> Result<ArticleId> {
    let mut found = library.find_articles(text)?;
    if found.is_empty() {
        let filter = Filter { title: Some(text.to_owned()), ..Filter::default() };
        found = library.articles(&filter)?.into_iter().map(|info| info.meta.id).collect();
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::new(ErrorKind::NotFound, format!("no article is \"{text}\""))
            .hint("`wellread articles` lists them; name an id, a URL, or words of a title")),
        several => {
            let ids: Vec<&str> = several.iter().take(5).map(|id| id.0.as_str()).collect();
            Err(Error::new(
                ErrorKind::Usage,
                format!("\"{text}\" can be {} articles: {}", several.len(), ids.join(", ")),
            )
            .hint("name one by its id"))
        }
    }
}

pub(super) fn show(app: &App<'_>, args: &Show) -> Result<Outcome> {
    let none = || {
        Error::new(ErrorKind::NotFound, format!("no article is \"{}\"", args.article))
            .hint("there are no articles yet: wellread add FEED")
    };
    let library = app.existing_library()?.ok_or_else(none)?;
    let id = find(&library, &args.article)?;
    let article = library.article(&id)?.ok_or_else(none)?;
    let config = &app.settings.config;
    let document = index::document(&library, &id, article.revision, &config.clean)?;
    let chunks = if args.chunks {
        let embedder = app.embedder()?;
        let count = |text: &str| embedder.count_tokens(text, Purpose::Passage);
        chunk::split(&document, &article.meta, &config.chunk, embedder.max_tokens(), &count)?
    } else {
        Vec::new()
    };
    let wanted = |path: &[String]| {
        args.section.as_ref().is_none_or(|words| {
            let heading = path.last().map(|text| text.to_lowercase()).unwrap_or_default();
            words.to_lowercase().split_whitespace().all(|word| heading.contains(word))
        })
    };
    let sections: Vec<usize> = (0..document.sections.len())
        .filter(|at| wanted(&document.sections[*at].heading_path))
        .collect();
    if sections.is_empty() && args.section.is_some() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("no section of \"{}\" is called so", article.meta.title),
        )
        .hint("`wellread show ARTICLE` shows all sections"));
    }
    if app.json {
        let chunks: Vec<_> = chunks.iter().filter(|c| sections.contains(&c.section)).collect();
        app.ui.json(&serde_json::json!({
            "article": article.meta,
            "revision": article.revision,
            "revisions": library.revisions(&id)?,
            "extent": article.extent,
            "sections": sections.iter().map(|at| {
                let section = &document.sections[*at];
                serde_json::json!({
                    "heading_path": section.heading_path,
                    "level": section.level,
                    "range": [section.range.start, section.range.end],
                    "text": document.text[section.range.clone()],
                })
            }).collect::<Vec<_>>(),
            "chunks": if args.chunks { Some(chunks) } else { None },
            "removed": if args.explain { Some(&document.removed) } else { None },
        }))?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = format!("{}\n", output::place(pen, &article.meta, &[]));
    let authors = article.meta.authors.join(", ");
    text.push_str(&pen.paint(
        styles::ASIDE,
        &format!("{id}  revision {}  {}\n", article.revision, pen.safe(&authors)),
    ));
    if args.chunks {
        for chunk in chunks.iter().filter(|chunk| sections.contains(&chunk.section)) {
            let head = format!(
                "\n── {} · {} tokens · bytes {}–{} · {}\n",
                chunk.ordinal,
                chunk.tokens,
                chunk.range.start,
                chunk.range.end,
                chunk.heading_path.join(" › ")
            );
            text.push_str(&pen.paint(styles::NUMBER, &pen.safe(&head)));
            text.push_str(&pen.safe(&chunk.text));
            text.push('\n');
        }
    } else {
        for at in sections {
            text.push_str(&section_text(app, &document, at));
        }
    }
    if args.explain {
        text.push_str(&format!("\n{}\n", pen.paint(styles::TITLE, "Removed")));
        for removed in &document.removed {
            let line = output::shorten(&removed.text, 160);
            text.push_str(&format!("  {}: {}\n", removed.reason, pen.safe(&line)));
        }
        if document.removed.is_empty() {
            text.push_str("  nothing\n");
        }
    }
    app.ui.result(&text)?;
    Ok(Outcome::Done)
}

fn section_text(app: &App<'_>, document: &Document, at: usize) -> String {
    let pen = app.ui.pen;
    let section = &document.sections[at];
    let mut text = String::from("\n");
    if let Some(heading) = section.heading_path.last() {
        let level = "#".repeat(usize::from(section.level.max(1)));
        text.push_str(&pen.paint(styles::TITLE, &format!("{level} {}", pen.safe(heading))));
        text.push('\n');
    }
    let body = document.text[section.range.clone()].trim();
    if !body.is_empty() {
        text.push_str(&pen.safe(body));
        text.push('\n');
    }
    text
}
