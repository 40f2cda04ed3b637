//! The arguments of the verbs that look at a whole trace and not at some of its faults.

use crate::cli::{LimitArgs, OutputArgs, endings};
use crate::engine::filter::Filter;
use crate::output::order::Order;
use crate::output::render::Format;
use crate::request::Request;
use crate::request::Verb;
use clap::{Args, ValueEnum};
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
pub(crate) struct Verify {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// How to write what was found [default: table, or what the name of the output FILE ends in: .txt, .json]
    #[arg(long, value_enum)]
    format: Option<FindingsFormat>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Findings are not a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FindingsFormat {
    /// Lines for people
    #[default]
    Table,
    /// One JSON object
    Json,
}

impl From<FindingsFormat> for Format {
    fn from(format: FindingsFormat) -> Self {
        match format {
            FindingsFormat::Table => Self::Table,
            FindingsFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// The damaged or unfinished trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The clean trace; an older FILE is replaced only when the new one has been read back and compared
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace FILE even if it is not a trace
    #[arg(long)]
    force: bool,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    format: FindingsFormat,
    #[command(flatten)]
    limit: LimitArgs,
}

impl Whole {
    pub(crate) fn into_info(self) -> Result<Request, String> {
        let format = self.output.format()?;
        let OutputArgs { output, limit, .. } = self.output;
        Ok(request(self.trace, Verb::Info, format, output, &limit))
    }
}

impl Verify {
    pub(crate) fn into_request(self) -> Result<Request, String> {
        let output = self.output.as_deref();
        let given = self.format.map(Format::from);
        let format = endings::format(given, output, &[Format::Table, Format::Json])?;
        Ok(request(
            self.trace,
            Verb::Verify,
            format,
            self.output,
            &self.limit,
        ))
    }
}

impl Repair {
    pub(crate) fn into_request(self) -> Result<Request, String> {
        if self.output.as_os_str() == "-" {
            return Err("repair reads back what it writes: give a file to -o FILE".into());
        }
        Ok(request(
            self.trace,
            Verb::Repair { force: self.force },
            self.format.into(),
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
