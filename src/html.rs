//! An article's body → its document: sections, blocks, and what was removed. Pure.
