//! Question → hits: dense and BM25, fused; and hits → passages.
//!
//! Fusion and the growing of hits to passages are pure; [`search`] is the one function here that
//! asks the embedder and the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::bm25;
use crate::domain::{ArticleId, ArticleMeta, ChunkId, Document, Filter, Hit};
use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Embedder, Purpose, Query, Store};

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
    /// Hits taken of each list before fusion.
    pub candidates: usize,
}

impl Default for RetrievalOptions {
    fn default() -> Self {
        RetrievalOptions {
            fusion: Fusion::Zscore,
            dense_weight: 1.5,
            bm25_weight: 1.0,
            rrf_k: 60.0,
            candidates: 50,
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
            .hint("put the question in quotes: wellread ask \"…?\""));
    }
    if question.len() > MAX_QUESTION_BYTES {
        return Err(Error::new(
            ErrorKind::TooLong,
            format!(
                "the question has {} bytes; at most {MAX_QUESTION_BYTES} can be asked",
                question.len()
            ),
        )
        .hint("ask one question of a few sentences; to add text to the library, save it to a file and `wellread add FILE`"));
    }
    Ok(question)
}

/// The best `limit` hits for a question, best first, ties by chunk id.
///
/// # Errors
/// If the question can't be asked ([`check_question`]) or is over the embedder's token limit, or
/// the embedder or the store fails. A failed search is never replaced by the other one.
pub fn search(
    store: &dyn Store,
    embedder: &dyn Embedder,
    question: &str,
    filter: &Filter,
    options: &RetrievalOptions,
    limit: usize,
) -> Result<Vec<Hit>> {
    let question = check_question(question)?;
    let candidates = options.candidates.max(limit);
    let dense = if options.fusion == Fusion::Bm25 {
        Vec::new()
    } else {
        let vector = embedder.embed(&[question], Purpose::Query)?.pop().unwrap_or_default();
        store.search(&Query::Dense(vector), filter, candidates)?
    };
    let sparse = if options.fusion == Fusion::Dense {
        Vec::new()
    } else {
        store.search(&Query::Sparse(bm25::query(question)), filter, candidates)?
    };
    Ok(fuse(&dense, &sparse, options, limit))
}

/// Two lists of hits fused into one of at most `limit`, best first, ties by chunk id. Each hit
/// keeps both single scores where both lists hold it.
pub fn fuse(dense: &[Hit], sparse: &[Hit], options: &RetrievalOptions, limit: usize) -> Vec<Hit> {
    let (dense_gain, sparse_gain) = match options.fusion {
        Fusion::Rrf => (
            reciprocal_ranks(dense, options.rrf_k, options.dense_weight),
            reciprocal_ranks(sparse, options.rrf_k, options.bm25_weight),
        ),
        Fusion::Zscore => {
            (z_scores(dense, options.dense_weight), z_scores(sparse, options.bm25_weight))
        }
        Fusion::Dense => (own_scores(dense), Vec::new()),
        Fusion::Bm25 => (Vec::new(), own_scores(sparse)),
    };
    let mut fused: BTreeMap<ChunkId, Hit> = BTreeMap::new();
    for (hit, gain) in dense.iter().zip(dense_gain).chain(sparse.iter().zip(sparse_gain)) {
        let entry = fused.entry(hit.chunk_id).or_insert_with(|| Hit { score: 0.0, ..hit.clone() });
        entry.score += gain;
        entry.scores.dense = entry.scores.dense.or(hit.scores.dense);
        entry.scores.sparse = entry.scores.sparse.or(hit.scores.sparse);
    }
    let mut hits: Vec<Hit> = fused.into_values().collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
    hits.truncate(limit);
    hits
}

fn reciprocal_ranks(hits: &[Hit], k: f32, weight: f32) -> Vec<f32> {
    (1..=hits.len()).map(|rank| weight / (k + rank as f32)).collect()
}

fn own_scores(hits: &[Hit]) -> Vec<f32> {
    hits.iter().map(|hit| hit.score).collect()
}

/// A list's scores as standard scores, shifted so that the last of the list adds nothing (a chunk
/// that is missing from a list gets 0, no more than the last one of it).
fn z_scores(hits: &[Hit], weight: f32) -> Vec<f32> {
    let n = hits.len() as f32;
    let mean = hits.iter().map(|hit| hit.score).sum::<f32>() / n.max(1.0);
    let variance = hits.iter().map(|hit| (hit.score - mean).powi(2)).sum::<f32>() / n.max(1.0);
    let deviation = variance.sqrt();
    let lowest = hits.iter().map(|hit| hit.score).fold(f32::INFINITY, f32::min);
    hits.iter()
        .map(|hit| if deviation > 0.0 { weight * (hit.score - lowest) / deviation } else { weight })
        .collect()
}

