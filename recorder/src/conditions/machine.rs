//! The machine: its memory, its settings of memory, how much it waits for it, and where it swaps to.

use super::{
    list::List,
    root::{Root, chosen, figure, unescaped},
};

const SUBJECT: &str = "machine";

const MEMORY: [&str; 7] = [
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "SwapTotal",
    "SwapFree",
    "Cached",
    "Dirty",
];

/// Since the machine was started.
const COUNTS: [&str; 5] = [
    "pgmajfault",
    "workingset_refault_file",
    "workingset_refault_anon",
    "pswpin",
    "pswpout",
];

const HUGE_PAGES: [&str; 2] = ["enabled", "defrag"];

const SETTINGS: [&str; 4] = [
    "swappiness",
    "overcommit_memory",
    "dirty_ratio",
    "dirty_background_ratio",
];

const PRESSURE: [&str; 2] = ["memory", "io"];

/// Swap devices that are told of.
const SWAPS: usize = 64;

/// How the machine is now.
pub fn read(root: &Root, list: &mut List) {
    for (path, names) in [("/proc/meminfo", &MEMORY[..]), ("/proc/vmstat", &COUNTS)] {
        let text = root.read(path).unwrap_or_default();
        for name in names {
            list.put(SUBJECT, name, figure(&text, name));
        }
    }
    for name in HUGE_PAGES {
        let text = root.read(&format!("/sys/kernel/mm/transparent_hugepage/{name}"));
        let name = format!("transparent_hugepage.{name}");
        list.put(SUBJECT, &name, text.as_deref().map(chosen));
    }
    for name in SETTINGS {
        let text = root.read(&format!("/proc/sys/vm/{name}"));
        list.put(SUBJECT, &format!("vm.{name}"), text.as_deref());
    }
    for name in PRESSURE {
        let text = root.read(&format!("/proc/pressure/{name}")).unwrap_or_default();
        for of in ["some", "full"] {
            list.put(SUBJECT, &format!("pressure.{name}.{of}"), figure(&text, of));
        }
    }
    swaps(&root.read("/proc/swaps").unwrap_or_default(), list);
}

/// Name, type, size, used, priority, below a line of titles; sizes in KiB.
fn swaps(text: &str, list: &mut List) {
    for line in text.lines().skip(1).take(SWAPS) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(kind), Some(size), Some(used)) =
            (words.next(), words.next(), words.next(), words.next())
        {
            let value = format!("{kind} {size} {used}");
            list.put(SUBJECT, &format!("swap {}", unescaped(name)), Some(&value));
        }
    }
}
