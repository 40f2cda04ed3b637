//! `mmap-workload`: memory, an order of pages, threads that follow it, and the bill.
//!
//! [`pattern`] owns the order, [`ground`] the mapped memory, `eviction` and `source` how cold it is
//! and where it comes from, `worker` the measured part, `touches` the record of each touch,
//! `report` what is printed.

pub mod cli;
pub mod eviction;
pub mod ground;
pub mod kernel;
pub mod pattern;
mod report;
mod source;
mod touches;
mod worker;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use cli::{Memory, Options, OutputFormat};
use report::Report;
use source::Source;

/// Does what the command line asks for, and prints the report on standard output.
pub fn run(options: &Options) -> Result<()> {
    let cleanup = Cleanup::watch().context("cannot watch for signals")?;
    // Before the work, so that a wrong path does not cost a run.
    let touch_file = match &options.log_touches {
        Some(path) => Some((path, create_touch_file(path, &options.memory)?)),
        None => None,
    };
    let source = Source::prepare(options, &cleanup)?;
    let workers = worker::run_all(&source.ground, options)?;
    let report = Report::new(options, &source, &workers);
    if let Some((path, file)) = touch_file {
        touches::write_csv(file, &workers)
            .with_context(|| format!("--log-touches {}: cannot write it", path.display()))?;
    }
    source.close()?;
    let text = match options.format {
        OutputFormat::Table => report.table(),
        OutputFormat::Json => report.json()?,
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

fn create_touch_file(path: &Path, memory: &Memory) -> Result<File> {
    let name = path.display();
    let cannot_create = || format!("--log-touches {name}: cannot create it");
    // Emptied only when it is known not to be the file to walk, whatever its name.
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = opened.with_context(cannot_create)?;
    let written = file.metadata().with_context(cannot_create)?;
    if let Memory::File { path: walked, .. } = memory
        && let Ok(walked) = walked.metadata()
        && (walked.dev(), walked.ino()) == (written.dev(), written.ino())
    {
        bail!("--log-touches {name}: that is the file to walk");
    }
    // A pipe or a device has no length.
    if written.is_file() {
        file.set_len(0).with_context(cannot_create)?;
    }
    Ok(file)
}
