//! Stalls by brute force: at every time where anything changes, it is counted who is inside a fault and who is alive.

use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Copy, Debug)]
pub struct Stall {
    pub begin_ns: u64,
    pub end_ns: u64,
    pub peak: i64,
    pub alive: i64,
    pub wait_ns: u64,
}

impl Stall {
    pub fn length_ns(&self) -> u64 {
        self.end_ns - self.begin_ns
    }
}

/// The longest first, of each no more than what lies in the window. `least` is how many threads make a stall when so many are alive.
pub fn stalls(
    trace: &Trace,
    faults: &[&Fault],
    window: (u64, u64),
    least: impl Fn(i64) -> i64,
) -> Vec<Stall> {
    // By time, changes of the threads inside a fault and of those alive.
    let mut changes: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    let mut by_thread: HashMap<(u32, u32), Vec<(u64, u64)>> = HashMap::new();
    for fault in faults {
        let event = &fault.event;
        let span = (event.ts_ns, event.ts_ns + event.latency_ns);
        by_thread.entry((event.pid, event.tid)).or_default().push(span);
    }
    for (thread, mut spans) in by_thread {
        spans.sort_unstable();
        let first_ns = spans[0].0;
        let last_ns = spans.iter().map(|span| span.1).max().unwrap();
        let (born_ns, end_ns) = life(trace, thread);
        changes.entry(born_ns.min(first_ns)).or_default().1 += 1;
        changes.entry(end_ns.max(last_ns)).or_default().1 -= 1;
        // Faults within faults are one stay.
        let mut stays: Vec<(u64, u64)> = Vec::new();
        let inside = spans
            .into_iter()
            .map(|span| (span.0.max(window.0), span.1.min(window.1)));
        for (begin, end) in inside.filter(|span| span.0 <= span.1) {
            match stays.last_mut() {
                Some(stay) if begin <= stay.1 => stay.1 = stay.1.max(end),
                _ => stays.push((begin, end)),
            }
        }
        for (begin, end) in stays {
            changes.entry(begin).or_default().0 += 1;
            changes.entry(end).or_default().0 -= 1;
        }
    }
    let mut stalls: Vec<Stall> = Vec::new();
    let (mut inside, mut alive) = (0, 0);
    let times: Vec<u64> = changes.keys().copied().chain([u64::MAX]).collect();
    for (&[begin_ns, end_ns], (more_inside, more_alive)) in times.array_windows().zip(changes.values()) {
        inside += more_inside;
        alive += more_alive;
        if inside < least(alive) {
            continue;
        }
        let wait_ns = (end_ns - begin_ns) * inside as u64;
        match stalls.last_mut() {
            Some(stall) if stall.end_ns == begin_ns => {
                stall.end_ns = end_ns;
                stall.wait_ns += wait_ns;
                if inside > stall.peak {
                    (stall.peak, stall.alive) = (inside, alive);
                }
            }
            _ => stalls.push(Stall {
                begin_ns,
                end_ns,
                peak: inside,
                alive,
                wait_ns,
            }),
        }
    }
    stalls.sort_by_key(|stall| (Reverse(stall.length_ns()), stall.begin_ns));
    stalls
}

/// Birth and end of a thread, or of the recording where these were not seen.
pub fn life(trace: &Trace, thread: (u32, u32)) -> (u64, u64) {
    let of_thread = trace.lives.iter().filter(|life| (life.0, life.1) == thread);
    let of_thread: Vec<_> = of_thread.collect();
    assert!(
        of_thread.iter().filter(|life| life.3).count() < 2,
        "a number used again has no single life"
    );
    let born = of_thread.iter().find(|life| life.3).map(|life| life.2);
    let ended = of_thread.iter().find(|life| !life.3).map(|life| life.2);
    (born.unwrap_or(trace.start_ns()), ended.unwrap_or(trace.end_ns()))
}
