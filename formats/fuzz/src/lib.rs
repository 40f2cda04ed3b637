//! What hostile files can do to the format, as plain functions of bytes: nothing, or they panic.
//!
//! libFuzzer calls them (`fuzz_targets/`), and so does `tests/corpus.rs` of the format, which includes this file: every
//! run of the tests goes over the seeds and over some thousand changes of them, without libFuzzer. Each
//! target puts right checksums around what it is given, so that it comes as far as the decoders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

pub mod block;
pub mod change;
pub mod memory;
pub mod reader;
pub mod records;
pub mod round_trip;
mod seal;
pub mod seeds;

/// The traces that the tests of the format are made of.
#[path = "../../tests/common/mod.rs"]
pub(crate) mod common;

/// Bytes that must do no harm.
pub type Run = fn(&[u8]);

/// One target: its name, what it does with an input, inputs to start from.
pub struct Target {
    /// Also that of the program in `fuzz_targets/`.
    pub name: &'static str,
    /// Panics where the format does something wrong.
    pub run: Run,
    /// Inputs that come far.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "reader",
        run: reader::target,
        seeds: seeds::reader,
    },
    Target {
        name: "block",
        run: block::target,
        seeds: seeds::block,
    },
    Target {
        name: "records",
        run: records::target,
        seeds: seeds::records,
    },
    Target {
        name: "round_trip",
        run: round_trip::target,
        seeds: seeds::round_trip,
    },
];

/// A trace of a header, META, and these bytes. Their writer is made once: it takes longer than the rest.
fn trace_with(rest: &[u8]) -> Vec<u8> {
    static START: LazyLock<Vec<u8>> = LazyLock::new(|| common::raw::trace_with(&[]));
    [START.as_slice(), rest].concat()
}
