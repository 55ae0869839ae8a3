//! Vectors in files, for when many machines embed at once.
//!
//! A file is a line of JSON (what made the vectors, how many, how long), then for each vector the
//! SHA-256 of its text and its values (32-bit little endian), then the SHA-256 of all that.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::params;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::vectors::{from_bytes, text_hash, to_bytes};
use super::{Library, Sql};
use crate::base::Fingerprint;
use crate::base::error::{Error, ErrorKind, Result, Step};

/// Bytes of a hash.
const HASH: usize = 32;

/// The first line of a file of vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorFile {
    /// What made the vectors.
    pub fingerprint: Fingerprint,
    /// Values of each.
    pub dimensions: usize,
    /// How many they are.
    pub vectors: usize,
}

/// Which of `shards` a text belongs to, from 1; the same on every machine.
pub fn shard_of(text: &str, shards: u32) -> u32 {
    let hash = text_hash(text);
    let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    first % shards.max(1) + 1
}

/// The bytes of a file of vectors.
///
/// # Errors
/// [`ErrorKind::Bug`] if its first line can't be written.
pub fn to_file(model: &Fingerprint, vectors: &BTreeMap<&str, Vec<f32>>) -> Result<Vec<u8>> {
    let head = VectorFile {
        fingerprint: model.clone(),
        dimensions: vectors.values().next().map_or(0, Vec::len),
        vectors: vectors.len(),
    };
    let mut bytes = serde_json::to_vec(&head)
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
    bytes.push(b'\n');
    for (text, vector) in vectors {
        bytes.extend(text_hash(text));
        bytes.extend(to_bytes(vector));
    }
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    Ok(bytes)
}

impl Library {
    /// Takes the vectors of a file in; how many.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] if it is damaged; [`ErrorKind::Config`] if another model made it.
    /// Nothing is taken in then.
    pub fn take_vectors(&self, path: &Path, model: &Fingerprint) -> Result<usize> {
        let damaged = |said: &str| {
            Error::new(
                ErrorKind::Parse,
                format!("{} is not a complete file of vectors: {said}", path.display()),
            )
            .step(Step::EmbedShard)
        };
        let bytes =
            fs_err::read(path).map_err(|error| Error::io("cannot read the vectors", error))?;
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("no head"))?;
        let head: VectorFile = serde_json::from_slice(&bytes[..end])
            .map_err(|error| damaged("no head").caused_by(error))?;
        if head.fingerprint != *model {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{} was made by another model ({})",
                    path.display(),
                    head.fingerprint.differences(model).join("; ")
                ),
            )
            .hint("set models.embedder to it, or embed again"));
        }
        let size = HASH + 4 * head.dimensions;
        let sum = bytes.len().saturating_sub(HASH).max(end + 1);
        let body = &bytes[end + 1..sum];
        if head.vectors.checked_mul(size) != Some(body.len()) {
            return Err(damaged("its length is wrong"));
        }
        if *Sha256::digest(&bytes[..sum]) != bytes[sum..] {
            return Err(damaged("its SHA-256 is wrong"));
        }
        if body.chunks_exact(size.max(1)).any(|record| from_bytes(&record[HASH..]).is_none()) {
            return Err(damaged("a value is not a number"));
        }
        let short = model.short();
        self.write("cannot be written (vectors)", |tx| -> Sql<usize> {
            let mut statement = tx.prepare_cached(
                "INSERT OR REPLACE INTO vectors (text_hash, fingerprint, vector)
                 VALUES (?1, ?2, ?3)",
            )?;
            for record in body.chunks_exact(size.max(1)) {
                statement.execute(params![&record[..HASH], short, &record[HASH..]])?;
            }
            Ok(head.vectors)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_shard() {
        for text in ["a", "b", "c", ""] {
            assert!((1..=3).contains(&shard_of(text, 3)));
            assert_eq!(shard_of(text, 1), 1);
        }
    }

    #[test]
    fn a_file_is_taken_in_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(&folder.path().join("library.sqlite")).unwrap();
        let model = Fingerprint([("embedder".to_owned(), "m".to_owned())].into());
        let vectors = BTreeMap::from([("one", vec![0.5, -1.0]), ("two", vec![0.25, 2.0])]);
        let bytes = to_file(&model, &vectors).unwrap();
        let path = folder.path().join("v.bin");
        for cut in 0..bytes.len() {
            fs_err::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(library.take_vectors(&path, &model).unwrap_err().kind(), ErrorKind::Parse);
        }
        let mut changed = bytes.clone();
        changed[bytes.len() - HASH - 1] ^= 1;
        fs_err::write(&path, &changed).unwrap();
        assert!(library.take_vectors(&path, &model).is_err());
        assert_eq!(library.vector_count().unwrap(), 0);
        fs_err::write(&path, &bytes).unwrap();
        let other = Fingerprint([("embedder".to_owned(), "n".to_owned())].into());
        let error = library.take_vectors(&path, &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(library.take_vectors(&path, &model).unwrap(), 2);
        let known = library.cached_vectors(&model, &["one", "two", "three"]).unwrap();
        assert_eq!(known, [Some(vec![0.5, -1.0]), Some(vec![0.25, 2.0]), None]);
    }
}
