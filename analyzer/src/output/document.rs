//! An answer for people, part by part, in the order in which it is read. How a part looks is not its business: `render` knows.

use crate::output::table::Table;
use std::string::FromUtf8Error;

/// One part.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Something to be known before anything else.
    Warning(String),
    /// A name and what there is to say of it.
    Fact(String, String),
    /// Begins a section.
    Heading(String),
    /// Sentences in the order of their weight.
    Numbered(Vec<String>),
    /// One of several sentences of a section.
    Item(String),
    /// Sentences that stand for themselves: what a table does not tell.
    List(Vec<String>),
    /// Sentences of one thought, as many lines as they need.
    Paragraph(String),
    /// A line on its own.
    Line(String),
    /// A table, and the width that it must fit into.
    Table(Table, Option<usize>),
    /// Text that is aligned already, with the end of its last line.
    Drawing(String),
}

/// How facts stand on a page of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactLayout {
    /// Where the name of a fact ends.
    pub margin: usize,
    /// Lines that a fact may take, where there is a limit.
    pub lines: Option<usize>,
}

/// The parts of an answer. Their texts are safe for a terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// In order.
    pub parts: Vec<Part>,
    /// For all facts.
    pub facts: FactLayout,
}

impl Default for Document {
    fn default() -> Self {
        Self::with_facts(FactLayout {
            margin: 10,
            lines: None,
        })
    }
}

impl Document {
    /// Nothing yet; its facts will stand as `facts` says.
    #[must_use]
    pub(crate) fn with_facts(facts: FactLayout) -> Self {
        Self {
            parts: Vec::new(),
            facts,
        }
    }

    /// A table and nothing else.
    #[must_use]
    pub(crate) fn of_table(table: Table) -> Self {
        let mut document = Self::default();
        document.table(table, None);
        document
    }

    /// Adds a [`Part::Warning`].
    pub fn warning(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Warning(text.into()));
    }

    /// Adds a [`Part::Fact`].
    pub(crate) fn fact(&mut self, name: &str, text: impl Into<String>) {
        self.parts.push(Part::Fact(name.to_owned(), text.into()));
    }

    /// Adds a [`Part::Heading`].
    pub fn heading(&mut self, title: impl Into<String>) {
        self.parts.push(Part::Heading(title.into()));
    }

    /// Adds a [`Part::Numbered`].
    pub fn numbered(&mut self, sentences: Vec<String>) {
        self.parts.push(Part::Numbered(sentences));
    }

    /// Adds a [`Part::Item`].
    pub fn item(&mut self, sentence: impl Into<String>) {
        self.parts.push(Part::Item(sentence.into()));
    }

    /// Adds a [`Part::List`].
    pub fn list(&mut self, sentences: Vec<String>) {
        self.parts.push(Part::List(sentences));
    }

    /// Adds a [`Part::Paragraph`].
    pub(crate) fn paragraph(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Paragraph(text.into()));
    }

    /// Adds a [`Part::Line`].
    pub fn line(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Line(text.into()));
    }

    /// Adds a [`Part::Table`].
    pub fn table(&mut self, table: Table, width: Option<usize>) {
        self.parts.push(Part::Table(table, width));
    }

    /// Adds a [`Part::Drawing`] of what was written.
    pub(crate) fn drawing(&mut self, drawn: Vec<u8>) {
        let lossy = |drawn: FromUtf8Error| String::from_utf8_lossy(drawn.as_bytes()).into_owned();
        let drawn = String::from_utf8(drawn).unwrap_or_else(lossy);
        self.parts.push(Part::Drawing(drawn));
    }
}
