//! Memory cgroups, of version 2 or 1: that of the recorded process, and those above it that have a limit.

use std::{
    fs::File,
    path::{Component, Path, PathBuf},
};

use super::{
    list::List,
    mounts::{self, Mount},
    root::{Root, figure, read_in},
};

/// Cgroups in one another that are looked at.
const DEEPEST: usize = 64;

/// What version 1 calls no limit is the largest number of whole pages.
const LIMITS_END: u64 = 1 << 62;

/// Which files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Files of one figure, and of several: these with the names of the figures that are told.
struct Files {
    limits: &'static [&'static str],
    single: &'static [&'static str],
    several: &'static [(&'static str, &'static [&'static str])],
}

const TWO: Files = Files {
    limits: &["memory.max", "memory.high", "memory.swap.max"],
    single: &["memory.current", "memory.swap.current"],
    several: &[
        (
            "memory.stat",
            &[
                "file",
                "anon",
                "workingset_refault_file",
                "workingset_refault_anon",
                "pgmajfault",
            ],
        ),
        ("memory.events", &["high", "max", "oom"]),
        ("memory.pressure", &["some", "full"]),
    ],
};

const ONE: Files = Files {
    limits: &[
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.soft_limit_in_bytes",
    ],
    single: &[
        "memory.usage_in_bytes",
        "memory.memsw.usage_in_bytes",
        "memory.failcnt",
    ],
    several: &[(
        "memory.stat",
        &[
            "total_cache",
            "total_rss",
            "total_workingset_refault_file",
            "total_workingset_refault_anon",
            "total_pgmajfault",
        ],
    )],
};

/// A cgroup. Its folder stays open: another one of the same path is another one.
pub struct Group {
    subject: String,
    folder: File,
    version: Version,
}

/// Those of a process.
#[must_use]
pub fn of_process(root: &Root, pid: u32) -> Vec<Group> {
    let text = root.read(&format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some((version, path)) = shown(&text) else {
        return Vec::new();
    };
    let mounts = hierarchies(root, version);
    let mut found = mounts.map(|mount| groups(root, &mount, version, path));
    found.find(|groups| !groups.is_empty()).unwrap_or_default()
}

/// Those from a folder upwards that was asked for.
#[must_use]
pub fn of_folder(root: &Root, folder: &Path) -> Vec<Group> {
    for version in [Version::Two, Version::One] {
        for mount in hierarchies(root, version) {
            let Ok(inside) = folder.strip_prefix(&mount.place) else {
                continue;
            };
            let path = Path::new(&mount.root).join(inside);
            let path = path.to_str().map(|path| path.trim_end_matches('/'));
            if let Some(path) = path {
                return groups(root, &mount, version, if path.is_empty() { "/" } else { path });
            }
        }
    }
    Vec::new()
}

/// Where the memory of a process is counted: in the hierarchy of version 1 that does, else in that of version 2. The lines
/// are `number:controllers:path`.
fn shown(text: &str) -> Option<(Version, &str)> {
    let lines = || {
        text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let one = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let two = || lines().find(|(controllers, _)| controllers.is_empty());
    one.map(|(_, path)| (Version::One, path))
        .or_else(|| two().map(|(_, path)| (Version::Two, path)))
}

fn hierarchies(root: &Root, version: Version) -> impl Iterator<Item = Mount> + use<> {
    mounts::all(root).into_iter().filter(move |mount| match version {
        Version::Two => mount.kind == "cgroup2",
        Version::One => {
            let mut options = mount.super_options.split(',');
            mount.kind == "cgroup" && options.any(|option| option == "memory")
        }
    })
}

/// The cgroup of this path, and those above it that have a limit. The path begins with that of the mounted part.
fn groups(root: &Root, mount: &Mount, version: Version, path: &str) -> Vec<Group> {
    let whole = Path::new(path);
    let Ok(inside) = whole.strip_prefix(&mount.root) else {
        return Vec::new();
    };
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    // As a process shows whose root of cgroups is elsewhere.
    if !inside.components().all(is_plain) {
        return Vec::new();
    }
    let open = |below: &Path| {
        let folder = root.folder(&PathBuf::from(&mount.place).join(below))?;
        // Without the slash that joining nothing leaves.
        let path: PathBuf = Path::new(&mount.root).join(below).components().collect();
        let subject = format!("cgroup {}", path.display());
        Some(Group {
            subject,
            folder,
            version,
        })
    };
    let Some(own) = open(inside) else {
        return Vec::new();
    };
    let above = inside.ancestors().skip(1).take(DEEPEST);
    let limited = above.filter_map(open).filter(Group::has_limit);
    std::iter::once(own).chain(limited).collect()
}

impl Group {
    /// As it is now.
    pub fn read(&self, list: &mut List) {
        let files = self.files();
        for name in files.limits.iter().chain(files.single) {
            list.put(&self.subject, name, read_in(&self.folder, name).as_deref());
        }
        for (name, figures) in files.several {
            let text = read_in(&self.folder, name).unwrap_or_default();
            for of in *figures {
                list.put(&self.subject, &format!("{name}.{of}"), figure(&text, of));
            }
        }
    }

    fn has_limit(&self) -> bool {
        self.files().limits.iter().any(|name| {
            let value = read_in(&self.folder, name);
            let number = value.and_then(|value| value.trim().parse::<u64>().ok());
            number.is_some_and(|number| number < LIMITS_END)
        })
    }

    fn files(&self) -> &'static Files {
        match self.version {
            Version::One => &ONE,
            Version::Two => &TWO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_that_counts_memory_is_taken() {
        let two = "0::/user.slice/a:b\n";
        assert_eq!(shown(two), Some((Version::Two, "/user.slice/a:b")));
        let both = "5:cpu,memory:/one\n0::/two\n";
        assert_eq!(shown(both), Some((Version::One, "/one")));
        assert_eq!(shown("5:cpu:/one\n"), None);
        assert_eq!(shown("x\n"), None);
    }
}
