//! What tells whether the articles answer a question, and how likely that makes it; and how far a
//! sentence of an answer can be relied on. Pure.
//!
//! One logistic regression (Cox, 1958) over what retrieval knows, and one that also has the LLM's own
//! verdict. They were fitted on development halves (`eval/attempts.md`), where the signals that weigh
//! nothing here did not help on the corpus left out: by how much the best cosine stands out, above
//! all, means another thing in each library. `wellread eval calibrate` fits all of them.

use serde::{Deserialize, Serialize};

use super::cite;
use crate::document::terms;
use crate::retrieve::{Passage, Retrieved, Scored, covered};

/// What is known of whether the articles answer a question, before they are asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Cosine of the best chunk, −1 to 1; 0 if there is none.
    pub cosine: f32,
    /// By how much that is above the median of the hits that the vector search found.
    pub gap: f32,
    /// How well the best chunk's tokens and sentences match the question's; 0 if that was not looked at.
    pub late: f32,
    /// The best cosine of a sentence of the passages.
    pub sentence: f32,
    /// The share of the question's terms, by their inverse document frequencies, that the best
    /// sentence for it has.
    pub nearby: f32,
    /// That share over all passages with their titles and headings.
    pub covered: f32,
    /// The share of the question's names that the passages have; 1 if it has none.
    pub names: f32,
    /// 1 if both searches have their best chunk in the same section, else 0.
    pub agree: f32,
    /// The LLM's log-odds that the passages state the answer; `None` if it was not asked.
    pub verdict: Option<f32>,
    /// The LLM's log-odds that the best of the passages' sentences answers by itself; `None` if it was
    /// not asked. Where the verdict was clear, it is known too late to decide on what is shown.
    #[serde(default)]
    pub quote: Option<f32>,
    /// The mean natural logarithm of how likely each token was that the LLM wrote; `None` if it wrote
    /// nothing. Known too late to decide on what is shown.
    pub written: Option<f32>,
}

/// What tells how far a sentence can be relied on that an LLM wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentenceSignals {
    /// The share of its content words that stand together: in the one sentence of the passages it cites
    /// which has most of them.
    #[serde(default)]
    pub together: f32,
    /// [`Signals::cosine`] of the question that it is to answer.
    #[serde(default)]
    pub cosine: f32,
}

/// How many numbers the model of sentences weighs.
pub const SENTENCE_FEATURES: usize = 2;

impl SentenceSignals {
    /// What the features are called, in their order.
    pub const NAMES: [&str; SENTENCE_FEATURES] = ["together", "cosine"];

    /// The features that the model weighs, in their order.
    pub fn features(&self) -> [f32; SENTENCE_FEATURES] {
        [self.together, self.cosine]
    }

    /// How likely it is that the passages which the sentence cites say all of it, 0 to 1: a logistic
    /// regression fitted on answers that were read by hand (`eval/attempts.md`).
    pub fn probability(&self) -> f32 {
        const BIAS: f32 = -4.02;
        const WEIGHTS: [f32; SENTENCE_FEATURES] = [3.1, 4.64];
        sigmoid(self.features().iter().zip(WEIGHTS).fold(BIAS, |sum, (x, w)| sum + x * w))
    }
}

/// Log-odds as a probability.
fn sigmoid(odds: f32) -> f32 {
    1.0 / (1.0 + (-odds).exp())
}

/// What the articles are known by before an LLM reads them.
pub fn signals(
    question: &str,
    retrieved: &Retrieved,
    passages: &[Passage],
    scored: &[Scored],
) -> Signals {
    let mut dense: Vec<f32> = retrieved.hits.iter().filter_map(|hit| hit.scores.dense).collect();
    dense.sort_by(f32::total_cmp);
    let median = dense.get(dense.len() / 2).copied().unwrap_or(0.0);
    let best = |of: fn(&Scored) -> f32| scored.iter().map(of).fold(0.0, f32::max);
    let first = |of: fn(&crate::base::Scores) -> Option<f32>| {
        let with =
            retrieved.hits.iter().filter_map(|hit| of(&hit.scores).map(|score| (score, hit)));
        let best = with.max_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, hit)| (&hit.article.id, hit.section))
    };
    let (by_vector, by_words) = (first(|scores| scores.dense), first(|scores| scores.sparse));
    let all: Vec<String> = passages.iter().map(cite::everything).collect();
    let has = terms::of(&all.join("\n")).ids;
    let names = cite::asked_names(question);
    let there = cite::name_keys(&all.join("\n"));
    let found = names.iter().filter(|name| there.contains(*name)).count();
    let cosine = retrieved.best_cosine.unwrap_or(0.0).max(0.0);
    Signals {
        cosine,
        gap: (cosine - median).max(0.0),
        late: retrieved.hits.first().and_then(|hit| hit.scores.late).unwrap_or(0.0),
        sentence: best(|one| one.cosine),
        nearby: best(|one| one.covered),
        covered: covered(retrieved, &has),
        names: if names.is_empty() { 1.0 } else { found as f32 / names.len() as f32 },
        agree: f32::from(u8::from(by_vector.is_some() && by_vector == by_words)),
        verdict: None,
        quote: None,
        written: None,
    }
}

