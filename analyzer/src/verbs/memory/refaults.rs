//! Pages that were faulted again: how often, after how long, after how many other pages, and what more memory would have
//! avoided. It knows faults in the order in which they were done, and nothing of frames, names and words.

use crate::stats::bounded_map::{Kept, Sum};
use crate::stats::by_class::Fault;
use crate::stats::histogram::Histogram;
use crate::trace::class::Class;
use crate::verbs::memory::curve::{Curve, Tally};
use crate::verbs::memory::page_groups::Groups;
use crate::verbs::memory::page_order::{Before, Pages};
use crate::verbs::memory::turns::Turn;

/// Pages followed at a time, 7 GiB of them if they have 4 KiB; some 180 bytes each while a table grows. Seven eighths of a
/// power of two: what a hash table of that size holds.
pub(crate) const MOST_PAGES: usize = 7 << 18;

/// Decades of time between two faults of a page: below 10 ns, below 100 ns, … up to 584 years.
pub const DECADES: usize = 20;

/// Refaults of both classes at one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both {
    /// Read from disk again.
    pub major: Tally,
    /// Still in memory, or made anew.
    pub minor: Tally,
}

/// The faults of one object, or of all.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Every major, followed or not.
    pub majors: Tally,
    /// Every minor, followed or not.
    pub minors: Tally,
    /// Majors of followed pages, scaled up.
    pub followed: Tally,
    /// Of these, majors whose page had been faulted before, and was gone.
    pub again: Tally,
    /// Of these, majors that waited for what another fault of the page waited for.
    pub at_once: Tally,
    /// Minors of followed pages that had been faulted before.
    pub minor_again: Tally,
    /// Distances of majors, those that waited for another's refault included.
    pub distances: Histogram,
}

impl Faults {
    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.majors, other.majors),
            (&mut self.minors, other.minors),
            (&mut self.followed, other.followed),
            (&mut self.again, other.again),
            (&mut self.at_once, other.at_once),
            (&mut self.minor_again, other.minor_again),
        ];
        for (own, theirs) in pairs {
            own.merge(theirs);
        }
        self.distances.merge(&other.distances);
    }

    /// A part of the followed majors as a part of all majors, which are counted exactly.
    #[must_use]
    pub fn of_all(&self, part: Tally) -> Tally {
        Tally {
            count: scaled(part.count, self.majors.count, self.followed.count),
            wait_ns: scaled(part.wait_ns, self.majors.wait_ns, self.followed.wait_ns),
        }
    }
}

impl Sum for Faults {
    fn weight(&self) -> u128 {
        u128::from(self.majors.wait_ns) + u128::from(self.minors.wait_ns)
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, &other);
    }
}

/// `part × whole / of`, rounded; `part` where they are the same.
fn scaled(part: u64, whole: u64, of: u64) -> u64 {
    if whole == of || of == 0 {
        return part;
    }
    let product = u128::from(part) * u128::from(whole) + u128::from(of) / 2;
    u64::try_from(product / u128::from(of)).unwrap_or(u64::MAX)
}

/// The collector.
#[derive(Clone, Debug)]
pub struct Refaults {
    pages: Pages,
    objects: Kept<u32, Faults>,
    /// The slot of the fault before, which mostly was on the same object.
    last: Option<(u32, usize)>,
    groups: Groups,
    times: [Both; DECADES],
    minor_distances: Curve,
}

impl Default for Refaults {
    fn default() -> Self {
        Self::following(MOST_PAGES)
    }
}

impl Refaults {
    /// Follows at most so many pages at a time.
    #[must_use]
    pub fn following(most_pages: usize) -> Self {
        Self {
            pages: Pages::at_most(most_pages),
            objects: Kept::default(),
            last: None,
            groups: Groups::default(),
            times: [Both::default(); DECADES],
            minor_distances: Curve::default(),
        }
    }

