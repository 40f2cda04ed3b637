//! `mmap-workload`: touches mapped pages in a known order and says what the kernel counted.

use std::process::ExitCode;

use pf_workload::process::{exit_code, parse_arguments};
use pf_workload::walk;

fn main() -> ExitCode {
    if let Some(status) = pf_manuals::answer::<walk::cli::Cli>() {
        return status;
    }
    match parse_arguments::<walk::cli::Cli>() {
        Ok(cli) => exit_code(walk::run(&cli.into_options())),
        Err(status) => status,
    }
}
