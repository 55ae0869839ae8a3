//! The index of a knowledge base: brought up to date, rebuilt, checked, moved.

use std::collections::HashSet;

use super::goldens::{Golden, GoldenArticle};
use super::{KnowledgeBase, goldens};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Cancel, Chunk, Document, DocumentId, Filter, Warning, Watch};
use crate::document::chunk;
use crate::index::{Built, Gate, Index, Opened, Verified, Work};
use crate::infer::{Embedder, Purpose};
use crate::library::Library;

/// Hits among which a golden question's section must be.
const GOLDEN_HITS: usize = 5;
/// Articles that golden questions are made from, at the most.
const GOLDEN_ARTICLES: usize = 200;
/// Which of them are drawn.
const SEED: u64 = 42;

impl KnowledgeBase {
    fn with_work<T>(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        watch: &Watch<'_>,
        use_it: impl FnOnce(&Work<'_>) -> Result<T>,
    ) -> Result<T> {
        use_it(&Work {
            library,
            embedder,
            chunk: &self.config().chunk,
            clean: &self.config().clean,
            sentences: self.config().index.sentences,
            events: watch.events,
            cancel: watch.cancel,
        })
    }

    /// Brings the index up to date with the library; what was done. One that other settings made is
    /// an error, or with `rebuild` made anew while the old one answers.
    ///
    /// # Errors
    /// If a part fails, and then the live generation is as it was.
    pub fn update_index(&self, rebuild: bool, watch: &Watch<'_>) -> Result<Built> {
        let library = self.library()?;
        let embedder = self.embedder(watch)?;
        let index = self.index();
        let built = self.with_work(&library, embedder.as_ref(), watch, |work| {
            let is_other =
                || Ok(index.live()?.is_some_and(|live| live.fingerprint != work.fingerprint()));
            if rebuild && is_other()? { index.rebuild(work, None) } else { index.update(work) }
        })?;
        tell(&built, watch);
        Ok(built)
    }

    /// Builds a new generation, and makes it live if it finds what the live one finds.
    ///
    /// # Errors
    /// If a part fails or the new one finds less, and then the live generation is as it was.
    pub fn rebuild_index(&self, watch: &Watch<'_>) -> Result<Built> {
        self.build_at(self.index(), Index::rebuild, watch)
    }

    /// Builds the index on the server of the settings; every vector is known.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the settings name none; as [`KnowledgeBase::rebuild_index`].
    pub fn push_index(&self, watch: &Watch<'_>) -> Result<Built> {
        if self.config().store.url.is_empty() {
            return Err(Error::new(ErrorKind::Config, "store.url names no Qdrant server").hint(
                "set it: WELLREAD_STORE_URL=http://localhost:6334, or store.url in wellread.toml",
            ));
        }
        self.build_at(self.index(), Index::move_here, watch)
    }

    /// Builds the index in the data folder; every vector is known.
    ///
    /// # Errors
    /// As [`KnowledgeBase::rebuild_index`].
    pub fn pull_index(&self, watch: &Watch<'_>) -> Result<Built> {
        self.build_at(&self.index().embedded(), Index::move_here, watch)
    }

    fn build_at(
        &self,
        to: &Index,
        build: impl FnOnce(&Index, &Work<'_>, Option<Gate<'_>>) -> Result<Built>,
        watch: &Watch<'_>,
    ) -> Result<Built> {
        let library = self.filled_library()?;
        let embedder = self.embedder(watch)?;
        let options = &self.config().index;
        let mut golden = Vec::new();
        if options.golden_queries > 0 {
            let made = self.goldens(&Filter::default(), GOLDEN_ARTICLES, watch)?;
            golden = draw(made, options.golden_queries);
        }
        // A generation of another embedder can't be asked with this one; nor one that is damaged.
        let asked = embedder.fingerprint();
        let live = self.index().open_any().ok().filter(|live| {
            let made_by = &live.generation.fingerprint.0;
            asked.0.iter().all(|(key, value)| made_by.get(key) == Some(value))
        });
        let gate = |new: &Opened| -> Result<()> {
            let Some(live) = &live else { return Ok(()) };
            let found = |index: &Opened| {
                self.golden_found((index, &*library, embedder.as_ref()), &golden, watch)
            };
            let (before, after) = (found(live)?, found(new)?);
            let count = golden.len().max(1) as f64;
            if (before as f64 - after as f64) / count <= options.tolerance {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::Index,
                format!(
                    "the new index finds {after} of {} golden questions, and {} finds {before}: \
                     it was not made live",
                    golden.len(),
                    live.generation.id
                ),
            )
            .hint("look at the settings that changed, or allow it: --set index.tolerance=1"))
        };
        let built = self
            .with_work(&library, embedder.as_ref(), watch, |work| build(to, work, Some(&gate)))?;
        tell(&built, watch);
        self.prune_documents(&library)?;
        Ok(built)
    }

    /// How many questions have their section among the first hits.
    fn golden_found(
        &self,
        place: (&Opened, &Library, &dyn Embedder),
        golden: &[Golden],
        watch: &Watch<'_>,
    ) -> Result<usize> {
        let mut found = 0;
        for question in golden {
            watch.cancel.check()?;
            let retrieved = self.find(&question.query, &Filter::default(), place, GOLDEN_HITS)?;
            found += usize::from(retrieved.hits.iter().any(|hit| question.is_found_by(hit)));
        }
        Ok(found)
    }

