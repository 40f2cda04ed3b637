//! The fault accounting: for every thread, what the kernel counted, against what arrived, was lost, or was
//! invisible to the probes. Whether a record vanished on the way shows here: what a thread's records say does
//! not join then.

use pf_bpf::{Counts, Exec, Exit, Fault};
use rustc_hash::{FxHashMap, FxHashSet};

/// Processes whose sums are kept apart; those beyond are in the sums of all only.
const PROCESSES: usize = 1 << 16;

/// Sums over all recorded threads, since recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Major faults the kernel counted for these threads.
    pub kernel_majors: u64,
    /// Minor faults the kernel counted.
    pub kernel_minors: u64,
    /// Faults that arrived from the probes.
    pub arrived: u64,
    /// Of these, the major ones.
    pub arrived_majors: u64,
    /// Of those that arrived, what a software event told of.
    pub events: u64,
    /// Faults the probes saw and could not pass on.
    pub lost: u64,
    /// Faults the kernel counted without telling the probes.
    pub hidden: u64,
    /// Faults that were not asked for.
    pub filtered: u64,
    /// Faults that the kernel counted between two records of a thread, and neither tells of.
    pub gaps: u64,
    /// Failed faults that arrived. The kernel counts none of them.
    pub failed: u64,
    /// Threads that are still running, or whose end was not seen.
    pub live_threads: u64,
    /// Threads whose end the side-band told and the probes did not, and numbers that passed to another task without
    /// a word.
    pub ends_missing: u64,
}

impl Balance {
    /// Enters what was lost after the last record of a thread. `lost` is the probes' own count over all
    /// threads; each of these faults is one that the kernel counted, of a class nobody knows: taken
    /// as minor.
    #[must_use]
    pub fn with_losses(self, lost: u64) -> Self {
        let unseen = lost.saturating_sub(self.lost);
        Self {
            lost: self.lost + unseen,
            kernel_minors: self.kernel_minors + unseen,
            ..self
        }
    }

    /// What the kernel counted beyond what is accounted for. Not 0 where the sums themselves are wrong: what is missing
    /// is in `gaps` and `hidden`.
    #[cfg(test)]
    fn difference(&self) -> i128 {
        i128::from(self.kernel_majors) + i128::from(self.kernel_minors)
            - i128::from(self.arrived)
            - i128::from(self.lost)
            - i128::from(self.hidden)
            - i128::from(self.filtered)
            - i128::from(self.gaps)
    }
}

/// The running fault accounting.
#[derive(Debug, Default)]
pub struct Ledger {
    threads: FxHashMap<u32, Account>,
    /// Threads with an account whose end the side-band told, and the probes not yet.
    ended: FxHashSet<u32>,
    /// What the kernel counted for each process, by closed accounts.
    processes: FxHashMap<u32, u64>,
    /// What the records told, and the counters of the closed accounts.
    told: Balance,
}

/// What one task has told so far. The probes tell what was lost and hidden since the record before, so
/// accounts join without a gap.
#[derive(Clone, Copy, Debug)]
struct Account {
    tgid: u32,
    /// The kernel's counters before its first record.
    before: (u32, u32),
    latest: (u32, u32),
    /// Its end was told. It still touches its memory after that.
    exited: bool,
}

impl Ledger {
    /// Enters a fault that arrived.
    pub fn fault(&mut self, fault: &Fault) {
        self.told.failed += u64::from(fault.failed);
        if fault.abandoned {
            return;
        }
        let own = match (fault.failed, fault.major) {
            (true, _) => (0, 0),
            (false, true) => (1, 0),
            (false, false) => (0, 1),
        };
        self.told.arrived += u64::from(!fault.failed);
        self.told.arrived_majors += u64::from(own.0);
        self.told.events += u64::from(fault.is_event());
        self.enter(fault.tgid, fault.tid, fault.counts, own);
    }

    /// The end of a thread, as the probes tell it.
    pub fn exit(&mut self, exit: &Exit) {
        self.enter(exit.tgid, exit.tid, exit.counts, (0, 0));
        if self.ended.remove(&exit.tid) {
            self.close(exit.tid);
        } else if let Some(account) = self.threads.get_mut(&exit.tid) {
            account.exited = true;
        }
    }

    /// The end of a thread, as the side-band tells it: some time before or after the probes do.
    pub fn ended(&mut self, tid: u32) {
        match self.threads.get(&tid) {
            Some(account) if account.exited => self.close(tid),
            Some(_) => {
                self.ended.insert(tid);
            }
            None => {}
        }
    }

    /// A thread took over the number of the first one of its process.
    pub fn exec(&mut self, exec: &Exec) {
        let Some(old) = self.threads.remove(&exec.old_tid) else {
            return;
        };
        let merged = match self.threads.get(&exec.tid) {
            // The first thread is gone, so what came since is of this one.
            Some(new) => {
                self.told.gaps += gap(old.latest, new.before);
                Account {
                    before: old.before,
                    ..*new
                }
            }
            None => old,
        };
        self.threads.insert(exec.tid, merged);
    }

