//! The order in which pages came into memory, of the faults of a block. Faults stand in a trace by their ends, and who waited for a
//! page can be through before the one who reads it. So it is asked first which majors read their page, as in [`crate::stats::rereads`], and
//! a read takes its turn as soon as a fault of its page was done in the middle of it: the page was there then.

use crate::stats::rereads::{Major, Recent};
use crate::trace::class::Class;
use crate::verbs::memory::page_order::PageKey;
use crate::verbs::memory::page_order::Role;
use std::cmp::Reverse;

/// A fault that was not failed.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Row of the block.
    pub row: usize,
    /// Its page.
    pub key: PageKey,
    /// Entry.
    pub begin_ns: u64,
    /// Completion.
    pub end_ns: u64,
    /// Its part in the reading.
    pub role: Role,
    came_ns: u64,
}

impl Turn {
    /// A fault of a class; which majors read is not known yet.
    #[must_use]
    pub fn new(row: usize, key: PageKey, (begin_ns, end_ns): (u64, u64), class: Class) -> Self {
        Self {
            row,
            key,
            begin_ns,
            end_ns,
            role: if class == Class::Major {
                Role::Waits
            } else {
                Role::Minor
            },
            came_ns: end_ns,
        }
    }
}

/// Puts the faults of one block after the other into order.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    recent: Recent<usize>,
}

impl Turns {
    /// Tells who reads, and puts the faults of a block in the order in which their pages came.
    pub fn settle(&mut self, turns: &mut [Turn]) {
        let majors = turns
            .iter()
            .enumerate()
            .filter(|(_, turn)| turn.role != Role::Minor);
        for (index, turn) in majors {
            self.recent.add(Major {
                object: turn.key.object(),
                page: turn.key.page,
                begin_ns: turn.begin_ns,
                end_ns: turn.end_ns,
                of: index,
            });
        }
        // By page and begin; two reads of a page do not overlap.
        let mut reads = self.recent.reads();
        reads.sort_by_key(|read| (read.object, read.page, read.begin_ns));
        for read in &reads {
            if let Some(turn) = turns.get_mut(read.of) {
                turn.role = Role::Reads;
            }
        }
        for turn in turns.iter().filter(|turn| turn.role != Role::Reads) {
            let place = (turn.key.object(), turn.key.page);
            let done = (place.0, place.1, turn.end_ns);
            let behind = reads.partition_point(|read| (read.object, read.page, read.begin_ns) < done);
            let read = behind.checked_sub(1).and_then(|index| reads.get_mut(index));
            if let Some(read) = read
                && (read.object, read.page) == place
            {
                read.end_ns = read.end_ns.min(turn.end_ns);
            }
        }
        for read in &reads {
            if let Some(turn) = turns.get_mut(read.of) {
                turn.came_ns = read.end_ns;
            }
        }
        turns.sort_unstable_by_key(|turn| (turn.came_ns, Reverse(turn.role == Role::Reads), turn.row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Minor, Reads, Waits};

    /// Rows and roles of majors and minors with a page, a begin and an end, in the order of their turns.
    fn settled(turns: &mut Turns, faults: &[(Class, u64, u64, u64)]) -> Vec<(usize, Role)> {
        let faults = faults.iter().enumerate();
        let mut block: Vec<Turn> = faults
            .map(|(row, &(class, page, begin_ns, end_ns))| {
                Turn::new(row, PageKey::of_file(1, page), (begin_ns, end_ns), class)
            })
            .collect();
        turns.settle(&mut block);
        block.iter().map(|turn| (turn.row, turn.role)).collect()
    }

    #[test]
    fn who_waited_for_a_read_and_was_through_first_comes_behind_it() {
        let faults = [
            (Class::Minor, 5, 12, 98),
            (Class::Major, 5, 10, 100),
            (Class::Minor, 5, 11, 99),
            (Class::Minor, 6, 0, 50),
            (Class::Major, 7, 0, 97),
        ];
        assert_eq!(
            settled(&mut Turns::default(), &faults),
            [(3, Minor), (4, Reads), (1, Reads), (0, Minor), (2, Minor)]
        );
    }

    #[test]
    fn of_majors_that_wait_together_the_first_one_reads_whoever_is_through_first() {
        let faults = [
            (Class::Major, 5, 11, 20),
            (Class::Major, 5, 10, 100),
            (Class::Major, 5, 100, 101),
        ];
        let mut turns = Turns::default();
        assert_eq!(settled(&mut turns, &faults), [(1, Reads), (0, Waits), (2, Reads)]);
        // It waits for what the block before has read.
        assert_eq!(settled(&mut turns, &[(Class::Major, 5, 100, 102)]), [(0, Waits)]);
    }

    #[test]
    fn a_minor_between_two_reads_does_not_join_them() {
        let faults = [
            (Class::Major, 5, 0, 10),
            (Class::Minor, 5, 9, 20),
            (Class::Major, 5, 15, 30),
        ];
        assert_eq!(
            settled(&mut Turns::default(), &faults),
            [(0, Reads), (2, Reads), (1, Minor)]
        );
    }
}
