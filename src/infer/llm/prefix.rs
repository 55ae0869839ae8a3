//! The computed beginnings of prompts, kept from one start of the program to the next.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::base::error::{Error, Result};
use crate::base::{files, hex};

/// What each file begins with.
const MAGIC: &[u8; 8] = b"WRPREFIX";

/// The version of the files' layout.
const FORMAT: u32 = 1;

/// The version of what stands in a model's keys and values: goes up when their layout changes, or
/// the numbers that the forward pass computes.
const COMPUTED: u32 = 3;

/// Files that are kept; beyond them the oldest go.
const MOST_FILES: usize = 8;

/// The largest file: a longer beginning is computed each time.
const MOST_BYTES: u64 = 128 << 20;

/// Fewer tokens are computed about as quickly as they are read.
const FEWEST_TOKENS: usize = 8;

const ENDING: &str = "kv";
const SUM: usize = 32;

/// Whether a beginning is long enough to be kept.
pub(super) fn is_worth(tokens: &[u32]) -> bool {
    tokens.len() >= FEWEST_TOKENS
}

/// A folder of beginnings for one model. None of its files is needed: what is not there, broken or
/// of something else is computed.
pub(super) struct Prefixes {
    folder: PathBuf,
    model: String,
    /// One was computed here and could not be written: no other is tried.
    is_off: bool,
}

impl Prefixes {
    /// `model` is the SHA-256 of its file, or whatever else no two models share.
    ///
    /// # Errors
    /// If there is no such folder and it can't be made.
    pub(super) fn open(folder: &Path, model: &str) -> Result<Prefixes> {
        fs_err::create_dir_all(folder)
            .map_err(|error| Error::io("cannot keep the beginnings of prompts", error))?;
        Ok(Prefixes { folder: folder.to_owned(), model: model.to_owned(), is_off: false })
    }

    /// Keys and values of tokens, if they are kept.
    pub(super) fn get(&self, tokens: &[u32]) -> Option<Vec<u8>> {
        let path = self.path(tokens);
        if fs_err::metadata(&path).ok()?.len() > MOST_BYTES {
            return None;
        }
        let mut bytes = fs_err::read(&path).ok()?;
        let body = bytes.len().checked_sub(SUM)?;
        if Sha256::digest(&bytes[..body])[..] != bytes[body..] {
            return None;
        }
        bytes.truncate(body);
        // The header says of what the rest is, to the last token.
        let header = self.header(tokens);
        bytes.starts_with(&header).then(|| bytes.split_off(header.len()))
    }

    /// Keeps keys and values of tokens, as far as that can be done.
    pub(super) fn put(&mut self, tokens: &[u32], computed: &[u8]) {
        let mut bytes = self.header(tokens);
        let size = bytes.len() + computed.len() + SUM;
        if self.is_off || u64::try_from(size).map_or(true, |size| size > MOST_BYTES) {
            return;
        }
        bytes.reserve_exact(size - bytes.len());
        bytes.extend_from_slice(computed);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        self.is_off = files::write(&self.path(tokens), &bytes).is_err();
        self.sweep();
    }

