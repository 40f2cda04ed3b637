//! What hostile programs can do to the readers of their files, as plain functions of bytes: nothing, or they panic.
//!
//! libFuzzer calls them (`fuzz_targets/`), and so do the tests of the recorder, which include this folder: every run goes
//! over the seeds and over some thousand changes of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// How inputs are changed where there is no libFuzzer.
#[cfg(test)]
#[path = "../../../../formats/fuzz/src/change.rs"]
mod change;
pub mod elf;
pub mod elf_file;
#[path = "../../../../formats/fuzz/src/memory.rs"]
pub mod memory;
pub mod names;
pub mod seeds;
#[cfg(test)]
mod tests;
/// Where a USDT probe has its arguments: the library of the probes keeps that to itself.
#[path = "../../../../bpf/src/argument.rs"]
mod usdt_argument;

use serde::{Serialize, de::DeserializeOwned};

/// The child that reads a file says what it found in JSON: it must come over as it was.
fn comes_over<T: Serialize + DeserializeOwned>(answer: &T) -> T {
    let json = serde_json::to_vec(answer).expect("an answer is written");
    serde_json::from_slice(&json).expect("an answer is read")
}

/// Of every argument of a probe: what the probe is told reads nothing but registers.
fn check_arguments(text: &str) {
    /// Bytes of `struct pt_regs` at least.
    const REGISTERS: usize = 168;
    for number in 0..8 {
        let Some(argument) = usdt_argument::Argument::of(text, number) else {
            continue;
        };
        let bytes = argument.to_bytes();
        for register in [&bytes[8..10], &bytes[10..12]] {
            let offset = u16::from_ne_bytes([register[0], register[1]]);
            assert!(
                usize::from(offset) + 8 <= REGISTERS,
                "{text:?}: register at {offset}"
            );
        }
        let [kind, scale, shift, is_signed] = [bytes[12], bytes[13], bytes[14], bytes[15]];
        assert!(
            (1..=4).contains(&kind) && scale <= 3 && is_signed <= 1,
            "{text:?}"
        );
        assert!([0, 32, 48, 56].contains(&shift), "{text:?}");
    }
}
