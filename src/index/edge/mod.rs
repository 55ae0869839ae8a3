//! The embedded store: a Qdrant shard in a folder.
//!
//! A published generation is never written to. A writer works on a folder of its own; readers open
//! a published one through a private folder of links to its files, because a shard's write-ahead log
//! can be open in one process only, and a reader has no use for it. What a shard replaces, it
//! replaces in that folder; what it writes into a file when it is closed (the header of its payload's
//! pages) is what stands there.

mod folder;
mod guard;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use qdrant_edge::{
    Condition, CreateIndex, Distance, EdgeConfig, EdgeConfigBuilder, EdgeOptimizersConfig,
    EdgeShard, EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder, FieldIndexOperations,
    HnswIndexConfig, NamedQuery, OperationError, PointId, PointInsertOperations, PointOperations,
    PointStruct, QueryEnum, QueryRequest, Record, ScoringQuery, ScrollRequest, UpdateOperation,
    Vector, VectorInternal, VectorStructInternal, Vectors, WalOptions, WithPayloadInterface,
    WithVector,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::folder::{is_there, link_tree, small_log};
use self::guard::guard;
use super::payload;
use super::store::{DENSE, SPARSE, Shape, TIES, ranked};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::scratch::Scratch;
use crate::base::{ArticleId, Filter, Hit, Point, SparseVector};
use crate::index::store::{Query, Select, Store, Stored};

pub use self::guard::is_guarded;

/// Points written with one call.
const BATCH: usize = 256;
/// Points read with one call.
const PAGE: usize = 1000;
/// Bytes of a segment of the write-ahead log.
const LOG_SEGMENT: usize = 4 << 20;
/// Points after which what was written becomes a part of its own. In one that is written to, each
/// point is worth a walk over all before it that have its words.
const PART: usize = 16_384;
/// A shard's configuration.
const CONFIG: &str = "edge_config.json";
/// The folder of its segments.
const SEGMENTS: &str = "segments";

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
    /// There until this is dropped.
    shard: Option<EdgeShard>,
    /// A reader's private folder; it goes after the shard that lies in it.
    private: Option<Scratch>,
    /// What no search, scan or reading returns.
    without: Option<Condition>,
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
            } else if entry.file_name() == SEGMENTS {
                link_tree(&entry.path(), &target).map_err(cannot)?;
            }
        }
        let shard = guard("cannot open the index", || EdgeShard::load(private.path(), None))?;
        Ok(EdgeStore::of(shard, Some(private)))
    }

    fn of(shard: EdgeShard, private: Option<Scratch>) -> EdgeStore {
        let shard = Some(shard);
        EdgeStore { shard, private, without: None, written: 0, has_parts: false }
    }

    /// The same store, whose searches, scans and readings pass over some articles.
    ///
    /// # Errors
    /// Never, unless the shard's filters change their form.
    pub fn without(mut self, articles: &BTreeSet<ArticleId>) -> Result<EdgeStore> {
        let condition = (!articles.is_empty()).then(|| payload::of_articles(articles.iter()));
        self.without = condition.map(from_json).transpose()?;
        Ok(self)
    }

    /// Deletes the points of many articles at once.
    ///
    /// # Errors
    /// If the store fails.
    pub fn delete_all(&mut self, articles: &BTreeSet<ArticleId>) -> Result<()> {
        if articles.is_empty() {
            return Ok(());
        }
        let filter = from_json(json!({ "must": [payload::of_articles(articles.iter())] }))?;
        self.update(UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(filter)))
    }

    /// A filter in the shard's form, with what is passed over.
    fn filter(&self, filter: Option<Value>) -> Result<Option<qdrant_edge::Filter>> {
        let mut filter: Option<qdrant_edge::Filter> = filter.map(from_json).transpose()?;
        if let Some(without) = &self.without {
            filter
                .get_or_insert_with(qdrant_edge::Filter::default)
                .must_not
                .get_or_insert_default()
                .push(without.clone());
        }
        Ok(filter)
    }

    /// All points of a selection in the order of their ids, page by page.
    fn pages(
        &self,
        select: &Select,
        with_payload: WithPayloadInterface,
        with_vector: bool,
        visit: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let filter = self.filter(match select {
            Select::All => None,
            Select::Article(article) => Some(payload::of_article(article)),
        })?;
        let shard = self.shard()?;
        let mut offset = None;
        loop {
            let request = ScrollRequest {
                offset,
                limit: Some(PAGE),
                filter: filter.clone(),
                with_payload: Some(with_payload.clone()),
                with_vector: WithVector::Bool(with_vector),
                order_by: None,
            };
            let (records, next) = guard("cannot read the index", || shard.scroll(request))?;
            records.into_iter().try_for_each(&mut *visit)?;
            match next {
                Some(next) => offset = Some(next),
                None => return Ok(()),
            }
        }
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

/// Whether the process is about to end; see [`leave`].
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Says that the process is about to end: from now on, readers are left to the system instead of
/// being closed. A shard that is closed drops its files from the system's cache, from where the next
/// process would have them.
pub fn leave() {
    LEAVING.store(true, Ordering::Relaxed);
}

impl Drop for EdgeStore {
    fn drop(&mut self) {
        let Some(shard) = self.shard.take() else { return };
        if self.private.is_some() && LEAVING.load(Ordering::Relaxed) {
            return std::mem::forget(shard);
        }
        // What a writer could not write was reported by the call that failed; a reader has nothing
        // to write.
        let _ = guard("cannot close the index", || {
            drop(shard);
            Ok::<(), OperationError>(())
        });
    }
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
    let sparse = EdgeSparseVectorParamsBuilder::new().on_disk(true);
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
                .step(Step::Rebuild))
        }
    }
}

