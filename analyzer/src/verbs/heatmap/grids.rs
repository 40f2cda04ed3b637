//! Where faults happen: one grid per file and one per address space, in bounded memory all together. When there are
//! too many places the lighter half is forgotten but for its sum; when there are too many cells the finest grids get
//! coarser. It does not know how anything is shown.

use crate::engine::partition::Faults;
use crate::engine::tally::Cell;
use crate::verbs::heatmap::grid::{Fineness, GAP_PAGES, Grid};
use crate::verbs::heatmap::window::Windows;
use polars::prelude::PlHashMap;
use std::cmp::Reverse;

/// Files and address spaces kept apart.
const MAX_PLACES: usize = 1024;

/// So many times outside of a window move it.
const OUTSIDE: u32 = 64;

/// A window that had fewer faults was not worth its moving.
const FEW: u64 = 4 * OUTSIDE as u64;

/// A grid may be too fine for windows yet: they are left alone for so many faults at most.
const MOST_ALONE: u32 = 1 << 13;

/// Windows of all places, each of which takes up to 100 KB.
const MAX_WINDOWS: usize = 128;

/// What has a grid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A file: pages are offsets.
    File(String),
    /// A process: pages are addresses.
    Process(u32),
    /// Everything: pages are steps of [`crate::verbs::heatmap::latency`].
    Latency,
}

/// A file or an address space.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which.
    pub key: Key,
    /// Its faults.
    pub grid: Grid,
    /// Their sum.
    pub total: Cell,
    /// Name of the thread that stands for a process.
    pub comm_id: u32,
    /// When it had that name, and whether it is the main thread: its last name is the best one.
    named: (bool, u64),
    with_longest: bool,
    windows: Windows,
    /// Faults outside of all windows since the last one moved.
    outside: u32,
    /// How many go into the grid without a look at windows after a window had few faults, and how many of them are left.
    alone: u32,
    alone_left: u32,
}

impl Place {
    /// Puts the first faults, those of one cell, into the grid, and says how many.
    fn put_first(&mut self, faults: &Faults<'_>) -> usize {
        let (count, sum) = self.grid.add_first(faults, self.with_longest);
        self.total.merge(sum);
        count
    }

    /// Puts the first faults into the grid while windows are left alone, and says how many.
    fn put_alone(&mut self, faults: &Faults<'_>) -> usize {
        let mut added = 0;
        while self.alone_left > 0 && added < faults.len() {
            let count = self.put_first(&faults.part(added..faults.len()));
            self.alone_left = self.alone_left.saturating_sub(count as u32);
            added += count;
        }
        added
    }

    fn empty_window(&mut self) {
        let (grid, total) = (&mut self.grid, &mut self.total);
        self.windows.take(|since_begin_ns, page, faults| {
            grid.add(since_begin_ns, page, faults);
            total.merge(faults);
        });
    }
}

/// The collector.
#[derive(Debug)]
pub struct Places {
    max_cells: usize,
    fineness: Fineness,
    gap_pages: u64,
    length_ns: u64,
    /// That of the grid that was finest at first: any becomes only coarser.
    finest_shift: Option<u32>,
    with_longest: bool,
    places: Vec<Place>,
    index: PlHashMap<Key, usize>,
    forgotten: Cell,
    generation: u64,
    windows: usize,
}

impl Places {
    /// For about `max_cells` cells, at most twice as many; address spaces are cut into regions where `split` says so.
    #[must_use]
    pub fn new(max_cells: usize, fineness: Fineness, split: bool) -> Self {
        Self {
            max_cells,
            fineness,
            gap_pages: if split { GAP_PAGES } else { u64::MAX },
            length_ns: 0,
            finest_shift: None,
            with_longest: true,
            places: Vec::new(),
            index: PlHashMap::default(),
            forgotten: Cell::default(),
            generation: 0,
            windows: 0,
        }
    }

    /// Does not look for the longest fault of each cell, which is 0 then.
    #[must_use]
    pub(crate) fn without_longest(self) -> Self {
        Self {
            with_longest: false,
            ..self
        }
    }

    /// How long a time to expect, as far as that is known.
    pub fn expect(&mut self, length_ns: u64) {
        self.length_ns = length_ns;
    }

