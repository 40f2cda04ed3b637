//! Replays a `.pfz` page-fault trace: streams it as polars frames, filters, summarises in bounded memory, renders.
//! The binary `pfanalyze` is a thin shell around [`verbs::run`]; everything else is here so that tests can use it.

// Layers: each may use those above it, and none below.
pub mod error;

pub mod output;

pub mod trace;

pub mod engine;

pub mod stats;

pub mod integrity;

pub mod request;

pub mod verbs;

pub mod cli;
