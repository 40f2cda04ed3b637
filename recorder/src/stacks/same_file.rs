//! Whether a file is the one that was mapped, and whose it is.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
};

use nix::sys::{
    stat::{major, minor},
    statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs},
};

use crate::{mapped, session::FileIdentity};

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
    if mapped::in_maps(file).is_ok_and(|shown| shown == FileIdentity { device, inode }) {
        return true;
    }
    // Since 6.8 the side-band has the numbers of the file under the overlay, and maps those on top.
    fresh && fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
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
    use crate::{open, session::proc};

    #[test]
    fn a_mapped_file_is_the_same_as_itself_and_no_other() {
        let exe = open::regular("/proc/self/exe").unwrap();
        let path = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let maps = proc::maps(std::process::id()).unwrap();
        let map = maps.iter().find(|map| map.path == path).unwrap();
        assert!(is_same(&exe, map.device, map.inode, false));
        assert!(!is_same(&exe, map.device, map.inode + 1, false));
        assert!(!is_same(&exe, (0, 0), 0, false));
    }
}
