//! What the kernel calls a file where it is mapped: /proc/PID/maps and the records of mappings have a device and an inode
//! that on some file systems are not those of stat(2), nor those of each other. So the file is mapped for a moment,
//! and looked at.

use std::{fs::File, io, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::{
    pipeline::sideband::{self, Map, What},
    session::{FileIdentity, proc},
};

/// As our own /proc/self/maps shows a mapping of `file`.
///
/// # Errors
///
/// When it cannot be mapped, or its mapping is not to be seen.
pub fn in_maps(file: &File) -> io::Result<FileIdentity> {
    let mapping = Mapping::of(file)?;
    let maps = proc::maps(std::process::id()).unwrap_or_default();
    let found = maps.iter().find(|map| mapping.is_in(map)).map(identity);
    found.ok_or_else(|| io::Error::other("its mapping does not show in /proc/self/maps"))
}

/// As the record of a mapping of `file` shows it: from Linux 6.8 on, and until that was mended, the file underneath an
/// overlay. `None` where records may not be had.
#[must_use]
pub fn in_records(file: &File) -> Option<FileIdentity> {
    let (mapping, records) = sideband::of_this_thread(|| Mapping::of(file)).ok()?;
    let mapping = mapping.ok()?;
    let maps = records.iter().filter_map(|record| match &record.what {
        What::Map(map) => Some(map),
        _ => None,
    });
    maps.filter(|map| mapping.is_in(map)).map(identity).next_back()
}

fn identity(map: &Map) -> FileIdentity {
    FileIdentity {
        device: map.device,
        inode: map.inode,
    }
}

/// The first byte of a file in memory, which nobody reads.
struct Mapping {
    address: NonNull<libc::c_void>,
}

impl Mapping {
    const LENGTH: NonZeroUsize = NonZeroUsize::MIN;

    fn of(file: &File) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice, which nobody reads.
        let address = unsafe {
            mmap(
                None,
                Self::LENGTH,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE,
                file,
                0,
            )
        }?;
        Ok(Self { address })
    }

    /// A neighbouring mapping of the same file may have become one with it.
    fn is_in(&self, map: &Map) -> bool {
        let address = self.address.addr().get() as u64;
        map.start <= address && address - map.start < map.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made, and nothing refers to it.
        unsafe { munmap(self.address, Self::LENGTH.get()) }.ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::files::open;

    #[test]
    fn a_file_is_known_by_the_numbers_of_its_mapping() {
        let exe = open::regular("/proc/self/exe").unwrap();
        let path = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let maps = proc::maps(std::process::id()).unwrap();
        let map = maps.iter().find(|map| map.path == path).unwrap();
        assert_eq!(in_maps(&exe).unwrap(), identity(map));
        if let Some(in_records) = in_records(&exe) {
            // Where the tests are not built on an overlay.
            assert_eq!(in_records.inode, map.inode);
        }
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_an_error() {
        assert!(in_maps(&open::regular("/proc/self/maps").unwrap()).is_err());
    }
}
