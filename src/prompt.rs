//! Passages and question → prompt, within the LLM's tokens. Pure.
