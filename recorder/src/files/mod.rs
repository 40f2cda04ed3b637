//! Files of others, which root must not trust: opened once and checked, parsed by a child without rights.

pub mod demangle;
pub mod mapped;
pub mod mapped_file;
pub mod open;
pub mod sandbox;
