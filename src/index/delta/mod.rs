//! What came to a generation after its base was built: a flat file that is only appended to, and
//! searched by looking at every point of it.
//!
//! A generation and the one before it share the file (a hard link): each reads as much as its record
//! says, and what a killed writer left behind that is nobody's. The same file collects the points of
//! a base that is being built, because their weights can't be made before the average length of all
//! is known.
//!
//! ```text
//! record: u32 length of what follows the checksum, u64 checksum of kind and rest, u8 kind, rest
//!   article  JSON: its meta, revision, document and number of points, which follow; what base and
//!            delta had of it before counts no more
//!   point    u32 length, JSON of the chunk; u32 terms, (u32 id)…, (u32 count)…; (f32 of the vector)…
//!   gone     the id of an article that was removed
//! ```

mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, ArticleMeta, Chunk, ChunkId, DocumentId, Point};
use crate::document::terms::{self, Terms};
use crate::index::damaged;
use crate::index::frequencies::checksum;

pub(super) use memory::Delta;

const ARTICLE: u8 = 1;
const POINT: u8 = 2;
const GONE: u8 = 3;
/// Bytes before a record's kind.
const HEAD: usize = 12;
/// The longest record that is believed: a chunk has some kilobytes.
const MAX_RECORD: usize = 256 << 20;

/// An article's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Heading {
    article: ArticleMeta,
    revision: u32,
    document: DocumentId,
    points: usize,
}

/// A chunk as a point's record has it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: ChunkId,
    section: usize,
    ordinal: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heading_path: Vec<String>,
    range: Range<usize>,
    text: String,
}

/// A point before its weights are made.
#[derive(Clone, Debug)]
pub(super) struct RawPoint {
    pub chunk: Chunk,
    pub terms: Terms,
    pub dense: Vec<f32>,
}

fn bug(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Bug, "cannot write a record of the index").caused_by(error)
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot write the index", error)
}

/// Appends to a delta.
pub(super) struct DeltaWriter {
    file: BufWriter<fs_err::File>,
    bytes: u64,
}

impl DeltaWriter {
    /// A new file.
    pub fn create(path: &Path) -> Result<DeltaWriter> {
        let file = fs_err::File::create_new(path).map_err(cannot_write)?;
        Ok(DeltaWriter { file: BufWriter::new(file), bytes: 0 })
    }

    /// Goes on in a file of `bytes` bytes.
    pub fn append(path: &Path, bytes: u64) -> Result<DeltaWriter> {
        let mut file = fs_err::OpenOptions::new().write(true).open(path).map_err(cannot_write)?;
        file.seek(SeekFrom::Start(bytes)).map_err(cannot_write)?;
        Ok(DeltaWriter { file: BufWriter::new(file), bytes })
    }

    /// Writes an article with its points; what was there of it before counts no more.
    pub fn article(
        &mut self,
        article: &ArticleMeta,
        revision: u32,
        document: &DocumentId,
        points: &[RawPoint],
    ) -> Result<()> {
        let heading = Heading {
            // As in the base, whose payloads don't have it.
            article: ArticleMeta { subtitle: None, ..article.clone() },
            revision,
            document: document.clone(),
            points: points.len(),
        };
        self.record(ARTICLE, &serde_json::to_vec(&heading).map_err(bug)?)?;
        let mut rest = Vec::new();
        for point in points {
            let RawPoint { chunk, terms, dense } = point;
            let kept = Kept {
                id: chunk.id,
                section: chunk.section,
                ordinal: chunk.ordinal,
                heading_path: chunk.heading_path.clone(),
                range: chunk.range.clone(),
                text: chunk.text.clone(),
            };
            let json = serde_json::to_vec(&kept).map_err(bug)?;
            rest.clear();
            rest.extend_from_slice(&length(json.len())?);
            rest.extend_from_slice(&json);
            rest.extend_from_slice(&length(terms.ids.len())?);
            for number in terms.ids.iter().chain(&terms.counts) {
                rest.extend_from_slice(&number.to_le_bytes());
            }
            for value in dense {
                rest.extend_from_slice(&value.to_le_bytes());
            }
            self.record(POINT, &rest)?;
        }
        Ok(())
    }