    fn header(&self, tokens: &[u32]) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.extend(FORMAT.to_le_bytes());
        header.extend(COMPUTED.to_le_bytes());
        header.extend((self.model.len() as u64).to_le_bytes());
        header.extend(self.model.bytes());
        header.extend((tokens.len() as u64).to_le_bytes());
        header.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
        header
    }

    fn path(&self, tokens: &[u32]) -> PathBuf {
        let name = hex(&Sha256::digest(self.header(tokens))[..16]);
        self.folder.join(name).with_extension(ENDING)
    }

    /// Removes the oldest files beyond [`MOST_FILES`], and what was left unfinished.
    fn sweep(&self) {
        files::sweep(&self.folder);
        let Ok(entries) = fs_err::read_dir(&self.folder) else { return };
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let Ok(written) = fs_err::metadata(&path).and_then(|meta| meta.modified()) else {
                continue;
            };
            if path.extension().is_some_and(|extension| extension == ENDING) {
                kept.push((written, path));
            }
        }
        kept.sort();
        for (_, path) in kept.iter().rev().skip(MOST_FILES) {
            let _ = fs_err::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tokens(first: u32) -> Vec<u32> {
        (first..first + 20).collect()
    }

    #[test]
    fn what_was_put_is_got_for_the_same_tokens_of_the_same_model_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut prefixes = Prefixes::open(&folder.path().join("new"), "a").unwrap();
        assert_eq!(prefixes.get(&tokens(1)), None);
        prefixes.put(&tokens(1), b"computed");
        assert_eq!(prefixes.get(&tokens(1)).as_deref(), Some(&b"computed"[..]));
        assert_eq!(prefixes.get(&tokens(2)), None);
        assert_eq!(prefixes.get(&tokens(1)[..19]), None);
        let other = Prefixes::open(&folder.path().join("new"), "b").unwrap();
        assert_eq!(other.get(&tokens(1)), None);
        // Nor under the name of what is looked for.
        fs_err::copy(prefixes.path(&tokens(1)), other.path(&tokens(1))).unwrap();
        fs_err::copy(prefixes.path(&tokens(1)), prefixes.path(&tokens(2))).unwrap();
        assert_eq!(other.get(&tokens(1)), None);
        assert_eq!(prefixes.get(&tokens(2)), None);
    }

    #[test]
    fn a_damaged_file_is_not_used_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut prefixes = Prefixes::open(folder.path(), "a").unwrap();
        prefixes.put(&tokens(1), b"computed");
        let path = prefixes.path(&tokens(1));
        let whole = fs_err::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs_err::write(&path, &bytes).unwrap();
            assert_eq!(prefixes.get(&tokens(1)), None, "byte {at}");
            fs_err::write(&path, &whole[..at]).unwrap();
            assert_eq!(prefixes.get(&tokens(1)), None, "{at} bytes");
        }
        fs_err::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(prefixes.get(&tokens(1)), None);
        prefixes.put(&tokens(1), b"computed");
        assert_eq!(fs_err::read(&path).unwrap(), whole);
    }

    /// A file whose sum is right is still of the version that wrote it.
    #[test]
    fn a_file_of_another_version_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let mut prefixes = Prefixes::open(folder.path(), "a").unwrap();
        prefixes.put(&tokens(1), b"computed");
        let path = prefixes.path(&tokens(1));
        let whole = fs_err::read(&path).unwrap();
        for at in [0, MAGIC.len(), MAGIC.len() + 4] {
            let mut bytes = whole[..whole.len() - SUM].to_vec();
            bytes[at] += 1;
            let sum = Sha256::digest(&bytes);
            bytes.extend_from_slice(&sum);
            fs_err::write(&path, &bytes).unwrap();
            assert_eq!(prefixes.get(&tokens(1)), None, "byte {at}");
        }
    }

    #[test]
    fn only_the_newest_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut prefixes = Prefixes::open(folder.path(), "a").unwrap();
        let start = SystemTime::now() - Duration::from_secs(7200);
        fs_err::write(folder.path().join("notes.txt"), "mine").unwrap();
        for name in [".tmpold", ".tmpnew"] {
            fs_err::write(folder.path().join(name), "half").unwrap();
        }
        let set = |path: &Path, age| {
            let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
            file.file().set_modified(start + Duration::from_secs(age)).unwrap();
        };
        set(&folder.path().join(".tmpold"), 0);
        for n in 0..12 {
            prefixes.put(&tokens(n), b"computed");
            set(&prefixes.path(&tokens(n)), u64::from(n));
        }
        let held: Vec<u32> = (0..12).filter(|n| prefixes.get(&tokens(*n)).is_some()).collect();
        assert_eq!(held, (4..12).collect::<Vec<_>>());
        assert!(folder.path().join("notes.txt").is_file());
        assert!(folder.path().join(".tmpnew").is_file());
        assert!(!folder.path().join(".tmpold").exists());
    }

    #[test]
    fn a_folder_that_takes_nothing_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut prefixes = Prefixes::open(&folder.path().join("gone"), "a").unwrap();
        fs_err::remove_dir(folder.path().join("gone")).unwrap();
        prefixes.put(&tokens(1), b"computed");
        assert!(prefixes.is_off);
        assert_eq!(prefixes.get(&tokens(1)), None);
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        assert!(Prefixes::open(&file.join("below"), "a").is_err());
    }
}
