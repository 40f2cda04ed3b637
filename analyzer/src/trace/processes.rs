//! Which programs processes ran: executables and command lines, as far as the recording knows them.

use pf_formats::ProcessEntry;
use std::collections::{BTreeMap, HashMap};

/// Entries that are kept.
const ENTRIES_KEPT: usize = 1 << 18;

/// Bytes of executables and command lines that are kept, each program once.
const BYTES_KEPT: usize = 32 << 20;

/// A program with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Program {
    /// Path of the executable; empty when it is not known.
    pub executable: String,
    /// Arguments, the name of the program first; empty when they are not known.
    pub command: Vec<String>,
}

impl Program {
    /// What people call it: the last part of the path of its executable, else of its first argument.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let first = self.command.first().map(String::as_str);
        let path = Some(self.executable.as_str())
            .filter(|path| !path.is_empty())
            .or(first)?;
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        let name = path.rsplit('/').next().filter(|name| !name.is_empty());
        Some(name.unwrap_or(path))
    }

    fn is_known(&self) -> bool {
        !self.executable.is_empty() || !self.command.is_empty()
    }

    fn bytes(&self) -> usize {
        let texts = self.command.iter().map(|text| text.len() + size_of::<String>());
        self.executable.len() + texts.sum::<usize>() + size_of::<Self>()
    }
}

/// The programs of all processes.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    programs: Vec<Program>,
    places: HashMap<Program, usize>,
    bytes: usize,
    /// By process: since when it ran which program, by its place in `programs`.
    by_pid: BTreeMap<u32, BTreeMap<u64, usize>>,
    kept: usize,
    /// Entries that were not kept, because there were too many.
    pub left_out: u64,
}

impl Processes {
    pub(crate) fn see(&mut self, entries: Vec<ProcessEntry>) {
        for entry in entries {
            let program = Program {
                executable: entry.executable,
                command: entry.command,
            };
            let is_new = self
                .by_pid
                .get(&entry.pid)
                .is_none_or(|since| !since.contains_key(&entry.ts_ns));
            if is_new && self.kept >= ENTRIES_KEPT {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            let Some(place) = self.place_of(program) else {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            };
            self.kept += usize::from(is_new);
            // Of the same time the last one counts.
            self.by_pid
                .entry(entry.pid)
                .or_default()
                .insert(entry.ts_ns, place);
        }
    }

    /// `None` when there is no room for another one.
    fn place_of(&mut self, program: Program) -> Option<usize> {
        if let Some(&place) = self.places.get(&program) {
            return Some(place);
        }
        // Once in the list and once as a key.
        let bytes = 2 * program.bytes();
        if self.bytes + bytes > BYTES_KEPT {
            return None;
        }
        self.bytes += bytes;
        let place = self.programs.len();
        self.programs.push(program.clone());
        self.places.insert(program, place);
        Some(place)
    }

    /// Whether the recording looked for programs.
    #[must_use]
    pub fn are_known(&self) -> bool {
        !self.by_pid.is_empty()
    }

    /// What a process ran at a time; `None` where that is not known.
    #[must_use]
    pub fn at(&self, pid: u32, ts_ns: u64) -> Option<&Program> {
        let (_, &place) = self.by_pid.get(&pid)?.range(..=ts_ns).next_back()?;
        self.programs.get(place).filter(|program| program.is_known())
    }

    /// Each process with what it ran and since when, in the order of their numbers and times.
    pub fn all(&self) -> impl Iterator<Item = (u32, u64, &Program)> {
        let each = self.by_pid.iter();
        each.flat_map(|(&pid, since)| since.iter().map(move |(&ts_ns, &place)| (pid, ts_ns, place)))
            .filter_map(|(pid, ts_ns, place)| Some((pid, ts_ns, self.programs.get(place)?)))
            .filter(|(_, _, program)| program.is_known())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ts_ns: u64, pid: u32, executable: &str, command: &[&str]) -> ProcessEntry {
        ProcessEntry {
            ts_ns,
            pid,
            executable: executable.to_owned(),
            command: command.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn a_process_runs_what_its_last_entry_before_says() {
        let mut processes = Processes::default();
        assert!(!processes.are_known());
        processes.see(vec![
            entry(300, 7, "/bin/late", &[]),
            entry(100, 7, "/bin/first", &["first", "x"]),
            entry(100, 8, "/bin/wrong", &[]),
            entry(200, 7, "", &[]),
            entry(100, 8, "/bin/right", &[]),
        ]);
        let name = |pid, ts_ns| processes.at(pid, ts_ns).and_then(Program::name);
        assert_eq!(
            [50, 100, 199, 200, 300].map(|ts_ns| name(7, ts_ns)),
            [None, Some("first"), Some("first"), None, Some("late")]
        );
        assert_eq!(name(8, u64::MAX), Some("right"));
        let all: Vec<_> = processes.all().map(|(pid, ts_ns, _)| (pid, ts_ns)).collect();
        assert_eq!(all, [(7, 100), (7, 300), (8, 100)]);
    }

    #[test]
    fn the_name_is_that_of_the_file_whatever_became_of_it() {
        let name = |executable: &str, command: &[&str]| {
            let mut processes = Processes::default();
            processes.see(vec![entry(1, 1, executable, command)]);
            processes.at(1, 1).and_then(Program::name).map(str::to_owned)
        };
        assert_eq!(
            name("/srv/my service (deleted)", &["x"]).as_deref(),
            Some("my service")
        );
        assert_eq!(name("[others]", &[]).as_deref(), Some("[others]"));
        assert_eq!(name("", &["/usr/bin/cat", "x"]).as_deref(), Some("cat"));
        assert_eq!(name("/", &[]).as_deref(), Some("/"));
        assert_eq!(name("", &[""]), Some(String::new()));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_is_counted() {
        let mut processes = Processes::default();
        let long = "x".repeat(4096);
        for pid in 0..10_000 {
            processes.see(vec![entry(1, pid, &long, &[&pid.to_string()])]);
        }
        assert!(processes.bytes <= BYTES_KEPT && processes.left_out > 5_000);
        // A program that is known already takes next to nothing.
        processes.see(vec![entry(2, 1, &long, &["1"])]);
        assert_eq!(
            processes.at(1, 2).map(|program| program.command[0].as_str()),
            Some("1")
        );
        let left_out = processes.left_out;
        let many = (0..ENTRIES_KEPT as u64 + 10).map(|ts_ns| entry(ts_ns, 1, &long, &["1"]));
        processes.see(many.collect());
        assert!(processes.left_out > left_out && processes.kept <= ENTRIES_KEPT);
    }
}