/// What is shown to the LLM: a chunk grown to its section, or as much of it as the budget allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Its number in prompt and answer, from 1.
    pub n: usize,
    /// Its article.
    pub article: ArticleMeta,
    /// The revision that it was read from.
    pub revision: u32,
    /// Outermost to innermost, the title not included.
    pub heading_path: Vec<String>,
    /// Bytes of the revision's [`Document::text`].
    pub range: Range<usize>,
    /// The text of that range.
    pub text: String,
    /// The best score of the hits in it.
    pub score: f32,
}

/// Passages, and how much did not fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passages {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Hits that the budget left out.
    pub left_out: usize,
    /// Tokens of all passages' texts.
    pub tokens: usize,
}

/// Limits of the passages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassageBudget {
    /// Passages at the most.
    pub passages: usize,
    /// Tokens of all passages' texts, by the LLM's count.
    pub tokens: usize,
    /// Tokens of one passage: a longer section is shown as its best part.
    pub passage_tokens: usize,
}

/// Hits grown to their sections, best first, until the budget is used; hits of one section become
/// one passage. A section over `passage_tokens` is shown as the hit and as many of its neighbouring
/// blocks as fit.
///
/// # Errors
/// If a document can't be had or the tokenizer fails.
pub fn grow(
    hits: &[Hit],
    budget: &PassageBudget,
    document: &mut dyn FnMut(&ArticleId, u32) -> Result<Document>,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Passages> {
    let mut documents: HashMap<(ArticleId, u32), Document> = HashMap::new();
    let mut seen: HashSet<(ArticleId, usize)> = HashSet::new();
    let mut grown = Passages::default();
    for hit in hits {
        if !seen.insert((hit.article.id.clone(), hit.section)) {
            continue;
        }
        if grown.passages.len() >= budget.passages || grown.tokens >= budget.tokens {
            grown.left_out += 1;
            continue;
        }
        let key = (hit.article.id.clone(), hit.revision);
        if !documents.contains_key(&key) {
            let found = document(&hit.article.id, hit.revision)?;
            documents.insert(key.clone(), found);
        }
        let Some(document) = documents.get(&key) else { continue };
        let room = budget.passage_tokens.min(budget.tokens - grown.tokens);
        let Some((range, tokens)) = window(document, hit, room, count)? else {
            grown.left_out += 1;
            continue;
        };
        grown.tokens += tokens;
        grown.passages.push(Passage {
            n: grown.passages.len() + 1,
            article: hit.article.clone(),
            revision: hit.revision,
            heading_path: hit.heading_path.clone(),
            text: document.text[range.clone()].to_owned(),
            range,
            score: hit.score,
        });
    }
    Ok(grown)
}

/// The widest range around a hit, within its section and `room` tokens, on block borders; `None`
/// if not even the hit's own chunk fits.
fn window(
    document: &Document,
    hit: &Hit,
    room: usize,
    count: &dyn Fn(&str) -> Result<usize>,
) -> Result<Option<(Range<usize>, usize)>> {
    let text_of = |range: &Range<usize>| document.text.get(range.clone());
    let stale = || {
        Error::new(
            ErrorKind::Index,
            format!("the index does not match the stored text of \"{}\"", hit.article.title),
        )
        .hint("run `wellread index rebuild`")
    };
    let section = document.sections.get(hit.section).ok_or_else(stale)?.range.clone();
    let tokens = count(text_of(&section).ok_or_else(stale)?)?;
    if tokens <= room {
        return Ok(Some((section, tokens)));
    }
    let mut range = hit.range.clone();
    let mut tokens = count(text_of(&range).ok_or_else(stale)?)?;
    if tokens > room {
        return Ok(None);
    }
    let blocks: Vec<&Range<usize>> = document
        .blocks
        .iter()
        .filter(|block| block.section == hit.section)
        .map(|block| &block.range)
        .collect();
    loop {
        let after = blocks.iter().find(|block| block.end > range.end).map(|b| range.start..b.end);
        let before =
            blocks.iter().rev().find(|block| block.start < range.start).map(|b| b.start..range.end);
        let mut widened = false;
        for wider in [after, before].into_iter().flatten() {
            let wider = wider.start.min(range.start)..wider.end.max(range.end);
            let wider_tokens = count(text_of(&wider).ok_or_else(stale)?)?;
            if wider_tokens <= room {
                (range, tokens, widened) = (wider, wider_tokens, true);
            }
        }
        if !widened {
            return Ok(Some((range, tokens)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Scores, SourceId};

    fn hit(id: u128, dense: Option<f32>, sparse: Option<f32>) -> Hit {
        Hit {
            chunk_id: ChunkId(uuid::Uuid::from_u128(id)),
            article: ArticleMeta {
                id: ArticleId("a".into()),
                source: SourceId("s".into()),
                other_sources: vec![],
                url: None,
                title: "T".into(),
                authors: vec![],
                published: None,
                tags: vec![],
            },
            revision: 1,
            section: 0,
            ordinal: 0,
            heading_path: vec![],
            range: 0..1,
            text: "x".into(),
            score: dense.or(sparse).unwrap_or(0.0),
            scores: Scores { dense, sparse },
        }
    }

    #[test]
    fn reciprocal_rank_fusion_adds_weighted_reciprocal_ranks() {
        let dense = [hit(1, Some(0.9), None), hit(2, Some(0.8), None)];
        let sparse = [hit(2, None, Some(7.0)), hit(3, None, Some(5.0))];
        let options = RetrievalOptions {
            fusion: Fusion::Rrf,
            dense_weight: 2.0,
            ..RetrievalOptions::default()
        };
        let fused = fuse(&dense, &sparse, &options, 10);
        let ids: Vec<u128> = fused.iter().map(|hit| hit.chunk_id.0.as_u128()).collect();
        assert_eq!(ids, [2, 1, 3]);
        assert!((fused[0].score - (2.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-6);
        assert_eq!(fused[0].scores, Scores { dense: Some(0.8), sparse: Some(7.0) });
    }

    #[test]
    fn an_empty_and_an_endless_question_are_refused() {
        assert_eq!(check_question(" \n").unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(check_question(&"a".repeat(100_000)).unwrap_err().kind(), ErrorKind::TooLong);
        assert_eq!(check_question(" why? ").unwrap(), "why?");
    }

    fn lists() -> impl Strategy<Value = (Vec<Hit>, Vec<Hit>)> {
        let list = |dense: bool| {
            proptest::collection::btree_map(0u128..40, 0.01f32..1.0, 0..20).prop_map(move |map| {
                let mut hits: Vec<Hit> = map
                    .into_iter()
                    .map(|(id, score)| {
                        if dense { hit(id, Some(score), None) } else { hit(id, None, Some(score)) }
                    })
                    .collect();
                hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
                hits
            })
        };
        (list(true), list(false))
    }

    fn fusions() -> impl Strategy<Value = Fusion> {
        prop_oneof![
            Just(Fusion::Rrf),
            Just(Fusion::Zscore),
            Just(Fusion::Dense),
            Just(Fusion::Bm25)
        ]
    }

    proptest! {
        #[test]
        fn fusion_keeps_every_hit_once_in_falling_order(
            (dense, sparse) in lists(), fusion in fusions(), limit in 0usize..50
        ) {
            let options = RetrievalOptions { fusion, ..RetrievalOptions::default() };
            let fused = fuse(&dense, &sparse, &options, limit);
            let mut expected: HashSet<ChunkId> = HashSet::new();
            if fusion != Fusion::Bm25 { expected.extend(dense.iter().map(|hit| hit.chunk_id)); }
            if fusion != Fusion::Dense { expected.extend(sparse.iter().map(|hit| hit.chunk_id)); }
            prop_assert_eq!(fused.len(), expected.len().min(limit));
            let ids: HashSet<ChunkId> = fused.iter().map(|hit| hit.chunk_id).collect();
            prop_assert_eq!(ids.len(), fused.len());
            prop_assert!(ids.is_subset(&expected));
            for pair in fused.windows(2) {
                prop_assert!(pair[0].score > pair[1].score
                    || (pair[0].score == pair[1].score && pair[0].chunk_id < pair[1].chunk_id));
            }
        }

        #[test]
        fn first_in_both_lists_is_first((mut dense, mut sparse) in lists(), fusion in fusions()) {
            dense.retain(|hit| hit.chunk_id.0.as_u128() != 99);
            dense.insert(0, hit(99, Some(1.0), None));
            sparse.insert(0, hit(99, None, Some(1.0)));
            let options = RetrievalOptions { fusion, ..RetrievalOptions::default() };
            prop_assert_eq!(fuse(&dense, &sparse, &options, 5)[0].chunk_id.0.as_u128(), 99);
        }
    }
}
