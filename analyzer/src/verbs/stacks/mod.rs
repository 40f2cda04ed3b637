//! `stacks`: which code faulted, as a tree of callers.

use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::table::Table;
use crate::request::Request;
use crate::request::options::StackOptions;
use crate::request::weight::Weight;
use crate::verbs::context::{
    self, Outcome, read, say_remarks, say_warnings, warn, write_answer, write_notes,
};
use pass::{Base, StackTree, Stacks, describe_hidden};
use prune::Shown;

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
        let answer = StacksAnswer {
            tree: &tree,
            shown: &shown,
            weight: options.weight,
        };
        write_answer(&answer, request, output)?;
        let remarks = describe_hidden(&shown, limits)
            .into_iter()
            .chain(tree.remarks(options.weight))
            .chain(scaling::remark(&session));
        Ok(say_remarks(remarks, request, output)?)
    })
}

/// A tree and what is shown of it, ready to be written.
struct StacksAnswer<'a> {
    tree: &'a StackTree,
    shown: &'a Shown,
    weight: Weight,
}

impl Answer for StacksAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut drawn = Vec::new();
        self.tree
            .write_text(self.shown, self.weight, room.table, &mut drawn)?;
        let mut document = Document::default();
        document.drawing(drawn);
        Ok(document)
    }

    fn markdown(&self, room: Room) -> Result<Document, AnalyzeError> {
        self.text(Room { table: None, ..room })
    }

    fn table(&self) -> Table {
        self.tree.table(self.shown)
    }
}