    /// No grid, of now or later, has bins of less than 2^this nanoseconds.
    #[must_use]
    pub(crate) fn least_time_shift(&self) -> u32 {
        let next = self.fineness.time_shift(self.length_ns);
        self.finest_shift.map_or(next, |finest| finest.min(next))
    }

    /// The places, in no order.
    #[must_use]
    pub fn all(&self) -> &[Place] {
        &self.places
    }

    /// What the places had that were forgotten.
    #[must_use]
    pub fn forgotten(&self) -> Cell {
        self.forgotten
    }

    /// Changes when places were forgotten: slots are stale then.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The slot of a place, which is made if need be.
    pub(crate) fn slot(&mut self, key: Key) -> usize {
        if let Some(&slot) = self.index.get(&key) {
            return slot;
        }
        if self.places.len() >= MAX_PLACES {
            self.forget_lighter_half();
        }
        let gap_pages = match key {
            Key::File(_) | Key::Latency => u64::MAX,
            Key::Process(_) => self.gap_pages,
        };
        let slot = self.places.len();
        self.finest_shift = Some(self.least_time_shift());
        self.index.insert(key.clone(), slot);
        self.places.push(Place {
            key,
            grid: Grid::new(self.fineness, gap_pages, self.length_ns),
            total: Cell::default(),
            comm_id: 0,
            named: (false, 0),
            with_longest: self.with_longest,
            windows: Windows::default(),
            outside: 0,
            alone: OUTSIDE,
            alone_left: 0,
        });
        slot
    }

    /// Adds faults of one place.
    pub(crate) fn add_all(&mut self, slot: usize, faults: &Faults<'_>) {
        let mut rest = *faults;
        while let Some(place) = self.places.get_mut(slot) {
            let mut added = place.put_alone(&rest);
            added += place.windows.add_first(&rest.part(added..rest.len()));
            let outside = rest.part(added..rest.len());
            if outside.is_empty() {
                return;
            }
            added = self.add_outside(slot, &outside);
            rest = outside.part(added..outside.len());
        }
    }

    /// Adds the first faults, and says how many. A window moves to them once the grid has room.
    #[cold]
    fn add_outside(&mut self, slot: usize, faults: &Faults<'_>) -> usize {
        let (Some(place), Some((since_begin_ns, page, _))) = (self.places.get_mut(slot), faults.first())
        else {
            return faults.len();
        };
        let count = place.put_first(faults);
        place.outside = place.outside.wrapping_add(1);
        // A place that has only few faults needs no window.
        if !place.outside.is_multiple_of(OUTSIDE) {
            return count;
        }
        if let Some(bins) = place.grid.bins_of(since_begin_ns, page) {
            let window = place.windows.next_to_move();
            let is_new = window.is_empty();
            if is_new && self.windows >= MAX_WINDOWS {
                return count;
            }
            self.windows += usize::from(is_new);
            let (grid, total, mut taken) = (&mut place.grid, &mut place.total, 0u64);
            window.take(|since_begin_ns, page, faults| {
                grid.add(since_begin_ns, page, faults);
                total.merge(faults);
                taken = taken.saturating_add(faults.count);
            });
            window.move_to(bins, since_begin_ns, self.with_longest);
            if taken >= FEW {
                place.alone = OUTSIDE;
            } else if !is_new {
                place.alone = (place.alone * 2).min(MOST_ALONE);
                place.alone_left = place.alone;
            }
        }
        count
    }

    /// Says which thread had a fault at a place, and whether it is the main one of its process.
    pub fn name(&mut self, slot: usize, ts_ns: u64, comm_id: u32, is_main: bool) {
        // Rows come by thread, not by time.
        if let Some(place) = self.places.get_mut(slot)
            && (is_main, ts_ns) >= place.named
        {
            place.named = (is_main, ts_ns);
            place.comm_id = comm_id;
        }
    }

    /// Keeps to the budget; to be called now and then.
    pub fn fit(&mut self) {
        if self.cell_count() <= self.max_cells {
            return;
        }
        // A good deal at once: each time all cells of a grid are put into new ones.
        while self.cell_count() > self.max_cells / 2 {
            let Some(largest) = self.places.iter_mut().max_by_key(|place| place.grid.cell_count()) else {
                return;
            };
            if !largest.grid.coarsen() {
                return;
            }
            // Windows last longer now.
            largest.alone_left = 0;
        }
    }

