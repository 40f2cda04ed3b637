//! Opening the file behind a mapping: regular files only, and only the one that was mapped.

use std::{
    fs::{self, File, OpenOptions},
    num::NonZeroUsize,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::{
        mman::{MapFlags, ProtFlags, mmap, munmap},
        stat::{major, minor},
        statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs},
    },
};

use crate::session::proc;

/// Opens what `path` leads to if it is a regular file. Nothing else is ever opened: a FIFO would block,
/// and opening a device may do things.
pub fn open_regular(path: impl AsRef<Path>) -> Option<File> {
    let found = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)
        .ok()?;
    readable(&found)
}

/// The same for a path as a process with the root directory `root` sees it, symbolic links included.
pub fn open_regular_in(root: impl AsFd, path: &Path) -> Option<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    readable(&File::from(openat2(root, path, how).ok()?))
}

/// A directory as a place to start from.
pub fn open_directory(path: impl AsRef<Path>) -> Option<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

fn readable(found: &File) -> Option<File> {
    if !found.metadata().ok()?.is_file() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

/// Whether `file` is the one with this device and inode in the kernel's records of mappings. `fresh` says
/// that it was mapped just now: where the numbers cannot be compared that is good enough.
pub fn is_same(file: &File, device: (u32, u32), inode: u64, fresh: bool) -> bool {
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
    // btrfs and overlayfs tell stat(2) other numbers than /proc/PID/maps and the side-band; so the question is
    // what the kernel would say if this file were mapped.
    if as_mapped(file) == Some(wanted) {
        return true;
    }
    // Since 6.8 the side-band has the numbers of the file under the overlay, and maps those on top.
    fresh && fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

/// Device and inode as our own /proc/self/maps shows them for a mapping of `file`.
fn as_mapped(file: &File) -> Option<(u64, u64, u64)> {
    let length = NonZeroUsize::MIN;
    // SAFETY: a new mapping at an address of the kernel's choice, which nobody reads.
    let address = unsafe { mmap(None, length, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE, file, 0) }.ok()?;
    let maps = proc::maps(std::process::id());
    // SAFETY: exactly the mapping made above, and nothing refers to it.
    unsafe { munmap(address, length.get()) }.ok()?;
    let start = address.addr().get() as u64;
    // A neighbouring mapping of the same file may have become one with it.
    let map = maps?
        .into_iter()
        .find(|map| map.start <= start && start - map.start < map.len)?;
    Some((map.device.0.into(), map.device.1.into(), map.inode))
}

/// Soft limit of open files.
pub fn open_files_limit() -> u64 {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| soft)
}

/// Owner of a file.
pub fn owner(file: &File) -> Option<u32> {
    file.metadata().ok().map(|metadata| metadata.uid())
}

/// Owner and process number in its own pid namespace, from /proc/PID/status.
pub fn owner_and_own_pid(pid: u32) -> Option<(u32, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    // Real, effective, saved, file system.
    let uid = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    let own = field("NSpid:")?.split_whitespace().last()?.parse().ok()?;
    Some((uid, own))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        assert!(open_regular("/proc/self/exe").is_some());
        assert!(open_regular("/dev/zero").is_none());
        assert!(open_regular("/tmp").is_none());
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_regular(&fifo).is_none(), "and without waiting for a writer");
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_root_of_its_process() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/inside", root.path().join("link")).unwrap();
        fs::write(root.path().join("inside"), "here").unwrap();
        let directory = open_directory(root.path()).unwrap();
        let file = open_regular_in(&directory, Path::new("/link")).unwrap();
        assert_eq!(std::io::read_to_string(file).unwrap(), "here");
    }

    #[test]
    fn a_mapped_file_is_the_same_as_itself_and_no_other() {
        let exe = open_regular("/proc/self/exe").unwrap();
        let path = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let maps = proc::maps(std::process::id()).unwrap();
        let map = maps.iter().find(|map| map.path == path).unwrap();
        assert!(is_same(&exe, map.device, map.inode, false));
        assert_eq!(
            as_mapped(&exe),
            Some((map.device.0.into(), map.device.1.into(), map.inode))
        );
        assert!(!is_same(&exe, map.device, map.inode + 1, false));
        assert!(!is_same(&exe, (0, 0), 0, false));
    }
}
