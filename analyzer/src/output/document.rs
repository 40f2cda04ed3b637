//! A report on a terminal, or as Markdown for an issue: the same parts in the same order. What they say is not its business.

use crate::error::AnalyzeError;
use crate::output::markdown::literal;
use crate::output::table::{Format, Table};
use crate::output::text::{keep_start, wrap};
use std::io::Write;

/// Where the name of a fact ends.
const NAME_WIDTH: usize = 10;

/// The parts of a report, written as they come.
pub struct Page<'a> {
    /// What cannot be said by the methods.
    out: &'a mut dyn Write,
    width: usize,
    is_markdown: bool,
}

impl<'a> Page<'a> {
    /// Lines of `width` characters; Markdown has no width.
    pub fn new(out: &'a mut dyn Write, width: usize, is_markdown: bool) -> Self {
        Self {
            out,
            width,
            is_markdown,
        }
    }

    /// Something to be known before anything else.
    ///
    /// # Errors
    /// As all of these: when the output cannot be written.
    pub fn warning(&mut self, text: &str) -> Result<(), AnalyzeError> {
        if self.is_markdown {
            writeln!(self.out, "> **{}**\n", literal(text))?;
        } else {
            writeln!(self.out, "! {text}")?;
        }
        Ok(())
    }

    /// A name and what there is to say of it, which is harmless already.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn fact(&mut self, name: &str, text: &str) -> Result<(), AnalyzeError> {
        if self.is_markdown {
            writeln!(self.out, "- **{name}**: {}", literal(text))?;
            return Ok(());
        }
        let room = self.width.saturating_sub(NAME_WIDTH).max(20);
        // A command line can be longer than a screen; three lines tell it.
        let lines = wrap(&keep_start(text, 3 * room), room);
        for (index, text) in lines.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            writeln!(self.out, "{name:<NAME_WIDTH$}{text}")?;
        }
        Ok(())
    }

    /// Begins a part.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn heading(&mut self, title: &str) -> Result<(), AnalyzeError> {
        let mark = if self.is_markdown { "### " } else { "" };
        let below = if self.is_markdown { "\n" } else { "" };
        Ok(writeln!(self.out, "\n{mark}{title}{below}")?)
    }

    /// One thing after another, numbered; lines that follow the first one are indented.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn numbered(&mut self, sentences: &[String]) -> Result<(), AnalyzeError> {
        for (number, sentence) in (1..).zip(sentences) {
            if self.is_markdown {
                writeln!(self.out, "{number}. {}", literal(sentence))?;
                continue;
            }
            let lines = wrap(sentence, self.width.saturating_sub(3));
            for (index, line) in lines.iter().enumerate() {
                let mark = if index == 0 {
                    format!("{number}. ")
                } else {
                    "   ".to_owned()
                };
                writeln!(self.out, "{mark}{line}")?;
            }
        }
        Ok(())
    }

    /// One of several sentences; lines that follow the first one are indented.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn item(&mut self, sentence: &str) -> Result<(), AnalyzeError> {
        if self.is_markdown {
            writeln!(self.out, "- {}", literal(sentence))?;
            return Ok(());
        }
        for (index, line) in wrap(sentence, self.width.saturating_sub(2)).iter().enumerate() {
            writeln!(self.out, "{}{line}", if index == 0 { "" } else { "  " })?;
        }
        Ok(())
    }

    /// A table.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn table(&mut self, table: &Table) -> Result<(), AnalyzeError> {
        if self.is_markdown {
            return table.write(Format::Markdown, None, self.out);
        }
        table.write(Format::Table, Some(self.width), self.out)
    }

    /// A line on its own.
    ///
    /// # Errors
    /// As [`Page::warning`].
    pub fn line(&mut self, text: &str) -> Result<(), AnalyzeError> {
        if self.is_markdown {
            writeln!(self.out, "\n{}", literal(text))?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }

    /// Text that is aligned, as a drawing is.
    ///
    /// # Errors
    /// As [`Page::warning`], and those of `draw`.
    pub fn drawing(
        &mut self,
        draw: impl FnOnce(&mut dyn Write) -> Result<(), AnalyzeError>,
    ) -> Result<(), AnalyzeError> {
        if !self.is_markdown {
            return draw(self.out);
        }
        let mut drawn = Vec::new();
        draw(&mut drawn)?;
        // Longer than any run of backticks in it, so that no name ends it.
        let drawn = String::from_utf8_lossy(&drawn);
        let longest = drawn.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        writeln!(self.out, "{fence}text\n{}\n{fence}", drawn.trim_end())?;
        Ok(())
    }
}
