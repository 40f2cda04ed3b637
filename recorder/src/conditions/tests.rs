//! Made-up trees of `/proc` and `/sys`.
#![allow(clippy::unwrap_used)]
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;

/// A folder with these files.
struct Tree {
    place: TempDir,
    root: Root,
}

impl Tree {
    fn of(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let tree = Self {
            root: Root::at(place.path()),
            place,
        };
        files.iter().for_each(|(path, text)| tree.write(path, text));
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.place.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        symlink(to, self.path(path)).unwrap();
    }
}

/// `subject|name|value`, one by one.
fn told(list: List) -> Vec<String> {
    let entries = list.entries.into_iter();
    entries
        .map(|entry| format!("{}|{}|{}", entry.subject, entry.name, entry.value))
        .collect()
}

fn groups(groups: &[Group]) -> Vec<String> {
    let mut list = List::default();
    groups.iter().for_each(|group| group.read(&mut list));
    told(list)
}

#[test]
fn a_machine_tells_what_it_has_and_nothing_of_what_is_not_there() {
    let tree = Tree::of(&[
        (
            "proc/meminfo",
            "MemTotal:   100 kB\nMemFree: 7 kB\nCached:  5 kB\nSwapCached: 9 kB\n",
        ),
        ("proc/vmstat", "pgmajfault_x 1\npgmajfault 12\npswpin 3\n"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
        ),
        ("proc/sys/vm/swappiness", "60\n"),
        (
            "proc/pressure/io",
            "some avg10=1.00 total=5\nfull avg10=0.00 total=2\n",
        ),
        (
            "proc/swaps",
            "Filename Type Size Used Priority\n/swap\\040file  file  1024  7  -2\nbroken\n",
        ),
    ]);
    let mut list = List::default();
    machine::read(&tree.root, &mut list);
    assert_eq!(
        told(list),
        [
            "machine|MemTotal|100 kB",
            "machine|MemFree|7 kB",
            "machine|Cached|5 kB",
            "machine|pgmajfault|12",
            "machine|pswpin|3",
            "machine|transparent_hugepage.enabled|madvise",
            "machine|vm.swappiness|60",
            "machine|pressure.io.some|avg10=1.00 total=5",
            "machine|pressure.io.full|avg10=0.00 total=2",
            "machine|swap /swap file|file 1024 7",
        ]
    );
    let mut list = List::default();
    machine::read(&Tree::of(&[]).root, &mut list);
    assert!(list.entries.is_empty());
}

#[test]
fn a_process_tells_its_cpus_until_another_one_has_its_number() {
    let stat = |started: u32| format!("7 (a) b) S 1{} {started} 0\n", " 0".repeat(17));
    let tree = Tree::of(&[
        ("proc/7/stat", &stat(500)),
        ("proc/7/status", "Name:\tx\nPid:\t7\nCpus_allowed_list:\t0-3,8\n"),
        ("proc/7/environ", "A=1\0GOMAXPROCS=2\0"),
    ]);
    let read = |process: &mut Process| {
        let mut list = List::default();
        process.read(&tree.root, &mut list);
        told(list)
    };
    let own = ["process|Pid|7", "process|Cpus_allowed_list|0-3,8"];
    let mut held = Process::held(&tree.root, 7, Some("3".to_owned()));
    let told = read(&mut held);
    assert_eq!(told[0], "process|GOMAXPROCS|3");
    assert_eq!(told[1..], own);
    let mut running = Process::running(&tree.root, 7);
    // The thread may take its time.
    let told = (0..10_000)
        .map(|_| read(&mut running))
        .find(|told| told.len() == 3)
        .unwrap();
    assert_eq!(told[0], "process|GOMAXPROCS|2");
    tree.write("proc/7/stat", &stat(501));
    assert_eq!(read(&mut running), ["process|GOMAXPROCS|2"]);
    let mut gone = Process::held(&tree.root, 8, None);
    assert!(read(&mut gone).is_empty());
}

const MOUNTS: &str = "31 22 0:28 / /sys/fs/cgroup rw - cgroup2 none rw,nsdelegate\n";

