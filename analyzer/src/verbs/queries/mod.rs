//! `queries`: what each query waited for, by name or one by one.

pub mod pass;
pub mod slowest;
pub mod text;
