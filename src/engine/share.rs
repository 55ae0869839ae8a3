//! Embedding shared among machines: each embeds its part of the chunks, one takes the files in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::KnowledgeBase;
use crate::base::error::Result;
use crate::base::{Filter, Watch};
use crate::infer::Purpose;
use crate::library::{shard_of, to_file};

/// Texts that are embedded between two looks at Ctrl-C.
const BATCH: usize = 32;
/// What is said to be going on.
const TASK: &str = "Embedding chunks";

/// What a machine has embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// A file of vectors, for [`KnowledgeBase::take_vectors`].
    pub file: Vec<u8>,
    /// Vectors in it.
    pub vectors: usize,
    /// Those of them that were not known before.
    pub embedded: usize,
}

impl KnowledgeBase {
    /// Takes files of vectors into the library, each whole or not at all; how many vectors.
    ///
    /// # Errors
    /// If a file is damaged, or of another model.
    pub fn take_vectors(&self, files: &[impl AsRef<Path>], watch: &Watch<'_>) -> Result<usize> {
        let library = self.filled_library()?;
        let model = self.embedder_spec()?.fingerprint();
        let mut taken = 0;
        for file in files {
            watch.cancel.check()?;
            taken += library.take_vectors(file.as_ref(), &model)?;
        }
        Ok(taken)
    }

    /// Embeds the chunks of one share of `of`, from 1; what is known already is not embedded again.
    ///
    /// # Errors
    /// If an article can't be cut, or the embedder or the library fails.
    pub fn embed_share(&self, which: u32, of: u32, watch: &Watch<'_>) -> Result<Shared> {
        let library = self.filled_library()?;
        let embedder = self.embedder(watch)?;
        let model = embedder.fingerprint();
        library.ensure_cleaned(&self.config().clean, watch.events, watch.cancel)?;
        let mut texts = BTreeSet::new();
        for info in library.articles(&Filter::default())? {
            watch.cancel.check()?;
            let Some(document) = self.document_of(&info.meta.id)? else { continue };
            let chunks = self.chunks_of(&info.meta, &document, watch)?;
            let of_share = chunks.into_iter().map(|chunk| chunk.embedded_text);
            texts.extend(of_share.filter(|text| shard_of(text, of) == which));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut vectors: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        let mut missing = Vec::new();
        for (text, known) in texts.iter().zip(library.cached_vectors(&model, &texts)?) {
            match known {
                Some(vector) => drop(vectors.insert(text, vector)),
                None => missing.push(*text),
            }
        }
        // Like lengths go together.
        missing.sort_by_key(|text| text.len());
        for (at, batch) in missing.chunks(BATCH).enumerate() {
            watch.cancel.check()?;
            watch.progress(TASK, at * BATCH, missing.len());
            let new = embedder.embed(batch, Purpose::Passage)?;
            // A share that is broken off goes on where it was.
            let pairs = batch.iter().copied().zip(new.iter().map(Vec::as_slice));
            library.cache_vectors(&model, pairs)?;
            vectors.extend(batch.iter().copied().zip(new));
        }
        watch.done(TASK);
        Ok(Shared {
            file: to_file(&model, &vectors)?,
            vectors: vectors.len(),
            embedded: missing.len(),
        })
    }
}
