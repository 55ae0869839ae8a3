//! The tests on the real binary, models and stores; one program, so that it is linked once.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod answers;
mod bad_input;
mod contract;
mod eval;
mod index;
mod qdrant;
mod read;
mod server;
mod sources;
mod support;
