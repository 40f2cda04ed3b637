//! What /proc tells of processes that existed before the recording, or whose records were missed.

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

use crate::sideband::Map;

/// A thread as /proc shows it.
pub struct Thread {
    /// Thread id.
    pub tid: u32,
    /// Its name.
    pub comm: String,
}

/// A process with its threads and mappings.
pub struct Snapshot {
    /// Its threads.
    pub threads: Vec<Thread>,
    /// Its mappings; empty when they may not be read.
    pub maps: Vec<Map>,
}

/// Reads a process; `None` when it is gone.
pub fn snapshot(pid: u32) -> Option<Snapshot> {
    let process = open(pid)?;
    let threads = process
        .tasks()
        .ok()?
        .flatten()
        .map(|task| Thread {
            tid: task.tid.unsigned_abs(),
            comm: comm_of(pid, task.tid.unsigned_abs()).unwrap_or_default(),
        })
        .collect();
    Some(Snapshot {
        threads,
        maps: maps(pid).unwrap_or_default(),
    })
}

/// The mappings of a process; `None` when it is gone or they may not be read.
pub fn maps(pid: u32) -> Option<Vec<Map>> {
    let maps = open(pid)?.maps().ok()?;
    Some(maps.into_iter().map(|entry| to_map(&entry)).collect())
}

/// The name of a thread; `None` when it is gone.
pub fn comm_of(pid: u32, tid: u32) -> Option<String> {
    let comm = std::fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    Some(String::from_utf8_lossy(comm.trim_ascii_end()).into_owned())
}

/// Every process with its parent.
pub fn parents() -> Vec<(u32, u32)> {
    let Ok(processes) = procfs::process::all_processes() else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .map(|stat| (stat.pid.unsigned_abs(), stat.ppid.unsigned_abs()))
        .collect()
}

/// Major and minor faults of a process so far, all its threads together.
pub fn faults_of(pid: u32) -> Option<(u64, u64)> {
    let stat = open(pid)?.stat().ok()?;
    Some((stat.majflt, stat.minflt))
}

/// When a process started, in clock ticks since boot: with its pid, an identity. `None` when it is gone
/// or a zombie.
pub fn start_of(pid: u32) -> Option<u64> {
    let stat = open(pid)?.stat().ok()?;
    (!matches!(stat.state, 'Z' | 'X')).then_some(stat.starttime)
}

fn open(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

fn to_map(entry: &MemoryMap) -> Map {
    let path = match &entry.pathname {
        MMapPath::Path(path) => path.to_string_lossy().into_owned(),
        MMapPath::Heap => "[heap]".to_owned(),
        MMapPath::Stack | MMapPath::TStack(_) => "[stack]".to_owned(),
        MMapPath::Vdso => "[vdso]".to_owned(),
        MMapPath::Vvar => "[vvar]".to_owned(),
        MMapPath::Vsyscall => "[vsyscall]".to_owned(),
        MMapPath::Vsys(key) => format!("/SYSV{key:08x}"),
        MMapPath::Anonymous | MMapPath::Rollup => String::new(),
        MMapPath::Other(name) => format!("[{name}]"),
    };
    let bits = [
        (MMPermissions::READ, libc::PROT_READ),
        (MMPermissions::WRITE, libc::PROT_WRITE),
        (MMPermissions::EXECUTE, libc::PROT_EXEC),
    ];
    let prot = bits
        .iter()
        .filter(|(has, _)| entry.perms.contains(*has))
        .map(|(_, bit)| bit.unsigned_abs());
    let shared = entry.perms.contains(MMPermissions::SHARED);
    Map {
        start: entry.address.0,
        len: entry.address.1.saturating_sub(entry.address.0),
        offset: entry.offset,
        prot: prot.sum(),
        flags: if shared {
            libc::MAP_SHARED
        } else {
            libc::MAP_PRIVATE
        }
        .unsigned_abs(),
        device: (entry.dev.0.unsigned_abs(), entry.dev.1.unsigned_abs()),
        inode: entry.inode,
        path,
    }
}
