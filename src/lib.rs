//! wellread: a local knowledge base over articles.
//!
//! The modules stand in the order in which data flows; each imports only from those before it.
//! `domain`, `error`, `scratch` and `seams` are what all share. Reading, chunking, fusion, prompting and
//! citation checking are pure; files, network, models and stores are at the edges.

pub mod domain;
pub mod error;
pub mod scratch;
pub mod seams;

pub mod models;

pub mod fetch;
pub mod read;

pub mod html;

pub mod chunk;

pub mod library;

pub mod bm25;
pub mod embed;

pub mod store;

pub mod index;
pub mod sync;

pub mod retrieve;

pub mod cite;
pub mod generate;
pub mod prompt;

pub mod answer;

pub mod eval;

pub mod config;

pub mod cli;
pub mod commands;
pub mod output;
pub mod ui;
