//! The threads that fault, from one interval to the next: what each has done since the start, and what since
//! it was last shown.

use pf_bpf::{LIVE_BUCKETS, LiveCounts, LiveThread, bucket_bounds};
use rustc_hash::FxHashMap;

/// Threads that have ended and wait to be shown. Those beyond are counted with the threads without a slot.
const ENDED: usize = 1 << 16;

/// After so many intervals without a fault it is asked whether a thread is still there.
const SILENT: u32 = 8;

/// A slot and when its thread came: this pair never means another thread.
type Id = (u32, u64);

/// What faults cost over some time. Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Major faults.
    pub majors: u64,
    /// Minor faults.
    pub minors: u64,
    /// Failed ones: in neither of these, and in all that follows.
    pub failed: u64,
    /// Sum of the latencies.
    pub total_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// The shortest.
    pub min_ns: u64,
    /// 99 of 100 took no longer; an eighth too much at most.
    pub p99_ns: u64,
}

/// One thread over one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Whether it has ended. Such a row comes once.
    pub ended: bool,
    /// Since the start.
    pub total: Sums,
    /// In the interval.
    pub interval: Sums,
}

/// The fault accounting of all threads: majors + minors + lost + hidden + filtered is what the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Major faults counted.
    pub majors: u64,
    /// Minor faults counted.
    pub minors: u64,
    /// Failed faults counted. The kernel counts none of them.
    pub failed: u64,
    /// Sum of all latencies, nanoseconds.
    pub total_ns: u64,
    /// Major faults by the kernel's own count.
    pub kernel_majors: u64,
    /// Minor faults by the kernel's own count.
    pub kernel_minors: u64,
    /// Not measured.
    pub lost: u64,
    /// Taken by the kernel for itself.
    pub hidden: u64,
    /// Not asked for.
    pub filtered: u64,
}

/// Everything about one interval.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// When it ended, nanoseconds of `CLOCK_REALTIME`.
    pub utc_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// Since counting began.
    pub elapsed_ns: u64,
    /// The threads known, those that did nothing as well.
    pub rows: Vec<Row>,
    /// Threads that found no slot, all together.
    pub others: Row,
    /// How many of these there are now.
    pub others_now: u64,
    /// Threads that ended and were too many to be shown one by one.
    pub folded: u64,
    /// The sums since the start.
    pub books: Books,
    /// The sums of the interval.
    pub change: Books,
    /// Slots in use.
    pub slots_used: u32,
    /// Slots in all.
    pub slots: u32,
}

/// All threads known.
#[derive(Debug, Default)]
pub struct Threads {
    known: FxHashMap<Id, Known>,
    /// Ended since they were last shown.
    ended: Vec<Row>,
    /// What those had counted that have no slot any more.
    buried: Books,
    /// Those that were not even kept to be shown.
    folded: LiveCounts,
    folded_threads: u64,
    others_shown: LiveCounts,
    books_shown: Books,
}

#[derive(Debug)]
struct Known {
    tgid: u32,
    tid: u32,
    shown: LiveCounts,
    silent: u32,
}

impl Threads {
    /// A thread has ended, and its slot is another's.
    pub fn end(&mut self, thread: LiveThread) {
        self.buried.add(&thread.counts);
        let known = self.known.remove(&(thread.slot, thread.since_ns));
        if self.ended.len() >= ENDED {
            self.folded_threads += 1;
            self.folded.add(&thread.counts);
            if let Some(known) = known {
                // What was shown of it once was shown under its own name.
                self.others_shown.add(&known.shown);
            }
            return;
        }
        let before = known.map_or_else(LiveCounts::default, |known| known.shown);
        self.ended.push(row(thread, &before));
    }

    /// Closes an interval. `threads` are those that live, `crowd` what was counted for those without a slot.
    /// Nothing counts as shown before [`Threads::shown`].
    pub fn interval(&self, threads: &[LiveThread], (crowd, others_now): &(LiveCounts, u64)) -> Interval {
        let none = LiveCounts::default();
        let mut rows = self.ended.clone();
        let mut books = self.buried;
        for thread in threads {
            books.add(&thread.counts);
            let known = self.known.get(&(thread.slot, thread.since_ns));
            rows.push(row(thread.clone(), known.map_or(&none, |known| &known.shown)));
        }
        books.add(crowd);
        let mut others = crowd.clone();
        others.add(&self.folded);
        Interval {
            rows,
            others: Row {
                comm: "other threads".to_owned(),
                total: sums(&others),
                interval: sums_between(&self.others_shown, &others),
                ..Row::default()
            },
            others_now: *others_now,
            folded: self.folded_threads,
            books,
            change: books.since(&self.books_shown),
            slots_used: threads.len() as u32,
            ..Interval::default()
        }
    }

