//! The few things about a recording that matter most, in words, each with the figures that it comes from. It weighs facts
//! that others have counted, and reads no events.

use crate::output::command::{Argument, Caller};
use crate::output::text::escape;
use crate::output::units::{bytes, duration, exact_duration, grouped, percent, quantity};
use crate::stats::by_class::Classes;
use crate::trace::cause::Cause;
use crate::trace::class::Class;
use crate::verbs::causes::pass::{CauseFacts, ReadFacts};
use crate::verbs::report::reads_in_vain;
use pf_notation::names::quoted;

/// How many findings a report has.
pub(crate) const SHOWN: usize = 3;

/// Slower than this, a minor fault has waited: for memory, a lock, or for a page that another thread was reading.
const SLOW_MINOR_NS: u64 = 100_000;

/// What is known of one file or kind of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Path, or `[anon]` and the like.
    pub label: String,
    /// Major faults.
    pub majors: u64,
    /// Time waited in all its faults.
    pub wait_ns: u64,
    /// Reads of a page that were not its first.
    pub again: u64,
}

/// What is known of one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ThreadFacts {
    /// Name and number.
    pub name: String,
    /// Time waited.
    pub wait_ns: u64,
    /// The part of that in the time that was looked at.
    pub within_ns: u64,
    /// How long it lived in that time; 0 is not known.
    pub lived_ns: u64,
    /// Whether the recording saw it begin and end.
    pub is_whole_life: bool,
}

/// The shortest time that had most of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// From the start of the recording.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Time waited in it.
    pub wait_ns: u64,
}

/// Everything that is weighed.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// All faults by class.
    pub classes: &'a Classes,
    /// Longest wait first.
    pub threads: &'a [ThreadFacts],
    /// Longest wait first.
    pub files: &'a [FileFacts],
    /// Longest wait first; none where nobody looked for causes.
    pub causes: &'a [CauseFacts],
    /// What faults brought into the page cache, by file.
    pub reads: &'a [ReadFacts],
    /// See [`Burst`].
    pub burst: Option<Burst>,
    /// Length of what was looked at.
    pub length_ns: u64,
    /// Whether that is a part of the recording.
    pub is_part: bool,
    /// Whether reads of pages may have been more often not the first than was counted.
    pub again_is_at_least: bool,
    /// Bytes of a page.
    pub page_size: u64,
    /// How commands for this trace are written.
    pub caller: Caller,
    /// Major faults of the whole recording that are in none of these numbers, see [`pf_formats::Totals`].
    pub hidden_majors: u64,
}

/// One sentence, and how much of the wait it explains, in thousandths.
type Finding = (u64, String);

