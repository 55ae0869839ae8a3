//! Bytes → articles: RSS, Atom and the other formats. Pure.
