//! What faults brought into the page cache: how much, and how much of it no fault touched. Pages that the kernel maps around a
//! fault, as it does for those that are in memory, are used without a fault; so the part that was not touched is a bound from
//! above.

use crate::output::table::{ColumnHead, Value};
use crate::stats::page_set::PageSet;
use crate::trace::session::Session;

/// The columns, where the recording looked.
pub const HEADS: [ColumnHead; 3] = [
    ColumnHead::new("read_bytes"),
    ColumnHead::new("amplification"),
    ColumnHead::new("untouched_percent"),
];

/// What they mean.
pub const LEGEND: &str = "READ_BYTES: brought into the page cache by these faults, read-ahead included. AMPLIFICATION: that, divided by the \
                          size of the pages that faulted. UNTOUCHED_%: share of the pages brought in on which no fault was, at most: \
                          the kernel maps up to 16 pages around a fault, and these are used without one";

/// Pages that one fault can bring in; of more, the first are told apart.
const MOST_PAGES: u64 = 1 << 16;

/// Of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct BroughtIn {
    /// Pages, each as often as it was brought in; `None` where nobody looked.
    read: Option<u64>,
    pages: PageSet,
    /// Whether places are missing in `pages`.
    is_incomplete: bool,
}

impl BroughtIn {
    /// Takes in what a fault brought in, from a page on, if that is known.
    pub(crate) fn add(&mut self, count: u64, first: Option<u64>, weight: u64, room: &mut usize) {
        let read = self.read.get_or_insert(0);
        *read = read.saturating_add(count.saturating_mul(weight));
        if count == 0 {
            return;
        }
        let Some(first) = first.filter(|_| weight == 1) else {
            self.is_incomplete = true;
            return;
        };
        self.is_incomplete |= count > MOST_PAGES;
        for page in (first..=u64::MAX).take(usize::try_from(count.min(MOST_PAGES)).unwrap_or(0)) {
            self.is_incomplete |= !self.pages.insert_within(0, page, room);
        }
    }

    /// Of another object of the same name.
    pub(crate) fn sums(&self, touched: &PageSet) -> Sums {
        let known = !self.is_incomplete && self.read.is_some();
        let (brought, untouched) = if known {
            let mut both = touched.clone();
            both.merge(&self.pages);
            (self.pages.len(), both.len().saturating_sub(touched.len()))
        } else {
            (0, 0)
        };
        Sums {
            read: self.read,
            faulted: self.read.map_or(0, |_| touched.len()),
            brought,
            untouched,
            is_incomplete: self.is_incomplete,
        }
    }
}

/// Of several files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    read: Option<u64>,
    /// Distinct pages with a fault.
    faulted: u64,
    /// Distinct pages brought in, and those without a fault.
    brought: u64,
    untouched: u64,
    is_incomplete: bool,
}

impl Sums {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.read = match (self.read, other.read) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.faulted = self.faulted.saturating_add(other.faulted);
        self.brought = self.brought.saturating_add(other.brought);
        self.untouched = self.untouched.saturating_add(other.untouched);
        self.is_incomplete |= other.is_incomplete;
    }

    /// Whether anybody looked.
    #[must_use]
    pub(crate) fn are_known(&self) -> bool {
        self.read.is_some()
    }

    /// The cells of a row.
    #[must_use]
    pub(crate) fn cells(&self, session: &Session) -> [Value; 3] {
        let Some(read) = self.read else {
            return [Value::Null, Value::Null, Value::Null];
        };
        let thousandths = u128::from(read) * 1000;
        let amplification = thousandths.checked_div(u128::from(self.faulted));
        let amplification = amplification.filter(|_| read > 0 && !session.sampling().is_sampled());
        [
            Value::Bytes(read.saturating_mul(session.page_size())),
            amplification.map_or(Value::Null, |times| {
                Value::Decimal(u64::try_from(times).unwrap_or(u64::MAX))
            }),
            if self.is_incomplete || self.brought == 0 {
                Value::Null
            } else {
                Value::Percent {
                    part: self.untouched,
                    whole: self.brought,
                }
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_fault_touched_is_told_from_what_faults_did() {
        let mut room = 100;
        let mut brought = BroughtIn::default();
        let mut touched = PageSet::default();
        assert!(!brought.sums(&touched).are_known());
        // 16 pages, of which two have faults; then one of them again, alone; and a fault that brings in nothing.
        brought.add(16, Some(100), 1, &mut room);
        brought.add(1, Some(101), 1, &mut room);
        brought.add(0, None, 1, &mut room);
        [100, 101, 900]
            .into_iter()
            .for_each(|page| touched.insert(0, page));
        let sums = brought.sums(&touched);
        assert_eq!(
            (sums.read, sums.faulted, sums.brought, sums.untouched),
            (Some(17), 3, 16, 14)
        );
        // Of a place that is not known nothing is said of what was touched.
        brought.add(4, None, 1, &mut room);
        let sums = brought.sums(&touched);
        assert!(sums.is_incomplete && sums.read == Some(21) && sums.untouched == 0);
    }

    #[test]
    fn pages_beyond_the_end_of_all_pages_do_no_harm() {
        let mut brought = BroughtIn::default();
        brought.add(u64::MAX, Some(u64::MAX - 1), u64::MAX, &mut 1000);
        brought.add(u64::MAX, Some(u64::MAX - 1), 1, &mut 1000);
        assert_eq!(brought.sums(&PageSet::default()).read, Some(u64::MAX));
    }
}
