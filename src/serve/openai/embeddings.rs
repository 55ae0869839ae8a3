//! `/v1/embeddings`: the embedder's vectors.

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::MODEL;
use super::failure::{Refused, parsed};
use crate::base::error::Result as Outcome;
use crate::infer::Purpose;
use crate::serve::State;
use crate::serve::api::json;
use crate::serve::asking::at_length;

/// Texts of one request at the most.
const TEXTS: usize = 2048;

/// Texts that are embedded at once, so that a stop is seen between.
const BATCH: usize = 64;

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Option<String>,
    #[serde(default)]
    dimensions: Option<usize>,
    /// What the texts are for, where the embedder tells them apart: `passage` or `query`.
    #[serde(default)]
    input_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Other(serde::de::IgnoredAny),
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<One>,
    model: String,
    usage: Usage,
}

#[derive(Serialize)]
struct One {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// What was computed, or why it was not.
enum Embedded {
    Vectors(Vec<Vec<f32>>, usize),
    TooLong { at: usize, tokens: usize, most: usize },
    Dimensions(usize),
}

pub(super) async fn embed(
    Extract(state): Extract<State>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let request: Request = parsed(body)?;
    let name = state.kb.config().models.embedder.clone();
    if request.model != name && request.model != MODEL {
        return Err(Refused::no_model(&request.model, &[&name, MODEL]));
    }
    let texts = match request.input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
        Input::Other(_) => {
            let message = "The input must be a text or a list of texts; tokens can't be read.";
            return Err(Refused::wrong("input", message));
        }
    };
    if texts.is_empty() || texts.len() > TEXTS {
        let message = format!("The input has {} texts; it can have 1 to {TEXTS}.", texts.len());
        return Err(Refused::wrong("input", message));
    }
    if let Some(at) = texts.iter().position(|text| text.trim().is_empty()) {
        return Err(Refused::wrong("input", format!("Text {at} of the input is empty.")));
    }
    let in_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            let message = "The encoding can be float or base64.";
            return Err(Refused::wrong("encoding_format", message));
        }
    };
    let purpose = match request.input_type.as_deref() {
        None | Some("passage" | "document") => Purpose::Passage,
        Some("query") => Purpose::Query,
        Some(_) => return Err(Refused::wrong("input_type", "It can be passage or query.")),
    };
    let dimensions = request.dimensions;
    match vectors(&state, texts, dimensions, purpose).await? {
        Embedded::Vectors(vectors, tokens) => {
            let data = vectors.into_iter().enumerate().map(|(index, vector)| One {
                object: "embedding",
                index,
                embedding: if in_base64 {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    Vector::Base64(STANDARD.encode(bytes))
                } else {
                    Vector::Floats(vector)
                },
            });
            Ok(json(&List {
                object: "list",
                data: data.collect(),
                model: name,
                usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
            }))
        }
        Embedded::TooLong { at, tokens, most } => {
            let message = format!(
                "This model's maximum context length is {most} tokens, and text {at} of the input \
                 has {tokens}; nothing is cut off."
            );
            let refused = Refused::new(StatusCode::BAD_REQUEST, message);
            Err(refused.code("context_length_exceeded"))
        }
        Embedded::Dimensions(real) => {
            let message = format!("Vectors of this model have {real} dimensions.");
            Err(Refused::wrong("dimensions", message))
        }
    }
}

async fn vectors(
    state: &State,
    texts: Vec<String>,
    dimensions: Option<usize>,
    purpose: Purpose,
) -> Outcome<Embedded> {
    at_length(state, move |kb, watch| {
        let embedder = kb.embedder(watch)?;
        if dimensions.is_some_and(|wanted| wanted != embedder.dimensions()) {
            return Ok(Embedded::Dimensions(embedder.dimensions()));
        }
        let (mut total, most) = (0, embedder.max_tokens());
        for (at, text) in texts.iter().enumerate() {
            let tokens = embedder.count_tokens(text, purpose)?;
            if tokens > most {
                return Ok(Embedded::TooLong { at, tokens, most });
            }
            total += tokens;
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            watch.cancel.check()?;
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            vectors.extend(embedder.embed(&batch, purpose)?);
        }
        Ok(Embedded::Vectors(vectors, total))
    })
    .await
}
