//! `regions`: which named part of a file was waited for.

use crate::integrity::scaling;
use crate::output::text::escape;
use crate::request::Request;
use crate::request::options::RegionOptions;
use crate::verbs::context::{self, Outcome, read, say_remarks, write_narrow};
use pass::{DROP_ORDER, Regions};
use pf_notation::names::Names;
use source::Source;

pub mod bytes;
pub mod gguf;
pub mod layout;
pub mod list;
pub mod local;
pub mod pass;
pub mod region;
pub mod safetensors;
pub mod source;
pub mod zip;

/// Reads the trace and writes the table.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: &RegionOptions) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let wanted = request.filter.files.first().map_or("", Names::text);
        let mut regions = Regions::new(wanted, Source::of(options)?);
        let session = read(request, trace.input()?, &mut [&mut regions])?;
        regions.file().map_or(Ok(()), |file| output.refuse(file))?;
        let table = regions.table(&session)?;
        let for_width = write_narrow(table, &DROP_ORDER, &session, request, output)?;
        let caller = trace.caller().within(request.filter.arguments());
        let has_no_file = regions.file().is_none() && session.passed > 0;
        let no_file = has_no_file.then(|| {
            format!(
                "{} is memory without a file, which has no regions; where in it: {}",
                escape(wanted),
                caller.command("heatmap", &[])
            )
        });
        let remarks = regions.remarks().into_iter().chain(no_file).chain(for_width);
        Ok(say_remarks(
            remarks.chain(scaling::remark(&session)),
            request,
            output,
        )?)
    })
}
