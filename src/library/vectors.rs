//! The vector cache: no text is embedded twice by the same model.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Library, Sql};
use crate::base::Fingerprint;
use crate::base::error::Result;
use crate::infer::details::{DetailKind, Details};

/// A table of what a model made of texts.
struct Made {
    /// What the user calls it.
    reading: &'static str,
    writing: &'static str,
    select: &'static str,
    insert: &'static str,
}

const VECTORS: Made = Made {
    reading: "cannot be read (vectors)",
    writing: "cannot be written (vectors)",
    select: "SELECT vector FROM vectors WHERE fingerprint = ?1 AND text_hash = ?2",
    insert: "INSERT OR REPLACE INTO vectors (fingerprint, text_hash, vector) VALUES (?1, ?2, ?3)",
};

const DETAILS: Made = Made {
    reading: "cannot be read (details)",
    writing: "cannot be written (details)",
    select: "SELECT details FROM details WHERE fingerprint = ?1 AND text_hash = ?2",
    insert: "INSERT OR REPLACE INTO details (fingerprint, text_hash, details) VALUES (?1, ?2, ?3)",
};

impl Library {
    /// The cached vectors of texts, in their order; `None` where a text has not been embedded by
    /// this model.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn cached_vectors(
        &self,
        model: &Fingerprint,
        texts: &[&str],
    ) -> Result<Vec<Option<Vec<f32>>>> {
        self.made(&VECTORS, &model.short(), texts, from_bytes)
    }

    /// Keeps vectors, all or none; durable when this returns.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn cache_vectors<'a>(
        &self,
        model: &Fingerprint,
        vectors: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<()> {
        let vectors = vectors.into_iter().map(|(text, vector)| (text, to_bytes(vector)));
        self.keep_made(&VECTORS, &model.short(), vectors)
    }

    /// The details of texts, in their order; `None` where they have not been made by this model.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn cached_details(
        &self,
        model: &Fingerprint,
        kind: DetailKind,
        texts: &[&str],
    ) -> Result<Vec<Option<Details>>> {
        self.made(&DETAILS, &of_details(model, kind), texts, Details::from_bytes)
    }

    /// Keeps details, all or none.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn cache_details<'a>(
        &self,
        model: &Fingerprint,
        kind: DetailKind,
        details: impl IntoIterator<Item = (&'a str, &'a Details)>,
    ) -> Result<()> {
        let details = details.into_iter().map(|(text, details)| (text, details.to_bytes()));
        self.keep_made(&DETAILS, &of_details(model, kind), details)
    }

    fn made<T>(
        &self,
        made: &Made,
        model: &str,
        texts: &[&str],
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        self.read(made.reading, |tx| {
            let mut statement = tx.prepare_cached(made.select)?;
            let mut of = |text: &&str| {
                let found = statement
                    .query_row(params![model, text_hash(text)], |row| {
                        row.get_ref(0)?.as_blob().map(read).map_err(Into::into)
                    })
                    .optional()?;
                Ok(found.flatten())
            };
            texts.iter().map(&mut of).collect::<Sql<Vec<_>>>()
        })
    }

    fn keep_made<'a>(
        &self,
        made: &Made,
        model: &str,
        texts: impl Iterator<Item = (&'a str, Vec<u8>)>,
    ) -> Result<()> {
        self.write(made.writing, |tx| {
            let mut statement = tx.prepare_cached(made.insert)?;
            for (text, bytes) in texts {
                statement.execute(params![model, text_hash(text), bytes])?;
            }
            Ok(())
        })
    }

    /// How many vectors are cached, of all models.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn vector_count(&self) -> Result<usize> {
        self.read("cannot be read (vectors)", |tx| {
            tx.query_row("SELECT count(*) FROM vectors", [], |row| super::count(row, 0))
        })
    }
}

/// What details are stored under.
fn of_details(model: &Fingerprint, kind: DetailKind) -> String {
    let mut model = model.clone();
    model.0.insert("details".to_owned(), kind.name().to_owned());
    model.short()
}

pub(super) fn text_hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `None` if the bytes are not a vector of finite numbers: then the text is embedded again.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    (rest.is_empty() && !vector.is_empty() && vector.iter().all(|v| v.is_finite()))
        .then_some(vector)
}
