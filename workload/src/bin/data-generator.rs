//! `data-generator`: makes files whose content is known, and checks them.

use std::process::ExitCode;

use pf_workload::generate;
use pf_workload::process::{exit_code, parse_arguments};

fn main() -> ExitCode {
    if let Some(status) = pf_manuals::answer::<generate::cli::Cli>() {
        return status;
    }
    match parse_arguments::<generate::cli::Cli>() {
        Ok(cli) => exit_code(generate::run(&cli.into_task())),
        Err(status) => status,
    }
}
