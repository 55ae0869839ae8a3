//! The server store: a collection of a Qdrant server or cluster, over gRPC.
//!
//! Async stays in here: each call runs on a runtime of its own thread and returns when the server
//! has answered.

use std::collections::HashMap;
use std::time::Duration;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    Condition, CreateAliasBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
    DatetimeRange, DeletePointsBuilder, Distance, FieldType, Filter as ServerFilter,
    HnswConfigDiff, Memory, Modifier, NamedVectors, PayloadStorageParams, PointId, PointStruct,
    QuantizationSearchParamsBuilder, Query as ServerQuery, QueryPointsBuilder,
    ScalarQuantizationBuilder, ScrollPointsBuilder, SearchParamsBuilder, SparseVectorParamsBuilder,
    SparseVectorsConfigBuilder, TextIndexParamsBuilder, Timestamp, TokenizerType,
    UpsertPointsBuilder, Vector as ServerVector, VectorInput, VectorParamsBuilder,
    VectorsConfigBuilder, vectors_config,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{DENSE, SPARSE, Shape, TIES, payload, ranked};
use crate::domain::{ArticleId, Filter, Hit, Point};
use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Query, Select, Store, Stored};

/// What a collection says of who made it.
const OWNER: &str = "wellread.owner";

/// How a server is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerOptions {
    /// Name of the alias that readers ask; the collections behind it are called after it.
    pub alias: String,
    /// Milliseconds until a call is given up.
    pub timeout_ms: u64,
    /// How often a call is tried again that failed for a reason that may pass.
    pub retries: u32,
    /// A file that holds the API key; without it `WELLREAD_QDRANT_API_KEY` is looked at.
    pub api_key_file: String,
    /// Shards of a new collection.
    pub shards: u32,
    /// Copies of each shard.
    pub replicas: u32,
    /// Copies of a shard that must have a write before it counts.
    pub write_consistency: u32,
    /// Read payloads from the disk when they are asked for, and keep none in memory.
    pub on_disk_payload: bool,
    /// Keep vectors as bytes in memory (scalar quantisation) and rescore with the whole ones.
    pub quantization: bool,
    /// Links of a node of the HNSW graph; 0: the server's own default.
    pub hnsw_m: u64,
    /// Neighbours looked at while the graph is built; 0: the server's own default.
    pub hnsw_ef_construct: u64,
    /// Neighbours looked at by a search; 0: the server's own default.
    pub hnsw_ef: u64,
    /// Compare with every vector and use no graph.
    pub exact: bool,
    /// Points of one write at the most.
    pub batch: usize,
    /// Bytes of one write at the most, about.
    pub batch_bytes: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            alias: "wellread".into(),
            timeout_ms: 30_000,
            retries: 3,
            api_key_file: String::new(),
            shards: 1,
            replicas: 1,
            write_consistency: 1,
            on_disk_payload: true,
            quantization: false,
            hnsw_m: 0,
            hnsw_ef_construct: 0,
            hnsw_ef: 0,
            exact: false,
            batch: 128,
            batch_bytes: 8 << 20,
        }
    }
}

/// A connection to a server.
pub struct Server {
    client: Qdrant,
    runtime: Runtime,
    url: String,
    options: ServerOptions,
}

impl Server {
    /// A connection; the server is first spoken to by the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the URL or the API key's file is wrong.
    pub fn connect(url: &str, options: &ServerOptions) -> Result<Server> {
        let wrong = |error: QdrantError| {
            Error::new(ErrorKind::Config, format!("store.url {url} can't be used"))
                .caused_by(error.to_string())
                .hint("give the server's gRPC address, as in http://localhost:6334")
        };
        let key = if options.api_key_file.is_empty() {
            std::env::var("WELLREAD_QDRANT_API_KEY").ok()
        } else {
            let key = fs_err::read_to_string(&options.api_key_file).map_err(|error| {
                Error::io("cannot read the Qdrant server's API key", error)
                    .hint("check store.server.api_key_file")
            })?;
            Some(key.trim().to_owned())
        };
        let mut config = Qdrant::from_url(url)
            .timeout(Duration::from_millis(options.timeout_ms))
            .connect_timeout(Duration::from_secs(5).min(Duration::from_millis(options.timeout_ms)))
            .skip_compatibility_check();
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            config = config.api_key(key);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot start the Qdrant client", error))?;
        let client = {
            let _inside = runtime.enter();
            config.build().map_err(wrong)?
        };
        Ok(Server { client, runtime, url: url.to_owned(), options: options.clone() })
    }

