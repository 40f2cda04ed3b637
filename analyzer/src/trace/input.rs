//! Opens a trace, from a file or standard input, and says in one line what to do when that fails.

use crate::output::command::Caller;
use crate::output::file_identity::{Identity, identity, stdin_identity};
use pf_formats::{AnyStream, FormatError, TraceReader};
use pf_notation::shell::shell_path;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

/// A trace ready to be scanned.
pub struct Input {
    /// Its reader, past the header.
    pub reader: TraceReader<AnyStream>,
    /// Size, when it is a regular file.
    pub size: Option<u64>,
    /// Device and inode, when it is a regular file, also as standard input: results must not go there.
    pub identity: Option<Identity>,
}

/// A trace that can be opened as often as needed.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// What came from a pipe, when it is read more than once; without a name, so it goes away with us.
    copy: Option<File>,
    /// That of standard input, where it was copied.
    identity: Option<Identity>,
}

impl Source {
    /// `path`, where `-` is standard input. A pipe that is to be read `again` is copied to a temporary file first.
    ///
    /// # Errors
    /// One line with a hint.
    pub fn open(path: &Path, again: bool) -> anyhow::Result<Self> {
        let is_stdin = path.as_os_str() == "-";
        let is_pipe = is_stdin
            || path
                .metadata()
                .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let mut source = Self {
            path: path.to_owned(),
            copy: None,
            identity: if is_stdin { stdin_identity() } else { None },
        };
        if again && is_pipe {
            if is_stdin && io::stdin().is_terminal() {
                anyhow::bail!("standard input is a terminal: pipe a trace into it, or give a file");
            }
            let mut input: Box<dyn Read> = if is_stdin {
                Box::new(io::stdin().lock())
            } else {
                let name = crate::output::text::escape(&path.display().to_string());
                Box::new(File::open(path).map_err(|error| explain_open(path, &name, &error))?)
            };
            let copied = tempfile::tempfile().and_then(|mut copy| {
                io::copy(&mut input, &mut copy)?;
                Ok(copy)
            });
            let copy = copied.map_err(|error| {
                anyhow::anyhow!(
                    "this reads the input more than once, and copying it to {} failed: {error}; give a file, or set TMPDIR",
                    std::env::temp_dir().display()
                )
            })?;
            source.copy = Some(copy);
        }
        Ok(source)
    }

    /// The trace from its start. One at a time: where files cannot be read by position, they share one.
    ///
    /// # Errors
    /// One line with a hint.
    pub fn input(&self) -> anyhow::Result<Input> {
        let Some(copy) = &self.copy else {
            return open(&self.path);
        };
        let file = copy.try_clone()?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        let name = crate::output::text::escape(&self.path.display().to_string());
        let reader = TraceReader::open(file).map_err(|error| explain_format(&name, &error))?;
        Ok(Input {
            reader,
            size,
            identity: self.identity,
        })
    }
}

/// Opens `path`; `-` is standard input.
///
/// # Errors
/// One line with a hint.
pub fn open(path: &Path) -> anyhow::Result<Input> {
    let name = crate::output::text::escape(&path.display().to_string());
    let (reader, size, identity) = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            anyhow::bail!("standard input is a terminal: pipe a trace into it, or give a file");
        }
        let stream: AnyStream = Box::new(io::stdin());
        (TraceReader::new(stream), None, stdin_identity())
    } else {
        let file = File::open(path).map_err(|error| explain_open(path, &name, &error))?;
        let metadata = file
            .metadata()
            .map_err(|error| explain_open(path, &name, &error))?;
        if metadata.is_dir() {
            anyhow::bail!("{name} is a directory: give the .pfz file in it");
        }
        let identity = identity(&file);
        (
            TraceReader::open(file),
            metadata.is_file().then_some(metadata.len()),
            identity,
        )
    };
    let reader = reader.map_err(|error| explain_format(&name, &error))?;
    Ok(Input {
        reader,
        size,
        identity,
    })
}

fn explain_open(path: &Path, name: &str, error: &io::Error) -> anyhow::Error {
    // What the recorder writes to until it is done.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let word = shell_path(path);
    match error.kind() {
        io::ErrorKind::NotFound if Path::new(&partial).exists() => {
            let report = Caller::of(Path::new(&partial)).command("", &[]);
            anyhow::anyhow!(
                "{name} does not exist, but {name}.partial does: the recorder is still writing or was killed; \
                 what is there so far: {report}"
            )
        }
        io::ErrorKind::NotFound => {
            anyhow::anyhow!("{name} does not exist: record it with 'sudo pfrec -o {word} -- COMMAND'")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("you may not read {name}: run as its owner, or 'sudo chown $USER {word}'")
        }
        _ => anyhow::anyhow!("{name} cannot be opened: {error}"),
    }
}

/// What is wrong with the beginning of a file, and what to do.
#[must_use]
pub(crate) fn explain_format(name: &str, error: &FormatError) -> anyhow::Error {
    match error {
        FormatError::Empty => {
            anyhow::anyhow!("{name} is empty: the recorder wrote nothing, record again with pfrec")
        }
        FormatError::NotATrace { .. } => {
            anyhow::anyhow!("{name} is not a pfrec trace: give a file written by 'pfrec -o FILE'")
        }
        FormatError::Newer { .. } => anyhow::anyhow!("{name}: {error}: update pfanalyze"),
        FormatError::Older { .. } => anyhow::anyhow!("{name}: {error}: record it again with pfrec"),
        FormatError::Io(error) if error.kind() == io::ErrorKind::IsADirectory => {
            anyhow::anyhow!("{name} is a directory: give the .pfz file in it")
        }
        FormatError::Io(error) => anyhow::anyhow!("{name} cannot be read: {error}"),
        _ => anyhow::anyhow!(
            "{name} cannot be read: {error}; if the beginning is damaged, nothing can be recovered"
        ),
    }
}
