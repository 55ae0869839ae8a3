//! Question → checked answer: retrieve, decide, prompt, generate, check.
