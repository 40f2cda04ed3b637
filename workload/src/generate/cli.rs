//! The command line of `data-generator`, and the plain task it resolves to.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pf_notation::count;

use crate::process::parse_bytes;

/// Create a file with known content, completely or not at all.
///
/// The data is written to FILE.partial, which is renamed when all of it is on the disk, and removed
/// on any error and on SIGINT, SIGTERM, SIGQUIT and SIGHUP.
#[derive(Debug, Parser)]
#[command(name = "data-generator", version)]
pub struct Cli {
    /// The file to create, or to check
    #[arg(short, long)]
    file: PathBuf,
    /// Its size: MiB, or with a unit, as in 2GiB
    #[arg(short, long, value_name = "MIB", required_unless_present = "verify", allow_negative_numbers = true,
          value_parser = parse_bytes)]
    size: Option<u64>,
    /// Its content
    #[arg(short, long, value_enum, default_value = "random")]
    pattern: Kind,
    /// Replace a file that exists; the old one stays until the new one is complete
    #[arg(long)]
    force: bool,
    /// Seed of the bytes of `random` and `sparse`
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = count::within::<u64>(0, u64::MAX))]
    seed: u64,
    /// Check FILE, created with `-p sequential`, and report the first wrong page
    #[arg(long, conflicts_with_all = ["size", "pattern", "force", "seed"])]
    verify: bool,
}

/// What a generated file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Incompressible bytes
    Random,
    /// Numbered pages of 4096 bytes that can be checked
    Sequential,
    /// 1 MiB of incompressible bytes every 8 MiB, with holes between them
    Sparse,
}

/// A file to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its final name.
    pub path: PathBuf,
    /// Its size, holes included.
    pub size_bytes: u64,
    /// Its content.
    pub kind: Kind,
    /// Decides all that is random.
    pub seed: u64,
    /// Whether it may replace a file.
    pub force: bool,
}

/// What to do, resolved from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make a file.
    Generate(Recipe),
    /// Check a file of numbered pages.
    Verify(PathBuf),
}

impl Cli {
    /// Resolves the two uses of the program.
    pub fn into_task(self) -> Task {
        match self.size {
            Some(size) if !self.verify => Task::Generate(Recipe {
                path: self.file,
                size_bytes: size,
                kind: self.pattern,
                seed: self.seed,
                force: self.force,
            }),
            _ => Task::Verify(self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
