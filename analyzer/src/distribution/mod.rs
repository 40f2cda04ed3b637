//! How latencies are distributed: faults in groups of any column, in bounded memory; a histogram to look at; exact quantiles by
//! a second reading. The query and its table are in `query/percentiles.rs`.

pub mod by;
pub mod exact;
pub mod groups;
pub mod names;
pub mod shape;
