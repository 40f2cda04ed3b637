//! Where results go: standard output, or a file that has its name only when all is in it. It also knows the terminal.

use crate::cli::Request;
use crate::error::AnalyzeError;
use crate::input::{Identity, identity, identity_of};
use crate::screen::Screen;
use crate::table::Format;
use anyhow::Context;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

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
    pending: Option<Pending>,
}

/// What is written beside the file that it is to become.
struct Pending {
    file: TempPath,
    target: PathBuf,
    name: String,
}

/// A file that is named in the error when it cannot be written.
struct Named {
    file: BufWriter<File>,
    name: String,
}

impl Named {
    fn explain(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.name))
    }
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        written.map_err(|error| self.explain(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file.flush();
        flushed.map_err(|error| self.explain(&error))
    }
}

impl Output {
    /// Opens what `request` wants to write to, which must be none of the files that it reads; `trace` is the first of them.
    /// A file is left as it is until [`Output::finish`].
    ///
    /// # Errors
    /// When it cannot be written, or is read.
    pub fn open(request: &Request, trace: Option<Identity>) -> anyhow::Result<Self> {
        let Some(path) = request.output.as_deref().filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::stdout());
        };
        let name = crate::text::escape(&path.display().to_string());
        let cannot = || format!("{name} cannot be written");
        let existing = existing(path).with_context(cannot)?;
        if let Some(of_output) = existing.as_ref().and_then(identity) {
            if trace == Some(of_output) {
                anyhow::bail!("{name} is the trace itself: give another file to -o");
            }
            let mut inputs = request.inputs().into_iter();
            if inputs.any(|input| identity_of(input) == Some(of_output)) {
                anyhow::bail!("{name} is read for the answer: give another file to -o");
            }
        }
        let (file, pending) = match existing {
            // A device or a pipe.
            Some(file) if !file.metadata().with_context(cannot)?.is_file() => (file, None),
            existing => {
                let (file, pending) = beside(path, existing.as_ref(), &name).with_context(cannot)?;
                (file, Some(pending))
            }
        };
        let is_terminal = file.is_terminal();
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(Self {
            out: Sink::Plain(Box::new(Named { file, name })),
            terminal: None,
            is_terminal,
            colour: false,
            pending,
        })
    }

    /// Refuses to replace a file of which it is known only now that it was read.
    ///
    /// # Errors
    /// When `input` is the file that results are for.
    pub fn refuse(&self, input: &Path) -> Result<(), AnalyzeError> {
        let Some(pending) = &self.pending else {
            return Ok(());
        };
        let of_input = identity_of(input);
        if of_input.is_some() && of_input == identity_of(&pending.target) {
            return Err(AnalyzeError::Unanswerable(format!(
                "{} is read for the answer: give another file to -o",
                pending.name
            )));
        }
        Ok(())
    }

    /// Writes what is still buffered, and gives the file its name; with an error in `done` there is no file, or the old
    /// one. A reader who has gone away is none.
    ///
    /// # Errors
    /// That of `done`, or when the rest cannot be written.
    pub fn finish(mut self, done: Result<(), AnalyzeError>) -> anyhow::Result<()> {
        match done.and_then(|()| Ok(self.out.flush()?)) {
            Err(error) if error.is_broken_pipe() => return Ok(()),
            other => other?,
        }
        if let Some(Pending { file, target, name }) = self.pending {
            file.persist(target)
                .with_context(|| format!("{name} cannot be written"))?;
        }
        Ok(())
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
            pending: None,
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

/// What is there already, opened for writing and left as it is.
fn existing(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new file in the folder of `path`, with the rights of the one that it will replace.
fn beside(path: &Path, existing: Option<&File>, name: &str) -> io::Result<(File, Pending)> {
    // What a link leads to is replaced, and not the link.
    let target = match existing {
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pfanalyze-").suffix(".partial");
    let file = new_file(&mut builder, folder.unwrap_or(Path::new(".")))?;
    if let Some(existing) = existing {
        file.as_file()
            .set_permissions(existing.metadata()?.permissions())?;
    }
    let (file, temporary) = file.into_parts();
    let pending = Pending {
        file: temporary,
        target,
        name: name.to_owned(),
    };
    Ok((file, pending))
}

/// With the rights of any new file.
#[cfg(unix)]
fn new_file(builder: &mut tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    builder
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(not(unix))]
fn new_file(builder: &mut tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    builder.tempfile_in(folder)
}
