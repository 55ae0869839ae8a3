//! Two lists of hits → one. Pure.

use std::collections::BTreeMap;

use super::{Fusion, RetrievalOptions};
use crate::base::{ChunkId, Hit};

/// Two lists of hits fused into one, best first, ties by chunk id. Each hit keeps both single
/// scores where both lists hold it.
pub fn fuse(dense: &[Hit], sparse: &[Hit], options: &RetrievalOptions) -> Vec<Hit> {
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
    hits
}

/// `ranked` with the hits of `further` behind it that it does not hold, in their order, none with
/// a score above the one before it: what stands in front does not depend on how many are asked for.
pub fn extend(mut ranked: Vec<Hit>, further: Vec<Hit>) -> Vec<Hit> {
    let known: std::collections::HashSet<ChunkId> = ranked.iter().map(|hit| hit.chunk_id).collect();
    for hit in further {
        if !known.contains(&hit.chunk_id) {
            let most = ranked.last().map_or(f32::INFINITY, |last| last.score);
            ranked.push(Hit { score: hit.score.min(most), ..hit });
        }
    }
    ranked
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

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use std::collections::HashSet;

    use super::*;
    use crate::base::Scores;
    use crate::retrieve::samples;

    pub(in crate::retrieve) fn hit(id: u128, dense: Option<f32>, sparse: Option<f32>) -> Hit {
        Hit {
            score: dense.or(sparse).unwrap_or(0.0),
            scores: Scores { dense, sparse, late: None },
            ..samples::hit(id)
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
        let fused = fuse(&dense, &sparse, &options);
        let ids: Vec<u128> = fused.iter().map(|hit| hit.chunk_id.0.as_u128()).collect();
        assert_eq!(ids, [2, 1, 3]);
        assert!((fused[0].score - (2.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-6);
        assert_eq!(fused[0].scores, Scores { dense: Some(0.8), sparse: Some(7.0), late: None });
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
            (dense, sparse) in lists(), fusion in fusions()
        ) {
            let options = RetrievalOptions { fusion, ..RetrievalOptions::default() };
            let fused = fuse(&dense, &sparse, &options);
            let mut expected: HashSet<ChunkId> = HashSet::new();
            if fusion != Fusion::Bm25 { expected.extend(dense.iter().map(|hit| hit.chunk_id)); }
            if fusion != Fusion::Dense { expected.extend(sparse.iter().map(|hit| hit.chunk_id)); }
            prop_assert_eq!(fused.len(), expected.len());
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
            prop_assert_eq!(fuse(&dense, &sparse, &options)[0].chunk_id.0.as_u128(), 99);
        }

        #[test]
        fn what_is_behind_never_changes_what_is_in_front(
            (dense, sparse) in lists(), (more_dense, more_sparse) in lists(), fusion in fusions()
        ) {
            let options = RetrievalOptions { fusion, ..RetrievalOptions::default() };
            let ranked = fuse(&dense, &sparse, &options);
            let all = extend(ranked.clone(), fuse(&more_dense, &more_sparse, &options));
            prop_assert_eq!(&all[..ranked.len()], &ranked[..]);
            prop_assert!(all.windows(2).all(|pair| pair[0].score >= pair[1].score));
            let ids: HashSet<ChunkId> = all.iter().map(|hit| hit.chunk_id).collect();
            prop_assert_eq!(ids.len(), all.len());
        }
    }
}
