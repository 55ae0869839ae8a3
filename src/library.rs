//! The truth: sources, articles, revisions and the vector cache in one SQLite file.
