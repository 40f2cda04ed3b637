//! The arguments of the verbs that look at a whole trace and not at some of its faults.

use crate::cli::{LimitArgs, OutputArgs, endings};
use crate::engine::filter::Filter;
use crate::output::order::Order;
use crate::output::render::Format;
use crate::request::Request;
use crate::request::Verb;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Whole {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// The damaged or unfinished trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The clean trace; an older FILE is replaced only when the new one has been read back and compared
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    limit: LimitArgs,
}

impl Whole {
    pub(crate) fn into_info(self) -> Result<Request, String> {
        let format = self.output.format()?;
        Ok(self.into_request(Verb::Info, format))
    }

    pub(crate) fn into_verify(self) -> Result<Request, String> {
        let output = self.output.output.as_deref();
        let format = endings::format(self.output.format, output, &[Format::Table, Format::Json])?;
        refuse_tables(format)?;
        Ok(self.into_request(Verb::Verify, format))
    }

    fn into_request(self, verb: Verb, format: Format) -> Request {
        let OutputArgs { output, limit, .. } = self.output;
        request(self.trace, verb, format, output, &limit)
    }
}

impl Repair {
    pub(crate) fn into_request(self) -> Result<Request, String> {
        refuse_tables(self.format)?;
        if self.output.as_os_str() == "-" {
            return Err("repair reads back what it writes: give a file to -o FILE".into());
        }
        Ok(request(
            self.trace,
            Verb::Repair,
            self.format,
            Some(self.output),
            &self.limit,
        ))
    }
}

fn request(
    trace: PathBuf,
    verb: Verb,
    format: Format,
    output: Option<PathBuf>,
    limit: &LimitArgs,
) -> Request {
    Request {
        trace,
        verb,
        format,
        output,
        memory_limit: limit.memory_limit,
        filter: Filter::default(),
        order: Order::default(),
    }
}

/// Findings are no table.
fn refuse_tables(format: Format) -> Result<(), String> {
    if matches!(format, Format::Csv | Format::Markdown) {
        return Err("findings are not a table: use --format json".into());
    }
    Ok(())
}
