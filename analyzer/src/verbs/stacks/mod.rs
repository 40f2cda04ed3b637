//! `stacks`: which code faulted, as a tree of callers.

use crate::integrity::scaling;
use crate::output::table::Format;
use crate::request::Request;
use crate::request::options::StackOptions;
use crate::verbs::context::{self, Outcome, read, say_remarks, say_warnings, warn, write_notes};
use pass::{Base, Stacks, describe_hidden};

pub mod pass;
pub mod prune;
pub mod tables;
pub mod text;
pub mod tree;

/// Reads the trace and writes the tree.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: StackOptions) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let mut stacks = Stacks::default();
        let session = read(request, trace.input()?, &mut [&mut stacks])?;
        if options.folded {
            let tree = stacks.finish(&session, Base::Thread)?;
            warn(&session);
            write_notes(tree.remarks(options.weight));
            return Ok(tree.write_folded(options.weight, &mut output.out)?);
        }
        let tree = stacks.finish(&session, Base::Function)?;
        let limits = options.limits;
        let shown = tree.shown(options.weight, limits);
        say_warnings(&session, request.format, output)?;
        if request.format == Format::Table {
            let width = output.terminal.map(|_| output.width());
            tree.write_text(&shown, options.weight, width, &mut output.out)?;
        } else {
            tree.table(&shown).write(request.format, None, &mut output.out)?;
        }
        let remarks = describe_hidden(&shown, limits)
            .into_iter()
            .chain(tree.remarks(options.weight))
            .chain(scaling::remark(&session));
        Ok(say_remarks(remarks, request, output)?)
    })
}
