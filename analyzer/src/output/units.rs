//! Numbers and times as people read them. How each is written and read is the business of `pf_notation`, which all our
//! programs share.

pub use pf_notation::count::{grouped, quantity, short_count};
pub use pf_notation::duration::{duration, exact_duration, fixed, short_duration};
pub use pf_notation::moment::{local, rfc3339, utc};
pub use pf_notation::percent::percent;
pub use pf_notation::size::bytes;
