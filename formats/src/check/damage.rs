//! What damage cost: the places, the events that are gone from each, and the time they are gone from.

use crate::check::block_index::{BlocksRead, IndexCheck, Missing};
use crate::{BlockInfo, Damage, Footer};

/// Places kept one by one; what is beyond is kept as a sum.
const KEPT: usize = 1000;

/// A damaged place of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes that are not readable; 0 when records are missing without a trace.
    pub bytes: u64,
    /// What was found.
    pub reason: String,
    /// Records gone, as far as their numbers tell.
    pub records_missing: u64,
    /// Events known to be gone.
    pub events_missing: u64,
    /// No more events than these are gone.
    pub is_exact: bool,
    /// Latest entry of the block before, or of what the index tells of the missing blocks the earliest one, or the start
    /// of the recording; `CLOCK_MONOTONIC` nanoseconds. Blocks overlap in time, so a single event may be a little older.
    pub from_ns: Option<u64>,
    /// First completion of the block behind, or of what the index tells the latest one, or the end of the recording.
    pub to_ns: Option<u64>,
}

/// All damage of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Damaged places.
    pub count: u64,
    /// Bytes that are not readable.
    pub bytes: u64,
    /// Records gone, as far as their numbers tell.
    pub records_missing: u64,
    /// The first thousand places.
    pub first: Vec<Place>,
    /// All further ones as if they were one.
    pub further: Option<Place>,
    /// Events that the end record counts, that are gone, and of which no place is known.
    pub elsewhere: Option<Place>,
}

impl Places {
    /// Every place, the further ones as if they were one.
    pub fn all(&self) -> impl Iterator<Item = &Place> {
        self.first.iter().chain(&self.further).chain(&self.elsewhere)
    }

    /// Events known to be gone.
    #[must_use]
    pub fn events_missing(&self) -> u64 {
        self.all()
            .fold(0, |sum, place| sum.saturating_add(place.events_missing))
    }

    /// No more events than these are gone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.all().all(|place| place.is_exact)
    }
}

/// Follows a trace.
#[derive(Default)]
pub(crate) struct Survey {
    places: Places,
    /// Blocks read before each of the first places, and before the further ones.
    before: Vec<usize>,
    before_further: usize,
    /// What the index says is gone from each of the first places.
    by_index: Vec<ByIndex>,
    /// The first place whose interval has no end yet.
    open: usize,
    blocks: BlocksRead,
    /// The latest entry of the block before, or the start.
    before_ns: Option<u64>,
    /// Nothing readable came after the last place.
    ends_in_damage: bool,
}

#[derive(Clone, Copy, Default)]
struct ByIndex {
    events: u64,
    interval: Option<(u64, u64)>,
}

impl Survey {
    /// The start of the recording.
    pub(crate) fn start(&mut self, start_ns: u64) {
        self.before_ns.get_or_insert(start_ns);
    }

    /// Something readable that is no block.
    pub(crate) fn intact(&mut self) {
        self.ends_in_damage = false;
    }

    pub(crate) fn block(&mut self, info: &BlockInfo, first_end_ns: u64) {
        self.ends_in_damage = false;
        self.blocks.add(info);
        self.close(first_end_ns);
        self.before_ns = Some(info.ts_max);
    }

    pub(crate) fn damage(&mut self, damage: &Damage) {
        self.ends_in_damage = true;
        let places = &mut self.places;
        places.count += 1;
        places.bytes = places.bytes.saturating_add(damage.bytes);
        places.records_missing = places.records_missing.saturating_add(damage.frames_missing);
        let place = Place {
            offset: damage.offset,
            bytes: damage.bytes,
            reason: damage.reason.clone(),
            records_missing: damage.frames_missing,
            events_missing: damage.events_missing,
            // A record of which not even the frame is left may have been a block.
            is_exact: damage.frames_missing <= damage.frames_seen,
            from_ns: self.before_ns,
            to_ns: None,
        };
        if places.first.len() < KEPT {
            places.first.push(place);
            self.before.push(self.blocks.len());
        } else if let Some(further) = &mut places.further {
            further.join(&place);
        } else {
            self.before_further = self.blocks.len();
            let reason = "further places".to_owned();
            places.further = Some(Place { reason, ..place });
        }
    }

    /// Ends the intervals that are open.
    fn close(&mut self, to_ns: u64) {
        let open = self.places.first.iter_mut().skip(self.open);
        for place in open {
            place.end(to_ns);
        }
        self.open = self.places.first.len();
        if let Some(further) = &mut self.places.further {
            further.end(to_ns);
        }
    }

    /// What all of it cost. `events` were read; `last_ns` is the latest time in any record.
    pub(crate) fn finish(
        mut self,
        footer: Option<&Footer>,
        finished: bool,
        events: u64,
        last_ns: Option<u64>,
    ) -> (Places, Option<IndexCheck>) {
        let end_ns = footer.map(|footer| footer.totals.end_ns).max(last_ns);
        if let Some(end_ns) = end_ns {
            self.close(end_ns);
        }
        if self.ends_in_damage && !finished {
            // Nobody knows what followed.
            let places = &mut self.places;
            let last = places.further.as_mut().or(places.first.last_mut());
            last.into_iter().for_each(|place| place.is_exact = false);
        }
        let check = footer.and_then(|footer| self.ask_index(&footer.blocks));
        if let Some(footer) = footer {
            self.ask_totals(footer.totals.events, events, end_ns);
        }
        (self.places, check)
    }