impl Facts<'_> {
    /// What explains most first; nothing where nobody waited.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let in_vain = self.reads_in_vain();
        let all = [
            self.cause().or_else(|| self.majors()),
            // What read-ahead pushed out is no matter of memory.
            self.reread().filter(|_| in_vain.is_none()),
            in_vain,
            // The class says less than a cause.
            self.slow_minors().filter(|_| self.causes.is_empty()),
            self.tail(),
            self.thread(),
            self.burst(),
            self.breakdown().filter(|_| self.causes.is_empty()),
            self.failed(),
            self.abandoned(),
            self.hidden(),
        ];
        let mut found: Vec<Finding> = all.into_iter().flatten().collect();
        found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        found.truncate(SHOWN);
        found.into_iter().map(|(_, words)| words).collect()
    }

    fn command(&self, verb: &str, options: &[Argument]) -> String {
        self.caller.command(verb, options)
    }

    fn wait_ns(&self) -> u64 {
        self.classes.wait_ns()
    }

    fn thousandths(&self, part_ns: u64) -> u64 {
        let parts = u128::from(part_ns) * 1000;
        let share = parts.checked_div(u128::from(self.wait_ns())).unwrap_or(0);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    fn share(&self, part_ns: u64) -> String {
        percent(u128::from(part_ns), u128::from(self.wait_ns()))
    }

    /// The cause with most of the wait.
    fn cause(&self) -> Option<Finding> {
        let longest = self.causes.first()?;
        let weight = self.thousandths(longest.wait_ns);
        let of_pages = match longest.pages_read.filter(|_| longest.cause == Cause::Read) {
            Some(pages) => format!(
                " for {} ({})",
                quantity(pages, "page"),
                bytes(pages.saturating_mul(self.page_size))
            ),
            None => String::new(),
        };
        let shows = self.command("causes", &[]);
        let words = format!(
            "{} of the waiting was {}: {} waited {} each on average{of_pages}, most of it in {}; all causes: {shows}",
            self.share(longest.wait_ns),
            longest.cause.describe(),
            quantity(longest.count, "fault"),
            duration(longest.wait_ns.checked_div(longest.count).unwrap_or(0)),
            escape(&longest.label),
        );
        Some((weight, words))
    }

    fn reads_in_vain(&self) -> Option<Finding> {
        let (wait_ns, words) = reads_in_vain::of(self.reads, self.page_size, &self.command("files", &[]))?;
        Some((self.thousandths(wait_ns), words))
    }

    /// Major faults, and in which file.
    fn majors(&self) -> Option<Finding> {
        let majors = self.classes.of(Class::Major);
        let weight = self.thousandths(majors.sum());
        if majors.count() == 0 || weight < 100 {
            return None;
        }
        let file = self.files.iter().find(|file| file.majors > 0)?;
        let of_file = if file.majors == majors.count() {
            format!("all in {}", escape(&file.label))
        } else {
            format!("{} of them in {}", grouped(file.majors), escape(&file.label))
        };
        let shows = match file.label.starts_with('[') {
            true => String::new(),
            false => format!(
                "; where in it: {}",
                self.command("heatmap", &[("--file", Some(file_pattern(&file.label)))])
            ),
        };
        let (mean, share) = (duration(majors.mean()), self.share(majors.sum()));
        let words = match majors.count() {
            1 => format!(
                "one major fault of {mean} has {share} of the waiting, in {}{shows}",
                escape(&file.label)
            ),
            count => format!(
                "{} have {share} of the waiting: {mean} each on average, {of_file}{shows}",
                quantity(count, "major fault")
            ),
        };
        Some((weight, words))
    }

    /// Pages with more than one major fault.
    fn reread(&self) -> Option<Finding> {
        let file = self.files.iter().max_by_key(|file| file.again)?;
        let again = Some(file.again).filter(|&again| again > 0 && again.saturating_mul(10) > file.majors)?;
        let of_majors = percent(u128::from(again), u128::from(file.majors));
        let words = format!(
            "pages have a major fault more than once: {}{} of the {} in {} ({of_majors}) were on a page that had one before, {} \
             in all; an estimate of what more memory would avoid: {}",
            if self.again_is_at_least { "at least " } else { "" },
            grouped(again),
            quantity(file.majors, "major fault"),
            escape(&file.label),
            bytes(again.saturating_mul(self.page_size)),
            self.command("memory", &[]),
        );
        let wait_ns = u128::from(file.wait_ns) * u128::from(again) / u128::from(file.majors.max(1));
        Some((
            self.thousandths(u64::try_from(wait_ns).unwrap_or(u64::MAX)),
            words,
        ))
    }

    /// Minor faults that are slow all the same.
    fn slow_minors(&self) -> Option<Finding> {
        let minors = self.classes.of(Class::Minor);
        let (count, wait_ns) = minors.above(SLOW_MINOR_NS);
        let weight = self.thousandths(wait_ns);
        let more = match self.classes.parts.all().is_recorded {
            true => "",
            false => ": the class does not say what for; pfrec --causes records that",
        };
        let words = format!(
            "{} took {} or longer, {} of the waiting{more}",
            quantity(count, "minor fault"),
            duration(SLOW_MINOR_NS),
            self.share(wait_ns),
        );
        (count > 0 && weight >= 50).then_some((weight, words))
    }

    /// Few faults with most of the wait.
    fn tail(&self) -> Option<Finding> {
        let all = self.classes.all();
        if all.count() < 1_000 {
            return None;
        }
        let p99 = all.quantile(99_000);
        let (count, wait_ns) = all.above(p99.saturating_add(1));
        let weight = self.thousandths(wait_ns);
        let words = format!(
            "the slowest {} ({}) {} {} of the waiting: the median is {}, the 99th percentile {}, the longest {}",
            if count == 1 {
                "fault".to_owned()
            } else {
                quantity(count, "fault")
            },
            percent(u128::from(count), u128::from(all.count())),
            if count == 1 { "has" } else { "have" },
            self.share(wait_ns),
            duration(all.quantile(50_000)),
            duration(p99),
            duration(all.max()),
        );
        (count > 0 && weight >= 200).then_some((weight, words))
    }

    /// The thread that waited most.
    fn thread(&self) -> Option<Finding> {
        let thread = self.threads.first()?;
        let weight = self.thousandths(thread.wait_ns);
        // A wait longer than the life means that a birth or an end was not seen.
        let share = (thread.lived_ns >= thread.within_ns && thread.lived_ns > 0)
            .then(|| percent(u128::from(thread.within_ns), u128::from(thread.lived_ns)));
        let of_life = match share {
            None => String::new(),
            Some(share) if !self.is_part && thread.is_whole_life => format!(", {share} of its life"),
            // What it did before and afterwards is not known.
            Some(share) if !self.is_part => format!(", {share} of its life in this recording"),
            Some(share) if thread.within_ns == thread.wait_ns => {
                format!(", {share} of its life in this time")
            }
            Some(share) => format!(
                " ({} of it in this time, {share} of its life then)",
                duration(thread.within_ns)
            ),
        };
        let others = match self.threads.len() {
            1 => return None,
            2 => "the other one".to_owned(),
            more => format!("the other {} threads", grouped(more as u64 - 1)),
        };
        let words = format!(
            "{} waited {} in faults{of_life}: {} of the waiting, against {} in {others}",
            escape(&thread.name),
            duration(thread.wait_ns),
            self.share(thread.wait_ns),
            duration(self.wait_ns().saturating_sub(thread.wait_ns)),
        );
        // Alone it is no news: what it waited for is.
        (weight >= 500).then_some((weight / 2, words))
    }

    /// Most of the wait in a short time.
    fn burst(&self) -> Option<Finding> {
        let burst = self.burst?;
        let length_ns = burst.to_ns.saturating_sub(burst.from_ns);
        let of_time = u128::from(length_ns) * 100 / u128::from(self.length_ns.max(1));
        let weight = self.thousandths(burst.wait_ns);
        let words = format!(
            "{} of the waiting is in {} ({} of the time), from {} on; the rates in that time: {}",
            self.share(burst.wait_ns),
            duration(length_ns),
            percent(u128::from(length_ns), u128::from(self.length_ns)),
            duration(burst.from_ns),
            self.command(
                "timeline",
                &[
                    ("--part", Some("intervals".to_owned())),
                    ("--from", Some(exact_duration(burst.from_ns / 1_000 * 1_000))),
                    (
                        "--to",
                        Some(exact_duration(burst.to_ns.div_ceil(1_000).saturating_mul(1_000)))
                    ),
                ],
            ),
        );
        (of_time <= 25 && weight >= 500).then_some((
            weight.saturating_sub(u64::try_from(of_time).unwrap_or(0) * 10),
            words,
        ))
    }

    /// What else than sleeping the time went to, where that was recorded.
    fn breakdown(&self) -> Option<Finding> {
        let parts = self.classes.parts.all();
        let causes = [
            (parts.runqueue_ns, "waiting for a CPU, ready to run"),
            (parts.reclaim_ns, "direct reclaim: the kernel freed memory first"),
            (
                parts.lock_ns.unwrap_or(0),
                "the time before and between attempts in handle_mm_fault, where the kernel takes mmap_lock",
            ),
        ];
        let (ns, cause) = causes.into_iter().max_by_key(|&(ns, _)| ns)?;
        let weight = self.thousandths(ns);
        let words = format!("{} ({}) went to {cause}", duration(ns), self.share(ns));
        (parts.is_recorded && weight >= 100).then_some((weight, words))
    }

    /// Major faults that the recording knows the number of, and nothing else.
    fn hidden(&self) -> Option<Finding> {
        let hidden = u128::from(self.hidden_majors);
        let seen = u128::from(self.classes.of(Class::Major).count());
        let weight = u64::try_from(hidden * 1000 / (hidden + seen).max(1)).unwrap_or(u64::MAX);
        let words = format!(
            "{} {} only counted, without latency: the kernel resolved {} inside get_user_pages (as for process_vm_readv or \
             O_DIRECT); where pfrec --backend fentry works, it lists them",
            quantity(self.hidden_majors, "more major fault"),
            if self.hidden_majors == 1 { "was" } else { "were" },
            if self.hidden_majors == 1 { "it" } else { "them" },
        );
        (weight >= 10).then_some((weight, words))
    }

    /// Waits of accesses that their thread did not complete, as those of goroutines that are moved to another one.
    fn abandoned(&self) -> Option<Finding> {
        let abandoned = self.classes.abandoned;
        let weight = self.thousandths(abandoned.wait_ns);
        let words = format!(
            "{} with {} of the waiting {} not completed by {} thread: it did not return, or the page was present by then; class \
             abandoned in: {}",
            match abandoned.count {
                1 => "1 interrupted access".to_owned(),
                count => format!("{} interrupted accesses", grouped(count)),
            },
            self.share(abandoned.wait_ns),
            if abandoned.count == 1 { "was" } else { "were" },
            if abandoned.count == 1 { "its" } else { "their" },
            self.command("events", &[("--failed", None)]),
        );
        (weight >= 50).then_some((weight, words))
    }

    fn failed(&self) -> Option<Finding> {
        let failed = self.classes.failed_count();
        let words = format!(
            "{} failed, and got no page; which ones: {}",
            quantity(failed, "fault"),
            self.command("events", &[("--failed", None)]),
        );
        (failed > 0).then_some((300, words))
    }
}

