//! What is asked of points.

use super::*;

#[async_trait]
impl points_server::Points for Service {
    async fn upsert(
        &self,
        request: Request<grpc::UpsertPoints>,
    ) -> Answer<grpc::PointsOperationResponse> {
        self.allow(&request)?;
        self.write()?;
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let mut of_shards: Vec<Vec<edge::PointStructPersisted>> = Vec::new();
            of_shards.resize_with(collection.shards.len(), Vec::new);
            for point in request.points {
                let id = point_id_of(point.id.clone())?;
                of_shards[collection.place(&id)].push(point_of(point)?.into());
            }
            for (shard, points) in collection.shards.iter().zip(of_shards) {
                let insert = edge::PointInsertOperations::PointsList(points);
                let operation = edge::PointOperations::UpsertPoints(insert);
                shard.update(edge::UpdateOperation::PointOperation(operation)).map_err(said)?;
            }
            Ok(())
        })?;
        Ok(done())
    }

    async fn delete(
        &self,
        request: Request<grpc::DeletePoints>,
    ) -> Answer<grpc::PointsOperationResponse> {
        self.allow(&request)?;
        self.write()?;
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let operation = match request.points.and_then(|points| points.points_selector_one_of) {
                Some(points_selector::PointsSelectorOneOf::Points(list)) => {
                    let ids: Result<_, String> =
                        list.ids.into_iter().map(|id| point_id_of(Some(id))).collect();
                    edge::PointOperations::DeletePoints { ids: ids? }
                }
                Some(points_selector::PointsSelectorOneOf::Filter(filter)) => {
                    let filter = filter_of(Some(filter))?.unwrap();
                    edge::PointOperations::DeletePointsByFilter(filter)
                }
                None => return Err("nothing is selected".to_owned()),
            };
            collection.update_all(&edge::UpdateOperation::PointOperation(operation))
        })?;
        Ok(done())
    }

    async fn create_field_index(
        &self,
        request: Request<grpc::CreateFieldIndexCollection>,
    ) -> Answer<grpc::PointsOperationResponse> {
        self.allow(&request)?;
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let schema = match request.field_type() {
                grpc::FieldType::Keyword => json!("keyword"),
                grpc::FieldType::Datetime => json!("datetime"),
                grpc::FieldType::Text => {
                    json!({ "type": "text", "tokenizer": "word", "lowercase": true })
                }
                other => return Err(format!("an index that is not known: {other:?}")),
            };
            let index = edge::CreateIndex {
                field_name: serde_json::from_value(json!(request.field_name)).map_err(said)?,
                field_schema: Some(serde_json::from_value(schema).map_err(said)?),
            };
            let operation = edge::FieldIndexOperations::CreateIndex(index);
            collection.update_all(&edge::UpdateOperation::FieldIndexOperation(operation))
        })?;
        Ok(done())
    }

    async fn scroll(&self, request: Request<grpc::ScrollPoints>) -> Answer<grpc::ScrollResponse> {
        self.allow(&request)?;
        let request = request.into_inner();
        let with_payload = request.with_payload.and_then(|with| with.selector_options);
        let with_payload = match with_payload {
            None | Some(with_payload_selector::SelectorOptions::Enable(false)) => Some(vec![]),
            Some(with_payload_selector::SelectorOptions::Enable(true)) => None,
            Some(with_payload_selector::SelectorOptions::Include(include)) => Some(include.fields),
            Some(other) => return Err(Status::unimplemented(format!("{other:?}"))),
        };
        let with_vectors = request.with_vectors.and_then(|with| with.selector_options);
        let with_vectors =
            matches!(with_vectors, Some(with_vectors_selector::SelectorOptions::Enable(true)));
        if !with_vectors {
            self.0.scanned.lock().unwrap().push(with_payload.clone());
        }
        let limit = request.limit.map_or(10, |limit| limit as usize);
        self.with(&request.collection_name, |collection| {
            let mut records = Vec::new();
            for shard in &collection.shards {
                let (found, next) = shard
                    .scroll(edge::ScrollRequest {
                        offset: request
                            .offset
                            .clone()
                            .map(|id| point_id_of(Some(id)))
                            .transpose()?,
                        limit: Some(limit),
                        filter: filter_of(request.filter.clone())?,
                        with_payload: Some(edge::WithPayloadInterface::Bool(true)),
                        with_vector: edge::WithVector::Bool(with_vectors),
                        order_by: None,
                    })
                    .map_err(said)?;
                records.extend(found);
                // One more than is asked for says where the next page begins.
                if let Some(next) = next {
                    let next = shard.retrieve(
                        &[next],
                        Some(edge::WithPayloadInterface::Bool(true)),
                        Some(edge::WithVector::Bool(with_vectors)),
                    );
                    records.extend(next.map_err(said)?);
                }
            }
            records.sort_by_key(|record| record.id);
            let next = records.get(limit).map(|record| grpc_id(record.id));
            records.truncate(limit);
            let result = records
                .into_iter()
                .map(|record| {
                    let mut payload = grpc_payload(record.payload);
                    if let Some(fields) = &with_payload {
                        payload.retain(|field, _| fields.contains(field));
                    }
                    let vectors = record.vector.map(grpc_vectors);
                    let id = Some(grpc_id(record.id));
                    grpc::RetrievedPoint { id, payload, vectors, ..Default::default() }
                })
                .collect();
            let next_page_offset = next;
            Ok(Response::new(grpc::ScrollResponse {
                result,
                next_page_offset,
                ..Default::default()
            }))
        })
    }

    async fn count(&self, request: Request<grpc::CountPoints>) -> Answer<grpc::CountResponse> {
        self.allow(&request)?;
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let mut count = 0;
            for shard in &collection.shards {
                let filter = filter_of(request.filter.clone())?;
                let wanted = edge::CountRequest { filter, exact: true };
                count += shard.count(wanted).map_err(said)?;
            }
            let result = Some(grpc::CountResult { count: count as u64 });
            Ok(Response::new(grpc::CountResponse { result, ..Default::default() }))
        })
    }

    async fn query(&self, request: Request<grpc::QueryPoints>) -> Answer<grpc::QueryResponse> {
        self.allow(&request)?;
        let request = request.into_inner();
        if !request.prefetch.is_empty() {
            return Err(Status::unimplemented("prefetch"));
        }
        self.with(&request.collection_name, |collection| {
            let wanted = request.query.and_then(|query| query.variant);
            let Some(query::Variant::Nearest(input)) = wanted else {
                return Err("only the nearest points are looked for".to_owned());
            };
            let vector = match input.variant {
                Some(vector_input::Variant::Dense(dense)) => {
                    edge::VectorInternal::Dense(dense.data)
                }
                Some(vector_input::Variant::Sparse(sparse)) => {
                    edge::Vector::new_sparse(sparse.indices, sparse.values).map_err(said)?.0
                }
                other => return Err(format!("a vector that is not known: {other:?}")),
            };
            let exact = request.params.is_some_and(|params| params.exact.unwrap_or(false));
            let limit = request.limit.unwrap_or(10) as usize;
            let mut found = Vec::new();
            for shard in &collection.shards {
                let (query, using) = (vector.clone(), request.using.clone());
                let nearest = edge::NamedQuery { query, using };
                let of_shard = shard.query(edge::QueryRequest {
                    prefetches: Vec::new(),
                    query: Some(edge::ScoringQuery::Vector(edge::QueryEnum::Nearest(nearest))),
                    filter: filter_of(request.filter.clone())?,
                    score_threshold: None,
                    limit,
                    offset: 0,
                    params: exact.then(|| edge::SearchParams {
                        exact: true,
                        ..edge::SearchParams::default()
                    }),
                    with_vector: edge::WithVector::Bool(false),
                    with_payload: edge::WithPayloadInterface::Bool(true),
                });
                found.extend(of_shard.map_err(said)?);
            }
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(limit);
            let result = found
                .into_iter()
                .map(|point| grpc::ScoredPoint {
                    id: Some(grpc_id(point.id)),
                    payload: grpc_payload(point.payload),
                    score: point.score,
                    ..Default::default()
                })
                .collect();
            Ok(Response::new(grpc::QueryResponse { result, ..Default::default() }))
        })
    }

    unimplemented! {
        get(GetPoints) -> GetResponse;
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}
