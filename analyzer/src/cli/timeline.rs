//! The arguments of `timeline`.

use crate::cli::values::milliseconds;
use crate::request::options::StallThreshold;
use crate::request::options::TimelineOptions;
use crate::request::options::TimelinePart;
use clap::Args;
use pf_notation::{count, percent};

#[derive(Debug, Args)]
#[command(next_help_heading = "Timeline")]
pub(crate) struct TimelineArgs {
    /// Length of a row: milliseconds, or with a unit, as in 500us or 1s [default: a round time that gives 40 to 60 rows]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = milliseconds)]
    interval: Option<u64>,
    /// A stall is when at least N threads are inside a fault at once
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u32>(1, u32::MAX.into()), conflicts_with = "share")]
    threads: Option<u32>,
    /// A stall is when at least this share of the threads alive then is inside a fault, and at least two threads
    #[arg(long, value_name = "P%", allow_negative_numbers = true, value_parser = percent::parse_thousandths, default_value = "50%")]
    share: u32,
    /// Number of stalls to show, longest first
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true, value_parser = count::within::<u16>(0, 1000))]
    stalls: u16,
    /// Only this table; with --format csv it is the intervals if none is given
    #[arg(long, value_enum)]
    part: Option<TimelinePart>,
}

impl TimelineArgs {
    pub(crate) fn into_options(self) -> TimelineOptions {
        TimelineOptions {
            interval_ns: self.interval,
            least: match self.threads {
                Some(threads) => StallThreshold::Threads(threads),
                None => StallThreshold::Share(self.share),
            },
            stalls: self.stalls.into(),
            part: self.part,
        }
    }
}
