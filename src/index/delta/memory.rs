//! A delta in memory, searched by looking at every point of it.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::{HEAD, Heading, POINT, Parts, Record, numbers, parse};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, Chunk, Filter, Hit, SparseVector};
use crate::document::terms;
use crate::index::damaged;
use crate::index::frequencies::checksum;
use crate::index::payload;
use crate::index::store::{Query, Stored, ranked};

/// A delta in memory, to be searched.
#[derive(Debug)]
pub(in crate::index) struct Delta {
    bytes: Vec<u8>,
    articles: Vec<Heading>,
    points: Vec<At>,
    /// Articles of which the base's points do not count.
    pub superseded: BTreeSet<ArticleId>,
    average: f64,
}

/// Where a point lies in the file.
#[derive(Debug)]
struct At {
    /// Index of its article.
    article: usize,
    /// Without the kind.
    rest: Range<usize>,
    /// Its vector.
    dense: Range<usize>,
    length: usize,
}

impl Delta {
    /// The first `bytes` bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if it is missing or damaged.
    pub fn open(path: &Path, bytes: u64, dimensions: usize, average: f64) -> Result<Delta> {
        let is_damaged = || damaged(&format!("{} is corrupt", path.display()));
        let mut read = Vec::new();
        if bytes > 0 {
            read.reserve_exact(usize::try_from(bytes).map_err(|_| is_damaged())?);
            let file = fs_err::File::open(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => damaged(&format!("{} is missing", path.display())),
                _ => Error::io("cannot read the index", error),
            })?;
            let count = file.take(bytes).read_to_end(&mut read);
            let count = count.map_err(|error| Error::io("cannot read the index", error))?;
            if count as u64 != bytes {
                return Err(is_damaged());
            }
        }
        let mut articles: Vec<Heading> = Vec::new();
        let mut newest: HashMap<ArticleId, usize> = HashMap::new();
        let mut points: Vec<At> = Vec::new();
        let mut superseded = BTreeSet::new();
        let (mut at, mut wanted) = (0, 0);
        while at < read.len() {
            let (kind, rest) = record_at(&read, at).ok_or_else(is_damaged)?;
            at = rest.end;
            match parse(kind, &read[rest.clone()]).ok_or_else(is_damaged)? {
                Record::Article(heading) => {
                    if wanted > 0 {
                        return Err(is_damaged());
                    }
                    wanted = heading.points;
                    superseded.insert(heading.article.id.clone());
                    newest.insert(heading.article.id.clone(), articles.len());
                    articles.push(heading);
                }
                Record::Gone(article) => {
                    newest.remove(&article);
                    superseded.insert(article);
                }
                Record::Point(parts) => {
                    if parts.dense.len() != dimensions * 4 || wanted == 0 {
                        return Err(is_damaged());
                    }
                    wanted -= 1;
                    let length = numbers(parts.counts).map(|count| count as usize).sum();
                    let dense = rest.end - parts.dense.len()..rest.end;
                    points.push(At { article: articles.len() - 1, rest, dense, length });
                }
            }
        }
        if wanted > 0 {
            return Err(is_damaged());
        }
        points.retain(|point| {
            newest.get(&articles[point.article].article.id) == Some(&point.article)
        });
        Ok(Delta { bytes: read, articles, points, superseded, average })
    }

    fn parts(&self, point: &At) -> Result<Parts<'_>> {
        match parse(POINT, &self.bytes[point.rest.clone()]) {
            Some(Record::Point(parts)) => Ok(parts),
            _ => Err(Error::new(ErrorKind::Bug, "a record has changed in memory")),
        }
    }

    /// As [`super::store::Store::search`].
    pub fn search(&self, query: &Query, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        let passes: Vec<bool> =
            self.articles.iter().map(|heading| filter.accepts(&heading.article)).collect();
        let mut found: Vec<(f32, &At)> = Vec::new();
        for point in self.points.iter().filter(|point| passes[point.article]) {
            let score = match query {
                Query::Dense(vector) => dot(vector, &self.bytes[point.dense.clone()]),
                Query::Sparse(vector) => {
                    let parts = self.parts(point)?;
                    let score = product(vector, &parts, point.length, self.average);
                    if score <= 0.0 {
                        continue;
                    }
                    score
                }
            };
            found.push((score, point));
        }
        // Ties at the edge are broken by id below.
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let edge = limit.checked_sub(1).and_then(|last| found.get(last)).map(|(score, _)| *score);
        let mut hits = Vec::new();
        for (score, point) in found {
            if limit == 0 || edge.is_some_and(|edge| score < edge) {
                break;
            }
            hits.push(self.hit(point, score, query)?);
        }
        Ok(ranked(hits, limit))
    }

    fn hit(&self, point: &At, score: f32, query: &Query) -> Result<Hit> {
        let heading = &self.articles[point.article];
        let chunk = self.chunk(point)?;
        Ok(Hit {
            chunk_id: chunk.id,
            article: heading.article.clone(),
            revision: heading.revision,
            document: heading.document.clone(),
            section: chunk.section,
            ordinal: chunk.ordinal,
            heading_path: chunk.heading_path,
            range: chunk.range,
            text: chunk.text,
            score,
            scores: payload::scores(query, score),
        })
    }

    fn chunk(&self, point: &At) -> Result<Chunk> {
        let heading = &self.articles[point.article];
        let chunk = self.parts(point)?.chunk(&heading.article.id);
        chunk.map_err(|error| damaged("a chunk of its delta is not valid").caused_by(error))
    }

    /// Shows all points of an article, or of all.
    pub fn scan(
        &self,
        article: Option<&ArticleId>,
        visit: &mut dyn FnMut(Stored) -> Result<()>,
    ) -> Result<()> {
        for point in &self.points {
            let heading = &self.articles[point.article];
            if article.is_none_or(|article| *article == heading.article.id) {
                visit(Stored {
                    chunk_id: self.chunk(point)?.id,
                    article_id: heading.article.id.clone(),
                    revision: heading.revision,
                })?;
            }
        }
        Ok(())
    }

    /// The terms of an article's points, each with its number of terms.
    pub fn terms(&self, article: &ArticleId) -> Result<Vec<(Vec<u32>, usize)>> {
        let of_article =
            self.points.iter().filter(|point| self.articles[point.article].article.id == *article);
        of_article
            .map(|point| Ok((numbers(self.parts(point)?.ids).collect(), point.length)))
            .collect()
    }
}

