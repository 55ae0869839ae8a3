//! A location → bytes → parsed articles.

pub mod fetch;
mod gather;
pub mod read;

pub use gather::{Item, Job, Part, gather};
