//! The first hits, ranked anew by how their tokens and sentences match the question's. Pure.
//!
//! MaxSim (Khattab and Zaharia, *ColBERT*, SIGIR 2020) with each token of the question weighted by how
//! rare its word is, and the best sentences; weights found on development halves (`eval/attempts.md`).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use unicode_segmentation::UnicodeSegmentation;

use super::Retrieved;
use crate::base::Hit;
use crate::base::error::Result;
use crate::compute::Pool;
use crate::document::terms;
use crate::infer::Embedding;
use crate::infer::details::{DetailKind, Details, SignTable};

/// What the best sentences count beside the tokens.
const SENTENCES: f32 = 0.5;

/// Weight of a word that says little, such as "of".
const LEAST: f32 = 0.5;

/// Hits that are ranked by their sentences, too.
const SECOND: usize = 15;

/// By how much each hit that was not looked at stands below the one before it.
const BEHIND: f32 = 1e-3;

/// A question, prepared for being compared with many texts.
pub struct QuestionTokens {
    /// Weight and state of each token, the weights' sum being 1.
    tokens: Vec<(f32, SignTable)>,
    vector: SignTable,
}

impl QuestionTokens {
    /// Prepares the question of a search, as it was embedded.
    pub fn new(embedding: &Embedding, retrieved: &Retrieved) -> QuestionTokens {
        let words: Vec<(Range<usize>, f32)> = retrieved
            .searched
            .unicode_word_indices()
            .map(|(at, word)| (at..at + word.len(), weight(word, retrieved)))
            .collect();
        let weight_of = |at: usize| {
            words.iter().find(|(range, _)| range.contains(&at)).map_or(LEAST, |(_, weight)| *weight)
        };
        let mut tokens: Vec<(f32, SignTable)> = embedding
            .tokens
            .iter()
            .map(|token| (weight_of(token.range.start), SignTable::new(&token.state)))
            .collect();
        let sum: f32 = tokens.iter().map(|(weight, _)| weight).sum();
        tokens.iter_mut().for_each(|(weight, _)| *weight /= sum);
        QuestionTokens { tokens, vector: SignTable::new(&embedding.vector) }
    }

    /// How well the tokens of a text match: the weighted mean of each token's best match, −1 to 1.
    fn tokens(&self, details: &Details) -> f32 {
        let best = |state: &SignTable| {
            details.parts().map(|(_, signs)| state.dot(signs)).reduce(f32::max).unwrap_or(0.0)
        };
        self.tokens.iter().map(|(weight, state)| weight * best(state)).sum()
    }

    /// The cosine of each sentence, with its bytes.
    pub fn sentences(&self, details: &Details) -> Vec<(Range<usize>, f32)> {
        details.parts().map(|(range, signs)| (range.clone(), self.vector.dot(signs))).collect()
    }

    /// The mean cosine of the two best sentences; 0 if there is none.
    fn best_sentences(&self, details: &Details) -> f32 {
        let mut cosines: Vec<f32> =
            self.sentences(details).into_iter().map(|(_, cosine)| cosine).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        cosines.truncate(2);
        cosines.iter().sum::<f32>() / cosines.len().max(1) as f32
    }
}

/// What a word of a question weighs.
fn weight(word: &str, retrieved: &Retrieved) -> f32 {
    let terms = &retrieved.terms;
    let found = terms::of(word).ids.into_iter().filter_map(|term| {
        let at = terms.indices.binary_search(&term).ok()?;
        terms.values.get(at).copied()
    });
    found.fold(LEAST, f32::max)
}

/// Gives the details of hits, in their order.
pub type Look<'a> = &'a dyn Fn(DetailKind, &[Hit]) -> Result<Vec<Arc<Details>>>;

