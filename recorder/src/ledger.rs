//! The books: for every thread, what the kernel counted, against what arrived, was lost, or was
//! invisible to the probes. This is how pfrec knows that nothing is missing.

use pf_bpf::{Counts, Exit, Fault};
use rustc_hash::FxHashMap;

/// Sums over all recorded threads, since recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Major faults the kernel counted for these threads.
    pub kernel_majors: u64,
    /// Minor faults the kernel counted.
    pub kernel_minors: u64,
    /// Faults that arrived from the probes.
    pub arrived: u64,
    /// Faults the probes saw and could not pass on.
    pub lost: u64,
    /// Faults the kernel counted without telling the probes.
    pub hidden: u64,
    /// Faults that were not asked for.
    pub filtered: u64,
    /// Failed faults that arrived. The kernel counts none of them.
    pub failed: u64,
    /// Threads that are still running, or whose end was not seen.
    pub live_threads: u64,
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

    /// What the kernel counted beyond what is accounted for; 0 when the books balance.
    #[must_use]
    pub fn difference(&self) -> i128 {
        i128::from(self.kernel_majors) + i128::from(self.kernel_minors)
            - i128::from(self.arrived)
            - i128::from(self.lost)
            - i128::from(self.hidden)
            - i128::from(self.filtered)
    }
}

/// The running books.
#[derive(Debug, Default)]
pub struct Ledger {
    threads: FxHashMap<u32, Account>,
    /// What the records told, and the counters of the closed accounts.
    told: Balance,
}

/// What one task has told so far. The probes tell what was lost and hidden since the record before, so
/// accounts join without a gap.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// The kernel's counters before its first record.
    before: (u32, u32),
    latest: (u32, u32),
}

impl Ledger {
    /// Enters a fault that arrived.
    pub fn fault(&mut self, fault: &Fault) {
        let own = match (fault.failed, fault.major) {
            (true, _) => (0, 0),
            (false, true) => (1, 0),
            (false, false) => (0, 1),
        };
        self.told.failed += u64::from(fault.failed);
        self.told.arrived += u64::from(!fault.failed);
        self.enter(fault.tid, fault.counts, own);
    }

    /// Closes the account of a thread that ended.
    pub fn exit(&mut self, exit: &Exit) {
        self.enter(exit.tid, exit.counts, (0, 0));
        if let Some(account) = self.threads.remove(&exit.tid) {
            account.add_to(&mut self.told);
        }
    }

    /// The books as they stand.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let mut balance = self.told;
        self.threads
            .values()
            .for_each(|account| account.add_to(&mut balance));
        balance.live_threads = self.threads.len() as u64;
        balance
    }

    fn enter(&mut self, tid: u32, counts: Counts, own: (u32, u32)) {
        self.told.lost += u64::from(counts.lost);
        self.told.hidden += u64::from(counts.hidden);
        self.told.filtered += u64::from(counts.filtered);
        let latest = (counts.majors, counts.minors);
        let before = before(counts, own);
        match self.threads.get_mut(&tid) {
            // A thread number can pass to another task: by an exec from a second thread, or when the end
            // of the first one was lost. Then the counters do not join.
            Some(account) if sum(account.latest) == sum(before) => account.latest = latest,
            _ => {
                if let Some(other) = self.threads.insert(tid, Account { before, latest }) {
                    other.add_to(&mut self.told);
                }
            }
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

impl Account {
    fn add_to(&self, balance: &mut Balance) {
        balance.kernel_majors += u64::from(self.latest.0.wrapping_sub(self.before.0));
        balance.kernel_minors += u64::from(self.latest.1.wrapping_sub(self.before.1));
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

    #[test]
    fn a_number_that_passes_to_another_task_opens_a_new_account() {
        let mut ledger = Ledger::default();
        // An exec from a second thread: its faults go on under the number of the first.
        ledger.fault(&fault(7, false, 0, 500, 0, 0));
        ledger.fault(&fault(8, false, 0, 1, 0, 32));
        ledger.fault(&fault(7, false, 0, 2, 0, 0));
        // A fault after the end of a thread.
        ledger.exit(&Exit {
            tid: 7,
            counts: Counts {
                minors: 2,
                ..Counts::default()
            },
            ..Exit::default()
        });
        ledger.fault(&fault(7, false, 0, 3, 0, 0));
        let balance = ledger.balance();
        assert_eq!(
            (balance.arrived, balance.hidden, balance.difference()),
            (4, 32, 0)
        );
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
