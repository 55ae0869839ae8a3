//! The embedded store: a Qdrant shard in a folder.
//!
//! A published generation is never written to. A writer works on a folder of its own; readers open
//! a published one through a private folder that links to its segments, because a shard's
//! write-ahead log can be open in one process only, and a reader has no use for it.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use qdrant_edge::{
    CreateIndex, Distance, EdgeConfig, EdgeConfigBuilder, EdgeOptimizersConfig, EdgeShard,
    EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder, FieldIndexOperations, HnswIndexConfig,
    Modifier, NamedQuery, OperationError, PointId, PointInsertOperations, PointOperations,
    PointStruct, QueryEnum, QueryRequest, ScoringQuery, ScrollRequest, UpdateOperation, Vector,
    VectorInternal, Vectors, WalOptions, WithPayloadInterface, WithVector,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{DENSE, SPARSE, Shape, TIES, payload, ranked};
use crate::domain::{ArticleId, Filter, Hit, Point};
use crate::error::{Error, ErrorKind, Result};
use crate::scratch::Scratch;
use crate::seams::{Query, Select, Store, Stored};

/// Points written with one call.
const BATCH: usize = 256;
/// Points read with one call.
const PAGE: usize = 1000;
/// Bytes of a segment of the write-ahead log.
const LOG_SEGMENT: usize = 4 << 20;
/// The same for a reader.
const READER_LOG: usize = 64 << 10;
/// Points after which what was written becomes a part of its own. In one that is written to, each
/// point is worth a walk over all before it that have its words.
const PART: usize = 16_384;
/// A shard's configuration.
const CONFIG: &str = "edge_config.json";

/// How the embedded store keeps vectors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeOptions {
    /// Keep vectors as bytes, too (scalar quantisation): they are searched, and the best are
    /// compared again with the whole ones.
    pub quantization: bool,
}

/// A shard in a folder.
pub struct EdgeStore {
    /// There until this is dropped. Dropping a shard writes it: a reader's is forgotten instead.
    shard: Option<EdgeShard>,
    /// A reader's private folder.
    private: Option<Scratch>,
    /// Points written since the last part was closed.
    written: usize,
    /// Whether there are closed parts that have no graph yet.
    has_parts: bool,
}

impl EdgeStore {
    /// A new store in a folder that is made.
    ///
    /// # Errors
    /// If there is a store already, or the folder can't be written.
    pub fn create(dir: &Path, shape: &Shape, options: &EdgeOptions) -> Result<EdgeStore> {
        fs_err::create_dir_all(dir)
            .map_err(|error| Error::io("cannot make a folder for the index", error))?;
        let config = config(shape, options)?;
        let shard = guard("cannot make an index", || EdgeShard::new(dir, config))?;
        let store = EdgeStore::of(shard, None);
        for (field, schema) in payload::indexes() {
            let index = CreateIndex {
                field_name: from_json(Value::String(field.to_owned()))?,
                field_schema: Some(from_json(schema)?),
            };
            store.update(UpdateOperation::FieldIndexOperation(
                FieldIndexOperations::CreateIndex(index),
            ))?;
        }
        Ok(store)
    }

    /// The store of a folder that no other process uses, to be written to.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if it is missing or damaged.
    pub fn open(dir: &Path) -> Result<EdgeStore> {
        is_there(dir)?;
        let shard = guard("cannot open the index", || EdgeShard::load(dir, None))?;
        Ok(EdgeStore::of(shard, None))
    }

    /// The store of a published folder, to be read from; as many processes at once as there are.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if it is missing or damaged.
    pub fn open_reader(dir: &Path) -> Result<EdgeStore> {
        is_there(dir)?;
        let cannot = |error| Error::io("cannot make a temporary folder to read the index", error);
        let private = Scratch::new_in(&std::env::temp_dir()).map_err(cannot)?;
        let dir = std::path::absolute(dir).map_err(cannot)?;
        for entry in fs_err::read_dir(&dir).map_err(|e| Error::io("cannot read the index", e))? {
            let entry = entry.map_err(|error| Error::io("cannot read the index", error))?;
            let target = private.path().join(entry.file_name());
            if entry.file_name() == CONFIG {
                small_log(&entry.path(), &target)?;
            } else if entry.path().is_file() {
                fs_err::copy(entry.path(), target).map_err(cannot)?;
            } else if entry.file_name() == "segments" {
                link(&entry.path(), &target).map_err(cannot)?;
            }
        }
        let shard = guard("cannot open the index", || EdgeShard::load(private.path(), None))?;
        Ok(EdgeStore::of(shard, Some(private)))
    }

    fn of(shard: EdgeShard, private: Option<Scratch>) -> EdgeStore {
        EdgeStore { shard: Some(shard), private, written: 0, has_parts: false }
    }

