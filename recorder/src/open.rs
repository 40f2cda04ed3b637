//! Opens files that others name: a user on the command line, or a recorded process. pfrec may be root, so opening must
//! neither wait nor do anything: a FIFO waits for a writer, and some devices act as soon as they are opened. What a
//! path leads to is looked at first, and only that very thing is opened then.
//!
//! Nothing else in pfrec opens such a path (`tests/opening.rs` looks for it).

use std::{
    fs::{File, FileType, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// What may be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accept {
    Regular,
    /// Block devices, too: they are mapped like files.
    Mappable,
}

/// A regular file.
///
/// # Errors
///
/// When it cannot be opened, or is something else: which says what.
pub fn regular(path: impl AsRef<Path>) -> io::Result<File> {
    readable(&found(path.as_ref(), 0)?, Accept::Regular)
}

/// A regular file that is not reached through a link in its last component.
///
/// # Errors
///
/// Likewise.
pub fn regular_itself(path: impl AsRef<Path>) -> io::Result<File> {
    readable(&found(path.as_ref(), libc::O_NOFOLLOW)?, Accept::Regular)
}

/// A regular file by its path as a process with the root directory `root` sees it, symbolic links included.
///
/// # Errors
///
/// Likewise.
pub fn regular_in(root: impl AsFd, path: &Path) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    readable(&openat2(root, path, how)?.into(), Accept::Regular)
}

/// What can be mapped: a regular file or a block device.
///
/// # Errors
///
/// Likewise.
pub fn mappable(path: impl AsRef<Path>) -> io::Result<File> {
    readable(&found(path.as_ref(), 0)?, Accept::Mappable)
}

/// A folder as a place to start from; nothing in it is read.
///
/// # Errors
///
/// When there is none.
pub fn folder(path: impl AsRef<Path>) -> io::Result<File> {
    found(path.as_ref(), libc::O_DIRECTORY)
}

/// The thing itself, without opening it. The standard library adds `O_CLOEXEC`.
fn found(path: &Path, flags: libc::c_int) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | flags)
        .open(path)
}

fn readable(found: &File, accept: Accept) -> io::Result<File> {
    let kind = found.metadata()?.file_type();
    let accepted = kind.is_file() || (accept == Accept::Mappable && kind.is_block_device());
    if !accepted {
        let wanted = match accept {
            Accept::Regular => "a regular file",
            Accept::Mappable => "a regular file or a block device",
        };
        let message = format!("it is {}, not {wanted}", in_words(kind));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

fn in_words(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_char_device() => "a character device",
        _ if kind.is_block_device() => "a block device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
    };

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_the_others_are_called_what_they_are() {
        assert!(regular("/proc/self/exe").is_ok());
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, kind) in [
            (Path::new("/dev/zero"), "a character device"),
            (folder.path(), "a folder"),
            // Without waiting for a writer.
            (&fifo, "a FIFO"),
            (&socket, "a socket"),
        ] {
            for error in [regular(path), mappable(path)].map(Result::unwrap_err) {
                assert!(error.to_string().contains(kind), "{path:?}: {error}");
            }
        }
        let missing = regular(folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_is_followed_unless_the_file_itself_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "here").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(io::read_to_string(regular(&link).unwrap()).unwrap(), "here");
        assert!(regular_itself(&file).is_ok());
        let error = regular_itself(&link).unwrap_err();
        assert!(error.to_string().contains("a symbolic link"), "{error}");
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_root_of_its_process() {
        let root = tempfile::tempdir().unwrap();
        symlink("/inside", root.path().join("link")).unwrap();
        fs::write(root.path().join("inside"), "here").unwrap();
        let directory = folder(root.path()).unwrap();
        let file = regular_in(&directory, Path::new("/link")).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "here");
        assert!(folder(root.path().join("inside")).is_err());
    }
}
