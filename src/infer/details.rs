//! What is kept of a text beside its vector: its tokens and sentences as they stand in it, a bit a
//! dimension. Pure.
//!
//! Late interaction as in ColBERT (Khattab and Zaharia, SIGIR 2020) over the token states of a model
//! that was not trained for it; pairs of neighbouring tokens are averaged (after token pooling,
//! Clavié, Chaffin and Adams, 2024) and only signs are kept, which loses little (`eval/attempts.md`).

use std::ops::Range;

use super::Embedding;

/// What is kept of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DetailKind {
    /// Its tokens.
    Tokens,
    /// Its sentences, each embedded by itself.
    Sentences,
}

impl DetailKind {
    /// What it is stored under; another number for every change of what is kept.
    pub fn name(self) -> &'static str {
        match self {
            DetailKind::Tokens => "tokens 1",
            DetailKind::Sentences => "sentences 1",
        }
    }
}

/// Parts of a text, in order, each with its bytes of the text and its signs: a bit a dimension, the
/// first in the lowest bit of as many words as it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Dimensions of the embedder.
    dimensions: usize,
    ranges: Vec<Range<usize>>,
    /// Of one part after the other.
    signs: Vec<u64>,
}

impl Details {
    /// Each pair of neighbouring tokens of a text, an odd last one by itself.
    pub fn tokens(embedding: &Embedding) -> Details {
        let mut details = Details { dimensions: embedding.vector.len(), ..Details::default() };
        for pair in embedding.tokens.chunks(2) {
            let states: Vec<&[f32]> = pair.iter().map(|token| token.state.as_slice()).collect();
            let start = pair.first().map_or(0, |token| token.range.start);
            let end = pair.last().map_or(start, |token| token.range.end);
            details.push(start..end, &states);
        }
        details
    }

    /// Sentences of a text with their vectors.
    pub fn sentences(dimensions: usize, sentences: Vec<(Range<usize>, Vec<f32>)>) -> Details {
        let mut details = Details { dimensions, ..Details::default() };
        for (range, vector) in sentences {
            details.push(range, &[&vector]);
        }
        details
    }

    /// Appends a part by the signs of the sum of its states.
    fn push(&mut self, range: Range<usize>, states: &[&[f32]]) {
        let first = self.signs.len();
        self.signs.resize(first + words(self.dimensions), 0);
        for at in 0..self.dimensions {
            let sum: f32 = states.iter().filter_map(|state| state.get(at)).sum();
            if sum > 0.0 {
                self.signs[first + at / 64] |= 1 << (at % 64);
            }
        }
        self.ranges.push(range);
    }

    /// The parts, each with its bytes of the text and its signs.
    pub fn parts(&self) -> impl Iterator<Item = (&Range<usize>, &[u64])> {
        self.ranges.iter().zip(self.signs.chunks_exact(words(self.dimensions).max(1)))
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        size_of::<Details>() + size_of_val(&self.ranges[..]) + size_of_val(&self.signs[..])
    }

    /// As they are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |number: usize| {
            bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        };
        put(self.dimensions);
        for range in &self.ranges {
            put(range.start);
            put(range.end);
        }
        bytes.extend(self.signs.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    /// What [`Details::to_bytes`] gave; `None` of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Details> {
        let (dimensions, rest) = bytes.split_first_chunk::<4>()?;
        let dimensions = usize::try_from(u32::from_le_bytes(*dimensions)).ok()?;
        if dimensions == 0 {
            return None;
        }
        let size = words(dimensions);
        let count = rest.len() / (8 + 8 * size);
        let (ranges, signs) = rest.split_at_checked(count * 8)?;
        let (signs, torn) = signs.as_chunks::<8>();
        if !torn.is_empty() || signs.len() != count * size {
            return None;
        }
        let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let range = |bytes: &[u8; 8]| {
            let (start, end) = (bytes.first_chunk::<4>()?, bytes.last_chunk::<4>()?);
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then_some(start..end)
        };
        Some(Details {
            dimensions,
            ranges: ranges.as_chunks::<8>().0.iter().map(range).collect::<Option<Vec<_>>>()?,
            signs: signs.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        })
    }
}

/// Words that hold so many bits.
fn words(dimensions: usize) -> usize {
    dimensions.div_ceil(64)
}

/// Numbers of a vector whose signs are looked up at once: with more of them there are fewer tables to
/// look into, but they no longer stay in the processor's nearest cache together.
const LOOKED_UP: usize = 4;

/// A vector, ready to be multiplied with the signs of many others: for each four of its numbers, what
/// they add up to under each of the 16 choices of signs.
pub struct SignTable {
    sums: Vec<[f32; 1 << LOOKED_UP]>,
}

impl SignTable {
    /// Of a vector of as many dimensions as those that it meets.
    pub fn new(vector: &[f32]) -> SignTable {
        let one = 1.0 / (vector.len().max(1) as f32).sqrt();
        let sums = |few: &[f32]| {
            let mut sums = [-one * few.iter().sum::<f32>(); 1 << LOOKED_UP];
            for choice in 1..sums.len() {
                let turned = few.get(choice.trailing_zeros() as usize).copied().unwrap_or(0.0);
                sums[choice] = sums[choice & (choice - 1)] + 2.0 * one * turned;
            }
            sums
        };
        SignTable { sums: vector.chunks(LOOKED_UP).map(sums).collect() }
    }

    /// The product with signs, each plus or minus one over the root of their number, so that a vector
    /// of length 1 gives a cosine.
    pub fn dot(&self, signs: &[u64]) -> f32 {
        let mut lanes = [0.0; 64 / LOOKED_UP];
        for (tables, word) in self.sums.chunks(lanes.len()).zip(signs) {
            let mut word = *word;
            for (lane, table) in lanes.iter_mut().zip(tables) {
                *lane += table[word as usize % table.len()];
                word >>= LOOKED_UP;
            }
        }
        lanes.into_iter().sum()
    }
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
        let parts: Vec<_> = tokens.parts().collect();
        assert_eq!(parts, [(&(0..7), &[0b01][..]), (&(8..13), &[0b10])]);
        let sentences = Details::sentences(2, vec![(3..9, vec![0.5, 0.1])]);
        assert_eq!(sentences.parts().collect::<Vec<_>>(), [(&(3..9), &[0b11][..])]);
        let product = SignTable::new(&[3.0, 1.0]).dot(parts[0].1);
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
