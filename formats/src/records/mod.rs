//! What the records of a trace hold: one file for each, as values and as bytes.

pub(crate) mod condition;
pub(crate) mod defined_ids;
pub(crate) mod dict;
pub(crate) mod event;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod hidden_wait;
pub(crate) mod loss;
pub(crate) mod meta;
pub(crate) mod metadata;
pub(crate) mod packed;
pub(crate) mod process;
pub(crate) mod query;
pub(crate) mod query_record;
pub(crate) mod stack;
pub(crate) mod timeline;
