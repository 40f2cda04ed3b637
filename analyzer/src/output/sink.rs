//! Where results go: standard output, or a file that has its name only when all is in it. It also knows the terminal.

use crate::error::AnalyzeError;
use crate::output::answer::Room;
use crate::output::cleanup::removed_on_signals;
use crate::output::file_identity::Identity;
use crate::output::file_identity::identity;
use crate::output::file_identity::identity_of;
use crate::output::file_identity::stdout_identity;
use crate::output::render::Format;
use crate::output::terminal::Screen;
use anyhow::Context;
use pf_formats::{FormatError, TraceReader};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Seek, Write};
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

impl Sink {
    fn new(out: Box<dyn Write>, is_terminal: bool, size: Option<(usize, usize)>) -> Self {
        if is_terminal {
            let columns = size.map_or(PLAIN_WIDTH, |(columns, _)| columns);
            Self::Terminal(Screen::new(out, columns))
        } else {
            Self::Plain(out)
        }
    }
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

/// What becomes of the result when it is whole.
struct Pending {
    name: String,
    target: PathBuf,
    way: Way,
}

enum Way {
    /// It was written beside the file, and gets its name.
    Rename(TempPath),
    /// It was written elsewhere, since the folder takes no new files: from there into the file.
    Copy { from: File, to: File },
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
    /// Opens `target`, which must be neither the `trace` nor one of the other files that are read. A file is left as it is
    /// until [`Output::finish`].
    ///
    /// # Errors
    /// When it cannot be written, or is read.
    pub fn open(target: Option<&Path>, trace: Option<Identity>, inputs: &[&Path]) -> anyhow::Result<Self> {
        let Some(path) = target.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::stdout());
        };
        let name = crate::output::text::escape(&path.display().to_string());
        let cannot = || format!("{name} cannot be written");
        let existing = existing(path).with_context(cannot)?;
        // `/dev/stdout`: what others write there stays.
        if existing
            .as_ref()
            .and_then(identity)
            .is_some_and(|file| stdout_identity() == Some(file))
        {
            return Ok(Self::stdout());
        }
        if let Some(of_output) = existing.as_ref().and_then(identity) {
            if trace == Some(of_output) {
                anyhow::bail!("{name} is the trace itself: give another file to -o");
            }
            if inputs.iter().any(|input| identity_of(input) == Some(of_output)) {
                anyhow::bail!("{name} is an input: give another file to -o");
            }
            if is_trace(path) {
                anyhow::bail!("{name} is a trace, and a result would replace it: give another file to -o");
            }
        }
        let (file, pending) = match existing {
            // A device or a pipe.
            Some(file) if !file.metadata().with_context(cannot)?.is_file() => (file, None),
            existing => {
                let (file, pending) = waiting(path, existing, &name).with_context(cannot)?;
                (file, Some(pending))
            }
        };
        // `/dev/tty`, say.
        let is_terminal = file.is_terminal();
        let terminal = terminal_size::terminal_size_of(&file)
            .filter(|_| is_terminal)
            .map(|(width, height)| (usize::from(width.0), usize::from(height.0)));
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(Self {
            out: Sink::new(Box::new(Named { file, name }), is_terminal, terminal),
            terminal,
            is_terminal,
            colour: false,
            pending,
        })
    }

    /// Refuses to replace a file of which it is known only now that it was read.
    ///
    /// # Errors
    /// When `input` is the file that results are for.
    pub(crate) fn refuse(&self, input: &Path) -> Result<(), AnalyzeError> {
        let Some(pending) = &self.pending else {
            return Ok(());
        };
        let of_input = identity_of(input);
        if of_input.is_some() && of_input == identity_of(&pending.target) {
            return Err(AnalyzeError::Unanswerable(format!(
                "{} is an input: give another file to -o",
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
        let Some(Pending { name, target, way }) = self.pending else {
            return Ok(());
        };
        let done = match way {
            Way::Rename(file) => file.persist(target).map_err(io::Error::from),
            Way::Copy { mut from, mut to } => from
                .rewind()
                .and_then(|()| to.set_len(0))
                .and_then(|()| io::copy(&mut from, &mut to))
                .map(|_| ()),
        };
        done.with_context(|| format!("{name} cannot be written"))
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let stdout = pf_printing::raw_out();
        let is_terminal = stdout.is_terminal();
        let size = terminal_size::terminal_size_of(&stdout)
            .map(|(width, height)| (usize::from(width.0), usize::from(height.0)));
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let terminal = size.filter(|_| is_terminal);
        let out = Box::new(BufWriter::with_capacity(1 << 16, stdout));
        Self {
            out: Sink::new(out, is_terminal, terminal),
            terminal,
            is_terminal,
            colour: is_terminal && !plain,
            pending: None,
        }
    }

    /// Prepares a terminal for `format`.
    pub(crate) fn suit(&mut self, format: Format) {
        if let Sink::Terminal(screen) = &mut self.out
            && format.is_text()
        {
            screen.make_for_people();
        }
    }

    /// Characters per line.
    #[must_use]
    pub fn width(&self) -> usize {
        self.terminal
            .map_or(PLAIN_WIDTH, |(width, _)| width.clamp(60, 400))
    }

    /// How much fits on a line.
    #[must_use]
    pub fn room(&self) -> Room {
        Room {
            width: self.width(),
            table: self.terminal.map(|_| self.width()),
        }
    }

    /// Lines, if there is a terminal.
    #[must_use]
    pub(crate) fn height(&self) -> Option<usize> {
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

/// A file for the result, and what is to become of it. It has the rights of the one that it will replace.
fn waiting(path: &Path, existing: Option<File>, name: &str) -> io::Result<(File, Pending)> {
    // What a link leads to is replaced, and not the link.
    let target = match existing {
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pfanalyze-").suffix(".partial");
    let (file, way) = match (removed_on_signals(|| new_file(&mut builder, folder)), existing) {
        (Ok(file), existing) => {
            let (file, path) = file.into_parts();
            if let Some(existing) = existing {
                take_rights(&file, &existing.metadata()?)?;
            }
            (file, Way::Rename(path))
        }
        (Err(error), Some(existing)) if error.kind() == io::ErrorKind::PermissionDenied => {
            let file = tempfile::tempfile()?;
            let from = file.try_clone()?;
            (file, Way::Copy { from, to: existing })
        }
        // The name of a file that nobody asked for would say nothing.
        (Err(error), _) => return Err(without_path(&error)),
    };
    let name = name.to_owned();
    Ok((file, Pending { name, target, way }))
}

/// An error as the system has it, where `tempfile` has put a path behind it.
fn without_path(error: &io::Error) -> io::Error {
    let words = error.to_string();
    let words = words.split(" at path ").next().unwrap_or_default();
    io::Error::new(error.kind(), words)
}

/// Whether a file begins as a trace does. What cannot be read is none.
pub(crate) fn is_trace(path: &Path) -> bool {
    let is_other = |error: &FormatError| {
        matches!(
            error,
            FormatError::NotATrace { .. } | FormatError::Empty | FormatError::Io(_)
        )
    };
    File::open(path).is_ok_and(|file| !TraceReader::new(file).is_err_and(|error| is_other(&error)))
}

/// Gives a new file the rights of an old one, and its owner where we may.
#[cfg(unix)]
fn take_rights(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    // Only root may, and nobody else can be the owner of another's file.
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn take_rights(file: &File, old: &Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
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