    /// What [`Threads::interval`] made of the same `threads` was shown.
    pub fn shown(&mut self, threads: &[LiveThread], interval: &Interval, crowd: &LiveCounts) {
        self.ended.clear();
        self.others_shown = crowd.clone();
        self.others_shown.add(&self.folded);
        self.books_shown = interval.books;
        for thread in threads {
            let known = self
                .known
                .entry((thread.slot, thread.since_ns))
                .or_insert_with(|| Known {
                    tgid: thread.tgid,
                    tid: thread.tid,
                    shown: LiveCounts::default(),
                    silent: 0,
                });
            known.tid = thread.tid;
            known.silent = match known.shown == thread.counts {
                true => known.silent + 1,
                false => 0,
            };
            known.shown.clone_from(&thread.counts);
        }
    }

    /// The slots of threads that have been silent for a while: their end may have been missed. Each is named
    /// again after as long a silence.
    pub fn silent(&mut self) -> Vec<(u32, u32, u32)> {
        let mut silent = Vec::new();
        for ((slot, _), known) in &mut self.known {
            if known.silent >= SILENT {
                known.silent = 0;
                silent.push((*slot, known.tgid, known.tid));
            }
        }
        silent
    }
}

impl Books {
    /// Enters what a thread has counted.
    pub fn add(&mut self, counts: &LiveCounts) {
        self.majors += counts.majors;
        self.minors += counts.minors;
        self.failed += counts.failed;
        self.total_ns += counts.total_ns;
        self.kernel_majors += counts.kernel_majors;
        self.kernel_minors += counts.kernel_minors;
        self.lost += counts.lost;
        self.hidden += counts.hidden;
        self.filtered += counts.filtered;
    }

    /// What the kernel counted beyond what is accounted for; 0 when the sums are balanced.
    #[cfg(test)]
    fn difference(&self) -> i128 {
        let told = self.majors + self.minors + self.lost + self.hidden + self.filtered;
        i128::from(self.kernel_majors + self.kernel_minors) - i128::from(told)
    }

    fn since(&self, before: &Self) -> Self {
        // A thread that is read while it counts can be ahead in one number and behind in another.
        let less = u64::saturating_sub;
        Self {
            majors: less(self.majors, before.majors),
            minors: less(self.minors, before.minors),
            failed: less(self.failed, before.failed),
            total_ns: less(self.total_ns, before.total_ns),
            kernel_majors: less(self.kernel_majors, before.kernel_majors),
            kernel_minors: less(self.kernel_minors, before.kernel_minors),
            lost: less(self.lost, before.lost),
            hidden: less(self.hidden, before.hidden),
            filtered: less(self.filtered, before.filtered),
        }
    }
}

impl Sums {
    /// Number of faults.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.majors + self.minors + self.failed
    }

    /// Mean latency, nanoseconds.
    #[must_use]
    pub fn average_ns(&self) -> u64 {
        self.total_ns / self.count().max(1)
    }
}

fn row(thread: LiveThread, before: &LiveCounts) -> Row {
    Row {
        pid: thread.tgid,
        tid: thread.tid,
        total: sums(&thread.counts),
        interval: sums_between(before, &thread.counts),
        comm: thread.comm,
        ended: thread.ended,
    }
}

fn sums(counts: &LiveCounts) -> Sums {
    let (min, max) = ends(&counts.latencies);
    Sums {
        majors: counts.majors,
        minors: counts.minors,
        failed: counts.failed,
        total_ns: counts.total_ns,
        // Threads counted together have no more than the histogram.
        max_ns: if counts.max_ns == 0 { max } else { counts.max_ns },
        min_ns: if counts.min_ns == 0 { min } else { counts.min_ns },
        p99_ns: p99(&counts.latencies, counts.max_ns),
    }
}

/// Of the extremes of an interval only those are known exactly that are extremes of the whole time.
fn sums_between(before: &LiveCounts, after: &LiveCounts) -> Sums {
    if before.latencies == [0; LIVE_BUCKETS] {
        return sums(after);
    }
    let less = u64::saturating_sub;
    let mut latencies = after.latencies;
    for (count, before) in latencies.iter_mut().zip(&before.latencies) {
        *count = count.wrapping_sub(*before);
    }
    let (min, max) = ends(&latencies);
    let is_new_max = after.max_ns > before.max_ns;
    let is_new_min = after.min_ns < before.min_ns;
    let within = |ns: u64| match after.max_ns {
        0 => ns,
        most => ns.min(most),
    };
    Sums {
        majors: less(after.majors, before.majors),
        minors: less(after.minors, before.minors),
        failed: less(after.failed, before.failed),
        total_ns: less(after.total_ns, before.total_ns),
        max_ns: if is_new_max { after.max_ns } else { within(max) },
        min_ns: if is_new_min { after.min_ns } else { min },
        p99_ns: p99(&latencies, after.max_ns),
    }
}

/// Below and above all latencies of a histogram.
fn ends(latencies: &[u32; LIVE_BUCKETS]) -> (u64, u64) {
    let first = latencies.iter().position(|&count| count > 0);
    let last = latencies.iter().rposition(|&count| count > 0);
    (
        first.map_or(0, |bucket| bucket_bounds(bucket).0),
        last.map_or(0, |bucket| bucket_bounds(bucket).1),
    )
}

