//! The protocol's values as those of `qdrant-edge`, and back.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    self as grpc, condition, r#match, point_id, vector, vector_output, vectors, vectors_config,
    vectors_output,
};
use qdrant_edge as edge;
use serde_json::{Value, json};

pub(super) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn point_id_of(id: Option<grpc::PointId>) -> Result<edge::PointId, String> {
    match id.and_then(|id| id.point_id_options) {
        Some(point_id::PointIdOptions::Uuid(text)) => {
            Ok(edge::PointId::Uuid(uuid::Uuid::parse_str(&text).map_err(said)?))
        }
        Some(point_id::PointIdOptions::Num(n)) => Ok(edge::PointId::NumId(n)),
        None => Err("no id".to_owned()),
    }
}

pub(super) fn grpc_id(id: edge::PointId) -> grpc::PointId {
    match id {
        edge::PointId::Uuid(id) => id.to_string().into(),
        edge::PointId::NumId(n) => n.into(),
    }
}

pub(super) fn payload_of(payload: HashMap<String, grpc::Value>) -> Value {
    Value::Object(payload.into_iter().map(|(key, value)| (key, value.into_json())).collect())
}

pub(super) fn grpc_payload(payload: Option<edge::Payload>) -> HashMap<String, grpc::Value> {
    let entries = payload.into_iter().flat_map(|payload| payload.0);
    entries.map(|(key, value)| (key, grpc::Value::from(value))).collect()
}

pub(super) fn grpc_vectors(vectors: edge::VectorStructInternal) -> grpc::VectorsOutput {
    let edge::VectorStructInternal::Named(named) = vectors else {
        return grpc::VectorsOutput::default();
    };
    let output = |vector| match vector {
        edge::VectorInternal::Dense(data) => {
            vector_output::Vector::Dense(grpc::DenseVector { data })
        }
        edge::VectorInternal::Sparse(sparse) => {
            let (indices, values) = (sparse.indices, sparse.values);
            vector_output::Vector::Sparse(grpc::SparseVector { values, indices })
        }
        edge::VectorInternal::MultiDense(_) => {
            vector_output::Vector::Dense(grpc::DenseVector::default())
        }
    };
    let vectors = named
        .into_iter()
        .map(|(name, vector)| {
            let vector = Some(output(vector));
            (name, grpc::VectorOutput { vector, ..Default::default() })
        })
        .collect();
    let named = vectors_output::VectorsOptions::Vectors(grpc::NamedVectorsOutput { vectors });
    grpc::VectorsOutput { vectors_options: Some(named) }
}

pub(super) fn instant(at: Option<grpc::Timestamp>) -> Option<Value> {
    let at = at?;
    let at = jiff::Timestamp::new(at.seconds, at.nanos).unwrap();
    Some(json!(at.to_string()))
}

/// A filter in Qdrant's REST form.
pub(super) fn filter_of(filter: Option<grpc::Filter>) -> Result<Option<edge::Filter>, String> {
    let Some(filter) = filter else { return Ok(None) };
    let mut must = Vec::new();
    for one in filter.must {
        let Some(condition::ConditionOneOf::Field(field)) = one.condition_one_of else {
            return Err("only conditions on fields are known".to_owned());
        };
        let key = field.key;
        if let Some(range) = field.datetime_range {
            let bounds: serde_json::Map<String, Value> = [
                ("lt", instant(range.lt)),
                ("gt", instant(range.gt)),
                ("gte", instant(range.gte)),
                ("lte", instant(range.lte)),
            ]
            .into_iter()
            .filter_map(|(name, at)| Some((name.to_owned(), at?)))
            .collect();
            must.push(json!({ "key": key, "range": bounds }));
            continue;
        }
        must.push(match field.r#match.and_then(|wanted| wanted.match_value) {
            Some(r#match::MatchValue::Keyword(word)) => {
                json!({ "key": key, "match": { "value": word } })
            }
            Some(r#match::MatchValue::Keywords(words)) => {
                json!({ "key": key, "match": { "any": words.strings } })
            }
            Some(r#match::MatchValue::Text(text)) => {
                json!({ "key": key, "match": { "text": text } })
            }
            other => return Err(format!("a match that is not known: {other:?}")),
        });
    }
    serde_json::from_value(json!({ "must": must })).map(Some).map_err(said)
}

pub(super) fn point_of(point: grpc::PointStruct) -> Result<edge::PointStruct, String> {
    let id = point_id_of(point.id)?;
    let Some(vectors::VectorsOptions::Vectors(named)) =
        point.vectors.and_then(|vectors| vectors.vectors_options)
    else {
        return Err("points have named vectors".to_owned());
    };
    let mut all = HashMap::new();
    for (name, one) in named.vectors {
        let vector = match one.vector {
            Some(vector::Vector::Dense(dense)) => edge::Vector::new_dense(dense.data),
            Some(vector::Vector::Sparse(sparse)) => {
                edge::Vector::new_sparse(sparse.indices, sparse.values).map_err(said)?
            }
            other => return Err(format!("a vector that is not known: {other:?}")),
        };
        all.insert(name, vector);
    }
    Ok(edge::PointStruct::new(id, edge::Vectors::from(all), payload_of(point.payload)))
}

pub(super) fn config_of(request: &grpc::CreateCollection) -> Result<edge::EdgeConfig, String> {
    let mut config = edge::EdgeConfigBuilder::new();
    let dense = request.vectors_config.as_ref().and_then(|config| config.config.as_ref());
    let Some(vectors_config::Config::ParamsMap(map)) = dense else {
        return Err("collections have named vectors".to_owned());
    };
    for (name, params) in &map.map {
        let size = usize::try_from(params.size).map_err(said)?;
        let params = edge::EdgeVectorParamsBuilder::new(size, edge::Distance::Cosine).build();
        config = config.vector(name, params);
    }
    for (name, wanted) in request.sparse_vectors_config.iter().flat_map(|config| &config.map) {
        let mut params = edge::EdgeSparseVectorParamsBuilder::new();
        if wanted.modifier() == grpc::Modifier::Idf {
            params = params.modifier(edge::Modifier::Idf);
        }
        config = config.sparse_vector(name, params.build());
    }
    Ok(config.build())
}
