//! Text → sparse vector, as Qdrant's own BM25 does it. Pure.