    /// Says that an article was removed.
    pub fn gone(&mut self, article: &ArticleId) -> Result<()> {
        self.record(GONE, article.0.as_bytes())
    }

    fn record(&mut self, kind: u8, rest: &[u8]) -> Result<()> {
        let mut bytes = Vec::with_capacity(HEAD + 1 + rest.len());
        bytes.extend_from_slice(&length(rest.len() + 1)?);
        bytes.extend_from_slice(&[0; 8]);
        bytes.push(kind);
        bytes.extend_from_slice(rest);
        let sum = checksum(&bytes[HEAD..]);
        bytes[4..HEAD].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all(&bytes).map_err(cannot_write)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable; the bytes that are valid.
    pub fn finish(self) -> Result<u64> {
        let file = self.file.into_inner().map_err(|error| cannot_write(error.into_error()))?;
        file.sync_all().map_err(cannot_write)?;
        Ok(self.bytes)
    }
}

fn length(n: usize) -> Result<[u8; 4]> {
    let n = u32::try_from(n)
        .map_err(|_| Error::new(ErrorKind::TooLarge, "a chunk is too large for the index"))?;
    Ok(n.to_le_bytes())
}

/// What a record says.
enum Record<'a> {
    Article(Heading),
    Point(Parts<'a>),
    Gone(ArticleId),
}

/// The parts of a point's record.
struct Parts<'a> {
    json: &'a [u8],
    ids: &'a [u8],
    counts: &'a [u8],
    dense: &'a [u8],
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number))
}

impl Parts<'_> {
    fn chunk(&self, article: &ArticleId) -> Result<Chunk, serde_json::Error> {
        let Kept { id, section, ordinal, heading_path, range, text } =
            serde_json::from_slice(self.json)?;
        Ok(Chunk {
            id,
            article_id: article.clone(),
            section,
            ordinal,
            heading_path,
            range,
            text,
            embedded_text: String::new(),
            tokens: 0,
        })
    }

    fn terms(&self) -> Terms {
        Terms { ids: numbers(self.ids).collect(), counts: numbers(self.counts).collect() }
    }

    fn dense(&self) -> Vec<f32> {
        numbers(self.dense).map(f32::from_bits).collect()
    }
}

/// What a record's kind and rest say; `None` if they are not what was written.
fn parse(kind: u8, rest: &[u8]) -> Option<Record<'_>> {
    let take = |bytes: &mut &[u8], n: usize| -> Option<usize> {
        let (_, rest) = bytes.split_at_checked(n)?;
        *bytes = rest;
        Some(n)
    };
    match kind {
        ARTICLE => serde_json::from_slice(rest).ok().map(Record::Article),
        GONE => Some(Record::Gone(ArticleId(String::from_utf8(rest.to_vec()).ok()?))),
        POINT => {
            let split = |bytes: &'_ [u8]| -> Option<(usize, usize)> {
                let (n, _) = bytes.split_first_chunk::<4>()?;
                Some((4, u32::from_le_bytes(*n) as usize))
            };
            let mut left = rest;
            let (head, json) = split(left)?;
            take(&mut left, head)?;
            let (json, mut left) = left.split_at_checked(json)?;
            let (head, count) = split(left)?;
            take(&mut left, head)?;
            let (ids, left) = left.split_at_checked(count.checked_mul(4)?)?;
            let (counts, dense) = left.split_at_checked(count * 4)?;
            (dense.len() % 4 == 0).then_some(Record::Point(Parts { json, ids, counts, dense }))
        }
        _ => None,
    }
}

/// Reads a delta record by record.
pub(super) struct DeltaReader {
    path: PathBuf,
    file: BufReader<fs_err::File>,
    at: u64,
    end: u64,
}

impl DeltaReader {
    /// The first `bytes` bytes of a file.
    pub fn open(path: &Path, bytes: u64) -> Result<DeltaReader> {
        DeltaReader::open_at(path, 0, bytes)
    }

