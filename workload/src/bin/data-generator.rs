//! `data-generator`.
fn main() {}
