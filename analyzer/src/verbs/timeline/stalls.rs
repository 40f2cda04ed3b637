//! The stalls that were found: their number and summed time, and the longest of them one by one.

use std::cmp::Reverse;

/// A stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From when on enough threads were inside a fault.
    pub begin_ns: u64,
    /// Until when.
    pub end_ns: u64,
    /// The most threads that were inside a fault at once.
    pub peak: u32,
    /// Threads alive when it was at its peak first.
    pub alive: u32,
    /// Time that threads spent inside faults during it, summed over threads.
    pub wait_ns: u64,
}

impl Window {
    /// How long it took.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.begin_ns)
    }
}

/// All stalls.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    longest: Vec<Window>,
    kept: usize,
    /// How many.
    pub count: u64,
    /// How long together.
    pub length_ns: u64,
    /// Wait in all of them.
    pub wait_ns: u64,
}

impl Windows {
    /// Keeps so many of the longest.
    #[must_use]
    pub fn keeping(kept: usize) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    /// Adds one.
    pub fn add(&mut self, window: Window) {
        self.count += 1;
        self.length_ns = self.length_ns.saturating_add(window.length_ns());
        self.wait_ns = self.wait_ns.saturating_add(window.wait_ns);
        self.longest.push(window);
        if self.longest.len() >= 2 * self.kept + 64 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.longest
            .sort_by_key(|window| (Reverse(window.length_ns()), window.begin_ns));
        self.longest.truncate(self.kept);
    }

    /// The longest first.
    #[must_use]
    pub fn longest(mut self) -> Vec<Window> {
        self.cut();
        self.longest
    }
}
