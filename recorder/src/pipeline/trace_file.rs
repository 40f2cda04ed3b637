//! The output file: created before anything is recorded, `.partial` until complete, 0600, owned by
//! the invoking user, never through a symlink.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use pf_formats::FormatError;

use crate::{cli::Output, files::open, messages::say, target::identity::Identity};

/// Where the bytes of the trace go.
pub enum TraceFile {
    /// A file that is renamed when it is complete.
    File {
        /// The open file, locked so that a second pfrec leaves it alone.
        file: Flock<File>,
        /// Its name until it is complete.
        partial: PathBuf,
        /// Its name afterwards.
        complete: PathBuf,
        /// Whose rights create and rename it.
        owner: Identity,
    },
    /// Standard output.
    Stdout(io::Stdout),
}

impl TraceFile {
    /// Creates the output. Files belong to `owner` and are made with the rights of `owner`. Only with `force` a file that is
    /// no trace is to be replaced.
    pub fn create(output: &Output, force: bool, owner: &Identity) -> Result<Self> {
        let path = match output {
            Output::Stdout if io::stdout().is_terminal() => {
                bail!("-o - would write a binary trace to the terminal: redirect standard output")
            }
            Output::Stdout => return Ok(Self::Stdout(pf_printing::raw_out())),
            Output::File(path) => path,
        };
        // Renaming over a device or a pipe would replace it for everyone, and over a link the link: /dev/stdout is one.
        match fs::symlink_metadata(path).map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_dir() => bail!("-o {}: is a directory: name a file in it", path.display()),
            Ok(kind) if kind.is_symlink() => bail!(
                "-o {}: is a symbolic link: name the file that it points to; standard output is -o -",
                path.display()
            ),
            Ok(kind) if !kind.is_file() => bail!(
                "-o {}: is not a regular file: to write to a device or a pipe, use -o -",
                path.display()
            ),
            _ => {}
        }
        let partial = with_suffix(path, ".partial");
        let file = owner.as_file_owner(|| {
            if !force {
                refuse_other(path)?;
            }
            set_aside(&partial)?;
            let file = create_new(&partial)?;
            lock(file, &partial)
        });
        let file = file.with_context(|| format!("-o {} (as user {})", path.display(), owner.name))?;
        Ok(Self::File {
            file,
            partial,
            complete: path.clone(),
            owner: owner.clone(),
        })
    }

    /// Makes the complete file durable and gives it its name; returns that name.
    ///
    /// # Errors
    ///
    /// When the complete trace had to keep its `.partial` name.
    pub fn finish(self) -> Result<String> {
        match self {
            Self::File {
                file,
                partial,
                complete,
                owner,
            } => {
                file.sync_all()
                    .with_context(|| format!("cannot sync {}", partial.display()))?;
                let ours = file.metadata().context("cannot stat the trace")?;
                let there = fs::symlink_metadata(&partial)
                    .with_context(|| format!("{} was removed while recording", partial.display()))?;
                if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
                    bail!(
                        "{} was replaced while recording: it is no longer the trace",
                        partial.display()
                    );
                }
                owner
                    .as_file_owner(|| fs::rename(&partial, &complete))
                    .with_context(|| {
                        format!(
                            "the trace is complete, but cannot be renamed from {}",
                            partial.display()
                        )
                    })?;
                Ok(complete.display().to_string())
            }
            Self::Stdout(_) => Ok("standard output".to_owned()),
        }
    }

    /// Removes an output to which nothing worth keeping was written.
    pub fn discard(self) {
        if let Self::File { partial, owner, .. } = self {
            // The file may be gone already; there is nobody to tell.
            owner.as_file_owner(|| fs::remove_file(partial)).ok();
        }
    }
}

/// Whether whoever read the trace from standard output has gone. A write would tell, but a program that rests causes none.
pub fn reader_is_gone(output: Option<&Output>) -> bool {
    if !matches!(output, Some(Output::Stdout)) {
        return false;
    }
    let stdout = pf_printing::raw_out();
    let mut ends = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let is_ready = poll(&mut ends, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    is_ready
        && ends[0]
            .revents()
            .is_some_and(|flags| flags.contains(PollFlags::POLLERR))
}

impl Write for TraceFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))
}

fn lock(file: File, path: &Path) -> Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| io::Error::from(errno))
        .with_context(|| format!("another pfrec is writing {}", path.display()))
}

/// What is there is a trace, or nothing.
fn refuse_other(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let there = open::regular_itself(path).map(pf_formats::TraceReader::new);
    match there {
        Ok(Err(FormatError::NotATrace { .. })) => {
            bail!("it exists and is not a trace: give another name, or --force to replace it")
        }
        Err(e) => Err(e).context("it exists and cannot be read, so it may not be a trace: give another name, or --force to replace it"),
        Ok(_) => Ok(()),
    }
}

