//! What is counted, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;

use super::State;
use crate::answer::{Answer, AnswerStatus};
use crate::base::CacheUse;
use crate::base::error::Result;

/// Upper bounds of the buckets of times, in seconds.
const BOUNDS: [f64; 14] =
    [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A part of the way to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A search, all of it.
    Search,
    /// Until the hits of an answer are there.
    Retrieval,
    /// Until its quotes are there.
    Quotes,
    /// Until the LLM has said its first token.
    FirstToken,
    /// Until its end.
    Total,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Search => "search",
            Stage::Retrieval => "retrieval",
            Stage::Quotes => "quotes",
            Stage::FirstToken => "first_token",
            Stage::Total => "total",
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(String, &'static str, u16), u64>,
    stages: BTreeMap<Stage, Histogram>,
    answered: u64,
    abstained: BTreeMap<String, u64>,
    refused: u64,
    failed: u64,
    tokens: u64,
    drafted: u64,
    accepted: u64,
}

/// What is counted since the start.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

impl Metrics {
    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes how long a stage took.
    pub fn took(&self, stage: Stage, time: Duration) {
        let seconds = time.as_secs_f64();
        self.change(|counts| {
            let histogram = counts.stages.entry(stage).or_default();
            for (count, bound) in histogram.buckets.iter_mut().zip(BOUNDS) {
                *count += u64::from(seconds <= bound);
            }
            histogram.count += 1;
            histogram.seconds += seconds;
        });
    }

    /// Notes how an answer ended.
    pub fn ended(&self, outcome: &Result<Answer>) {
        match outcome {
            Ok(answer) => self.answered(answer),
            Err(_) => self.change(|counts| counts.failed += 1),
        }
    }

    fn answered(&self, answer: &Answer) {
        let timings = &answer.timings;
        let stages = [
            (Stage::Retrieval, timings.retrieval_ms),
            (Stage::Quotes, timings.quotes_ms),
            (Stage::FirstToken, timings.first_token_ms),
            (Stage::Total, timings.total_ms),
        ];
        for (stage, ms) in stages {
            // Where the LLM was not asked, it has no first token.
            if stage != Stage::FirstToken || ms > 0 {
                self.took(stage, Duration::from_millis(ms));
            }
        }
        self.change(|counts| {
            match answer.status {
                AnswerStatus::Answered => counts.answered += 1,
                AnswerStatus::Abstained => {
                    let reason = serde_json::to_value(answer.abstain_reason).unwrap_or_default();
                    let reason = reason.as_str().unwrap_or("unknown").to_owned();
                    *counts.abstained.entry(reason).or_default() += 1;
                }
            }
            counts.tokens += answer.usage.completion_tokens as u64;
            counts.drafted += answer.usage.drafted_tokens as u64;
            counts.accepted += answer.usage.accepted_tokens as u64;
        });
    }

    /// Notes an answer for which there was no room.
    pub fn refused(&self) {
        self.change(|counts| counts.refused += 1);
    }

    /// All of it as Prometheus reads it; `wanted` are the answers that are wanted now, `caches` have
    /// their names.
    pub fn text(&self, wanted: usize, queue: usize, caches: &[(&str, CacheUse)]) -> String {
        self.change(|counts| write(counts, wanted, queue, caches))
    }
}

fn write(counts: &Counts, wanted: usize, queue: usize, caches: &[(&str, CacheUse)]) -> String {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(out, "# HELP wellread_{name} {help}\n# TYPE wellread_{name} {kind}");
    };
    head(&mut out, "requests_total", "counter", "Requests by route, method and status.");
    for ((route, method, status), count) in &counts.requests {
        let _ = writeln!(
            out,
            "wellread_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}"
        );
    }
    head(&mut out, "stage_seconds", "histogram", "Time until a stage of an answer was reached.");
    for (stage, histogram) in &counts.stages {
        let stage = stage.name();
        for (count, bound) in histogram.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(
                out,
                "wellread_stage_seconds_bucket{{stage=\"{stage}\",le=\"{bound}\"}} {count}"
            );
        }
        let Histogram { count, seconds, .. } = histogram;
        let _ = writeln!(
            out,
            "wellread_stage_seconds_bucket{{stage=\"{stage}\",le=\"+Inf\"}} {count}\n\
             wellread_stage_seconds_sum{{stage=\"{stage}\"}} {seconds}\n\
             wellread_stage_seconds_count{{stage=\"{stage}\"}} {count}"
        );
    }
    head(
        &mut out,
        "abstentions_total",
        "counter",
        "Answers that the articles don't say, by reason.",
    );
    for (reason, count) in &counts.abstained {
        let _ = writeln!(out, "wellread_abstentions_total{{reason=\"{reason}\"}} {count}");
    }
    let single = [
        ("answers_total", "counter", "Answers that were given.", counts.answered),
        ("answers_failed_total", "counter", "Answers that failed or were stopped.", counts.failed),
        (
            "answers_refused_total",
            "counter",
            "Answers for which there was no room.",
            counts.refused,
        ),
        ("tokens_total", "counter", "Tokens that the LLM generated.", counts.tokens),
        ("drafted_tokens_total", "counter", "Tokens guessed ahead of the LLM.", counts.drafted),
        ("accepted_tokens_total", "counter", "Guesses that it confirmed.", counts.accepted),
        ("answers_wanted", "gauge", "Answers being written or waiting for it.", wanted as u64),
        ("queue_limit", "gauge", "Answers that may wait for the LLM.", queue as u64),
    ];
    for (name, kind, help, value) in single {
        head(&mut out, name, kind, help);
        let _ = writeln!(out, "wellread_{name} {value}");
    }
    let mut of_caches = |name: &str, help: &str, count: fn(&CacheUse) -> u64| {
        head(&mut out, name, "counter", help);
        for (cache, used) in caches {
            let _ = writeln!(out, "wellread_{name}{{cache=\"{cache}\"}} {}", count(used));
        }
    };
    of_caches("cache_hits_total", "Lookups served from a cache.", |used| used.hits);
    of_caches("cache_misses_total", "Lookups that had to be computed.", |used| used.misses);
    out
}

/// Counts a request by its route and how it ended.
pub async fn count(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    };
    let response = next.run(request).await;
    let status = response.status().as_u16();
    state.metrics.change(|counts| {
        *counts.requests.entry((route, method, status)).or_default() += 1;
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_cumulated_buckets() {
        let metrics = Metrics::default();
        metrics.took(Stage::Search, Duration::from_millis(4));
        metrics.took(Stage::Search, Duration::from_millis(15));
        let text = metrics.text(2, 16, &[("details", CacheUse { hits: 5, misses: 1 })]);
        for line in [
            "wellread_stage_seconds_bucket{stage=\"search\",le=\"0.002\"} 0",
            "wellread_stage_seconds_bucket{stage=\"search\",le=\"0.005\"} 1",
            "wellread_stage_seconds_bucket{stage=\"search\",le=\"0.02\"} 2",
            "wellread_stage_seconds_bucket{stage=\"search\",le=\"+Inf\"} 2",
            "wellread_stage_seconds_count{stage=\"search\"} 2",
            "wellread_answers_wanted 2",
            "wellread_cache_hits_total{cache=\"details\"} 5",
            "wellread_cache_misses_total{cache=\"details\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
