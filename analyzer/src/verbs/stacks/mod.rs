//! `stacks`: which code faulted, as a tree of callers.

pub mod pass;
pub mod prune;
pub mod tables;
pub mod text;
pub mod tree;
