//! What must hold of every trace, whatever its threads did: parts sum up to the whole, shares are within 0 and 100 %, and two
//! verbs that tell the same figure tell the same one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

mod histories;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod timeline;
mod walks;