    /// Closes what was written as a part: without a graph, which one part of the whole gets in the
    /// end.
    fn close_part(&mut self) -> Result<()> {
        self.optimize(
            HnswIndexConfig { m: 0, ..graph() },
            EdgeOptimizersConfig {
                default_segment_number: Some(usize::MAX / 2),
                ..EdgeOptimizersConfig::default()
            },
        )?;
        (self.written, self.has_parts) = (0, true);
        Ok(())
    }

    fn optimize(&self, graph: HnswIndexConfig, optimizers: EdgeOptimizersConfig) -> Result<()> {
        let shard = self.shard()?;
        guard("cannot write the index", || {
            shard.set_hnsw_config(graph)?;
            shard.set_optimizers_config(optimizers)?;
            shard.optimize().map(|_| ())
        })
    }

    fn shard(&self) -> Result<&EdgeShard> {
        self.shard.as_ref().ok_or_else(|| Error::new(ErrorKind::Bug, "the index is closed"))
    }

    fn update(&self, operation: UpdateOperation) -> Result<()> {
        let shard = self.shard()?;
        guard("cannot write to the index", || shard.update(operation))
    }
}

impl Drop for EdgeStore {
    fn drop(&mut self) {
        let Some(shard) = self.shard.take() else { return };
        if self.private.is_some() {
            std::mem::forget(shard);
            return;
        }
        // What could not be written was reported by the call that failed.
        let _ = guard("cannot close the index", || {
            drop(shard);
            Ok::<(), OperationError>(())
        });
    }
}

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(original, link)
}

#[cfg(windows)]
fn link(original: &Path, link: &Path) -> std::io::Result<()> {
    fs_err::os::windows::fs::symlink_dir(original, link)
}

/// Copies a shard's configuration for a reader, whose log is never written to and may be small:
/// most of the time of opening a shard goes into making it.
fn small_log(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs_err::read(from).map_err(|error| Error::io("cannot read the index", error))?;
    let mut config: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Index, "the index is damaged: its configuration is none")
            .caused_by(error)
            .hint("run `wellread index rebuild`; the library has everything that it needs")
    })?;
    if let Some(capacity) = config.pointer_mut("/wal_options/segment_capacity") {
        *capacity = json!(READER_LOG);
    }
    fs_err::write(to, config.to_string())
        .map_err(|error| Error::io("cannot make a temporary folder to read the index", error))
}

fn is_there(dir: &Path) -> Result<()> {
    let segments = dir.join("segments");
    let is_there = dir.join(CONFIG).is_file()
        && segments.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_there {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Index, format!("{} holds no index", dir.display()))
        .hint("run `wellread index rebuild`; the library has everything that it needs"))
}

fn graph() -> HnswIndexConfig {
    HnswIndexConfig { on_disk: Some(true), ..HnswIndexConfig::default() }
}

fn config(shape: &Shape, options: &EdgeOptions) -> Result<EdgeConfig> {
    let mut config = EdgeConfigBuilder::new();
    if options.quantization {
        let quantization = json!({ "scalar": { "type": "int8", "always_ram": true } });
        config = config.quantization_config(from_json(quantization)?);
    }
    // Everything is mapped from the disk: a process that asks one question reads what that needs,
    // and the system's cache serves the next.
    let dense = EdgeVectorParamsBuilder::new(shape.dimensions, Distance::Cosine).on_disk(true);
    let sparse = EdgeSparseVectorParamsBuilder::new().modifier(Modifier::Idf).on_disk(true);
    Ok(config
        .hnsw_config(graph())
        .vector(DENSE, dense.build())
        .sparse_vector(SPARSE, sparse.build())
        .wal_options(WalOptions { segment_capacity: LOG_SEGMENT, ..WalOptions::default() })
        .build())
}

fn from_json<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::new(ErrorKind::Bug, "the index does not take a filter").caused_by(error)
    })
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a call whose panic becomes an error; a panic hook says nothing
/// then.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a call into the shard. It panics where a disk is full or a file damaged: that becomes an
/// error like the others.
fn guard<T>(doing: &str, call: impl FnOnce() -> Result<T, OperationError>) -> Result<T> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    let cause = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it broke off".to_owned()),
    };
    let cause = cause.strip_prefix("Service runtime error: ").unwrap_or(&cause).to_owned();
    // The shard gives causes as text alone: the operating system's codes for a full disk, a
    // quota and a file size limit stand in it.
    let is_full = ["os error 28", "os error 27", "os error 122", "code: 27", "No space left"]
        .iter()
        .any(|code| cause.contains(code));
    Err(if is_full {
        Error::new(ErrorKind::DiskFull, doing)
            .hint("free some space and run the same command again; nothing stored is lost")
    } else {
        Error::new(ErrorKind::Index, doing)
            .hint("run `wellread index rebuild`; the library has everything that it needs")
    }
    .caused_by(cause))
}