#[test]
fn a_cgroup_tells_its_own_and_those_above_it_that_have_a_limit() {
    let tree = Tree::of(&[
        ("proc/self/mountinfo", MOUNTS),
        ("proc/7/cgroup", "0::/a/b/c\n"),
        ("sys/fs/cgroup/memory.stat", "file 1\n"),
        ("sys/fs/cgroup/a/memory.max", "4096\n"),
        (
            "sys/fs/cgroup/a/memory.stat",
            "anon 1\nfile 22\nfile_mapped 3\npgmajfault 4\n",
        ),
        ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ("sys/fs/cgroup/a/b/c/memory.max", "max\n"),
        ("sys/fs/cgroup/a/b/c/memory.current", "5\n"),
        (
            "sys/fs/cgroup/a/b/c/memory.events",
            "low 9\nhigh 1\nmax 2\noom 0\n",
        ),
        (
            "sys/fs/cgroup/a/b/c/memory.pressure",
            "some total=1\nfull total=0\n",
        ),
    ]);
    let expected = [
        "cgroup /a/b/c|memory.max|max",
        "cgroup /a/b/c|memory.current|5",
        "cgroup /a/b/c|memory.events.high|1",
        "cgroup /a/b/c|memory.events.max|2",
        "cgroup /a/b/c|memory.events.oom|0",
        "cgroup /a/b/c|memory.pressure.some|total=1",
        "cgroup /a/b/c|memory.pressure.full|total=0",
        "cgroup /a|memory.max|4096",
        "cgroup /a|memory.stat.file|22",
        "cgroup /a|memory.stat.anon|1",
        "cgroup /a|memory.stat.pgmajfault|4",
    ];
    let found = cgroup::of_process(&tree.root, 7);
    assert_eq!(groups(&found), expected);
    let asked = cgroup::of_folder(&tree.root, Path::new("/sys/fs/cgroup/a/b/c"));
    assert_eq!(groups(&asked), expected);
    let top = cgroup::of_folder(&tree.root, Path::new("/sys/fs/cgroup"));
    assert_eq!(groups(&top), ["cgroup /|memory.stat.file|1"]);
    // It is gone, and another one has its path.
    fs::rename(tree.path("sys/fs/cgroup/a"), tree.path("sys/fs/cgroup/old")).unwrap();
    tree.write("sys/fs/cgroup/a/b/c/memory.current", "6\n");
    assert_eq!(groups(&found), expected);
}

#[test]
fn a_path_of_a_cgroup_leads_nowhere_else() {
    let tree = Tree::of(&[
        ("proc/self/mountinfo", MOUNTS),
        ("sys/fs/secret/memory.max", "1\n"),
        ("sys/fs/cgroup/a/memory.current", "1\n"),
    ]);
    tree.link("sys/fs/cgroup/link", "../secret");
    tree.link("sys/fs/cgroup/a/memory.max", "../../secret/memory.max");
    for path in ["/../secret", "/a/../../secret", "/link", "/gone (deleted)", "x"] {
        tree.write("proc/7/cgroup", &format!("0::{path}\n"));
        assert!(cgroup::of_process(&tree.root, 7).is_empty(), "{path}");
    }
    tree.write("proc/7/cgroup", "0::/a\n");
    let found = cgroup::of_process(&tree.root, 7);
    assert_eq!(groups(&found), ["cgroup /a|memory.current|1"]);
    let outside = cgroup::of_folder(&tree.root, Path::new("/sys/fs/secret"));
    assert!(outside.is_empty());
}

