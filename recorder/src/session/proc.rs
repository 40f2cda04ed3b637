//! What /proc tells of processes that existed before the recording, or whose records were missed.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read},
};

use procfs::process::Process;

use crate::pipeline::sideband::Map;

/// Bytes of the mappings of one process that are read: enough for 600,000 of files, or for all 65,530 that the kernel
/// allows with names of a kilobyte.
const MAPS: u64 = 64 << 20;

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

/// Reads a process; `None` when it is gone, or `go_on` says no before its mappings are read.
pub fn snapshot(pid: u32, go_on: impl Fn() -> bool) -> Option<Snapshot> {
    if !go_on() {
        return None;
    }
    let mut threads = Vec::new();
    for tid in tasks(pid)? {
        let comm = comm_of(pid, tid).unwrap_or_default();
        threads.push(Thread { tid, comm });
        if !go_on() {
            return None;
        }
    }
    Some(Snapshot {
        threads,
        maps: maps(pid).unwrap_or_default(),
    })
}

/// The mappings of a process, the first [`MAPS`] bytes of them; `None` when it is gone or they may not be read.
pub fn maps(pid: u32) -> Option<Vec<Map>> {
    let maps = read_maps(&format!("/proc/{pid}/maps"))?;
    if !maps.is_empty() {
        return Some(maps);
    }
    // The main thread ended before the others: they still have the memory.
    let others = tasks(pid)?.into_iter();
    others
        .filter_map(|tid| read_maps(&format!("/proc/{pid}/task/{tid}/maps")))
        .find(|maps| !maps.is_empty())
}

fn read_maps(path: &str) -> Option<Vec<Map>> {
    let mut text = BufReader::with_capacity(1 << 16, File::open(path).ok()?.take(MAPS));
    let mut maps = Vec::new();
    let mut line = Vec::new();
    // Names are any bytes, so this is not read as text.
    while text.read_until(b'\n', &mut line).ok()? > 0 {
        // A line without an end is cut.
        maps.extend(line.strip_suffix(b"\n").and_then(parse_line));
        line.clear();
    }
    Some(maps)
}

/// Whether there is no such process any more.
pub fn is_gone(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_err_and(|e| e.kind() == ErrorKind::NotFound)
}

/// Whether `pid` is a thread of another process; then that one.
pub fn process_of_thread(pid: u32) -> Option<u32> {
    let leader = open(pid)?.status().ok()?.tgid.unsigned_abs();
    (leader != pid).then_some(leader)
}

fn tasks(pid: u32) -> Option<Vec<u32>> {
    Some(
        open(pid)?
            .tasks()
            .ok()?
            .flatten()
            .map(|task| task.tid.unsigned_abs())
            .collect(),
    )
}

/// The name of a thread; `None` when it is gone.
pub fn comm_of(pid: u32, tid: u32) -> Option<String> {
    let comm = fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
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

/// Every process.
pub fn all() -> Vec<u32> {
    parents().into_iter().map(|(pid, _)| pid).collect()
}

/// These processes, the one that started last first; those that are gone are left out.
pub fn newest_first(pids: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let started = |pid: u32| Some((open(pid)?.stat().ok()?.starttime, pid));
    let mut started: Vec<(u64, u32)> = pids.into_iter().filter_map(started).collect();
    started.sort_unstable_by(|one, other| other.cmp(one));
    started.into_iter().map(|(_, pid)| pid).collect()
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
    // The main thread may have ended before the others.
    let ended = matches!(stat.state, 'Z' | 'X') && stat.num_threads <= 1;
    (!ended).then_some(stat.starttime)
}

fn open(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

/// `start-end perms offset major:minor inode path`, see proc_pid_maps(5).
fn parse_line(line: &[u8]) -> Option<Map> {
    let mut rest = line;
    let mut word = || {
        let begin = rest.iter().position(|byte| *byte != b' ')?;
        let end = rest[begin..]
            .iter()
            .position(|byte| *byte == b' ')
            .map_or(rest.len(), |len| begin + len);
        let word = std::str::from_utf8(&rest[begin..end]).ok()?;
        rest = &rest[end..];
        Some(word)
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = word()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let perms = word()?.as_bytes();
    let offset = hex(word()?)?;
    let (major, minor) = word()?.split_once(':')?;
    let device = (
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    let inode = word()?.parse().ok()?;
    let path_at = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    let bits = [
        (b'r', libc::PROT_READ),
        (b'w', libc::PROT_WRITE),
        (b'x', libc::PROT_EXEC),
    ];
    let prot = bits
        .iter()
        .filter(|(letter, _)| perms.contains(letter))
        .map(|(_, bit)| bit.unsigned_abs());
    let flags = if perms.contains(&b's') {
        libc::MAP_SHARED
    } else {
        libc::MAP_PRIVATE
    };
    Some(Map {
        start,
        len: end.checked_sub(start)?,
        offset,
        prot: prot.sum(),
        flags: flags.unsigned_abs(),
        device,
        inode,
        generation: None,
        // A newline is the one character that the kernel escapes here.
        path: String::from_utf8_lossy(&rest[path_at..]).replace("\\012", "\n"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_of_maps_is_read_whatever_bytes_its_name_has() {
        let line = b"7f00-8f00 r-xs 00010000 fd:01 4711                       /a b\xff\\012c (deleted)";
        let map = parse_line(line).unwrap();
        assert_eq!((map.start, map.len, map.offset), (0x7f00, 0x1000, 0x10000));
        assert_eq!((map.device, map.inode), ((0xfd, 1), 4711));
        assert_eq!((map.prot, map.flags), (5, 1));
        assert_eq!(map.path, "/a b\u{fffd}\nc (deleted)");
    }

    #[test]
    fn memory_without_a_name_and_broken_lines_are_told_apart() {
        assert_eq!(parse_line(b"7f00-8f00 rw-p 00000000 00:00 0 ").unwrap().path, "");
        for broken in [
            &b""[..],
            b"x",
            b"7f00-8f00",
            b"8f00-7f00 rw-p 0 0:0 0",
            b"7f00-8f00 rw-p 0 00 0",
        ] {
            assert_eq!(parse_line(broken), None);
        }
    }

    #[test]
    fn our_own_maps_have_our_stack() {
        let maps = maps(std::process::id()).unwrap();
        assert!(maps.iter().any(|map| map.path == "[stack]"));
    }
}
