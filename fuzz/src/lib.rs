//! The pure part of wellread, by links to its own files: models and stores need not be built to
//! fuzz it.
#![allow(dead_code)]

pub mod chunk;
pub mod domain;
pub mod error;
pub mod html;
pub mod read;
