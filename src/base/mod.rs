//! What all share: the words of the house as types, errors, events, files.

pub mod error;
mod event;
pub mod files;
pub(crate) mod http;
#[cfg(test)]
pub mod samples;
pub mod scratch;
pub mod text;
mod words;

pub use event::*;
pub use words::*;
