//! Whether what was written is what should have been.

use std::collections::BTreeMap;
use std::path::Path;

use super::delta::{DeltaReader, Newest};
use super::fill::{Filling, Sample, Work};
use super::store::{Select, Store};
use super::{HeldArticles, opened};
use crate::base::ArticleId;
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::infer::Purpose;

/// The least cosine of a known vector with what its text is embedded as today.
const SAME: f32 = 0.999;

fn incomplete(article: Option<&ArticleId>) -> Error {
    Error::new(
        ErrorKind::Index,
        format!(
            "the new index is not complete (article {}), and was not made live",
            article.map_or("?", |id| id.0.as_str())
        ),
    )
    .hint("run the same command again")
    .step(Step::Rebuild)
}

/// Whether a store holds exactly the chunks that it should.
pub(super) fn whole(store: &dyn Store, held: &HeldArticles) -> Result<()> {
    let mut found: BTreeMap<ArticleId, usize> = BTreeMap::new();
    store.scan(&Select::All, &mut |point| {
        *found.entry(point.article_id).or_default() += 1;
        Ok(())
    })?;
    let wrong = held.iter().find(|(id, article)| found.remove(*id).unwrap_or(0) != article.chunks);
    match wrong.map(|(id, _)| id).or(found.keys().next()) {
        None => Ok(()),
        wrong => Err(incomplete(wrong)),
    }
}

/// Whether a store holds of the articles that were written what it should.
pub(super) fn written(store: &dyn Store, filling: &Filling<'_>) -> Result<()> {
    for id in &filling.written {
        let mut found = 0;
        store.scan(&Select::Article(id.clone()), &mut |_| {
            found += 1;
            Ok(())
        })?;
        if filling.held.get(id).is_none_or(|held| held.chunks != found) {
            return Err(incomplete(Some(id)));
        }
    }
    Ok(())
}

/// Whether a delta holds from `from` on what was written to it.
pub(super) fn delta(folder: &Path, from: u64, bytes: u64, filling: &Filling<'_>) -> Result<()> {
    let read = DeltaReader::open_at(&folder.join(opened::DELTA), from, bytes)?;
    let newest: Newest = read.newest()?;
    for id in &filling.written {
        let wanted = filling.held.get(id).map(|held| held.chunks);
        if wanted.is_none() || newest.points(id) != wanted {
            return Err(incomplete(Some(id)));
        }
    }
    Ok(())
}

/// Whether vectors that were known are what the embedder makes today: a sample is embedded again.
pub(super) fn spot(work: &Work<'_>, known: &Sample) -> Result<()> {
    if known.drawn.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = known.drawn.iter().map(|(text, _)| text.as_str()).collect();
    let fresh = work.embedder.embed(&texts, Purpose::Passage)?;
    for ((_, known), fresh) in known.drawn.iter().zip(&fresh) {
        let cosine: f32 = known.iter().zip(fresh).map(|(a, b)| a * b).sum();
        if cosine < SAME {
            return Err(Error::new(
                ErrorKind::Library,
                format!("vectors in the library are not this embedder's (cosine {cosine:.3})"),
            )
            .step(Step::VerifyModels)
            .hint("report this"));
        }
    }
    Ok(())
}
