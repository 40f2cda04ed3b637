//! Pages read again, and the order of steps, by the sentences of `files --help`, for as many pages and threads as there are.

use crate::table::Cell;
use crate::truth::{Fault, Trace};
use std::collections::{BTreeMap, HashMap};

/// How a fault goes on from where its thread had been in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Sequential,
    Strided,
    Other,
}

/// Steps of faults on files, which come in the order of the trace; `None` for a fault that is no step. Of what is in one block,
/// a thread did first what began first, whatever it was called then.
pub fn steps(faults: &[&Fault], trace: &Trace) -> Vec<Option<Step>> {
    #[derive(Default)]
    struct Walk {
        /// The latest first.
        places: Vec<u64>,
        distance: i128,
    }
    let mut walks: HashMap<(u32, u32, u32), Walk> = HashMap::new();
    let mut step = |fault: &Fault| {
        let event = &fault.event;
        if !fault.in_file || event.failed {
            return None;
        }
        let walk = walks.entry((event.pid, event.tid, event.object.0)).or_default();
        let page = event.object_page;
        let before = walk.places.first().copied();
        if before == Some(page) {
            return None;
        }
        let follows = |place: u64| {
            let Some(bytes) = page.checked_sub(place).map(|pages| pages * trace.page_size()) else {
                return false;
            };
            // A folio begins where its size says.
            let begins_folio = (16..=21)
                .map(|power| 1 << power)
                .any(|size| (page * trace.page_size()).is_multiple_of(size) && bytes <= size);
            bytes > 0 && (bytes <= 64 << 10 || begins_folio)
        };
        let origin = walk.places.iter().position(|&place| follows(place));
        if let Some(origin) = origin {
            walk.places.remove(origin);
        }
        walk.places.insert(0, page);
        walk.places.truncate(4);
        let distance = i128::from(page) - i128::from(before?);
        let is_as_before = distance == walk.distance;
        walk.distance = distance;
        Some(match origin {
            Some(_) => Step::Sequential,
            None if is_as_before => Step::Strided,
            None => Step::Other,
        })
    };
    let mut order: Vec<usize> = (0..faults.len()).collect();
    order.sort_by_key(|&index| (faults[index].block, faults[index].event.ts_ns));
    let mut steps = vec![None; faults.len()];
    for index in order {
        steps[index] = step(faults[index]);
    }
    steps
}

/// SEQ_% and STRIDE_%.
pub fn step_cells(steps: impl IntoIterator<Item = Option<Step>>, trace: &Trace) -> Vec<Cell> {
    let steps: Vec<Step> = steps.into_iter().flatten().collect();
    let share = |of: Step| match steps.len() {
        0 => Cell::Null,
        _ if trace.one_in() > 1 => Cell::Null,
        all => Cell::Percent(
            steps.iter().filter(|&&step| step == of).count() as u128,
            all as u128,
        ),
    };
    vec![share(Step::Sequential), share(Step::Strided)]
}

/// Whether a fault reads its page: a major one, of those that wait for a page together the first. What lies in a later block is
/// held against the latest read of the blocks before.
pub fn reads(faults: &[&Fault], trace: &Trace) -> Vec<bool> {
    let mut by_page: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, fault) in faults.iter().enumerate() {
        if fault.class() == "major" {
            let page = (fault.event.object, fault.page(trace.page_size()));
            by_page.entry(page).or_default().push(index);
        }
    }
    let mut reads = vec![false; faults.len()];
    for (_, mut indices) in by_page {
        indices.sort_by_key(|&index| (faults[index].block, faults[index].event.ts_ns));
        let mut last: Option<(u64, u64)> = None;
        for index in indices {
            let event = &faults[index].event;
            let (begin, end) = (event.ts_ns, event.ts_ns + event.latency_ns);
            match &mut last {
                Some(last) if begin < last.1 && last.0 < end => {
                    *last = (last.0.min(begin), last.1.max(end));
                }
                _ => {
                    last = Some((begin, end));
                    reads[index] = true;
                }
            }
        }
    }
    reads
}
