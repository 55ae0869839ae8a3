//! An article's body → text, sections, blocks → chunks, sentences, terms. Pure.

pub mod chunk;
pub mod html;
pub mod sentence;
pub mod terms;
