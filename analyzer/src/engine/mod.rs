//! One pass over the faults of a trace, block by block: columns, filters, and who is shown what passes.

pub mod clock;
pub mod columns;
pub(crate) mod condition;
pub mod filter;
pub mod frame;
pub mod partition;
pub mod runs;
pub mod scan;
pub mod tally;
pub mod thread_order;
pub mod unmet;
pub mod visible_columns;
pub(crate) mod witnesses;
