//! The way of a file to its final name: written next to it, renamed when whole.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::cleanup::{Cleanup, Doomed};

/// A final name that may be used.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    directory: PathBuf,
    force: bool,
}

impl Target {
    /// Fails if something is there that must not be replaced. Only files ever are: not a device, a
    /// directory, nor a symbolic link.
    pub(super) fn new(path: &Path, force: bool) -> Result<Self> {
        let name = path.display();
        if path.file_name().is_none() {
            bail!("-f {name}: is not the name of a file");
        }
        match path.symlink_metadata() {
            Ok(there) if !there.is_file() => {
                bail!("{name} exists and is not a regular file: it is never replaced")
            }
            Ok(_) if !force => bail!("{name} exists; --force replaces it"),
            Err(problem) if problem.kind() != io::ErrorKind::NotFound => {
                return Err(problem).with_context(|| format!("cannot examine {name}"));
            }
            _ => {}
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_path_buf();
        Ok(Self {
            path: path.to_path_buf(),
            directory,
            force,
        })
    }

    /// Where the file will be.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates the file that will get the final name.
    pub(super) fn create_partial(&self, cleanup: &Cleanup) -> Result<(File, Doomed)> {
        let partial = self.partial();
        let name = partial.display();
        cleanup.create_new(&partial).map_err(|problem| match problem.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow!("{name} exists: another data-generator is at work, or was killed; in that case remove it")
            }
            _ => anyhow!(problem).context(format!("cannot create {name}")),
        })
    }

    /// Gives the whole file its final name, for good.
    pub(super) fn publish(&self, doomed: Doomed) -> Result<()> {
        let name = self.path.display();
        doomed
            .rename_to(&self.path, self.force)
            .with_context(|| format!("cannot rename {name}.partial to {name}"))?;
        // The rename itself is in the directory.
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.with_context(|| format!("cannot sync {}", self.directory.display()))
    }

    fn partial(&self) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(".partial");
        PathBuf::from(name)
    }
}
