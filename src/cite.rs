//! A sentence against its passages: which support it. Pure.
