//! Names of just-in-time compiled code, from the `/tmp/perf-PID.map` that its compiler writes: lines of
//! start, size (both hexadecimal) and name, as tools/perf/Documentation/jit-interface.txt has it.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    files::demangle::shortened,
    files::open::{self, Pinned},
};

/// Processes whose /tmp is remembered, the latest ones: each takes a descriptor. The maps of others are looked for in
/// our own.
const HOMES: usize = 256;
/// Processes whose order is known.
const PROCESSES: usize = 65_536;
/// Bytes of one line.
const LINE: u64 = 64 << 10;
/// Names given, older ones for the same address included: a map may say every line of every address.
const WORK: usize = 10_000_000;
/// Bytes of all names of one process.
const TEXT: usize = 32 << 20;

/// Where to look for the maps of the processes in which such code was seen.
#[derive(Debug, Default)]
pub struct PerfMaps {
    homes: HashMap<u32, Home>,
    seen: HashSet<u32>,
    /// The oldest first.
    order: Vec<u32>,
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

/// What a map tells.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Answer {
    /// Names for the addresses asked for.
    pub named: Vec<Named>,
    /// Bytes that were read.
    pub bytes: u64,
    /// There would be more to read.
    pub cut: bool,
}

/// A name for one of the addresses asked for.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
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
        if self.seen.len() < PROCESSES && self.seen.insert(pid) {
            self.remember(pid, Home::of(pid));
        }
    }

    fn remember(&mut self, pid: u32, home: Option<Home>) {
        self.order.push(pid);
        if let Some(home) = home {
            self.homes.insert(pid, home);
        }
        // Those that began later are more likely to be what somebody wants to know of.
        if let Some(oldest) = self.order.len().checked_sub(HOMES + 1) {
            self.homes.remove(&self.order[oldest]);
        }
    }

    /// Processes in the order in which they were seen, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = u32> {
        self.order.iter().rev().copied()
    }

    /// The map of process `pid`, if it wrote one.
    pub fn map_of(&self, pid: u32) -> Option<Pinned> {
        match self.homes.get(&pid) {
            Some(home) => find_map(&home.tmp, home.own_pid, home.user),
            None => find_map(&open::folder("/tmp").ok()?, pid, 0),
        }
    }
}

impl Home {
    fn of(pid: u32) -> Option<Self> {
        let (user, own_pid) = owner_and_own_pid(pid)?;
        let tmp = open::folder_in(open::root_of(pid).ok()?, Path::new("/tmp")).ok()?;
        Some(Self { tmp, own_pid, user })
    }
}

/// Owner and process number in its own pid namespace, from /proc/PID/status.
fn owner_and_own_pid(pid: u32) -> Option<(u32, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    // Real, effective, saved, file system.
    let uid = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    let own = field("NSpid:")?.split_whitespace().last()?.parse().ok()?;
    Some((uid, own))
}

/// Anybody may put a file into /tmp: only the user's own counts, or one of root's that all may read. Nothing that is
/// mounted there: in a namespace of its own a program mounts what it may not read.
fn find_map(tmp: &File, own_pid: u32, user: u32) -> Option<Pinned> {
    let file = Pinned::in_folder(tmp, Path::new(&format!("perf-{own_pid}.map"))).ok()?;
    let metadata = file.metadata().ok()?;
    // What all may read in a folder that is closed is not for all.
    let is_open = tmp.metadata().ok()?.mode() & 0o001 != 0;
    let is_public = is_open && metadata.mode() & 0o004 != 0;
    (metadata.uid() == user || metadata.uid() == 0 && is_public).then_some(file)
}

/// Names for `addresses`, which must be in ascending order, from the first `bytes` of a map; `None` when it cannot be
/// read. It is a file of the process, so this may take any time.
pub fn look_up(map: &Pinned, addresses: &[u64], bytes: u64) -> Option<Answer> {
    let mut map = BufReader::new(map.open().ok()?).take(bytes);
    let named = parse(&mut map, addresses);
    Some(Answer {
        named,
        bytes: bytes - map.limit(),
        cut: map.limit() == 0 && map.into_inner().fill_buf().is_ok_and(|more| !more.is_empty()),
    })
}

/// Names for `addresses`, in ascending order. Ignores lines that make no sense. Code may be replaced at its address: the last name stands.
pub fn parse(map: &mut impl BufRead, addresses: &[u64]) -> Vec<Named> {
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
        let inside = addresses[first..].partition_point(|&address| address - start < size);
        if inside == 0 {
            // As most: a name that nobody asks for is not made.
            continue;
        }
        let name = shortened(String::from_utf8_lossy(name).trim().to_owned());
        if name.is_empty() {
            // Blanks of Unicode are no name either.
            continue;
        }
        let asked = names[first..].iter_mut().zip(&addresses[first..]);
        for (name_of, &address) in asked.take(inside) {
            *name_of = Some((name.clone(), address - start));
        }
        work += inside;
    }
    let mut text = 0;
    let named = names.into_iter().enumerate();
    named
        .filter_map(|(at, name)| name.map(|(name, offset)| Named { at, name, offset }))
        .take_while(|named| {
            text += named.name.len();
            text <= TEXT
        })
        .collect()
}

