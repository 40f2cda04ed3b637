//! Where results go: standard output, or a file that is opened before the work starts. It also knows the terminal.

use crate::screen::Screen;
use crate::table::Format;
use anyhow::Context;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Characters per line when the output is not a terminal.
const PLAIN_WIDTH: usize = 80;

/// A file or pipe, or a terminal.
pub enum Sink {
    /// Gets every byte.
    Plain(Box<dyn Write>),
    /// Gets nothing that it would obey.
    Terminal(Screen<Box<dyn Write>>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Terminal(screen) => screen.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Terminal(screen) => screen.flush(),
        }
    }
}

/// The opened output and what it can show.
pub struct Output {
    /// Buffered; flush it and look at the error.
    pub out: Sink,
    /// Size of the terminal, if it is one.
    pub terminal: Option<(usize, usize)>,
    /// Whether it is one: only text is for it.
    pub is_terminal: bool,
    /// Whether colour is welcome.
    pub colour: bool,
}

impl Output {
    /// Opens `path`, or standard output. `trace`, the identity of the input, is refused as output.
    ///
    /// # Errors
    /// When the file cannot be created, or is the trace itself.
    pub fn open(path: Option<&Path>, trace: Option<(u64, u64)>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::stdout());
        };
        let name = crate::text::escape(&path.display().to_string());
        // Truncated only after it is known to be another file than the trace.
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let file = options
            .open(path)
            .with_context(|| format!("{name} cannot be written"))?;
        if trace.is_some() && crate::input::identity(&file) == trace {
            anyhow::bail!("{name} is the trace itself: give another file to -o");
        }
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_regular {
            file.set_len(0)
                .with_context(|| format!("{name} cannot be written"))?;
        }
        let is_terminal = file.is_terminal();
        Ok(Self {
            out: Sink::Plain(Box::new(BufWriter::with_capacity(1 << 16, file))),
            terminal: None,
            is_terminal,
            colour: false,
        })
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let size = terminal_size::terminal_size_of(&stdout)
            .map(|(width, height)| (usize::from(width.0), usize::from(height.0)));
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let terminal = size.filter(|_| is_terminal);
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(1 << 16, stdout));
        let out = if is_terminal {
            let columns = terminal.map_or(PLAIN_WIDTH, |(columns, _)| columns);
            Sink::Terminal(Screen::new(out, columns))
        } else {
            Sink::Plain(out)
        };
        Self {
            out,
            terminal,
            is_terminal,
            colour: is_terminal && !plain,
        }
    }

    /// Prepares a terminal for `format`.
    pub fn suit(&mut self, format: Format) {
        if let (Sink::Terminal(screen), Format::Table) = (&mut self.out, format) {
            screen.make_for_people();
        }
    }

    /// Characters per line.
    #[must_use]
    pub fn width(&self) -> usize {
        self.terminal
            .map_or(PLAIN_WIDTH, |(width, _)| width.clamp(60, 400))
    }

    /// Lines, if there is a terminal.
    #[must_use]
    pub fn height(&self) -> Option<usize> {
        self.terminal.map(|(_, height)| height)
    }
}
