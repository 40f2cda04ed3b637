//! What can be asked of a trace: one file per verb, each a [`crate::scan::Query`] with a `finish` that gives the result.

pub mod classes;
pub mod events;
pub mod file_sums;
pub mod files;
pub mod info;
pub mod lines;
pub mod memory;
pub mod memory_tables;
pub mod memory_words;
pub mod objects;
pub mod origins;
pub mod percentiles;
pub mod queries;
pub mod query_shares;
pub mod regions;
pub mod single;
pub mod single_words;
pub mod spent;
pub mod stacks;
pub mod threads;
pub mod timeline_bars;
pub mod timeline_tables;
pub mod timeline_words;
pub mod where_waited;
