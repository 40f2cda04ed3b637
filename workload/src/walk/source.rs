//! Where the walked memory comes from: a given file, a temporary one, or none; and how cold it is.

use std::env;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cli::{Memory, Options};
use super::eviction::evict;
use super::ground::Ground;
use crate::cleanup::{Cleanup, Doomed};
use crate::disk;
use crate::generate::content::write_random;
use crate::process::say;

/// Memory that is ready to be walked.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ground: Ground,
    /// The file behind it, if any.
    pub(super) path: Option<PathBuf>,
    /// Pages still in the page cache after the eviction; `None` without one, or if the kernel does
    /// not tell.
    pub(super) resident_after_evict: Option<u64>,
    temporary: Option<Doomed>,
}

impl Source {
    /// Opens or makes the memory that `options` ask for, evicts it and advises the kernel.
    pub(super) fn prepare(options: &Options, cleanup: &Cleanup) -> Result<Self> {
        let source = match &options.memory {
            Memory::File { path, evict } => Self::of_file(path, *evict, options.write)?,
            Memory::Temporary { size_bytes, evict } => {
                Self::of_temporary(*size_bytes, *evict, options, cleanup)
                    .context("cannot make a temporary file")?
            }
            Memory::Anonymous { size_bytes } => Self::anonymous(*size_bytes)?,
        };
        source
            .ground
            .advise(options.advice)
            .context("--advice: madvise failed")?;
        Ok(source)
    }

    /// Removes the temporary file.
    pub(super) fn close(self) -> Result<()> {
        let Some(temporary) = self.temporary else {
            return Ok(());
        };
        let path = temporary.path().to_path_buf();
        temporary
            .remove()
            .with_context(|| format!("cannot remove {}", path.display()))
    }

    fn of_file(path: &Path, wanted_cold: bool, writable: bool) -> Result<Self> {
        let name = path.display();
        // Asked before it is opened: opening a FIFO would wait for a writer.
        let metadata = path.metadata().with_context(|| format!("cannot open {name}"))?;
        if !metadata.is_file() {
            bail!("cannot map {name}: it is not a regular file");
        }
        let file = OpenOptions::new().read(true).write(writable).open(path);
        let file = file.with_context(|| format!("cannot open {name}"))?;
        if file
            .metadata()
            .with_context(|| format!("cannot stat {name}"))?
            .len()
            == 0
        {
            bail!("cannot map {name}: it is empty");
        }
        let ground = Ground::of_file(&file, writable).with_context(|| format!("cannot map {name}"))?;
        let resident_after_evict = evict_if(wanted_cold, &file, &ground, path)?;
        Ok(Self {
            ground,
            path: Some(path.to_path_buf()),
            resident_after_evict,
            temporary: None,
        })
    }

    fn of_temporary(
        size_bytes: u64,
        wanted_cold: bool,
        options: &Options,
        cleanup: &Cleanup,
    ) -> Result<Self> {
        let (file, temporary) = first_possible(directories(), |directory| {
            make_in(directory, size_bytes, options.pattern.seed, cleanup)
        })?;
        let path = temporary.path().to_path_buf();
        let name = path.display();
        let ground = Ground::of_file(&file, options.write).with_context(|| format!("cannot map {name}"))?;
        let resident_after_evict = evict_if(wanted_cold, &file, &ground, &path)?;
        Ok(Self {
            ground,
            path: Some(path),
            resident_after_evict,
            temporary: Some(temporary),
        })
    }

    fn anonymous(size_bytes: u64) -> Result<Self> {
        let size = usize::try_from(size_bytes).context("--size")?;
        let ground =
            Ground::anonymous(size).context("--anon: cannot map that much memory: give a smaller --size")?;
        Ok(Self {
            ground,
            path: None,
            resident_after_evict: None,
            temporary: None,
        })
    }
}

fn evict_if(wanted: bool, file: &File, ground: &Ground, path: &Path) -> Result<Option<u64>> {
    if !wanted {
        return Ok(None);
    }
    let resident = evict(file, ground).with_context(|| format!("cannot evict {}", path.display()))?;
    match resident {
        Some(0) => {}
        Some(pages) => say(format_args!(
            "note: {pages} of {} pages of {} stayed in the page cache (in use elsewhere, or not on a disk)",
            ground.pages(),
            path.display()
        )),
        None => say(format_args!(
            "note: whether {} left the page cache is unknown: the kernel tells only its owner and those who may write it",
            path.display()
        )),
    }
    Ok(resident)
}

/// Where a temporary file may go, the best place first.
fn directories() -> impl Iterator<Item = PathBuf> {
    let chosen = env::var_os("TMPDIR").filter(|value| !value.is_empty());
    let fallbacks = [PathBuf::from("/var/tmp"), PathBuf::from(".")];
    chosen.map(PathBuf::from).into_iter().chain(fallbacks)
}

/// What `make` makes in the first directory where it can; says why the ones before were passed over.
fn first_possible<T>(
    directories: impl IntoIterator<Item = PathBuf>,
    mut make: impl FnMut(&Path) -> Result<T>,
) -> Result<T> {
    for directory in directories {
        match make(&directory) {
            Ok(made) => return Ok(made),
            Err(problem) => {
                say(format_args!(
                    "note: {} {problem:#}; trying elsewhere",
                    directory.display()
                ));
            }
        }
    }
    bail!("no directory is suitable: set TMPDIR to a directory on a disk, or give a file with -f")
}

/// A whole file of random bytes on a disk, or nothing.
fn make_in(directory: &Path, size_bytes: u64, seed: u64, cleanup: &Cleanup) -> Result<(File, Doomed)> {
    if disk::is_in_memory(directory).context("cannot be used")? {
        bail!("is in memory (tmpfs), from which nothing can be evicted");
    }
    disk::require_space(directory, size_bytes).context("cannot be used")?;
    let made = cleanup.create_unnamed(directory, "mmap-workload-");
    let (mut file, temporary) = made.context("cannot create a file in it")?;
    write_random(&mut file, size_bytes, seed, |_| {})
        .and_then(|()| file.sync_all())
        .context("cannot store the file")?;
    Ok((file, temporary))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_directory_that_takes_no_file_is_passed_over() {
        let cleanup = Cleanup::watch().unwrap();
        let usable = tempfile::tempdir().unwrap();
        // Nothing can be created in /proc, by nobody.
        let directories = ["/proc", "/absent"].map(PathBuf::from);
        let directories = directories.into_iter().chain([usable.path().to_path_buf()]);
        let make = |directory: &Path| {
            let made = cleanup.create_unnamed(directory, "mmap-workload-");
            Ok(made?.1)
        };
        let made = first_possible(directories, make).unwrap();
        assert!(made.path().starts_with(usable.path()));
        assert!(make_in(Path::new("/proc"), 0, 1, &cleanup).is_err());
        assert!(first_possible([PathBuf::from("/proc")], make).is_err());
    }
}