#[test]
fn a_cgroup_of_version_1_is_found_in_the_part_of_its_hierarchy_that_is_mounted() {
    let tree = Tree::of(&[
        (
            "proc/self/mountinfo",
            "35 31 0:32 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        ),
        ("proc/7/cgroup", "4:memory:/docker/x/db\n3:cpu:/\n0::/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n"),
        (
            "sys/fs/cgroup/memory/db/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("sys/fs/cgroup/memory/db/memory.stat", "cache 1\ntotal_cache 2\n"),
    ]);
    assert_eq!(
        groups(&cgroup::of_process(&tree.root, 7)),
        [
            "cgroup /docker/x/db|memory.limit_in_bytes|9223372036854771712",
            "cgroup /docker/x/db|memory.stat.total_cache|2",
            "cgroup /docker/x|memory.limit_in_bytes|4096",
        ]
    );
    tree.write("proc/7/cgroup", "4:memory:/docker/y\n");
    assert!(cgroup::of_process(&tree.root, 7).is_empty());
}

#[test]
fn a_disk_a_partition_and_a_file_system_without_a_disk_tell_how_they_read_ahead() {
    let disk = "sys/devices/pci/block/vda";
    let tree = Tree::of(&[
        (&format!("{disk}/queue/read_ahead_kb"), "128\n"),
        (&format!("{disk}/queue/rotational"), "0\n"),
        (&format!("{disk}/queue/scheduler"), "none [mq-deadline] kyber\n"),
        (&format!("{disk}/vda1/partition"), "1\n"),
        ("sys/devices/virtual/bdi/0:40/read_ahead_kb", "64\n"),
    ]);
    tree.link("sys/dev/block/254:0", "../../devices/pci/block/vda");
    tree.link("sys/dev/block/254:1", "../../devices/pci/block/vda/vda1");
    tree.link("sys/class/bdi/0:40", "../../devices/virtual/bdi/0:40");
    let mut list = List::default();
    devices::read(&tree.root, &[(254, 1), (0, 40), (9, 9)], &mut list);
    let expected = [
        "device 254:1|read_ahead_kb|128",
        "device 254:1|rotational|0",
        "device 254:1|scheduler|mq-deadline",
        "device 0:40|read_ahead_kb|64",
    ];
    assert_eq!(told(list), expected);
    let mut list = List::default();
    devices::read(&tree.root, &[(254, 0)], &mut list);
    assert_eq!(told(list)[0], "device 254:0|read_ahead_kb|128");
}

#[test]
fn mounts_of_the_devices_are_told_the_whole_before_its_parts_and_not_too_many() {
    let mut text = "1 0 254:0 /part /mnt/part rw - ext4 /dev/vda rw\n\
                    2 0 254:0 / / ro,noatime shared:1 - ext4 /dev/vda rw,discard\n\
                    3 0 0:9 / /other rw - tmpfs none rw\n"
        .to_owned();
    for number in 0..100 {
        text.push_str(&format!("9 0 8:1 / /mnt/{number} rw - xfs /dev/sda1 rw\n"));
    }
    text.push_str("4 0 254:0 / /cut rw - ext4 /dev/vda");
    let tree = Tree::of(&[("proc/self/mountinfo", &text)]);
    let mut list = List::default();
    mounts::read(&tree.root, &[(254, 0)], &mut list);
    assert_eq!(
        told(list),
        [
            "mount /|device|254:0",
            "mount /|type|ext4",
            "mount /|options|ro,noatime",
            "mount /|super_options|rw,discard",
            "mount /mnt/part|device|254:0",
            "mount /mnt/part|type|ext4",
            "mount /mnt/part|options|rw",
            "mount /mnt/part|super_options|rw",
        ]
    );
    let mut list = List::default();
    mounts::read(&tree.root, &[(8, 1)], &mut list);
    assert_eq!(list.entries.len(), 64 * 4);
}

#[test]
fn this_machine_tells_of_itself_and_of_this_process() {
    let scope = Scope::Pids {
        pids: vec![std::process::id()],
        children: false,
    };
    let mut conditions = Conditions::of(&scope, None);
    let entries = conditions.take_first();
    let has = |subject: &str, name: &str| {
        entries
            .iter()
            .any(|entry| entry.subject == subject && entry.name == name)
    };
    assert!(has("machine", "MemTotal") && has("process", "Cpus_allowed_list"));
    let mut last = conditions.read_last(&[(254, 0)]);
    last.retain(|entry| entry.subject == "machine");
    assert!(!last.is_empty() && last.iter().all(|entry| !entry.value.contains('\n')));
}
