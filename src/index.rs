//! Library → index generation: build beside, check, swap; update in place.
