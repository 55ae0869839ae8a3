//! Threads that models and builds share, and the arithmetic of rows of numbers.

pub mod dense;
pub mod math;
mod pool;

pub use pool::Pool;