    fn cell_count(&self) -> usize {
        self.places.iter().map(|place| place.grid.cell_count()).sum()
    }

    /// To be called once, after the last fault.
    pub fn settle(&mut self) {
        self.empty_windows();
        self.places.iter_mut().for_each(|place| place.grid.settle());
    }

    fn empty_windows(&mut self) {
        self.places.iter_mut().for_each(Place::empty_window);
        self.windows = 0;
    }

    fn forget_lighter_half(&mut self) {
        self.empty_windows();
        self.places
            .sort_by_key(|place| Reverse((place.total.wait_ns, place.total.count)));
        let kept = self.places.len().min(MAX_PLACES / 2);
        for place in self.places.drain(kept..) {
            self.forgotten.merge(place.total);
        }
        self.index = self
            .places
            .iter()
            .enumerate()
            .map(|(slot, place)| (place.key.clone(), slot))
            .collect();
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<'a>(since_begin_ns: &'a [u64], pages: &'a [u64], latencies_ns: &'a [u64]) -> Faults<'a> {
        Faults {
            since_begin_ns,
            pages,
            latencies_ns,
            weights: &[1],
            waits_ns: latencies_ns,
        }
    }

    #[test]
    fn a_time_is_as_good_as_any_other_in_the_least_bin() {
        let mut both = [0; 2].map(|_| Places::new(1 << 14, Fineness::SCREEN, true));
        let mut state = 1u64;
        for block in 0..300u64 {
            // What is expected is too long, then much too long, then too short.
            let length_ns = [1 << 33, 1 << 36, 1 << 28][block as usize / 100];
            both.iter_mut().for_each(|places| places.expect(length_ns));
            let shift = both[0].least_time_shift();
            assert!(shift > 10);
            for _ in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (time, page) = ((block << 24) + (state >> 40), (state >> 24) % 2_000);
                let key = match state >> 60 {
                    0 => Key::File(format!("/{block}")),
                    pid => Key::Process(pid as u32 % 3),
                };
                let in_same_bin = time >> shift << shift | state >> 32 & ((1 << shift) - 1);
                for (places, time) in both.iter_mut().zip([time, in_same_bin]) {
                    let slot = places.slot(key.clone());
                    places.add_all(slot, &fault(&[time], &[page], &[page]));
                }
            }
            both.iter_mut().for_each(Places::fit);
        }
        let [exact, rough] = both.map(|mut places| {
            places.settle();
            let of_place = |place: &Place| {
                let regions = place.grid.regions().iter();
                let cells = regions.map(|region| (region.first_page, region.cells.iter().collect()));
                (place.key.clone(), place.grid.time_shift(), cells.collect())
            };
            places
                .all()
                .iter()
                .map(of_place)
                .collect::<Vec<(_, _, Vec<(_, Vec<_>)>)>>()
        });
        assert!(exact.len() > 10);
        assert_eq!(exact, rough);
    }

    #[test]
    fn a_hot_file_that_comes_late_is_kept_and_no_fault_is_lost() {
        let mut places = Places::new(1 << 14, Fineness::MOST, true);
        for file in 0..5_000u64 {
            for page in 0..4 {
                let slot = places.slot(Key::File(format!("/cold/{file}")));
                places.add_all(slot, &fault(&[file * 1_000], &[page], &[10]));
            }
            if file > 3_000 {
                let slot = places.slot(Key::File("/hot".into()));
                places.add_all(slot, &fault(&[file * 1_000], &[file], &[1_000]));
            }
            places.fit();
        }
        places.settle();
        assert!(places.all().len() <= MAX_PLACES);
        let hot = places
            .all()
            .iter()
            .find(|place| place.key == Key::File("/hot".into()));
        assert_eq!(hot.map(|place| place.total.count), Some(1_999));
        let mut all = places.forgotten();
        places.all().iter().for_each(|place| all.merge(place.total));
        assert_eq!(all.count, 5_000 * 4 + 1_999);
        // Half of them may have come since they were joined last.
        assert!(places.cell_count() <= 2 << 14);
    }
}
