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
        let directory = directory_on_disk()?;
        disk::require_space(&directory, size_bytes)?;
        let made = cleanup.create_unnamed(&directory, "mmap-workload-");
        let (mut file, temporary) = made.with_context(|| format!("in {}", directory.display()))?;
        let path = temporary.path().to_path_buf();
        let name = path.display();
        write_random(&mut file, size_bytes, options.pattern.seed, |_| {})
            .with_context(|| format!("cannot write {name}"))?;
        file.sync_all().with_context(|| format!("cannot write {name}"))?;
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
        let ground = Ground::anonymous(size).context("--anon: cannot map so much memory, see --size")?;
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

/// The first directory whose files can leave the page cache; says which ones cannot.
fn directory_on_disk() -> Result<PathBuf> {
    let chosen = env::var_os("TMPDIR")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let fallbacks = [PathBuf::from("/var/tmp"), PathBuf::from(".")];
    for directory in chosen.into_iter().chain(fallbacks) {
        let name = directory.display();
        match disk::is_in_memory(&directory) {
            Ok(false) => return Ok(directory),
            Ok(true) => {
                say(format_args!(
                    "note: {name} is in memory (tmpfs), where nothing can be evicted; trying elsewhere"
                ));
            }
            Err(problem) => say(format_args!("note: {name} cannot be used: {problem}")),
        }
    }
    bail!("no directory on a disk; name one with TMPDIR, or walk a file of yours with -f")
}
