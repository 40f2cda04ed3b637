//! From values to bytes, front to back.

pub(crate) mod dict_writer;
pub(crate) mod writer;
