//! What is wrong with a trace, what that cost, and a trace without it.

pub(crate) mod block_index;
pub(crate) mod claims;
pub(crate) mod damage;
pub(crate) mod digest;
pub(crate) mod references;
pub(crate) mod repair;
pub(crate) mod repaired_totals;
pub(crate) mod verify;
