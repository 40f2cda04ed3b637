//! Names for code that processes made themselves, from the maps that they wrote: one budget of time and bytes for all of
//! them. A map is a file of a process, so it is read in a child that can be ended.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use indicatif::{BinaryBytes, HumanCount};
use pf_formats::Symbol;

use super::{
    perf_map::{self, PerfMaps},
    symbols::{MEMORY, Wanted, Work},
};
use crate::files::sandbox::{self, Failure, Limits};

/// For all maps, of the time there is for everything.
const TIME: Duration = Duration::from_secs(20);
/// Bytes of all maps.
const BYTES: u64 = 1 << 30;
/// Bytes of one map.
const MAP_BYTES: u64 = 64 << 20;
/// Processes that are named when their maps were left out.
const NAMED: usize = 5;

/// What is left for the maps that were not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    until: Instant,
    bytes: u64,
}

impl Budget {
    /// All of it, but nothing after `until`.
    pub fn until(until: Instant) -> Self {
        Self {
            until: until.min(Instant::now() + TIME),
            bytes: BYTES,
        }
    }

    /// Time and bytes for one map; `None` when nothing is left.
    fn for_one(&self) -> Option<(Duration, u64)> {
        let time = self.until.saturating_duration_since(Instant::now());
        (!time.is_zero() && self.bytes > 0).then_some((time, self.bytes.min(MAP_BYTES)))
    }
}

impl Work<'_> {
    /// Looks up what is wanted of each process, the newest first.
    pub fn processes(&mut self, processes: BTreeMap<u32, Vec<Wanted>>, maps: &PerfMaps, mut budget: Budget) {
        let newest: HashMap<u32, usize> = maps.newest_first().zip(0..).collect();
        let mut processes: Vec<_> = processes.into_iter().collect();
        // Of those that are not in the list the higher number, which is likely to be the later one.
        processes.sort_by_key(|(pid, _)| (newest.get(pid).copied().unwrap_or(usize::MAX), Reverse(*pid)));
        let mut left_out = Vec::new();
        for (pid, wanted) in processes {
            if self.given_up {
                return;
            }
            let read = budget
                .for_one()
                .is_some_and(|(time, bytes)| self.process(pid, wanted, maps, time, bytes, &mut budget));
            if !read {
                left_out.push(pid);
            }
        }
        if !left_out.is_empty() {
            self.limit(describe_left_out(&left_out));
        }
    }

    /// False when there was not enough time.
    fn process(
        &mut self,
        pid: u32,
        mut wanted: Vec<Wanted>,
        maps: &PerfMaps,
        time: Duration,
        bytes: u64,
        budget: &mut Budget,
    ) -> bool {
        wanted.sort_unstable_by_key(|wanted| wanted.at);
        let addresses: Vec<u64> = wanted.iter().map(|wanted| wanted.at).collect();
        let what = format!("code that process {pid} generated");
        let Some(map) = maps.map_of(pid) else {
            self.note(format!("no symbols: {what} (there is no /tmp/perf-{pid}.map)"));
            return true;
        };
        let limits = Limits { time, memory: MEMORY };
        let answer = sandbox::run(limits, &[&map], self.give_up, || {
            perf_map::look_up(&map, &addresses, bytes)
        });
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.note(format!("no symbols: {what} (/tmp/perf-{pid}.map cannot be read)"));
                return true;
            }
            Err(Failure::TooLong) => return false,
            Err(Failure::GivenUp) => {
                self.give_up();
                return true;
            }
            Err(e) => {
                self.note(format!("no symbols: {what} ({e})"));
                return true;
            }
        };
        // What the child says is not to be trusted.
        budget.bytes = budget.bytes.saturating_sub(answer.bytes);
        if answer.cut {
            let read = BinaryBytes(bytes);
            self.limit(format!(
                "symbols: only the first {read} of /tmp/perf-{pid}.map were read"
            ));
        }
        for named in answer.named {
            if let Some(wanted) = wanted.get(named.at) {
                self.keep(Symbol {
                    frame: wanted.frame,
                    name: named.name,
                    offset: named.offset.saturating_add(wanted.back),
                    ..Symbol::default()
                });
            }
        }
        true
    }
}

fn describe_left_out(pids: &[u32]) -> String {
    let named: Vec<String> = pids.iter().take(NAMED).map(u32::to_string).collect();
    let more = if pids.len() > NAMED { ", …" } else { "" };
    format!(
        "symbols: {} of the maps of just-in-time code were not read, those of the oldest processes ({}{more}): all maps together \
         get {} s and {}",
        HumanCount(pids.len() as u64),
        named.join(", "),
        TIME.as_secs(),
        BinaryBytes(BYTES)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pf_formats::FrameId;

    use super::*;
    use crate::stacks::perf_map::tests::processes;

    const MAP: &str = "1000 10 jitted\n";

    fn wanted(pids: &[u32]) -> BTreeMap<u32, Vec<Wanted>> {
        let one = |&pid: &u32| {
            let wanted = Wanted {
                at: 0x1004,
                frame: FrameId(pid),
                back: 0,
            };
            (pid, vec![wanted])
        };
        pids.iter().map(one).collect()
    }

    /// The frames with names, and the notes.
    fn named(maps: &PerfMaps, pids: &[u32], budget: Budget) -> (Vec<u32>, Vec<String>) {
        let mut never = || false;
        let mut work = Work::new(&mut never);
        work.processes(wanted(pids), maps, budget);
        let named = work.symbols.iter().map(|symbol| symbol.frame.0).collect();
        (named, work.finish().notes)
    }

    #[test]
    fn all_maps_have_one_budget_and_the_newest_are_read_first() {
        let folder = tempfile::tempdir().unwrap();
        // Numbers go round: the highest is not the newest.
        let maps = processes(folder.path(), &[(40, MAP), (90, MAP), (20, MAP), (30, MAP)]);
        let pids = [20, 30, 40, 90];
        let whole = Budget::until(Instant::now() + TIME);
        assert_eq!(named(&maps, &pids, whole), (vec![30, 20, 90, 40], Vec::new()));
        let for_two = Budget {
            bytes: 2 * MAP.len() as u64,
            ..whole
        };
        let (names, notes) = named(&maps, &pids, for_two);
        assert_eq!(names, [30, 20]);
        assert!(
            notes.len() == 1 && notes[0].contains(" 2 of the maps") && notes[0].contains("(90, 40)"),
            "{notes:?}"
        );
        let no_time = Budget {
            until: Instant::now(),
            ..whole
        };
        let (names, notes) = named(&maps, &pids, no_time);
        assert!(
            names.is_empty() && notes[0].contains(" 4 of the maps"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_map_that_is_cut_off_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let maps = processes(folder.path(), &[(20, "1000 10 jitted\n2000 10 more\n")]);
        let budget = Budget {
            bytes: MAP.len() as u64,
            ..Budget::until(Instant::now() + TIME)
        };
        let (names, notes) = named(&maps, &[20], budget);
        assert_eq!(names, [20]);
        assert!(notes[0].contains("/tmp/perf-20.map"), "{notes:?}");
    }

    #[test]
    fn many_processes_are_named_in_part() {
        let words = describe_left_out(&[1, 2, 3, 4, 5, 6]);
        assert!(
            words.contains(" 6 of the maps") && words.contains("5, …)"),
            "{words}"
        );
    }
}
