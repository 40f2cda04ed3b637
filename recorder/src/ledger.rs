//! The books: for every thread, what the kernel counted, against what arrived, was lost, or was
//! invisible to the probes. This is how pfrec knows that nothing is missing.

use std::collections::HashMap;

use pf_bpf::{Counts, Exit, Fault};

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
    }
}

/// The running books.
#[derive(Debug, Default)]
pub struct Ledger {
    threads: HashMap<u32, Account>,
    closed: Balance,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    /// The counters as recording began for this thread; `lost` and `hidden` begin at 0.
    majors_before: u32,
    minors_before: u32,
    latest: Counts,
    arrived: u64,
}

impl Ledger {
    /// Enters a fault that arrived.
    pub fn fault(&mut self, fault: &Fault) {
        let account = self.threads.entry(fault.tid).or_insert_with(|| {
            let (majors, minors) = if fault.major { (1, 0) } else { (0, 1) };
            Account::opened(fault.counts, majors, minors)
        });
        account.latest = fault.counts;
        account.arrived += 1;
    }

    /// Closes the account of a thread that ended.
    pub fn exit(&mut self, exit: &Exit) {
        let mut account = self
            .threads
            .remove(&exit.tid)
            .unwrap_or_else(|| Account::opened(exit.counts, 0, 0));
        account.latest = exit.counts;
        account.add_to(&mut self.closed);
    }

    /// The books as they stand.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let mut balance = self.closed;
        self.threads
            .values()
            .for_each(|account| account.add_to(&mut balance));
        balance.live_threads = self.threads.len() as u64;
        balance
    }
}

impl Account {
    /// Works back from the first counters seen to those at the beginning: `majors` and `minors` are
    /// what this very record added. Faults lost or hidden before it have no class; they are taken as
    /// minors as far as there are any.
    fn opened(counts: Counts, majors: u32, minors: u32) -> Self {
        let unseen = counts.lost.wrapping_add(counts.hidden);
        let minors_before = counts.minors.wrapping_sub(minors);
        let from_minors = unseen.min(minors_before);
        Self {
            majors_before: counts
                .majors
                .wrapping_sub(majors)
                .wrapping_sub(unseen - from_minors),
            minors_before: minors_before - from_minors,
            latest: counts,
            arrived: 0,
        }
    }

    fn add_to(&self, balance: &mut Balance) {
        balance.kernel_majors += u64::from(self.latest.majors.wrapping_sub(self.majors_before));
        balance.kernel_minors += u64::from(self.latest.minors.wrapping_sub(self.minors_before));
        balance.arrived += self.arrived;
        balance.lost += u64::from(self.latest.lost);
        balance.hidden += u64::from(self.latest.hidden);
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
        ledger.fault(&fault(7, false, 0, 9, 4, 3));
        let counts = Counts {
            majors: 1,
            minors: 9,
            lost: 4,
            hidden: 4,
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
    fn a_record_that_never_arrived_shows_as_a_difference() {
        let mut ledger = Ledger::default();
        ledger.fault(&fault(7, false, 0, 1, 0, 0));
        ledger.fault(&fault(7, false, 0, 3, 0, 0));
        assert_eq!(ledger.balance().difference(), 1);
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
            hidden: 0,
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
