//! Predictions: what is left of a value when its neighbours are known. All arithmetic wraps, so that every
//! u64 survives the way there and back.

/// The low `width` bytes.
fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width as u32)
}

/// A wrapped difference as a small number, whatever its sign: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
fn zigzag(difference: u64, width: usize) -> u64 {
    let unused = 64 - 8 * width as u32;
    let signed = ((difference << unused) as i64) >> unused;
    (((signed << 1) ^ (signed >> 63)) as u64) & mask(width)
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
pub(super) fn gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        let this = *time;
        *time = zigzag(this.wrapping_sub(end), 8);
        end = this.wrapping_add(*latency);
    }
}

/// Undoes [`gap`].
pub(super) fn undo_gap(times: &mut [u64], latencies: &[u64], ts_min: u64) {
    let mut end = ts_min;
    for (time, latency) in times.iter_mut().zip(latencies) {
        *time = end.wrapping_add(unzigzag(*time));
        end = time.wrapping_add(*latency);
    }
}

/// Where an object was last seen mapped: the page of the address and that of the object.
#[derive(Clone, Copy, Default)]
struct Seen {
    object: u64,
    page: u64,
    object_page: u64,
}

/// Predicts the page of an object from the page of the address. As long as the mapping is the same the
/// two advance together; an object whose last page was 0 has no pages, most likely (anonymous memory).
struct Follower {
    seen: [Seen; SLOTS],
}

/// Objects in use at a time; two that share a slot cost bytes, not correctness.
const SLOTS: usize = 256;

impl Follower {
    fn predict(&self, object: u64, page: u64) -> u64 {
        let seen = self.seen[object as usize % SLOTS];
        if seen.object != object || seen.object_page == 0 {
            return 0;
        }
        seen.object_page.wrapping_add(page.wrapping_sub(seen.page))
    }

    fn learn(&mut self, seen: Seen) {
        self.seen[seen.object as usize % SLOTS] = seen;
    }
}

/// Replaces the pages of objects by their difference to the prediction.
pub(super) fn follow(object_pages: &mut [u64], objects: &[u64], pages: &[u64]) {
    let mut follower = Follower {
        seen: [Seen::default(); SLOTS],
    };
    for ((value, object), page) in object_pages.iter_mut().zip(objects).zip(pages) {
        let object_page = *value;
        *value = zigzag(object_page.wrapping_sub(follower.predict(*object, *page)), 8);
        follower.learn(Seen {
            object: *object,
            page: *page,
            object_page,
        });
    }
}

/// Undoes [`follow`].
pub(super) fn undo_follow(object_pages: &mut [u64], objects: &[u64], pages: &[u64]) {
    let mut follower = Follower {
        seen: [Seen::default(); SLOTS],
    };
    for ((value, object), page) in object_pages.iter_mut().zip(objects).zip(pages) {
        let object_page = follower.predict(*object, *page).wrapping_add(unzigzag(*value));
        *value = object_page;
        follower.learn(Seen {
            object: *object,
            page: *page,
            object_page,
        });
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
    fn a_file_read_through_one_mapping_leaves_only_zeros() {
        let pages = [100, 105, 101, 190];
        let mut values = pages.map(|page| page - 90);
        follow(&mut values, &[3; 4], &pages);
        assert_eq!(values, [20, 0, 0, 0]);
        undo_follow(&mut values, &[3; 4], &pages);
        assert_eq!(values, [10, 15, 11, 100]);
    }

    #[test]
    fn anonymous_memory_between_file_pages_leaves_only_zeros() {
        let pages = [100, 7, 101, 9];
        let mut values = [10, 0, 11, 0];
        follow(&mut values, &[3, 4, 3, 4], &pages);
        assert_eq!(values, [20, 0, 0, 0]);
    }
}
