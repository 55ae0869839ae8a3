//! A document → chunks: by heading, within the embedder's tokens. Pure.
