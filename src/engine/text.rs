//! The texts that byte ranges point into.

use super::KnowledgeBase;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Article, ArticleId, Document, DocumentId, Watch};

/// The text of an article's revision.
#[derive(Clone, Debug)]
pub struct ArticleText {
    /// The article, at the revision that is shown, else at its newest.
    pub article: Article,
    /// The newest revision.
    pub newest: u32,
    /// The document's name; `None` if it was made for this look alone.
    pub id: Option<DocumentId>,
    /// The revision; `None` if only the document was named.
    pub revision: Option<u32>,
    /// The document.
    pub document: Document,
}

impl KnowledgeBase {
    /// The text that ranges of an article point into. A document that is named is that very one. An
    /// older revision that is asked for by its number alone is cleaned anew from its stored body, as
    /// the settings are now; the newest is the one that is kept.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such article, revision or document; if the library
    /// can't be read.
    pub fn article_text(
        &self,
        id: &ArticleId,
        revision: Option<u32>,
        document: Option<&DocumentId>,
        watch: &Watch<'_>,
    ) -> Result<ArticleText> {
        let none = |what: String| Error::new(ErrorKind::NotFound, what);
        let library = self.filled_library()?;
        let newest =
            library.article(id)?.ok_or_else(|| none(format!("there is no article {id}")))?;
        let newest_revision = newest.revision;
        let article = match revision {
            None => newest,
            Some(revision) => library.article_at(id, revision)?.ok_or_else(|| {
                none(format!("the article {id} has no revision {revision}"))
                    .hint(format!("its newest is {newest_revision}"))
            })?,
        };
        let clean = &self.config().clean;
        let text = |id, revision, document| {
            Ok(ArticleText { article, newest: newest_revision, id, revision, document })
        };
        if let Some(wanted) = document {
            let found = library.document(wanted).map_err(|error| match error.kind() {
                ErrorKind::NotFound => none(format!("the document {wanted} is no longer kept"))
                    .hint("ask for the revision alone"),
                _ => error,
            })?;
            if library.is_of_others(wanted, id)? {
                return Err(none(format!("the document {wanted} does not belong to article {id}"))
                    .hint("ask for the revision alone"));
            }
            return text(Some(wanted.clone()), revision, found);
        }
        let revision = revision.unwrap_or(newest_revision);
        if revision == newest_revision {
            if !library.is_read_only() {
                library.ensure_cleaned(clean, &|_| {}, watch.cancel)?;
            }
            if let Some((_, at, kept)) = library.article_document(id, clean)?
                && at == revision
            {
                let document = library.document(&kept)?;
                return text(Some(kept), Some(revision), document);
            }
        }
        let made = library.document_now(id, Some(revision), clean)?;
        let made = made.ok_or_else(|| none(format!("there is no article {id}")))?;
        text(None, Some(revision), made)
    }
}
