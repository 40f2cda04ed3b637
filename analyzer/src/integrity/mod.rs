//! Whether the numbers can be trusted: losses, damage, the check of the counts, sampling.

pub mod losses;
pub mod scaling;
pub mod warnings;
