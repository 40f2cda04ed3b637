//! Memory that the kernel shows as a file although no file system has it: shared anonymous memory and its like.
//!
//! The kernel keeps it on file systems of its own that nobody can mount, so their devices tell it from a real file of
//! the same name. They are found by making such a file ourselves.

use std::{
    ffi::CStr,
    fs::{self, File},
    os::{
        fd::{FromRawFd, RawFd},
        unix::fs::MetadataExt,
    },
};

use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    stat::{major, minor},
};
use pf_formats::ObjectKind;

use super::proc;
use crate::pipeline::sideband::Map;

type Device = (u32, u32);

/// What d_path() adds to the name of a file that has none.
pub const DELETED: &str = " (deleted)";

/// A file system of the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mount {
    /// Shared memory. The first of tmpfs, which is mounted nowhere.
    Shared,
    /// The same of huge pages: one for each of their sizes.
    Huge,
    /// memfd_secret(2).
    Secret,
    /// Rings of io_setup(2).
    Aio,
    /// A device that gives memory: not a mount of the kernel's own, but no disk either.
    Device,
}

/// What the path says.
#[derive(Clone, Copy, Debug)]
enum Form {
    Exactly(&'static str),
    /// With any name behind.
    Named(&'static str),
    /// `/SYSV` and the key of the segment in eight digits.
    Key,
}

/// What stays of the path.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// Nothing: it is called by its kind.
    None,
    /// As the program called it.
    Kept,
    /// It is called by its kind, but segments of different keys are different: their inodes are numbered apart from
    /// those of other shared memory.
    Key,
}

struct Rule {
    form: Form,
    mounts: &'static [Mount],
    /// Mapped shared, and mapped privately.
    kinds: [ObjectKind; 2],
    name: Name,
}

const BOTH_SHM: [ObjectKind; 2] = [ObjectKind::Shm, ObjectKind::Shm];

const RULES: [Rule; 7] = [
    // MAP_SHARED | MAP_ANONYMOUS, and /dev/zero mapped shared.
    Rule {
        form: Form::Exactly("/dev/zero (deleted)"),
        mounts: &[Mount::Shared],
        kinds: BOTH_SHM,
        name: Name::None,
    },
    // The device itself, mapped privately.
    Rule {
        form: Form::Exactly("/dev/zero"),
        mounts: &[Mount::Device],
        kinds: [ObjectKind::Shm, ObjectKind::Anon],
        name: Name::None,
    },
    // MAP_ANONYMOUS | MAP_HUGETLB.
    Rule {
        form: Form::Exactly("/anon_hugepage (deleted)"),
        mounts: &[Mount::Huge],
        kinds: [ObjectKind::Shm, ObjectKind::Anon],
        name: Name::None,
    },
    Rule {
        form: Form::Key,
        mounts: &[Mount::Shared, Mount::Huge],
        kinds: BOTH_SHM,
        name: Name::Key,
    },
    Rule {
        form: Form::Named("/memfd:"),
        mounts: &[Mount::Shared, Mount::Huge],
        kinds: BOTH_SHM,
        name: Name::Kept,
    },
    Rule {
        form: Form::Exactly("/secretmem (deleted)"),
        mounts: &[Mount::Secret],
        kinds: BOTH_SHM,
        name: Name::None,
    },
    Rule {
        form: Form::Exactly("/[aio] (deleted)"),
        mounts: &[Mount::Aio],
        kinds: BOTH_SHM,
        name: Name::None,
    },
];

/// Devices of the kernel's own file systems. What could not be found out is empty.
#[derive(Clone, Debug, Default)]
pub struct KernelMounts {
    shared: Vec<Device>,
    huge: Vec<Device>,
    secret: Vec<Device>,
    aio: Vec<Device>,
}

impl KernelMounts {
    /// Those of the running kernel.
    #[must_use]
    pub fn find() -> Self {
        Self {
            shared: memfd(MFdFlags::empty()).into_iter().collect(),
            huge: huge(),
            secret: secret().into_iter().collect(),
            aio: aio().into_iter().collect(),
        }
    }

