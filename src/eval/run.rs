//! A run: a folder with what was asked, under which settings, and what came of it. It is written
//! question by question, so that one that was broken off goes on where it was.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::score::{self, Found, Place, QuestionResult, Summary};
use super::set::{Gold, Question, QuestionSet, same_heading};
use crate::answer::{self, AnswerOptions, LazyGenerator, Parts};
use crate::chunk::{self, ChunkOptions};
use crate::domain::{ArticleId, Cancel, ChunkId, Event, Events, Filter, Unit};
use crate::error::{Error, ErrorKind, Result};
use crate::html::CleanOptions;
use crate::index;
use crate::library::Library;
use crate::prompt::Template;
use crate::retrieve::{self, RetrievalOptions};
use crate::seams::{Embedder, Purpose, Store};

/// Hits that are ranked for each question.
const HITS: usize = 100;
/// Hits that a result shows.
const SHOWN: usize = 10;
/// Seconds between two lines of progress where no bar is drawn.
const STATUS_EVERY: u64 = 30;

/// `run.json`: everything that decides the results, and where they were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The set's name.
    pub set: String,
    /// The set's hash.
    pub set_hash: String,
    /// Hash of all that decides the results: a run is gone on with only where it is the same.
    pub key: String,
    /// Whether answers were asked for.
    pub answers: bool,
    /// Which split; all if it is `None`.
    pub split: Option<String>,
    /// Questions in all.
    pub questions: usize,
    /// The settings, as `key → value`.
    pub settings: serde_json::Value,
    /// What made the index.
    pub index: crate::domain::Fingerprint,
    /// Articles and chunks in the index.
    pub corpus: [usize; 2],
    /// Hash of the prompt template.
    pub prompt_hash: String,
    /// This program's version.
    pub version: String,
    /// Commit and state of the git checkout that it ran in, if it was one.
    pub git: Option<String>,
    /// System, architecture and cores.
    pub machine: String,
    /// When it began.
    pub started: Timestamp,
}

/// What a run needs.
pub struct Bench<'a> {
    /// The articles.
    pub library: &'a Library,
    /// The embedder.
    pub embedder: &'a dyn Embedder,
    /// The index.
    pub store: &'a dyn Store,
    /// How hits are found.
    pub retrieval: &'a RetrievalOptions,
    /// How questions are answered; `None`: retrieval alone is looked at.
    pub answer: Option<&'a AnswerOptions>,
    /// How documents are cleaned.
    pub clean: &'a CleanOptions,
    /// How they are cut.
    pub chunk: &'a ChunkOptions,
    /// The prompt.
    pub template: &'a Template,
    /// Below this score a question is declined without the LLM.
    pub min_confidence: f64,
    /// Which chunks may be found.
    pub filter: &'a Filter,
    /// Where progress goes.
    pub events: Events<'a>,
    /// Raised by Ctrl-C.
    pub cancel: &'a Cancel,
}

/// Gold of each question of a set, and what does not resolve, by line.
pub type ResolvedSet = (Vec<Vec<Place>>, Vec<String>);

/// Finds a set's gold in the library.
///
/// # Errors
/// If the library can't be read.
pub fn resolve(bench: &Bench<'_>, set: &QuestionSet) -> Result<ResolvedSet> {
    let mut resolver = Resolver { bench, sections: HashMap::new() };
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for (line, question) in &set.questions {
        bench.cancel.check()?;
        let mut places = Vec::new();
        for gold in &question.gold {
            match resolver.place(gold)? {
                Ok(place) => places.push(place),
                Err(problem) => problems.push(format!("line {line} ({}): {problem}", question.id)),
            }
        }
        all.push(places);
    }
    Ok((all, problems))
}

/// The sections of an article: heading, and its chunks.
type Sections = Vec<(String, Vec<ChunkId>)>;

struct Resolver<'a> {
    bench: &'a Bench<'a>,
    sections: HashMap<ArticleId, Sections>,
}

