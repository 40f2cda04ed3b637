//! Stacks of real processes, looked up in real binaries; none of it needs BPF.
#![allow(clippy::unwrap_used, clippy::panic)]

mod interning;
mod program;
mod symbols;
