//! Drafts checked against the articles.

use super::KnowledgeBase;
use crate::answer::claims::{Claim, Verdict, judge, read};
use crate::base::error::Result;
use crate::base::{DocumentId, Filter, Watch};
use crate::infer::sentences::head;
use crate::retrieve;
use crate::source::fetch::Source;

impl KnowledgeBase {
    /// Checks a text of anybody's, sentence by sentence, against the articles, within one snapshot
    /// and without an LLM.
    ///
    /// # Errors
    /// If the text is empty or too long, or the embedder or the index fails.
    pub fn check_claims(
        &self,
        text: &str,
        filter: &Filter,
        watch: &Watch<'_>,
    ) -> Result<Vec<Claim>> {
        self.check_claims_of(text, filter, &[], watch)
    }

    /// As [`KnowledgeBase::check_claims`], against sources that are read first if they are new (files
    /// also if they have changed).
    ///
    /// # Errors
    /// As [`KnowledgeBase::check_claims`], and if a source can't be read.
    pub fn check_claims_of(
        &self,
        text: &str,
        filter: &Filter,
        sources: &[Source],
        watch: &Watch<'_>,
    ) -> Result<Vec<Claim>> {
        const TASK: &str = "Checking sentences";
        let sentences = read(text)?;
        let (snapshot, embedder) = self.ready(sources, watch)?;
        let library = self.filled_library()?;
        let place = (snapshot.index(), &*library, embedder.as_ref());
        let document = |id: &DocumentId| snapshot.document(id);
        let options = &self.config().answer;
        let mut claims = Vec::with_capacity(sentences.len());
        for (at, sentence) in sentences.iter().enumerate() {
            watch.cancel.check()?;
            watch.progress(TASK, at, sentences.len());
            let (verdict, passages) = match &sentence.search {
                None => (Verdict::NoClaim, Vec::new()),
                Some(search) => {
                    let sought = head(embedder.as_ref(), search)?;
                    let found = self.find(sought, filter, place, options.passages)?;
                    let passages = retrieve::join(&found.hits, &document)?;
                    (judge(&sentence.says, &passages, options.support), passages)
                }
            };
            let text = text.get(sentence.range.clone()).unwrap_or_default().to_owned();
            claims.push(Claim { range: sentence.range.clone(), text, verdict, passages });
        }
        watch.done(TASK);
        Ok(claims)
    }
}
