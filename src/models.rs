//! Manifest entry → checked local file: cache, then hub, then package wheels.