    /// Runs a call, again if it failed for a reason that may pass.
    fn call<T, F>(&self, doing: &str, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        let mut wait = Duration::from_millis(200);
        for attempt in 0.. {
            match self.runtime.block_on(call()) {
                Ok(value) => return Ok(value),
                Err(error) if attempt < self.options.retries && may_pass(&error) => {
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(self.error(doing, &error)),
            }
        }
        Err(Error::new(ErrorKind::Bug, "a loop without end has ended"))
    }

    fn error(&self, doing: &str, error: &QdrantError) -> Error {
        let (kind, said, hint) = match error {
            QdrantError::ResponseError { status } => {
                let code = status.code() as i32;
                let hint = match code {
                    7 | 16 => {
                        "check the API key: WELLREAD_QDRANT_API_KEY or store.server.api_key_file"
                    }
                    5 => "run `wellread index rebuild`; the library has everything that it needs",
                    2 | 4 | 14 => {
                        "check that the server runs and that store.url is its gRPC address"
                    }
                    _ => "see the server's log",
                };
                let is_unreachable = status.message().starts_with("Failed to connect");
                let hint = if is_unreachable {
                    "check that the server runs and that store.url is its gRPC address"
                } else {
                    hint
                };
                let kind = match code {
                    _ if is_unreachable => ErrorKind::Network,
                    7 | 16 => ErrorKind::Config,
                    2 | 4 | 14 => ErrorKind::Network,
                    _ => ErrorKind::Index,
                };
                (kind, format!("{:?}: {}", status.code(), status.message()), hint)
            }
            other => (
                ErrorKind::Network,
                other.to_string(),
                "check that the server runs and that store.url is its gRPC address",
            ),
        };
        Error::new(kind, format!("the Qdrant server at {}: {doing}", self.url))
            .caused_by(said)
            .hint(hint)
    }

    /// The collection that the alias points to; `None` if it points nowhere.
    ///
    /// # Errors
    /// If the server fails.
    pub fn live(&self) -> Result<Option<String>> {
        let aliases = self.call("cannot list aliases", || self.client.list_aliases())?;
        Ok(aliases
            .aliases
            .into_iter()
            .find(|alias| alias.alias_name == self.options.alias)
            .map(|alias| alias.collection_name))
    }

    /// Points the alias to a generation, in one call: the server replaces what it pointed to.
    ///
    /// # Errors
    /// If the server fails.
    pub fn publish(&self, generation: &str) -> Result<()> {
        let collection = self.collection(generation);
        self.call("cannot switch the alias", || {
            self.client.create_alias(CreateAliasBuilder::new(
                collection.clone(),
                self.options.alias.clone(),
            ))
        })?;
        Ok(())
    }

    /// Deletes a generation's collection, if it is there.
    ///
    /// # Errors
    /// If the server fails.
    pub fn delete(&self, generation: &str) -> Result<()> {
        let name = self.collection(generation);
        if self.call("cannot look for a collection", || self.client.collection_exists(&name))? {
            self.call("cannot delete a collection", || self.client.delete_collection(&name))?;
        }
        Ok(())
    }

    /// The generations whose collections are on the server and belong to `owner`.
    ///
    /// # Errors
    /// If the server fails.
    pub fn generations(&self, owner: &str) -> Result<Vec<String>> {
        let found =
            self.call("cannot list collections", || self.client.list_collections())?.collections;
        let prefix = self.collection("");
        let mut ours = Vec::new();
        for collection in found {
            let Some(id) = collection.name.strip_prefix(&prefix) else { continue };
            if self.owner(id)?.as_deref() == Some(owner) {
                ours.push(id.to_owned());
            }
        }
        Ok(ours)
    }

    /// Who made a generation's collection, as it says of itself.
    fn owner(&self, generation: &str) -> Result<Option<String>> {
        let name = self.collection(generation);
        let info =
            self.call("cannot look at a collection", || self.client.collection_info(name.clone()))?;
        let config = info.result.and_then(|info| info.config);
        let owner = config.and_then(|mut config| config.metadata.remove(OWNER));
        Ok(owner.and_then(|owner| owner.into_json().as_str().map(str::to_owned)))
    }

    /// Deletes a collection that a killed build of the same owner left where a generation is to be
    /// made.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is one of somebody else's.
    pub fn clear(&self, generation: &str, owner: &str) -> Result<()> {
        let name = self.collection(generation);
        if !self.call("cannot look for a collection", || self.client.collection_exists(&name))? {
            return Ok(());
        }
        if self.owner(generation)?.as_deref() != Some(owner) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("collection {name} of {} belongs to another library", self.url),
            )
            .hint("set another store.server.alias"));
        }
        self.delete(generation)
    }

    /// The name of a generation's collection.
    pub fn collection(&self, generation: &str) -> String {
        format!("{}-{generation}", self.options.alias)
    }
}

