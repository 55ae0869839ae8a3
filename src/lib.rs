//! wellread: a local knowledge base over articles.
//!
//! The modules stand in the order in which data flows; each uses only those of lower levels, which
//! the test below reads off the `use` lines. Reading, cutting, fusing, prompting and checking are
//! pure functions; files, the network, models and stores are at the edges. One
//! [`engine::KnowledgeBase`] stands behind every door.

pub mod base;

pub mod compute;
pub mod document;
pub mod models;

pub mod infer;
pub mod source;

pub mod library;

pub mod index;

pub mod retrieve;

pub mod answer;

pub mod engine;

pub mod api;
pub mod eval;

pub mod serve;

pub mod cli;