/// The kind of the record at a place, and where its rest lies.
fn record_at(bytes: &[u8], at: usize) -> Option<(u8, Range<usize>)> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<HEAD>()?;
    let [a, b, c, d, sum @ ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let content = rest.get(..length)?;
    let (kind, _) = content.split_first()?;
    let start = at + HEAD + 1;
    (checksum(content) == u64::from_le_bytes(sum)).then_some((*kind, start..start + length - 1))
}

/// The product of a vector with one of a record.
fn dot(a: &[f32], b: &[u8]) -> f32 {
    const LANES: usize = 16;
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<{ LANES * 4 }>();
    let value = |bytes: &[u8; LANES * 4], at: usize| {
        let at = at * 4;
        f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for at in 0..LANES {
            sums[at] += a[at] * value(b, at);
        }
    }
    let rest = a_rest.iter().zip(numbers(b_rest)).map(|(a, b)| a * f32::from_bits(b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// The product of a question's weights with the weights of a record's terms.
fn product(question: &SparseVector, parts: &Parts<'_>, length: usize, average: f64) -> f32 {
    let (ids, _) = parts.ids.as_chunks::<4>();
    let (counts, _) = parts.counts.as_chunks::<4>();
    let mut sum = 0.0;
    for (term, weight) in question.indices.iter().zip(&question.values) {
        if let Ok(at) = ids.binary_search_by_key(term, |id| u32::from_le_bytes(*id)) {
            let count = u32::from_le_bytes(counts[at]);
            sum += weight * terms::weight(count, length, average);
        }
    }
    sum
}
