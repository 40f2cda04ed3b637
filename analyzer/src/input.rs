//! Opens a trace, from a file or standard input, and says in one line what to do when that fails.

use pf_formats::{FormatError, TraceReader};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::Path;

/// A trace ready to be scanned.
pub struct Input {
    /// Its reader, past the header.
    pub reader: TraceReader<Box<dyn Read>>,
    /// Size, when it is a regular file.
    pub size: Option<u64>,
    /// Device and inode, when it is a regular file, also as standard input: results must not go there.
    pub identity: Option<(u64, u64)>,
}

/// Device and inode of a regular file.
#[cfg(unix)]
#[must_use]
pub fn identity(file: &File) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Not known here.
#[cfg(not(unix))]
#[must_use]
pub fn identity(_: &File) -> Option<(u64, u64)> {
    None
}

#[cfg(unix)]
fn stdin_identity() -> Option<(u64, u64)> {
    use std::os::fd::AsFd;
    let owned = io::stdin().as_fd().try_clone_to_owned().ok()?;
    identity(&File::from(owned))
}

#[cfg(not(unix))]
fn stdin_identity() -> Option<(u64, u64)> {
    None
}

/// Opens `path`; `-` is standard input.
///
/// # Errors
/// One line with a hint.
pub fn open(path: &Path) -> anyhow::Result<Input> {
    let name = crate::text::escape(&path.display().to_string());
    let (input, size, identity): (Box<dyn Read>, _, _) = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            anyhow::bail!("standard input is a terminal: pipe a trace into it, or give a file");
        }
        (Box::new(io::stdin().lock()), None, stdin_identity())
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
            Box::new(file),
            metadata.is_file().then_some(metadata.len()),
            identity,
        )
    };
    let buffered: Box<dyn Read> = Box::new(BufReader::with_capacity(1 << 18, input));
    let reader = TraceReader::new(buffered).map_err(|error| explain_format(&name, &error))?;
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
    match error.kind() {
        io::ErrorKind::NotFound if Path::new(&partial).exists() => {
            anyhow::anyhow!(
                "{name} does not exist, but {name}.partial does: the recorder is still writing or was killed; \
                 see what is there with 'pfanalyze {name}.partial'"
            )
        }
        io::ErrorKind::NotFound => {
            anyhow::anyhow!("{name} does not exist: record it with 'sudo pfrec -o {name} -- COMMAND'")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("{name} may not be read by you: run as its owner, or 'sudo chown $USER {name}'")
        }
        _ => anyhow::anyhow!("{name} cannot be opened: {error}"),
    }
}

/// What is wrong with the beginning of a file, and what to do.
#[must_use]
pub fn explain_format(name: &str, error: &FormatError) -> anyhow::Error {
    match error {
        FormatError::Empty => {
            anyhow::anyhow!("{name} is empty: the recorder wrote nothing, record again with pfrec")
        }
        FormatError::NotATrace { .. } => {
            anyhow::anyhow!("{name} is not a pfrec trace: give a file written by 'pfrec -o FILE'")
        }
        FormatError::Newer { .. } => anyhow::anyhow!("{name}: {error}: update pfanalyze"),
        FormatError::Io(error) if error.kind() == io::ErrorKind::IsADirectory => {
            anyhow::anyhow!("{name} is a directory: give the .pfz file in it")
        }
        FormatError::Io(error) => anyhow::anyhow!("{name} cannot be read: {error}"),
        _ => anyhow::anyhow!(
            "{name} cannot be read: {error}; if the beginning is damaged, nothing can be recovered"
        ),
    }
}
