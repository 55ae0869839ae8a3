//! A run: a folder with what was asked, under which settings, and what came of it. It is written
//! question by question, so that one that was broken off goes on where it was.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::score::{self, Place, QuestionResult, ShownHit, Summary};
use super::set::Question;
use crate::answer;
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{Filter, Warning, Watch, files};
use crate::engine::{KnowledgeBase, Question as Asked};

/// Hits that are ranked for each question.
const HITS: usize = 100;
/// Hits that a result shows.
const SHOWN: usize = 10;
/// Seconds between two lines of progress where no bar is drawn.
const STATUS_EVERY: u64 = 30;
/// What is said to be going on.
const TASK: &str = "Evaluating";
/// A run's results, a line a question.
const RESULTS: &str = "results.jsonl";

/// `run.json`: everything that decides the results, and where they were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The set's name.
    pub set: String,
    /// The set's hash.
    pub set_hash: String,
    /// Hash of all that decides the results but the program.
    pub key: String,
    /// The first 16 hexadecimal digits of the SHA-256 of the program's file; empty in runs of
    /// versions that did not record it. An unfinished run is continued only by the program that
    /// began it.
    #[serde(default)]
    pub program: String,
    /// Whether answers were asked for.
    pub answers: bool,
    /// Which split; all if it is `None`.
    pub split: Option<String>,
    /// Questions in all.
    pub questions: usize,
    /// The settings, as `key → value`.
    pub settings: serde_json::Value,
    /// What made the index.
    pub index: crate::base::Fingerprint,
    /// Articles and chunks in the index.
    pub corpus: [usize; 2],
    /// Hash of the prompt template.
    pub prompt_hash: String,
    /// This program's version.
    pub version: String,
    /// The commit of the git checkout that it ran in, if it was one.
    pub git: Option<String>,
    /// System, architecture and cores.
    pub machine: String,
    /// When it began.
    pub started: Timestamp,
}

/// What questions are asked of: the same calls that every door makes.
pub struct Bench<'a> {
    /// The knowledge base over the evaluation's index.
    pub kb: &'a KnowledgeBase,
    /// Which chunks may be found.
    pub filter: &'a Filter,
    /// Whether answers are asked for, or hits alone.
    pub answers: bool,
    /// Where progress goes, and what stops it.
    pub watch: &'a Watch<'a>,
}

/// A run's folder, held by this process.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Results that are there already.
    pub done: Vec<QuestionResult>,
    /// An unfinished run of the same key that another build of the program began, if this one was
    /// made anew because of it.
    pub passed_over: Option<PathBuf>,
    _lock: fs_err::File,
}

impl Folder {
    /// The folder of an unfinished run of the same key and program that nobody works on, else a new
    /// one.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn take(runs: &Path, manifest: &RunRecord, fresh: bool) -> Result<Folder> {
        let cannot = |error| Error::io("cannot make a folder for the run", error);
        fs_err::create_dir_all(runs).map_err(cannot)?;
        let mut passed_over = None;
        if !fresh {
            for path in list(runs)? {
                let Ok(there) = read_manifest(&path) else { continue };
                if there.key != manifest.key || path.join("summary.json").exists() {
                    continue;
                }
                if there.program != manifest.program {
                    passed_over = Some(path);
                } else if let Some(folder) = Folder::lock(&path)? {
                    return Ok(folder);
                }
            }
        }
        let stamp = manifest.started.strftime("%Y%m%d-%H%M%S");
        for n in 1.. {
            let suffix = if n == 1 { String::new() } else { format!("-{n}") };
            let path = runs.join(format!("{}-{stamp}{suffix}", manifest.set));
            match fs_err::create_dir(&path) {
                Ok(()) => {
                    let held = Folder::lock(&path)?;
                    files::write_json(&path.join("run.json"), manifest)?;
                    if let Some(folder) = held {
                        return Ok(Folder { passed_over, ..folder });
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(error)),
            }
        }
        Err(Error::new(ErrorKind::Bug, "no name for the run's folder"))
    }

    fn lock(path: &Path) -> Result<Option<Folder>> {
        let cannot = |error| Error::io("cannot lock the run's folder", error);
        let lock = fs_err::File::create(path.join("lock")).map_err(cannot)?;
        if lock.file().try_lock().is_err() {
            return Ok(None);
        }
        let results = path.join(RESULTS);
        mend_lines(&results)?;
        let done = read_lines(&results)?;
        Ok(Some(Folder { path: path.to_owned(), done, passed_over: None, _lock: lock }))
    }
}