    /// The same from a record on.
    pub fn open_at(path: &Path, from: u64, bytes: u64) -> Result<DeltaReader> {
        let mut file = fs_err::File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(&format!("{} is missing", path.display())),
            _ => Error::io("cannot read the index", error),
        })?;
        file.seek(SeekFrom::Start(from))
            .map_err(|error| Error::io("cannot read the index", error))?;
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(DeltaReader { path: path.to_owned(), file, at: from, end: bytes })
    }

    fn damaged(&self) -> Error {
        damaged(&format!("{} is corrupt", self.path.display()))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact(buffer).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged(),
            _ => Error::io("cannot read the index", error),
        })
    }

    /// The next record's place and kind, its rest in `buffer`, checked; `None` at the end.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<(u64, u8)>> {
        if self.at == self.end {
            return Ok(None);
        }
        let at = self.at;
        let mut head = [0; HEAD];
        self.read_exact(&mut head)?;
        let [a, b, c, d, sum @ ..] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let next = at + (HEAD + length) as u64;
        if length == 0 || length > MAX_RECORD || next > self.end {
            return Err(self.damaged());
        }
        buffer.resize(length, 0);
        self.read_exact(buffer)?;
        if checksum(buffer) != u64::from_le_bytes(sum) {
            return Err(self.damaged());
        }
        self.at = next;
        Ok(Some((at, buffer.remove(0))))
    }

    /// Where the newest record of each article lies, and which articles have one at all.
    pub fn newest(mut self) -> Result<Newest> {
        let mut newest = Newest::default();
        let mut buffer = Vec::new();
        let mut current: Option<ArticleId> = None;
        while let Some((at, kind)) = self.next(&mut buffer)? {
            match parse(kind, &buffer) {
                Some(Record::Article(heading)) => {
                    let id = heading.article.id;
                    newest.at.insert(id.clone(), (at, 0));
                    newest.named.insert(id.clone());
                    current = Some(id);
                }
                Some(Record::Gone(article)) => {
                    newest.at.remove(&article);
                    newest.named.insert(article);
                    current = None;
                }
                Some(Record::Point(_)) => {
                    let points = current.as_ref().and_then(|id| newest.at.get_mut(id));
                    points.ok_or_else(|| self.damaged())?.1 += 1;
                }
                None => return Err(self.damaged()),
            }
        }
        Ok(newest)
    }

    /// Shows every point that counts, as it is where chunks have `average` terms.
    pub fn points(
        mut self,
        newest: &Newest,
        average: f64,
        visit: &mut dyn FnMut(Point) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        let mut current: Option<Heading> = None;
        while let Some((at, kind)) = self.next(&mut buffer)? {
            match parse(kind, &buffer) {
                Some(Record::Article(heading)) => {
                    let counts =
                        newest.at.get(&heading.article.id).is_some_and(|newest| newest.0 == at);
                    current = counts.then_some(heading);
                }
                Some(Record::Gone(_)) => current = None,
                Some(Record::Point(parts)) => {
                    let Some(heading) = &current else { continue };
                    let terms = parts.terms();
                    let chunk = parts.chunk(&heading.article.id).map_err(|_| self.damaged())?;
                    visit(Point {
                        chunk,
                        article: heading.article.clone(),
                        revision: heading.revision,
                        document: heading.document.clone(),
                        dense: parts.dense(),
                        sparse: terms::weights(&terms, average),
                        length: terms.length(),
                    })?;
                }
                None => return Err(self.damaged()),
            }
        }
        Ok(())
    }
}

/// What of a delta counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest {
    /// Where the newest record of each article lies that was not removed, and how many points
    /// follow.
    at: BTreeMap<ArticleId, (u64, usize)>,
    /// Every article that has a record: what the base has of it does not count.
    pub named: BTreeSet<ArticleId>,
}

