//! How the two programs meet the shell: errors, exit status, broken pipes.
//! Does not own what they do.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use pf_notation::{size, usage};

use crate::{MAX_BYTES, PAGE_BYTES};

/// Exit status of a command line that makes no sense.
const USAGE: u8 = 2;

/// Reads the command line. `Err` holds the status to exit with: help or version was printed, or what is wrong.
pub fn parse_arguments<T: Parser>() -> Result<T, ExitCode> {
    usage::parse(USAGE)
}

/// Reads the size of a file or of memory, in MiB or with a unit: whole pages, and at least one.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let size = size::parse(text, size::Unit::MiB)?;
    if size == 0 {
        return Err("must be more than 0".to_owned());
    }
    if size > MAX_BYTES {
        return Err(format!("too large: no file is larger than {MAX_BYTES} bytes"));
    }
    if !size.is_multiple_of(PAGE_BYTES) {
        return Err(format!(
            "{size} bytes are not whole pages of {PAGE_BYTES} bytes: KiB, MiB and GiB are powers of 1024, KB, MB and GB of 1000"
        ));
    }
    Ok(size)
}

/// Turns the outcome of a program into its exit status; the error, if any, is one line.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    let broken_pipe = error
        .downcast_ref::<io::Error>()
        .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    say(format_args!(
        "error: {}",
        usage::without_numbers(&format!("{error:#}"))
    ));
    ExitCode::FAILURE
}

/// One line for people. Whoever closed standard error wants to hear nothing.
pub fn say(line: impl Display) {
    writeln!(io::stderr(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_pages_in_mib_or_with_a_unit() {
        assert_eq!(parse_bytes("64"), Ok(64 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("4k"), Ok(4096));
        for (text, says) in [
            ("0", "more than 0"),
            ("1MB", "1000000 bytes are not whole pages"),
            ("1 B", "not whole pages"),
            ("8EiB", "too large"),
            ("much", "not a size: give a number of MiB"),
            ("-1", "never below 0"),
        ] {
            let error = parse_bytes(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
