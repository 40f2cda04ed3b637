//! Which file an open one is: results must not go where the trace comes from.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Device and inode of a regular file; where the system has neither, nothing tells one from another.
pub type Identity = (u64, u64);

/// That of an open file; `None` for what is no regular file.
#[must_use]
pub(crate) fn identity(file: &File) -> Option<Identity> {
    file.metadata().ok().as_ref().and_then(of_metadata)
}

/// That of a file by its path, without opening it, which could wait.
#[must_use]
pub(crate) fn identity_of(path: &Path) -> Option<Identity> {
    path.metadata().ok().as_ref().and_then(of_metadata)
}

#[cfg(unix)]
fn of_metadata(metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn of_metadata(_: &Metadata) -> Option<Identity> {
    None
}

#[cfg(unix)]
pub(crate) fn stdin_identity() -> Option<Identity> {
    identity_of_stream(&io::stdin())
}

/// That of the file that standard output goes to.
#[cfg(unix)]
pub(crate) fn stdout_identity() -> Option<Identity> {
    identity_of_stream(&pf_printing::raw_out())
}

#[cfg(unix)]
fn identity_of_stream(stream: &impl std::os::fd::AsFd) -> Option<Identity> {
    let owned = stream.as_fd().try_clone_to_owned().ok()?;
    identity(&File::from(owned))
}

#[cfg(not(unix))]
pub(crate) fn stdin_identity() -> Option<Identity> {
    None
}

/// That of the file that standard output goes to.
#[cfg(not(unix))]
pub(crate) fn stdout_identity() -> Option<Identity> {
    None
}
