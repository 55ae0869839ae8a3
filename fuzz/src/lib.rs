//! The pure part of wellread, from its own files: models and stores need not be built to fuzz it.
#![allow(dead_code)]

#[path = "../../src/base/mod.rs"]
pub mod base;

/// Without `terms`, which needs the store's crate.
pub mod document {
    #[path = "../../../src/document/chunk/mod.rs"]
    pub mod chunk;
    #[path = "../../../src/document/html/mod.rs"]
    pub mod html;
    #[path = "../../../src/document/sentence.rs"]
    pub mod sentence;
}

/// Without `fetch`, which needs the network.
pub mod source {
    #[path = "../../../src/source/read/mod.rs"]
    pub mod read;
}