impl Resolver<'_> {
    fn place(&mut self, gold: &Gold) -> Result<Result<Place, String>> {
        let library = self.bench.library;
        let (name, article) = match (&gold.url, &gold.doc) {
            (Some(url), _) => (url, library.find_articles(url)?.into_iter().next()),
            (None, Some(doc)) => (doc, library.find_by_guid(doc)?),
            (None, None) => return Ok(Err("gold names no article".to_owned())),
        };
        let Some(article) = article else {
            return Ok(Err(format!("the library has no article {name}")));
        };
        let sections = self.sections_of(&article)?;
        let chunks_of = |wanted: &dyn Fn(usize) -> bool| -> Vec<ChunkId> {
            let of = sections.iter().enumerate().filter(|(at, _)| wanted(*at));
            of.flat_map(|(_, (_, chunks))| chunks.clone()).collect()
        };
        let Some(heading) = &gold.heading else {
            let chunks = chunks_of(&|_| true);
            return Ok(Ok(Place { article, sections: None, chunks, grade: gold.relevance }));
        };
        let found: Vec<usize> =
            (0..sections.len()).filter(|at| same_heading(&sections[*at].0, heading)).collect();
        if found.is_empty() {
            return Ok(Err(format!("{name} has no section \"{heading}\"")));
        }
        let chunks = chunks_of(&|at| found.contains(&at));
        Ok(Ok(Place { article, sections: Some(found), chunks, grade: gold.relevance }))
    }

    fn sections_of(&mut self, id: &ArticleId) -> Result<Sections> {
        if let Some(sections) = self.sections.get(id) {
            return Ok(sections.clone());
        }
        let bench = self.bench;
        let Some(article) = bench.library.article(id)? else { return Ok(Vec::new()) };
        let document = index::document(bench.library, id, article.revision, bench.clean)?;
        let count = |text: &str| bench.embedder.count_tokens(text, Purpose::Passage);
        let limit = bench.embedder.max_tokens();
        let chunks = chunk::split(&document, &article.meta, bench.chunk, limit, &count)?;
        let mut sections: Sections = document
            .sections
            .iter()
            .map(|section| (section.heading_path.last().cloned().unwrap_or_default(), Vec::new()))
            .collect();
        for chunk in chunks {
            sections[chunk.section].1.push(chunk.id);
        }
        self.sections.insert(id.clone(), sections.clone());
        Ok(sections)
    }
}

/// A run's folder, held by this process.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Results that are there already.
    pub done: Vec<QuestionResult>,
    _lock: std::fs::File,
}

