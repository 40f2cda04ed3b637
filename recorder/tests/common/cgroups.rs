//! Cgroups for a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{plain, process::run, text, until};

/// Two cgroups, one in the other, removed at the end with the mount they are in.
pub struct Groups {
    mount: TempDir,
    pub outer: PathBuf,
    pub inner: PathBuf,
}

impl Groups {
    /// In a hierarchy mounted for the test: `-t cgroup2`, or `-t cgroup` with a controller nobody uses.
    pub fn new(mount_options: &[&str]) -> Option<Self> {
        let mount = tempfile::tempdir().unwrap();
        let command = [mount_options, &["none", text(mount.path())]].concat();
        if !run(plain(Path::new("mount"), &command)).status.success() {
            return None;
        }
        let outer = mount.path().join(format!("pfrec-test-{}", std::process::id()));
        let inner = outer.join("inner");
        fs::create_dir_all(&inner).unwrap();
        Some(Self { mount, outer, inner })
    }

    /// The root of their hierarchy.
    pub fn root(&self) -> &Path {
        self.mount.path()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        until("the end of what runs in the cgroup", || {
            (fs::remove_dir(&self.inner).is_ok() || !self.inner.exists()).then_some(())
        });
        fs::remove_dir(&self.outer).ok();
        run(plain(Path::new("umount"), &[text(self.mount.path())]));
    }
}
