//! The arguments of `percentiles`.

use crate::request::options::GroupBy;
use crate::request::options::PercentileOptions;
use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Percentiles")]
pub(crate) struct PercentileArgs {
    /// What a row is
    #[arg(long, value_enum, default_value_t)]
    by: GroupBy,
    /// Exact quantiles, not within 1 %; reads the trace twice
    #[arg(long)]
    exact: bool,
    /// A histogram of all latencies below the table; with --format csv or json, its buckets instead of the table
    #[arg(long)]
    histogram: bool,
}

impl PercentileArgs {
    pub(crate) fn into_options(self) -> PercentileOptions {
        PercentileOptions {
            by: self.by,
            exact: self.exact,
            histogram: self.histogram,
        }
    }
}
