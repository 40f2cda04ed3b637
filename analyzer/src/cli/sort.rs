//! The arguments that order a table.

use crate::output::order::{By, Order};
use clap::Args;
use pf_notation::count;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct OrderArgs {
    /// Sort by this column of the table: numbers fall and names rise, or :asc, :desc behind the name
    #[arg(long, value_name = "COLUMN", value_parser = By::parse)]
    sort: Option<By>,
    /// Only the first N rows, 0 for all; totals stay those of all
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u32>(0, u32::MAX.into()))]
    top: Option<u32>,
}

impl OrderArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.sort.is_some() || self.top.is_some()
    }

    pub(crate) fn into_order(self) -> Order {
        Order {
            by: self.sort,
            top: self
                .top
                .filter(|&top| top > 0)
                .map(|top| usize::try_from(top).unwrap_or(usize::MAX)),
        }
    }
}