    /// The sums as they stand.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let mut balance = self.told;
        self.threads
            .values()
            .for_each(|account| account.add_to(&mut balance));
        balance.live_threads = self.threads.values().filter(|account| !account.exited).count() as u64;
        balance.ends_missing += self.ended.len() as u64;
        balance
    }

    /// What the kernel counted for each process.
    #[must_use]
    pub fn by_process(&self) -> FxHashMap<u32, u64> {
        let mut processes = self.processes.clone();
        for account in self.threads.values() {
            *processes.entry(account.tgid).or_default() += account.counted();
        }
        processes
    }

    fn enter(&mut self, tgid: u32, tid: u32, counts: Counts, own: (u32, u32)) {
        self.told.lost += u64::from(counts.lost);
        self.told.hidden += u64::from(counts.hidden);
        self.told.filtered += u64::from(counts.filtered);
        let latest = (counts.majors, counts.minors);
        let before = before(counts, own);
        if let Some(account) = self.threads.get_mut(&tid) {
            let gap = gap(account.latest, before);
            // The counters of a task only grow.
            let is_another = account.exited && gap > 0 || !joins(account.latest, before);
            if !is_another {
                account.latest = latest;
                self.told.gaps += gap;
                return;
            }
            // A number that comes again after an end is nothing special.
            self.told.ends_missing += u64::from(!account.exited);
            self.close(tid);
            self.ended.remove(&tid);
        }
        self.threads.insert(
            tid,
            Account {
                tgid,
                before,
                latest,
                exited: false,
            },
        );
    }

    fn close(&mut self, tid: u32) {
        let Some(account) = self.threads.remove(&tid) else {
            return;
        };
        account.add_to(&mut self.told);
        if self.processes.len() < PROCESSES || self.processes.contains_key(&account.tgid) {
            *self.processes.entry(account.tgid).or_default() += account.counted();
        }
    }
}

/// The counters before a record: without the fault that it tells of, and without those lost, hidden or
/// filtered before it, which have no class and are taken as minor as far as there are any.
fn before(counts: Counts, (majors, minors): (u32, u32)) -> (u32, u32) {
    let unseen = counts
        .lost
        .wrapping_add(counts.hidden)
        .wrapping_add(counts.filtered);
    let minors = counts.minors.wrapping_sub(minors);
    let from_minors = unseen.min(minors);
    (
        counts
            .majors
            .wrapping_sub(majors)
            .wrapping_sub(unseen - from_minors),
        minors - from_minors,
    )
}

fn sum((majors, minors): (u32, u32)) -> u32 {
    majors.wrapping_add(minors)
}

/// Whether both can be of one task: its counters, which wrap, do not go back.
fn joins(latest: (u32, u32), before: (u32, u32)) -> bool {
    sum(before).wrapping_sub(sum(latest)) < 1 << 31
}

/// What a task counted between two records.
fn gap(latest: (u32, u32), before: (u32, u32)) -> u64 {
    if joins(latest, before) {
        u64::from(sum(before).wrapping_sub(sum(latest)))
    } else {
        0
    }
}

impl Account {
    fn add_to(&self, balance: &mut Balance) {
        balance.kernel_majors += u64::from(self.latest.0.wrapping_sub(self.before.0));
        balance.kernel_minors += u64::from(self.latest.1.wrapping_sub(self.before.1));
    }

