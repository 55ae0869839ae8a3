//! Text → dense vector: candle BERT, mean pooling, normalised.
