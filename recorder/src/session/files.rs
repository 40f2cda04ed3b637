//! Which file is which: by device, inode and the generation of the inode, not by name. So a file stays itself when it is
//! renamed, and one that was made later with the number of a removed one is another.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pf_formats::ObjectId;
use rustc_hash::FxHashMap;

use crate::{clock::utc_offset_ns, pipeline::sideband::Map};

/// A file as the kernel tells it apart, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device, major and minor number.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// A mapping that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The mapping.
    pub map: &'a Map,
    /// In which process.
    pub pid: u32,
    /// When, nanoseconds of `CLOCK_MONOTONIC`, or a little later than this.
    pub at_ns: u64,
}

/// The clock of a file system is that of the last tick, which is 10 ms ago at most.
const COARSE_NS: i128 = 20_000_000;

/// For each pair of numbers the file that had them last: they are given again only when their file is gone.
#[derive(Debug, Default)]
pub struct Files {
    latest: FxHashMap<FileIdentity, Known>,
}

#[derive(Debug)]
struct Known {
    /// Records of mappings have it where the file system does, /proc never.
    generation: Option<u64>,
    object: ObjectId,
    /// Its first name; empty when only its numbers are known.
    path: String,
    seen_ns: u64,
}

/// What is known of a file that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has this object.
    Known(ObjectId),
    /// Its numbers were another's before: whatever it is called, it is new.
    New,
    /// Its numbers do not tell, or are seen for the first time: its name decides.
    Unknown,
}

impl Files {
    /// The object of the latest file with these numbers.
    #[must_use]
    pub fn latest(&self, file: FileIdentity) -> Option<ObjectId> {
        Some(self.latest.get(&file)?.object)
    }

    /// Looks for the file that was seen, now under the name `path`.
    pub fn find(&mut self, file: FileIdentity, seen: &Sighting<'_>, path: &str) -> Found {
        let Some(known) = self.latest.get_mut(&file) else {
            return Found::Unknown;
        };
        match (known.generation, seen.map.generation) {
            (Some(then), Some(now)) if then == now => Found::Known(known.object),
            (Some(_), Some(_)) => Found::New,
            _ if known.path == path || (!known.path.is_empty() && is_renamed(known, seen)) => {
                known.generation = known.generation.or(seen.map.generation);
                Found::Known(known.object)
            }
            _ => Found::Unknown,
        }
    }

    /// From now on these numbers mean `object`, whose name is `path`.
    pub fn set(&mut self, file: FileIdentity, object: ObjectId, path: &str, seen: &Sighting<'_>) {
        let known = Known {
            generation: seen.map.generation,
            object,
            path: path.to_owned(),
            seen_ns: seen.at_ns,
        };
        self.latest.insert(file, known);
    }
}

/// Whether what was seen existed under another name when `known` was seen: then it is the same file. Where the file
/// system does not tell when a file was made, nobody knows.
fn is_renamed(known: &Known, seen: &Sighting<'_>) -> bool {
    let Some(now) = stat(seen.pid, &seen.map.path).filter(|file| file.ino() == seen.map.inode) else {
        return false;
    };
    let was_there = |file: &Metadata| {
        let then_utc_ns = i128::from(known.seen_ns) + i128::from(utc_offset_ns());
        let made = file.created();
        made.is_ok_and(|made| utc_ns(made) + COARSE_NS < then_utc_ns)
    };
    if !was_there(&now) {
        return false;
    }
    // On an overlay two files may have the same numbers in mappings, but not for stat(2).
    let then = stat(seen.pid, &known.path).filter(was_there);
    then.is_none_or(|then| (then.dev(), then.ino()) == (now.dev(), now.ino()))
}

/// As the process sees it, and if that is gone as we do.
fn stat(pid: u32, path: &str) -> Option<Metadata> {
    let inside = fs::metadata(format!("/proc/{pid}/root{path}"));
    inside.or_else(|_| fs::metadata(path)).ok()
}

fn utc_ns(time: SystemTime) -> i128 {
    let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::monotonic_ns;

    const FILE: FileIdentity = FileIdentity {
        device: (254, 0),
        inode: 5,
    };
    const FIRST: ObjectId = ObjectId(1);

    fn map(path: &str, generation: Option<u64>) -> Map {
        Map {
            path: path.to_owned(),
            inode: FILE.inode,
            device: FILE.device,
            generation,
            ..Map::default()
        }
    }

    fn seen(map: &Map, at_ns: u64) -> Sighting<'_> {
        Sighting {
            map,
            pid: std::process::id(),
            at_ns,
        }
    }

    fn files(first: &Map, at_ns: u64) -> Files {
        let mut files = Files::default();
        files.set(FILE, FIRST, &first.path, &seen(first, at_ns));
        files
    }

    fn find(files: &mut Files, map: &Map) -> Found {
        files.find(FILE, &seen(map, 2), &map.path)
    }

    #[test]
    fn a_generation_tells_a_renamed_file_from_one_that_got_its_number() {
        let mut files = files(&map("/a", Some(77)), 1);
        assert_eq!(find(&mut files, &map("/b", Some(77))), Found::Known(FIRST));
        assert_eq!(find(&mut files, &map("/a", Some(78))), Found::New);
        let second = map("/a", Some(78));
        files.set(FILE, ObjectId(2), "/a", &seen(&second, 2));
        assert_eq!(files.latest(FILE), Some(ObjectId(2)));
        assert_eq!(find(&mut files, &second), Found::Known(ObjectId(2)));
    }

    #[test]
    fn a_generation_that_is_learned_later_stays() {
        let mut files = files(&map("/no/such/a", None), 1);
        assert_eq!(find(&mut files, &map("/no/such/b", Some(77))), Found::Unknown);
        assert_eq!(
            find(&mut files, &map("/no/such/a", Some(77))),
            Found::Known(FIRST)
        );
        assert_eq!(
            find(&mut files, &map("/no/such/b", Some(77))),
            Found::Known(FIRST)
        );
        assert_eq!(find(&mut files, &map("/no/such/a", Some(78))), Found::New);
    }

    #[test]
    fn without_a_generation_the_time_a_file_was_made_decides() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("renamed"), folder.path().join("other"));
        fs::write(&path, "").unwrap();
        fs::write(&other, "").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let now = Map {
            inode,
            ..map(path.to_str().unwrap(), None)
        };
        let (earlier, later) = (monotonic_ns() - 1_000_000_000, monotonic_ns() + 1_000_000_000);
        let before = map("/no/such/before", None);
        assert_eq!(find(&mut files(&before, later), &now), Found::Known(FIRST));
        assert_eq!(find(&mut files(&before, earlier), &now), Found::Unknown);
        // The other one is still there, and is not this one.
        let other = map(other.to_str().unwrap(), None);
        assert_eq!(find(&mut files(&other, later), &now), Found::Unknown);
    }
}
