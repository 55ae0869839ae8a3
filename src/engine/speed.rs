//! How quick an LLM is on this machine, as its answers tell, and how much it reads within a time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::KnowledgeBase;
use crate::answer::{Answer, AnswerOptions};
use crate::base::error::{Error, Result};
use crate::base::{files, hex};
use crate::compute::Device;

/// The folder of the cache in which it is kept how quick LLMs are; no model is called so.
const SPEEDS: &str = ".speeds";

/// Fewer tokens of an answer tell nothing of how quickly they are written.
const TELLING: usize = 8;
/// Tokens of an answer that time is left for.
const WRITTEN: f64 = 60.0;
/// Tokens of a prompt beside the passages: the question, titles, headings and marks.
const BESIDE: f64 = 300.0;
/// Fewer tokens of passages would hold no answer.
const LEAST: f64 = 100.0;
/// How much of a new figure counts beside those before it.
const NEWEST: f64 = 0.5;
/// A prompt that took so much less than those before it was mostly computed already.
const REUSED: f64 = 0.5;

/// Milliseconds for a token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Speed {
    read_ms: f64,
    write_ms: f64,
}

impl Speed {
    /// What an answer tells; `None` if no LLM wrote it, or too little.
    fn of(answer: &Answer) -> Option<Speed> {
        let (usage, time) = (&answer.usage, &answer.timings);
        let per = |from: u64, to: u64, tokens: usize| {
            (to > from && tokens >= TELLING).then(|| (to - from) as f64 / tokens as f64)
        };
        Some(Speed {
            read_ms: per(time.prepared_ms, time.first_token_ms, usage.prompt_tokens)?,
            write_ms: per(time.first_token_ms, time.total_ms, usage.completion_tokens)?,
        })
    }

    /// What is known after another answer.
    fn after(self, newer: Speed) -> Speed {
        let mix = |known: f64, new: f64| known + NEWEST * (new - known);
        let is_reused = newer.read_ms < REUSED * self.read_ms;
        Speed {
            read_ms: if is_reused { self.read_ms } else { mix(self.read_ms, newer.read_ms) },
            write_ms: mix(self.write_ms, newer.write_ms),
        }
    }

    /// Tokens of passages, `most` at the most, over which an answer takes no longer than that.
    fn read_tokens(self, time: Duration, most: usize) -> usize {
        let left = time.as_secs_f64() * 1e3 - WRITTEN * self.write_ms;
        ((left / self.read_ms - BESIDE).max(LEAST) as usize).min(most)
    }

    /// What is known of a model; `None` if nothing is.
    fn load(path: &Path) -> Option<Speed> {
        let speed: Speed = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
        let is_time = |ms: f64| ms.is_finite() && ms > 0.0;
        (is_time(speed.read_ms) && is_time(speed.write_ms)).then_some(speed)
    }

    /// Keeps it for the next process.
    ///
    /// # Errors
    /// If it can't be written; then it is found out again.
    fn save(self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)
                .map_err(|error| Error::io("cannot keep a speed", error))?;
        }
        files::write_json(path, &self)
    }
}

impl KnowledgeBase {
    /// How questions are answered, the LLM reading no more than it has time for.
    pub(super) fn options_in_time(&self) -> AnswerOptions {
        let mut options = self.config().answer.clone();
        if let Some((time, speed)) = options.time().zip(Speed::load(&self.speed_path())) {
            options.read_tokens = speed.read_tokens(time, options.read_tokens);
        }
        options
    }

    /// Keeps how quick the LLM of the settings was. Where that can't be written nothing is lost.
    pub(super) fn note_speed(&self, answer: &Answer) {
        if let Some(newest) = Speed::of(answer) {
            let path = self.speed_path();
            let speed = Speed::load(&path).map_or(newest, |known| known.after(newest));
            let _ = speed.save(&path);
        }
    }

    fn speed_path(&self) -> PathBuf {
        let device = match self.device() {
            Ok(Device::Gpu { name, .. }) => name,
            _ => "",
        };
        let name = format!("{}{device}", self.config().models.generator);
        let name = hex(&Sha256::digest(&name)[..8]);
        self.places().cache.join(SPEEDS).join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: Speed = Speed { read_ms: 10.0, write_ms: 50.0 };

    #[test]
    fn less_is_read_where_time_is_short() {
        let tokens = |secs| SPEED.read_tokens(Duration::from_secs(secs), 500);
        assert_eq!([60, 9, 8, 1].map(tokens), [500, 300, 200, 100]);
        assert_eq!(SPEED.read_tokens(Duration::from_secs(1), 50), 50);
    }

    #[test]
    fn later_answers_count_and_prompts_that_were_computed_before_do_not() {
        let slower = SPEED.after(Speed { read_ms: 20.0, write_ms: 60.0 });
        assert_eq!(slower, Speed { read_ms: 15.0, write_ms: 55.0 });
        assert_eq!(SPEED.after(Speed { read_ms: 1.0, write_ms: 50.0 }), SPEED);
    }

    #[test]
    fn it_is_kept_and_what_is_broken_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/llm.json");
        assert_eq!(Speed::load(&path), None);
        SPEED.save(&path).unwrap();
        assert_eq!(Speed::load(&path), Some(SPEED));
        for broken in ["", "{", "{\"read_ms\":0,\"write_ms\":1}"] {
            fs_err::write(&path, broken).unwrap();
            assert_eq!(Speed::load(&path), None);
        }
    }
}
