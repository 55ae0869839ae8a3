//! `eval run --gate`: what a set's metrics must reach.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::read_text;
use crate::base::error::{Error, ErrorKind, Result};
use crate::cli::args::EvalRun;
use crate::eval::score::{Summary, is_cost};

/// A table of `eval/thresholds.toml`: for a set, what its metrics must reach (of costs: stay under).
#[derive(Debug, Deserialize)]
pub(super) struct Gate {
    /// The split that it is for; all questions if none is named.
    split: Option<String>,
    #[serde(flatten)]
    metrics: BTreeMap<String, f64>,
}

impl Gate {
    /// The gate of a set, if it is for the questions that a run asks.
    pub(super) fn read(path: &Path, set: &str, run: &EvalRun) -> Result<Gate> {
        let gate = Gate::parse(&read_text(path)?, set, &path.display().to_string())?;
        gate.is_for(set, run)?;
        Ok(gate)
    }

    fn parse(text: &str, set: &str, place: &str) -> Result<Gate> {
        let wrong = |why: String| {
            Error::new(ErrorKind::Config, format!("{place}: {why}"))
                .hint("give each set a table of metrics: [sample] \"section hit@5\" = 0.8")
        };
        let mut sets: BTreeMap<String, Gate> =
            toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        sets.remove(set).ok_or_else(|| wrong(format!("it has no table [{set}]")))
    }

    /// Thresholds were set for certain questions and say nothing of others.
    fn is_for(&self, set: &str, run: &EvalRun) -> Result<()> {
        let asked = |split: &Option<String>| match split {
            Some(split) => format!("the split {split} of {set}"),
            None => format!("all questions of {set}"),
        };
        let refuse = |run: String, hint: &str| {
            let gate = asked(&self.split);
            Err(Error::new(ErrorKind::Usage, format!("the gate is for {gate}, the run for {run}"))
                .hint(hint))
        };
        if self.split != run.split {
            let hint = match &self.split {
                Some(split) => format!(
                    "run it with --split {split}, or name the other split in the gate's table: split = \"…\""
                ),
                None => {
                    "leave out --split, or name it in the gate's table: split = \"…\"".to_owned()
                }
            };
            return refuse(asked(&run.split), &hint);
        }
        if run.limit.is_some() || run.sample.is_some() {
            let some = format!("some of {}", asked(&run.split));
            return refuse(some, "leave out --limit and --sample, or --gate");
        }
        Ok(())
    }

    /// What a run misses, a line a metric.
    pub(super) fn missed(&self, summary: &Summary) -> Vec<String> {
        let all = summary.groups.get("all");
        let mut missed: Vec<String> = self
            .metrics
            .iter()
            .filter_map(|(metric, wanted)| {
                let Some(of) = all.and_then(|all| all.get(metric)) else {
                    return Some(format!("{metric} was not measured; the gate is {wanted}"));
                };
                let is_cost = is_cost(metric);
                let holds = if is_cost { of.mean <= *wanted } else { of.mean >= *wanted };
                let side = if is_cost { "at most" } else { "at least" };
                (!holds).then(|| format!("{metric} is {:.3}; the gate is {side} {wanted}", of.mean))
            })
            .collect();
        if summary.failed > 0 {
            missed.push(format!("{} questions failed", summary.failed));
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(split: Option<&str>, limit: Option<usize>) -> EvalRun {
        EvalRun {
            questions: "set.jsonl".into(),
            filter: Default::default(),
            retrieval_only: true,
            split: split.map(str::to_owned),
            limit,
            sample: None,
            fresh: false,
            gate: None,
        }
    }

    #[test]
    fn a_gate_is_for_the_questions_that_it_names() {
        let of = |text: &str| Gate::parse(text, "set", "t.toml").unwrap();
        let dev = of("[set]\nsplit = \"dev\"\n\"right\" = 0.5\n");
        assert!(dev.is_for("set", &run(Some("dev"), None)).is_ok());
        let error = dev.is_for("set", &run(Some("test"), None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the gate is for the split dev of set, the run for the split test of set"
        );
        assert!(dev.is_for("set", &run(None, None)).is_err());
        assert!(dev.is_for("set", &run(Some("dev"), Some(3))).is_err());
        let all = of("[set]\n\"right\" = 0.5\n");
        assert!(all.is_for("set", &run(None, None)).is_ok());
        assert!(all.is_for("set", &run(Some("dev"), None)).is_err());
        assert!(all.is_for("set", &run(None, Some(3))).is_err());
        assert!(Gate::parse("[set]\nright = \"high\"\n", "set", "t.toml").is_err());
        assert!(Gate::parse("[other]\nright = 1\n", "set", "t.toml").is_err());
    }
}
