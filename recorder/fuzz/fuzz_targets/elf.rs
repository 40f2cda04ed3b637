//! libFuzzer on `targets::elf`.
#![no_main]

use pf_recorder_fuzz::targets::{elf, memory};

libfuzzer_sys::fuzz_target!(|data: &[u8]| memory::run(elf::target, data));
