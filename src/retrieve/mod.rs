//! Question → hits: dense and BM25, fused; and hits → passages.
//!
//! Fusion and the growing of hits to passages are pure; [`search`] is the one function here that
//! asks the embedder and the index.

mod cut;
mod fuse;
mod late;
mod passages;
#[cfg(test)]
pub mod samples;
mod sentences;
mod typo;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Filter, Hit, SparseVector};
use crate::index::Opened;
use crate::infer::{Embedder, Embedding, Purpose};

pub use cut::cut;
pub use fuse::fuse;
pub use late::{Look, QuestionTokens};
pub use passages::{Passage, join, unread};
pub use sentences::{Scored, covered, matching, matching_words, score};
pub use typo::Mended;

/// How the two searches become one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009).
    Rrf,
    /// Weighted sum of the scores, each list's shifted and scaled to mean 0 and deviation 1.
    #[default]
    Zscore,
    /// Dense alone.
    Dense,
    /// BM25 alone.
    Bm25,
}

/// How hits are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalOptions {
    /// How the two searches become one list.
    pub fusion: Fusion,
    /// Weight of the dense list.
    pub dense_weight: f32,
    /// Weight of the BM25 list.
    pub bm25_weight: f32,
    /// The constant of reciprocal rank fusion; 60 in the paper.
    pub rrf_k: f32,
    /// Hits of each list that are fused and so ranked, whatever number of hits is asked for; further
    /// ones stand behind them.
    pub candidates: usize,
    /// Whether words that no article has are taken for typing errors, and those searched for that
    /// they are one edit away from.
    pub mend: bool,
    /// The first hits, so many, are ranked anew by how their tokens and sentences match; 0: none.
    pub rerank: usize,
}

impl Default for RetrievalOptions {
    fn default() -> Self {
        RetrievalOptions {
            fusion: Fusion::Zscore,
            dense_weight: 1.5,
            bm25_weight: 1.0,
            rrf_k: 60.0,
            candidates: 50,
            mend: true,
            rerank: 30,
        }
    }
}

/// The longest question, in bytes; a longer one is an error, not cut.
pub const MAX_QUESTION_BYTES: usize = 8 * 1024;

/// The question trimmed, if it can be asked at all.
///
/// # Errors
/// [`ErrorKind::Usage`] if it is empty, [`ErrorKind::TooLong`] if it is over
/// [`MAX_QUESTION_BYTES`].
pub fn check_question(question: &str) -> Result<&str> {
    let question = question.trim();
    if question.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the question is empty")
            .hint("write the question out, in quotes if it is an argument"));
    }
    if question.len() > MAX_QUESTION_BYTES {
        return Err(Error::new(
            ErrorKind::TooLong,
            format!(
                "the question has {} bytes; at most {MAX_QUESTION_BYTES} can be asked",
                question.len()
            ),
        )
        .hint("ask one question of a few sentences; to ask about a text, save it to a file and add that"));
    }
    Ok(question)
}

/// What was found for a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retrieved {
    /// Best first, ties by chunk id.
    pub hits: Vec<Hit>,
    /// The highest cosine of any chunk that passes the filter, −1 to 1, however hits were fused;
    /// `None` if none passes.
    pub best_cosine: Option<f32>,
    /// The question's terms with their inverse document frequencies, also those that no chunk has.
    pub terms: SparseVector,
    /// The question with its typing errors mended.
    pub searched: String,
    /// That, as it was embedded.
    pub embedding: Embedding,
    /// Words of it that no article has, with those that were searched for in their place.
    pub mended: Vec<Mended>,
}

/// What a search looks in.
pub struct Place<'a> {
    /// The chunks.
    pub index: &'a Opened,
    /// What embeds the question.
    pub embedder: &'a dyn Embedder,
    /// The details of hits.
    pub look: Look<'a>,
}

/// The best `limit` hits for a question. The first of them are the same for every limit.
///
/// # Errors
/// If the question can't be asked ([`check_question`]) or is over the embedder's token limit, or
/// the embedder, the index or `look` fails. A failed search is never replaced by the other one.
pub fn search(
    place: &Place<'_>,
    question: &str,
    filter: &Filter,
    options: &RetrievalOptions,
    limit: usize,
) -> Result<Retrieved> {
    let question = check_question(question)?;
    let Place { index, embedder, look } = place;
    let embed = |text: &str| -> Result<Embedding> {
        Ok(embedder.embed_tokens(&[text], Purpose::Query)?.pop().unwrap_or_default())
    };
    let mut embedding = embed(question)?;
    let mut mended = Vec::new();
    if options.mend {
        mended = typo::mend(question, &embedding.tokens, &|term| index.df(term));
    }
    let searched = typo::apply(question, &mended);
    if !mended.is_empty() {
        embedding = embed(&searched)?;
    }
    let lists = |count: usize| -> Result<(Vec<Hit>, Vec<Hit>)> {
        let dense = index.dense(&embedding.vector, filter, count)?;
        Ok((dense, index.terms(&searched, filter, count)?))
    };
    let (dense, sparse) = lists(options.candidates.max(1))?;
    let mut found = Retrieved {
        hits: fuse(&dense, &sparse, options),
        best_cosine: dense.first().map(|hit| hit.score),
        terms: index.rarity(&searched),
        searched: searched.clone(),
        embedding: Embedding::default(),
        mended,
    };
    if options.rerank > 0 {
        let asked = QuestionTokens::new(&embedding, &found);
        late::rank(&mut found.hits, options.rerank, &asked, look)?;
    }
    if limit > found.hits.len() && limit > options.candidates {
        let (dense, sparse) = lists(limit)?;
        found.hits = fuse::extend(found.hits, fuse(&dense, &sparse, options));
    }
    found.hits.truncate(limit);
    found.embedding = embedding;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_and_an_endless_question_are_refused() {
        assert_eq!(check_question(" \n").unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(check_question(&"a".repeat(100_000)).unwrap_err().kind(), ErrorKind::TooLong);
        assert_eq!(check_question(" why? ").unwrap(), "why?");
    }
}
