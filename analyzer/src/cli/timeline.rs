//! The arguments of `timeline`.

use crate::cli::seconds;
use crate::request::options::StallThreshold;
use crate::request::options::TimelineOptions;
use crate::request::options::TimelinePart;
use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Timeline")]
pub(crate) struct TimelineArgs {
    /// Length of a row: seconds, or with ns, us, ms, s [default: a round time that gives 40 to 60 rows]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<u64>,
    /// A stall is when at least N threads are inside a fault at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "share")]
    threads: Option<u32>,
    /// A stall is when at least this share of the threads alive then is inside a fault, and at least two threads
    #[arg(long, value_name = "P%", value_parser = share, default_value = "50%")]
    share: u32,
    /// Number of stalls to show, longest first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
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
                None => StallThreshold::Percent(self.share),
            },
            stalls: self.stalls.into(),
            part: self.part,
        }
    }
}

fn interval(text: &str) -> Result<u64, String> {
    match seconds(text)? {
        0 => Err("an interval must be longer than 0".to_owned()),
        ns => Ok(ns),
    }
}

/// `50%` or `50`.
fn share(text: &str) -> Result<u32, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let share: Option<u32> = number.parse().ok().filter(|share| (1..=100).contains(share));
    share.ok_or_else(|| format!("'{text}' is not a share: give percent from 1 to 100, such as 50%"))
}
