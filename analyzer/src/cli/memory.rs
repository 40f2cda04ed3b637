//! The arguments of `memory`.

use crate::cli::values::bytes;
use crate::request::options::MemoryOptions;
use crate::request::options::MemoryPart;
use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Memory")]
pub(crate) struct MemoryArgs {
    /// Only this table; with --format csv it is the curve if none is given
    #[arg(long, value_enum)]
    part: Option<MemoryPart>,
    /// How much memory there was for these pages, such as the limit of the cgroup: bytes, or 512M, 4GiB. Makes an estimate of the bounds
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = bytes)]
    memory: Option<u64>,
}

impl MemoryArgs {
    pub(crate) fn into_options(self) -> MemoryOptions {
        MemoryOptions {
            part: self.part,
            memory_bytes: self.memory,
        }
    }
}
