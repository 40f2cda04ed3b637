//! The classes of faults, and the byte in which a trace stores class, access and origin of a row. The format library
//! decodes it.

pub use pf_formats::{ClassBits, FaultClass as Class};
