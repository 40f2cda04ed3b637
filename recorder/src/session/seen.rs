//! What /proc said last of the mappings of processes, for as long as a fault may ask for it.

use rustc_hash::FxHashMap;

use super::{locate::holder, proc};
use crate::pipeline::sideband::Map;

/// What all of it may take together; the latest is kept in any case.
const BYTES: usize = 64 << 20;

/// The latest reading of each process.
#[derive(Debug, Default)]
pub struct Seen {
    readings: FxHashMap<u32, Reading>,
    bytes: usize,
}

#[derive(Debug)]
struct Reading {
    at_ns: u64,
    maps: Vec<Map>,
    bytes: usize,
}

impl Seen {
    /// Reads the mappings of a process now, `at_ns`.
    pub fn read(&mut self, pid: u32, at_ns: u64) {
        self.forget(pid);
        // A process that is gone tells nothing more.
        self.keep(pid, at_ns, proc::maps(pid).unwrap_or_default());
    }

    fn keep(&mut self, pid: u32, at_ns: u64, maps: Vec<Map>) {
        let paths: usize = maps.iter().map(|map| map.path.capacity()).sum();
        let bytes = paths + maps.capacity() * size_of::<Map>();
        if self.bytes + bytes > BYTES {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.readings.insert(pid, Reading { at_ns, maps, bytes });
    }

    /// The mapping that holds an address.
    #[must_use]
    pub fn holder(&self, pid: u32, address: u64) -> Option<&Map> {
        holder(&self.readings.get(&pid)?.maps, address)
    }

    /// It is of no use any more: the process has another program, or is gone.
    pub fn forget(&mut self, pid: u32) {
        if let Some(reading) = self.readings.remove(&pid) {
            self.bytes -= reading.bytes;
        }
    }

    /// Faults to come are all later than this: they would be read anew.
    pub fn forget_before(&mut self, ns: u64) {
        let bytes = &mut self.bytes;
        self.readings.retain(|_, reading| {
            let is_kept = reading.at_ns > ns;
            *bytes -= if is_kept { 0 } else { reading.bytes };
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(path: &str, count: u64) -> Vec<Map> {
        let map = |start| Map {
            start: start * 0x1000,
            len: 0x1000,
            path: path.to_owned(),
            ..Map::default()
        };
        (0..count).map(map).collect()
    }

    #[test]
    fn a_reading_is_kept_until_no_fault_can_ask_and_all_together_are_bounded() {
        let mut seen = Seen::default();
        seen.keep(7, 100, maps("/a", 3));
        seen.keep(8, 200, maps("/b", 3));
        let path = |seen: &Seen, pid| seen.holder(pid, 0x2fff).map(|map| map.path.clone());
        assert_eq!(
            (path(&seen, 7).as_deref(), path(&seen, 8).as_deref()),
            (Some("/a"), Some("/b"))
        );
        seen.forget_before(100);
        assert_eq!((path(&seen, 7), path(&seen, 8).as_deref()), (None, Some("/b")));
        let long = "x".repeat(4096);
        for pid in 10..30 {
            seen.keep(pid, 300, maps(&long, 2_000));
            assert!(seen.bytes <= BYTES, "{}", seen.bytes);
            assert!(path(&seen, pid).is_some());
        }
        seen.forget_before(300);
        assert_eq!(seen.bytes, 0);
    }
}
