//! How much of a dictionary is taken, in all and by whom. Ids are never given again, so what is taken stays taken; a
//! process may take as much as it leaves to all others. So one that makes up ever new names has at most half of them.

use rustc_hash::FxHashMap;

/// Names of threads that get an id, a sixteenth of what the format allows: 60 MiB, with what the writer keeps of them.
pub const COMMS: usize = 1 << 18;

/// Bytes of objects that get an id, each with its path: an eighth of what a reader keeps of all dictionaries. 150 MiB.
pub const OBJECTS: usize = 32 << 20;

/// What all others are called, threads and objects.
pub const OTHERS: &str = "[others]";

/// A budget of names, or of bytes of names.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    /// Of the processes that live and have taken something.
    taken: FxHashMap<u32, usize>,
}

impl Budget {
    /// Nothing is taken of `size`.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            left: size,
            taken: FxHashMap::default(),
        }
    }

    /// Takes `cost` for process `pid`. False when it is over its part: then nothing is taken.
    #[must_use]
    pub fn take(&mut self, pid: u32, cost: usize) -> bool {
        let taken = self.taken.get(&pid).copied().unwrap_or(0) + cost;
        if taken > self.left {
            return false;
        }
        self.left -= cost;
        self.taken.insert(pid, taken);
        true
    }

    /// What a process has taken is as if its child had: else a name would be had for a fork.
    pub fn fork(&mut self, parent: u32, child: u32) {
        if let Some(&taken) = self.taken.get(&parent) {
            self.taken.insert(child, taken);
        }
    }

    /// The process has ended.
    pub fn forget(&mut self, pid: u32) {
        self.taken.remove(&pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(budget: &mut Budget, pid: u32) -> usize {
        std::iter::repeat_with(|| budget.take(pid, 1))
            .take_while(|is_taken| *is_taken)
            .count()
    }

    #[test]
    fn a_process_leaves_to_others_what_it_takes_and_so_do_its_children() {
        let mut budget = Budget::new(1000);
        assert_eq!(take_all(&mut budget, 7), 500);
        budget.fork(7, 8);
        assert_eq!(take_all(&mut budget, 8), 0);
        assert_eq!(take_all(&mut budget, 9), 250);
        budget.forget(7);
        assert_eq!(take_all(&mut budget, 7), 125);
        assert!(!budget.take(10, 126) && budget.take(10, 60) && !budget.take(10, 60));
    }
}
