//! Bytes that lie in a mapped file or in memory.
#![expect(unsafe_code, reason = "the system can't promise that a mapped file stays as it is")]

use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// A file mapped for reading: its pages come when they are read, and go when memory is short.
pub struct Mapped(Mmap);

impl Mapped {
    /// Maps a file whole. It must not be written or cut while it is mapped: files of models are
    /// made under another name, moved to theirs when they are complete, and never changed.
    ///
    /// # Errors
    /// If the system can't map it.
    pub fn new(file: &fs_err::File) -> std::io::Result<Mapped> {
        // SAFETY: nobody of this program changes such a file; one who does it from without makes
        // wrong answers of it or ends this process, but there is no way to hinder him.
        unsafe { Mmap::map(file.file()) }.map(Mapped)
    }

    /// Says that these bytes will not be read soon: their pages leave this process's memory.
    pub fn let_go(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            let page = 4096;
            let start = range.start.next_multiple_of(page);
            let len = range.end.saturating_sub(start) / page * page;
            if len > 0 {
                // SAFETY: the pages of a file that is only read can be dropped at any time: they
                // come back from the file.
                let told = unsafe {
                    self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, len)
                };
                // It is advice.
                let _ = told;
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes, wherever they are.
pub enum Bytes {
    /// A part of a file.
    Mapped(Arc<Mapped>, Range<usize>),
    /// In memory.
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(file, range) => &file[range.clone()],
            Bytes::Owned(bytes) => bytes,
        }
    }
}
