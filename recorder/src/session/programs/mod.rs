//! Which program each process runs: its executable and its command line, for the trace.
//!
//! Both are read from /proc when a process is met or executes something, a moment after it did. If it executed something
//! else by then, or has ended, only the executable is known, from the first mapping that the kernel made for it.

mod reader;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pf_formats::ProcessEntry;
use rustc_hash::FxHashMap;

use super::budget::OTHERS;
use crate::pipeline::sideband::Map;
use reader::{Answer, Reader, Reading};

/// Bytes of the programs of all processes that live. A process that forks shares its own with its child.
const BYTES: usize = 32 << 20;

/// What a program takes besides its texts.
const EACH: usize = 128;

/// After this time nobody waits for an answer any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of the recording waits for answers.
const LAST_PATIENCE: Duration = Duration::from_millis(200);

/// The programs of all processes that live.
#[derive(Debug, Default)]
pub struct Programs {
    reader: Option<Reader>,
    current: FxHashMap<u32, Current>,
    /// By process and when the program began.
    asked: FxHashMap<(u32, u64), Asked>,
    /// Read before all records from that time were through.
    answers: Vec<Answer>,
    /// In the order in which they came.
    unwritten: Vec<Unwritten>,
    /// Of what is kept.
    bytes: Arc<AtomicUsize>,
    /// Arguments of the command, for when it is gone before /proc can be read.
    command: Vec<String>,
    /// Programs that are called [`OTHERS`].
    folded: u64,
    /// Programs whose command line could not be waited for.
    unread: u64,
}

/// What a process runs.
#[derive(Debug)]
struct Current {
    since_ns: u64,
    program: Arc<Program>,
}

/// A program that a process executed, and that its children run, too.
#[derive(Debug, Default)]
struct Program {
    /// The first mapping after the exec.
    mapped: OnceLock<String>,
    /// As it is written.
    known: OnceLock<Known>,
}

#[derive(Debug)]
struct Known {
    reading: Reading,
    cost: usize,
    bytes: Arc<AtomicUsize>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.cost, Relaxed);
    }
}

#[derive(Debug)]
struct Asked {
    program: Arc<Program>,
    since: Instant,
    /// The process was there already: what it maps next is not its executable.
    is_met: bool,
    /// When the process executed another program, or ended.
    until_ns: Option<u64>,
    /// What is told where /proc does not tell.
    command: Vec<String>,
}

#[derive(Debug)]
struct Unwritten {
    ts_ns: u64,
    pid: u32,
    program: Arc<Program>,
    /// Where nothing is known of it, nothing is written: it takes the place of nothing.
    is_met: bool,
}

