//! The points of one generation on a server.

use std::collections::HashMap;

use qdrant_client::Payload;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, DatetimeRange,
    DeletePointsBuilder, Distance, FieldType, Filter as ServerFilter, HnswConfigDiff, Memory,
    NamedVectors, PayloadIncludeSelector, PayloadStorageParams, PointId, PointStruct,
    QuantizationSearchParamsBuilder, Query as ServerQuery, QueryPointsBuilder, RetrievedPoint,
    ScalarQuantizationBuilder, ScrollPointsBuilder, SearchParamsBuilder, SparseVectorParamsBuilder,
    SparseVectorsConfigBuilder, TextIndexParamsBuilder, Timestamp, TokenizerType,
    UpsertPointsBuilder, Vector as ServerVector, VectorInput, VectorParamsBuilder,
    VectorsConfigBuilder, vector_output, vectors_config, vectors_output,
};
use serde_json::Value;

use super::{OWNER, Server};
use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::{ArticleId, Filter, Hit, Point, SparseVector};
use crate::index::payload;
use crate::index::store::{DENSE, SPARSE, Shape, TIES, ranked};
use crate::index::store::{Query, Select, Store, Stored};

/// Points read with one call.
const PAGE: u32 = 1000;

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
            // No IDF modifier: a shard would count its own points only.
            sparse.add_named_vector_params(SPARSE, SparseVectorParamsBuilder::default());
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
                    "collection {name} of {} does not fit this model: it has {has} dimensions under \"{DENSE}\", not {}",
                    server.url, shape.dimensions
                ),
            )
            .step(Step::Rebuild)
            .hint("set another store.server.alias"));
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
    /// All points of a selection in the order of their ids, page by page.
    fn pages(
        &self,
        select: &Select,
        payload: SelectorOptions,
        with_vectors: bool,
        visit: &mut dyn FnMut(RetrievedPoint) -> Result<()>,
    ) -> Result<()> {
        let mut offset: Option<PointId> = None;
        loop {
            let response = self.server.call("cannot read the collection", || {
                let mut request = ScrollPointsBuilder::new(self.collection.clone())
                    .limit(PAGE)
                    .with_payload(payload.clone())
                    .with_vectors(with_vectors);
                if let Select::Article(article) = select {
                    request = request.filter(article_filter(article));
                }
                if let Some(offset) = offset.clone() {
                    request = request.offset(offset);
                }
                self.server.client.scroll(request)
            })?;
            response.result.into_iter().try_for_each(&mut *visit)?;
            match response.next_page_offset {
                Some(next) => offset = Some(next),
                None => return Ok(()),
            }
        }
    }

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
        let mut count = 0;
        self.scan(&Select::Article(article.clone()), &mut |_| {
            count += 1;
            Ok(())
        })?;
        if count > 0 {
            self.server.call("cannot delete points", || {
                self.server.client.delete_points(
                    DeletePointsBuilder::new(self.collection.clone())
                        .points(article_filter(article))
                        .wait(true),
                )
            })?;
        }
        Ok(count)
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

    fn scan(&self, select: &Select, visit: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        let fields = payload::STORED.map(str::to_owned).to_vec();
        let fields = SelectorOptions::Include(PayloadIncludeSelector { fields });
        self.pages(select, fields, false, &mut |record| {
            visit(payload::stored(uuid(record.id)?, object(record.payload))?)
        })
    }

    fn read(&self, select: &Select, visit: &mut dyn FnMut(Point) -> Result<()>) -> Result<()> {
        self.pages(select, SelectorOptions::Enable(true), true, &mut |record| {
            let id = uuid(record.id)?;
            let (mut dense, mut sparse) = (Vec::new(), SparseVector::default());
            let options = record.vectors.and_then(|vectors| vectors.vectors_options);
            if let Some(vectors_output::VectorsOptions::Vectors(named)) = options {
                for (name, vector) in named.vectors {
                    match vector.into_vector() {
                        vector_output::Vector::Dense(vector) if name == DENSE => {
                            dense = vector.data;
                        }
                        vector_output::Vector::Sparse(vector) if name == SPARSE => {
                            let (indices, values) = (vector.indices, vector.values);
                            sparse = SparseVector { indices, values };
                        }
                        vector_output::Vector::Dense(_)
                        | vector_output::Vector::Sparse(_)
                        | vector_output::Vector::MultiDense(_) => {}
                    }
                }
            }
            visit(payload::point(id, object(record.payload), dense, sparse)?)
        })
    }
}
