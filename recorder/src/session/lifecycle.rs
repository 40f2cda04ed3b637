//! How side-band records change what is known: names, mappings, beginnings and ends.

use pf_bpf::{Exec, Exit};
use pf_formats::{CommId, Happening, TimelineEntry};
use rustc_hash::FxHashSet;

use super::{Members, Process, Session, Thread, happening, to_mapping};
use crate::pipeline::sideband::{Map, Sideband, What};

impl Session {
    pub(super) fn sideband(&mut self, record: Sideband) {
        let Sideband {
            ts_ns,
            pid,
            tid,
            what,
        } = record;
        if let What::Fork {
            parent_pid,
            parent_tid,
        } = what
        {
            return self.fork(ts_ns, (pid, tid), (parent_pid, parent_tid));
        }
        if !self.is_member(pid) {
            return;
        }
        match what {
            What::Map(map) => {
                let process = self.processes.entry(pid).or_default();
                if ts_ns >= process.known_since_ns {
                    self.programs.mapped(pid, ts_ns, &map);
                    self.map(ts_ns, pid, tid, &map);
                }
            }
            What::Comm { comm, exec } => {
                if exec {
                    let process = self.processes.entry(pid).or_default();
                    // What /proc said was of the program before, or is read again soon.
                    self.seen.forget(pid);
                    process.seen_ns = 0;
                    // Maps that were read later are those of the new program already.
                    if ts_ns >= process.known_since_ns {
                        process.space.clear();
                    }
                    process.renewal.take_if(|renewal| ts_ns >= renewal.from_ns);
                    if self.held.is(pid) {
                        self.held.exec(pid, ts_ns);
                        self.programs.exec_of_command(pid, ts_ns);
                    } else {
                        self.programs.exec(pid, ts_ns);
                    }
                }
                let comm = self.dictionary.comm(&comm, pid, ts_ns);
                self.add_thread(tid, pid, comm);
                self.note(ts_ns, pid, tid, Happening::Comm { comm, exec });
            }
            What::Exit => self.exit(ts_ns, pid, tid),
            What::Fork { .. } => {}
        }
    }

    fn fork(&mut self, ts_ns: u64, (pid, tid): (u32, u32), (parent_pid, parent_tid): (u32, u32)) {
        if pid != parent_pid {
            if let Members::Some { pids, children: true } = &self.members
                && pids.contains(&parent_pid)
            {
                self.join(pid);
            }
            if !self.is_member(pid) {
                return;
            }
            let like_parent = |parent: &Process| Process {
                space: parent.space.clone(),
                crowded_at: parent.crowded_at,
                ..Process::default()
            };
            let process = self.processes.get(&parent_pid).map(like_parent);
            let process = process.unwrap_or_default();
            self.processes.insert(pid, process);
            self.dictionary.fork(parent_pid, pid);
            self.programs.fork(parent_pid, pid, ts_ns);
        } else if !self.is_member(pid) {
            return;
        }
        let comm = self
            .threads
            .get(&parent_tid)
            .map_or(CommId::default(), |parent| parent.comm);
        self.add_thread(tid, pid, comm);
        self.note(
            ts_ns,
            pid,
            tid,
            Happening::Fork {
                parent_pid,
                parent_tid,
            },
        );
    }

    /// The counters come from the probes just before the side-band record of the same end.
    pub(super) fn counters(&mut self, exit: &Exit) {
        if let Some(thread) = self.threads.get_mut(&exit.tid) {
            thread.counters = Some((exit.counts.majors, exit.counts.minors));
        }
    }

    /// The side-band tells the end of the first thread, whose number this one has from now on, and nothing of the number
    /// that it had.
    pub(super) fn exec(&mut self, exec: &Exec) {
        if self.threads.contains_key(&exec.old_tid) {
            self.exit(exec.ts_ns, exec.tgid, exec.old_tid);
        }
    }

    fn exit(&mut self, ts_ns: u64, pid: u32, tid: u32) {
        self.queries.forget(tid);
        let counters = self.threads.remove(&tid).and_then(|thread| thread.counters);
        let (majors, minors) = counters.unwrap_or_default();
        let what = Happening::Exit {
            maj_flt: u64::from(majors),
            min_flt: u64::from(minors),
            counters_known: counters.is_some(),
        };
        self.note(ts_ns, pid, tid, what);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads = process.threads.saturating_sub(1);
            if process.threads == 0 {
                self.forget(pid, ts_ns);
            }
        }
    }

    fn forget(&mut self, pid: u32, at_ns: u64) {
        self.processes.remove(&pid);
        self.programs.end(pid, at_ns);
        self.seen.forget(pid);
        self.dictionary.forget(pid);
        // Its number may go to somebody who does not belong here.
        if let Members::Some { pids, .. } = &mut self.members {
            pids.remove(&pid);
        }
    }

    /// Processes whose end was lost, or that of one of their threads: they were missed when all that is through now was
    /// still to come.
    pub(super) fn bury_the_gone(&mut self) {
        let settled_ns = self.settled_ns;
        let is_over = |process: &Process| process.gone_ns.is_some_and(|gone_ns| gone_ns < settled_ns);
        let processes = self.processes.iter();
        let gone: FxHashSet<u32> = processes
            .filter(|(_, process)| is_over(process))
            .map(|(pid, _)| *pid)
            .collect();
        if gone.is_empty() {
            return;
        }
        let queries = &mut self.queries;
        self.threads.retain(|tid, thread| {
            let is_gone = gone.contains(&thread.pid);
            if is_gone {
                queries.forget(*tid);
            }
            !is_gone
        });
        gone.into_iter().for_each(|pid| self.forget(pid, settled_ns));
    }

    pub(super) fn map(&mut self, ts_ns: u64, pid: u32, tid: u32, map: &Map) {
        let mapping = to_mapping(&mut self.dictionary, pid, ts_ns, map);
        let process = self.processes.entry(pid).or_default();
        process.space.insert(map.start, mapping);
        if let Some(renewal) = &mut process.renewal {
            renewal.insert(ts_ns, map.start, mapping);
        }
        self.renew_if_crowded(pid);
        let what = happening(map, mapping.object);
        self.note(ts_ns, pid, tid, what);
    }

    pub(super) fn add_thread(&mut self, tid: u32, pid: u32, comm: CommId) {
        let known = self.threads.insert(
            tid,
            Thread {
                pid,
                comm,
                counters: None,
            },
        );
        if known.is_none() {
            self.processes.entry(pid).or_default().threads += 1;
        }
    }

    pub(super) fn note(&mut self, ts_ns: u64, pid: u32, tid: u32, what: Happening) {
        if !self.held.is(pid) {
            self.timeline.push(TimelineEntry {
                ts_ns,
                pid,
                tid,
                what,
            });
        }
    }

    pub(super) fn join(&mut self, pid: u32) {
        if let Members::Some { pids, .. } = &mut self.members {
            pids.insert(pid);
        }
    }

    pub(super) fn is_member(&self, pid: u32) -> bool {
        match &self.members {
            Members::All => pid != std::process::id(),
            Members::Some { pids, .. } => pids.contains(&pid),
        }
    }
}
