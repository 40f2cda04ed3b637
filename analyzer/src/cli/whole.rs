//! The arguments of the verbs that look at a whole trace and not at some of its faults.

use super::{OutputArgs, Request, Verb};
use crate::filter::Filter;
use crate::table::Format;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Whole {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Whole {
    pub(super) fn into_request(self, verb: Verb) -> Request {
        Request {
            trace: self.trace,
            verb,
            format: self.output.format,
            output: self.output.output,
            filter: Filter::default(),
            queries: Vec::new(),
            filters: String::new(),
        }
    }

    /// Findings are no table, and a repaired trace is read back.
    pub(super) fn into_checked(self, verb: Verb) -> Result<Request, String> {
        if self.output.format == Format::Csv {
            return Err("findings have no CSV form: use --format json".into());
        }
        let output = self.output.output.as_deref();
        if verb == Verb::Repair && output.is_none_or(|path| path.as_os_str() == "-") {
            return Err(
                "repair reads back what it writes: give a file, 'pfanalyze repair TRACE -o FILE'".into(),
            );
        }
        Ok(self.into_request(verb))
    }
}
