//! `verify`: reads all of a trace and says what is wrong with it. The checks are those of the format library.

pub mod text;

use crate::error::AnalyzeError;
use crate::output::command::Caller;
use crate::output::progress::Progress;
use crate::output::text::{escape, json_text};
use crate::request::Request;
use crate::trace::input::{self, Input, explain_format};
use crate::verbs::context::{Outcome, open_output};
use crate::verbs::verify::text::{is_whole, json, lines};
use pf_formats::{FormatError, Verification};
use std::io::Write;
use std::path::Path;

/// Checks the trace and writes the findings.
///
/// # Errors
/// Input that is no trace or cannot be read, and output.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    let name = escape(&request.trace.display().to_string());
    let input = input::open(&request.trace)?;
    let mut output = open_output(request, &input)?;
    let found = check(input).map_err(|error| explain_format(&name, &error))?;
    let done = write(request, &found, &mut output.out);
    output.finish(done)?;
    Ok(outcome(&found))
}

fn check(mut input: Input) -> Result<Verification, FormatError> {
    let mut progress = Progress::new(input.size);
    let found = pf_formats::verify(&mut input.reader, &mut |bytes| progress.tick(bytes));
    progress.finish();
    found
}

/// Three kinds of exit status hang on it: see [`Outcome`].
#[must_use]
pub fn outcome(found: &Verification) -> Outcome {
    if is_whole(found) {
        Outcome::Done
    } else {
        Outcome::Incomplete
    }
}

fn write(request: &Request, found: &Verification, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    if request.format.is_data() {
        writeln!(out, "{}", json_text(&json(found)))?;
    } else {
        for line in lines(found) {
            writeln!(out, "{line}")?;
        }
        if found.can_be_repaired() {
            let repaired = vec![("-o", Some(repaired(&request.trace)))];
            let command = Caller::of(&request.trace).command("repair", &repaired);
            writeln!(out, "what is there, as a clean trace: {command}")?;
        }
    }
    Ok(out.flush()?)
}

/// A name for the repaired trace beside the damaged one: `t.pfz` becomes `t.repaired.pfz`.
fn repaired(trace: &Path) -> String {
    let name = trace.display().to_string();
    let stem = name.strip_suffix(".partial").unwrap_or(&name);
    match stem.strip_suffix(".pfz") {
        Some("") | None => format!("{stem}.repaired.pfz"),
        Some(stem) => format!("{stem}.repaired.pfz"),
    }
}
