//! Question → hits: dense and BM25, fused; and hits → passages.
