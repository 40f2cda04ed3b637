//! What can be asked of a trace: a file or a folder per verb, each with its pass, its tables and its text.

pub mod context;
pub mod diff;
pub mod events;
pub mod files;
pub mod heatmap;
pub mod info;
pub mod memory;
pub mod percentiles;
pub mod queries;
pub mod regions;
pub mod repair;
pub mod report;
pub mod sql;
pub mod stacks;
pub mod threads;
pub mod timeline;
pub mod verify;
pub mod with_queries;
