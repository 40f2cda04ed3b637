//! The file behind a mapping of another process: found without opening anything, and told from others of its name.

use std::{os::unix::fs::MetadataExt, path::Path};

use nix::sys::{
    stat::{major, minor},
    statfs::{BTRFS_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, fstatfs},
};

use crate::{
    files::mapped,
    files::open::{self, Pinned},
    pipeline::sideband::Map,
    session::FileIdentity,
};

const BCACHEFS_SUPER_MAGIC: FsType = FsType(0xca45_1a4e);

/// These tell stat(2) other numbers than /proc/PID/maps and the side-band.
const MAPS_TELL_OTHERS: [FsType; 3] = [OVERLAYFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, BCACHEFS_SUPER_MAGIC];

/// A mapping of a file, as /proc/PID/maps or a side-band record tells it.
#[derive(Clone, Copy, Debug)]
pub struct MappedFile<'a> {
    /// Path in the mount namespace of the process.
    pub path: &'a str,
    /// First address of the mapping.
    pub start: u64,
    /// One past its last address.
    pub end: u64,
    /// Major and minor number of the device; 0 and 0 when not known.
    pub device: (u32, u32),
    /// Inode; 0 when not known.
    pub inode: u64,
}

impl<'a> From<&'a Map> for MappedFile<'a> {
    fn from(map: &'a Map) -> Self {
        Self {
            path: &map.path,
            start: map.start,
            end: map.start.saturating_add(map.len),
            device: map.device,
            inode: map.inode,
        }
    }
}

/// Asks the mapping itself, which knows deleted files and other mount namespaces too; then by path, for
/// a process that changed its mappings or is gone.
pub fn find(pid: u32, mapped: &MappedFile<'_>) -> Option<Pinned> {
    let by_mapping = || {
        let path = format!("/proc/{pid}/map_files/{:x}-{:x}", mapped.start, mapped.end);
        Pinned::by_path(path).ok()
    };
    let by_root = || Pinned::in_root(open::root_of(pid).ok()?, Path::new(mapped.path)).ok();
    let by_path = || Pinned::by_path(mapped.path).ok();
    let ways: [&dyn Fn() -> Option<Pinned>; 3] = [&by_mapping, &by_root, &by_path];
    ways.into_iter()
        .filter_map(|way| way())
        .find(|file| is_same(file, mapped.device, mapped.inode, true))
}

/// Whether `file` is the one with this device and inode in the kernel's records of mappings. `fresh` says
/// that it was mapped just now: where the numbers cannot be compared that is good enough.
pub fn is_same(file: &Pinned, device: (u32, u32), inode: u64, fresh: bool) -> bool {
    let Ok(metadata) = file.metadata() else {
        return false;
    };
    if inode == 0 && device == (0, 0) {
        return fresh;
    }
    let dev = metadata.dev();
    let numbers = (major(dev), minor(dev), metadata.ino());
    let wanted = (u64::from(device.0), u64::from(device.1), inode);
    if numbers == wanted {
        return true;
    }
    // Then the question is what the kernel would say if this file were mapped. A file of any other file system is
    // another one, and is not even opened.
    let Ok(system) = fstatfs(file.handle()).map(|system| system.filesystem_type()) else {
        return false;
    };
    if !MAPS_TELL_OTHERS.contains(&system) {
        return false;
    }
    let shown = file.open().and_then(|file| mapped::in_maps(&file));
    if shown.is_ok_and(|shown| shown == FileIdentity { device, inode }) {
        return true;
    }
    // Since 6.8 the side-band has the numbers of the file under the overlay, and maps those on top.
    fresh && system == OVERLAYFS_SUPER_MAGIC
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

    use super::*;
    use crate::session::proc;

    #[test]
    fn a_mapped_file_is_the_same_as_itself_and_no_other() {
        let exe = Pinned::by_path("/proc/self/exe").unwrap();
        let path = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let maps = proc::maps(std::process::id()).unwrap();
        let map = maps.iter().find(|map| map.path == path).unwrap();
        assert!(is_same(&exe, map.device, map.inode, false));
        assert!(!is_same(&exe, map.device, map.inode + 1, false));
        assert!(!is_same(&exe, (0, 0), 0, false));
    }

    /// Whoever makes a path lead to a file of root makes nobody open it.
    #[test]
    fn a_file_with_other_numbers_is_not_opened_to_tell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "here").unwrap();
        let file = Pinned::by_path(&path).unwrap();
        let system = fstatfs(file.handle()).unwrap().filesystem_type();
        if MAPS_TELL_OTHERS.contains(&system) {
            return pf_checks::not_run("files are not opened to compare them", "its file system needs it");
        }
        let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        watch.add_watch(&path, AddWatchFlags::IN_OPEN).unwrap();
        assert!(!is_same(&file, (1, 2), 3, true));
        assert_eq!(watch.read_events().unwrap_err(), nix::Error::EAGAIN);
        file.open().unwrap();
        assert_eq!(watch.read_events().unwrap().len(), 1);
    }
}
