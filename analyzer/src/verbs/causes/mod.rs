//! `causes`: why faults waited, from what the kernel showed of each; whose reads they waited for; and waits of which no fault
//! tells.

pub mod hidden;
pub mod pass;
pub mod reads;

use crate::integrity::scaling;
use crate::request::Request;
use crate::request::options::{CauseOptions, CausePart};
use crate::verbs::causes::hidden::HiddenWaits;
use crate::verbs::causes::pass::Causes;
use crate::verbs::causes::reads::WhoseRead;
use crate::verbs::context::{self, Outcome, read, say_remarks, write_narrow};

/// Reads the trace and writes the table.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: CauseOptions) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let (mut causes, mut hidden) = (Causes::default(), HiddenWaits::default());
        let mut reads = WhoseRead::keeping(request.order.top.unwrap_or(reads::SHOWN));
        let session = read(
            request,
            trace.input()?,
            &mut [&mut causes, &mut reads, &mut hidden],
        )?;
        reads.finish();
        let (table, drop_order): (_, &[&str]) = match options.part {
            None => (causes.table(&session), &pass::DROP_ORDER),
            Some(CausePart::Hidden) => (hidden.table(&session), &hidden::DROP_ORDER),
            Some(CausePart::Reads) => (reads.table(&session), &reads::DROP_ORDER),
        };
        let for_width = write_narrow(table, drop_order, &session, request, output)?;
        let mut remarks = causes.remarks();
        match options.part {
            None => {
                remarks.extend(reads.remark(&request.filter));
                remarks.extend(hidden.remark());
            }
            Some(CausePart::Hidden) => remarks.extend(hidden.remark_on_table(&session)),
            Some(CausePart::Reads) => remarks.extend(reads.remark(&request.filter)),
        }
        let remarks = remarks.into_iter().chain(for_width);
        Ok(say_remarks(
            remarks.chain(scaling::remark(&session)),
            request,
            output,
        )?)
    })
}
