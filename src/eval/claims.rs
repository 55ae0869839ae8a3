//! Labelled claims: how often the check of a draft is right about them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::set::Gold;
use super::stats::{Estimate, bootstrap_of};
use crate::answer::claims::{Claim, Verdict};
use crate::base::error::Result;

/// One line of a set of claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// Unique in its set.
    pub id: String,
    /// What is claimed, a sentence.
    pub claim: String,
    /// What kind of claim it is: a paraphrase, or in which way it is false.
    pub kind: String,
    /// Whether the articles support it.
    pub holds: bool,
    /// Where what is true of it stands.
    pub gold: Vec<Gold>,
    /// `dev` for tuning, `test` for the last word.
    pub split: Option<String>,
}

/// Reads a set of claims; blank lines are passed over.
///
/// # Errors
/// [`ErrorKind::Parse`](crate::base::error::ErrorKind) with every malformed line and every id that stands twice, by line number.
pub fn parse(text: &str) -> Result<Vec<Labelled>> {
    let lines = Lines::<Labelled> {
        id: |claim| &claim.id,
        flaw: |_| None,
        hint: "each line is an object with id, claim, kind, holds, gold and split",
    };
    let claims = lines.read("the claims are", text)?;
    Ok(claims.into_iter().map(|(_, claim)| claim).collect())
}

/// What became of a labelled claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Which.
    pub id: String,
    /// What kind of claim it is.
    pub kind: String,
    /// Whether the articles support it.
    pub holds: bool,
    /// What the check says.
    pub found: ClaimVerdict,
    /// Whether a gold article is among those that the claim was checked against.
    pub seen: bool,
    /// Whether the first place that supports it is of a gold article; `None` if none does.
    pub cited: Option<bool>,
}

/// What the check says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// It is supported.
    Supported,
    /// The words don't tell.
    Unsure,
    /// It is not supported, or claims nothing.
    Unsupported,
}

impl Checked {
    /// Compares what was found for a claim, which is one sentence, with its label; `is_gold` tells a
    /// gold article by its link or id.
    pub fn of(
        label: &Labelled,
        claims: &[Claim],
        is_gold: &dyn Fn(&Claim, usize) -> bool,
    ) -> Checked {
        let found = |claim: &Claim| match claim.verdict {
            Verdict::Supported(_) => ClaimVerdict::Supported,
            Verdict::Unsure(_) => ClaimVerdict::Unsure,
            Verdict::Unsupported(_) | Verdict::NoClaim => ClaimVerdict::Unsupported,
        };
        let order = [ClaimVerdict::Supported, ClaimVerdict::Unsure, ClaimVerdict::Unsupported];
        let worst = claims.iter().map(found).max_by_key(|one| order.iter().position(|o| o == one));
        let cited = claims.first().and_then(|claim| match &claim.verdict {
            Verdict::Supported(evidence) => {
                Some(evidence.first().is_some_and(|found| is_gold(claim, found.n)))
            }
            _ => None,
        });
        Checked {
            id: label.id.clone(),
            kind: label.kind.clone(),
            holds: label.holds,
            found: worst.unwrap_or(ClaimVerdict::Unsupported),
            seen: claims
                .iter()
                .any(|claim| claim.passages.iter().any(|passage| is_gold(claim, passage.n))),
            cited,
        }
    }
}

/// How often the check is right about a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Of what it calls supported, the share that is.
    pub precision: Option<Estimate>,
    /// Of what is supported, the share that it calls so.
    pub recall: Option<Estimate>,
    /// Of what is false, the share that it does not call supported.
    pub caught: Option<Estimate>,
    /// Of what it calls unsupported, the share that is false.
    pub rejected: Option<Estimate>,
    /// Of what it rightly calls supported, the share whose first place is of a gold article.
    pub cited: Option<Estimate>,
    /// Of all, the share of which a gold article was looked at.
    pub seen: Option<Estimate>,
    /// Of each kind: claims called supported, unsure, unsupported.
    pub kinds: BTreeMap<String, [usize; 3]>,
}

/// Whether a claim holds, what was found, whether its gold was looked at, and whether it is cited.
type Mark = (bool, ClaimVerdict, bool, Option<bool>);

/// Sums up what became of claims.
pub fn summary(all: &[Checked]) -> Summary {
    let marks: Vec<Mark> =
        all.iter().map(|one| (one.holds, one.found, one.seen, one.cited)).collect();
    let share = |of: fn(&Mark) -> Option<bool>| {
        let found = bootstrap_of(&marks, |drawn| {
            let known: Vec<bool> = drawn.iter().filter_map(of).collect();
            let right = known.iter().filter(|right| **right).count();
            (!known.is_empty()).then(|| right as f64 / known.len() as f64)
        });
        found.map(|found| Estimate { n: marks.iter().filter_map(of).count(), ..found })
    };
    let mut kinds: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for one in all {
        kinds.entry(one.kind.clone()).or_default()[one.found as usize] += 1;
    }
    Summary {
        precision: share(|(holds, found, ..)| {
            (*found == ClaimVerdict::Supported).then_some(*holds)
        }),
        recall: share(|(holds, found, ..)| holds.then_some(*found == ClaimVerdict::Supported)),
        caught: share(|(holds, found, ..)| (!holds).then_some(*found != ClaimVerdict::Supported)),
        rejected: share(|(holds, found, ..)| {
            (*found == ClaimVerdict::Unsupported).then_some(!holds)
        }),
        cited: share(|(holds, _, _, cited)| cited.filter(|_| *holds)),
        seen: share(|(_, _, seen, _)| Some(*seen)),
        kinds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_malformed_lines_are_named_at_once() {
        let line = r#"{"id":"a","claim":"It floats.","kind":"paraphrase","holds":true,"gold":[],"split":"dev"}"#;
        assert_eq!(parse(line).unwrap().len(), 1);
        let error = parse(&format!("{line}\n{line}\nnothing\n")).unwrap_err().to_string();
        assert!(error.contains("line 2: the id a") && error.contains("line 3"), "{error}");
        assert!(parse(" \n").is_err());
    }

    #[test]
    fn shares_by_hand() {
        let one = |holds, found, cited| Checked {
            id: String::new(),
            kind: if holds { "paraphrase" } else { "figure" }.into(),
            holds,
            found,
            seen: true,
            cited,
        };
        let all = [
            one(true, ClaimVerdict::Supported, Some(true)),
            one(true, ClaimVerdict::Supported, Some(false)),
            one(true, ClaimVerdict::Unsure, None),
            one(true, ClaimVerdict::Unsupported, None),
            one(false, ClaimVerdict::Supported, Some(true)),
            one(false, ClaimVerdict::Unsupported, None),
        ];
        let summary = summary(&all);
        let mean = |of: Option<Estimate>| of.map(|of| of.mean);
        assert_eq!(mean(summary.precision), Some(2.0 / 3.0));
        assert_eq!(mean(summary.recall), Some(0.5));
        assert_eq!(mean(summary.caught), Some(0.5));
        assert_eq!(mean(summary.rejected), Some(0.5));
        assert_eq!(mean(summary.cited), Some(0.5));
        assert_eq!(summary.kinds["paraphrase"], [2, 1, 1]);
    }
}
