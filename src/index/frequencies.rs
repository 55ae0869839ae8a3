//! In how many chunks of a generation each term is, and how long its chunks are.
//!
//! Kept beside the generation and not in a store: a store that is one of several shards, or a base
//! with a delta beside it, would count its own chunks only, and a chunk's score would depend on
//! where it lies.
//!
//! ```text
//! "wellread df 1\n"   then in little-endian order:
//! u64 chunks, u64 terms of all chunks, u64 distinct terms
//! (u32 term, u32 chunks with it)   ascending by term
//! u64 checksum of all before it
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::damaged;
use crate::base::SparseVector;
use crate::base::error::{Error, Result};
use crate::document::terms;

const MAGIC: &[u8; 14] = b"wellread df 1\n";
const HEAD: usize = MAGIC.len() + 3 * 8;

/// Document frequencies of a generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequencies {
    /// As they were read; ascending.
    read: Vec<(u32, u32)>,
    /// What has changed since.
    changed: BTreeMap<u32, i64>,
    chunks: u64,
    length: u64,
}

impl Frequencies {
    /// Those of a file.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::Index`] if it is missing or damaged.
    pub fn open(path: &Path) -> Result<Frequencies> {
        let bytes = fs_err::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(&format!("{} is missing", path.display())),
            _ => Error::io("cannot read the index", error),
        })?;
        Frequencies::parse(&bytes).ok_or_else(|| damaged(&format!("{} is corrupt", path.display())))
    }

    fn parse(bytes: &[u8]) -> Option<Frequencies> {
        let (content, sum) = bytes.split_last_chunk::<8>()?;
        let rest = content.strip_prefix(MAGIC)?;
        if checksum(content) != u64::from_le_bytes(*sum) {
            return None;
        }
        let (head, rest) = rest.split_at_checked(HEAD - MAGIC.len())?;
        let number = |at: usize| Some(u64::from_le_bytes(*head.get(at * 8..)?.first_chunk()?));
        let (pairs, odd) = rest.as_chunks::<8>();
        let read = pairs.iter().map(|pair| {
            let pair = u64::from_le_bytes(*pair);
            (pair as u32, (pair >> 32) as u32)
        });
        let frequencies = Frequencies {
            read: read.collect(),
            changed: BTreeMap::new(),
            chunks: number(0)?,
            length: number(1)?,
        };
        (odd.is_empty() && number(2)? == frequencies.read.len() as u64).then_some(frequencies)
    }

    /// Writes them to a new file, durable when this returns.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut pairs = Vec::with_capacity((self.read.len() + self.changed.len()) * 8);
        let mut count = 0u64;
        let mut put = |term: u32, df: u32| {
            if df > 0 {
                pairs.extend_from_slice(&term.to_le_bytes());
                pairs.extend_from_slice(&df.to_le_bytes());
                count += 1;
            }
        };
        let mut changed = self.changed.iter().peekable();
        for (term, df) in &self.read {
            while let Some((new, change)) = changed.next_if(|(new, _)| *new < term) {
                put(*new, sum(0, *change));
            }
            let change = changed.next_if(|(new, _)| *new == term).map_or(0, |(_, change)| *change);
            put(*term, sum(*df, change));
        }
        for (new, change) in changed {
            put(*new, sum(0, *change));
        }
        let mut bytes = Vec::with_capacity(HEAD + pairs.len() + 8);
        bytes.extend_from_slice(MAGIC);
        for number in [self.chunks, self.length, count] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.append(&mut pairs);
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        let write = || {
            let mut file = fs_err::File::create(path)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error| Error::io("cannot write the index", error))
    }

    /// Counts a chunk in, given its distinct terms and how many it has with repeated ones.
    pub fn add(&mut self, terms: &[u32], length: usize) {
        self.count(terms, 1);
        self.chunks += 1;
        self.length += length as u64;
    }

    /// Counts a chunk out that was counted in.
    pub fn remove(&mut self, terms: &[u32], length: usize) {
        self.count(terms, -1);
        self.chunks = self.chunks.saturating_sub(1);
        self.length = self.length.saturating_sub(length as u64);
    }

    fn count(&mut self, terms: &[u32], by: i64) {
        for term in terms {
            *self.changed.entry(*term).or_default() += by;
        }
    }

    /// Terms that a chunk has on the average, to one decimal: what weights are made with.
    pub fn average_length(&self) -> f64 {
        if self.chunks == 0 {
            return 1.0;
        }
        let average = self.length as f64 / self.chunks as f64;
        ((average * 10.0).round() / 10.0).max(1.0)
    }

    /// In how many chunks a term is.
    pub fn df(&self, term: u32) -> u32 {
        let read = self.read.binary_search_by_key(&term, |(term, _)| *term);
        let read = read.ok().and_then(|at| self.read.get(at)).map_or(0, |(_, df)| *df);
        sum(read, self.changed.get(&term).copied().unwrap_or(0))
    }

    /// A question's terms with their inverse document frequencies, also those that no chunk has.
    pub fn rarity(&self, question: &SparseVector) -> SparseVector {
        let weighed = question.indices.iter().map(|term| terms::idf(self.chunks, self.df(*term)));
        SparseVector { indices: question.indices.clone(), values: weighed.collect() }
    }

    /// A question's terms with their inverse document frequencies; those that no chunk has are left
    /// out.
    pub fn weigh(&self, question: &SparseVector) -> SparseVector {
        let mut weighed = SparseVector::default();
        for (term, weight) in question.indices.iter().zip(&question.values) {
            let df = self.df(*term);
            if df > 0 {
                weighed.indices.push(*term);
                weighed.values.push(weight * terms::idf(self.chunks, df));
            }
        }
        weighed
    }
}