impl Programs {
    /// From now on processes are asked for; without this only mappings tell executables.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    pub fn read(&mut self) -> io::Result<()> {
        self.reader = Some(Reader::start()?);
        Ok(())
    }

    /// What the next [`exec_of_command`](Self::exec_of_command) executes.
    pub fn set_command(&mut self, command: Vec<String>) {
        self.command = command;
    }

    /// A process is met that exists already.
    pub fn meet(&mut self, pid: u32, now_ns: u64) {
        self.begin(pid, now_ns, true, Vec::new());
    }

    /// A process executed something.
    pub fn exec(&mut self, pid: u32, ts_ns: u64) {
        self.begin(pid, ts_ns, false, Vec::new());
    }

    /// The held child became the command.
    pub fn exec_of_command(&mut self, pid: u32, ts_ns: u64) {
        let command = std::mem::take(&mut self.command);
        self.begin(pid, ts_ns, false, command);
    }

    fn begin(&mut self, pid: u32, ts_ns: u64, is_met: bool, command: Vec<String>) {
        if self.is_earlier(pid, ts_ns) {
            return;
        }
        self.end(pid, ts_ns);
        let program = Arc::new(Program::default());
        self.follow(pid, ts_ns, &program, is_met);
        let key = (pid, ts_ns);
        let asked = Asked {
            program,
            since: Instant::now(),
            is_met,
            until_ns: None,
            command,
        };
        self.asked.insert(key, asked);
        if !self.reader.as_ref().is_some_and(|reader| reader.ask(key)) {
            // Its mapping comes with the records that follow.
            self.answers.push(Answer {
                key,
                read_ns: ts_ns,
                reading: Reading::default(),
            });
        }
    }

    /// Something was mapped. The first file after an exec is the executable.
    pub fn mapped(&mut self, pid: u32, ts_ns: u64, map: &Map) {
        let Some(current) = self.current.get(&pid) else {
            return;
        };
        let is_file = map.path.starts_with('/') && !map.path.starts_with("//");
        let asked = self.asked.get(&(pid, current.since_ns));
        if ts_ns >= current.since_ns && is_file && asked.is_some_and(|asked| !asked.is_met) {
            current.program.mapped.get_or_init(|| map.path.clone());
        }
    }

    /// A process was created, which runs what its parent does.
    pub fn fork(&mut self, parent: u32, child: u32, ts_ns: u64) {
        if self.is_earlier(child, ts_ns) {
            return;
        }
        self.end(child, ts_ns);
        if let Some(parent) = self.current.get(&parent) {
            let program = Arc::clone(&parent.program);
            self.follow(child, ts_ns, &program, false);
        }
    }

    /// A process has ended.
    pub fn end(&mut self, pid: u32, ts_ns: u64) {
        if let Some(current) = self.current.remove(&pid)
            && let Some(asked) = self.asked.get_mut(&(pid, current.since_ns))
        {
            asked.until_ns = Some(ts_ns);
        }
    }

    /// What is known by now, for the trace. All records before `settled_ns` are through; at the end it is waited for what is
    /// on its way.
    pub fn take_known(&mut self, settled_ns: u64, is_last: bool) -> Vec<ProcessEntry> {
        self.receive(is_last);
        let (through, rest) = std::mem::take(&mut self.answers)
            .into_iter()
            .partition(|answer: &Answer| answer.read_ns < settled_ns);
        self.answers = rest;
        for Answer {
            key,
            read_ns,
            reading,
        } in through
        {
            let Some(asked) = self.asked.remove(&key) else {
                continue;
            };
            // Afterwards it is of another program, or another process.
            let is_its_own = asked.until_ns.is_none_or(|until_ns| read_ns < until_ns);
            self.keep(asked, if is_its_own { reading } else { Reading::default() });
        }
        // An answer that is there waits for the records before it only.
        let is_there = |key: &(u32, u64)| self.answers.iter().any(|answer| answer.key == *key);
        let is_late =
            |key: &(u32, u64), asked: &Asked| is_last || (asked.since.elapsed() > PATIENCE && !is_there(key));
        let late: Vec<Asked> = self
            .asked
            .extract_if(|key, asked| is_late(key, asked))
            .map(|(_, asked)| asked)
            .collect();
        for asked in late {
            self.unread += u64::from(!is_last);
            self.keep(asked, Reading::default());
        }
        self.write()
    }

    /// Programs of which less is known than could be, in words.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let folded = (self.folded > 0).then(|| {
            format!(
                "the executables and command lines of {} programs are not kept, because those of all processes take more than \
                 {} MiB: they are called {OTHERS}",
                self.folded,
                BYTES >> 20
            )
        });
        let unread = (self.unread > 0).then(|| {
            format!(
                "the command lines of {} are not known: /proc did not answer within {} s",
                match self.unread {
                    1 => "1 program".to_owned(),
                    several => format!("{several} programs"),
                },
                PATIENCE.as_secs()
            )
        });
        folded.into_iter().chain(unread).collect()
    }

    /// A record that is older than what is known of the process.
    fn is_earlier(&self, pid: u32, ts_ns: u64) -> bool {
        let current = self.current.get(&pid);
        current.is_some_and(|current| ts_ns < current.since_ns)
    }

    fn follow(&mut self, pid: u32, ts_ns: u64, program: &Arc<Program>, is_met: bool) {
        let current = Current {
            since_ns: ts_ns,
            program: Arc::clone(program),
        };
        self.current.insert(pid, current);
        self.unwritten.push(Unwritten {
            ts_ns,
            pid,
            program: Arc::clone(program),
            is_met,
        });
    }

    fn receive(&mut self, is_last: bool) {
        let Some(reader) = &self.reader else {
            return;
        };
        self.answers.extend(reader.answers.try_iter());
        if !is_last {
            return;
        }
        let until = Instant::now() + LAST_PATIENCE;
        while self.answers.len() < self.asked.len()
            && let Ok(answer) = reader.answers.recv_deadline(until)
        {
            self.answers.push(answer);
        }
    }

    fn keep(&mut self, asked: Asked, mut reading: Reading) {
        if reading.executable.is_empty() {
            let mapped = asked.program.mapped.get().cloned();
            reading.executable = mapped.unwrap_or_default();
        }
        if reading.command.is_empty() {
            reading.command = asked.command;
        }
        let texts: usize = reading
            .command
            .iter()
            .map(|text| text.len() + size_of::<String>())
            .sum();
        let mut cost = EACH + reading.executable.len() + texts;
        if self.bytes.load(Relaxed) + cost > BYTES {
            self.folded += 1;
            cost = EACH + OTHERS.len();
            reading = Reading {
                executable: OTHERS.to_owned(),
                command: Vec::new(),
            };
        }
        self.bytes.fetch_add(cost, Relaxed);
        let known = Known {
            reading,
            cost,
            bytes: Arc::clone(&self.bytes),
        };
        asked.program.known.get_or_init(|| known);
    }

    fn write(&mut self) -> Vec<ProcessEntry> {
        let mut entries = Vec::new();
        self.unwritten.retain(|unwritten| {
            let Some(known) = unwritten.program.known.get() else {
                return true;
            };
            let Reading { executable, command } = &known.reading;
            if !unwritten.is_met || !executable.is_empty() || !command.is_empty() {
                entries.push(ProcessEntry {
                    ts_ns: unwritten.ts_ns,
                    pid: unwritten.pid,
                    executable: executable.clone(),
                    command: command.clone(),
                });
            }
            false
        });
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: u32 = 0x7000_0000;

    fn map(path: &str) -> Map {
        Map {
            path: path.to_owned(),
            ..Map::default()
        }
    }

    fn answer(programs: &mut Programs, key: (u32, u64), read_ns: u64, executable: &str) {
        programs.answers.retain(|answer| answer.key != key);
        programs.answers.push(Answer {
            key,
            read_ns,
            reading: Reading {
                executable: executable.to_owned(),
                command: vec![executable.to_owned(), "-x".to_owned()],
            },
        });
    }

    /// Time, process, executable and number of arguments.
    fn told(entries: &[ProcessEntry]) -> Vec<(u64, u32, &str, usize)> {
        let mut told = Vec::new();
        for entry in entries {
            told.push((
                entry.ts_ns,
                entry.pid,
                entry.executable.as_str(),
                entry.command.len(),
            ));
        }
        told
    }

    #[test]
    fn what_was_read_while_the_program_ran_is_written_when_that_is_certain() {
        let mut programs = Programs::default();
        programs.exec(PID, 100);
        answer(&mut programs, (PID, 100), 150, "/bin/a");
        assert_eq!(programs.take_known(120, false), []);
        let entries = programs.take_known(200, false);
        assert_eq!(told(&entries), [(100, PID, "/bin/a", 2)]);
        assert_eq!(programs.take_known(300, false), []);
    }

    #[test]
    fn what_was_read_after_another_exec_or_the_end_is_not_taken_for_the_first_program() {
        let mut programs = Programs::default();
        programs.exec(PID, 100);
        programs.mapped(PID, 110, &map("/bin/first"));
        programs.mapped(PID, 111, &map("/lib/ld.so"));
        programs.exec(PID, 140);
        programs.mapped(PID, 141, &map("//anon"));
        programs.mapped(PID, 142, &map("/bin/second"));
        answer(&mut programs, (PID, 100), 150, "/bin/read");
        answer(&mut programs, (PID, 140), 160, "/bin/read");
        programs.end(PID, 155);
        let entries = programs.take_known(200, false);
        let expected = [(100, PID, "/bin/first", 0), (140, PID, "/bin/second", 0)];
        assert_eq!(told(&entries), expected);
        assert!(programs.current.is_empty() && programs.asked.is_empty());
    }

    #[test]
    fn a_child_runs_what_its_parent_does_also_before_that_is_known() {
        let mut programs = Programs::default();
        programs.exec(PID, 100);
        programs.fork(PID, PID + 1, 120);
        programs.end(PID, 130);
        answer(&mut programs, (PID, 100), 110, "/bin/a");
        let entries = programs.take_known(200, false);
        let expected = [(100, PID, "/bin/a", 2), (120, PID + 1, "/bin/a", 2)];
        assert_eq!(told(&entries), expected);
        programs.fork(PID + 1, PID + 2, 300);
        let later = programs.take_known(400, false);
        assert_eq!(told(&later), [(300, PID + 2, "/bin/a", 2)]);
        // The last one that runs it ends.
        programs.end(PID + 1, 500);
        programs.end(PID + 2, 500);
        assert_eq!(programs.bytes.load(Relaxed), 0);
    }

    #[test]
    fn the_command_is_known_though_it_was_gone_before_it_could_be_read() {
        let mut programs = Programs::default();
        programs.set_command(vec!["true".to_owned(), "x".to_owned()]);
        programs.exec_of_command(PID, 100);
        programs.mapped(PID, 101, &map("/bin/true"));
        programs.end(PID, 102);
        assert_eq!(
            told(&programs.take_known(200, true)),
            [(100, PID, "/bin/true", 2)]
        );
    }

    #[test]
    fn records_from_before_a_process_was_met_change_nothing() {
        let mut programs = Programs::default();
        programs.meet(PID, 100);
        programs.exec(PID, 90);
        programs.fork(7, PID, 80);
        answer(&mut programs, (PID, 100), 110, "/bin/a");
        assert_eq!(told(&programs.take_known(200, true)), [(100, PID, "/bin/a", 2)]);
        // A thread of the kernel, or one that is gone: nothing is known of it, whatever it mapped.
        programs.meet(2, 300);
        programs.mapped(2, 310, &map("/lib/x.so"));
        assert_eq!(programs.take_known(400, true), []);
        // What it executes takes the place of what it was.
        programs.exec(PID, 500);
        assert_eq!(told(&programs.take_known(600, true)), [(500, PID, "", 0)]);
    }

    #[test]
    fn what_is_kept_of_all_is_bounded_and_what_ends_makes_room() {
        let mut programs = Programs::default();
        let long = "x".repeat(4096);
        let most = BYTES / 4096;
        for pid in 0..most as u32 + 10 {
            programs.exec(pid, 100);
            answer(&mut programs, (pid, 100), 110, &long);
            if pid % 64 == 0 {
                programs.take_known(200, false);
            }
            // Those that are called others take little, and are as many as processes live.
            assert!(programs.bytes.load(Relaxed) < BYTES + 2 * EACH * pid as usize + 1);
        }
        let last = programs.take_known(200, true);
        assert!(
            last.iter().all(|entry| entry.executable == OTHERS),
            "{}",
            last.len()
        );
        assert!(programs.describe()[0].contains(OTHERS));
        for pid in 0..most as u32 + 10 {
            programs.end(pid, 300);
        }
        programs.exec(PID, 400);
        answer(&mut programs, (PID, 400), 410, "/bin/a");
        assert_eq!(told(&programs.take_known(500, true)), [(400, PID, "/bin/a", 2)]);
    }
}
