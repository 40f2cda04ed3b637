//! What makes a cell or a branch heavy, and how values become levels.

use crate::engine::tally::Cell;

/// What a cell shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Weight {
    /// Number of faults.
    Count,
    /// Time waited in faults.
    #[default]
    Wait,
    /// The longest fault.
    Max,
}

impl Weight {
    /// The number that a cell shows.
    #[must_use]
    pub fn of(self, cell: Cell) -> u64 {
        match self {
            Self::Count => cell.count,
            Self::Wait => cell.wait_ns,
            Self::Max => cell.max_ns,
        }
    }
}

/// How values map to the ten levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorScale {
    /// Equal ratios: shows rare and frequent places at once.
    #[default]
    Log,
    /// Equal differences.
    Linear,
}