/// The upper bound of the bucket that it is in, and no more than the longest, where that is known.
fn p99(latencies: &[u32; LIVE_BUCKETS], max_ns: u64) -> u64 {
    let count: u64 = latencies.iter().map(|&count| u64::from(count)).sum();
    let rank = count - count / 100;
    let mut seen = 0;
    for (bucket, &count) in latencies.iter().enumerate() {
        seen += u64::from(count);
        if count > 0 && seen >= rank {
            let bound = bucket_bounds(bucket).1;
            return if max_ns == 0 { bound } else { bound.min(max_ns) };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A thread with so many minor faults of a microsecond, and one major of a millisecond.
    fn thread(slot: u32, minors: u64) -> LiveThread {
        let mut counts = LiveCounts {
            majors: 1,
            minors,
            total_ns: 1_000_000 + minors * 1_000,
            max_ns: 1_000_000,
            min_ns: 1_000,
            kernel_majors: 1,
            kernel_minors: minors + 2,
            hidden: 2,
            ..LiveCounts::default()
        };
        let bucket = |ns| (0..LIVE_BUCKETS).find(|&at| bucket_bounds(at).1 > ns).unwrap();
        counts.latencies[bucket(1_000)] = minors as u32;
        counts.latencies[bucket(1_000_000)] = 1;
        LiveThread {
            slot,
            tgid: 10,
            tid: 10 + slot,
            comm: "a".to_owned(),
            since_ns: 5,
            ended: false,
            counts,
        }
    }

    fn nobody() -> (LiveCounts, u64) {
        (LiveCounts::default(), 0)
    }

    #[test]
    fn an_interval_holds_what_was_not_shown_before() {
        let mut threads = Threads::default();
        let first = [thread(0, 10)];
        let interval = threads.interval(&first, &nobody());
        assert_eq!(interval.rows[0].interval.minors, 10);
        threads.shown(&first, &interval, &nobody().0);
        let second = threads.interval(&[thread(0, 15)], &nobody());
        let row = &second.rows[0];
        assert_eq!(
            (row.total.minors, row.interval.minors, row.interval.majors),
            (15, 5, 0)
        );
        assert_eq!(row.interval.total_ns, 5_000);
        // From the histogram: an eighth too much at most.
        assert!((1_000..=1_125).contains(&row.interval.max_ns), "{row:?}");
        assert_eq!((second.change.minors, second.books.difference()), (5, 0));
    }

    #[test]
    fn an_interval_that_could_not_be_shown_is_part_of_the_next() {
        let mut threads = Threads::default();
        threads.interval(&[thread(0, 10)], &nobody());
        threads.end(thread(1, 3));
        threads.interval(&[thread(0, 15)], &nobody());
        let interval = threads.interval(&[thread(0, 20)], &nobody());
        let minors: Vec<u64> = interval.rows.iter().map(|row| row.interval.minors).collect();
        assert_eq!((minors, interval.books.minors), (vec![3, 20], 23));
    }

    #[test]
    fn a_thread_that_ended_is_shown_once_and_stays_in_the_books() {
        let mut threads = Threads::default();
        threads.end(thread(0, 4));
        let interval = threads.interval(&[], &nobody());
        assert_eq!(interval.rows.len(), 1);
        threads.shown(&[], &interval, &nobody().0);
        let interval = threads.interval(&[], &nobody());
        assert!(interval.rows.is_empty());
        assert_eq!((interval.books.minors, interval.books.difference()), (4, 0));
        assert_eq!(interval.change, Books::default());
    }

    #[test]
    fn a_slot_that_passes_to_another_thread_begins_anew() {
        let mut threads = Threads::default();
        let first = [thread(0, 100)];
        let interval = threads.interval(&first, &nobody());
        threads.shown(&first, &interval, &nobody().0);
        threads.end(thread(0, 100));
        let next = LiveThread {
            since_ns: 99,
            ..thread(0, 7)
        };
        let interval = threads.interval(&[next], &nobody());
        assert_eq!(interval.rows[0].interval.minors, 0);
        assert_eq!(interval.rows[1].interval.minors, 7);
    }

    #[test]
    fn more_ended_threads_than_can_be_kept_are_counted_together() {
        let mut threads = Threads::default();
        for slot in 0..ENDED as u32 + 5 {
            threads.end(thread(slot, 2));
        }
        let interval = threads.interval(&[], &nobody());
        assert_eq!((interval.rows.len(), interval.folded), (ENDED, 5));
        assert_eq!(interval.others.total.minors, 10);
        assert_eq!(interval.books.minors, 2 * (ENDED as u64 + 5));
        assert_eq!(interval.books.difference(), 0);
    }

    #[test]
    fn quantiles_are_an_eighth_too_long_at_most_and_never_longer_than_the_longest() {
        let sums = sums(&thread(0, 1_000).counts);
        assert!((1_000..=1_125).contains(&sums.p99_ns), "{sums:?}");
        assert_eq!(super::sums(&thread(0, 1).counts).p99_ns, 1_000_000);
        assert_eq!(super::sums(&LiveCounts::default()).p99_ns, 0);
    }
}