fn may_pass(error: &QdrantError) -> bool {
    match error {
        // Deadline exceeded, resource exhausted, aborted, unavailable.
        QdrantError::ResponseError { status } => matches!(status.code() as i32, 4 | 8 | 10 | 14),
        QdrantError::ResourceExhaustedError { .. } => true,
        _ => false,
    }
}

/// One generation on a server.
pub struct ServerStore {
    server: Server,
    collection: String,
}

impl ServerStore {
    /// A new collection for a generation; `owner` tells it from those of other libraries.
    ///
    /// # Errors
    /// If there is one of this name already, or the server refuses.
    pub fn create(
        server: Server,
        generation: &str,
        shape: &Shape,
        owner: &str,
    ) -> Result<ServerStore> {
        let name = server.collection(generation);
        server.call("cannot make a collection", || {
            let mut dense = VectorsConfigBuilder::default();
            dense.add_named_vector_params(
                DENSE,
                VectorParamsBuilder::new(shape.dimensions as u64, Distance::Cosine),
            );
            let mut sparse = SparseVectorsConfigBuilder::default();
            sparse.add_named_vector_params(
                SPARSE,
                SparseVectorParamsBuilder::default().modifier(Modifier::Idf),
            );
            let options = &server.options;
            let memory = if options.on_disk_payload { Memory::Cold } else { Memory::Cached };
            let mut request = CreateCollectionBuilder::new(name.clone())
                .vectors_config(dense)
                .sparse_vectors_config(sparse)
                .shard_number(options.shards)
                .replication_factor(options.replicas)
                .write_consistency_factor(options.write_consistency)
                .metadata(HashMap::from([(OWNER.to_owned(), Value::from(owner))]))
                .payload(PayloadStorageParams { memory: Some(memory.into()) })
                .hnsw_config(HnswConfigDiff {
                    m: (options.hnsw_m > 0).then_some(options.hnsw_m),
                    ef_construct: (options.hnsw_ef_construct > 0)
                        .then_some(options.hnsw_ef_construct),
                    ..HnswConfigDiff::default()
                });
            if options.quantization {
                request = request
                    .quantization_config(ScalarQuantizationBuilder::default().always_ram(true));
            }
            server.client.create_collection(request)
        })?;
        for (field, schema) in payload::indexes() {
            let kind = match schema["type"].as_str() {
                Some("datetime") => FieldType::Datetime,
                Some("text") => FieldType::Text,
                Some(_) | None => FieldType::Keyword,
            };
            server.call("cannot make an index of a field", || {
                let mut request =
                    CreateFieldIndexCollectionBuilder::new(name.clone(), field, kind).wait(true);
                if kind == FieldType::Text {
                    request = request.field_index_params(
                        TextIndexParamsBuilder::new(TokenizerType::Word).lowercase(true),
                    );
                }
                server.client.create_field_index(request)
            })?;
        }
        Ok(ServerStore { server, collection: name })
    }