impl Folder {
    /// The folder of an unfinished run of the same key that nobody works on, else a new one.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn take(runs: &Path, manifest: &Manifest, fresh: bool) -> Result<Folder> {
        let cannot = |error| Error::io("cannot make a folder for the run", error);
        fs_err::create_dir_all(runs).map_err(cannot)?;
        if !fresh {
            for path in list(runs)? {
                let same = read_manifest(&path).is_ok_and(|there| there.key == manifest.key);
                if !same || path.join("summary.json").exists() {
                    continue;
                }
                if let Some(folder) = Folder::lock(&path)? {
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
                    write_json(&path.join("run.json"), manifest)?;
                    if let Some(folder) = held {
                        return Ok(folder);
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
        let lock = std::fs::File::create(path.join("lock")).map_err(cannot)?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        let done = read_results(path)?;
        Ok(Some(Folder { path: path.to_owned(), done, _lock: lock }))
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
pub fn read_manifest(run: &Path) -> Result<Manifest> {
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

/// The results so far.
///
/// # Errors
/// If the file can't be read, or is broken elsewhere than in its last line.
pub fn read_results(run: &Path) -> Result<Vec<QuestionResult>> {
    read_lines(&run.join("results.jsonl"))
}

/// A file of JSON lines that is written line by line; none if it is not there. A last line that was
/// being written when its writer was killed is dropped, from the file too.
///
/// # Errors
/// If the file can't be read, or is broken elsewhere.
pub fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(path)
        .map_err(|error| Error::io("cannot read the run's results", error))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let lines = text[..whole]
        .lines()
        .map(|line| {
            serde_json::from_str(line).map_err(|error| {
                Error::new(ErrorKind::Parse, format!("{} is broken", path.display()))
                    .caused_by(error)
                    .hint("begin anew: wellread eval run … --fresh")
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if whole < text.len() {
        let file = fs_err::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(whole as u64))
            .map_err(|error| Error::io("cannot mend the run's results", error))?;
    }
    Ok(lines)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs_err::read(path).map_err(|error| Error::io("cannot read the run", error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Parse, format!("{} is not of a run", path.display()))
            .caused_by(error)
            .hint("name a folder that `wellread eval list` shows")
    })
}

/// Writes a file whole or not at all.
///
/// # Errors
/// If it can't be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot write JSON").caused_by(error))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes a text whole or not at all.
///
/// # Errors
/// If it can't be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write(path, text.as_bytes())
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

/// Writes a file whole or not at all.
///
/// # Errors
/// If it can't be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |error| Error::io(format!("cannot write {}", path.display()), error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
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
    generator: &mut LazyGenerator<'_>,
) -> Result<Summary> {
    let done: HashSet<String> = folder.done.iter().map(|result| result.id.clone()).collect();
    let path = folder.path.join("results.jsonl");
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| Error::io("cannot write the run's results", error))?;
    let total = questions.len() as u64;
    let task = "Evaluating".to_owned();
    let start = Instant::now();
    let mut said = start;
    let left = questions.iter().filter(|(question, _)| !done.contains(&question.id));
    for (asked, (question, gold)) in left.enumerate() {
        let count = folder.done.len() as u64;
        let progress =
            Event::Progress { task: task.clone(), done: count, total, unit: Unit::Items };
        (bench.events)(progress);
        if said.elapsed() > Duration::from_secs(STATUS_EVERY) && asked > 0 {
            said = Instant::now();
            let each = start.elapsed().as_secs_f64() / asked as f64;
            let left = each * (total - count) as f64 / 60.0;
            (bench.events)(Event::Status(format!(
                "{count} of {total} questions, {each:.1} s each, about {left:.0} minutes left"
            )));
        }
        bench.cancel.check()?;
        let result = match one(bench, question, gold, generator) {
            Ok(result) => result,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                (bench.events)(Event::Warning(format!("{}: {}", question.id, error.chain())));
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
    (bench.events)(Event::Done { task });
    let order: HashMap<&str, usize> = questions
        .iter()
        .enumerate()
        .map(|(at, (question, _))| (question.id.as_str(), at))
        .collect();
    folder.done.sort_by_key(|result| order.get(result.id.as_str()).copied());
    let summary = score::summary(&folder.done);
    write_json(&folder.path.join("summary.json"), &summary)?;
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

fn one(
    bench: &Bench<'_>,
    question: &Question,
    gold: &[Place],
    generator: &mut LazyGenerator<'_>,
) -> Result<QuestionResult> {
    let start = Instant::now();
    let hits = retrieve::search(
        bench.store,
        bench.embedder,
        &question.question,
        bench.filter,
        bench.retrieval,
        HITS,
    )?;
    let searched = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut result = empty(question, gold);
    result.confidence = f64::from(answer::confidence(&hits));
    result.declined = result.confidence < bench.min_confidence;
    result.ranking = question.answerable.then(|| score::levels(&hits, gold));
    result.found = hits
        .iter()
        .take(SHOWN)
        .map(|hit| Found {
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
    let Some(options) = bench.answer else { return Ok(result) };
    let mut document =
        |id: &ArticleId, revision: u32| index::document(bench.library, id, revision, bench.clean);
    let parts = Parts {
        store: bench.store,
        embedder: bench.embedder,
        document: &mut document,
        generator,
        template: bench.template,
    };
    let answer = answer::answer(
        parts,
        &question.question,
        bench.filter,
        bench.retrieval,
        options,
        bench.cancel,
        &mut |_| Ok(()),
    )?;
    let mut sections = HashMap::new();
    for passage in &answer.passages {
        let document =
            index::document(bench.library, &passage.article.id, passage.revision, bench.clean)?;
        let at = document
            .sections
            .iter()
            .position(|section| section.range.contains(&passage.range.start));
        sections.insert(passage.n, at);
    }
    let section_of = |passage: &retrieve::Passage| sections.get(&passage.n).copied().flatten();
    result.answer = Some(score::answered(question, &answer, gold, &section_of));
    let timings = answer.timings;
    result.ms = [timings.retrieval_ms, timings.first_token_ms, timings.total_ms];
    Ok(result)
}
