//! From the kernel to the file: what the probes and the side-band tell, matched, counted, encoded and written.

pub mod accounting;
pub mod backlog;
pub mod drain;
pub mod encode;
pub mod event_sink;
pub mod ledger;
pub mod niceness;
pub mod progress;
pub mod sideband;
pub mod summary;
pub mod threads;
pub mod trace_file;
pub mod write_queue;
