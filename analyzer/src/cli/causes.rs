//! The arguments of `causes`.

use crate::request::options::{CauseOptions, CausePart};
use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Causes")]
pub(crate) struct CauseArgs {
    /// Another table: the longest waits for pages that were being read, with whoever had begun to read them; or waits of the
    /// kernel's own accesses to memory, of which no fault tells
    #[arg(long, value_enum)]
    part: Option<CausePart>,
}

impl CauseArgs {
    pub(crate) fn into_options(self) -> CauseOptions {
        CauseOptions { part: self.part }
    }
}