fn point(point: &Point) -> Result<PointStruct> {
    let sparse = Vector::new_sparse(point.sparse.indices.clone(), point.sparse.values.clone())
        .map_err(|error| {
            Error::new(ErrorKind::Bug, "a chunk's BM25 vector is not sorted")
                .caused_by(error.to_string())
        })?;
    let vectors = HashMap::from([
        (DENSE.to_owned(), Vector::new_dense(point.dense.clone())),
        (SPARSE.to_owned(), sparse),
    ]);
    Ok(PointStruct::new(
        PointId::Uuid(point.chunk.id.0),
        Vectors::from(vectors),
        payload::of(point),
    ))
}

fn uuid(id: PointId) -> Result<uuid::Uuid> {
    match id {
        PointId::Uuid(id) => Ok(id),
        PointId::NumId(n) => {
            Err(Error::new(ErrorKind::Index, format!("point {n} of the index is not wellread's"))
                .hint("run `wellread index rebuild`"))
        }
    }
}

fn object(payload: Option<qdrant_edge::Payload>) -> Value {
    Value::Object(payload.map(|payload| payload.0.into_iter().collect()).unwrap_or_default())
}

impl Store for EdgeStore {
    fn upsert(&mut self, points: &[Point]) -> Result<()> {
        for batch in points.chunks(BATCH) {
            let batch =
                batch.iter().map(|one| point(one).map(Into::into)).collect::<Result<Vec<_>>>()?;
            let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch));
            self.update(UpdateOperation::PointOperation(operation))?;
            self.written += BATCH;
            if self.written >= PART {
                self.close_part()?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, article: &ArticleId) -> Result<usize> {
        let points = self.scan(&Select::Article(article.clone()))?;
        if !points.is_empty() {
            let ids = points.iter().map(|point| PointId::Uuid(point.chunk_id.0)).collect();
            let operation = PointOperations::DeletePoints { ids };
            self.update(UpdateOperation::PointOperation(operation))?;
        }
        Ok(points.len())
    }

    fn flush(&mut self) -> Result<()> {
        if self.has_parts {
            let one = EdgeOptimizersConfig {
                default_segment_number: Some(1),
                ..EdgeOptimizersConfig::default()
            };
            self.optimize(graph(), one)?;
            let shard = self.shard()?;
            guard("cannot write the index", || {
                shard.set_optimizers_config(EdgeOptimizersConfig::default())
            })?;
            self.has_parts = false;
        }
        let shard = self.shard()?;
        guard("cannot write the index", || {
            shard.optimize()?;
            shard.flush();
            Ok(())
        })
    }

    fn search(&self, query: &Query, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        let (vector, name) = match query {
            Query::Dense(vector) => (VectorInternal::Dense(vector.clone()), DENSE),
            Query::Sparse(vector) if vector.indices.is_empty() => return Ok(Vec::new()),
            Query::Sparse(vector) => {
                let vector = Vector::new_sparse(vector.indices.clone(), vector.values.clone());
                let vector = vector.map_err(|error| {
                    Error::new(ErrorKind::Bug, "a BM25 query is not sorted")
                        .caused_by(error.to_string())
                })?;
                (vector.0, SPARSE)
            }
        };
        let nearest = NamedQuery { query: vector, using: Some(name.to_owned()) };
        let request = QueryRequest {
            prefetches: Vec::new(),
            query: Some(ScoringQuery::Vector(QueryEnum::Nearest(nearest))),
            filter: payload::filter(filter).map(from_json).transpose()?,
            score_threshold: None,
            limit: limit + TIES,
            offset: 0,
            // Where there are no quantised vectors this says nothing.
            params: Some(from_json(json!({
                "quantization": { "rescore": true, "oversampling": 2.0 },
            }))?),
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(true),
        };
        let shard = self.shard()?;
        let found = guard("cannot search the index", || shard.query(request))?;
        let mut hits = Vec::with_capacity(found.len());
        for point in found {
            if matches!(query, Query::Sparse(_)) && point.score <= 0.0 {
                continue;
            }
            hits.push(payload::hit(uuid(point.id)?, point.score, object(point.payload), query)?);
        }
        Ok(ranked(hits, limit))
    }

    fn scan(&self, select: &Select) -> Result<Vec<Stored>> {
        let filter = match select {
            Select::All => None,
            Select::Article(article) => Some(from_json(payload::of_article(article))?),
        };
        let fields = payload::STORED.iter().map(|field| from_json((*field).into()));
        let fields: Vec<_> = fields.collect::<Result<_>>()?;
        let shard = self.shard()?;
        let mut found = Vec::new();
        let mut offset = None;
        loop {
            let request = ScrollRequest {
                offset,
                limit: Some(PAGE),
                filter: filter.clone(),
                with_payload: Some(WithPayloadInterface::Fields(fields.clone())),
                with_vector: WithVector::Bool(false),
                order_by: None,
            };
            let (records, next) = guard("cannot read the index", || shard.scroll(request))?;
            for record in records {
                found.push(payload::stored(uuid(record.id)?, object(record.payload))?);
            }
            match next {
                Some(next) => offset = Some(next),
                None => break,
            }
        }
        found.sort_by_key(|stored| stored.chunk_id);
        Ok(found)
    }
}