/// Start, size and name.
fn parse_line(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (start, rest) = split(line.trim_ascii_end())?;
    let (size, name) = split(rest.trim_ascii_start())?;
    let name = name.trim_ascii();
    (!name.is_empty()).then_some((hex(start)?, hex(size)?, name))
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

fn hex(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
        path::Path,
    };

    use super::*;

    fn names(mut map: &[u8], addresses: &[u64]) -> Vec<(usize, String, u64)> {
        let named = parse(&mut map, addresses).into_iter();
        named.map(|named| (named.at, named.name, named.offset)).collect()
    }

    /// Processes that are made up, the first the oldest, with their maps in `folder`.
    pub fn processes(folder: &Path, maps: &[(u32, &str)]) -> PerfMaps {
        let mut found = PerfMaps::default();
        for &(pid, map) in maps {
            fs::write(folder.join(format!("perf-{pid}.map")), map).unwrap();
            found.remember(pid, Some(home(folder, pid)));
        }
        found
    }

    fn home(folder: &Path, own_pid: u32) -> Home {
        Home {
            tmp: open::folder(folder).unwrap(),
            own_pid,
            user: nix::unistd::geteuid().as_raw(),
        }
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
        let map = b"\n1000\n1000 10\n1000 10 \nxyz 10 a\n-1 10 a\n1000 10 \xff\xfe\n1000 10 \xe3\x80\x80\n\
                    ffffffffffffffff ffffffffffffffff b\n\
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

    fn map_of(folder: &Path, own_pid: u32) -> Option<Pinned> {
        let home = home(folder, own_pid);
        find_map(&home.tmp, home.own_pid, home.user)
    }

    #[test]
    fn a_map_of_another_user_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("perf-7.map");
        fs::write(&path, "1000 10 a\n").unwrap();
        assert!(map_of(directory.path(), 7).is_some());
        assert!(map_of(directory.path(), 8).is_none());
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
            assert!(map_of(directory.path(), 7).is_none());
        }
    }

    #[test]
    fn a_map_of_root_counts_for_others_only_where_all_may_read_it() {
        if !nix::unistd::geteuid().is_root() {
            return pf_checks::not_run("maps of root for other users", "it needs files of root");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("perf-7.map");
        fs::write(&path, "1000 10 a\n").unwrap();
        let open = |mode| fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
        open(0o711);
        let of_nobody = Home {
            user: 65534,
            ..home(directory.path(), 7)
        };
        let is_found = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            find_map(&of_nobody.tmp, 7, of_nobody.user).is_some()
        };
        assert_eq!([0o600, 0o640, 0o644].map(is_found), [false, false, true]);
        // A folder that is closed to others may have files that are not.
        open(0o700);
        assert!(!is_found(0o644));
        open(0o711);
        fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(find_map(&of_nobody.tmp, 7, of_nobody.user).is_none());
    }

    #[test]
    fn our_own_map_is_found() {
        let pid = std::process::id();
        let path = format!("/tmp/perf-{pid}.map");
        fs::write(&path, "1000 10 jitted\n").unwrap();
        let mut maps = PerfMaps::default();
        maps.see(pid);
        let answer = look_up(&maps.map_of(pid).unwrap(), &[0x1004], 1000);
        fs::remove_file(&path).unwrap();
        assert_eq!(answer.unwrap().named[0].name, "jitted");
        assert!(maps.map_of(pid).is_none());
    }

    #[test]
    fn no_more_than_allowed_is_read_and_the_answer_says_how_much() {
        let folder = tempfile::tempdir().unwrap();
        let maps = processes(folder.path(), &[(7, "1000 10 a\n2000 10 b\n")]);
        let map = maps.map_of(7).unwrap();
        let look_up = |bytes| look_up(&map, &[0x1000, 0x2000], bytes).unwrap();
        let whole = look_up(20);
        assert_eq!((whole.named.len(), whole.bytes, whole.cut), (2, 20, false));
        let cut = look_up(10);
        assert_eq!((cut.named.len(), cut.bytes, cut.cut), (1, 10, true));
    }

    #[test]
    fn the_latest_processes_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let last = HOMES as u32 + 1;
        let all: Vec<(u32, &str)> = (0..=last).map(|pid| (pid, "")).collect();
        let maps = processes(folder.path(), &all);
        assert_eq!(maps.homes.len(), HOMES);
        assert!(!maps.homes.contains_key(&1) && maps.homes.contains_key(&2));
        assert_eq!(maps.newest_first().next(), Some(last));
    }
}
