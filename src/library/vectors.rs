//! The vector cache: no text is embedded twice by the same model.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Library, Sql};
use crate::base::Fingerprint;
use crate::base::error::Result;
use crate::infer::details::{Details, Kind};

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
        let model = model.short();
        self.read("cannot be read (vectors)", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT vector FROM vectors WHERE fingerprint = ?1 AND text_hash = ?2",
            )?;
            texts
                .iter()
                .map(|text| {
                    let vector = statement
                        .query_row(params![model, text_hash(text)], |row| {
                            row.get_ref(0)?.as_blob().map(from_bytes).map_err(Into::into)
                        })
                        .optional()?;
                    Ok(vector.flatten())
                })
                .collect::<Sql<Vec<_>>>()
        })
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
        let model = model.short();
        self.write("cannot be written (vectors)", |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT OR REPLACE INTO vectors (text_hash, fingerprint, vector)
                 VALUES (?1, ?2, ?3)",
            )?;
            for (text, vector) in vectors {
                statement.execute(params![text_hash(text), model, to_bytes(vector)])?;
            }
            Ok(())
        })
    }

    /// The details of texts, in their order; `None` where they have not been made by this model.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn cached_details(
        &self,
        model: &Fingerprint,
        kind: Kind,
        texts: &[&str],
    ) -> Result<Vec<Option<Details>>> {
        let model = of_details(model, kind);
        self.read("cannot be read (details)", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT details FROM details WHERE fingerprint = ?1 AND text_hash = ?2",
            )?;
            texts
                .iter()
                .map(|text| {
                    let details = statement
                        .query_row(params![model, text_hash(text)], |row| {
                            row.get_ref(0)?.as_blob().map(Details::from_bytes).map_err(Into::into)
                        })
                        .optional()?;
                    Ok(details.flatten())
                })
                .collect::<Sql<Vec<_>>>()
        })
    }

    /// Keeps details, all or none.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn cache_details<'a>(
        &self,
        model: &Fingerprint,
        kind: Kind,
        details: impl IntoIterator<Item = (&'a str, &'a Details)>,
    ) -> Result<()> {
        let model = of_details(model, kind);
        self.write("cannot be written (details)", |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT OR REPLACE INTO details (text_hash, fingerprint, details)
                 VALUES (?1, ?2, ?3)",
            )?;
            for (text, details) in details {
                statement.execute(params![text_hash(text), model, details.to_bytes()])?;
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
fn of_details(model: &Fingerprint, kind: Kind) -> String {
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
