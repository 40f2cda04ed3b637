//! `repair`: writes what is left of a trace to a file, which gets its name only when it has been read back and compared.
//!
//! The file is new until then, in the folder of the result, and goes away with any failure.

use crate::error::AnalyzeError;
use crate::output::cleanup::removed_on_signals;
use crate::output::file_identity::identity;
use crate::output::progress::Progress;
use crate::output::sink::{Output, is_trace};
use crate::output::text::{escape, json_text};
use crate::output::units::quantity;
use crate::output::units::{bytes, grouped};
use crate::request::Request;
use crate::trace::input::{self, Input, explain_format};
use crate::verbs::context::Outcome;
use crate::verbs::verify::outcome;
use crate::verbs::verify::text::{is_whole, json, lines};
use anyhow::Context;
use pf_formats::{BooksDropped, FormatError, Repair, TraceReader, Verification};
use serde_json::json;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Bytes on their way to or from a file.
const BUFFER: usize = 1 << 18;

/// Repairs the trace and tells what was found and written.
///
/// # Errors
/// Input that is no trace or cannot be read, output that cannot be written, and a result that does not read back.
pub fn run(request: &Request, force: bool) -> anyhow::Result<Outcome> {
    let target = request.output.as_deref().context("repair needs -o FILE")?;
    let name = escape(&target.display().to_string());
    let input = input::open(&request.trace)?;
    refuse(target, &name, &input, force)?;
    let mut file = beside(target).with_context(|| format!("{name} cannot be written"))?;
    let repair = write(input, file.as_file_mut(), &name, request)?;
    let proof = prove(&repair, file.path()).map_err(|error| {
        anyhow::anyhow!(
            "{name} was not written: {error}; the disk or the memory may be bad, try another disk"
        )
    })?;
    let size = file.as_file().metadata().map_or(0, |metadata| metadata.len());
    file.persist(target)
        .with_context(|| format!("{name} cannot be written"))?;
    match tell(request, &repair, &proof, &name, size) {
        Err(error) if !error.is_broken_pipe() => return Err(error.into()),
        _ => {}
    }
    Ok(match outcome(&repair.input) {
        Outcome::Done => outcome(&proof),
        incomplete => incomplete,
    })
}

/// Renaming would replace a device or a pipe for everyone, and the trace for its owner. What is no trace is replaced on
/// request only, as by pfrec.
fn refuse(target: &Path, name: &str, input: &Input, force: bool) -> anyhow::Result<()> {
    match fs::symlink_metadata(target).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_dir() => anyhow::bail!("{name} is a directory: name a file in it"),
        Ok(kind) if kind.is_symlink() => {
            anyhow::bail!("{name} is a symbolic link: name the file that it leads to")
        }
        Ok(kind) if !kind.is_file() => {
            anyhow::bail!("{name} is not a regular file: a repaired trace is read back, so give a file")
        }
        _ => {}
    }
    let is_file = fs::metadata(target).is_ok_and(|metadata| metadata.is_file());
    let file = is_file.then(|| File::open(target).ok()).flatten();
    let identity = file.as_ref().and_then(identity);
    if identity.is_some() && identity == input.identity {
        anyhow::bail!("{name} is the trace itself: give another file to -o");
    }
    let has_content = fs::metadata(target).is_ok_and(|metadata| metadata.len() > 0);
    if is_file && has_content && !force && !is_trace(target) {
        anyhow::bail!("{name} exists and is not a trace: give another file to -o, or --force to replace it");
    }
    Ok(())
}

/// A new file, for its owner only, in the folder of the target.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pfanalyze-repair-").suffix(".partial");
    removed_on_signals(|| builder.tempfile_in(folder.unwrap_or(Path::new("."))))
}

/// Remembers whether it was the output that failed.
struct Watched<'a> {
    file: &'a mut File,
    failed: &'a Cell<bool>,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        self.failed.set(written.is_err());
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write(mut input: Input, file: &mut File, name: &str, request: &Request) -> anyhow::Result<Repair> {
    let failed = Cell::new(false);
    let out = BufWriter::with_capacity(
        BUFFER,
        Watched {
            file,
            failed: &failed,
        },
    );
    let mut progress = Progress::new(input.size);
    let done = pf_formats::repair(&mut input.reader, out, &mut |bytes| progress.tick(bytes));
    progress.finish();
    let (repair, mut out) = done.map_err(|error| {
        if failed.get() {
            return anyhow::anyhow!("{name} cannot be written: {error}");
        }
        explain_format(&escape(&request.trace.display().to_string()), &error)
    })?;
    let cannot = || format!("{name} cannot be written");
    out.flush().with_context(cannot)?;
    out.get_mut().file.sync_all().with_context(cannot)?;
    Ok(repair)
}

/// Opens the file anew and compares it with what was read.
fn prove(repair: &Repair, path: &Path) -> Result<Verification, FormatError> {
    let file = File::open(path)?;
    let mut progress = Progress::new(file.metadata().ok().map(|metadata| metadata.len()));
    let mut reader = TraceReader::new(BufReader::with_capacity(BUFFER, file))?;
    let proof = repair.prove(&mut reader, &mut |bytes| progress.tick(bytes));
    progress.finish();
    proof
}

fn tell(
    request: &Request,
    repair: &Repair,
    proof: &Verification,
    name: &str,
    size: u64,
) -> Result<(), AnalyzeError> {
    let mut output = Output::stdout();
    output.suit(request.format);
    let mut out = output.out;
    if request.format.is_data() {
        let told = json!({
            "output": request.output.as_ref().map(|path| path.display().to_string()),
            "proven": true,
            "found": json(&repair.input),
            "written": json(proof),
            "books_dropped": repair.books_dropped.is_some(),
            "names_refused": repair.names_refused,
        });
        writeln!(out, "{}", json_text(&told))?;
    } else {
        for line in lines(&repair.input) {
            writeln!(out, "{line}")?;
        }
        for line in written(repair, proof, name, size) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(out.flush()?)
}

fn written(repair: &Repair, proof: &Verification, name: &str, size: u64) -> Vec<String> {
    let counts = &proof.counts;
    let what = if is_whole(&repair.input) {
        "copied"
    } else {
        "repaired"
    };
    let mut lines = vec![format!(
        "{what}: {name}, {}: {} in {}, read back and compared one by one",
        bytes(size),
        quantity(counts.events, "event"),
        quantity(counts.blocks, "block"),
    )];
    let header = &repair.input.header;
    if (header.major, header.minor) > (pf_formats::MAJOR, pf_formats::MINOR) {
        lines.push(format!(
            "note: the trace has format {}.{}, this version knows {}.{}: what it does not know was left out",
            header.major,
            header.minor,
            pf_formats::MAJOR,
            pf_formats::MINOR
        ));
    }
    if repair.names_refused > 0 {
        lines.push(format!(
            "note: {} left out: {} before",
            match repair.names_refused {
                1 => "1 name was".to_owned(),
                names => format!("{} names were", grouped(names)),
            },
            match repair.names_refused {
                1 => "its number had another meaning",
                _ => "their numbers had other meanings",
            }
        ));
    }
    let why = repair.books_dropped.map(|why| match why {
        BooksDropped::NoEndRecord => "the end record, which had it, is not there",
        BooksDropped::DoNotFit => "its numbers contradict what is there",
    });
    if let Some(why) = why {
        lines.push(format!(
            "note: the comparison with the kernel's counters is not in it: {why}"
        ));
    }
    lines
}
