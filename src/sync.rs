//! Sources → library: what is new, changed or unchanged.