    /// The collection of a generation.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] if it is missing or of another shape.
    pub fn open(server: Server, generation: &str, shape: &Shape) -> Result<ServerStore> {
        let name = server.collection(generation);
        let info = server.call("cannot look at the collection", || {
            server.client.collection_info(name.clone())
        })?;
        let params = info.result.and_then(|info| info.config).and_then(|config| config.params);
        let dimensions = params
            .as_ref()
            .and_then(|params| params.vectors_config.as_ref())
            .and_then(|config| config.config.as_ref())
            .and_then(|config| match config {
                vectors_config::Config::ParamsMap(map) => {
                    map.map.get(DENSE).map(|dense| dense.size)
                }
                vectors_config::Config::Params(_) => None,
            });
        let has_sparse = params
            .and_then(|params| params.sparse_vectors_config)
            .is_some_and(|config| config.map.contains_key(SPARSE));
        if dimensions != Some(shape.dimensions as u64) || !has_sparse {
            let has = dimensions.map_or("none".to_owned(), |n| n.to_string());
            return Err(Error::new(
                ErrorKind::Index,
                format!(
                    "collection {name} of {} is not of this model's shape: it has {has} \
                     dimensions under \"{DENSE}\", wanted are {}",
                    server.url, shape.dimensions
                ),
            )
            .hint("run `wellread index rebuild`, or set another store.server.alias"));
        }
        Ok(ServerStore { server, collection: name })
    }
}

/// Points in writes of at most `most` points and about `bytes` bytes, one at least.
fn batches(points: &[Point], most: usize, bytes: usize) -> Vec<&[Point]> {
    let size = |point: &Point| {
        4 * point.dense.len() + 8 * point.sparse.indices.len() + point.chunk.text.len() + 500
    };
    let (mut batches, mut start, mut weight) = (Vec::new(), 0, 0);
    for (at, point) in points.iter().enumerate() {
        let own = size(point);
        if at > start && (at - start == most || weight + own > bytes) {
            batches.push(&points[start..at]);
            (start, weight) = (at, 0);
        }
        weight += own;
    }
    if start < points.len() {
        batches.push(&points[start..]);
    }
    batches
}

impl ServerStore {
    fn search_params(&self) -> SearchParamsBuilder {
        let options = &self.server.options;
        let mut params = SearchParamsBuilder::default().exact(options.exact);
        if options.hnsw_ef > 0 {
            params = params.hnsw_ef(options.hnsw_ef);
        }
        if options.quantization {
            params = params.quantization(QuantizationSearchParamsBuilder::default().rescore(true));
        }
        params
    }
}

fn point(point: &Point) -> Result<PointStruct> {
    let vectors = NamedVectors::default()
        .add_vector(DENSE, ServerVector::new_dense(point.dense.clone()))
        .add_vector(
            SPARSE,
            ServerVector::new_sparse(point.sparse.indices.clone(), point.sparse.values.clone()),
        );
    let payload = Payload::try_from(payload::of(point)).map_err(|error| {
        Error::new(ErrorKind::Bug, "a payload is not an object").caused_by(error.to_string())
    })?;
    Ok(PointStruct::new(point.chunk.id.to_string(), vectors, payload))
}

fn uuid(id: Option<PointId>) -> Result<uuid::Uuid> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(text)) => uuid::Uuid::parse_str(&text).ok(),
        Some(PointIdOptions::Num(_)) | None => None,
    }
    .ok_or_else(|| {
        Error::new(ErrorKind::Index, "a point of the collection is not wellread's")
            .hint("set another store.server.alias")
    })
}

fn object(payload: HashMap<String, qdrant_client::qdrant::Value>) -> Value {
    Value::Object(payload.into_iter().map(|(key, value)| (key, value.into_json())).collect())
}

fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