/// How many numbers the models weigh.
pub const FEATURES: usize = 10;

/// Log-odds as a linear function of the features.
struct Model {
    bias: f32,
    weights: [f32; FEATURES],
}

/// Without the LLM's verdict.
const BEFORE: Model =
    Model { bias: -4.68, weights: [6.57, 0.0, 0.0, 0.0, 0.0, 0.0, 1.79, 0.0, 0.0, 0.0] };
/// With it.
const AFTER: Model =
    Model { bias: -3.05, weights: [5.38, 0.0, 0.0, 0.0, 0.0, 0.0, 0.84, 0.0, 1.81, 0.0] };
/// With that and the best sentence's.
const JUDGED: Model =
    Model { bias: -4.6, weights: [5.82, 0.0, 0.0, 0.0, 0.0, 0.0, 1.22, 0.0, 0.08, 1.88] };

impl Signals {
    /// What the features are called, in their order.
    pub const NAMES: [&str; FEATURES] = [
        "cosine", "gap", "late", "sentence", "nearby", "covered", "names", "agree", "verdict",
        "quote",
    ];

    /// The features that the models weigh, in their order, what the LLM says last (0 if it was not
    /// asked).
    pub fn features(&self) -> [f32; FEATURES] {
        let Signals {
            cosine,
            gap,
            late,
            sentence,
            nearby,
            covered,
            names,
            agree,
            verdict,
            quote,
            ..
        } = *self;
        let clamped = |odds: Option<f32>| odds.unwrap_or(0.0).clamp(-6.0, 6.0);
        let (verdict, quote) = (clamped(verdict), clamped(quote));
        [cosine, gap, late, sentence, nearby, covered, names, agree, verdict, quote]
    }

    /// How likely a right answer is, 0 to 1.
    pub fn probability(&self) -> f32 {
        let Model { bias, weights } = match (self.verdict, self.quote) {
            (None, _) => BEFORE,
            (Some(_), None) => AFTER,
            (Some(_), Some(_)) => JUDGED,
        };
        sigmoid(self.features().iter().zip(weights).fold(bias, |sum, (x, w)| sum + x * w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_holds_the_likelier_its_words_stand_together_and_the_nearer_the_articles_are() {
        let of = |together: f32, cosine: f32| SentenceSignals { together, cosine }.probability();
        assert!(of(0.9, 0.5) > of(0.3, 0.5) && of(0.6, 0.6) > of(0.6, 0.3));
        assert!(of(1.0, 0.7) > 0.9 && of(0.2, 0.3) < 0.3 && of(0.0, 0.0) >= 0.0);
    }

    #[test]
    fn what_speaks_for_an_answer_makes_it_likelier() {
        let plain = Signals { cosine: 0.4, gap: 0.1, names: 1.0, ..Signals::default() };
        let asked = |verdict: f32| Signals { verdict: Some(verdict), ..plain }.probability();
        assert!(asked(-1.0) < asked(1.0) && asked(-100.0) == asked(-6.0));
        let best = |quote: f32| Signals { quote: Some(quote), verdict: Some(0.0), ..plain };
        assert!(best(-1.0).probability() < best(1.0).probability());
        assert!((0.0..=1.0).contains(&asked(100.0)));
        let nearer = Signals { cosine: 0.6, ..plain };
        assert!(plain.probability() < nearer.probability());
        assert!(Signals { names: 0.0, ..plain }.probability() < plain.probability());
    }
}
