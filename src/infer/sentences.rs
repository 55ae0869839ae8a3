//! Sentences of texts, each embedded by itself.

use std::ops::Range;

use super::details::Details;
use super::{Embedder, Purpose};
use crate::base::error::Result;
use crate::document::sentence::sentences;

/// Bytes of a sentence that are embedded: a table or a listing can be one.
const LONGEST: usize = 600;

/// The details of texts by their sentences, in the texts' order.
///
/// # Errors
/// If the embedder fails.
pub fn of_sentences(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Details>> {
    let ranges: Vec<Vec<Range<usize>>> = texts
        .iter()
        .map(|text| {
            let all = sentences(text).into_iter();
            all.filter(|range| !text[range.clone()].trim().is_empty()).collect()
        })
        .collect();
    let mut said = Vec::new();
    for (text, ranges) in texts.iter().zip(&ranges) {
        for range in ranges {
            said.push(head(embedder, text[range.clone()].trim())?);
        }
    }
    let mut vectors = embedder.embed(&said, Purpose::Passage)?.into_iter();
    let with_vectors =
        ranges.into_iter().map(|ranges| ranges.into_iter().zip(vectors.by_ref()).collect());
    Ok(with_vectors.map(|all| Details::sentences(embedder.dimensions(), all)).collect())
}

/// As much of a text's beginning as the embedder takes.
///
/// # Errors
/// If the embedder fails.
pub fn head<'a>(embedder: &dyn Embedder, text: &'a str) -> Result<&'a str> {
    let mut head = &text[..text.floor_char_boundary(LONGEST)];
    while embedder.count_tokens(head, Purpose::Passage)? > embedder.max_tokens() {
        head = &head[..head.floor_char_boundary(head.len() / 2)];
    }
    Ok(head)
}
