//! Evaluation: question sets, metrics, statistics, runs and their reports. It sees every stage of
//! the flow from the outside.

pub mod beir;
pub mod calibrate;
pub mod canaries;
pub mod claims;
pub mod compare;
pub mod dialogues;
pub mod facts;
pub mod feedback;
pub mod gold;
pub mod judge;
mod lines;
mod logistic;
pub mod metrics;
pub mod report;
pub mod run;
pub mod score;
pub mod sentences;
pub mod set;
pub mod stats;
