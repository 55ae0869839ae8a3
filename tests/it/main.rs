//! The tests on the real binary, models and stores; one program, so that it is linked once.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stderr)]

mod answers;
mod backups;
mod bad_input;
mod chat;
mod cite;
mod clients;
mod contract;
mod doors;
mod engine;
mod eval;
mod feedback;
mod filled;
mod generations;
mod gpu;
mod help;
mod index;
mod levels;
mod load;
mod made_up;
mod page;
mod qdrant;
mod read;
mod read_suites;
mod safety;
mod serve;
mod served;
mod server;
mod sources;
mod support;