/// What an interrupted recording left behind may be all there is of it: keep it under another name.
fn set_aside(partial: &Path) -> Result<()> {
    let left = match open::regular_itself(partial) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::InvalidFilename => {
            bail!("the name is too long: while it is recorded, the file is called NAME.partial")
        }
        Err(e) => return Err(e).with_context(|| format!("{} is in the way", partial.display())),
    };
    let _lock = lock(left, partial)?;
    let free = |name: &PathBuf| fs::symlink_metadata(name).is_err();
    let names = (1..).map(|n| {
        with_suffix(
            partial,
            &if n == 1 {
                ".old".to_owned()
            } else {
                format!(".old.{n}")
            },
        )
    });
    let aside = names
        .take(1000)
        .find(free)
        .with_context(|| format!("too many {}.old", partial.display()))?;
    fs::rename(partial, &aside).with_context(|| format!("{} is in the way", partial.display()))?;
    say(format_args!(
        "kept the data of an interrupted recording as {}",
        aside.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn create(path: &Path) -> Result<TraceFile> {
        TraceFile::create(&Output::File(path.to_owned()), false, &Identity::invoking()?)
    }

    #[test]
    fn what_is_no_trace_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main.rs");
        fs::write(&path, b"fn main() {}").unwrap();
        let error = create(&path).err().expect("refused");
        assert!(
            format!("{error:#}").contains("main.rs") && format!("{error:#}").contains("--force"),
            "{error:#}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was left");
        let output = Output::File(path.clone());
        let forced = TraceFile::create(&output, true, &Identity::invoking().unwrap());
        forced.unwrap().finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        // An empty file, a trace and the beginning of one are.
        for bytes in [&b""[..], b"\x89PFZ\r\n\x1a\n", b"\x89PF"] {
            fs::write(&path, bytes).unwrap();
            create(&path).unwrap().finish().unwrap();
        }
        let other = dir.path().join("link");
        fs::write(&path, b"fn main() {}").unwrap();
        symlink(&path, &other).unwrap();
        let error = create(&other).err().expect("refused");
        assert!(format!("{error:#}").contains("is a symbolic link"), "{error:#}");
    }

    #[test]
    fn a_trace_has_its_name_only_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.pfz");
        let mut file = create(&path).unwrap();
        file.write_all(b"x").unwrap();
        assert!(!path.exists() && dir.path().join("t.pfz.partial").exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join("t.pfz.partial").exists());
    }

    #[test]
    fn what_an_interrupted_recording_left_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz.partial"), b"precious").unwrap();
        create(&dir.path().join("t.pfz")).unwrap().finish().unwrap();
        assert_eq!(
            fs::read(dir.path().join("t.pfz.partial.old")).unwrap(),
            b"precious"
        );
    }

    #[test]
    fn every_interrupted_recording_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for content in [b"first", b"other"] {
            fs::write(dir.path().join("t.pfz.partial"), content).unwrap();
            create(&dir.path().join("t.pfz")).unwrap().discard();
        }
        assert_eq!(fs::read(dir.path().join("t.pfz.partial.old")).unwrap(), b"first");
        assert_eq!(
            fs::read(dir.path().join("t.pfz.partial.old.2")).unwrap(),
            b"other"
        );
    }

    #[test]
    fn a_file_put_in_the_place_of_the_trace_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(&dir.path().join("t.pfz")).unwrap();
        fs::rename(dir.path().join("t.pfz.partial"), dir.path().join("stolen")).unwrap();
        fs::write(dir.path().join("t.pfz.partial"), b"fake").unwrap();
        assert!(file.finish().is_err());
        assert!(!dir.path().join("t.pfz").exists());
    }

    #[test]
    fn a_second_recorder_of_the_same_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = create(&dir.path().join("t.pfz")).unwrap();
        let error = create(&dir.path().join("t.pfz")).err().expect("refused");
        assert!(format!("{error:#}").contains("another pfrec"), "{error:#}");
    }

    #[test]
    fn a_pipe_or_a_directory_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in [pipe.as_path(), dir.path()] {
            let error = create(path).err().expect("refused");
            assert!(format!("{error:#}").contains("-o "), "{error:#}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was left");
    }

    #[test]
    fn a_symlink_in_the_place_of_the_partial_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"mine").unwrap();
        symlink(&victim, dir.path().join("t.pfz.partial")).unwrap();
        assert!(create(&dir.path().join("t.pfz")).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    }
}