/// The runs of a folder, oldest first.
///
/// # Errors
/// If it can't be read.
pub fn list(runs: &Path) -> Result<Vec<PathBuf>> {
    if !runs.is_dir() {
        return Ok(Vec::new());
    }
    let cannot = |error| Error::io("cannot list the runs", error);
    let mut found: Vec<PathBuf> = fs_err::read_dir(runs)
        .map_err(cannot)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("run.json").is_file())
        .collect();
    found.sort_by_key(|path| read_manifest(path).map(|run| run.started).ok());
    Ok(found)
}

/// A run's `run.json`.
///
/// # Errors
/// If it can't be read.
pub fn read_manifest(run: &Path) -> Result<RunRecord> {
    read_json(&run.join("run.json"))
}

/// A run's `summary.json`; `None` if it is not complete.
///
/// # Errors
/// If it can't be read.
pub fn read_summary(run: &Path) -> Result<Option<Summary>> {
    let path = run.join("summary.json");
    if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
}

/// The results so far; nothing is written, so that another process may be at work on them.
///
/// # Errors
/// If the file can't be read, or is broken elsewhere than in its last line.
pub fn read_results(run: &Path) -> Result<Vec<QuestionResult>> {
    read_lines(&run.join(RESULTS))
}

/// A file of JSON lines that is written line by line; none if it is not there. A last line without
/// its end is passed over: it is being written, or its writer was killed.
///
/// # Errors
/// If the file can't be read, or is broken elsewhere.
pub fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = read_if_there(path)?;
    whole_lines(&bytes)
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).map_err(|error| {
                Error::new(ErrorKind::Parse, format!("{} is broken", path.display()))
                    .caused_by(error)
                    .step(Step::RestartRun)
            })
        })
        .collect()
}

/// Removes an incomplete last line from a file of JSON lines, so that it can be appended to; only
/// for the file's owner.
///
/// # Errors
/// If the file can't be read or written.
pub fn mend_lines(path: &Path) -> Result<()> {
    let bytes = read_if_there(path)?;
    let whole = whole_lines(&bytes).len();
    if whole < bytes.len() {
        let file = fs_err::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(whole as u64))
            .map_err(|error| Error::io("cannot mend the run's results", error))?;
    }
    Ok(())
}

/// All lines that have their end.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    &bytes[..whole]
}

fn read_if_there(path: &Path) -> Result<Vec<u8>> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("cannot read the run's results", error)),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs_err::read(path).map_err(|error| Error::io("cannot read the run", error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Parse, format!("{} is not of a run", path.display()))
            .caused_by(error)
            .step(Step::ListRuns)
    })
}

/// A run's article rankings and judgements in the formats of trec_eval. It orders by score, so the
/// scores fall by rank: ties are broken here as they were in the run.
pub fn trec(results: &[QuestionResult]) -> (String, String) {
    let (mut run, mut qrels) = (String::new(), String::new());
    for result in results.iter().filter(|result| result.answerable) {
        for (at, (article, _)) in result.ranked.iter().enumerate() {
            let score = result.ranked.len() - at;
            run.push_str(&format!("{} Q0 {article} {} {score} wellread\n", result.id, at + 1));
        }
        for (article, grade) in &result.gold {
            qrels.push_str(&format!("{} 0 {article} {grade}\n", result.id));
        }
    }
    (run, qrels)
}

/// Asks the questions that have no result yet, writes each result as it comes, and the summary in
/// the end. A question that fails is recorded and counted; the run goes on.
///
/// # Errors
/// If the run's folder can't be written, or the user stops it; what is written stays.
pub fn run(
    bench: &Bench<'_>,
    folder: &mut Folder,
    questions: &[(&Question, Vec<Place>)],
) -> Result<Summary> {
    let watch = bench.watch;
    let done: HashSet<String> = folder.done.iter().map(|result| result.id.clone()).collect();
    let path = folder.path.join(RESULTS);
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| Error::io("cannot write the run's results", error))?;
    let total = questions.len() as u64;
    let start = Instant::now();
    let mut said = start;
    let left = questions.iter().filter(|(question, _)| !done.contains(&question.id));
    for (asked, (question, gold)) in left.enumerate() {
        let count = folder.done.len() as u64;
        watch.progress(TASK, folder.done.len(), questions.len());
        if said.elapsed() > Duration::from_secs(STATUS_EVERY) && asked > 0 {
            said = Instant::now();
            let each = start.elapsed().as_secs_f64() / asked as f64;
            let left = each * (total - count) as f64 / 60.0;
            watch.status(format!(
                "{count} of {total} questions, {each:.1} s each, about {left:.0} minutes left"
            ));
        }
        watch.cancel.check()?;
        let result = match one(bench, question, gold) {
            Ok(result) => result,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                watch.warn(Warning::Question { id: question.id.clone(), why: error.chain() });
                QuestionResult { error: Some(error.chain()), ..empty(question, gold) }
            }
        };
        let mut line = serde_json::to_string(&result)
            .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
        line.push('\n');
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|error| Error::io("cannot write the run's results", error))?;
        folder.done.push(result);
    }
    watch.done(TASK);
    let order: HashMap<&str, usize> = questions
        .iter()
        .enumerate()
        .map(|(at, (question, _))| (question.id.as_str(), at))
        .collect();
    folder.done.sort_by_key(|result| order.get(result.id.as_str()).copied());
    let summary = score::summary(&folder.done);
    files::write_json(&folder.path.join("summary.json"), &summary)?;
    Ok(summary)
}

