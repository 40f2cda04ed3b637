//! `memory`: pages faulted again, and what more memory would have avoided.

use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::render;
use crate::request::Request;
use crate::request::options::MemoryOptions;
use crate::verbs::context::{self, Outcome, read, say_remarks, say_warnings, write_answer};
use pass::Memory;
use text::MemoryAnswer;

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
        let answer = MemoryAnswer {
            memory: &memory,
            session: &session,
            filter: &request.filter,
            memory_bytes: options.memory_bytes,
        };
        match options.part {
            None => write_answer(&answer, request, output)?,
            Some(part) => {
                let mut table = answer.part(part, request.format.is_data());
                let left_out = request.order.apply(&mut table);
                left_out.map_err(AnalyzeError::Usage)?;
                render::table(&table, request.format, output.room().table, &mut output.out)?;
            }
        }
        let note = answer.note().filter(|_| !request.format.is_text());
        let remarks = note.into_iter().chain(scaling::remark(&session));
        Ok(say_remarks(remarks.chain(memory.remark()), request, output)?)
    })
}
