//! The command line of `mmap-workload`, and the plain options it resolves to.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use pf_notation::count;
use pf_notation::duration::{self, Unit};

use super::pattern::{Pattern, Shape};
use crate::process::parse_bytes;

/// Touch the pages of mapped memory in a known order, and print what the kernel counted.
///
/// Without arguments: a temporary file of 64 MiB, evicted from the page cache, walked at random.
/// The program ends with SIGBUS if FILE shrinks while it is mapped.
#[derive(Debug, Parser)]
#[command(name = "mmap-workload", version)]
pub struct Cli {
    /// Walk this file instead of a temporary one (made in $TMPDIR or /var/tmp, removed at the end)
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Order in which the pages are touched
    #[arg(short, long, value_enum, default_value = "random")]
    pattern: PatternName,
    /// Accesses per thread
    #[arg(short, long, value_name = "COUNT", default_value_t = 4096, allow_negative_numbers = true, value_parser = count::within::<u64>(1, u64::MAX))]
    count: u64,
    /// Threads that walk, each with its own seed
    #[arg(short, long, default_value_t = 1, allow_negative_numbers = true, value_parser = count::within::<u32>(1, 4096))]
    threads: u32,
    /// Divide the memory among the threads; each walks its own part in the order of PATTERN
    #[arg(long)]
    split: bool,
    /// Distance in pages between two touches of the pattern `stride`
    #[arg(short, long, value_name = "PAGES", default_value_t = 16, allow_negative_numbers = true, value_parser = count::within::<u64>(1, u64::MAX))]
    stride: u64,
    /// Sleep between two accesses: milliseconds, or with a unit, as in 50us
    #[arg(short, long, value_name = "MS", default_value = "0", allow_negative_numbers = true, value_parser = milliseconds)]
    delay: u64,
    /// Seed of the order and of the temporary file's bytes
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = count::within::<u64>(0, u64::MAX))]
    seed: u64,
    /// Size of the temporary file or of the anonymous memory: MiB, or with a unit, as in 2GiB
    #[arg(long, value_name = "MIB", default_value = "64", conflicts_with = "file", allow_negative_numbers = true,
          value_parser = parse_bytes)]
    size: u64,
    /// Write instead of read: adds 0 to the first byte of the page, which dirties it and changes nothing
    #[arg(long)]
    write: bool,
    /// Leave the temporary file in the page cache
    #[arg(long, conflicts_with_all = ["evict", "file"])]
    keep_cached: bool,
    /// Evict FILE from the page cache before the walk (a temporary file always is)
    #[arg(long)]
    evict: bool,
    /// Walk anonymous memory (without huge pages) instead of a file
    #[arg(long, conflicts_with_all = ["file", "evict", "keep_cached"])]
    anon: bool,
    /// Advice given to madvise(2) [default: random; normal for the pattern seq and for --anon]
    ///
    /// With `normal`, read-ahead and fault-around load many pages for one fault.
    #[arg(long, value_enum)]
    advice: Option<Advice>,
    /// Form of the report on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: OutputFormat,
    /// Time each touch, and write the times to FILE as CSV after the walk (48 bytes of memory per touch)
    #[arg(long, value_name = "FILE")]
    log_touches: Option<PathBuf>,
    /// Treat each run of K accesses of a thread as a query, marked by the probes pf:query_begin(id, name) and
    /// pf:query_end(id) and named after the pattern
    #[arg(long, value_name = "K", allow_negative_numbers = true, value_parser = count::within::<u64>(1, u64::MAX))]
    query_size: Option<u64>,
    /// Treat every second run of M accesses within a query as a nested query, named PATTERN-inner
    #[arg(long, value_name = "M", requires = "query_size", allow_negative_numbers = true, value_parser = count::within::<u64>(1, u64::MAX))]
    query_nested: Option<u64>,
    /// Write the faults of each query, as counted by the kernel, to FILE as CSV after the walk (56 bytes of
    /// memory per query)
    #[arg(long, value_name = "FILE", requires = "query_size")]
    query_report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PatternName {
    /// 0, 1, 2, … and again from 0
    Seq,
    /// Uniform
    Random,
    /// Every PAGES-th page: 0, S, 2S, …, then 1, S+1, …
    Stride,
    /// 70 % random, 30 % sequential
    Mixed,
    /// A hot set: page k is touched with a probability proportional to 1/(k+1)^0.99
    Zipf,
}

/// What the kernel is told about the order to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Advice {
    /// Nothing: read-ahead and fault-around as usual
    Normal,
    /// No read-ahead: one page per major fault
    Random,
    /// Read far ahead
    Sequential,
}

/// Form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// One JSON object
    Json,
}

/// Which memory is walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A file that exists.
    File {
        /// Where it is.
        path: PathBuf,
        /// Whether it is first evicted from the page cache.
        evict: bool,
    },
    /// A file of our own, removed at the end.
    Temporary {
        /// Its size.
        size_bytes: u64,
        /// Whether it is first evicted from the page cache.
        evict: bool,
    },
    /// No file.
    Anonymous {
        /// Size of the memory.
        size_bytes: u64,
    },
}

