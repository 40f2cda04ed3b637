//! The arguments of `regions`.

use crate::output::command::Caller;
use crate::request::options::RegionOptions;
use clap::Args;
use pf_notation::count;
use pf_notation::names::Names;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "Regions")]
pub(crate) struct RegionArgs {
    /// Regions from a list with lines 'name,offset,len' in bytes, decimal or 0x hex; where regions overlap, the innermost counts
    #[arg(long, value_name = "CSV", conflicts_with_all = ["copy", "parts"])]
    regions: Option<PathBuf>,
    /// Read the regions from FILE, a copy of the recorded file, when that is not at its recorded path
    #[arg(long, value_name = "FILE", conflicts_with = "parts")]
    copy: Option<PathBuf>,
    /// At most N equal parts of a power of two of pages [default if the file has no known parts: 32]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u16>(1, 4096))]
    parts: Option<u16>,
}

impl RegionArgs {
    /// `files` are the values of --file.
    pub(crate) fn into_options(self, files: &[Names], trace: &Path) -> Result<RegionOptions, String> {
        if files.len() != 1 {
            let list = Caller::of(trace).command("files", &[]);
            return Err(format!(
                "regions are parts of one file: name it with --file PATH; the files are listed by: {list}"
            ));
        }
        Ok(RegionOptions {
            list: self.regions,
            copy: self.copy,
            parts: self.parts,
        })
    }
}
