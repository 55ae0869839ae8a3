//! Prompt → text: a local GGUF LLM through candle.
