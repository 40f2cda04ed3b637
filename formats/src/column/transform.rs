//! Predictions: what is left of a value when its neighbours are known. All arithmetic wraps, so that every
//! u64 survives the way there and back.

use multiversion::multiversion;

use super::mask;

/// A wrapped difference as a small number, whatever its sign: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
#[inline]
fn zigzag(difference: u64, width: usize) -> u64 {
    let unused = 64 - 8 * width as u32;
    let signed = (difference.wrapping_shl(unused) as i64).wrapping_shr(unused);
    ((signed.wrapping_shl(1) ^ (signed >> 63)) as u64) & mask(width)
}

#[inline]
fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Replaces each value of `width` bytes by its difference to the one before.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn delta(values: &mut [u64], width: usize) {
    let mut before = 0;
    for value in values {
        let this = *value;
        *value = zigzag(this.wrapping_sub(before), width);
        before = this;
    }
}

/// Undoes [`delta`].
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
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
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        let this = *time;
        *time = zigzag(this.wrapping_sub(end), 8);
        end = this.wrapping_add(*latency);
    }
}

/// Undoes [`gap`].
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn undo_gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        *time = end.wrapping_add(unzigzag(*time));
        end = time.wrapping_add(*latency);
    }
}

/// Replaces parts of latencies by what is left of these: a fault that waited did hardly anything else.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn rest(parts: &mut [u64], latencies: &[u64]) {
    for (part, latency) in parts.iter_mut().zip(latencies) {
        *part = zigzag(latency.wrapping_sub(*part), 8);
    }
}

/// Undoes [`rest`].
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
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

/// Remembers where each object was last seen, but for the one in hand: a run of rows of one object does not wait for
/// memory.
struct Slots([Seen; SLOTS]);

/// Objects in use at a time; two that share a slot cost bytes, not correctness.
const SLOTS: usize = 256;

impl Slots {
    fn new() -> Self {
        Self([Seen::default(); SLOTS])
    }

    /// Puts one back and takes another one up; empty where yet another had its slot.
    fn change(&mut self, before: Seen, object: u64) -> Seen {
        self.0[before.object as usize % SLOTS] = before;
        let seen = self.0[object as usize % SLOTS];
        if seen.object == object {
            seen
        } else {
            Seen {
                object,
                ..Seen::default()
            }
        }
    }
}

/// The difference of each page of an object to the page before in the same object.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn walk(object_pages: &[u64], objects: &[u64], into: &mut Vec<u64>) {
    into.resize(object_pages.len(), 0);
    let (mut slots, mut seen) = (Slots::new(), Seen::default());
    for ((number, object_page), object) in into.iter_mut().zip(object_pages).zip(objects) {
        if *object != seen.object {
            seen = slots.change(seen, *object);
        }
        *number = zigzag(object_page.wrapping_sub(seen.object_page), 8);
        seen.object_page = *object_page;
    }
}

/// Undoes [`walk`].
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn undo_walk(object_pages: &mut [u64], objects: &[u64]) {
    let (mut slots, mut seen) = (Slots::new(), Seen::default());
    for (value, object) in object_pages.iter_mut().zip(objects) {
        if *object != seen.object {
            seen = slots.change(seen, *object);
        }
        seen.object_page = seen.object_page.wrapping_add(unzigzag(*value));
        *value = seen.object_page;
    }
}

/// The difference of each page of `width` bytes to where the object's mapping puts it. As long as that is the
/// same, the page of the address and that of the object advance together; anonymous memory has no pages of an
/// object, so there it is the difference to the page before.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn follow(
    pages: &[u64],
    objects: &[u64],
    object_pages: &[u64],
    width: usize,
    into: &mut Vec<u64>,
) {
    into.resize(pages.len(), 0);
    let (mut slots, mut seen) = (Slots::new(), Seen::default());
    let rows = pages.iter().zip(objects).zip(object_pages);
    for (number, ((page, object), object_page)) in into.iter_mut().zip(rows) {
        if *object != seen.object {
            seen = slots.change(seen, *object);
        }
        *number = zigzag(page.wrapping_sub(seen.place_of(*object_page)), width);
        (seen.page, seen.object_page) = (*page, *object_page);
    }
}

/// Undoes [`follow`].
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn undo_follow(pages: &mut [u64], objects: &[u64], object_pages: &[u64], width: usize) {
    let mask = mask(width);
    let (mut slots, mut seen) = (Slots::new(), Seen::default());
    for ((value, object), object_page) in pages.iter_mut().zip(objects).zip(object_pages) {
        if *object != seen.object {
            seen = slots.change(seen, *object);
        }
        let page = seen.place_of(*object_page).wrapping_add(unzigzag(*value)) & mask;
        *value = page;
        (seen.page, seen.object_page) = (page, *object_page);
    }
}

impl Seen {
    #[inline]
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
        let mut values = Vec::new();
        follow(&pages, &[3; 4], &object_pages, 7, &mut values);
        assert_eq!(values, [180, 0, 0, 0]);
        undo_follow(&mut values, &[3; 4], &object_pages, 7);
        assert_eq!(values, pages);
    }

    #[test]
    fn a_walk_through_two_objects_leaves_its_steps() {
        let (objects, pages) = ([3, 4, 3, 4, 259], [10, 7, 11, 5, 9]);
        let mut values = Vec::new();
        walk(&pages, &objects, &mut values);
        assert_eq!(values, [20, 14, 2, 3, 18]);
        undo_walk(&mut values, &objects);
        assert_eq!(values, pages);
    }

    #[test]
    fn pages_of_objects_that_share_a_slot_come_back() {
        let objects = [1, 257, 1, 1, 513, 257, 0, 0, 256];
        let pages = EXTREMES.map(|page| page & mask(7));
        let mut values = Vec::new();
        follow(&pages, &objects, &EXTREMES, 7, &mut values);
        undo_follow(&mut values, &objects, &EXTREMES, 7);
        assert_eq!(values, pages);
        walk(&EXTREMES, &objects, &mut values);
        undo_walk(&mut values, &objects);
        assert_eq!(values, EXTREMES);
    }
}
