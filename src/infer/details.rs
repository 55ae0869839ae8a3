//! What is kept of a text beside its vector: its tokens and sentences as they stand in it, a bit a
//! dimension. Pure.
//!
//! Late interaction as in ColBERT (Khattab and Zaharia, SIGIR 2020) over the token states of a model
//! that was not trained for it; pairs of neighbouring tokens are averaged (after token pooling,
//! Clavié, Chaffin and Adams, 2024) and only signs are kept, which loses little (`eval/README.md`).

use std::ops::Range;

use super::Embedding;

/// What is kept of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its tokens.
    Tokens,
    /// Its sentences, each embedded by itself.
    Sentences,
}

impl Kind {
    /// What it is stored under; another number for every change of what is kept.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tokens => "tokens 1",
            Kind::Sentences => "sentences 1",
        }
    }
}

/// Signs, a bit a dimension, the first in the lowest bit.
pub type Signs = Vec<u64>;

/// Parts of a text, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Dimensions of the embedder.
    pub dimensions: usize,
    /// Each with its bytes of the text.
    pub parts: Vec<(Range<usize>, Signs)>,
}

impl Details {
    /// Each pair of neighbouring tokens of a text, an odd last one by itself.
    pub fn tokens(embedding: &Embedding) -> Details {
        let dimensions = embedding.vector.len();
        let pair = |pair: &[super::Token]| {
            let states: Vec<&[f32]> = pair.iter().map(|token| token.state.as_slice()).collect();
            let start = pair.first().map_or(0, |token| token.range.start);
            let end = pair.last().map_or(start, |token| token.range.end);
            (start..end, signs(&states, dimensions))
        };
        Details { dimensions, parts: embedding.tokens.chunks(2).map(pair).collect() }
    }

    /// Sentences of a text with their vectors.
    pub fn sentences(dimensions: usize, sentences: Vec<(Range<usize>, Vec<f32>)>) -> Details {
        let one =
            |(range, vector): (Range<usize>, Vec<f32>)| (range, signs(&[&vector], dimensions));
        Details { dimensions, parts: sentences.into_iter().map(one).collect() }
    }

    /// As they are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |number: usize| {
            bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        };
        put(self.dimensions);
        for (range, _) in &self.parts {
            put(range.start);
            put(range.end);
        }
        let words = self.parts.iter().flat_map(|(_, signs)| signs);
        bytes.extend(words.flat_map(|word| word.to_le_bytes()));
        bytes
    }

    /// What [`Details::to_bytes`] gave; `None` of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Details> {
        let (dimensions, rest) = bytes.split_first_chunk::<4>()?;
        let dimensions = usize::try_from(u32::from_le_bytes(*dimensions)).ok()?;
        if dimensions == 0 {
            return None;
        }
        let size = dimensions.div_ceil(64);
        let count = rest.len() / (8 + 8 * size);
        let (ranges, words) = rest.split_at_checked(count * 8)?;
        let (words, torn) = words.as_chunks::<8>();
        if !torn.is_empty() || words.len() != count * size {
            return None;
        }
        let all = words
            .chunks_exact(size)
            .map(|signs| signs.iter().map(|word| u64::from_le_bytes(*word)).collect::<Signs>());
        let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let parts = ranges.as_chunks::<8>().0.iter().zip(all).map(|(range, signs)| {
            let (start, end) = (range.first_chunk::<4>()?, range.last_chunk::<4>()?);
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then_some((start..end, signs))
        });
        Some(Details { dimensions, parts: parts.collect::<Option<Vec<_>>>()? })
    }
}

/// A vector, ready to be multiplied with the signs of many others: for each eight of its numbers, what
/// they add up to under each of the 256 choices of signs.
pub struct SignTable {
    sums: Vec<[f32; 256]>,
}

