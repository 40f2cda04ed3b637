//! Honest page-fault load, for testing a recorder of page faults against the kernel's own counts.
//!
//! [`walk`] is `mmap-workload`: it maps memory and touches its pages in a known order while
//! counting what the kernel says it cost. [`generate`] is `data-generator`: it makes the files
//! to walk. The rest is shared by the two: [`process`] (command line and exit status),
//! [`cleanup`] (no file is left behind, signals included) and [`disk`] (what a directory offers).

pub mod cleanup;
pub mod disk;
pub mod generate;
pub mod process;
pub mod walk;

/// Bytes in one MiB, the unit of the sizes of files and memory.
pub const MIB: u64 = 1 << 20;
/// Largest size that still fits a file offset.
pub const MAX_BYTES: u64 = (1 << 63) - MIB;
/// Bytes of a page in our files.
pub const PAGE_BYTES: u64 = 4096;
