//! The arguments that order a table.

use crate::output::order::{By, Order};
use clap::Args;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct OrderArgs {
    /// Sort by this column of the table: numbers fall and names rise, or :asc, :desc behind the name
    #[arg(long, value_name = "COLUMN", value_parser = By::parse)]
    sort: Option<By>,
    /// Only the first N rows; totals stay those of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
}

impl OrderArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.sort.is_some() || self.top.is_some()
    }

    pub(crate) fn into_order(self) -> Order {
        Order {
            by: self.sort,
            top: self.top.map(|top| usize::try_from(top).unwrap_or(usize::MAX)),
        }
    }
}
