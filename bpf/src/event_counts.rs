//! The kernel's own count of the faults, apart from the programs that record them: the same software events
//! once more, in counting mode, on the same tasks. What the programs met is held against it, so a run that
//! the kernel skipped, or a task that was forgotten, shows as a number.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use perf_event::{Builder, Counter, events::Software};

use crate::{
    Config, Target,
    cpus::{is_gone, online_cpus, sum},
};

/// Threads with a counter of their own; the threads and children that they make later need none.
const THREADS: usize = 4096;

/// How often the threads of a process are listed until nobody came or went meanwhile.
const TRIES: usize = 20;

/// Descriptors kept free for everything else.
const SPARE_FILES: usize = 256;

/// Whose faults are counted apart.
pub(crate) enum EventCounts {
    /// Of threads, and of all that they make.
    Tasks(Vec<Counter>),
    /// Of a cgroup, on each CPU.
    Cgroup(CgroupCounts),
    /// Of the whole machine: the count of each event that a program is attached to.
    Machine,
}

impl EventCounts {
    /// Opens the counters for the target of `config`: with `strict` the recorded tasks' own, which cost them about half a
    /// microsecond at each context switch. An error says why there are none.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let events = events(config);
        match &config.target {
            _ if !config.strict => Ok(Self::Machine),
            Target::All => Ok(Self::Machine),
            Target::Tree(pids) => of_processes(pids, &events, true).map(Self::Tasks),
            Target::Pids(pids) => of_processes(pids, &events, false).map(Self::Tasks),
            Target::Cgroup(cgroup) => CgroupCounts::open(&cgroup.folder, events)
                .map(Self::Cgroup)
                .map_err(|e| format!("the kernel provided no counters for this cgroup: {e}")),
        }
    }

    /// Follows CPUs that come and go.
    pub(crate) fn follow_cpus(&mut self) {
        if let Self::Cgroup(counts) = self {
            // Without a counter on it, its faults are in no count: the check tells.
            counts.follow().ok();
        }
    }
}

/// The events that the programs complete faults by.
fn events(config: &Config) -> Vec<Software> {
    let minor = (!config.filters.major_only).then_some(Software::PAGE_FAULTS_MIN);
    [Software::PAGE_FAULTS_MAJ].into_iter().chain(minor).collect()
}

fn counting(event: Software) -> Builder<'static> {
    let mut builder = Builder::new(event);
    builder.exclude_kernel(false).exclude_hv(false).enabled(true);
    builder
}

fn of_processes(pids: &[u32], events: &[Software], children: bool) -> Result<Vec<Counter>, String> {
    for _ in 0..TRIES {
        let list = || {
            if children {
                threads_of(&with_descendants(pids))
            } else {
                threads_of(pids)
            }
        };
        let before = list();
        let (threads, wanted, room) = (before.len(), before.len() * events.len(), room_for_files());
        if threads > THREADS {
            return Err(format!(
                "there are {threads} threads, and at most {THREADS} can be counted: name fewer processes, or record a cgroup"
            ));
        }
        if wanted > room {
            return Err(format!(
                "their counters need {wanted} open files, and {room} are left: ulimit -n {}",
                wanted + SPARE_FILES
            ));
        }
        let counters = of_threads(&before, events, children);
        // Whoever was made meanwhile may have a counter, by its maker, or none.
        if list() == before {
            return counters.map_err(|e| format!("the kernel provided no counters for its threads: {e}"));
        }
    }
    Err("its threads start and end too fast to give each a counter: record a cgroup".to_owned())
}

fn of_threads(tids: &[u32], events: &[Software], children: bool) -> io::Result<Vec<Counter>> {
    let mut counters = Vec::with_capacity(tids.len() * events.len());
    for &tid in tids {
        for &event in events {
            let mut builder = counting(event);
            builder.observe_pid(tid.cast_signed()).any_cpu().inherit(true);
            if !children {
                builder.inherit_thread(true);
            }
            counters.push(builder.build()?);
        }
    }
    Ok(counters)
}

/// The processes and all that descend from them now: whoever was forked before its parent had a counter needs its own.
/// This process, and what descends from it, is recorded by nobody.
fn with_descendants(pids: &[u32]) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let is_other = |pid: &u32| *pid != std::process::id();
    let mut known: Vec<u32> = pids.iter().copied().filter(is_other).collect();
    let mut at = 0;
    while let Some(&parent) = known.get(at) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        for (child, _) in children.filter(|(child, _)| is_other(child)) {
            if !known.contains(child) {
                known.push(*child);
            }
        }
        at += 1;
    }
    known
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses, and may hold some.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// In order; those of a process that is gone are none.
fn threads_of(pids: &[u32]) -> Vec<u32> {
    let mut threads: Vec<u32> = pids
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect();
    threads.sort_unstable();
    threads
}

/// How many more files can be open. Raises the limit as far as it goes: each CPU, thread and event can take a descriptor.
pub(crate) fn room_for_files() -> usize {
    file_limit().saturating_sub(SPARE_FILES)
}

/// Whether fewer files can be open than the probes of each CPU and all else may need.
#[must_use]
pub fn files_are_few() -> bool {
    file_limit() < 120 + 10 * online_cpus().map_or(0, |cpus| cpus.len())
}

fn file_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls read or write the struct they are given, and nothing else.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 0;
        }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Whether a process is in a cgroup or below it.
fn holds(folder: &Path, pid: &str) -> bool {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        if processes.lines().any(|line| line == pid) {
            return true;
        }
        let below = fs::read_dir(&folder).into_iter().flatten().flatten();
        // No links: it is the kernel's own file system.
        folders.extend(
            below
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    false
}

/// The counters of one cgroup.
pub(crate) struct CgroupCounts {
    folder: File,
    /// Whether this process is in it: its faults are in the count, and nothing else knows them.
    pub(crate) holds_us: bool,
    events: Vec<Software>,
    by_cpu: BTreeMap<usize, Vec<Counter>>,
    /// Of CPUs that are gone.
    gone: u64,
}

impl CgroupCounts {
    fn open(folder: &Path, events: Vec<Software>) -> io::Result<Self> {
        let mut counts = Self {
            folder: File::open(folder)?,
            holds_us: holds(folder, &std::process::id().to_string()),
            events,
            by_cpu: BTreeMap::new(),
            gone: 0,
        };
        counts.follow()?;
        Ok(counts)
    }

    fn follow(&mut self) -> io::Result<()> {
        let online = online_cpus().map_err(io::Error::other)?;
        let gone = &mut self.gone;
        self.by_cpu.retain(|cpu, counters| {
            let stays = online.contains(cpu);
            if !stays {
                *gone += sum(counters.iter_mut()).unwrap_or(0);
            }
            stays
        });
        for cpu in online {
            if self.by_cpu.contains_key(&cpu) {
                continue;
            }
            let open = |&event: &Software| counting(event).observe_cgroup(&self.folder).one_cpu(cpu).build();
            match self.events.iter().map(open).collect() {
                Ok(counters) => {
                    self.by_cpu.insert(cpu, counters);
                }
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Events since the counters were opened.
    pub(crate) fn read(&mut self) -> io::Result<u64> {
        Ok(self.gone + sum(self.by_cpu.values_mut().flatten())?)
    }
}
