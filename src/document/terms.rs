//! Text → terms and their BM25 weights, with Qdrant's own tokenizer, stop words and stemmer.
//!
//! BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009) is split in two: a
//! document's vector holds the weights of its terms ([`weights`]), a question's vector the inverse
//! document frequencies ([`idf`]), and a store multiplies. Document frequencies and the average
//! length are those of a whole generation, so a chunk's score does not depend on which part or shard
//! of an index it lies in. Pure.

use std::sync::LazyLock;

use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};
use qdrant_edge::external::ordered_float::NotNan;

use crate::base::SparseVector;

/// What decides a vector besides its text; part of an index's fingerprint.
pub const VERSION: &str =
    "qdrant-bm25 english k=1.2 b=0.75, lengths and frequencies of the generation";

/// How soon a repeated term weighs no more.
const K: f64 = 1.2;
/// How much a long text's terms weigh less; 0 not at all, 1 in full.
const B: f64 = 0.75;
/// With no length normalisation and a `k` as large as this, Qdrant's weight of a term says how often
/// it occurs.
const COUNTING_K: f64 = 1e6;

static COUNTING: LazyLock<EdgeBm25> = LazyLock::new(|| {
    let number = |n: f64| NotNan::new(n).unwrap_or_default();
    let config =
        EdgeBm25Config { k: number(COUNTING_K), b: number(0.0), ..EdgeBm25Config::default() };
    EdgeBm25::new(config).expect("constants that Qdrant accepts")
});

/// The terms of a text, stop words left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Ids of the stemmed terms, ascending and unique.
    pub ids: Vec<u32>,
    /// How often each occurs; as many.
    pub counts: Vec<u32>,
}

impl Terms {
    /// Terms in all, repeated ones counted again.
    pub fn length(&self) -> usize {
        self.counts.iter().map(|count| *count as usize).sum()
    }
}

/// The terms of a text.
pub fn of(text: &str) -> Terms {
    let vector = COUNTING.embed_document(text);
    let count = |weight: f32| {
        let weight = f64::from(weight);
        (weight * COUNTING_K / (COUNTING_K + 1.0 - weight)).round().max(1.0) as u32
    };
    let counts = vector.values.into_iter().map(count);
    let mut pairs: Vec<(u32, u32)> = vector.indices.into_iter().zip(counts).collect();
    pairs.sort_unstable_by_key(|(id, _)| *id);
    pairs.dedup_by_key(|(id, _)| *id);
    let (ids, counts) = pairs.into_iter().unzip();
    Terms { ids, counts }
}

/// The BM25 weights of a document's terms, without their inverse document frequencies, where
/// documents have `average` terms.
pub fn weights(terms: &Terms, average: f64) -> SparseVector {
    let length = terms.length();
    let values = terms.counts.iter().map(|count| weight(*count, length, average));
    SparseVector { indices: terms.ids.clone(), values: values.collect() }
}

/// The weight of a term that occurs `count` times in a document of `length` terms.
pub fn weight(count: u32, length: usize, average: f64) -> f32 {
    let n = f64::from(count);
    (n * (K + 1.0) / (saturation(length, average) + n)) as f32
}

/// The terms that [`weights`] made a vector of, given their number and the average then.
pub fn unweigh(vector: &SparseVector, length: usize, average: f64) -> Terms {
    let base = saturation(length, average);
    let count = |weight: &f32| {
        let weight = f64::from(*weight);
        (weight * base / (K + 1.0 - weight)).round().max(1.0) as u32
    };
    Terms { ids: vector.indices.clone(), counts: vector.values.iter().map(count).collect() }
}

/// The count at which a term of a document reaches half of its greatest weight.
fn saturation(length: usize, average: f64) -> f64 {
    K * (1.0 - B + B * length as f64 / average.max(1.0))
}

/// The inverse document frequency of a term that is in `df` of `chunks` chunks, as Qdrant has it.
pub fn idf(chunks: u64, df: u32) -> f32 {
    let (n, df) = (chunks as f64, f64::from(df));
    ((n - df + 0.5) / (df + 0.5) + 1.0).ln() as f32
}

/// A question's terms, each with weight 1.
pub fn query(text: &str) -> SparseVector {
    let ids = of(text).ids;
    SparseVector { values: vec![1.0; ids.len()], indices: ids }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_stemmed_and_stop_words_go() {
        assert_eq!(query("drying").indices, query("dried and dry the").indices[..1]);
        assert_eq!(query("the of and"), SparseVector::default());
    }

    #[test]
    fn a_repeated_term_weighs_more_but_not_twice_as_much() {
        let weight = |text: &str| weights(&of(text), 100.0).values[0];
        let (once, twice) = (weight("varnish"), weight("varnish varnish"));
        assert!(once < twice && twice < 2.0 * once);
    }

    #[test]
    fn terms_are_counted_however_often_they_stand() {
        for times in [1, 2, 7, 300, 20_000] {
            let terms = of(&"varnish ".repeat(times));
            assert_eq!(terms.counts, [times as u32]);
            assert_eq!(terms.length(), times);
        }
    }

    proptest! {
        #[test]
        fn weights_are_those_of_qdrant(
            words in prop::collection::vec("[a-d]{1,3}", 1..80),
            average in 1u32..300,
        ) {
            let text = words.join(" ");
            let number = |n: f64| NotNan::new(n).unwrap();
            let config = EdgeBm25Config {
                k: number(K),
                b: number(B),
                avg_len: number(f64::from(average)),
                ..EdgeBm25Config::default()
            };
            let mut theirs: Vec<(u32, f32)> = {
                let vector = EdgeBm25::new(config).unwrap().embed_document(&text);
                vector.indices.into_iter().zip(vector.values).collect()
            };
            theirs.sort_unstable_by_key(|(id, _)| *id);
            let ours = weights(&of(&text), f64::from(average));
            prop_assert_eq!(&ours.indices, &theirs.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            for (ours, (_, theirs)) in ours.values.iter().zip(&theirs) {
                prop_assert!((ours - theirs).abs() < 1e-6);
            }
        }

        #[test]
        fn terms_come_back_from_their_weights(
            words in prop::collection::vec("[a-d]{1,2}", 0..400),
            average in 1u32..300,
        ) {
            let terms = of(&words.join(" "));
            let average = f64::from(average);
            let vector = weights(&terms, average);
            prop_assert_eq!(unweigh(&vector, terms.length(), average), terms);
        }

        #[test]
        fn indices_ascend_and_a_document_holds_its_own_words(text in "\\PC{0,80}") {
            let terms = of(&text);
            prop_assert!(terms.ids.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(weights(&terms, 60.0).values.iter().all(|value| *value > 0.0));
            prop_assert_eq!(terms.ids, query(&text).indices);
        }
    }
}
