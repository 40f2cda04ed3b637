//! Finds the cgroup that was asked for: by folder, by its path in the hierarchy, or by number, in whatever
//! hierarchies are mounted, of version 1 or 2.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use pf_bpf::Cgroup;
use procfs::process::Process;

use crate::files::open;

/// A cgroup and its folder.
#[derive(Debug)]
pub struct Found {
    /// For the probes.
    pub cgroup: Cgroup,
    /// Where its processes are listed.
    pub folder: PathBuf,
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    /// `None` for version 2.
    controller: Option<String>,
}

/// Finds it; the error lists where it was looked for.
pub fn find(asked: &Path) -> Result<Found> {
    let hierarchies = mounted()?;
    if hierarchies.is_empty() {
        bail!("--cgroup: no cgroup hierarchy is mounted here");
    }
    let number = asked.to_str().and_then(|text| text.parse::<u64>().ok());
    for hierarchy in &hierarchies {
        let folder = match number {
            Some(id) => by_number(&hierarchy.mount, id),
            None => by_path(hierarchy, asked),
        };
        if let Some(folder) = folder {
            return found(hierarchy, folder);
        }
    }
    let mounts: Vec<String> = hierarchies
        .iter()
        .map(|hierarchy| hierarchy.mount.display().to_string())
        .collect();
    bail!(
        "--cgroup {}: there is no such cgroup under {} (cat /proc/PID/cgroup shows that of a process)",
        asked.display(),
        mounts.join(", ")
    );
}

fn found(hierarchy: &Hierarchy, folder: PathBuf) -> Result<Found> {
    let meta = fs::metadata(&folder).with_context(|| folder.display().to_string())?;
    let cgroup = Cgroup {
        id: meta.ino(),
        controller: hierarchy.controller.clone(),
        folder: folder.clone(),
    };
    Ok(Found { cgroup, folder })
}

fn by_path(hierarchy: &Hierarchy, asked: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(asked).ok();
    if let Some(folder) = whole.filter(|path| path.starts_with(&hierarchy.mount)) {
        return Some(folder);
    }
    let inside = hierarchy.mount.join(asked.strip_prefix("/").unwrap_or(asked));
    is_cgroup(&inside).then_some(inside)
}

fn by_number(folder: &Path, id: u64) -> Option<PathBuf> {
    if fs::metadata(folder).is_ok_and(|meta| meta.ino() == id) {
        return Some(folder.to_owned());
    }
    children(folder).find_map(|child| by_number(&child, id))
}

/// Processes in the cgroup and in those below it.
#[must_use]
pub fn processes(folder: &Path) -> HashSet<u32> {
    let own = open::regular(folder.join("cgroup.procs")).and_then(io::read_to_string);
    let own = own.unwrap_or_default();
    let own = own.lines().filter_map(|line| line.parse().ok());
    own.chain(children(folder).flat_map(|child| processes(&child)))
        .collect()
}

fn is_cgroup(folder: &Path) -> bool {
    folder.join("cgroup.procs").is_file()
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path())
}

/// Version 2 first.
fn mounted() -> Result<Vec<Hierarchy>> {
    let mounts = Process::myself()
        .and_then(|own| own.mountinfo())
        .context("/proc/self/mountinfo")?;
    let hierarchies = mounts
        .into_iter()
        .filter_map(|mount| match mount.fs_type.as_str() {
            "cgroup2" => Some(Hierarchy {
                mount: mount.mount_point,
                controller: None,
            }),
            "cgroup" => Some(Hierarchy {
                controller: Some(controller(mount.super_options.keys().map(String::as_str))?),
                mount: mount.mount_point,
            }),
            _ => None,
        });
    let mut hierarchies: Vec<_> = hierarchies.collect();
    hierarchies.sort_by_key(|hierarchy| hierarchy.controller.is_some());
    Ok(hierarchies)
}

/// The kernel's name of a controller of the hierarchy. One without any (`name=systemd`) does not tell its
/// groups apart in a way the probes could follow.
fn controller<'a>(options: impl Iterator<Item = &'a str>) -> Option<String> {
    const KNOWN: [&str; 13] = [
        "memory",
        "cpu",
        "cpuacct",
        "blkio",
        "devices",
        "freezer",
        "net_cls",
        "perf_event",
        "net_prio",
        "hugetlb",
        "pids",
        "cpuset",
        "rdma",
    ];
    let mut found: Vec<&str> = options.filter(|option| KNOWN.contains(option)).collect();
    found.sort_unstable();
    // Its file names say blkio, the kernel says io.
    found.first().map(|name| name.replace("blkio", "io"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hierarchy_of_version_1_is_named_by_a_controller() {
        assert_eq!(
            controller(["rw", "memory"].into_iter()).as_deref(),
            Some("memory")
        );
        assert_eq!(
            controller(["rw", "cpuacct", "cpu"].into_iter()).as_deref(),
            Some("cpu")
        );
        assert_eq!(controller(["blkio"].into_iter()).as_deref(), Some("io"));
        assert_eq!(controller(["rw", "name=systemd"].into_iter()), None);
    }

    #[test]
    fn a_cgroup_that_is_not_there_is_an_error_that_says_where_it_was_looked_for() {
        let error = find(Path::new("/no/such/cgroup")).unwrap_err().to_string();
        assert!(error.starts_with("--cgroup"), "{error}");
    }
}