    /// The index knows how many events each missing block had, and when.
    fn ask_index(&mut self, index: &[BlockInfo]) -> Option<IndexCheck> {
        self.by_index = vec![ByIndex::default(); self.places.first.len()];
        let blocks = std::mem::take(&mut self.blocks);
        let mut further = 0u64;
        let check = blocks.compare(index, &mut |missing| match self.place_of(&missing) {
            Some(at) => self.by_index[at].add(missing.info),
            None => further = further.saturating_add(missing.info.events.into()),
        })?;
        if let Some(place) = &mut self.places.further {
            place.events_missing = place.events_missing.max(further);
            place.is_exact = true;
        }
        let before = std::mem::take(&mut self.before);
        let mut start = 0;
        for gap in before.chunk_by(|left, right| left == right) {
            let range = start..start + gap.len();
            start = range.end;
            settle(&mut self.places.first[range.clone()], &self.by_index[range]);
        }
        Some(check)
    }

    /// Which of the first places a missing block was in: of those between the same two blocks the last one that does
    /// not start behind it.
    fn place_of(&self, missing: &Missing<'_>) -> Option<usize> {
        let from = self
            .before
            .partition_point(|before| *before < missing.blocks_before);
        let to = self
            .before
            .partition_point(|before| *before <= missing.blocks_before);
        let between = self.places.first.get(from..to)?;
        let not_behind = between.partition_point(|place| place.offset <= missing.offset);
        let has_further = self.places.further.is_some() && missing.blocks_before >= self.before_further;
        if between.is_empty() || (has_further && not_behind == between.len()) {
            return None;
        }
        Some(from + not_behind.saturating_sub(1))
    }

    /// The end record knows how many events there were.
    fn ask_totals(&mut self, written: u64, read: u64, end_ns: Option<u64>) {
        let known = read.saturating_add(self.places.events_missing());
        let rest = written.saturating_sub(known);
        let is_vague = |place: &&mut Place| !place.is_exact;
        let places = &mut self.places;
        let mut vague = places
            .first
            .iter_mut()
            .chain(&mut places.further)
            .filter(is_vague);
        match (vague.next(), vague.next()) {
            (Some(only), None) => {
                only.events_missing = only.events_missing.saturating_add(rest);
                only.is_exact = true;
            }
            (first, second) if rest > 0 => {
                let mut all = Place {
                    reason: "known from the end record only".to_owned(),
                    events_missing: rest,
                    is_exact: true,
                    from_ns: None,
                    to_ns: end_ns,
                    ..Place::default()
                };
                // Their number is known now, and that it is the sum of all.
                for place in first.into_iter().chain(second).chain(vague) {
                    place.is_exact = true;
                    all.from_ns = all.from_ns.or(place.from_ns);
                }
                places.elsewhere = Some(all);
            }
            (first, second) => {
                let vague = first.into_iter().chain(second).chain(vague);
                vague.for_each(|place| place.is_exact = true);
            }
        }
    }
}

impl Place {
    /// The first end counts, and comes after the start.
    fn end(&mut self, to_ns: u64) {
        if self.to_ns.is_some() {
            return;
        }
        let from_ns = self.from_ns.unwrap_or(to_ns);
        self.from_ns = self.from_ns.map(|from_ns| from_ns.min(to_ns));
        self.to_ns = Some(from_ns.max(to_ns));
    }

    fn join(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.records_missing = self.records_missing.saturating_add(other.records_missing);
        self.events_missing = self.events_missing.saturating_add(other.events_missing);
        self.is_exact &= other.is_exact;
        // Its end is that of the last of them.
        self.to_ns = None;
    }
}

impl ByIndex {
    fn add(&mut self, info: &BlockInfo) {
        self.events = self.events.saturating_add(info.events.into());
        let (from_ns, to_ns) = self.interval.unwrap_or((info.ts_min, info.end_max));
        self.interval = Some((from_ns.min(info.ts_min), to_ns.max(info.end_max)));
    }
}

/// Gives the places between two blocks what the index says is gone from there.
fn settle(places: &mut [Place], by_index: &[ByIndex]) {
    let agrees = places
        .iter()
        .zip(by_index)
        .all(|(place, index)| place.events_missing <= index.events);
    if agrees {
        for (place, index) in places.iter_mut().zip(by_index) {
            place.events_missing = index.events;
            if let Some((from_ns, to_ns)) = index.interval {
                (place.from_ns, place.to_ns) = (Some(from_ns), Some(to_ns));
            }
        }
    } else {
        // Which place a block was in is not certain; how many events are gone from all of them is.
        let sum = |events: &mut dyn Iterator<Item = u64>| events.fold(0, u64::saturating_add);
        let known = sum(&mut places.iter().map(|place| place.events_missing));
        let listed = sum(&mut by_index.iter().map(|index| index.events));
        if let Some(last) = places.last_mut() {
            let rest = listed.saturating_sub(known);
            last.events_missing = last.events_missing.saturating_add(rest);
        }
    }
    places.iter_mut().for_each(|place| place.is_exact = true);
}
