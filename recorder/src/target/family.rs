//! The processes that descend from the launched command, for one question: whom did nobody wait for? `wait4(2)` knows
//! the faults of a process only if its parent waited for it, and so on up to the command.

use rustc_hash::FxHashMap;

use crate::pipeline::sideband::{Sideband, What};

/// Processes that are remembered; of a command that starts more, the later ones are not named.
const PROCESSES: usize = 1 << 16;

/// The command and its descendants.
#[derive(Debug, Default)]
pub struct Family {
    command: Option<u32>,
    members: FxHashMap<u32, Member>,
}

#[derive(Debug, Default)]
struct Member {
    parent: u32,
    name: String,
    /// When its first thread ended.
    end_ns: Option<u64>,
}

impl Family {
    /// That of `command`; of nobody without one.
    #[must_use]
    pub fn new(command: Option<u32>) -> Self {
        let members = command.map(|pid| (pid, Member::default()));
        Self {
            command,
            members: members.into_iter().collect(),
        }
    }

    /// Enters what a side-band record says; they come in about the order of time.
    pub fn look_at(&mut self, record: &Sideband) {
        if self.members.is_empty() {
            return;
        }
        match &record.what {
            What::Fork { parent_pid, .. } if *parent_pid != record.pid => {
                let Some(parent) = self.members.get(parent_pid) else {
                    return;
                };
                if self.members.len() < PROCESSES {
                    let member = Member {
                        parent: *parent_pid,
                        name: parent.name.clone(),
                        end_ns: None,
                    };
                    self.members.insert(record.pid, member);
                }
            }
            What::Comm { comm, .. } if record.pid == record.tid => {
                if let Some(member) = self.members.get_mut(&record.pid) {
                    member.name.clone_from(comm);
                }
            }
            What::Exit if record.pid == record.tid => {
                if let Some(member) = self.members.get_mut(&record.pid) {
                    member.end_ns = Some(record.ts_ns);
                }
            }
            _ => {}
        }
    }

    /// Processes that were still there when their parent ended, and their descendants, with what `counted` says of
    /// them; the largest first.
    #[must_use]
    pub fn unwaited(&self, counted: &FxHashMap<u32, u64>) -> Vec<(String, u64)> {
        let mut found: Vec<(String, u64)> = self
            .members
            .keys()
            .filter(|pid| self.is_unwaited(**pid))
            .filter_map(|pid| {
                let count = *counted.get(pid)?;
                let name = self.members.get(pid)?.name.escape_default();
                (count > 0).then(|| (format!("{pid} ({name})"), count))
            })
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }

    /// Whether it, or one between it and the command, outlived its parent.
    fn is_unwaited(&self, pid: u32) -> bool {
        let mut at = pid;
        for _ in 0..self.members.len() {
            if Some(at) == self.command {
                return false;
            }
            let Some(member) = self.members.get(&at) else {
                return false;
            };
            let parent_end = self.members.get(&member.parent).and_then(|parent| parent.end_ns);
            if parent_end.is_some_and(|end| member.end_ns.is_none_or(|own| own > end)) {
                return true;
            }
            at = member.parent;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ts_ns: u64, pid: u32, what: What) -> Sideband {
        Sideband {
            ts_ns,
            pid,
            tid: pid,
            what,
        }
    }

    fn fork(ts_ns: u64, pid: u32, parent: u32) -> Sideband {
        let what = What::Fork {
            parent_pid: parent,
            parent_tid: parent,
        };
        record(ts_ns, pid, what)
    }

    #[test]
    fn whoever_outlives_the_parent_was_not_waited_for_and_takes_the_children_along() {
        let mut family = Family::new(Some(10));
        let comm = What::Comm {
            comm: "daemon".to_owned(),
            exec: true,
        };
        let records = [
            fork(1, 11, 10),
            fork(2, 12, 11),
            record(3, 12, comm),
            fork(4, 13, 12),
            record(5, 13, What::Exit),
            record(6, 11, What::Exit),
            fork(7, 14, 10),
            record(8, 14, What::Exit),
            record(9, 10, What::Exit),
            // Of somebody else.
            fork(9, 21, 20),
        ];
        records.iter().for_each(|record| family.look_at(record));
        let counted = FxHashMap::from_iter([(10, 5), (11, 5), (12, 7), (13, 8), (14, 9), (21, 5)]);
        assert_eq!(
            family.unwaited(&counted),
            [("13 (daemon)".to_owned(), 8), ("12 (daemon)".to_owned(), 7)]
        );
        assert!(Family::new(None).unwaited(&counted).is_empty());
    }
}