fn sum(df: u32, change: i64) -> u32 {
    u32::try_from(i64::from(df) + change).unwrap_or(0)
}

/// FNV-1a over words of eight bytes: what a disk or a cut-off write changes is found at the speed of
/// reading. It is no protection from malice.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = 0xcbf2_9ce4_8422_2325u64 ^ bytes.len() as u64;
    for word in words {
        sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        sum ^= sum >> 29;
    }
    for byte in rest {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    sum ^ (sum >> 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_damaged_file_is_said_to_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frequencies");
        let mut frequencies = Frequencies::default();
        frequencies.add(&[3, 9], 5);
        frequencies.save(&path).unwrap();
        let bytes = fs_err::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            assert_eq!(Frequencies::parse(&wrong), None, "byte {at}");
            assert_eq!(Frequencies::parse(&bytes[..at]), None, "cut at {at}");
        }
        fs_err::write(&path, &bytes[1..]).unwrap();
        let error = Frequencies::open(&path).unwrap_err();
        assert_eq!(error.kind(), crate::base::error::ErrorKind::Index);
    }

    proptest! {
        /// Whatever was counted in and out before and after it was saved, what is kept is what is
        /// counted of the chunks that are left.
        #[test]
        fn what_is_counted_out_is_as_if_it_had_never_been(
            chunks in prop::collection::vec(prop::collection::btree_set(0u32..40, 0..12), 0..30),
            kept in prop::collection::vec(any::<bool>(), 30),
            saved_at in 0usize..30,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("frequencies");
            let chunks: Vec<Vec<u32>> =
                chunks.into_iter().map(|terms| terms.into_iter().collect()).collect();
            let (mut all, mut wanted) = (Frequencies::default(), Frequencies::default());
            for (at, terms) in chunks.iter().enumerate() {
                if at == saved_at {
                    all.save(&path).unwrap();
                    all = Frequencies::open(&path).unwrap();
                }
                all.add(terms, terms.len() * 2);
                if kept[at] {
                    wanted.add(terms, terms.len() * 2);
                }
            }
            for (terms, _) in chunks.iter().zip(&kept).filter(|(_, kept)| !**kept) {
                all.remove(terms, terms.len() * 2);
            }
            all.save(&path).unwrap();
            let all = Frequencies::open(&path).unwrap();
            wanted.save(&path).unwrap();
            prop_assert_eq!(&all, &Frequencies::open(&path).unwrap());
            for term in 0..40 {
                let df = chunks.iter().zip(&kept).filter(|(c, kept)| **kept && c.contains(&term));
                prop_assert_eq!(all.df(term) as usize, df.count());
            }
        }
    }
}
