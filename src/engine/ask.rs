//! Questions: searched for, and answered.

use std::sync::Arc;
use std::time::Instant;

use super::{KnowledgeBase, Snapshot};
use crate::answer::{Answer, Asked, OnSaid, declines_early};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{DocumentId, Filter, Warning, Watch};
use crate::infer::{Embedder, Purpose};
use crate::library::Library;
use crate::retrieve::{self, Retrieved, check_question};
use crate::source::fetch::Source;

/// A question, and what it is asked of.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// As the user put it.
    pub text: &'a str,
    /// Which chunks may be found.
    pub filter: &'a Filter,
    /// Sources that are read first if they are new (files also if they have changed).
    pub sources: &'a [Source],
}

impl KnowledgeBase {
    /// The best `limit` hits for a question.
    ///
    /// # Errors
    /// If it can't be asked, a source can't be read, or the embedder or the index fails.
    pub fn search(
        &self,
        question: &Question<'_>,
        limit: usize,
        watch: &Watch<'_>,
    ) -> Result<Retrieved> {
        let text = check_question(question.text)?;
        let (snapshot, embedder) = self.ready(question.sources, watch)?;
        self.find(text, question.filter, &snapshot, embedder.as_ref(), limit)
    }

    /// Answers a question; `on_said` gets each sentence as soon as it is checked.
    ///
    /// # Errors
    /// As [`KnowledgeBase::search`]; if the LLM, the prompt or `on_said` fails, or the user stops it.
    pub fn ask(
        &self,
        question: &Question<'_>,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let text = check_question(question.text)?;
        let template = self.template()?;
        self.check_llm()?;
        let (snapshot, embedder) = self.ready(question.sources, watch)?;
        let start = Instant::now();
        let options = &self.config().answer;
        let retrieved =
            self.find(text, question.filter, &snapshot, embedder.as_ref(), options.hits)?;
        watch.cancel.check()?;
        let retrieval_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let document = |id: &DocumentId| snapshot.document(id);
        let score = |texts: &[&str]| retrieve::score(embedder.as_ref(), text, texts);
        let asked = Asked {
            question: text,
            retrieved: &retrieved,
            document: &document,
            score: &score,
            template: &template,
            options,
            start,
        };
        match declines_early(&retrieved, options) {
            // By the embedder's count: the LLM and its tokenizer stay unloaded.
            Some(reason) => asked.abstain(
                reason,
                &|text| embedder.count_tokens(text, Purpose::Passage),
                on_said,
            ),
            None => self.with_llm(None, watch, |generator| {
                asked.answer(generator, retrieval_ms, watch.cancel, on_said)
            }),
        }
    }

    fn find(
        &self,
        text: &str,
        filter: &Filter,
        snapshot: &Snapshot,
        embedder: &dyn Embedder,
        limit: usize,
    ) -> Result<Retrieved> {
        retrieve::search(snapshot.index(), embedder, text, filter, &self.config().retrieval, limit)
    }

    /// The snapshot that a question is asked of, and the embedder to ask with. Sources are read and
    /// indexed first; an index that is not there yet, or is of an older wellread, is made.
    fn ready(
        &self,
        sources: &[Source],
        watch: &Watch<'_>,
    ) -> Result<(Arc<Snapshot>, Arc<dyn Embedder>)> {
        let library = self.library_with(sources, watch)?;
        let is_made =
            sources.is_empty() && self.index().live()?.is_some_and(|live| live.is_current());
        // What takes time to open is opened side by side.
        let (embedder, snapshot) = std::thread::scope(|scope| {
            let embedder = scope.spawn(|| self.embedder(watch));
            let snapshot = is_made.then(|| self.snapshot(&library));
            (embedder.join(), snapshot)
        });
        let embedder =
            embedder.map_err(|_| Error::new(ErrorKind::Bug, "loading the embedder panicked"))??;
        let snapshot = match snapshot {
            Some(snapshot) => snapshot?,
            None => {
                self.update_index(false, watch)?;
                self.snapshot(&library)?
            }
        };
        self.warn_of_pending(&library, &snapshot, watch)?;
        watch.cancel.check()?;
        Ok((snapshot, embedder))
    }

    /// The live generation with its documents: the next question's view.
    ///
    /// # Errors
    /// If there is no index, it is damaged, or other settings made it.
    pub fn snapshot(&self, library: &Arc<Library>) -> Result<Arc<Snapshot>> {
        self.snapshots.current(self.index(), &self.fingerprint()?, library)
    }

    fn warn_of_pending(
        &self,
        library: &Library,
        snapshot: &Snapshot,
        watch: &Watch<'_>,
    ) -> Result<()> {
        let generation = snapshot.generation();
        if generation.library_changes == Some(library.changes()?) {
            return Ok(());
        }
        let count = self.index().pending(library, &self.config().clean, generation)?.count();
        if count > 0 {
            watch.warn(Warning::Pending(count));
        }
        Ok(())
    }
}