fn empty(question: &Question, gold: &[Place]) -> QuestionResult {
    let mut judged: Vec<(String, u32)> =
        gold.iter().map(|place| (place.article.0.clone(), place.grade)).collect();
    judged.sort();
    judged.dedup_by(|a, b| a.0 == b.0);
    QuestionResult {
        id: question.id.clone(),
        kind: question.kind.clone(),
        split: question.split.clone(),
        question: question.question.clone(),
        answerable: question.answerable,
        confidence: 0.0,
        declined: false,
        ranking: None,
        found: Vec::new(),
        ranked: Vec::new(),
        gold: judged,
        answer: None,
        error: None,
        ms: [0; 3],
    }
}

fn one(bench: &Bench<'_>, question: &Question, gold: &[Place]) -> Result<QuestionResult> {
    let start = Instant::now();
    let asked = Asked { text: &question.question, filter: bench.filter, sources: &[] };
    let retrieved = bench.kb.search(&asked, HITS, bench.watch)?;
    let searched = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let hits = &retrieved.hits;
    let options = &bench.kb.config().answer;
    let mut result = empty(question, gold);
    result.confidence = f64::from(answer::confidence(&retrieved));
    result.declined = answer::declines_early(&retrieved, options).is_some();
    result.ranking = question.answerable.then(|| score::levels(hits, gold));
    result.found = hits
        .iter()
        .take(SHOWN)
        .map(|hit| ShownHit {
            title: hit.article.title.clone(),
            heading_path: hit.heading_path.clone(),
            url: hit.article.url.clone(),
            score: hit.score,
            gold: score::is_gold(&hit.article.id, Some(hit.section), gold),
        })
        .collect();
    let mut seen = HashSet::new();
    result.ranked = hits
        .iter()
        .filter(|hit| seen.insert(&hit.article.id))
        .map(|hit| (hit.article.id.0.clone(), hit.score))
        .collect();
    result.ms = [searched, 0, searched];
    if !bench.answers {
        return Ok(result);
    }
    let answer = bench.kb.ask(&asked, bench.watch, &mut |_| Ok(()))?;
    result.confidence = f64::from(answer.confidence);
    result.answer = Some(score::answered(question, &answer, gold));
    let timings = answer.timings;
    result.ms = [timings.retrieval_ms, timings.first_token_ms, timings.total_ms];
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(program: &str) -> RunRecord {
        RunRecord {
            set: "set".to_owned(),
            set_hash: String::new(),
            key: "key".to_owned(),
            program: program.to_owned(),
            answers: false,
            split: None,
            questions: 2,
            settings: serde_json::Value::Null,
            index: crate::base::Fingerprint(Default::default()),
            corpus: [0; 2],
            prompt_hash: String::new(),
            version: String::new(),
            git: None,
            machine: String::new(),
            started: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_run_is_continued_by_the_program_that_began_it_alone() {
        let runs = tempfile::tempdir().unwrap();
        let take = |program: &str| Folder::take(runs.path(), &manifest(program), false).unwrap();
        let first = take("a").path;
        let again = take("a");
        assert_eq!((&again.path, &again.passed_over), (&first, &None));
        drop(again);
        let other = take("b");
        assert_ne!(other.path, first);
        assert_eq!(other.passed_over, Some(first));
    }

    #[test]
    fn only_the_owner_mends_a_torn_line() {
        let runs = tempfile::tempdir().unwrap();
        let held = Folder::take(runs.path(), &manifest("a"), false).unwrap();
        let file = held.path.join(RESULTS);
        let question: Question =
            serde_json::from_str("{\"id\":\"q\",\"question\":\"why?\"}").unwrap();
        let line = serde_json::to_string(&empty(&question, &[])).unwrap();
        // Torn within a character.
        let torn = [line.as_bytes(), b"\n{\"id\": \"\xc3"].concat();
        fs_err::write(&file, &torn).unwrap();
        assert_eq!(read_results(&held.path).unwrap().len(), 1);
        assert_eq!(fs_err::read(&file).unwrap(), torn);
        drop(held);
        let owner = Folder::take(runs.path(), &manifest("a"), false).unwrap();
        assert_eq!(owner.done.len(), 1);
        assert_eq!(fs_err::read(&file).unwrap(), [line.as_bytes(), b"\n"].concat());
    }
}
