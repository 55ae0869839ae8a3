//! Details of hits: kept in the library, and made where they are not there yet.

use super::KnowledgeBase;
use crate::base::Hit;
use crate::base::error::Result;
use crate::document::chunk;
use crate::document::sentence::sentences;
use crate::infer::details::{Details, Kind};
use crate::infer::{Embedder, Purpose};
use crate::library::Library;

/// Bytes of a sentence that are embedded: a table or a listing can be one.
const LONGEST: usize = 600;

impl KnowledgeBase {
    /// The tokens of what was embedded of hits, or the sentences of their texts, in the hits' order.
    ///
    /// # Errors
    /// If the library can't be read, or the embedder fails.
    pub(super) fn details(
        &self,
        library: &Library,
        embedder: &dyn Embedder,
        kind: Kind,
        hits: &[Hit],
    ) -> Result<Vec<Details>> {
        let texts = match kind {
            Kind::Tokens => self.embedded_texts(embedder, hits)?,
            Kind::Sentences => hits.iter().map(|hit| hit.text.clone()).collect(),
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let model = embedder.fingerprint();
        let known = library.cached_details(&model, kind, &texts)?;
        let missing: Vec<&str> = known
            .iter()
            .zip(&texts)
            .filter(|(known, _)| known.is_none())
            .map(|(_, text)| *text)
            .collect();
        let mut made = Vec::new();
        if !missing.is_empty() {
            made = match kind {
                Kind::Tokens => embedder
                    .embed_tokens(&missing, Purpose::Passage)?
                    .iter()
                    .map(Details::tokens)
                    .collect(),
                Kind::Sentences => of_sentences(embedder, &missing)?,
            };
            // Where they can't be kept they are made again the next time.
            let _ = library.cache_details(&model, kind, missing.into_iter().zip(&made));
        }
        let mut made = made.into_iter();
        Ok(known
            .into_iter()
            .map(|known| known.or_else(|| made.next()).unwrap_or_default())
            .collect())
    }

    fn embedded_texts(&self, embedder: &dyn Embedder, hits: &[Hit]) -> Result<Vec<String>> {
        let count = |text: &str| embedder.count_tokens(text, Purpose::Passage);
        let (limit, options) = (embedder.max_tokens(), &self.config().chunk);
        let text = |hit: &Hit| {
            let Hit { article, heading_path, text, .. } = hit;
            chunk::embedded_text(&article.title, heading_path, text, options, limit, &count)
        };
        hits.iter().map(text).collect()
    }
}

/// The sentences of texts, each embedded by itself.
fn of_sentences(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Details>> {
    let ranges: Vec<Vec<_>> = texts
        .iter()
        .map(|text| {
            let all = sentences(text).into_iter();
            all.filter(|range| !text[range.clone()].trim().is_empty()).collect()
        })
        .collect();
    let mut said = Vec::new();
    for (text, ranges) in texts.iter().zip(&ranges) {
        for range in ranges {
            said.push(head(embedder, text[range.clone()].trim())?);
        }
    }
    let mut vectors = embedder.embed(&said, Purpose::Passage)?.into_iter();
    let with_vectors =
        ranges.into_iter().map(|ranges| ranges.into_iter().zip(vectors.by_ref()).collect());
    Ok(with_vectors.map(|all| Details::sentences(embedder.dimensions(), all)).collect())
}

/// As much of a text's beginning as the embedder takes.
pub(super) fn head<'a>(embedder: &dyn Embedder, text: &'a str) -> Result<&'a str> {
    let mut head = &text[..text.floor_char_boundary(LONGEST)];
    while embedder.count_tokens(head, Purpose::Passage)? > embedder.max_tokens() {
        head = &head[..head.floor_char_boundary(head.len() / 2)];
    }
    Ok(head)
}
