//! The files that code was mapped from, looked for when first seen and kept.

use std::collections::HashMap;

use nix::sys::resource::{Resource, getrlimit};
use pf_formats::ObjectId;

use crate::{
    files::mapped_file::{MappedFile, find, is_same},
    files::open::Pinned,
};

/// Files kept open at most, and never more than half of what the process may open. The others are
/// looked for by path in the end.
const KEPT_OPEN: u64 = 1024;
/// How often a file is looked for before the end: the process that was seen first may be gone.
const ATTEMPTS: u8 = 8;
/// Files remembered. More have no symbols.
const FILES: usize = 65_536;

/// The binaries of a recording.
#[derive(Debug)]
pub struct Binaries {
    by_object: HashMap<ObjectId, Binary>,
    may_open: u64,
}

/// One of them.
#[derive(Debug)]
pub struct Binary {
    /// Path in the mount namespace of a process that mapped it.
    pub path: String,
    device: (u32, u32),
    inode: u64,
    attempts: u8,
    file: Option<Pinned>,
}

impl Default for Binaries {
    fn default() -> Self {
        Self {
            by_object: HashMap::new(),
            may_open: KEPT_OPEN.min(open_files_limit() / 2),
        }
    }
}

impl Binaries {
    /// Code in `mapped` was seen in process `pid`: opens the file unless it is open.
    pub fn see(&mut self, object: ObjectId, pid: u32, mapped: &MappedFile<'_>) {
        if self.by_object.len() >= FILES && !self.by_object.contains_key(&object) {
            return;
        }
        let binary = self.by_object.entry(object).or_insert_with(|| Binary {
            path: mapped.path.to_owned(),
            device: mapped.device,
            inode: mapped.inode,
            attempts: 0,
            file: None,
        });
        if binary.file.is_some() || binary.attempts >= ATTEMPTS || self.may_open == 0 {
            return;
        }
        binary.attempts += 1;
        binary.file = find(pid, mapped);
        if binary.file.is_some() {
            self.may_open -= 1;
        }
    }

    /// Takes one out, to look into it.
    pub fn take(&mut self, object: ObjectId) -> Option<Binary> {
        self.by_object.remove(&object)
    }
}

impl Binary {
    /// The file: as it was kept, or what is under its path now, if that is still the same.
    pub fn into_file(self) -> Option<Pinned> {
        self.file.or_else(|| {
            let file = Pinned::by_path(&self.path).ok()?;
            is_same(&file, self.device, self.inode, false).then_some(file)
        })
    }
}

/// Soft limit of open files.
fn open_files_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| soft)
}
