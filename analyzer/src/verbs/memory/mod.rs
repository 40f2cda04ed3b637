//! `memory`: pages faulted again, and what more memory would have avoided.

use crate::integrity::scaling;
use crate::output::table::Format;
use crate::request::Request;
use crate::request::options::MemoryOptions;
use crate::verbs::context::{self, Outcome, read, say_remarks, say_warnings};
use pass::Memory;
use text::Answer;

pub mod curve;
pub mod estimate;
pub mod page_groups;
pub mod page_order;
pub mod pass;
pub mod positions;
pub mod refaults;
pub mod tables;
pub mod text;
pub mod turns;

/// Reads the trace and writes the answer.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: MemoryOptions) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let mut memory = Memory::default();
        let session = read(request, trace.input()?, &mut [&mut memory])?;
        say_warnings(&session, request.format, output)?;
        let answer = Answer {
            memory: &memory,
            session: &session,
            filter: &request.filter,
            memory_bytes: options.memory_bytes,
        };
        let (order, width) = (&request.order, output.width());
        answer.write(options.part, request.format, order, width, &mut output.out)?;
        let note = answer.note().filter(|_| request.format != Format::Table);
        let remarks = note.into_iter().chain(scaling::remark(&session));
        Ok(say_remarks(remarks.chain(memory.remark()), request, output)?)
    })
}
