//! Opens files that others name: a user on the command line, or a recorded process. pfrec may be root, so opening must
//! neither wait nor do anything: a FIFO waits for a writer, and some devices act as soon as they are opened. What a
//! path leads to is looked at first, and only that very thing is opened then.
//!
//! Nothing else in pfrec opens such a path (`tests/opening.rs` looks for it).

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

/// What may be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accept {
    Regular,
    /// Block devices, too: they are mapped like files.
    Mappable,
}

/// A regular file that was looked at and not opened. From here on it is this one, whatever its name leads to meanwhile.
#[derive(Clone, Debug)]
pub struct Pinned {
    handle: Arc<File>,
}

impl Pinned {
    /// By its path, links included.
    ///
    /// # Errors
    ///
    /// When there is none, or it is something else: which says what.
    pub fn by_path(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(found(path.as_ref(), 0)?)
    }

    /// By its path as a process with the root directory `root` sees it, symbolic links included.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn in_root(root: impl AsFd, path: &Path) -> io::Result<Self> {
        Self::new(found_in(root, path, OFlag::empty())?)
    }

    /// By its name in a folder, through no link and into nothing that is mounted there.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn in_folder(folder: impl AsFd, name: &Path) -> io::Result<Self> {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(
            ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV,
        );
        Self::new(openat2(folder, name, how)?.into())
    }

    fn new(found: File) -> io::Result<Self> {
        check(&found, Accept::Regular)?;
        Ok(Self {
            handle: Arc::new(found),
        })
    }

    /// Whose it is, and which.
    ///
    /// # Errors
    ///
    /// When the file system does not tell.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// Opens this very file.
    ///
    /// # Errors
    ///
    /// When it may not be read.
    pub fn open(&self) -> io::Result<File> {
        opened(&self.handle)
    }

    /// A path of this process that leads to it, and to nothing else.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        own_path(&self.handle)
    }

    /// What keeps it.
    #[must_use]
    pub fn handle(&self) -> &Arc<File> {
        &self.handle
    }
}

/// A regular file.
///
/// # Errors
///
/// When it cannot be opened, or is something else: which says what.
pub fn regular(path: impl AsRef<Path>) -> io::Result<File> {
    Pinned::by_path(path)?.open()
}

/// A regular file that is not reached through a link in its last component.
///
/// # Errors
///
/// Likewise.
pub fn regular_itself(path: impl AsRef<Path>) -> io::Result<File> {
    Pinned::new(found(path.as_ref(), libc::O_NOFOLLOW)?)?.open()
}

/// What can be mapped: a regular file or a block device.
///
/// # Errors
///
/// Likewise.
pub fn mappable(path: impl AsRef<Path>) -> io::Result<File> {
    let found = found(path.as_ref(), 0)?;
    check(&found, Accept::Mappable)?;
    opened(&found)
}

/// A folder as a place to start from; nothing in it is read.
///
/// # Errors
///
/// When there is none.
pub fn folder(path: impl AsRef<Path>) -> io::Result<File> {
    found(path.as_ref(), libc::O_DIRECTORY)
}

/// A folder by a path in which nothing is a link.
///
/// # Errors
///
/// Likewise.
pub fn folder_without_links(path: &Path) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(openat2(AT_FDCWD, path, how)?.into())
}

/// A folder by its path as a process with the root directory `root` sees it. Nothing in it is a link: our rights lead where
/// those of the process do not.
///
/// # Errors
///
/// Likewise.
pub fn folder_in(root: impl AsFd, path: &Path) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(openat2(root, path, how)?.into())
}

/// The root directory of a process.
///
/// # Errors
///
/// When the process is gone.
pub fn root_of(pid: u32) -> io::Result<File> {
    folder(format!("/proc/{pid}/root"))
}

/// The thing itself, without opening it. The standard library adds `O_CLOEXEC`.
fn found(path: &Path, flags: libc::c_int) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | flags)
        .open(path)
}

fn found_in(root: impl AsFd, path: &Path, flags: OFlag) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(root, path, how)?.into())
}

fn check(found: &File, accept: Accept) -> io::Result<()> {
    let kind = found.metadata()?.file_type();
    if kind.is_file() || (accept == Accept::Mappable && kind.is_block_device()) {
        return Ok(());
    }
    let wanted = match accept {
        Accept::Regular => "a regular file",
        Accept::Mappable => "a regular file or a block device",
    };
    let message = format!("it is {}, not {wanted}", describe(kind));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn opened(found: &File) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(own_path(found))
}

fn own_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn describe(kind: FileType) -> &'static str {
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
    fn what_was_pinned_stays_the_same_file_whatever_its_name_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&file, "this one").unwrap();
        fs::write(&other, "that one").unwrap();
        let pinned = Pinned::by_path(&file).unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&other, &file).unwrap();
        assert_eq!(io::read_to_string(pinned.open().unwrap()).unwrap(), "this one");
        assert_eq!(
            io::read_to_string(File::open(pinned.path()).unwrap()).unwrap(),
            "this one"
        );
        fs::remove_file(&file).unwrap();
        mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert_eq!(io::read_to_string(pinned.open().unwrap()).unwrap(), "this one");
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_root_of_its_process() {
        let root = tempfile::tempdir().unwrap();
        symlink("/inside", root.path().join("link")).unwrap();
        fs::write(root.path().join("inside"), "here").unwrap();
        let directory = folder(root.path()).unwrap();
        let pinned = Pinned::in_root(&directory, Path::new("/link")).unwrap();
        assert_eq!(io::read_to_string(pinned.open().unwrap()).unwrap(), "here");
        assert!(folder(root.path().join("inside")).is_err());
        fs::create_dir(root.path().join("folder")).unwrap();
        symlink("folder", root.path().join("to-folder")).unwrap();
        assert!(folder_in(&directory, Path::new("/folder")).is_ok());
        assert!(folder_in(&directory, Path::new("/to-folder")).is_err());
    }

    #[test]
    fn what_is_in_a_folder_is_no_link_and_nothing_that_is_mounted_there() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("inside"), "here").unwrap();
        symlink("inside", root.path().join("link")).unwrap();
        let directory = folder(root.path()).unwrap();
        let is_found = |name: &str| Pinned::in_folder(&directory, Path::new(name)).is_ok();
        assert_eq!(
            ["inside", "link", "../inside"].map(is_found),
            [true, false, false]
        );
        let (top, mounted) = (folder("/").unwrap(), Path::new("proc/version"));
        assert!(Pinned::in_root(&top, mounted).is_ok() && Pinned::in_folder(&top, mounted).is_err());
    }
}