    /// Adds one fault that was not failed, in the order in which pages came.
    pub fn add(&mut self, object: u32, turn: &Turn, fault: &Fault) {
        let is_major = fault.class == Class::Major;
        let latency_ns = fault.latency_ns;
        let slot = self.slot(object);
        let faults = self.objects.at(slot);
        if is_major {
            faults.majors.add(latency_ns, 1);
        } else {
            faults.minors.add(latency_ns, fault.weight);
        }
        let hash = turn.key.hash();
        let Some(seen) = self
            .pages
            .fault(turn.key, hash, turn.role, (turn.begin_ns, turn.end_ns))
        else {
            return;
        };
        let times = seen.stands_for;
        let distance = match seen.before {
            Before::Nothing => None,
            Before::AtOnce { pages } => pages,
            Before::Fault { pages, .. } => Some(pages),
        };
        if let Before::Fault { pages, since_ns } = seen.before {
            let decade = since_ns.max(1).ilog10() as usize;
            if let Some(both) = self.times.get_mut(decade) {
                let tally = if is_major {
                    &mut both.major
                } else {
                    &mut both.minor
                };
                tally.add(latency_ns, times);
            }
            if is_major {
                faults.again.add(latency_ns, times);
            } else {
                faults.minor_again.add(latency_ns, times);
                self.minor_distances.add(pages, latency_ns, times);
            }
        }
        if is_major {
            faults.followed.add(latency_ns, times);
            self.groups.add(hash, distance, latency_ns, times);
            if let Some(pages) = distance {
                faults.distances.add_times(pages, times);
            }
            if matches!(seen.before, Before::AtOnce { .. }) {
                faults.at_once.add(latency_ns, times);
            }
        }
    }

    /// Adds a minor fault to the counts alone.
    pub(crate) fn count_minor(&mut self, object: u32, fault: &Fault) {
        let slot = self.slot(object);
        self.objects.at(slot).minors.add(fault.latency_ns, fault.weight);
    }

    fn slot(&mut self, object: u32) -> usize {
        if let Some((_, slot)) = self.last.filter(|(last, _)| *last == object) {
            return slot;
        }
        let slot = self.objects.slot(object);
        self.last = Some((object, slot));
        slot
    }

    /// By object, without those that were too many.
    pub fn objects(&self) -> impl Iterator<Item = (&u32, &Faults)> {
        self.objects.iter()
    }

    /// Of the objects that were too many, and how many these are.
    #[must_use]
    pub(crate) fn other_objects(&self) -> Option<(&Faults, String)> {
        let count = self.objects.describe_others("files and kinds of memory")?;
        Some((self.objects.others()?, count))
    }

    /// All objects together.
    #[must_use]
    pub fn all(&self) -> Faults {
        let mut all = Faults::default();
        let kept = self.objects.iter().map(|(_, faults)| faults);
        kept.chain(self.objects.others())
            .for_each(|faults| all.merge(faults));
        all
    }

    /// Refaults by the time since the fault before: element `n` has those of 10^n nanoseconds and more.
    #[must_use]
    pub fn times(&self) -> &[Both; DECADES] {
        &self.times
    }

    /// Majors by distance, those that waited for another's refault included.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.groups.curve()
    }

    /// Distances of minor refaults.
    #[must_use]
    pub(crate) fn minor_distances(&self) -> &Curve {
        &self.minor_distances
    }

    /// One page in so many is followed; with 1, numbers are exact.
    #[must_use]
    pub fn one_in(&self) -> u64 {
        self.pages.one_in()
    }

    /// Pages followed at the end.
    #[must_use]
    pub fn pages_followed(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Two standard errors of the shares of majors and of waiting that `room` pages avoid, in tenths of a percent; 0 when
    /// every page is followed.
    #[must_use]
    pub fn error_per_mille(&self, room: u64) -> (u64, u64) {
        match self.one_in() {
            1 => (0, 0),
            _ => self.groups.error_per_mille(room),
        }
    }
}
