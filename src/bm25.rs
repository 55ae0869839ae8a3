//! Text → sparse vector, as Qdrant's own BM25 does it: its tokenizer, stop words and stemmer.
//!
//! BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009) is split in two: the
//! term weights of a document are made here, the inverse document frequencies by the store at
//! query time (Qdrant's IDF modifier). Pure.

use std::sync::LazyLock;

use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};
use qdrant_edge::external::ordered_float::NotNan;

use crate::domain::SparseVector;

/// What decides a vector besides its text; part of an index's fingerprint.
pub const VERSION: &str = "qdrant-bm25 english k=1.2 b=0.75 avg=100";

/// Terms of a chunk on the average, stop words left out.
const AVERAGE_LENGTH: f64 = 100.0;

static BM25: LazyLock<EdgeBm25> = LazyLock::new(|| {
    let average = NotNan::new(AVERAGE_LENGTH).unwrap_or_default();
    let config = EdgeBm25Config { avg_len: average, ..EdgeBm25Config::default() };
    EdgeBm25::new(config).expect("constants that Qdrant accepts")
});

/// The weights of a chunk's terms.
pub fn document(text: &str) -> SparseVector {
    sorted(BM25.embed_document(text))
}

/// A question's terms, each with weight 1.
pub fn query(text: &str) -> SparseVector {
    sorted(BM25.embed_query(text))
}

fn sorted(vector: qdrant_edge::SparseVector) -> SparseVector {
    let mut pairs: Vec<(u32, f32)> = vector.indices.into_iter().zip(vector.values).collect();
    pairs.sort_by_key(|(index, _)| *index);
    pairs.dedup_by_key(|(index, _)| *index);
    let (indices, values) = pairs.into_iter().unzip();
    SparseVector { indices, values }
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
        let once = document("varnish").values[0];
        let twice = document("varnish varnish").values[0];
        assert!(once < twice && twice < 2.0 * once);
    }

    proptest! {
        #[test]
        fn indices_ascend_and_a_document_holds_its_own_words(text in "\\PC{0,80}") {
            let vector = document(&text);
            prop_assert!(vector.indices.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(vector.values.iter().all(|value| *value > 0.0));
            prop_assert_eq!(vector.indices, query(&text).indices);
        }
    }
}