    fn counted(&self) -> u64 {
        u64::from(sum(self.latest).wrapping_sub(sum(self.before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(tid: u32, major: bool, majors: u32, minors: u32, lost: u32, hidden: u32) -> Fault {
        Fault {
            tid,
            major,
            counts: Counts {
                majors,
                minors,
                lost,
                hidden,
                filtered: 0,
            },
            ..Fault::default()
        }
    }

    #[test]
    fn the_books_of_a_thread_that_ran_before_count_from_its_first_fault() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 10, 101, 0, 0));
        ledger.fault(&fault(7, true, 11, 101, 0, 0));
        let balance = ledger.balance();
        assert_eq!(
            (balance.kernel_majors, balance.kernel_minors, balance.arrived),
            (1, 1, 2)
        );
        assert_eq!(balance.difference(), 0);
    }

    #[test]
    fn lost_and_hidden_faults_are_told_apart_and_balance() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 3, 0, 2));
        ledger.fault(&fault(7, false, 0, 9, 4, 1));
        let counts = Counts {
            majors: 1,
            minors: 9,
            hidden: 1,
            ..Counts::default()
        };
        ledger.exit(&Exit {
            tid: 7,
            counts,
            ..Exit::default()
        });
        let balance = ledger.balance();
        assert_eq!((balance.arrived, balance.lost, balance.hidden), (2, 4, 4));
        assert_eq!(
            (balance.kernel_majors, balance.kernel_minors, balance.live_threads),
            (1, 9, 0)
        );
        assert_eq!(balance.difference(), 0);
    }

    #[test]
    fn what_was_lost_after_the_last_record_of_a_thread_is_entered_from_the_probes_count() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 3, 2, 0));
        let balance = ledger.balance().with_losses(9);
        assert_eq!(
            (balance.kernel_minors, balance.lost, balance.difference()),
            (10, 9, 0)
        );
    }

    fn exit(tid: u32, minors: u32) -> Exit {
        Exit {
            tid,
            counts: Counts {
                minors,
                ..Counts::default()
            },
            ..Exit::default()
        }
    }

    /// Faults, hidden ones, gaps and missing ends; the sums are right in any case.
    fn figures(ledger: &Ledger) -> (u64, u64, u64, u64) {
        let balance = ledger.balance();
        assert_eq!(balance.difference(), 0);
        (
            balance.arrived,
            balance.hidden,
            balance.gaps,
            balance.ends_missing,
        )
    }

    #[test]
    fn an_exec_from_a_second_thread_goes_on_with_its_account_under_the_number_of_the_first() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 500, 0, 0));
        ledger.fault(&fault(8, false, 0, 33, 0, 32));
        ledger.exit(&exit(7, 500));
        ledger.fault(&fault(7, false, 0, 34, 0, 0));
        ledger.exec(&Exec {
            tid: 7,
            old_tid: 8,
            ..Exec::default()
        });
        ledger.fault(&fault(7, false, 0, 35, 0, 0));
        assert_eq!(figures(&ledger), (4, 32, 0, 0));
        assert_eq!(ledger.balance().live_threads, 1);
    }

    #[test]
    fn a_record_that_vanished_is_a_gap_of_as_many_faults() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 1, 0, 0));
        // The two that came before this one, and one that was hidden before those.
        ledger.fault(&fault(7, false, 0, 5, 0, 0));
        assert_eq!(figures(&ledger), (2, 0, 3, 0));
        // Before an exec.
        ledger.fault(&fault(8, false, 0, 10, 0, 0));
        ledger.exit(&exit(7, 5));
        ledger.fault(&fault(7, false, 0, 15, 0, 0));
        ledger.exec(&Exec {
            tid: 7,
            old_tid: 8,
            ..Exec::default()
        });
        assert_eq!(figures(&ledger), (4, 0, 3 + 4, 0));
    }

    #[test]
    fn a_number_that_passes_on_without_a_word_lacks_an_end() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 500, 0, 0));
        ledger.fault(&fault(7, false, 0, 2, 0, 0));
        assert_eq!(figures(&ledger), (2, 0, 0, 1));
        // After an end it is nothing special, whatever the counters say.
        ledger.exit(&exit(7, 2));
        ledger.fault(&fault(7, false, 0, 900, 0, 0));
        assert_eq!(figures(&ledger), (3, 0, 0, 1));
    }

    #[test]
    fn the_side_band_knows_of_an_end_that_the_probes_did_not_tell() {
        let mut ledger = Ledger::default();
        for tid in [7, 8, 9] {
            ledger.fault(&fault(tid, false, 0, 1, 0, 0));
        }
        // In either order; and what a thread does after its end belongs to it.
        ledger.exit(&exit(7, 1));
        ledger.fault(&fault(7, false, 0, 2, 0, 0));
        ledger.ended(7);
        ledger.ended(8);
        ledger.exit(&exit(8, 1));
        ledger.ended(9);
        assert_eq!(figures(&ledger), (4, 0, 0, 1));
        assert_eq!(ledger.by_process(), FxHashMap::from_iter([(0, 4)]));
    }

    #[test]
    fn a_failed_fault_is_none_of_the_kernels_and_a_filtered_one_is() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 1, 0, 0));
        ledger.fault(&Fault {
            failed: true,
            ..fault(7, true, 0, 1, 0, 0)
        });
        let mut last = fault(7, true, 1, 4, 0, 0);
        last.counts.filtered = 3;
        ledger.fault(&last);
        let balance = ledger.balance();
        assert_eq!(
            (balance.kernel_majors, balance.kernel_minors, balance.arrived),
            (1, 4, 2)
        );
        assert_eq!(
            (balance.failed, balance.filtered, balance.difference()),
            (1, 3, 0)
        );
    }

    #[test]
    fn counters_that_wrap_are_no_flood_of_faults() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, u32::MAX, 0, 0));
        ledger.fault(&fault(7, false, 0, 0, 0, 0));
        assert_eq!(ledger.balance().kernel_minors, 2);
    }

    #[test]
    fn a_thread_without_a_single_arrived_fault_still_counts() {
        let mut ledger = Ledger::default();
        let counts = Counts {
            majors: 0,
            minors: 5,
            lost: 5,
            ..Counts::default()
        };
        ledger.exit(&Exit {
            tid: 9,
            counts,
            ..Exit::default()
        });
        assert_eq!(
            (ledger.balance().kernel_minors, ledger.balance().difference()),
            (5, 0)
        );
    }
}
