//! Predictions: what is left of a value when its neighbours are known. All arithmetic wraps, so that every
//! u64 survives the way there and back.

use super::mask;

/// A wrapped difference as a small number, whatever its sign: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
fn zigzag(difference: u64, width: usize) -> u64 {
    let unused = 64 - 8 * width as u32;
    let signed = (difference.wrapping_shl(unused) as i64).wrapping_shr(unused);
    ((signed.wrapping_shl(1) ^ (signed >> 63)) as u64) & mask(width)
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Replaces each value of `width` bytes by its difference to the one before.
pub(crate) fn delta(values: &mut [u64], width: usize) {
    let mut before = 0;
    for value in values {
        let this = *value;
        *value = zigzag(this.wrapping_sub(before), width);
        before = this;
    }
}

/// Undoes [`delta`].
pub(crate) fn undo_delta(values: &mut [u64], width: usize) {
    let mask = mask(width);
    let mut before = 0u64;
    for value in values {
        before = before.wrapping_add(unzigzag(*value)) & mask;
        *value = before;
    }
}

/// Replaces the times of one run by their distance from the end of the fault before; the first one's
/// is taken from `ts_min`. A thread is busy with one fault at a time, so the distance is small.
pub(crate) fn gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        let this = *time;
        *time = zigzag(this.wrapping_sub(end), 8);
        end = this.wrapping_add(*latency);
    }
}

/// Undoes [`gap`].
pub(crate) fn undo_gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        *time = end.wrapping_add(unzigzag(*time));
        end = time.wrapping_add(*latency);
    }
}

/// Replaces parts of latencies by what is left of these: a fault that waited did hardly anything else.
pub(crate) fn rest(parts: &mut [u64], latencies: &[u64]) {
    for (part, latency) in parts.iter_mut().zip(latencies) {
        *part = zigzag(latency.wrapping_sub(*part), 8);
    }
}

/// Undoes [`rest`].
pub(crate) fn undo_rest(parts: &mut [u64], latencies: &[u64]) {
    for (part, latency) in parts.iter_mut().zip(latencies) {
        *part = latency.wrapping_sub(unzigzag(*part));
    }
}

/// Where an object was last seen: the page of the address and that of the object.
#[derive(Clone, Copy, Default)]
struct Seen {
    object: u64,
    page: u64,
    object_page: u64,
}

/// Remembers where each object was last seen.
struct Objects([Seen; SLOTS]);

/// Objects in use at a time; two that share a slot cost bytes, not correctness.
const SLOTS: usize = 256;

impl Objects {
    fn new() -> Self {
        Self([Seen::default(); SLOTS])
    }

    /// The slot of an object; empty where another one had it.
    fn of(&mut self, object: u64) -> &mut Seen {
        let seen = &mut self.0[object as usize % SLOTS];
        if seen.object != object {
            *seen = Seen {
                object,
                ..Seen::default()
            };
        }
        seen
    }
}

/// Replaces the pages of objects by their difference to the page before in the same object.
pub(crate) fn walk(object_pages: &mut [u64], objects: &[u64]) {
    let mut seen = Objects::new();
    for (value, object) in object_pages.iter_mut().zip(objects) {
        let before = std::mem::replace(&mut seen.of(*object).object_page, *value);
        *value = zigzag(value.wrapping_sub(before), 8);
    }
}

/// Undoes [`walk`].
pub(crate) fn undo_walk(object_pages: &mut [u64], objects: &[u64]) {
    let mut seen = Objects::new();
    for (value, object) in object_pages.iter_mut().zip(objects) {
        let slot = seen.of(*object);
        slot.object_page = slot.object_page.wrapping_add(unzigzag(*value));
        *value = slot.object_page;
    }
}

/// Replaces pages of `width` bytes by their difference to where the object's mapping puts them. As long as that is the
/// same, the page of the address and that of the object advance together; anonymous memory has no pages of an
/// object, so there it is the difference to the page before.
pub(crate) fn follow(pages: &mut [u64], objects: &[u64], object_pages: &[u64], width: usize) {
    let mut seen = Objects::new();
    for ((value, object), object_page) in pages.iter_mut().zip(objects).zip(object_pages) {
        let page = *value;
        let slot = seen.of(*object);
        *value = zigzag(page.wrapping_sub(slot.place_of(*object_page)), width);
        (slot.page, slot.object_page) = (page, *object_page);
    }
}

/// Undoes [`follow`].
pub(crate) fn undo_follow(pages: &mut [u64], objects: &[u64], object_pages: &[u64], width: usize) {
    let mask = mask(width);
    let mut seen = Objects::new();
    for ((value, object), object_page) in pages.iter_mut().zip(objects).zip(object_pages) {
        let slot = seen.of(*object);
        let page = slot.place_of(*object_page).wrapping_add(unzigzag(*value)) & mask;
        *value = page;
        (slot.page, slot.object_page) = (page, *object_page);
    }
}

impl Seen {
    fn place_of(&self, object_page: u64) -> u64 {
        self.page.wrapping_add(object_page).wrapping_sub(self.object_page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTREMES: [u64; 9] = [0, u64::MAX, 1, 1 << 63, 5, u64::MAX - 1, 0, 0x00ff_ffff, 7];

    #[test]
    fn deltas_of_every_width_come_back() {
        for width in [1, 2, 4, 7, 8] {
            let original = EXTREMES.map(|value| value & mask(width));
            let mut values = original;
            delta(&mut values, width);
            assert!(values.iter().all(|value| *value <= mask(width)));
            undo_delta(&mut values, width);
            assert_eq!(values, original);
        }
    }

    #[test]
    fn gaps_of_times_that_run_backwards_come_back() {
        let mut values = EXTREMES;
        gap(&mut values, &EXTREMES, 3);
        undo_gap(&mut values, &EXTREMES, 3);
        assert_eq!(values, EXTREMES);
    }

    #[test]
    fn parts_larger_than_their_latency_come_back() {
        let mut values = EXTREMES;
        rest(&mut values, &[7; 9]);
        undo_rest(&mut values, &[7; 9]);
        assert_eq!(values, EXTREMES);
    }

    #[test]
    fn a_file_read_through_one_mapping_leaves_only_zeros() {
        let object_pages = [10, 15, 11, 100];
        let pages = object_pages.map(|page| page + 90);
        let mut values = pages;
        follow(&mut values, &[3; 4], &object_pages, 7);
        assert_eq!(values, [180, 0, 0, 0]);
        undo_follow(&mut values, &[3; 4], &object_pages, 7);
        assert_eq!(values, pages);
    }

    #[test]
    fn a_walk_through_two_objects_leaves_its_steps() {
        let (objects, pages) = ([3, 4, 3, 4, 259], [10, 7, 11, 5, 9]);
        let mut values = pages;
        walk(&mut values, &objects);
        assert_eq!(values, [20, 14, 2, 3, 18]);
        undo_walk(&mut values, &objects);
        assert_eq!(values, pages);
    }

    #[test]
    fn pages_of_objects_that_share_a_slot_come_back() {
        let objects = [1, 257, 1, 1, 513, 257, 0, 0, 256];
        let pages = EXTREMES.map(|page| page & mask(7));
        let mut values = pages;
        follow(&mut values, &objects, &EXTREMES, 7);
        undo_follow(&mut values, &objects, &EXTREMES, 7);
        assert_eq!(values, pages);
        let mut values = EXTREMES;
        walk(&mut values, &objects);
        undo_walk(&mut values, &objects);
        assert_eq!(values, EXTREMES);
    }
}
