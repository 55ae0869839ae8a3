//! Style and script: part of the program, named by what they hold, kept by browsers for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::base::hex;

/// One file.
struct Asset {
    /// With the hash of its content.
    name: String,
    kind: &'static str,
    content: &'static str,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("page", "css", "text/css; charset=utf-8", include_str!("page.css")),
        asset("page", "js", "text/javascript; charset=utf-8", include_str!("page.js")),
        asset("icon", "svg", "image/svg+xml", include_str!("icon.svg")),
    ]
});

fn asset(stem: &str, extension: &str, kind: &'static str, content: &'static str) -> Asset {
    Asset { name: format!("{stem}.{}.{extension}", hash(content.as_bytes())), kind, content }
}

/// 16 hexadecimal digits for a content.
pub(super) fn hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content)[..8])
}

/// The paths of style, script and icon.
pub(super) fn paths() -> [String; 3] {
    ASSETS.each_ref().map(|asset| format!("/assets/{}", asset.name))
}

/// Whether a client has what a tag stands for already.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let said = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}

pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", asset.name);
    let kept =
        [(CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()), (ETAG, tag.clone())];
    if has(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(CONTENT_TYPE, asset.kind)], asset.content).into_response()
}
