//! The arguments of `diff`.

use crate::cli::{FilterArgs, OutputArgs, Plain};
use crate::request::Verb;
use clap::Args;
use pf_notation::count;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The recording before
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The recording after
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Rows of each table, biggest change of wait first; 0 shows all [default: 10; with --format csv or json all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u32>(0, u32::MAX.into()))]
    top: Option<u32>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Diff {
    pub(crate) fn into_parts(self) -> Result<(Plain, Verb), String> {
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        if is_stdin(&self.a) && is_stdin(&self.b) {
            return Err("only one of the two recordings can be standard input".to_owned());
        }
        let options = crate::request::options::DiffOptions {
            other: self.b,
            top: self.top.map(|top| usize::try_from(top).unwrap_or(usize::MAX)),
        };
        let plain = Plain {
            trace: self.a,
            output: self.output,
            filter: self.filter,
        };
        Ok((plain, Verb::Diff(options)))
    }
}