    /// Whether a mapping is of such memory; then its kind, and what to call it.
    #[must_use]
    pub fn kind_of(&self, map: &Map) -> Option<(ObjectKind, String)> {
        let rule = RULES.iter().find(|rule| {
            rule.form.fits(&map.path) && rule.mounts.iter().any(|&mount| self.has(mount, map.device))
        })?;
        let private = map.flags & libc::MAP_SHARED.cast_unsigned() == 0;
        let path = map.path.strip_suffix(DELETED).unwrap_or(&map.path);
        let name = match rule.name {
            Name::None => "",
            Name::Kept => path,
            // Without the slash it is not the path of a file.
            Name::Key => path.trim_start_matches('/'),
        };
        Some((rule.kinds[usize::from(private)], name.to_owned()))
    }

    fn has(&self, mount: Mount, device: Device) -> bool {
        let known = match mount {
            Mount::Shared => &self.shared,
            Mount::Huge => &self.huge,
            Mount::Secret => &self.secret,
            Mount::Aio => &self.aio,
            Mount::Device => &Vec::new(),
        };
        // File systems without a disk have the major number 0.
        known.contains(&device) || (known.is_empty() && device.0 == 0)
    }
}

impl Form {
    fn fits(self, path: &str) -> bool {
        match self {
            Self::Exactly(whole) => path == whole,
            Self::Named(front) => path.starts_with(front) && path.ends_with(DELETED),
            Self::Key => path
                .strip_prefix("/SYSV")
                .and_then(|rest| rest.strip_suffix(DELETED))
                .is_some_and(|key| key.len() == 8 && key.bytes().all(|digit| digit.is_ascii_hexdigit())),
        }
    }
}

fn device_of(file: &File) -> Option<Device> {
    let device = file.metadata().ok()?.dev();
    Some((major(device).try_into().ok()?, minor(device).try_into().ok()?))
}

fn memfd(flags: MFdFlags) -> Option<Device> {
    const NAME: &CStr = c"pfrec";
    let file = memfd_create(NAME, flags | MFdFlags::MFD_CLOEXEC).ok()?;
    device_of(&file.into())
}

/// No huge page is taken for it.
fn huge() -> Vec<Device> {
    let sizes = fs::read_dir("/sys/kernel/mm/hugepages")
        .into_iter()
        .flatten()
        .flatten();
    let devices = sizes.filter_map(|entry| {
        let name = entry.file_name();
        let kilobytes = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?;
        let bytes = kilobytes.parse::<u64>().ok()?.checked_mul(1024)?;
        // memfd_create(2): the logarithm of the size is in the upper bits of the flags.
        let size = bytes.checked_ilog2()? << libc::MAP_HUGE_SHIFT;
        memfd(MFdFlags::MFD_HUGETLB | MFdFlags::from_bits_retain(size))
    });
    devices.collect()
}

fn secret() -> Option<Device> {
    // SAFETY: makes a file, or fails where the kernel has no such memory.
    let file = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let file = RawFd::try_from(file).ok().filter(|file| *file >= 0)?;
    // SAFETY: just made, and nobody else has it.
    device_of(&unsafe { File::from_raw_fd(file) })
}

/// The number of a context is the address of its ring.
fn aio() -> Option<Device> {
    let mut context: libc::c_ulong = 0;
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) } != 0 {
        return None;
    }
    let maps = proc::maps(std::process::id());
    // SAFETY: the context made above, which nobody uses.
    unsafe { libc::syscall(libc::SYS_io_destroy, context) };
    let ring = maps?.into_iter().find(|map| map.start == context)?;
    Some(ring.device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHARED: u32 = libc::MAP_SHARED.cast_unsigned();
    const PRIVATE: u32 = libc::MAP_PRIVATE.cast_unsigned();

    fn map(path: &str, device: Device, flags: u32) -> Map {
        Map {
            path: path.to_owned(),
            device,
            inode: 5,
            flags,
            ..Map::default()
        }
    }

    fn mounts() -> KernelMounts {
        KernelMounts {
            shared: vec![(0, 1)],
            huge: vec![(0, 15), (0, 16)],
            secret: vec![(0, 14)],
            aio: vec![(0, 19)],
        }
    }

    #[test]
    fn memory_on_the_kernels_own_file_systems_is_no_file() {
        for (path, device, flags, kind, name) in [
            ("/dev/zero (deleted)", (0, 1), SHARED, ObjectKind::Shm, ""),
            ("/dev/zero", (0, 6), PRIVATE, ObjectKind::Anon, ""),
            (
                "/SYSV00001234 (deleted)",
                (0, 1),
                SHARED,
                ObjectKind::Shm,
                "SYSV00001234",
            ),
            (
                "/SYSV00000000 (deleted)",
                (0, 15),
                SHARED,
                ObjectKind::Shm,
                "SYSV00000000",
            ),
            (
                "/memfd:a b (deleted)",
                (0, 1),
                SHARED,
                ObjectKind::Shm,
                "/memfd:a b",
            ),
            (
                "/memfd:x (deleted)",
                (0, 16),
                PRIVATE,
                ObjectKind::Shm,
                "/memfd:x",
            ),
            ("/anon_hugepage (deleted)", (0, 15), SHARED, ObjectKind::Shm, ""),
            ("/anon_hugepage (deleted)", (0, 16), PRIVATE, ObjectKind::Anon, ""),
            ("/secretmem (deleted)", (0, 14), SHARED, ObjectKind::Shm, ""),
            ("/[aio] (deleted)", (0, 19), SHARED, ObjectKind::Shm, ""),
        ] {
            let found = mounts().kind_of(&map(path, device, flags));
            assert_eq!(found, Some((kind, name.to_owned())), "{path}");
        }
    }

    #[test]
    fn a_real_file_of_such_a_name_stays_a_file() {
        for (path, device) in [
            ("/dev/zero (deleted)", (254, 0)),
            ("/dev/zero (deleted)", (0, 27)),
            ("/SYSV00000000 (deleted)", (0, 27)),
            ("/SYSV00000000", (0, 1)),
            ("/SYSV0000000g (deleted)", (0, 1)),
            ("/SYSV000000000 (deleted)", (0, 1)),
            ("/memfd:x", (0, 1)),
            ("/memfd:x (deleted)", (0, 27)),
            ("/data/memfd:x (deleted)", (0, 1)),
            ("/secretmem (deleted)", (0, 1)),
            ("/secretmem", (0, 14)),
            ("/[aio] (deleted)", (254, 0)),
            ("/anon_hugepage (deleted)", (254, 0)),
        ] {
            assert_eq!(
                mounts().kind_of(&map(path, device, SHARED)),
                None,
                "{path} {device:?}"
            );
        }
    }

    #[test]
    fn where_a_file_system_of_the_kernel_is_not_known_one_without_a_disk_may_be_it() {
        let unknown = KernelMounts::default();
        assert!(
            unknown
                .kind_of(&map("/[aio] (deleted)", (0, 3), SHARED))
                .is_some()
        );
        assert!(
            unknown
                .kind_of(&map("/[aio] (deleted)", (254, 0), SHARED))
                .is_none()
        );
    }

    #[test]
    fn this_kernel_shows_its_own_memory_as_the_table_says() {
        let mounts = KernelMounts::find();
        assert_eq!(mounts.shared.len(), 1);
        let length = 4096;
        // SAFETY: a new mapping, which is never touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        let maps = proc::maps(std::process::id()).unwrap();
        let map = maps.iter().find(|map| map.start == start.addr() as u64).unwrap();
        assert_eq!(
            mounts.kind_of(map),
            Some((ObjectKind::Shm, String::new())),
            "{map:?}"
        );
        // SAFETY: the mapping made above.
        unsafe { libc::munmap(start, length) };
    }
}
