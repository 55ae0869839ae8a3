//! What a question sees: a generation of the index with the very documents that it was cut from.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::error::Result;
use crate::base::{Document, DocumentId, Fingerprint};
use crate::index::{Generation, Index, Opened};
use crate::library::Library;

/// A generation held open, with its documents. It stays as it is, whatever is published meanwhile,
/// and is released with the last question that holds it.
pub struct Snapshot {
    opened: Opened,
    library: Arc<Library>,
}

impl Snapshot {
    /// Its index.
    pub fn index(&self) -> &Opened {
        &self.opened
    }

    /// Its generation.
    pub fn generation(&self) -> &Generation {
        &self.opened.generation
    }

    /// A document that its chunks were cut from. Documents are named by their content, so one that
    /// was cleaned otherwise since is another.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::NotFound`] with its name if it is not there,
    /// [`crate::base::error::ErrorKind::Library`] if it is damaged.
    pub fn document(&self, id: &DocumentId) -> Result<Document> {
        self.library.document(id)
    }
}

/// The snapshot that the next question gets.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<Option<Arc<Snapshot>>>);

impl Snapshots {
    /// The live generation: the one that is held if it still is that, else opened.
    ///
    /// # Errors
    /// If there is none, it is damaged, or other settings made it than those `wanted`.
    pub(super) fn current(
        &self,
        index: &Index,
        wanted: &Fingerprint,
        library: &Arc<Library>,
    ) -> Result<Arc<Snapshot>> {
        let live = index.live()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = kept.as_ref()
            && Some(snapshot.generation()) == live.as_ref()
        {
            return Ok(Arc::clone(snapshot));
        }
        // The old one goes with the last question that holds it.
        *kept = None;
        let snapshot =
            Arc::new(Snapshot { opened: index.open(wanted)?, library: Arc::clone(library) });
        *kept = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}
