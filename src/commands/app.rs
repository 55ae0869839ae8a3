//! The parts that commands are built from, each made when a command first needs it.

use std::path::{Path, PathBuf};

use crate::cli::FilterArgs;
use crate::config::Settings;
use crate::domain::{Cancel, Event, Filter, SourceId};
use crate::embed::{BertEmbedder, EmbedderFiles, EmbedderSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{Kind, Source};
use crate::generate::Llm;
use crate::index::{Index, Work};
use crate::library::Library;
use crate::models::{self, Choice, Manifest, Resolver};
use crate::prompt::Template;
use crate::seams::Embedder;
use crate::sync::{self, Reading, Synced};
use crate::ui::Ui;

/// Everything that a command needs besides its own arguments.
pub(super) struct App<'a> {
    pub ui: &'a Ui,
    pub cancel: &'a Cancel,
    pub settings: Settings,
    pub json: bool,
}

impl App<'_> {
    pub fn events(&self) -> impl Fn(Event) + Sync + '_ {
        |event| self.ui.event(event)
    }

    pub fn library_path(&self) -> Result<PathBuf> {
        Ok(self.settings.data_dir()?.join("library.sqlite"))
    }

    /// The library, to be written to; made if it is not there.
    pub fn library(&self) -> Result<Library> {
        Library::open(&self.library_path()?)
    }

    /// The library, to be read from; `None` if there is none yet.
    pub fn existing_library(&self) -> Result<Option<Library>> {
        let path = self.library_path()?;
        if !path.exists() {
            return Ok(None);
        }
        match Library::open(&path) {
            // A folder that is not ours to write is still there to be read.
            Err(error) if error.kind() == ErrorKind::Io => {
                Library::open_read_only(&path).map_err(|_| error).map(Some)
            }
            other => other.map(Some),
        }
    }

    /// A library with articles in it.
    pub fn filled_library(&self) -> Result<Library> {
        let empty = || {
            Error::new(ErrorKind::NotFound, "there are no articles yet")
                .hint("add a source: wellread add FEED, or ask one: wellread ask --source FEED …")
        };
        let library = self.existing_library()?.ok_or_else(empty)?;
        if library.article_count()? == 0 { Err(empty()) } else { Ok(library) }
    }

    pub fn manifests(&self) -> Result<Vec<Manifest>> {
        let folder = &self.settings.config.models.manifests;
        models::manifests((!folder.is_empty()).then(|| Path::new(folder)))
    }

    pub fn resolver(&self) -> Result<Resolver> {
        Ok(Resolver::new(self.settings.cache_dir()?, self.settings.config.offline))
    }

    /// The embedder of the settings, fetched if it is not here.
    pub fn embedder(&self) -> Result<BertEmbedder> {
        let manifests = self.manifests()?;
        let manifest = models::find(&manifests, &self.settings.config.models.embedder)?;
        let Some(facts) = &manifest.embedder else {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the model {} is no embedder", manifest.name),
            )
            .hint("`wellread models list` shows what each model is for"));
        };
        let resolved = self.resolver()?.resolve(manifest, &self.events(), self.cancel)?;
        let spec = EmbedderSpec {
            name: manifest.name.clone(),
            sha256: manifest.file("weights").map(|file| file.sha256.clone()).unwrap_or_default(),
            dimensions: facts.dimensions,
            max_tokens: facts.max_tokens,
            pooling: facts.pooling,
            query_prefix: facts.query_prefix.clone(),
            passage_prefix: facts.passage_prefix.clone(),
        };
        let files = EmbedderFiles {
            weights: resolved.path("weights")?.to_owned(),
            tokenizer: resolved.path("tokenizer")?.to_owned(),
            config: resolved.path("config")?.to_owned(),
        };
        BertEmbedder::load(spec, &files)
    }

    /// Whether the LLM of the settings can be meant at all; it is loaded only when it is needed.
    pub fn check_llm(&self) -> Result<()> {
        match Choice::parse(&self.settings.config.models.generator)? {
            Choice::Manifest(name) => models::find(&self.manifests()?, &name).map(|_| ()),
            Choice::Path(path) if !path.is_file() => Err(Error::new(
                ErrorKind::NotFound,
                format!("the model {} is not there", path.display()),
            )
            .hint("check the path; `wellread models list` shows the models known by name")),
            Choice::Path(_) | Choice::Hub { .. } => Ok(()),
        }
    }

    /// The LLM of the settings, fetched if it is not here.
    pub fn llm(&self) -> Result<Llm> {
        self.llm_of(&self.settings.config.models.generator)
    }

    /// An LLM, said as in `models.generator`.
    pub fn llm_of(&self, said: &str) -> Result<Llm> {
        let choice = Choice::parse(said)?;
        let file = self.resolver()?.resolve_choice(
            &choice,
            &self.manifests()?,
            &self.events(),
            self.cancel,
        )?;
        self.ui.status(&format!("Loading {}", file.name));
        // A file given by its path is known by its size: hashing a gigabyte takes as long as
        // loading it.
        let identity = match &file.sha256 {
            Some(sha256) => sha256.clone(),
            None => {
                let size = std::fs::metadata(&file.path).map(|meta| meta.len()).unwrap_or(0);
                format!("size-{size}")
            }
        };
        Llm::load(&file.path, &file.name, &identity)
    }

    pub fn template(&self) -> Result<Template> {
        let path = &self.settings.config.models.prompt;
        if path.is_empty() {
            return Template::shipped();
        }
        let source = fs_err::read_to_string(path).map_err(|error| {
            Error::io("cannot read the prompt template", error).hint("check models.prompt")
        })?;
        Template::new(path, &source)
    }

    pub fn index(&self) -> Result<Index> {
        let store = &self.settings.config.store;
        let server = (!store.url.is_empty()).then(|| (store.url.clone(), store.server.clone()));
        Ok(Index::new(self.settings.data_dir()?.join("index"), server, store.embedded.clone()))
    }

    pub fn with_work<T>(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        use_it: impl FnOnce(&Work<'_>) -> Result<T>,
    ) -> Result<T> {
        let config = &self.settings.config;
        let events = self.events();
        use_it(&Work {
            library,
            embedder,
            chunk: &config.chunk,
            clean: &config.clean,
            events: &events,
            cancel: self.cancel,
        })
    }

    /// Brings the index up to date, and says what was done. One that was made otherwise is an
    /// error, or with `rebuild` made anew while the old one answers.
    pub fn update_index(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        rebuild: bool,
    ) -> Result<()> {
        let index = self.index()?;
        let built = self.with_work(library, embedder, |work| {
            let is_other =
                || Ok(index.live()?.is_some_and(|live| live.fingerprint != work.fingerprint()));
            if rebuild && is_other()? { index.rebuild(work, None) } else { index.update(work) }
        })?;
        for title in &built.empty {
            self.ui.warning(&format!("\"{title}\" has no text that could be indexed"));
        }
        if built.articles + built.removed > 0 {
            self.ui.status(&format!(
                "Indexed {} articles in {} chunks ({} embedded), removed {}",
                built.articles, built.chunks, built.embedded, built.removed
            ));
        }
        Ok(())
    }

    /// Reads a source into the library; the index is not touched.
    pub fn sync(&self, library: &Library, source: &Source) -> Result<Synced> {
        let config = &self.settings.config;
        let events = self.events();
        let reading = Reading {
            library,
            fetch: &config.fetch,
            clean: &config.clean,
            offline: config.offline,
            events: &events,
            cancel: self.cancel,
        };
        sync::sync_source(&reading, source)
    }

    /// The library with the sources of a filter in it, read if they are new (or, for files, if they
    /// have changed), and whether the index must be brought up to date for them.
    pub fn library_with(&self, sources: &[Source]) -> Result<Library> {
        if sources.is_empty() {
            return self.filled_library();
        }
        let library = self.library()?;
        for source in sources {
            // A feed on the network is read again by `sync`, not by every question.
            let read_once = matches!(source.kind(), Kind::Url | Kind::Import);
            if read_once && library.source(&source.id())?.is_some() {
                continue;
            }
            let synced = self.sync(&library, source)?;
            if let Some(first) = synced.left_out.first() {
                self.ui.warning(&format!("left out of {}: {first}", source.id()));
            }
            if !synced.lists.is_empty() {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("{} is a list of {} feeds", source.id(), synced.lists.len()),
                )
                .hint("add them all with `wellread add`, then ask without --source"));
            }
        }
        Ok(library)
    }

    /// Warns of articles that the live generation lacks.
    pub fn warn_of_pending(&self, library: &Library) -> Result<()> {
        let index = self.index()?;
        let Some(live) = index.live()? else { return Ok(()) };
        let held = index.articles(&live)?;
        let states = held.iter().map(|(id, article)| (id, article.state.as_str())).collect();
        let pending = library.pending(&states)?;
        let count = pending.articles.len() + pending.removed.len();
        if count > 0 {
            self.ui.warning(&format!(
                "{count} articles have changed since the index was made; `wellread sync` indexes them"
            ));
        }
        Ok(())
    }
}

/// The sources that a filter names.
pub(super) fn sources_of(args: &FilterArgs) -> Result<Vec<Source>> {
    args.source.iter().map(|text| Source::parse(text)).collect()
}

/// As [`sources_of`], for sources that may be gone from where they were read.
pub(super) fn source_ids(args: &FilterArgs) -> Result<Vec<SourceId>> {
    args.source.iter().map(|text| Ok(Source::of_name(text)?.id())).collect()
}

/// A filter as the user gave it.
pub(super) fn filter(args: &FilterArgs) -> Result<Filter> {
    Ok(Filter {
        since: args.since.as_deref().map(day).transpose()?,
        until: args.until.as_deref().map(day).transpose()?,
        sources: source_ids(args)?,
        authors: args.author.clone(),
        tags: args.tag.clone(),
        title: args.title.clone(),
    })
}

/// The beginning of a day in UTC, or an instant.
fn day(text: &str) -> Result<jiff::Timestamp> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant);
    }
    text.parse::<jiff::civil::Date>()
        .and_then(|date| date.to_zoned_datetime(jiff::tz::TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|error| {
            Error::new(ErrorKind::Usage, format!("\"{text}\" is not a date"))
                .caused_by(error)
                .hint("write it as 2025-03-04")
        })
}
