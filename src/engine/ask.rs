//! Questions: searched for, and answered.

use std::sync::Arc;
use std::time::Instant;

use super::{KnowledgeBase, Snapshot};
use crate::answer::conversation::Seen;
use crate::answer::{
    Answer, AnswerOptions, AnswerStatus, Asked, OnSaid, Prepared, Said, declines_early,
};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{DocumentId, Filter, Hit, Warning, Watch};
use crate::compute::Urgent;
use crate::index::Opened;
use crate::infer::Embedder;
use crate::infer::schema::Schema;
use crate::library::Library;
use crate::retrieve::{self, Mended, Place, Retrieved, check_question};
use crate::source::fetch::Source;

/// Hits among which passages of the answer before stay candidates.
const LOOKED_AT: usize = 50;
/// Of these, so many at the most.
const KEPT: usize = 2;

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

/// A question with what an answer before it rested on.
pub(super) struct Asking<'a> {
    pub question: &'a Question<'a>,
    /// Of these, what is found further down stays a candidate.
    pub seen: &'a [Seen],
    /// What the answer is JSON of.
    pub schema: Option<&'a Schema>,
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
        let library = self.filled_library()?;
        let place = (snapshot.index(), &*library, embedder.as_ref());
        let retrieved = self.find(text, question.filter, place, limit)?;
        warn_of_mended(&retrieved, watch);
        Ok(retrieved)
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
        self.check_llm()?;
        self.ask_of(&Asking { question, seen: &[], schema: None }, watch, on_said)
    }

    /// Answers a question by JSON of a schema, each value in it checked; `on_said` gets them at the
    /// end. A question about the articles themselves is put to their passages, too.
    ///
    /// # Errors
    /// As [`KnowledgeBase::ask`]; [`ErrorKind::TooLong`] if the JSON takes more tokens than an answer
    /// may have.
    pub fn fill(
        &self,
        question: &Question<'_>,
        schema: &Schema,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        self.check_llm()?;
        self.ask_of(&Asking { question, seen: &[], schema: Some(schema) }, watch, on_said)
    }

    pub(super) fn ask_of(
        &self,
        asking: &Asking<'_>,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let options = self.options_in_time();
        self.answered(asking, options, watch, on_said, |asked, prepared, on_said| {
            on_said(Said::Passages(&prepared.passages))?;
            on_said(Said::Quotes(&prepared.quotes))?;
            watch.cancel.check()?;
            // The LLM and its tokenizer stay unloaded where they are not needed.
            match declines_early(asked.retrieved, asked.options) {
                Some(reason) => Ok(asked.abstain(prepared, reason)),
                None => self.written(asked, prepared, watch, on_said),
            }
        })
    }

    /// The LLM's answer; that of the larger one, if there is one, where the first gives none.
    fn written(
        &self,
        asked: &Asked<'_>,
        prepared: Prepared,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<Answer> {
        let larger = Some(asked.options.escalate.as_str()).filter(|name| !name.is_empty());
        let first = Asked { escalates: larger.is_some(), ..*asked };
        let again = larger.map(|name| (name, prepared.clone()));
        let answer = self.with_llm(None, watch, |generator| {
            first.answer(prepared, generator, watch.cancel, on_said)
        })?;
        self.note_speed(&answer);
        let Some((name, prepared)) = again.filter(|_| answer.status == AnswerStatus::Abstained)
        else {
            return Ok(answer);
        };
        watch.status(format!("Asking {name}"));
        let mut second = self.with_llm(Some(name), watch, |generator| {
            asked.answer(prepared, generator, watch.cancel, on_said)
        })?;
        second.escalated = Some(true);
        second.usage.prompt_tokens += answer.usage.prompt_tokens;
        second.usage.completion_tokens += answer.usage.completion_tokens;
        second.dropped.splice(0..0, answer.dropped);
        Ok(second)
    }

    /// Answers a question by the sentences that answer best, word for word; no LLM is loaded.
    ///
    /// # Errors
    /// As [`KnowledgeBase::search`].
    pub fn quote(&self, question: &Question<'_>, watch: &Watch<'_>) -> Result<Answer> {
        self.quote_of(&Asking { question, seen: &[], schema: None }, watch)
    }

    pub(super) fn quote_of(&self, asking: &Asking<'_>, watch: &Watch<'_>) -> Result<Answer> {
        let options = self.config().answer.clone();
        self.answered(asking, options, watch, &mut |_| Ok(()), |asked, prepared, _| {
            Ok(match declines_early(asked.retrieved, asked.options) {
                Some(reason) => asked.abstain(prepared, reason),
                None => asked.quoted(prepared),
            })
        })
    }

    /// Answers a question about the articles themselves; for any other finds what its answer may rest
    /// on, within one snapshot, and hands it on.
    fn answered(
        &self,
        Asking { question, seen, schema }: &Asking<'_>,
        mut options: AnswerOptions,
        watch: &Watch<'_>,
        on_said: OnSaid<'_>,
        go_on: impl FnOnce(&Asked<'_>, Prepared, OnSaid<'_>) -> Result<Answer>,
    ) -> Result<Answer> {
        let text = check_question(question.text)?;
        let template = self.template()?;
        let (snapshot, embedder) = self.ready(question.sources, watch)?;
        let start = Instant::now();
        let library = self.filled_library()?;
        // What is listed of the library has no schema.
        let listed = match schema {
            Some(_) => None,
            None => self.about(question, &library, &snapshot, embedder.as_ref(), start)?,
        };
        if let Some(answer) = listed {
            on_said(Said::Passages(&answer.passages))?;
            for sentence in &answer.sentences {
                on_said(Said::Sentence(sentence))?;
            }
            return Ok(answer);
        }
        let place = (snapshot.index(), &*library, embedder.as_ref());
        let limit = if seen.is_empty() { options.hits } else { options.hits.max(LOOKED_AT) };
        let mut retrieved = self.find(text, question.filter, place, limit)?;
        warn_of_mended(&retrieved, watch);
        options.passages += keep(&mut retrieved.hits, seen, options.passages, options.hits);
        watch.cancel.check()?;
        let document = |id: &DocumentId| snapshot.document(id);
        let look = |kind, hits: &[Hit]| self.details(&library, embedder.as_ref(), kind, hits);
        let asked = Asked {
            question: text,
            retrieved: &retrieved,
            document: &document,
            look: &look,
            embedder: embedder.as_ref(),
            template: &template,
            options: &options,
            schema: *schema,
            escalates: false,
            start,
        };
        let prepared = {
            let _first = Urgent::begin();
            asked.prepare()?
        };
        go_on(&asked, prepared, on_said)
    }

    pub(super) fn find(
        &self,
        text: &str,
        filter: &Filter,
        (index, library, embedder): (&Opened, &Library, &dyn Embedder),
        limit: usize,
    ) -> Result<Retrieved> {
        let _first = Urgent::begin();
        let look = |kind, hits: &[Hit]| self.details(library, embedder, kind, hits);
        let place = Place { index, embedder, look: &look };
        retrieve::search(&place, text, filter, &self.config().retrieval, limit)
    }

    /// The snapshot that a question is asked of, and the embedder to ask with. Sources are read and
    /// indexed first; an index that is not there yet, or is of an older wellread, is made.
    pub(super) fn ready(
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

fn warn_of_mended(retrieved: &Retrieved, watch: &Watch<'_>) {
    for Mended { typed, meant } in retrieved.mended.iter().cloned() {
        watch.warn(Warning::Mended { typed, meant });
    }
}

/// Gives the best hits of what was `seen` before a place behind the first `passages`, in their own
/// order and never above a better one; cuts the rest to `limit`. How many there are.
fn keep(hits: &mut Vec<Hit>, seen: &[Seen], passages: usize, limit: usize) -> usize {
    let first = passages.min(hits.len());
    let behind = hits.split_off(first);
    let (mut kept, mut others) = (Vec::new(), Vec::new());
    for hit in behind {
        let is_kept = kept.len() < KEPT && seen.iter().any(|seen| seen.has(&hit));
        if is_kept { kept.push(hit) } else { others.push(hit) }
    }
    let count = kept.len();
    hits.extend(kept);
    hits.extend(others);
    hits.truncate(limit.max(first + count));
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ArticleId;
    use crate::retrieve::samples;

    fn hit(n: usize) -> Hit {
        Hit {
            ordinal: n,
            range: n * 10..n * 10 + 10,
            score: -(n as f32),
            ..samples::hit(n as u128)
        }
    }

    fn kept(seen: &[Seen]) -> (usize, Vec<usize>) {
        let mut hits: Vec<Hit> = (0..20).map(hit).collect();
        let count = keep(&mut hits, seen, 3, 6);
        (count, hits.iter().map(|hit| hit.ordinal).collect())
    }

    fn seen(range: std::ops::Range<usize>, revision: u32) -> Seen {
        Seen { article: ArticleId("a".into()), revision, range }
    }

    #[test]
    fn what_was_read_before_stays_a_candidate_and_no_better_one_goes() {
        assert_eq!(kept(&[]), (0, vec![0, 1, 2, 3, 4, 5]));
        // It is among the first in any case.
        assert_eq!(kept(&[seen(10..20, 1)]), (0, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(kept(&[seen(125..130, 1)]), (1, vec![0, 1, 2, 12, 3, 4]));
        // The two best, in the order of the new question's scores.
        let all = [seen(150..180, 1), seen(70..80, 1)];
        assert_eq!(kept(&all), (2, vec![0, 1, 2, 7, 15, 3]));
        // Another revision's bytes are others.
        assert_eq!(kept(&[seen(125..130, 2)]).0, 0);
    }
}
