//! `--query`: from what was asked for to the probes to attach, now and when more files turn up.

pub mod binary;
mod deferred_probes;
mod library;
pub mod patience;
mod reader;
mod resolve;
mod spec;

pub use deferred_probes::Later;
pub use patience::Patience;
pub use resolve::{Candidate, Resolved, files_of, resolve};
pub use spec::QuerySpec;
