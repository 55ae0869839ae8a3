//! What repeats across a source's articles, learned from the keys of its newest ones.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use super::cleaning::Cleaning;
use super::{Sql, damaged};
use crate::base::{ArticleId, SourceId, hex};
use crate::document::html::{self, Repeated};

/// The newest articles of a source, from which what repeats is learned.
const LEARN_FROM: usize = 300;
pub(super) fn to_bytes(keys: &BTreeSet<u64>) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_be_bytes()).collect()
}

pub(super) fn to_keys(bytes: &[u8], row: &str) -> Sql<BTreeSet<u64>> {
    let (keys, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(damaged("keys", row));
    }
    Ok(keys.iter().map(|key| u64::from_be_bytes(*key)).collect())
}

/// The name of a set of keys; empty for none.
pub(super) fn hash_of(keys: &Repeated) -> String {
    if keys.0.is_empty() {
        return String::new();
    }
    hex(&Sha256::digest(to_bytes(&keys.0))[..16])
}

/// What was last learned of a source.
pub(super) fn learned(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    source: &SourceId,
) -> Sql<Repeated> {
    let row_name = format!("the learned set of {source}");
    let found = tx
        .prepare_cached("SELECT keys, hash FROM learned WHERE cleaning = ?1 AND source_id = ?2")?
        .query_row([&cleaning.name, &source.0], |row| {
            let keys = Repeated(to_keys(row.get_ref(0)?.as_blob()?, &row_name)?);
            if row.get_ref(1)?.as_str()? != hash_of(&keys) {
                return Err(damaged("keys", &row_name));
            }
            Ok(keys)
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Learns what repeats across a source's newest articles; whether that is another set now.
pub(super) fn learn(tx: &Transaction<'_>, cleaning: &Cleaning<'_>, source: &SourceId) -> Sql<bool> {
    let is_there = tx.prepare_cached("SELECT 1 FROM sources WHERE id = ?1")?.exists([&source.0])?;
    if !is_there || cleaning.keeps(source) {
        return Ok(false);
    }
    let mut keys: Vec<BTreeSet<u64>> = Vec::new();
    if cleaning.options.repeated {
        let mut statement = tx.prepare_cached(
            "SELECT keys, article_id FROM cleaned INDEXED BY cleaned_newest
             WHERE cleaning = ?1 AND source = ?2 ORDER BY at DESC, article_id DESC LIMIT ?3",
        )?;
        let mut rows = statement.query(params![cleaning.name, source.0, LEARN_FROM as i64])?;
        while let Some(row) = rows.next()? {
            let name = format!("the article {}", row.get_ref(1)?.as_str()?);
            keys.push(to_keys(row.get_ref(0)?.as_blob()?, &name)?);
        }
    }
    let new = html::learn_repeated(&keys, cleaning.options);
    if new == learned(tx, cleaning, source)? {
        return Ok(false);
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO learned (cleaning, source_id, keys, hash) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![cleaning.name, source.0, to_bytes(&new.0), hash_of(&new)])?;
    Ok(true)
}

/// Articles of a source whose document is not what the learned set makes of them.
pub(super) fn affected(
    tx: &Transaction<'_>,
    cleaning: &Cleaning<'_>,
    source: &SourceId,
) -> Sql<Vec<ArticleId>> {
    let set = learned(tx, cleaning, source)?;
    let mut statement = tx.prepare_cached(
        "SELECT article_id, learned, keys FROM cleaned INDEXED BY cleaned_newest
         WHERE cleaning = ?1 AND source = ?2",
    )?;
    let mut rows = statement.query([&cleaning.name, &source.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ArticleId(row.get(0)?);
        let keys = to_keys(row.get_ref(2)?.as_blob()?, &format!("the article {id}"))?;
        if row.get_ref(1)?.as_str()? != hash_of(&set.among(&keys)) {
            found.push(id);
        }
    }
    Ok(found)
}
