//! What a verb answers, as each kind of reader wants it. A verb says what there is; how a format writes it is known to
//! `render` alone.

use crate::error::AnalyzeError;
use crate::output::document::Document;
use crate::output::render::json;
use crate::output::table::Table;
use std::io::Write;

/// How much fits on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Characters of a line, at which sentences are broken.
    pub width: usize,
    /// Characters that a table must fit into, where there is a terminal.
    pub table: Option<usize>,
}

/// An answer: a table, unless a format has more to say.
pub trait Answer {
    /// For people at a terminal.
    ///
    /// # Errors
    /// When a part cannot be drawn.
    fn text(&self, room: Room) -> Result<Document, AnalyzeError>;

    /// For an issue or a pull request.
    ///
    /// # Errors
    /// When a part cannot be drawn.
    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        Ok(Document::of_table(self.table()))
    }

    /// For programs.
    ///
    /// # Errors
    /// When `out` cannot be written.
    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        json::table(&self.table(), out)
    }

    /// For spreadsheets.
    fn table(&self) -> Table;

    /// What is said beside the table, which has no room for it.
    fn beside_table(&self) -> Vec<String> {
        Vec::new()
    }
}
