//! What must hold of the answers to any trace: parts sum up to the whole in every window and under every filter, shares lie
//! within 0 and 100 %, and two verbs that tell the same figure tell the same one. The traces are made by chance; `generate`
//! says of what, and each verb has a module of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

mod generate;
#[path = "../support/mod.rs"]
mod support;
