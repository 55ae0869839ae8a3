//! What every command gets: the knowledge base of the settings, and the user's ear.

use std::cell::OnceCell;
use std::io::Read;

use super::args::FilterArgs;
use super::config::Settings;
use super::ui::Ui;
use crate::api::FilterWords;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Cancel, Event, Filter, SourceId, Watch};
use crate::engine::KnowledgeBase;
use crate::engine::settings::Places;
use crate::index::Built;
use crate::source::fetch::Source;

/// Everything that a command needs besides its own arguments.
pub(super) struct App<'a> {
    pub ui: &'a Ui,
    pub cancel: &'a Cancel,
    pub settings: Settings,
    pub json: bool,
    kb: OnceCell<KnowledgeBase>,
}

impl<'a> App<'a> {
    pub fn new(ui: &'a Ui, cancel: &'a Cancel, settings: Settings, json: bool) -> App<'a> {
        App { ui, cancel, settings, json, kb: OnceCell::new() }
    }

    /// The knowledge base of the settings.
    pub fn kb(&self) -> Result<&KnowledgeBase> {
        if let Some(kb) = self.kb.get() {
            return Ok(kb);
        }
        let kb = self.new_kb()?;
        Ok(self.kb.get_or_init(|| kb))
    }

    /// A knowledge base of the settings for a door that stays open and shares it.
    pub fn new_kb(&self) -> Result<KnowledgeBase> {
        let places = Places { data: self.settings.data_dir()?, cache: self.settings.cache_dir()? };
        Ok(KnowledgeBase::new(self.settings.config.clone(), places))
    }

    /// Runs a call on the knowledge base, its events shown as they come.
    pub fn watched<T>(&self, call: impl FnOnce(&Watch<'_>) -> Result<T>) -> Result<T> {
        let events = |event: Event| self.ui.event(event);
        call(&Watch { events: &events, cancel: self.cancel })
    }

    /// Brings the index up to date, and says what was done.
    pub fn update_index(&self, rebuild: bool) -> Result<()> {
        let built: Built = self.watched(|watch| self.kb()?.update_index(rebuild, watch))?;
        if built.articles + built.removed > 0 {
            self.ui.status(&format!(
                "Indexed {} articles in {} chunks ({} embedded), removed {}",
                built.articles, built.chunks, built.embedded, built.removed
            ));
        }
        Ok(())
    }
}

/// What an argument says, or standard input where it is `-`; of that no more than a few times `most`
/// bytes are read. `what` names it in errors.
pub(super) fn given(argument: &str, what: &str, most: usize) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    as_text(piped(what, most)?, what)
}

/// What standard input says, no more than a few times `most` bytes of it.
pub(super) fn piped(what: &str, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(16 * most as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(format!("cannot read the {what} from standard input"), error))?;
    Ok(bytes)
}

/// What was read from standard input, as text.
pub(super) fn as_text(bytes: Vec<u8>, what: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        Error::new(ErrorKind::Usage, format!("the {what} on standard input is not text"))
            .caused_by(error)
            .hint("give it in UTF-8")
    })
}

/// The sources that a filter names.
pub(super) fn sources_of(args: &FilterArgs) -> Result<Vec<Source>> {
    args.source.iter().map(|text| Source::parse(text)).collect()
}

/// As [`sources_of`], for sources that may be gone from where they were read.
pub(super) fn source_ids(args: &FilterArgs) -> Result<Vec<SourceId>> {
    args.source.iter().map(|text| Ok(Source::of_name(text)?.id())).collect()
}

/// A filter as the user gave it, whatever the library has.
pub(super) fn filter(args: &FilterArgs) -> Result<Filter> {
    Ok(Filter { sources: source_ids(args)?, ..words(args).alone()? })
}

/// A filter as the user gave it, and the sources that it names. Authors and tags are checked
/// against the library, for which such sources are read first if they are new.
pub(super) fn checked(app: &App<'_>, args: &FilterArgs) -> Result<(Filter, Vec<Source>)> {
    let (filter, sources) = (filter(args)?, sources_of(args)?);
    if filter.authors.is_empty() && filter.tags.is_empty() {
        return Ok((filter, sources));
    }
    let kb = app.kb()?;
    let library = if sources.is_empty() {
        kb.existing_library()?
    } else {
        Some(app.watched(|watch| kb.library_with(&sources, watch))?)
    };
    // That there are no articles is said by what asks them.
    if let Some(library) = library
        && library.article_count()? > 0
    {
        words(args).check_names(&library)?;
    }
    Ok((filter, sources))
}

/// What the user gave of a filter, but for its sources.
fn words(args: &FilterArgs) -> FilterWords {
    FilterWords {
        source: Vec::new(),
        author: args.author.clone(),
        tag: args.tag.clone(),
        since: args.since.clone(),
        until: args.until.clone(),
        title: args.title.clone(),
    }
}
