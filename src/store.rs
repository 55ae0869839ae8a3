//! One generation of an index: embedded (qdrant-edge) or on a server (qdrant-client).