/// Ranks the first `count` hits anew by their tokens, and of those the first [`SECOND`] by their
/// sentences, too; all others stay behind them in their order.
///
/// # Errors
/// If `look` fails.
pub fn rank(hits: &mut [Hit], count: usize, asked: &QuestionTokens, look: Look<'_>) -> Result<()> {
    let count = count.min(hits.len());
    let (first, _) = hits.split_at_mut(count);
    let tokens = look(DetailKind::Tokens, first)?;
    let scores: Vec<Mutex<f32>> = first.iter().map(|_| Mutex::default()).collect();
    Pool::shared().run(tokens.len().min(count), &|n| {
        *scores[n].lock().unwrap_or_else(PoisonError::into_inner) = asked.tokens(&tokens[n]);
    });
    for (hit, score) in first.iter_mut().zip(scores) {
        hit.score = score.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    first.sort_by(order);
    let second = &mut first[..SECOND.min(count)];
    let sentences = look(DetailKind::Sentences, second)?;
    for (hit, details) in second.iter_mut().zip(sentences) {
        hit.score += SENTENCES * asked.best_sentences(&details);
        hit.scores.late = Some(hit.score);
    }
    second.sort_by(order);
    let mut last = second.last().map_or(0.0, |hit| hit.score);
    for hit in &mut hits[SECOND.min(count)..] {
        last -= BEHIND;
        hit.score = last;
    }
    Ok(())
}

/// Best first, ties by chunk id.
fn order(a: &Hit, b: &Hit) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id))
}

#[cfg(test)]
mod tests {
    use super::super::fuse;
    use super::*;
    use crate::base::SparseVector;
    use crate::infer::Token;

    fn embedding(states: &[[f32; 2]]) -> Embedding {
        let token = |(at, state): (usize, &[f32; 2])| Token {
            range: at * 5..at * 5 + 4,
            state: state.to_vec(),
        };
        Embedding { vector: vec![1.0, 0.0], tokens: states.iter().enumerate().map(token).collect() }
    }

    fn asked(question: &str) -> Retrieved {
        Retrieved { searched: question.to_owned(), ..Retrieved::default() }
    }

    #[test]
    fn rare_words_count_more() {
        let mut retrieved = asked("keel masts");
        let rare = terms::query("keel").indices[0];
        retrieved.terms = SparseVector { indices: vec![rare], values: vec![1.5] };
        let asked = QuestionTokens::new(&embedding(&[[1.0, 0.0], [0.0, 1.0]]), &retrieved);
        let weights: Vec<f32> = asked.tokens.iter().map(|(weight, _)| *weight).collect();
        assert_eq!(weights, [0.75, 0.25]);
    }

    #[test]
    fn the_best_pairs_and_sentences_by_hand() {
        let asked = QuestionTokens::new(&embedding(&[[1.0, 0.0], [0.0, 1.0]]), &asked("a b"));
        let half = 0.5f32.sqrt();
        let pairs = |states: &[[f32; 2]]| Details::tokens(&embedding(states));
        let both = pairs(&[[0.9, 0.9], [0.9, 0.9], [-1.0, 1.0]]);
        assert!((asked.tokens(&both) - half).abs() < 1e-6);
        assert!((asked.tokens(&pairs(&[[-1.0, -1.0]])) + half).abs() < 1e-6);
        assert_eq!(asked.tokens(&Details::default()), 0.0);
        let sentences =
            Details::sentences(2, vec![(0..3, vec![1.0, 1.0]), (3..9, vec![-1.0, 1.0])]);
        assert_eq!(asked.best_sentences(&sentences), 0.0);
        assert_eq!(asked.best_sentences(&Details::default()), 0.0);
    }

    #[test]
    fn the_first_are_ranked_anew_and_the_others_stay_behind() {
        let mut hits: Vec<Hit> = (0..40u128)
            .map(|at| fuse::tests::hit(at, Some(1.0 - at as f32 / 100.0), None))
            .collect();
        let asked = QuestionTokens::new(&embedding(&[[1.0, 0.0]]), &asked("a"));
        // The later a hit, the better its tokens.
        let look = |kind: DetailKind, hits: &[Hit]| {
            let of = |hit: &Hit| match kind {
                DetailKind::Tokens if hit.chunk_id.0.as_u128() < 20 => {
                    Details::tokens(&embedding(&[[-1.0, 1.0]]))
                }
                DetailKind::Tokens => Details::tokens(&embedding(&[[1.0, 1.0]])),
                DetailKind::Sentences => Details::sentences(2, vec![(0..1, vec![1.0, 1.0])]),
            };
            Ok(hits.iter().map(of).map(Arc::new).collect())
        };
        rank(&mut hits, 30, &asked, &look).unwrap();
        let ids: Vec<u128> = hits.iter().map(|hit| hit.chunk_id.0.as_u128()).collect();
        let wanted: Vec<u128> = (20..30).chain(0..20).chain(30..40).collect();
        assert_eq!(ids, wanted);
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert_eq!(hits.iter().filter(|hit| hit.scores.late.is_some()).count(), SECOND);
    }
}
