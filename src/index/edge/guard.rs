//! Calls into a shard, which panics where a disk is full or a file damaged.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use qdrant_edge::OperationError;

use crate::base::error::{Error, ErrorKind, Result, Step};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a call whose panic becomes an error; a panic hook says nothing
/// then.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a call into the shard. It panics where a disk is full or a file damaged: that becomes an
/// error like the others.
pub(super) fn guard<T>(doing: &str, call: impl FnOnce() -> Result<T, OperationError>) -> Result<T> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    let cause = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it panicked".to_owned()),
    };
    let cause = cause.strip_prefix("Service runtime error: ").unwrap_or(&cause).to_owned();
    // The shard gives causes as text alone: the operating system's codes for a full disk, a
    // quota and a file size limit stand in it.
    let is_full = ["os error 28", "os error 27", "os error 122", "code: 27", "No space left"]
        .iter()
        .any(|code| cause.contains(code));
    Err(if is_full {
        Error::new(ErrorKind::DiskFull, doing)
            .hint("free some space and run the same command again; nothing stored is lost")
    } else {
        Error::new(ErrorKind::Index, doing).step(Step::Rebuild)
    }
    .caused_by(cause))
}
