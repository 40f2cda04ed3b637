//! From bytes to records: the reader, what it reads from, and which blocks it decodes.

pub(crate) mod head_reader;
pub(crate) mod item;
pub(crate) mod mapped;
pub(crate) mod parallel;
pub(crate) mod predicate;
pub(crate) mod reader;
pub(crate) mod source;
pub(crate) mod window;
