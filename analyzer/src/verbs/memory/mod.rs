//! `memory`: pages faulted again, and what more memory would have avoided.

pub mod curve;
pub mod estimate;
pub mod page_groups;
pub mod page_order;
pub mod pass;
pub mod positions;
pub mod refaults;
pub mod tables;
pub mod text;
pub mod turns;
