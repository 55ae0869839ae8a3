//! `add`, `sync`, `remove`, `sources`, `articles`, `show`.

use super::Outcome;
use super::app::{App, filter};
use super::args::{Add, Articles, Remove, Show, SyncArgs};
use super::text;
use super::ui::styles;
use crate::api::{ArticleShape, ReadShape, RemovedShape, SectionShape};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::base::{ArticleId, Document, Extent, Filter};
use crate::engine::ReadReport;
use crate::engine::sync::Synced;
use crate::library::Library;
use crate::source::fetch::{Source, SourceKind};

/// Indexes what was read and reports. One failure alone is the command's error.
fn finish(app: &App<'_>, mut report: ReadReport, rebuild: bool) -> Result<Outcome> {
    let left_out = report.done.iter().any(|synced| !synced.left_out.is_empty());
    if report.done.is_empty() && report.failed.len() == 1 && !app.json {
        let (_, error) = report.failed.remove(0);
        return Err(error);
    }
    for (_, error) in &report.failed {
        app.ui.error(error);
    }
    for synced in &report.done {
        for line in &synced.left_out {
            let error =
                Error::new(ErrorKind::TooLarge, format!("left out of {}: {line}", synced.source))
                    .hint("raise the limit with --set, or leave it out; everything else was read");
            app.ui.error(&error);
        }
    }
    if !report.done.is_empty() {
        app.update_index(rebuild)?;
    }
    if app.json {
        app.ui.json(&ReadShape::new(&report))?;
    } else {
        let library = app.kb()?.library()?;
        let mut text = String::new();
        for synced in report.done.iter().filter(|synced| synced.lists.is_empty()) {
            text.push_str(&line(app, &library, synced)?);
        }
        app.ui.result(&text)?;
    }
    Ok(if report.failed.is_empty() && !left_out { Outcome::Done } else { Outcome::Failed })
}

fn line(app: &App<'_>, library: &Library, synced: &Synced) -> Result<String> {
    let pen = app.ui.pen;
    let name = pen.paint(styles::TITLE, &pen.safe(&synced.source.0));
    if synced.not_modified {
        return Ok(format!("{name}: unchanged\n"));
    }
    let recorded = &synced.recorded;
    let all = library.source(&synced.source)?.map_or(0, |info| info.articles);
    let mut text = format!(
        "{name}: {} new, {} changed, {all} articles in all",
        recorded.added.len(),
        recorded.changed.len()
    );
    if recorded.duplicates > 0 {
        text.push_str(&format!(", {} duplicates", recorded.duplicates));
    }
    text.push('\n');
    Ok(text)
}

pub(super) fn add(app: &App<'_>, args: &Add) -> Result<Outcome> {
    let sources = args.sources.iter().map(|name| (name.clone(), Source::parse(name))).collect();
    let report = app.watched(|watch| app.kb()?.read_sources(sources, watch))?;
    finish(app, report, args.rebuild)
}

pub(super) fn sync(app: &App<'_>, args: &SyncArgs) -> Result<Outcome> {
    let known = app.kb()?.library()?.sources()?;
    let mut sources = Vec::new();
    if args.sources.is_empty() {
        if known.is_empty() {
            app.ui.warning("there are no sources yet; add one: wellread add FEED");
            return Ok(Outcome::Done);
        }
        let is_read_again = |kind| !matches!(kind, SourceKind::Stdin | SourceKind::Import);
        for info in known.iter().filter(|info| is_read_again(info.kind)) {
            sources.push((info.id.0.clone(), Source::of_name(&info.id.0)));
        }
    }
    for name in &args.sources {
        let source = Source::of_name(name).and_then(|source| {
            let is_known = known.iter().any(|info| info.id == source.id());
            if is_known { Ok(source) } else { Err(unknown(name)) }
        });
        sources.push((name.clone(), source));
    }
    let report = app.watched(|watch| app.kb()?.read_sources(sources, watch))?;
    finish(app, report, args.rebuild)
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{name} is not among the sources"))
        .hint("`wellread sources` lists them; `wellread add` adds one")
}

pub(super) fn remove(app: &App<'_>, args: &Remove) -> Result<Outcome> {
    let sources: Vec<Source> =
        args.sources.iter().map(|name| Source::of_name(name)).collect::<Result<_>>()?;
    let removed = app.watched(|watch| app.kb()?.remove_sources(&sources, watch))?;
    if app.json {
        let list: Vec<_> =
            removed.iter().map(|(source, gone)| RemovedShape::new(source, gone)).collect();
        app.ui.json(&serde_json::json!({ "sources": list }))?;
    } else {
        let mut text = String::new();
        for (source, gone) in &removed {
            text.push_str(&format!(
                "{}: removed with {} articles{}\n",
                app.ui.pen.safe(&source.id().0),
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
    let sources = match app.kb()?.existing_library()? {
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
            text.push_str(&format!("  {}", pen.safe(&collapse(title))));
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
    let articles = match app.kb()?.existing_library()? {
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
        text.push_str(&format!("{id}  {date}  {}", pen.safe(&collapse(&info.meta.title))));
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
    let kb = app.kb()?;
    let library = kb.existing_library()?.ok_or_else(none)?;
    let id = find(&library, &args.article)?;
    let article = library.article(&id)?.ok_or_else(none)?;
    let document = kb.document_of(&id)?.ok_or_else(none)?;
    let chunks = if args.chunks {
        app.watched(|watch| kb.chunks_of(&article.meta, &document, watch))?
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
            format!("no section of \"{}\" has that heading", article.meta.title),
        )
        .hint("`wellread show ARTICLE` shows all sections"));
    }
    if app.json {
        let chunks = chunks.iter().filter(|chunk| sections.contains(&chunk.section)).collect();
        app.ui.json(&ArticleShape {
            article: &article.meta,
            revision: article.revision,
            revisions: &library.revisions(&id)?,
            extent: article.extent,
            sections: sections.iter().map(|at| SectionShape::new(&document, *at)).collect(),
            chunks: args.chunks.then_some(chunks),
            removed: args.explain.then_some(document.removed.as_slice()),
        })?;
        return Ok(Outcome::Done);
    }
    let pen = app.ui.pen;
    let mut text = format!("{}\n", text::place(pen, &article.meta, &[]));
    if let Some(subtitle) = &article.meta.subtitle {
        text.push_str(&format!("{}\n", pen.safe(&collapse(subtitle))));
    }
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
            let line = text::shorten(&removed.text, 160);
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
