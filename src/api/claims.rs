//! The JSON shape of a checked draft.

use jiff::Timestamp;
use serde::Serialize;

use crate::answer::cite::{Evidence, Missing};
use crate::answer::claims::{Claim, Count, Verdict};
use crate::base::ArticleId;
use crate::retrieve::Passage;

/// A checked draft; schema `schema/cite.json`.
#[derive(Debug, Serialize)]
pub struct ClaimsShape<'a> {
    /// The draft.
    pub text: &'a str,
    /// How many of its sentences have which verdict.
    pub count: Count,
    /// Its sentences, in order.
    pub sentences: Vec<ClaimShape<'a>>,
}

/// One sentence of [`ClaimsShape`].
#[derive(Debug, Serialize)]
pub struct ClaimShape<'a> {
    /// First byte and byte after the last, in the draft.
    pub range: [usize; 2],
    /// The sentence.
    pub text: &'a str,
    /// `supported`, `unsure`, `unsupported` or `no_claim`.
    pub verdict: &'static str,
    /// What is missing in the place that comes nearest; null unless unsupported.
    pub missing: Option<&'a Missing>,
    /// The places that support it, or, if unsure or unsupported, those that come nearest; best first.
    pub places: Vec<PlaceShape<'a>>,
}

/// One place of [`ClaimShape`].
#[derive(Debug, Serialize)]
pub struct PlaceShape<'a> {
    /// The article.
    pub article_id: &'a ArticleId,
    /// The article's revision.
    pub revision: u32,
    /// The article's link.
    pub url: Option<&'a str>,
    /// The article's title.
    pub title: &'a str,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
    /// The text of that range.
    pub text: &'a str,
    /// The share of the sentence's content words that stands there; null if unsupported.
    pub coverage: Option<f32>,
}

impl<'a> ClaimsShape<'a> {
    /// The JSON shape of a checked draft.
    pub fn new(text: &'a str, claims: &'a [Claim]) -> ClaimsShape<'a> {
        ClaimsShape {
            text,
            count: Count::of(claims),
            sentences: claims.iter().map(ClaimShape::new).collect(),
        }
    }
}

impl<'a> ClaimShape<'a> {
    fn new(claim: &'a Claim) -> ClaimShape<'a> {
        let at = |evidence: &'a [Evidence]| -> Vec<PlaceShape<'a>> {
            evidence.iter().filter_map(|found| PlaceShape::of(&claim.passages, found)).collect()
        };
        let (verdict, missing, places) = match &claim.verdict {
            Verdict::Supported(evidence) => ("supported", None, at(evidence)),
            Verdict::Unsure(evidence) => ("unsure", None, at(evidence)),
            Verdict::Unsupported(missing) => {
                let nearest = claim.passages.first().map(PlaceShape::whole);
                ("unsupported", Some(missing), nearest.into_iter().collect())
            }
            Verdict::NoClaim => ("no_claim", None, Vec::new()),
        };
        let range = [claim.range.start, claim.range.end];
        ClaimShape { range, text: &claim.text, verdict, missing, places }
    }
}

impl<'a> PlaceShape<'a> {
    /// A whole passage.
    fn whole(passage: &'a Passage) -> PlaceShape<'a> {
        PlaceShape {
            article_id: &passage.article.id,
            revision: passage.revision,
            url: passage.article.url.as_deref(),
            title: &passage.article.title,
            published: passage.article.published,
            heading_path: &passage.heading_path,
            range: [passage.range.start, passage.range.end],
            text: &passage.text,
            coverage: None,
        }
    }

    /// Where evidence stands; `None` if that is no place of the passages.
    fn of(passages: &'a [Passage], evidence: &Evidence) -> Option<PlaceShape<'a>> {
        let passage = passages.iter().find(|passage| passage.n == evidence.n)?;
        Some(PlaceShape {
            range: [evidence.range.start, evidence.range.end],
            text: passage.within(&evidence.range)?,
            coverage: Some(evidence.coverage),
            ..PlaceShape::whole(passage)
        })
    }
}
