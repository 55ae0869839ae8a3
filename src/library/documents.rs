//! Cleaned documents, each under the hash of what it holds.
//!
//! Stored is the zlib stream of the document's JSON; the id is the SHA-256 of that JSON. So equal
//! documents are kept once, and one that was damaged is found out when it is read.

use std::collections::HashSet;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use super::{Library, Sql, damaged, damaged_by};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleId, Document, DocumentId, hex};

/// Ways of cleaning whose documents are kept when nothing else names them: the last ones used.
const CLEANINGS: usize = 3;

/// Stores a document, if it isn't there.
pub(super) fn put(tx: &Transaction<'_>, document: &Document) -> Sql<DocumentId> {
    let failed = |error| rusqlite::Error::ToSqlConversionFailure(error);
    let json = serde_json::to_vec(document).map_err(|error| failed(Box::new(error)))?;
    let id = id_of(&json);
    let mut there = tx.prepare_cached("SELECT 1 FROM documents WHERE id = ?1")?;
    if !there.exists([&id.0])? {
        let mut stream = ZlibEncoder::new(Vec::new(), Compression::default());
        let data = stream.write_all(&json).and_then(|()| stream.finish());
        let data = data.map_err(|error| failed(Box::new(error)))?;
        tx.prepare_cached("INSERT INTO documents (id, data) VALUES (?1, ?2)")?
            .execute(params![id.0, data])?;
    }
    Ok(id)
}

fn id_of(json: &[u8]) -> DocumentId {
    DocumentId(hex(&Sha256::digest(json)[..16]))
}

fn unpack(id: &DocumentId, data: &[u8]) -> Sql<Document> {
    let row = format!("the document {id}");
    let mut json = Vec::new();
    ZlibDecoder::new(data)
        .read_to_end(&mut json)
        .map_err(|error| damaged_by("data", &row, Some(Box::new(error))))?;
    if id_of(&json) != *id {
        return Err(damaged("data", row));
    }
    serde_json::from_slice(&json).map_err(|error| damaged_by("data", row, Some(Box::new(error))))
}

impl Library {
    /// A cleaned document, the same as long as it is kept, whatever becomes of its article.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not kept; [`ErrorKind::Library`] if it is damaged.
    pub fn document(&self, id: &DocumentId) -> Result<Document> {
        let found = self.read("cannot be read (document)", |tx| {
            tx.prepare_cached("SELECT data FROM documents WHERE id = ?1")?
                .query_row([&id.0], |row| Ok(unpack(id, row.get_ref(0)?.as_blob()?)))
                .optional()?
                .transpose()
        })?;
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the document {id} is not in the library {}", self.path().display()),
            )
            .hint("the index is of another library")
            .step(Step::Rebuild)
        })
    }

    /// Whether a document is known to be of other articles and not of this one. Of one that no
    /// article has any more, nobody knows whose it was.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn is_of_others(&self, document: &DocumentId, article: &ArticleId) -> Result<bool> {
        self.read("cannot be read (document)", |tx| {
            tx.prepare_cached(
                "SELECT count(*) > 0 AND total(article_id = ?2) = 0 FROM cleaned WHERE document = ?1",
            )?
            .query_row([&document.0, &article.0], |row| row.get(0))
        })
    }

    /// How many documents are kept.
    ///
    /// # Errors
    /// If the library can't be read.
    pub fn documents_kept(&self) -> Result<usize> {
        self.read("cannot be read (documents)", |tx| {
            tx.query_row("SELECT count(*) FROM documents", [], |row| super::count(row, 0))
        })
    }

    /// Deletes the documents that neither an article has now nor `keep` names; how many. To be
    /// called while nobody makes an index: a generation that is being made is not yet known.
    ///
    /// # Errors
    /// If the library can't be written.
    pub fn prune_documents(&self, keep: &HashSet<DocumentId>) -> Result<usize> {
        self.write("cannot be written (documents)", |tx| {
            // Settings that were tried and left behind keep nothing.
            let mut old: Vec<String> = tx
                .prepare("SELECT cleaning FROM cleanings ORDER BY upto DESC, cleaning")?
                .query_map([], |row| row.get(0))?
                .collect::<Sql<_>>()?;
            for cleaning in old.drain(CLEANINGS.min(old.len())..) {
                for table in ["cleaned", "learned", "cleanings"] {
                    tx.execute(&format!("DELETE FROM {table} WHERE cleaning = ?1"), [&cleaning])?;
                }
            }
            let unused: Vec<String> = tx
                .prepare(
                    "SELECT id FROM documents d WHERE NOT EXISTS
                         (SELECT 1 FROM cleaned c WHERE c.document = d.id)",
                )?
                .query_map([], |row| row.get(0))?
                .collect::<Sql<_>>()?;
            let mut delete = tx.prepare("DELETE FROM documents WHERE id = ?1")?;
            let mut deleted = 0;
            for id in unused.into_iter().map(DocumentId).filter(|id| !keep.contains(id)) {
                deleted += delete.execute([&id.0])?;
            }
            Ok(deleted)
        })
    }
}
