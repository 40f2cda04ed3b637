//! Replays a `.pfz` page-fault trace: streams it as polars frames, filters, summarises in bounded memory, renders.
//! The binary `pfanalyze` is a thin shell around [`app::run`]; everything else is here so that tests can use it.

pub mod app;
pub mod ask_queries;
pub mod breakdown;
pub mod class;
pub mod cli;
pub mod dicts;
pub mod error;
pub mod filter;
pub mod frame;
pub mod heat;
pub mod histogram;
pub mod input;
pub mod loss_words;
pub mod losses;
pub mod notice;
pub mod output;
pub mod pages;
pub mod pattern;
pub mod progress;
pub mod queries;
pub mod query;
pub mod repair;
pub mod report;
pub mod sampling;
pub mod scan;
pub mod schema;
pub mod session;
pub mod stack_dict;
pub mod stack_tree;
pub mod table;
pub mod text;
pub mod units;
pub mod verify;
pub mod verify_words;