fn object(payload: Option<qdrant_edge::Payload>) -> Value {
    Value::Object(payload.map(|payload| payload.0.into_iter().collect()).unwrap_or_default())
}

impl Store for EdgeStore {
    fn upsert(&mut self, points: &[Point]) -> Result<()> {
        for batch in points.chunks(BATCH) {
            let count = batch.len();
            let batch =
                batch.iter().map(|one| point(one).map(Into::into)).collect::<Result<Vec<_>>>()?;
            let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch));
            self.update(UpdateOperation::PointOperation(operation))?;
            self.written += count;
            if self.written >= PART {
                self.close_part()?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, article: &ArticleId) -> Result<usize> {
        let mut ids = Vec::new();
        self.scan(&Select::Article(article.clone()), &mut |stored| {
            ids.push(PointId::Uuid(stored.chunk_id.0));
            Ok(())
        })?;
        let count = ids.len();
        if count > 0 {
            let operation = PointOperations::DeletePoints { ids };
            self.update(UpdateOperation::PointOperation(operation))?;
        }
        Ok(count)
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
            filter: self.filter(payload::filter(filter))?,
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

    fn scan(&self, select: &Select, visit: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        let fields = payload::STORED.iter().map(|field| from_json((*field).into()));
        let fields = WithPayloadInterface::Fields(fields.collect::<Result<_>>()?);
        self.pages(select, fields, false, &mut |record| {
            visit(payload::stored(uuid(record.id)?, object(record.payload))?)
        })
    }

    fn read(&self, select: &Select, visit: &mut dyn FnMut(Point) -> Result<()>) -> Result<()> {
        self.pages(select, WithPayloadInterface::Bool(true), true, &mut |record| {
            let id = uuid(record.id)?;
            let (mut dense, mut sparse) = (Vec::new(), SparseVector::default());
            if let Some(VectorStructInternal::Named(named)) = record.vector {
                for (name, vector) in named {
                    match vector {
                        VectorInternal::Dense(vector) if name == DENSE => dense = vector,
                        VectorInternal::Sparse(vector) if name == SPARSE => {
                            let (indices, values) = (vector.indices, vector.values);
                            sparse = SparseVector { indices, values };
                        }
                        VectorInternal::Dense(_)
                        | VectorInternal::Sparse(_)
                        | VectorInternal::MultiDense(_) => {}
                    }
                }
            }
            visit(payload::point(id, object(record.payload), dense, sparse)?)
        })
    }
}