/// The shortest window with at least half of the wait; bins are of one length, in the order of time.
#[must_use]
pub(crate) fn burst_of(bins: &[u64], bin_ns: u64) -> Option<Burst> {
    let whole: u128 = bins.iter().copied().map(u128::from).sum();
    let mut best: Option<(usize, usize, u128)> = None;
    let (mut first, mut sum) = (0, 0u128);
    for (last, &wait_ns) in bins.iter().enumerate() {
        sum += u128::from(wait_ns);
        while let Some(&oldest) = bins.get(first)
            && (sum - u128::from(oldest)) * 2 >= whole
            && first < last
        {
            sum -= u128::from(oldest);
            first += 1;
        }
        let length = last - first;
        if sum * 2 >= whole && sum > 0 && best.is_none_or(|(from, to, _)| length < to - from) {
            best = Some((first, last, sum));
        }
    }
    let (first, last, sum) = best?;
    Some(Burst {
        from_ns: bin_ns.saturating_mul(first as u64),
        to_ns: bin_ns.saturating_mul(last as u64 + 1),
        wait_ns: u64::try_from(sum).unwrap_or(u64::MAX),
    })
}

/// What `--file` needs to mean this file: the last part of its path where that is plain, and else all of it.
fn file_pattern(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+:@".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
        quoted(path)
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::stats::by_class::Fault;

    fn classes(faults: &[(Class, u64, u64)]) -> Classes {
        let mut classes = Classes::default();
        for &(class, latency_ns, times) in faults {
            classes.add(&Fault {
                latency_ns,
                class,
                weight: times,
                is_abandoned: false,
                breakdown: None,
            });
        }
        classes
    }

    fn facts<'a>(classes: &'a Classes, threads: &'a [ThreadFacts], files: &'a [FileFacts]) -> Facts<'a> {
        Facts {
            classes,
            threads,
            files,
            causes: &[],
            reads: &[],
            burst: None,
            length_ns: 1_000_000_000,
            is_part: false,
            again_is_at_least: false,
            page_size: 4096,
            caller: Caller::default(),
            hidden_majors: 0,
        }
    }

    #[test]
    fn the_shortest_window_with_half_of_the_wait_is_found() {
        let burst = burst_of(&[1, 0, 5, 5, 0, 1, 0, 2], 10).unwrap();
        assert_eq!((burst.from_ns, burst.to_ns, burst.wait_ns), (20, 40, 10));
        assert_eq!(burst_of(&[0, 0], 10), None);
        assert_eq!(burst_of(&[7], 10).unwrap().to_ns, 10);
        assert_eq!(burst_of(&[u64::MAX; 4], u64::MAX).unwrap().from_ns, 0);
    }

    #[test]
    fn a_cause_is_told_where_one_was_seen_and_takes_the_place_of_the_class() {
        let classes = classes(&[(Class::Major, 1_000_000, 3)]);
        let files = [FileFacts {
            label: "/data/a".to_owned(),
            majors: 3,
            wait_ns: 3_000_000,
            again: 0,
        }];
        let seen = [CauseFacts {
            cause: Cause::Read,
            count: 3,
            wait_ns: 3_000_000,
            pages_read: Some(96),
            label: "/data/a".to_owned(),
        }];
        let with_causes = Facts {
            causes: &seen,
            ..facts(&classes, &[], &files)
        };
        let said = &with_causes.findings()[0];
        assert!(
            said.starts_with(
                "100.0 % of the waiting was bringing pages into the page cache: 3 faults waited 1.00 ms each on average \
                 for 96 pages (384.0 KiB), most of it in /data/a; all causes: "
            ),
            "{said}"
        );
        assert!(!with_causes.findings().iter().any(|said| said.contains("major")));
        let without = facts(&classes, &[], &files).findings();
        assert!(
            without[0].starts_with("3 major faults have 100.0 %"),
            "{without:?}"
        );
    }

    #[test]
    fn major_faults_are_named_with_their_file_and_no_cause() {
        let classes = classes(&[(Class::Major, 1_000_000, 90), (Class::Minor, 1_000, 1_000)]);
        let files = [FileFacts {
            label: "/data/x\x1b".into(),
            majors: 90,
            wait_ns: 90_000_000,
            again: 60,
        }];
        let found = facts(&classes, &[], &files).findings();
        assert!(found[0].starts_with("90 major faults have 98.9 % of the waiting: 1.00 ms each"));
        assert!(found[0].contains("all in /data/x\\x1b;"), "{found:?}");
        assert!(
            found[0].ends_with("where in it: pfanalyze heatmap TRACE --file $'/data/x\\x1b'"),
            "{found:?}"
        );
        assert_eq!(file_pattern("/data/idx.db"), "idx.db");
        assert_eq!(file_pattern("/data/a,b c"), r"/data/a\,b c");
        assert!(
            found[1].contains("once: 60 of the 90 major faults in")
                && found[1].contains(", 240.0 KiB in all;"),
            "{found:?}"
        );
        assert!(found.iter().all(|words| !words.contains('\x1b')));
    }

    #[test]
    fn a_tail_and_slow_minor_faults_are_told() {
        let classes = classes(&[(Class::Minor, 1_000, 9_950), (Class::Minor, 20_000_000, 50)]);
        let found = facts(&classes, &[], &[]).findings();
        assert!(
            found[0].starts_with("50 minor faults took 100.0 us or longer, 99.0 %"),
            "{found:?}"
        );
        assert!(found[1].starts_with("the slowest 50 faults (0.5 %)"), "{found:?}");
    }

    #[test]
    fn nothing_is_found_where_nothing_was_waited_for() {
        assert!(facts(&Classes::default(), &[], &[]).findings().is_empty());
    }

    #[test]
    fn major_faults_that_are_not_listed_are_told_by_number_unless_they_are_few() {
        let classes = classes(&[(Class::Major, 1_000_000, 1_000)]);
        let with = |hidden_majors| {
            let facts = Facts {
                hidden_majors,
                ..facts(&classes, &[], &[])
            };
            facts.findings().join("\n")
        };
        assert!(
            with(256).contains("256 more major faults were only counted"),
            "{}",
            with(256)
        );
        assert!(!with(10).contains("only counted"), "{}", with(10));
        let nothing = Classes::default();
        let alone = Facts {
            hidden_majors: 1,
            ..facts(&nothing, &[], &[])
        };
        assert_eq!(alone.findings().len(), 1);
    }
}