    /// Questions made from the articles that pass a filter, from `most` of them at the most.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn goldens(&self, filter: &Filter, most: usize, watch: &Watch<'_>) -> Result<Vec<Golden>> {
        let library = self.filled_library()?;
        let mut all = Vec::new();
        for info in draw(library.articles(filter)?, most) {
            watch.cancel.check()?;
            let Some(article) = library.article(&info.meta.id)? else { continue };
            let Some(document) = self.document_of(&info.meta.id)? else { continue };
            all.push((article, document));
        }
        let articles: Vec<GoldenArticle<'_>> = all
            .iter()
            .filter_map(|(article, document)| {
                Some(GoldenArticle {
                    url: article.meta.url.as_deref()?,
                    title: &article.meta.title,
                    content: &article.content,
                    document,
                })
            })
            .collect();
        Ok(goldens::generate(&articles))
    }

    /// An article's document under the settings; `None` if there is no such article.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn document_of(&self, id: &crate::base::ArticleId) -> Result<Option<Document>> {
        let library = self.filled_library()?;
        let clean = &self.config().clean;
        if !library.is_read_only() {
            // After a migration or a change of settings; else one look.
            library.ensure_cleaned(clean, &|_| {}, &Cancel::default())?;
        }
        match library.article_document(id, clean)? {
            Some((.., document)) => library.document(&document).map(Some),
            // It can't be kept: it is made for this look alone.
            None => library.document_now(id, None, clean),
        }
    }

    /// The chunks of an article's document under the settings.
    ///
    /// # Errors
    /// If the article can't be cut.
    pub fn chunks_of(
        &self,
        article: &crate::base::ArticleMeta,
        document: &Document,
        watch: &Watch<'_>,
    ) -> Result<Vec<Chunk>> {
        let embedder = self.embedder(watch)?;
        let count = |text: &str| embedder.count_tokens(text, Purpose::Passage);
        chunk::split(document, article, &self.config().chunk, embedder.max_tokens(), &count)
    }

    /// Compares the live generation with the library; with `repair`, what is wrong is written anew.
    /// The second value says what was, if something was.
    ///
    /// # Errors
    /// If the index can't be opened (without `repair`), or is still not whole after it.
    pub fn verify_index(
        &self,
        repair: bool,
        watch: &Watch<'_>,
    ) -> Result<(Option<Verified>, Option<Built>)> {
        let library = self.filled_library()?;
        let embedder = self.embedder(watch)?;
        let index = self.index();
        self.with_work(&library, embedder.as_ref(), watch, |work| {
            let verified = match index.verify(work) {
                // What can't be opened is made anew.
                Err(error) if repair && error.kind() == ErrorKind::Index => {
                    watch.warn(Warning::Rebuilding(error.chain()));
                    return Ok((None, Some(index.rebuild(work, None)?)));
                }
                other => other?,
            };
            if !repair || verified.is_whole() {
                return Ok((Some(verified), None));
            }
            let built = index.repair(work, &verified.damaged)?;
            if !index.verify(work)?.is_whole() {
                return Err(Error::new(ErrorKind::Index, "the repaired index is still not whole")
                    .step(Step::Rebuild));
            }
            Ok((Some(verified), Some(built)))
        })
    }

    /// Removes old generations, and the documents that nothing names any more.
    ///
    /// # Errors
    /// If something can't be removed.
    pub fn prune(&self, keep_parent: bool, watch: &Watch<'_>) -> Result<Vec<String>> {
        let removed = self.index().prune(watch.events, watch.cancel, keep_parent)?;
        if let Some(library) = self.existing_library()? {
            self.prune_documents(&library)?;
        }
        Ok(removed)
    }

    /// Removes the documents that neither an article nor a generation of any index here names.
    fn prune_documents(&self, library: &Library) -> Result<()> {
        let mut kept: HashSet<DocumentId> = self.index().documents()?;
        for folder in self.evaluation_indexes()? {
            kept.extend(self.beside(folder).index().documents()?);
        }
        library.prune_documents(&kept)?;
        Ok(())
    }

    /// The folder of evaluations.
    pub fn evaluations(&self) -> std::path::PathBuf {
        self.places().data.join("eval")
    }

    fn evaluation_indexes(&self) -> Result<Vec<std::path::PathBuf>> {
        let folder = self.evaluations();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs_err::read_dir(folder)
            .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>())
            .map_err(|error| Error::io("cannot list the indexes of evaluations", error))?;
        let is_index =
            |entry: &fs_err::DirEntry| entry.file_name().to_string_lossy().starts_with("index-");
        Ok(entries.into_iter().filter(is_index).map(|entry| entry.path()).collect())
    }
}

fn tell(built: &Built, watch: &Watch<'_>) {
    warnings(built).into_iter().for_each(|warning| watch.warn(warning));
}

/// What of the library a build could not index.
fn warnings(built: &Built) -> Vec<Warning> {
    let empty = built.empty.iter().cloned().map(Warning::NoText);
    empty.chain(built.left_out.iter().cloned().map(Warning::NotIndexed)).collect()
}

/// `n` of the values, the same ones each time, in their order.
fn draw<T>(values: Vec<T>, n: usize) -> Vec<T> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let drawn: HashSet<usize> =
        random.choose_multiple(0..values.len(), n.min(values.len())).into_iter().collect();
    let numbered = values.into_iter().enumerate().filter(|(at, _)| drawn.contains(at));
    numbered.map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_indexed_is_told_by_name() {
        let built = Built {
            empty: vec!["Blank".to_owned()],
            left_out: vec!["\"Odd\": it can't be cut".to_owned()],
            ..Built::default()
        };
        let told = warnings(&built);
        let expected = [
            Warning::NoText("Blank".to_owned()),
            Warning::NotIndexed("\"Odd\": it can't be cut".to_owned()),
        ];
        assert_eq!(told, expected);
    }
}