impl SignTable {
    /// Of a vector of as many dimensions as those that it meets.
    pub fn new(vector: &[f32]) -> SignTable {
        let one = 1.0 / (vector.len().max(1) as f32).sqrt();
        let sums = |eight: &[f32]| {
            let mut sums = [-one * eight.iter().sum::<f32>(); 256];
            for byte in 1..sums.len() {
                let turned = eight.get(byte.trailing_zeros() as usize).copied().unwrap_or(0.0);
                sums[byte] = sums[byte & (byte - 1)] + 2.0 * one * turned;
            }
            sums
        };
        SignTable { sums: vector.chunks(8).map(sums).collect() }
    }

    /// The product with signs, each plus or minus one over the root of their number, so that a vector
    /// of length 1 gives a cosine.
    pub fn dot(&self, signs: &[u64]) -> f32 {
        let mut lanes = [0.0; 8];
        for (tables, word) in self.sums.chunks(8).zip(signs) {
            for ((lane, table), byte) in lanes.iter_mut().zip(tables).zip(word.to_le_bytes()) {
                *lane += table[usize::from(byte)];
            }
        }
        lanes.into_iter().sum()
    }
}

/// The signs of the sum of some states.
fn signs(states: &[&[f32]], dimensions: usize) -> Signs {
    let mut signs = vec![0; dimensions.div_ceil(64)];
    for at in 0..dimensions {
        let sum: f32 = states.iter().filter_map(|state| state.get(at)).sum();
        if sum > 0.0 {
            signs[at / 64] |= 1 << (at % 64);
        }
    }
    signs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::infer::Token;

    fn embedding(text: &str, states: &[Vec<f32>]) -> Embedding {
        let mut at = 0;
        let tokens = text.split_inclusive(' ').zip(states).map(|(word, state)| {
            let range = at..at + word.trim_end().len();
            at += word.len();
            Token { range, state: state.clone() }
        });
        Embedding { vector: states[0].clone(), tokens: tokens.collect() }
    }

    #[test]
    fn pairs_and_sentences_by_hand() {
        let text = "One two three";
        let states = [vec![1.0, -1.0], vec![-0.5, -1.0], vec![-2.0, 3.0]];
        let tokens = Details::tokens(&embedding(text, &states));
        assert_eq!(tokens.parts, [(0..7, vec![0b01]), (8..13, vec![0b10])]);
        let sentences = Details::sentences(2, vec![(3..9, vec![0.5, 0.1])]);
        assert_eq!(sentences.parts, [(3..9, vec![0b11])]);
        let product = SignTable::new(&[3.0, 1.0]).dot(&tokens.parts[0].1);
        assert!((product - 2.0 * 0.5f32.sqrt()).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_definition(
            vector in prop::collection::vec(-1f32..1.0, 1..200), bits in any::<[u64; 4]>()
        ) {
            let sign = |at: usize| if bits[at / 64] >> (at % 64) & 1 == 1 { 1.0 } else { -1.0 };
            let sum: f32 = vector.iter().enumerate().map(|(at, number)| sign(at) * number).sum();
            let wanted = sum / (vector.len() as f32).sqrt();
            let got = SignTable::new(&vector).dot(&bits);
            prop_assert!((got - wanted).abs() < 1e-4, "{} {}", got, wanted);
        }

        #[test]
        fn bytes_come_back_and_no_others_do(
            states in prop::collection::vec(prop::collection::vec(-1f32..1.0, 70), 1..9),
            cut in 1usize..24, at in 0usize..2000, byte in any::<u8>()
        ) {
            let text = "One two three four five six seven eight.";
            let details = Details::tokens(&embedding(text, &states));
            let bytes = details.to_bytes();
            prop_assert_eq!(Details::from_bytes(&bytes), Some(details));
            prop_assert_eq!(Details::from_bytes(&bytes[..bytes.len() - cut]), None);
            let mut other = bytes.clone();
            other[at % bytes.len()] = byte;
            let _ = Details::from_bytes(&other);
        }
    }
}
