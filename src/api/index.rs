//! Shapes of what is said of an index.

use serde::Serialize;

use crate::base::error::Result;
use crate::engine::KnowledgeBase;
use crate::index::{Built, Generation, Verified};

/// The generations of an index, and how they stand to the library.
#[derive(Debug, Serialize)]
pub struct IndexShape {
    /// The live generation's name.
    pub live: Option<String>,
    /// All of them, oldest first.
    pub generations: Vec<GenerationShape>,
    /// Articles of the library that the live generation lacks, or has in an older state.
    pub pending: usize,
    /// Articles of the live generation that the library no longer has.
    pub gone: usize,
    /// Vectors that the library keeps.
    pub vectors: usize,
}

/// One generation of [`IndexShape`].
#[derive(Debug, Serialize)]
pub struct GenerationShape {
    /// Itself.
    #[serde(flatten)]
    pub generation: Generation,
    /// 16 hexadecimal digits for its fingerprint.
    pub fingerprint_short: String,
    /// Bytes that it takes on the disk; what it shares with others counts in each.
    pub bytes: u64,
}

impl IndexShape {
    /// How the index of a knowledge base stands.
    ///
    /// # Errors
    /// If index or library can't be read.
    pub fn of(kb: &KnowledgeBase) -> Result<IndexShape> {
        let index = kb.index();
        let live = index.live()?;
        let (mut pending, mut gone, mut vectors) = (0, 0, 0);
        if let Some(library) = kb.existing_library()? {
            match &live {
                Some(live) => {
                    let difference = index.pending(&library, &kb.config().clean, live)?;
                    (pending, gone) = (difference.articles.len(), difference.removed.len());
                }
                None => pending = library.article_count()?,
            }
            vectors = library.vector_count()?;
        }
        let generations = index
            .generations()?
            .into_iter()
            .map(|generation| GenerationShape {
                bytes: index.bytes(&generation),
                fingerprint_short: generation.fingerprint.short(),
                generation,
            })
            .collect();
        Ok(IndexShape { live: live.map(|live| live.id), generations, pending, gone, vectors })
    }
}

/// What a comparison of index and library found, and what was done about it.
#[derive(Debug, Serialize)]
pub struct VerifiedShape<'a> {
    /// What was found.
    #[serde(flatten)]
    pub verified: &'a Verified,
    /// What was written anew.
    pub repaired: Option<&'a Built>,
}