/// How many accesses make a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuerySizes {
    /// Of a query.
    pub outer: u64,
    /// Of one inside of a query: every second run of so many accesses, the first being the query's own.
    pub inner: Option<u64>,
    /// Whether each is remembered for a report.
    pub reported: bool,
}

impl QuerySizes {
    /// Whether a query inside begins with access number `within` of its outer one.
    pub(crate) fn begins_inner(self, within: u64) -> bool {
        self.inner
            .is_some_and(|size| within.is_multiple_of(size) && within / size % 2 == 1)
    }

    /// Whether such a query ends with that access.
    pub(crate) fn ends_inner(self, within: u64) -> bool {
        self.inner
            .is_some_and(|size| within % size == size - 1 && within / size % 2 == 1)
    }

    /// How many queries `count` accesses are, those inside others included.
    pub fn queries(self, count: u64) -> u64 {
        let inside = |accesses: u64| {
            self.inner.map_or(0, |size| {
                (accesses.saturating_sub(size)).div_ceil(size.saturating_mul(2))
            })
        };
        let (full, rest) = (count / self.outer, count % self.outer);
        let of_full = full.saturating_mul(inside(self.outer).saturating_add(1));
        of_full
            .saturating_add(u64::from(rest > 0))
            .saturating_add(inside(rest))
    }
}

/// What to do, resolved from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which memory is walked.
    pub memory: Memory,
    /// In which order.
    pub pattern: Pattern,
    /// Accesses per thread.
    pub count: u64,
    /// Number of threads.
    pub threads: u32,
    /// Each thread walks a part of its own instead of all of the memory.
    pub split: bool,
    /// Sleep between two accesses of a thread.
    pub delay: Option<Duration>,
    /// Write instead of read.
    pub write: bool,
    /// What the kernel is told.
    pub advice: Advice,
    /// Form of the report.
    pub format: OutputFormat,
    /// Where the record of each touch goes.
    pub log_touches: Option<PathBuf>,
    /// What is a query, if anything is.
    pub queries: Option<QuerySizes>,
    /// Where the record of each query goes.
    pub query_report: Option<PathBuf>,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    duration::parse(text, Unit::Milliseconds)
}

impl Cli {
    /// Resolves defaults that depend on other flags.
    pub fn into_options(self) -> Options {
        let size_bytes = self.size;
        let memory = match self.file {
            Some(path) => Memory::File {
                path,
                evict: self.evict,
            },
            None if self.anon => Memory::Anonymous { size_bytes },
            None => Memory::Temporary {
                size_bytes,
                evict: !self.keep_cached,
            },
        };
        let shape = match self.pattern {
            PatternName::Seq => Shape::Sequential,
            PatternName::Random => Shape::Random,
            PatternName::Stride => Shape::Stride(self.stride),
            PatternName::Mixed => Shape::Mixed,
            PatternName::Zipf => Shape::Zipf,
        };
        let default_advice = if self.anon || shape == Shape::Sequential {
            Advice::Normal
        } else {
            Advice::Random
        };
        Options {
            memory,
            pattern: Pattern {
                shape,
                seed: self.seed,
            },
            count: self.count,
            threads: self.threads,
            split: self.split,
            delay: (self.delay > 0).then(|| Duration::from_nanos(self.delay)),
            write: self.write,
            advice: self.advice.unwrap_or(default_advice),
            format: self.format,
            log_touches: self.log_touches,
            queries: self.query_size.map(|outer| QuerySizes {
                outer,
                inner: self.query_nested,
                reported: self.query_report.is_some(),
            }),
            query_report: self.query_report,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn queries_are_counted_as_they_begin_and_end() {
        for (outer, inner) in [
            (1, Some(1)),
            (4, None),
            (4, Some(1)),
            (7, Some(2)),
            (10, Some(5)),
            (3, Some(9)),
        ] {
            let sizes = QuerySizes {
                outer,
                inner,
                reported: true,
            };
            for count in 1..40 {
                let within = |index: u64| index % outer;
                let inside = (0..count).filter(|&index| sizes.begins_inner(within(index)));
                let expected = count.div_ceil(outer) + inside.count() as u64;
                assert_eq!(sizes.queries(count), expected, "{sizes:?}, {count}");
            }
        }
    }

    #[test]
    fn a_sequential_walk_leaves_read_ahead_alone_and_the_others_switch_it_off() {
        let advice = |arguments: &[&str]| {
            Cli::try_parse_from([&["mmap-workload"], arguments].concat())
                .unwrap()
                .into_options()
                .advice
        };
        assert_eq!(advice(&["-p", "seq"]), Advice::Normal);
        assert_eq!(advice(&["-p", "zipf"]), Advice::Random);
        assert_eq!(advice(&["-p", "seq", "--advice", "random"]), Advice::Random);
    }
}