impl Newest {
    /// How many points an article has; `None` if it has no record.
    pub fn points(&self, article: &ArticleId) -> Option<usize> {
        self.at.get(article).map(|(_, points)| *points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Filter;
    use crate::base::samples::article;
    use crate::index::store::Query;

    fn raw(n: u128, text: &str, dense: Vec<f32>) -> RawPoint {
        RawPoint {
            chunk: Chunk {
                id: ChunkId(uuid::Uuid::from_u128(n)),
                article_id: ArticleId("a".into()),
                section: 0,
                ordinal: 0,
                heading_path: vec![],
                range: 0..text.len(),
                text: text.into(),
                embedded_text: String::new(),
                tokens: 0,
            },
            terms: terms::of(text),
            dense,
        }
    }

    fn meta(id: &str) -> ArticleMeta {
        ArticleMeta { id: ArticleId(id.into()), ..article(&format!("On {id}")) }
    }

    fn document() -> DocumentId {
        DocumentId("0".repeat(32))
    }

    fn found(delta: &Delta, text: &str) -> Vec<u128> {
        let query = Query::Sparse(terms::query(text));
        let hits = delta.search(&query, &Filter::default(), 10).unwrap();
        hits.iter().map(|hit| hit.chunk_id.0.as_u128()).collect()
    }

    #[test]
    fn what_is_written_later_replaces_and_what_is_behind_the_record_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("delta");
        let mut writer = DeltaWriter::create(&path).unwrap();
        let points = [raw(1, "glue hardens", vec![1.0, 0.0]), raw(2, "glue", vec![0.0, 1.0])];
        writer.article(&meta("a"), 1, &document(), &points).unwrap();
        writer.article(&meta("b"), 1, &document(), &[raw(3, "steam", vec![0.6, 0.8])]).unwrap();
        let first = writer.finish().unwrap();
        let open = |bytes| Delta::open(&path, bytes, 2, 10.0).unwrap();
        assert_eq!(found(&open(first), "glue"), [2, 1]);

        let mut writer = DeltaWriter::append(&path, first).unwrap();
        writer.article(&meta("a"), 2, &document(), &[raw(4, "varnish", vec![1.0, 0.0])]).unwrap();
        writer.gone(&ArticleId("b".into())).unwrap();
        writer.gone(&ArticleId("c".into())).unwrap();
        let second = writer.finish().unwrap();
        let delta = open(second);
        assert_eq!(found(&delta, "varnish glue steam"), [4]);
        let named: Vec<_> = delta.superseded.iter().map(|id| id.0.as_str()).collect();
        assert_eq!(named, ["a", "b", "c"]);
        // Whoever reads by the older record sees what was there then.
        assert_eq!(found(&open(first), "varnish glue steam"), [2, 3, 1]);
        let hits =
            open(first).search(&Query::Dense(vec![0.0, 1.0]), &Filter::default(), 2).unwrap();
        assert_eq!((hits[0].score, hits[1].score), (1.0, 0.8));

        // Read as a stream it is the same.
        let stream = |bytes| {
            let newest = DeltaReader::open(&path, bytes).unwrap().newest().unwrap();
            let mut seen = Vec::new();
            let reader = DeltaReader::open(&path, bytes).unwrap();
            reader
                .points(&newest, 10.0, &mut |point| {
                    assert_eq!(point.sparse, terms::weights(&terms::of(&point.chunk.text), 10.0));
                    seen.push(point.chunk.id.0.as_u128());
                    Ok(())
                })
                .unwrap();
            seen
        };
        assert_eq!((stream(first), stream(second)), (vec![1, 2, 3], vec![4]));
        assert_eq!(delta.terms(&ArticleId("a".into())).unwrap()[0].1, 1);
    }

    #[test]
    fn a_damaged_file_is_said_to_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("delta");
        let mut writer = DeltaWriter::create(&path).unwrap();
        writer.article(&meta("a"), 1, &document(), &[raw(1, "glue", vec![1.0, 0.0])]).unwrap();
        writer.gone(&ArticleId("b".into())).unwrap();
        let bytes = writer.finish().unwrap();
        let whole = fs_err::read(&path).unwrap();
        let kinds = |bytes: u64| {
            let stream = DeltaReader::open(&path, bytes).and_then(DeltaReader::newest);
            let memory = Delta::open(&path, bytes, 2, 10.0);
            [stream.map(|_| ()), memory.map(|_| ())].map(|read| read.unwrap_err().kind())
        };
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0x04;
            fs_err::write(&path, &wrong).unwrap();
            assert_eq!(kinds(bytes), [ErrorKind::Index; 2], "byte {at}");
        }
        fs_err::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(kinds(bytes), [ErrorKind::Index; 2]);
        fs_err::write(&path, &whole).unwrap();
        assert_eq!(kinds(bytes - 1), [ErrorKind::Index; 2]);
        assert!(Delta::open(&path, bytes, 3, 10.0).is_err());
        fs_err::remove_file(&path).unwrap();
        assert_eq!(kinds(bytes), [ErrorKind::Index; 2]);
    }
}
