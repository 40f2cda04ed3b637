//! libFuzzer on `targets::names`.
#![no_main]

use pf_recorder_fuzz::targets::{memory, names};

libfuzzer_sys::fuzz_target!(|data: &[u8]| memory::run(names::target, data));
