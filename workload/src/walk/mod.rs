//! `mmap-workload`: memory, an order of pages, threads that follow it, and the bill.
//!
//! [`pattern`] owns the order, [`ground`] the mapped memory, `eviction` and `source` how cold it is
//! and where it comes from, `worker` the measured part, `touches` the record of each touch,
//! `queries` what is announced as one and what each cost, `report` what is printed.

pub mod cli;
pub mod eviction;
pub mod ground;
pub mod kernel;
pub mod pattern;
mod queries;
mod report;
mod source;
mod touches;
mod walked;
mod worker;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use cli::{Memory, Options, OutputFormat};
use report::Report;
use source::Source;
use walked::Walked;

/// Does what the command line asks for, and prints the report on standard output.
pub fn run(options: &Options) -> Result<()> {
    let cleanup = Cleanup::watch().context("cannot watch for signals")?;
    // Before the work, so that a wrong path does not cost a run.
    let touch_file = create_for("--log-touches", options.log_touches.as_deref(), &options.memory)?;
    let query_file = create_for("--query-report", options.query_report.as_deref(), &options.memory)?;
    if let (Some(touch_file), Some(query_file)) = (&touch_file, &query_file)
        && identity(&touch_file.file)? == identity(&query_file.file)?
    {
        bail!(
            "{}: is also the file of --log-touches: give another name",
            query_file.name
        );
    }
    let source = Source::prepare(options, &cleanup)?;
    let workers = worker::run_all(&source.ground, options)?;
    let report = Report::new(options, &source, &workers);
    for (written, write_csv) in [
        (touch_file, touches::write_csv as WriteCsv),
        (query_file, queries::write_csv),
    ] {
        if let Some(NamedFile { name, file }) = written {
            write_csv(file, &workers).with_context(|| format!("{name}: cannot write it"))?;
        }
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

type WriteCsv = fn(File, &[Walked]) -> io::Result<()>;

struct NamedFile {
    /// The flag and the path, for messages.
    name: String,
    file: File,
}

fn create_for(flag: &str, path: Option<&Path>, memory: &Memory) -> Result<Option<NamedFile>> {
    let Some(path) = path else { return Ok(None) };
    let name = format!("{flag} {}", path.display());
    let cannot_create = || format!("{name}: cannot create it");
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
        bail!("{name}: is the file to walk: give another name");
    }
    // A pipe or a device has no length.
    if written.is_file() {
        file.set_len(0).with_context(cannot_create)?;
    }
    Ok(Some(NamedFile { name, file }))
}

/// Of a file that can be written twice and not hold both; a terminal can.
fn identity(file: &File) -> io::Result<Option<(u64, u64)>> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then(|| (metadata.dev(), metadata.ino())))
}
