//! Names of just-in-time compiled code, from the `/tmp/perf-PID.map` that its compiler writes: lines of
//! start, size (both hexadecimal) and name, as tools/perf/Documentation/jit-interface.txt has it.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use super::{
    elf::shortened,
    same_file::{owner, owner_and_own_pid},
};
use crate::open;

/// Processes whose /tmp is remembered. The maps of more are looked for in our own.
const PROCESSES: usize = 256;
/// Bytes of one map that are read.
const SIZE: u64 = 64 << 20;
/// Bytes of one line.
const LINE: u64 = 64 << 10;
/// Names given, older ones for the same address included: a map may say every line of every address.
const WORK: usize = 10_000_000;

/// Where to look for the maps of the processes in which such code was seen.
#[derive(Debug, Default)]
pub struct PerfMaps {
    by_pid: HashMap<u32, Home>,
}

/// What is needed when the process is gone.
#[derive(Debug)]
struct Home {
    /// The directory /tmp in its mount namespace.
    tmp: File,
    /// Its number in its own pid namespace, by which it names the map.
    own_pid: u32,
    /// Its effective user.
    user: u32,
}

/// A name for one of the addresses asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Which of the addresses, counted from 0.
    pub at: usize,
    /// Name of the function.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
}

impl PerfMaps {
    /// Code without a file was seen in process `pid`.
    pub fn see(&mut self, pid: u32) {
        if self.by_pid.len() < PROCESSES
            && !self.by_pid.contains_key(&pid)
            && let Some(home) = Home::of(pid)
        {
            self.by_pid.insert(pid, home);
        }
    }

    /// Names for addresses in process `pid`, which must be in ascending order; `None` when it has no map.
    pub fn look_up(&self, pid: u32, addresses: &[u64]) -> Option<Vec<Named>> {
        let map = match self.by_pid.get(&pid) {
            Some(home) => home.open_map()?,
            None => open_map(&open::folder("/tmp").ok()?, pid, 0)?,
        };
        Some(parse(BufReader::new(map).take(SIZE), addresses))
    }
}

impl Home {
    fn of(pid: u32) -> Option<Self> {
        let (user, own_pid) = owner_and_own_pid(pid)?;
        let tmp = open::folder(format!("/proc/{pid}/root/tmp")).ok()?;
        Some(Self { tmp, own_pid, user })
    }

    fn open_map(&self) -> Option<File> {
        open_map(&self.tmp, self.own_pid, self.user)
    }
}

/// Anybody may put a file into /tmp: only the user's own, or root's, counts.
fn open_map(tmp: &File, own_pid: u32, user: u32) -> Option<File> {
    let file = open::regular_in(tmp, Path::new(&format!("perf-{own_pid}.map"))).ok()?;
    let owner = owner(&file)?;
    (owner == 0 || owner == user).then_some(file)
}

/// Ignores lines that make no sense. Code may be replaced at its address: the last name stands.
fn parse(mut map: impl BufRead, addresses: &[u64]) -> Vec<Named> {
    let mut names: Vec<Option<(String, u64)>> = vec![None; addresses.len()];
    let mut line = Vec::new();
    let mut work = 0;
    while work < WORK {
        line.clear();
        match map.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let Some((start, size, name)) = parse_line(&line) else {
            continue;
        };
        let first = addresses.partition_point(|&address| address < start);
        for (name_of, &address) in names[first..].iter_mut().zip(&addresses[first..]) {
            if address - start >= size {
                break;
            }
            *name_of = Some((name.clone(), address - start));
            work += 1;
        }
    }
    let named = names.into_iter().enumerate();
    named
        .filter_map(|(at, name)| name.map(|(name, offset)| Named { at, name, offset }))
        .collect()
}

fn parse_line(line: &[u8]) -> Option<(u64, u64, String)> {
    let line = String::from_utf8_lossy(line);
    let (start, rest) = line.trim_end().split_once(' ')?;
    let (size, name) = rest.trim_start().split_once(' ')?;
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok();
    let name = name.trim();
    (!name.is_empty()).then_some((hex(start)?, hex(size)?, shortened(name.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn names(map: &[u8], addresses: &[u64]) -> Vec<(usize, String, u64)> {
        let named = parse(map, addresses).into_iter();
        named.map(|named| (named.at, named.name, named.offset)).collect()
    }

    #[test]
    fn addresses_get_the_name_whose_range_holds_them() {
        let map = b"1000 10 first\n1010 20 LazyCompile:*two words a.js:1\n0x2000 0x1 prefixed\n";
        assert_eq!(
            names(map, &[0xfff, 0x1000, 0x100f, 0x1010, 0x1030, 0x2000]),
            [
                (1, "first".to_owned(), 0),
                (2, "first".to_owned(), 15),
                (3, "LazyCompile:*two words a.js:1".to_owned(), 0),
                (5, "prefixed".to_owned(), 0)
            ]
        );
    }

    #[test]
    fn the_last_name_of_an_address_stands() {
        assert_eq!(
            names(b"1000 100 old\n1080 10 new\n", &[0x1001, 0x1081]),
            [(0, "old".to_owned(), 1), (1, "new".to_owned(), 1)]
        );
    }

    #[test]
    fn malformed_lines_are_passed_over() {
        let map = b"\n1000\n1000 10\n1000 10 \nxyz 10 a\n-1 10 a\n1000 10 \xff\xfe\nffffffffffffffff ffffffffffffffff b\n\
                    11111111111111111 1 c\n2000 10 last, without an end";
        assert_eq!(
            names(map, &[0x1000, 0x2000]),
            [
                (0, "\u{fffd}\u{fffd}".to_owned(), 0),
                (1, "last, without an end".to_owned(), 0)
            ]
        );
        let mut long = vec![b'x'; 200_000];
        long.extend_from_slice(b"\n1000 10 a\n");
        assert_eq!(names(&long, &[0x1000]), [(0, "a".to_owned(), 0)]);
    }

    #[test]
    fn a_map_of_another_user_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("perf-7.map");
        fs::write(&path, "1000 10 a\n").unwrap();
        let mut home = Home {
            tmp: open::folder(directory.path()).unwrap(),
            own_pid: 7,
            user: nix::unistd::geteuid().as_raw(),
        };
        assert!(home.open_map().is_some());
        home.own_pid = 8;
        assert!(home.open_map().is_none());
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
            home.own_pid = 7;
            assert!(home.open_map().is_none());
        }
    }

    #[test]
    fn our_own_map_is_found() {
        let pid = std::process::id();
        let path = format!("/tmp/perf-{pid}.map");
        fs::write(&path, "1000 10 jitted\n").unwrap();
        let mut maps = PerfMaps::default();
        maps.see(pid);
        let named = maps.look_up(pid, &[0x1004]);
        fs::remove_file(&path).unwrap();
        assert_eq!(named.unwrap()[0].name, "jitted");
        assert!(maps.look_up(pid, &[0x1004]).is_none());
    }
}