fn server_filter(filter: &Filter) -> Option<ServerFilter> {
    if filter.is_empty() {
        return None;
    }
    let mut must = Vec::new();
    let mut any = |key: &str, values: Vec<String>| {
        if !values.is_empty() {
            must.push(Condition::matches(key, values));
        }
    };
    any("source", filter.sources.iter().map(|source| source.0.clone()).collect());
    any("author", filter.authors.clone());
    any("tag", filter.tags.clone());
    if filter.since.is_some() || filter.until.is_some() {
        let range = DatetimeRange {
            gte: filter.since.map(timestamp),
            lt: filter.until.map(timestamp),
            ..DatetimeRange::default()
        };
        must.push(Condition::datetime_range("published", range));
    }
    if let Some(title) = &filter.title {
        must.push(Condition::matches_text("title", title.clone()));
    }
    Some(ServerFilter::must(must))
}

fn article_filter(article: &ArticleId) -> ServerFilter {
    ServerFilter::must([Condition::matches("article", article.0.clone())])
}

impl Store for ServerStore {
    fn upsert(&mut self, points: &[Point]) -> Result<()> {
        let options = &self.server.options;
        for batch in batches(points, options.batch.max(1), options.batch_bytes) {
            let batch = batch.iter().map(point).collect::<Result<Vec<_>>>()?;
            self.server.call("cannot write points", || {
                self.server.client.upsert_points(
                    UpsertPointsBuilder::new(self.collection.clone(), batch.clone()).wait(true),
                )
            })?;
        }
        Ok(())
    }

    fn delete(&mut self, article: &ArticleId) -> Result<usize> {
        let points = self.scan(&Select::Article(article.clone()))?;
        if !points.is_empty() {
            self.server.call("cannot delete points", || {
                self.server.client.delete_points(
                    DeletePointsBuilder::new(self.collection.clone())
                        .points(article_filter(article))
                        .wait(true),
                )
            })?;
        }
        Ok(points.len())
    }

    fn flush(&mut self) -> Result<()> {
        // Every write has waited for the server to make it durable.
        Ok(())
    }

    fn search(&self, query: &Query, filter: &Filter, limit: usize) -> Result<Vec<Hit>> {
        let (vector, name) = match query {
            Query::Dense(vector) => (VectorInput::new_dense(vector.clone()), DENSE),
            Query::Sparse(vector) if vector.indices.is_empty() => return Ok(Vec::new()),
            Query::Sparse(vector) => {
                (VectorInput::new_sparse(vector.indices.clone(), vector.values.clone()), SPARSE)
            }
        };
        let response = self.server.call("cannot search", || {
            let mut request = QueryPointsBuilder::new(self.collection.clone())
                .query(ServerQuery::new_nearest(vector.clone()))
                .using(name)
                .limit((limit + TIES) as u64)
                .params(self.search_params())
                .with_payload(true);
            if let Some(filter) = server_filter(filter) {
                request = request.filter(filter);
            }
            self.server.client.query(request)
        })?;
        let mut hits = Vec::with_capacity(response.result.len());
        for point in response.result {
            if matches!(query, Query::Sparse(_)) && point.score <= 0.0 {
                continue;
            }
            hits.push(payload::hit(uuid(point.id)?, point.score, object(point.payload), query)?);
        }
        Ok(ranked(hits, limit))
    }

    fn scan(&self, select: &Select) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut offset: Option<PointId> = None;
        loop {
            let response = self.server.call("cannot read the collection", || {
                let mut request = ScrollPointsBuilder::new(self.collection.clone())
                    .limit(1000)
                    .with_payload(true)
                    .with_vectors(false);
                if let Select::Article(article) = select {
                    request = request.filter(article_filter(article));
                }
                if let Some(offset) = offset.clone() {
                    request = request.offset(offset);
                }
                self.server.client.scroll(request)
            })?;
            for record in response.result {
                found.push(payload::stored(uuid(record.id)?, object(record.payload))?);
            }
            match response.next_page_offset {
                Some(next) => offset = Some(next),
                None => break,
            }
        }
        found.sort_by_key(|stored| stored.chunk_id);
        Ok(found)
    }
}
